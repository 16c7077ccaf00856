"""
Connections without sockets: what the real transports take for the kernel, on a clock.

L{MemorySocket} stands where the kernel is.  Everything above it,
L{SocketTransport<twisted_upstream.net.transport.SocketTransport>} included, is what
runs in production, so pausing, draining and closing behave as there.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import task
from twisted.internet.interfaces import IReactorFDSet
from zope.interface import implementer

from ..net.sockaddr import Sockaddr

#: Turns of the reactor at one moment after which a test is told that it spins.
_MOST_TURNS = 20000
#: Moments of one second after which a test is told that time stands still.
_MOST_EVENTS = 1000000


class MemorySocket:
    """
    One connection as the kernel shows it to the transport, and as the other side sees
    it.

    @ivar incoming: what the other side has sent and nobody has read.
    @ivar outgoing: what was sent to the other side.
    @ivar room: how many more bytes the other side takes; C{None}: all.
    @ivar finished: did we end our output?
    @ivar closed: is our descriptor closed?
    @ivar wasReset: did we close it by a reset?
    @ivar watcher: told, in a turn of its own, that something was sent, or that output
        has ended.
    """

    def __init__(self, reactor: MemoryReactor, peer: Sockaddr, host: Sockaddr) -> None:
        self._reactor = reactor
        self._peer = peer
        self._host = host
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.room: int | None = None
        self.finished = False
        self.closed = False
        self.wasReset = False
        self.watcher: Callable[[], None] | None = None
        self._isTelling = False
        self._ended = False
        self._gone = False
        self._error = 0

    # ---- the other side -------------------------------------------------------------

    def deliver(self, data: bytes) -> None:
        """
        The other side sends C{data}.
        """
        if not self.closed and not self._gone:
            self.incoming += data

    def end(self) -> None:
        """
        The other side ends its output.
        """
        self._ended = True

    def hangUp(self) -> None:
        """
        The other side closes: its output ends, and what we send makes it answer with a
        reset.
        """
        self._ended = self._gone = True

    def reset(self) -> None:
        """
        The other side resets the connection.
        """
        self.incoming.clear()
        self._error = errno.ECONNRESET
        self._gone = True

    def _tell(self) -> None:
        if self.watcher is not None and not self._isTelling:
            self._isTelling = True
            self._reactor.callLater(0, self._told)

    def _told(self) -> None:
        self._isTelling = False
        if self.watcher is not None:
            self.watcher()

    # ---- the kernel -----------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """
        Would C{recv} return?
        """
        return bool(self.incoming) or self._ended or bool(self._error)

    @property
    def writable(self) -> bool:
        """
        Would C{send} take anything?
        """
        return self.room is None or self.room > 0 or self._gone

    def recv(self, size: int, flags: int = 0) -> bytes:
        """
        Part of L{socket.socket}, as all that follow.
        """
        if self._error:
            number, self._error = self._error, 0
            self._ended = True
            raise OSError(number, os.strerror(number))
        if not self.incoming:
            if self._ended:
                return b""
            raise BlockingIOError(errno.EAGAIN, "would block")
        data = bytes(self.incoming[:size])
        if not flags & socket.MSG_PEEK:
            del self.incoming[:size]
        return data

    def send(self, data: Any) -> int:
        if self.finished:
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
        if self._gone:
            self._error = errno.ECONNRESET
            return len(data)
        size = len(data)
        if self.room is not None:
            size = min(size, self.room)
            if not size:
                raise BlockingIOError(errno.EAGAIN, "would block")
            self.room -= size
        self.outgoing += bytes(data[:size])
        self._tell()
        return size

    def sendmsg(self, buffers: Iterable[Any]) -> int:
        return self.send(b"".join(bytes(each) for each in buffers))

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        if name == socket.SO_LINGER:
            self.wasReset = True

    def getsockopt(self, level: int, name: int) -> int:
        if name == socket.SO_ERROR:
            number, self._error = self._error, 0
            return number
        return 0

    def getpeername(self) -> Sockaddr:
        return self._peer

    def getsockname(self) -> Sockaddr:
        return self._host

    def shutdown(self, how: int) -> None:
        self.finished = True
        self._tell()

    def close(self) -> None:
        self.closed = self.finished = True
        self._tell()

    def fileno(self) -> int:
        return -1 if self.closed else self._reactor.notASocket()


@implementer(IReactorFDSet)
class MemoryReactor(task.Clock):
    """
    A clock whose turns also serve memory sockets.
    """

    def __init__(self) -> None:
        super().__init__()
        # In order, so that tests do not depend on chance.
        self._readers: dict[Any, MemorySocket] = {}
        self._writers: dict[Any, MemorySocket] = {}
        self._descriptor = -1

    def addReader(self, reader: Any) -> None:
        """
        Part of C{IReactorFDSet}, as all that follow.
        """
        self._readers[reader] = reader.getHandle()

    def addWriter(self, writer: Any) -> None:
        self._writers[writer] = writer.getHandle()

    def removeReader(self, reader: Any) -> None:
        self._readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        self._writers.pop(writer, None)

    def removeAll(self) -> list[Any]:
        everybody = self.getReaders() + self.getWriters()
        self._readers.clear()
        self._writers.clear()
        return everybody

    def getReaders(self) -> list[Any]:
        return list(self._readers)

    def getWriters(self) -> list[Any]:
        return list(self._writers)

    def notASocket(self) -> int:
        """
        A descriptor that sendfile(2) refuses, so that files are copied instead.
        """
        if self._descriptor < 0:
            self._descriptor = os.open(os.devnull, os.O_WRONLY | os.O_APPEND)
        return self._descriptor

    def close(self) -> None:
        """
        Give the descriptor back.
        """
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def settle(self) -> None:
        """
        Turn until nothing happens any more at this moment.
        """
        for _ in range(_MOST_TURNS):
            if not self._turn():
                return
        raise AssertionError("the reactor spins")

    def _turn(self) -> bool:
        happened = False
        for writer, kernel in list(self._writers.items()):
            if writer in self._writers and kernel.writable:
                happened = True
                writer.doWrite()
        for reader, kernel in list(self._readers.items()):
            if reader in self._readers and kernel.readable:
                happened = True
                reader.doRead()
        calls = self.calls
        if calls and calls[0].getTime() <= self.seconds():
            happened = True
            self.advance(0)
        return happened

    def passes(self, seconds: float) -> None:
        """
        Let time pass: everything that is due meanwhile happens at its time.
        """
        self.passesUntil(lambda: False, seconds)

    def passesUntil(self, done: Callable[[], bool], seconds: float) -> bool:
        """
        Let time pass until C{done} says so, or for so many seconds.

        @return: what C{done} has said last.
        """
        end = self.seconds() + seconds
        second, turns = 0, 0
        while True:
            self.settle()
            if done():
                return True
            now = self.seconds()
            due = self.calls[0].getTime() if self.calls else end
            if due >= end:
                self.advance(max(0.0, end - now))
                self.settle()
                return done()
            if int(now) == second:
                turns += 1
                if turns > _MOST_EVENTS:
                    raise AssertionError("time stands still")
            else:
                second, turns = int(now), 0
            # Adding the difference to the time could miss it by a rounding error.
            self.rightNow = due
            self.advance(0)
