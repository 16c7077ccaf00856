"""
Log files: nginx's error log with its levels, and the files of access logs.

One L{Logs} holds every log of one configuration, so a reload opens all files anew and
the old configuration goes on writing into its own until it has drained.

nginx: core/ngx_log.c, core/ngx_conf_file.c (ngx_reopen_files),
http/modules/ngx_http_log_module.c (ngx_http_log_write, ngx_http_log_flush)
"""

from __future__ import annotations

import errno as errnos
import os
import re
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zope.interface import implementer

from .config.directive import Where, converter, directive
from .interfaces import ILogTarget
from .net.syslog import PREFIX as SYSLOG
from .net.syslog import Syslog, SyslogServer, parseSyslog

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from .config.syntax import Node

try:
    from threading import get_native_id
except ImportError:  # pragma: no cover
    # Not every Python and system can tell; in the main thread they are the same.
    get_native_id = os.getpid

LEVELS = {
    "emerg": 1,
    "alert": 2,
    "crit": 3,
    "error": 4,
    "warn": 5,
    "notice": 6,
    "info": 7,
    "debug": 8,
}

_DEBUG_AREAS = {
    "debug_core",
    "debug_alloc",
    "debug_mutex",
    "debug_event",
    "debug_http",
    "debug_mail",
    "debug_stream",
}

MAX_LINE = 2048

# A line of the log must stay one line, whatever a client managed to send.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ErrorLogLine:
    """
    One C{error_log} directive.

    @ivar target: the file as written, C{"stderr"} for the standard error stream.
    @ivar level: a key of L{LEVELS}: the least severe level that is written.
    @ivar syslog: where C{target} says C{syslog:}.
    """

    target: str
    level: str
    syslog: SyslogServer | None = None


@converter("file | stderr | syslog:server=address[,parameter=value] [level]", (1, None))
def errorLogLine(node: Node) -> ErrorLogLine:
    """
    Convert C{error_log FILE|stderr|syslog:… [LEVEL]}.

    nginx: ngx_log_set_log(), ngx_log_set_levels()
    """
    target = node.words[0]
    if target.startswith("memory:"):
        # Nginx's own words for a build like ours: there is no debug log to keep.
        raise node.error("nginx was built without debug support", word=0)
    server = syslogServer(node) if target.startswith(SYSLOG) else None
    level = ""
    for index, word in enumerate(node.words[1:], 1):
        if word in _DEBUG_AREAS:
            if level not in ("", "debug"):
                raise node.error(f'invalid log level "{word}"', word=index)
            level = "debug"
        elif word not in LEVELS:
            raise node.error(
                f'invalid log level "{word}"',
                word=index,
                hint="levels: " + ", ".join(reversed(LEVELS)),
            )
        elif level:
            raise node.error(f'duplicate log level "{word}"', word=index)
        else:
            level = word
    return ErrorLogLine(target, level or "error", server)


def syslogServer(node: Node) -> SyslogServer:
    """
    What the first word, C{syslog:…}, says.
    """
    try:
        return parseSyslog(node.words[0])
    except ValueError as e:
        raise node.error(str(e), word=0) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorLogOptions:
    """
    Where complaints go.
    """

    errorLog: tuple[ErrorLogLine, ...] = directive(
        "error_log",
        Where.MAIN | Where.HTTP_ANY | Where.STREAM | Where.STREAM_SERVER,
        errorLogLine,
        default=(),
        repeat=True,
        doc="Log errors of this level and worse into a file, C{stderr} or to"
        " syslog.  Several lines of one level all receive; lines of an inner level"
        " replace those of the outer.  Without any, C{error} goes to that of C{-e}.",
    )


def describe(error: OSError) -> str:
    """
    The system's text as nginx appends it: C{ (2: No such file or directory)}.
    """
    return f" ({error.errno}: {os.strerror(error.errno or 0)})"


