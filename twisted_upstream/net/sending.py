"""
The sending half of a connected socket: writes at once or with the others of the
reactor's round, keeps what the kernel does not take, paces who produces.

An error found by C{write} is kept until the reactor calls: nothing of the protocol's
runs inside a call of the protocol's.

nginx: os/unix/ngx_send.c, os/unix/ngx_writev_chain.c
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol, cast

from twisted.internet.interfaces import IPullProducer, IPushProducer

from .connected import ConnectedSocket
from .round import MOST, ROUND
from .sendqueue import BUSY, MOST_BUFFERS, FileRegion, SendQueue, TransportFailed

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProducer

    from .sockaddr import Sockaddr
    from .splice import Pipe
    from .transport import Reactor

#: Unsent bytes from which on a registered push producer is paused.
HIGH_WATER = 64 * 1024

_INET = (socket.AF_INET, socket.AF_INET6)
# Most bytes that wait for the end of a round: more fills segments anyway.
_SMALL = 16 * 1024


class EncryptingSocket(Protocol):
    """
    What is asked of a socket that encrypts, besides what a socket does.

    @ivar silent: close without a word.
    @ivar truncated: the other side has ended without saying so.
    """

    silent: bool
    truncated: bool

    def sayEnd(self) -> None:
        """
        Say that no more comes, once: nothing may be sent after that.
        """


class SendingSocket(ConnectedSocket):
    """
    A connected stream socket as far as its output goes.

    @ivar pending: bytes written that the kernel has not taken, files included; what
        leaves with the others of this round counts as taken.
    @ivar drained: called without arguments when C{pending} has fallen to 0 later than
        in the call that wrote; may be replaced at any time.
    @ivar bytesSent: bytes that the kernel has taken, likewise.
    @ivar highWater: C{pending} from which on a registered push producer is paused.
    @ivar tls: the socket, where it is one that encrypts; else C{None}.
    """

    __slots__ = (
        "_closing",
        "_error",
        "_open",
        "_producer",
        "_producerPaused",
        "_queue",
        "_reactor",
        "_send",
        "_streaming",
        "_together",
        "_watchedWrite",
        "_writable",
        "_writeEnding",
        "bytesSent",
        "drained",
        "highWater",
        "pending",
        "tls",
    )

    def __init__(
        self, sock: socket.socket, reactor: Reactor, peerName: Sockaddr | None
    ) -> None:
        ConnectedSocket.__init__(self, sock, peerName)
        self.tls: EncryptingSocket | None = None
        self._send = sock.send
        self._reactor = reactor
        self._queue: SendQueue | None = None
        self.pending = 0
        self.drained: Callable[[], None] | None = None
        self.bytesSent = 0
        self.highWater = HIGH_WATER
        # Not closed, as far as our caller may know.
        self._open = True
        # Open, nothing waits and nothing has ended: a write goes out at once.
        self._writable = True
        # Leaves at the end of the round.
        self._together: bytes | None = None
        # What the reactor was told.
        self._watchedWrite = False
        # To be closed, or the write side to be ended, when all is sent.
        self._closing = False
        self._writeEnding = False
        # A failed write's, told when the reactor calls.
        self._error: TransportFailed | None = None
        self._producer: IPushProducer | IPullProducer | None = None
        self._streaming = False
        self._producerPaused = False

    def write(self, data: bytes) -> None:
        """
        Send C{data} now, or as soon as the other side takes it.  Ignored after closing.

        @param data: must not change any more, should it be a view of something.
        """
        if not self._writable:
            self._writeLater(data)
            return
        waiting = ROUND.waiting
        size = len(data)
        if waiting is None or size > _SMALL:
            self._writeNow(data)
            return
        self._together = data
        self._writable = False
        self.bytesSent += size
        waiting.append(self)
        if len(waiting) >= MOST:
            ROUND.flush()

    def _writeNow(self, data: bytes) -> None:
        """
        C{write} when nothing waits and nothing has ended.
        """
        try:
            sent = self._send(data)
        except OSError as error:
            if error.errno not in BUSY:
                self._writeFailed(TransportFailed.of(error, "send"))
                return
            sent = 0
        self.bytesSent += sent
        if sent != len(data):
            self._keep(memoryview(data)[sent:])

    def sendTogether(self) -> None:
        """
        Send what was kept for the end of the round, if nothing has sent it already.
        """
        data, self._together = self._together, None
        if data is None:
            return
        self._writable = True
        size = len(data)
        try:
            sent = self._send(data)
        except OSError as error:
            self.bytesSent -= size
            if error.errno not in BUSY:
                self._writeFailed(TransportFailed.of(error, "send"))
            else:
                self._keep(data)
            return
        if sent != size:
            self.bytesSent += sent - size
            self._keep(memoryview(data)[sent:])

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        The same for several buffers with one system call.
        """
        self.sendTogether()
        buffers = list(iovec)
        if not self._writable or len(buffers) > MOST_BUFFERS:
            self.write(b"".join(buffers))
            return
        try:
            sent = self._socket.sendmsg(buffers)
        except OSError as error:
            if error.errno not in BUSY:
                self._writeFailed(TransportFailed.of(error, "send"))
                return
            sent = 0
        self.bytesSent += sent
        for data in buffers:
            size = len(data)
            if sent >= size:
                sent -= size
            else:
                self._keep(memoryview(data)[sent:])
                sent = 0

    def sendFile(self, fd: int, offset: int, count: int) -> None:
        """
        Send a part of a file, in order with what is written.

        @param fd: remains the caller's, and must stay open until C{pending} is 0 or the
            connection is lost.
        """
        self.sendTogether()
        if not self._writable:
            if count and self._accepts():
                self._keep(FileRegion(fd, offset, count))
            return
        queue = self._newQueue()
        queue.add(FileRegion(fd, offset, count))
        try:
            self.bytesSent += queue.send()
        except TransportFailed as error:
            self._writeFailed(error)
            return
        if queue.size:
            self._queue = queue
            self._kept()

    def sendPipe(self, pipe: Pipe) -> None:
        """
        Send what C{pipe} holds, in order with what is written.
        """
        self.sendTogether()
        if not self._writable:
            if self._accepts():
                self._keep(pipe)
            return
        try:
            sent = pipe.sendTo(self._socket)
        except OSError as error:
            if error.errno not in BUSY:
                self._writeFailed(TransportFailed(error.errno or 0, "send"))
                return
            sent = 0
        self.bytesSent += sent
        if pipe:
            self._keep(pipe)

    @property
    def joins(self) -> bool:
        """
        Can a L{Pipe} read and write this?
        """
        sock = self._socket
        return isinstance(sock, socket.socket) and sock.family in _INET

    def _accepts(self) -> bool:
        """
        May more be queued?  A producer goes on after C{loseConnection}.
        """
        return (
            self._open
            and not self._writeEnding
            and self._error is None
            and (not self._closing or self._producer is not None)
        )

    def _writeLater(self, data: bytes) -> None:
        """
        C{write} when something waits or has ended.
        """
        together = self._together
        if together is not None:
            if len(together) + len(data) <= _SMALL:
                self._together = b"".join((together, data))
                self.bytesSent += len(data)
                return
            self.sendTogether()
            if self._writable:
                self._writeNow(data)
                return
        if data and self._accepts():
            self._keep(data)

    def _keep(self, rest: bytes | memoryview | FileRegion | Pipe) -> None:
        """
        Keep what the kernel did not take.
        """
        if self._queue is None:
            self._queue = self._newQueue()
        self._queue.add(rest)
        self._kept()

    def _newQueue(self) -> SendQueue:
        return SendQueue(self._socket, copies=self.tls is not None)

    def _kept(self) -> None:
        """
        The queue has grown.
        """
        self.pending = cast("SendQueue", self._queue).size
        self._writable = False
        self._watchWrite()
        if self._streaming and self.pending > self.highWater:
            self._pauseProducer()

    def _writeFailed(self, error: TransportFailed) -> None:
        """
        A write found an error: the reactor will call, and then the protocol is told.
        """
        self._error = error
        self._writable = False
        self._dropQueue()
        self._watchWrite()

    def _dropQueue(self) -> None:
        """
        What waits is never sent.
        """
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.drop()
        self.pending = 0

    def _watchWrite(self) -> None:
        if not self._watchedWrite:
            self._watchedWrite = True
            self._reactor.addWriter(self)

    def _unwatchWrite(self) -> None:
        if self._watchedWrite:
            self._watchedWrite = False
            self._reactor.removeWriter(self)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Let C{producer} write, as fast as the other side takes it.

        @param streaming: a push producer, paused above C{highWater} and resumed when
            all is sent; else a pull producer, resumed each time when all is sent.
        @raise RuntimeError: there is one already.
        """
        if self._producer is not None:
            raise RuntimeError(
                f"Cannot register producer {producer!r}: {self._producer!r} was never"
                " unregistered."
            )
        if not self._open:
            producer.stopProducing()
            return
        self._producer = cast("IPushProducer | IPullProducer", producer)
        self._streaming = streaming
        self._producerPaused = False
        if not streaming:
            self._watchWrite()
            self._producer.resumeProducing()
        elif self.pending > self.highWater:
            self._pauseProducer()

    def unregisterProducer(self) -> None:
        """
        The producer has written everything.
        """
        if self._producer is None:
            return
        self._producer = None
        self._streaming = self._producerPaused = False
        if self._open and self._closing:
            self._watchWrite()

    def _pauseProducer(self) -> None:
        if not self._producerPaused:
            self._producerPaused = True
            cast("IPushProducer", self._producer).pauseProducing()
