"""
A response that waits in a temporary file because its client is slower than its server.

nginx: C{ngx_event_pipe_write_chain_to_temp_file()}
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from io import FileIO
from itertools import count
from typing import IO

#: How much is handed to the client's transport at a time.
_PORTION = 1024 * 1024


_numbers = count(1)


def openTempFile(directory: str | None) -> FileIO:
    """
    A new file in C{directory}, named by a number of ten digits as nginx's are.

    @raise OSError: it cannot be made.
    """
    while True:
        path = os.path.join(directory or tempfile.gettempdir(), f"{next(_numbers):010}")
        try:
            return open(path, "x+b", buffering=0)
        except FileExistsError:
            # Another process's, or left by one that was killed.
            continue


class Spool:
    """
    Bytes that are written at one end and handed on from the other.

    @ivar waiting: bytes written that were not handed on yet.
    """

    __slots__ = ("_file", "_fd", "_limit", "_readAt", "_sendRegion", "_writeAt")

    def __init__(
        self,
        open: Callable[[], IO[bytes]],
        limit: int,
        sendRegion: Callable[[int, int, int], None],
    ) -> None:
        """
        @param open: makes an unlinked temporary file.
        @param limit: how many bytes may wait.
        @param sendRegion: takes file descriptor, offset and count of bytes to send.
        """
        self._file = open()
        self._fd = self._file.fileno()
        self._limit = limit
        self._sendRegion = sendRegion
        self._readAt = 0
        self._writeAt = 0

    @property
    def waiting(self) -> int:
        """
        Bytes written that were not handed on yet.
        """
        return self._writeAt - self._readAt

    def write(self, data: bytes) -> bool:
        """
        Keep C{data}.

        @return: is there room for more?
        @raise OSError: the file cannot be written.
        """
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, self._writeAt)
            self._writeAt += written
            view = view[written:]
        return self._writeAt - self._readAt < self._limit

    def sendNext(self) -> bool:
        """
        Hand on the next portion.

        @return: was there any?
        """
        count = min(self._writeAt - self._readAt, _PORTION)
        if not count:
            return False
        offset, self._readAt = self._readAt, self._readAt + count
        self._sendRegion(self._fd, offset, count)
        return True

    def rewind(self) -> None:
        """
        Use the file from its beginning again: everything was handed on and sent.
        """
        self._readAt = self._writeAt = 0

    def close(self) -> None:
        """
        Give the file back to the system.
        """
        self._file.close()
