"""
Every log of one configuration.

A reload opens all files anew, and the old configuration goes on writing into its own
until it has drained.

nginx: C{ngx_log_open_default()}, C{ngx_conf_open_file()}, C{ngx_reopen_files()}
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..interfaces import ILogTarget
from ..net.syslog import Syslog, SyslogServer
from .error_log import LEVELS, Console, ErrorLog, ErrorLogLine, TimeStamp
from .files import AccessLogFile, LogFile, LogOpenError

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


class Logs:
    """
    Every log of one configuration.

    Ask for logs while building; C{open} opens all files at once, or none.

    @ivar main: the error log of the main level.
    @ivar usesStderr: some C{error_log} names the standard error stream, which then
        must not be redirected into a file.
    """

    def __init__(
        self,
        clock: IReactorTime,
        prefix: str,
        lines: Sequence[ErrorLogLine] = (),
        *,
        default: str = "logs/error.log",
        target: ILogTarget | None = None,
        console: Console | None = None,
        wallClock: Callable[[], float] = time.time,
    ) -> None:
        """
        @param prefix: relative names start here.
        @param lines: C{error_log} of the main level.
        @param default: file of C{-e}, used when C{lines} name no file; C{"stderr"}.
        @param target: C{twistd}'s log, which stands in for all that C{lines} say.
        """
        self._clock = clock
        self._prefix = prefix
        self._console = console
        self._stamp = TimeStamp(wallClock)
        self._files: dict[str, LogFile] = {}
        self._accessLogs: dict[str, AccessLogFile] = {}
        self._errorLogs: dict[tuple[ErrorLogLine, ...], ErrorLog] = {}
        self._syslogs: dict[SyslogServer, Syslog] = {}
        self._wallClock = wallClock
        self._stderr = LogFile(None, 2)
        self.usesStderr = False
        if target is not None:
            level = max((LEVELS[line.level] for line in lines), default=6)
            self.main = ErrorLog([(target, max(level, 6))], self._stamp, console)
            self._errorLogs[tuple(lines)] = self.main
        else:
            chain = list(lines)
            # Nginx always has a file: without one it opens that of -e.  A plain
            # "stderr" there adds nothing to lines that say stderr already.
            fileless = all(
                line.target == "stderr" or line.syslog is not None for line in lines
            )
            if fileless and not (lines and default == "stderr"):
                chain.append(ErrorLogLine(default, "error"))
            self.main = self.errorLog(tuple(chain))
            self._errorLogs[tuple(lines)] = self.main
        self._errorLogs[()] = self.main

    def _resolve(self, path: str) -> str:
        return os.path.join(self._prefix, path)

    def _file(self, path: str) -> LogFile:
        path = self._resolve(path)
        found = self._files.get(path)
        if found is None:
            found = self._files[path] = LogFile(path)
        return found

    def errorLog(self, lines: Sequence[ErrorLogLine]) -> ErrorLog:
        """
        The error log for the C{error_log} lines of one level of the configuration;
        the main one for none.  Equal lines share one log.
        """
        key = tuple(lines)
        found = self._errorLogs.get(key)
        if found is None:
            targets: list[tuple[ILogTarget, int]] = []
            for line in key:
                if line.target == "stderr":
                    self.usesStderr = True
                    targets.append((self._stderr, LEVELS[line.level]))
                elif line.syslog is not None:
                    targets.append((self.syslog(line.syslog), LEVELS[line.level]))
                else:
                    targets.append((self._file(line.target), LEVELS[line.level]))
            found = ErrorLog(targets, self._stamp, self._console)
            self._errorLogs[key] = found
        return found

    def accessLog(
        self,
        path: str,
        bufferSize: int = 0,
        flush: float | None = None,
        gzipLevel: int = 0,
    ) -> AccessLogFile:
        """
        The file of an access log; all users of one path share it and its buffer.

        @param bufferSize: bytes.
        @param flush: seconds.
        @raise ValueError: the path is in use with other numbers; the text is
            nginx's message without the place.
        """
        path = self._resolve(path)
        found = self._accessLogs.get(path)
        if found is None:
            found = self._accessLogs[path] = AccessLogFile(
                self._file(path),
                self._clock,
                self._complain,
                bufferSize,
                flush,
                gzipLevel,
            )
        elif bufferSize and not found.bufferSize:
            # Whoever buffers a file does so for all of its users, as in nginx.
            found.buffer(bufferSize, flush, gzipLevel)
        elif bufferSize and (found.bufferSize, found.flush, found.gzipLevel) != (
            bufferSize,
            flush,
            gzipLevel,
        ):
            raise ValueError(
                f'access_log "{path}" already defined with conflicting parameters'
            )
        return found

    def syslog(self, server: SyslogServer) -> Syslog:
        """
        What sends to a syslog server; equal ones share it.
        """
        found = self._syslogs.get(server)
        if found is None:
            found = self._syslogs[server] = Syslog(
                server, self._complain, wallClock=self._wallClock
            )
        return found

    def _complain(self, level: str, message: str, errno: int, suffix: str = "") -> None:
        self.main.write(level, message, errno, suffix=suffix)

    @property
    def mainFile(self) -> LogFile | None:
        """
        The first file of the main error log, or C{None}.
        """
        for target, _ in self.main._targets:
            if isinstance(target, LogFile) and target.path is not None:
                return target
        return None

    @property
    def paths(self) -> Sequence[str]:
        """
        The files, absolute.
        """
        return tuple(self._files)

    @property
    def descriptors(self) -> Sequence[int]:
        """
        The descriptors of the open files.
        """
        return tuple(file.fd for file in self._files.values() if file.fd >= 0)

    def open(self) -> None:
        """
        Open every file asked for that is not open yet.

        The directory C{logs} of the prefix is made when it is missing: all defaults
        lie there.

        @raise LogOpenError: one cannot be opened; those opened before by this call
            are closed again.
        """
        opened: list[LogFile] = []
        for file in self._files.values():
            if file.fd >= 0:
                continue
            try:
                self.makeDefaultDirectory(file.path)
                file.open()
            except LogOpenError:
                for other in opened:
                    other.close()
                raise
            opened.append(file)
        for syslog in self._syslogs.values():
            syslog.open()

    def makeDefaultDirectory(self, path: str | None) -> None:
        """
        Make C{logs} under the prefix, if C{path} lies there.
        """
        directory = os.path.dirname(path or "")
        if directory == os.path.join(self._prefix, "logs"):
            # It is there already, or opening the file will say what is wrong.
            with suppress(OSError):
                os.mkdir(directory, 0o755)

    def flush(self) -> None:
        """
        Write all buffers of access logs.
        """
        for log in self._accessLogs.values():
            log.flushNow()

    def reopen(self) -> None:
        """
        Open all files anew by their names, after a rotation.  One that cannot be
        opened is complained about and stays as it is.
        """
        self.flush()
        for file in self._files.values():
            try:
                file.reopen()
            except LogOpenError as e:
                self.main.write("emerg", str(e))

    def close(self) -> None:
        """
        Write all buffers and close all files and sockets.
        """
        self.flush()
        for file in self._files.values():
            file.close()
        for syslog in self._syslogs.values():
            syslog.close()
