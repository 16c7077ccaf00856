"""
What the kernel has not taken yet: buffers, parts of files and pipes, in order.

nginx: os/unix/ngx_writev_chain.c, os/unix/ngx_linux_sendfile_chain.c
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

from twisted.internet.error import ConnectionLost

from .splice import Pipe

if TYPE_CHECKING:
    import socket

# sendmsg() takes at most IOV_MAX buffers, 1024 on Linux; many small ones are rare.
MOST_BUFFERS = 64
# One event must not keep the others waiting: so many system calls, then the next.
_MOST_TURNS = 16
# As nginx's sendfile_max_chunk.
_FILE_CHUNK = 2 * 1024 * 1024
_COPY_CHUNK = 128 * 1024

#: Errors of a write that is to be tried again.
BUSY = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM})
_NO_SENDFILE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSOCK}

# Some systems have none.
_sendfile: Callable[[int, int, int, int], int] | None = getattr(os, "sendfile", None)


class TransportFailed(ConnectionLost):
    """
    A connection ended by an error.

    @ivar errno: of the system call; 0 for a file that was shorter than promised.
    @ivar syscall: C{"recv"}, C{"send"}, C{"sendfile"} or C{"pread"}: its text is as
        nginx's, C{recv() failed (104: Connection reset by peer)}.
    """

    def __init__(self, number: int, syscall: str) -> None:
        super().__init__(number, syscall)
        self.errno = number
        self.syscall = syscall

    @classmethod
    def of(cls, error: OSError, syscall: str) -> TransportFailed:
        """
        What C{error} of a call means; a socket that is more than a socket says so
        itself.
        """
        own: TransportFailed | None = getattr(error, "failure", None)
        return cls(error.errno or 0, syscall) if own is None else own

    def __str__(self) -> str:
        if not self.errno:
            return f"{self.syscall}() reported that the file was truncated"
        return f"{self.syscall}() failed ({self.errno}: {os.strerror(self.errno)})"


class FileRegion:
    """
    Bytes of a file that are still to be sent.

    @ivar fd: a descriptor of somebody else's.
    """

    __slots__ = ("count", "fd", "offset")

    def __init__(self, fd: int, offset: int, count: int) -> None:
        self.fd = fd
        self.offset = offset
        self.count = count

    def __len__(self) -> int:
        return self.count


Item: TypeAlias = bytes | memoryview | FileRegion | Pipe


class SendQueue:
    """
    The queue of one socket; made when something has to wait, gone when it is sent.

    @ivar size: bytes that wait.
    """

    __slots__ = ("_copies", "_items", "_socket", "size")

    def __init__(self, sock: socket.socket, copies: bool = False) -> None:
        """
        @param sock: non-blocking.
        @param copies: files are read and written: the kernel cannot encrypt them.
        """
        self._socket = sock
        self._copies = copies
        self._items: deque[Item] = deque()
        self.size = 0

    def add(self, item: Item) -> None:
        """
        Send C{item} after all others; it must not be empty.
        """
        self._items.append(item)
        self.size += len(item)
        if isinstance(item, Pipe):
            item.hold()

    def drop(self) -> None:
        """
        Send none of it: the connection has ended.
        """
        for item in self._items:
            if isinstance(item, Pipe):
                item.release()
        self._items.clear()
        self.size = 0

    def send(self) -> int:
        """
        Send what the kernel takes.

        @return: how many bytes that was.
        @raise TransportFailed: the connection, or a file, has failed.
        """
        before = self.size
        items = self._items
        for _ in range(_MOST_TURNS):
            if not items:
                break
            first = items[0]
            if isinstance(first, FileRegion):
                if not self._sendRegion(first):
                    break
            elif isinstance(first, Pipe):
                if not self._sendPipe(first):
                    break
            elif not self._sendBuffers():
                break
        return before - self.size

    def _sendBuffers(self) -> bool:
        """
        Send the buffers up to the next file.

        @return: did the kernel take all it was offered?
        """
        items = self._items
        buffers: list[bytes | memoryview] = []
        for item in islice(items, MOST_BUFFERS):
            if isinstance(item, (FileRegion, Pipe)):
                break
            buffers.append(item)
        try:
            if len(buffers) == 1:
                sent = self._socket.send(buffers[0])
            else:
                sent = self._socket.sendmsg(buffers)
        except OSError as error:
            if error.errno in BUSY:
                return False
            raise TransportFailed.of(error, "send") from None
        self.size -= sent
        for data in buffers:
            size = len(data)
            if sent < size:
                items[0] = memoryview(data)[sent:]
                return False
            sent -= size
            items.popleft()
        return True

    def _sendPipe(self, pipe: Pipe) -> bool:
        """
        Send what a pipe holds.

        @return: may there be room for more?
        """
        try:
            self.size -= pipe.sendTo(self._socket)
        except OSError as error:
            if error.errno in BUSY:
                return False
            raise TransportFailed(error.errno or 0, "send") from None
        if not pipe:
            self._items.popleft()
            pipe.release()
        return True

    def _sendRegion(self, region: FileRegion) -> bool:
        """
        Send from a file.

        @return: may there be room for more?
        """
        wanted = min(region.count, _FILE_CHUNK)
        if self._copies or _sendfile is None:
            return self._copyRegion(region)
        try:
            sent = _sendfile(self._socket.fileno(), region.fd, region.offset, wanted)
        except OSError as error:
            if error.errno in BUSY:
                return False
            if error.errno in _NO_SENDFILE:
                return self._copyRegion(region)
            raise TransportFailed(error.errno or 0, "sendfile") from None
        if not sent:
            raise TransportFailed(0, "sendfile")
        return self._regionSent(region, sent) and sent == wanted

    def _copyRegion(self, region: FileRegion) -> bool:
        """
        L{_sendRegion} where there is no sendfile(2) for this file or socket.
        """
        wanted = min(region.count, _COPY_CHUNK)
        try:
            data = os.pread(region.fd, wanted, region.offset)
        except OSError as error:
            raise TransportFailed(error.errno or 0, "pread") from None
        if not data:
            raise TransportFailed(0, "pread")
        try:
            sent = self._socket.send(data)
        except OSError as error:
            if error.errno in BUSY:
                return False
            raise TransportFailed.of(error, "send") from None
        return self._regionSent(region, sent) and sent == len(data)

    def _regionSent(self, region: FileRegion, sent: int) -> bool:
        """
        The kernel took C{sent} bytes of the first item, a file.
        """
        region.offset += sent
        region.count -= sent
        self.size -= sent
        if not region.count:
            self._items.popleft()
        return True