class LogOpenError(Exception):
    """
    A log file cannot be opened; the text is nginx's.
    """

    def __init__(self, path: str, error: OSError) -> None:
        super().__init__(f'open() "{path}" failed{describe(error)}')


@implementer(ILogTarget)
class LogFile:
    """
    A file in append mode, one C{write(2)} per line; or an open descriptor.

    Several processes may append to one file; with one write per line their lines do
    not mix.

    @ivar path: absolute; C{None} if it is a descriptor that is not ours to reopen.
    """

    __slots__ = ("_fullUntil", "fd", "path")

    def __init__(self, path: str | None, fd: int = -1) -> None:
        self.path = path
        self.fd = fd
        self._fullUntil = 0.0

    def open(self) -> None:
        """
        Open the file if it is not open.

        @raise LogOpenError: it cannot be opened or created.
        """
        if self.fd < 0:
            self.fd = self._open()

    def _open(self) -> int:
        assert self.path is not None
        try:
            return os.open(
                self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
            )
        except OSError as e:
            raise LogOpenError(self.path, e) from None

    def write(self, line: bytes, level: int = 0) -> None:
        """
        Write at once; what a full disk refuses is dropped silently.
        """
        # There is no better place to complain than this one.
        with suppress(OSError):
            self.append(line)

    def append(self, data: bytes) -> None:
        """
        Write at once.  After a full disk nothing is tried until a second has passed.

        @raise OSError: the write failed.
        """
        if self._fullUntil:
            if time.monotonic() < self._fullUntil:
                return
            self._fullUntil = 0.0
        try:
            os.write(self.fd, data)
        except OSError as e:
            if e.errno == errnos.ENOSPC:
                self._fullUntil = time.monotonic() + 1.0
            raise

    def reopen(self) -> None:
        """
        Open the path anew, then let go of the old file.

        @raise LogOpenError: the new file cannot be opened; the old one stays in use.
        """
        if self.path is None or self.fd < 0:
            return
        fresh = self._open()
        os.close(self.fd)
        self.fd = fresh

    def close(self) -> None:
        """
        Close the file, if it is one.
        """
        if self.path is not None and self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Console:
    """
    The standard error stream while a process starts: what is C{warn} or worse is said
    there too.

    @ivar active: C{False} once the start is over.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self.active = True

    def say(self, level: int, text: str) -> None:
        """
        Print C{nginx: [LEVEL] TEXT}, if it is serious enough.
        """
        if self.active and level <= LEVELS["warn"]:
            name = list(LEVELS)[level - 1]
            self._write(f"nginx: [{name}] {text}\n")


class TimeStamp:
    """
    C{2026/10/31 23:59:59}, made once a second.
    """

    __slots__ = ("_second", "_text", "_wallClock")

    def __init__(self, wallClock: Callable[[], float] = time.time) -> None:
        self._wallClock = wallClock
        self._second = -1
        self._text = ""

    def now(self) -> str:
        """
        The local time.
        """
        second = int(self._wallClock())
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(second))
        return self._text


def _escape(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"


class ErrorLog:
    """
    The error log of one level of the configuration: one or more targets, each with
    its own least level.

    @ivar level: the most verbose number of its targets; see L{LEVELS}.
    """

    __slots__ = ("_console", "_stamp", "_targets", "level")

    def __init__(
        self,
        targets: Sequence[tuple[ILogTarget, int]],
        stamp: TimeStamp | None = None,
        console: Console | None = None,
    ) -> None:
        self._targets = tuple(targets)
        self._stamp = stamp or TimeStamp()
        self._console = console
        self.level = max((level for _, level in targets), default=0)

    def enabled(self, level: str) -> bool:
        """
        Would a message of this level be written?
        """
        return LEVELS[level] <= self.level

    def write(
        self,
        level: str,
        message: str,
        errno: int = 0,
        connection: int = 0,
        suffix: str = "",
    ) -> None:
        """
        Write one line; nothing if the level is not wanted.

        @param errno: number of a system error, its text is appended.
        @param connection: number of the connection, 0 outside of any.
        @param suffix: what the message is about, C{ while connecting to upstream,
            client: 127.0.0.1}; with its leading space or comma.
        @note: nginx: ngx_log_error_core()
        """
        number = LEVELS[level]
        console = self._console
        if number > self.level and (console is None or not console.active):
            return
        start = (
            f"{self._stamp.now()} [{level}] {os.getpid()}#{get_native_id()}: "
            f"{f'*{connection} ' if connection else ''}"
        )
        errorText = f" ({errno}: {os.strerror(errno)})" if errno else ""
        room = MAX_LINE - 50 - len(start)
        if errno and len(message) > room:
            message = message[:room] + "..."
        text = f"{message}{errorText}{suffix}"
        if not text.isprintable():
            text = _CONTROL.sub(_escape, text)
        line = f"{start}{text}".encode("utf-8", "surrogateescape")[: MAX_LINE - 1]
        line += b"\n"
        said = False
        for target, least in self._targets:
            if number <= least:
                target.write(line, number)
                said = said or (isinstance(target, LogFile) and target.fd == 2)
        if console is not None and not said:
            console.say(number, text)


class AccessLogFile:
    """
    The file of one or more C{access_log} directives.

    @ivar path: absolute.
    @ivar bufferSize: bytes; 0 writes each line at once.
    @ivar flush: seconds a line may wait in the buffer; C{None} is for ever.
    @ivar gzipLevel: 1-9 compresses each flush into one gzip member; 0 does not.
    """

    __slots__ = (
        "_clock",
        "_complain",
        "_complained",
        "_file",
        "_pending",
        "_size",
        "_timer",
        "bufferSize",
        "flush",
        "gzipLevel",
        "path",
        "write",
    )

    write: Callable[[bytes], None]

    def __init__(
        self,
        file: LogFile,
        clock: IReactorTime,
        complain: Callable[[str, str, int], object],
        bufferSize: int = 0,
        flush: float | None = None,
        gzipLevel: int = 0,
    ) -> None:
        self.path = file.path or ""
        self.bufferSize = bufferSize
        self.flush = flush
        self.gzipLevel = gzipLevel
        self._file = file
        self._clock = clock
        self._complain = complain
        self._complained = -60.0
        self._pending: list[bytes] = []
        self._size = 0
        self._timer: IDelayedCall | None = None
        # Chosen once: C{write(line)} takes one line with its line feed.
        self.write = self._hold if bufferSize else self._put

    def buffer(self, size: int, flush: float | None, gzipLevel: int) -> None:
        """
        Hold lines from now on.

        @param size: bytes.
        @param flush: seconds.
        """
        self.bufferSize = size
        self.flush = flush
        self.gzipLevel = gzipLevel
        self.write = self._hold

    def _hold(self, line: bytes) -> None:
        size = len(line)
        if self._size + size > self.bufferSize:
            self.flushNow()
            if size > self.bufferSize:
                self._put(self._packed(line))
                return
        if not self._pending and self.flush is not None:
            self._timer = self._clock.callLater(self.flush, self._timeToFlush)
        self._pending.append(line)
        self._size += size

    def _timeToFlush(self) -> None:
        self._timer = None
        self.flushNow()

    def _packed(self, data: bytes) -> bytes:
        if not self.gzipLevel:
            return data
        # One complete member per flush: zcat can read the file at any time.
        packer = zlib.compressobj(self.gzipLevel, zlib.DEFLATED, 31)
        return packer.compress(data) + packer.flush()

    def _put(self, data: bytes) -> None:
        try:
            self._file.append(data)
        except OSError as e:
            now = self._clock.seconds()
            if now - self._complained >= 60.0:
                self._complained = now
                self._complain(
                    "alert", f'write() to "{self.path}" failed', e.errno or 0
                )

    def flushNow(self) -> None:
        """
        Write what the buffer holds.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending:
            data = b"".join(self._pending)
            self._pending.clear()
            self._size = 0
            self._put(self._packed(data))


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
