"""
Bytes that go from one socket to another through a pipe, never into this process.

A L{Pipe} takes the place of both the call that reads (L{Pipe.receive}) and the bytes
that this returns: a transport that is told to read by it delivers the pipe itself, and
another transport sends what the pipe holds, at once or from its queue.  Everything else
about the two (pausing, ends, counters, time-outs) stays as it is with bytes.

No nginx counterpart: nginx copies what it relays.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # no pipes of ours there either

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    Splice = Callable[..., int]

#: So much goes through a pipe at once: the most that Linux lets everybody have.  A
#: quarter costs a fifth more processor time.
PIPE_SIZE = 1024 * 1024
#: Smaller ones are not better than copying.
_LEAST_SIZE = PIPE_SIZE // 4
#: Pipes of one process.  All users' share is 64 such pipes each; then they get small.
_MOST_PIPES = 48
#: Pipes that nobody uses, kept for the next.
_MOST_SPARE = 8

# Linux's numbers; PyPy does not have them all.
_SET_SIZE = 1031
_MOVE_NONBLOCK = 3


def _throughCFFI() -> Splice | None:
    """
    C{os.splice} for PyPy, which has none, but cffi built in.
    """
    if sys.implementation.name != "pypy" or sys.platform != "linux":
        return None
    ffi = import_module("cffi").FFI()
    ffi.cdef("ssize_t splice(int, void *, int, void *, size_t, unsigned int);")
    call = ffi.dlopen(None).splice
    null = ffi.NULL

    def splice(source: int, sink: int, count: int, flags: int) -> int:
        moved: int = call(source, null, sink, null, count, flags)
        if moved < 0:
            number = ffi.errno
            raise OSError(number, os.strerror(number))
        return moved

    return splice


_splice: Splice | None = getattr(os, "splice", None) or _throughCFFI()


def available() -> bool:
    """
    Can there be pipes at all?
    """
    return _splice is not None


class Pipe:
    """
    What one socket has sent and another has not taken yet.

    Its length is what it holds.  It belongs to all who hold it: whoever took it from
    L{Pipes}, and the queue that it waits in; when all have let go, it may be used again
    if it is empty, and is closed otherwise.
    """

    __slots__ = ("_end", "_fd", "_held", "_holders", "_pipes", "_source")

    def __init__(self, pipes: Pipes, fd: int, end: int) -> None:
        """
        @param fd: where it is read.
        @param end: where it is written.
        """
        self._pipes = pipes
        self._fd = fd
        self._end = end
        self._held = 0
        self._holders = 0
        self._source: socket.socket | None = None

    def __len__(self) -> int:
        return self._held

    def receiveFrom(self, source: socket.socket) -> None:
        """
        Let L{receive} read C{source}.
        """
        self._source = source

    def receive(self, size: int) -> Pipe:
        """
        Stands for C{recv} of the socket.

        @return: itself, empty at the end of the input.
        @raise OSError: as C{recv}.
        """
        source = self._source
        assert source is not None and _splice is not None
        self._held = _splice(source.fileno(), self._end, size, flags=_MOVE_NONBLOCK)
        return self

    def sendTo(self, sink: socket.socket) -> int:
        """
        Let C{sink} take what it has room for.

        @return: how many bytes that was.
        @raise OSError: as C{send}.
        """
        assert _splice is not None
        sent = _splice(self._fd, sink.fileno(), self._held, flags=_MOVE_NONBLOCK)
        self._held -= sent
        return sent

    def hold(self) -> None:
        """
        One more needs it.
        """
        self._holders += 1

    def release(self) -> None:
        """
        One needs it no more.
        """
        self._holders -= 1
        if not self._holders:
            self._source = None
            self._pipes._back(self)

    def _close(self) -> None:
        os.close(self._fd)
        os.close(self._end)


class Pipes:
    """
    The pipes of one process, a limited number.

    @ivar open: how many are open, used or not.
    """

    def __init__(self, most: int = _MOST_PIPES, spare: int = _MOST_SPARE) -> None:
        """
        @param most: how many may be open.
        @param spare: how many unused ones are kept.
        """
        self._most = most
        self._mostSpare = spare
        self._spare: list[Pipe] = []
        self.open = 0

    def take(self) -> Pipe | None:
        """
        An empty pipe, held once; C{None} if there is none to be had now.
        """
        if self._spare:
            pipe = self._spare.pop()
        elif _splice is None or self.open >= self._most:
            return None
        else:
            made = self._make()
            if made is None:
                return None
            pipe = made
        pipe.hold()
        return pipe

    def _make(self) -> Pipe | None:
        try:
            fd, end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None  # descriptors are better spent on connections
        try:
            size = fcntl.fcntl(end, _SET_SIZE, PIPE_SIZE)
        except OSError:
            size = 0  # this user has enough of them
        if size < _LEAST_SIZE:
            os.close(fd)
            os.close(end)
            return None
        self.open += 1
        return Pipe(self, fd, end)

    def _back(self, pipe: Pipe) -> None:
        """
        Nobody holds C{pipe} any more.
        """
        if not pipe and len(self._spare) < self._mostSpare:
            self._spare.append(pipe)
            return
        self.open -= 1
        pipe._close()

    def close(self) -> None:
        """
        Close those that nobody uses.
        """
        while self._spare:
            self.open -= 1
            self._spare.pop()._close()


#: This process's.
PIPES = Pipes()
