"""
The files that logs are written into.

nginx: C{ngx_conf_open_file()}, C{ngx_reopen_files()}, C{ngx_http_log_write()},
C{ngx_http_log_flush()}
"""

from __future__ import annotations

import errno as errnos
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from zope.interface import implementer

from ..interfaces import ILogTarget

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime


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
