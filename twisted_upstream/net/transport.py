"""
A connected socket: it reads, sends as L{twisted_upstream.net.sending} does, ends, and
counts its bytes.

Twisted's own transport writes when the reactor has found the socket writable; here
that is asked for only when the kernel does not take a write.  In exchange an error of a
write is told later: C{connectionLost} never runs inside a call of the protocol's, nor
does anything else of the protocol's.

nginx: os/unix/ngx_recv.c, event/ngx_event.c
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IPushProducer,
    IReadWriteDescriptor,
    ISystemHandle,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from .ending import DONE, EndingSocket
from .sendqueue import TransportFailed

if TYPE_CHECKING:
    from typing import Protocol

    from twisted.internet.interfaces import IDelayedCall, IProtocol

    from .sending import EncryptingSocket
    from .sockaddr import Sockaddr
    from .splice import Pipe

    class Reactor(Protocol):
        """
        What is needed of a reactor: the half of C{IReactorFDSet} and C{IReactorTime}.
        """

        def addReader(self, reader: Any, /) -> None: ...
        def addWriter(self, writer: Any, /) -> None: ...
        def removeReader(self, reader: Any, /) -> None: ...
        def removeWriter(self, writer: Any, /) -> None: ...
        def callLater(
            self, delay: float, callable: Callable[..., Any], /, *args: Any
        ) -> IDelayedCall: ...
        def seconds(self) -> float: ...


READ_SIZE = 16 * 1024
MOST_READ_SIZE = 256 * 1024


@implementer(
    ITCPTransport,
    IReadWriteDescriptor,
    IHalfCloseableDescriptor,
    IPushProducer,
    IConsumer,
    ISystemHandle,
)
class SocketTransport(EndingSocket):
    """
    A connected stream socket.  It does not read before L{resumeProducing}.

    The protocol's C{dataReceived} is looked up for each packet: a protocol changes its
    state by assigning that name.  After a half-closeable protocol was told
    C{readConnectionLost}, it can still write; when both directions have ended the
    connection closes by itself.  A stranger's end of input is C{connectionLost}.

    Pausing is an assignment, and the reactor learns of it with the first event that
    comes nevertheless.  If that event is the end of the connection and nothing is left
    to read, the protocol is told although it is paused; data is not delivered.

    @ivar bytesReceived: bytes read.
    @ivar connectionNumber: C{$connection}; for the owner to set.
    """

    __slots__ = (
        "_leastRead",
        "_mostRead",
        "_readSize",
        "_recv",
        "bytesReceived",
        "connectionNumber",
    )

    def __init__(
        self,
        sock: socket.socket,
        reactor: Reactor,
        protocol: IProtocol | None = None,
        peerName: Sockaddr | None = None,
    ) -> None:
        """
        @param sock: connected and non-blocking.
        @param protocol: may be set later, before L{resumeProducing}.
        @param peerName: the other side's address where it is known already.
        """
        EndingSocket.__init__(self, sock, reactor, peerName)
        self._recv = sock.recv
        self.bytesReceived = 0
        self.connectionNumber = 0
        self._readSize = self._leastRead = READ_SIZE
        self._mostRead = MOST_READ_SIZE
        if protocol is not None:
            self.protocol = protocol

    @classmethod
    def overTLS(
        cls,
        tls: EncryptingSocket,
        reactor: Reactor,
        protocol: IProtocol | None = None,
        peerName: Sockaddr | None = None,
    ) -> SocketTransport:
        """
        The transport of a socket that encrypts.  It is no other class: CPython runs
        code faster that meets objects of one class only.
        """
        transport = cls(cast("socket.socket", tls), reactor, protocol, peerName)
        transport.tls = tls
        return transport

    @property
    def truncated(self) -> bool:
        """
        Did the other side end without saying so?  Only TLS can tell.
        """
        return self.tls is not None and self.tls.truncated

    def takePlace(self, reactor: Any) -> None:
        """
        Read instead of who has the socket no more.

        @param reactor: ours, that can do that.
        """
        reactor.replaceReader(self.fileno(), self)
        self._watchedRead = True

    def doRead(self) -> None:
        """
        Read once and deliver.  Called by the reactor; may be called after accepting,
        where data is often there already.
        """
        if not self._reading:
            self._readWhilePaused()
            return
        readSize = self._readSize
        try:
            data = self._recv(readSize)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(TransportFailed.of(error, "recv"))
            return
        if not data:
            self._endOfInput()
            return
        size = len(data)
        self.bytesReceived += size
        try:
            self._protocol.dataReceived(data)  # type: ignore[union-attr]  # set before
        except Exception:
            self._crashed()
            return
        if size == readSize:
            self._readSize = min(readSize * 2, self._mostRead)
        elif readSize != self._leastRead and size * 4 < readSize:
            self._readSize = max(readSize // 2, self._leastRead)

    def setReadSize(self, least: int, most: int | None = None) -> None:
        """
        Read at least so many bytes at once, more when there is more.

        @param most: C{None}: always exactly C{least}.
        """
        self._readSize = self._leastRead = least
        self._mostRead = least if most is None else max(least, most)

    def receiveInto(self, pipe: Pipe | None) -> None:
        """
        Read into C{pipe}: it is what the protocol is given for each packet, and must be
        empty before the next.  C{None}: read bytes again.
        """
        if pipe is None:
            self._recv = self._socket.recv
        else:
            pipe.receiveFrom(self._socket)
            self._recv = pipe.receive  # type: ignore[assignment]  # stands for bytes

    def _readWhilePaused(self) -> None:
        """
        An event although nobody reads: is it the end?  Data must wait.
        """
        if not self._open or self._readEnded:
            return
        try:
            ended = not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(TransportFailed.of(error, "recv"))
            return
        if ended and not self._closing:
            self._endOfInput()
        else:
            self._unwatchRead()

    def _endOfInput(self) -> None:
        """
        The other side has ended its output.
        """
        if self._error is not None:
            # The kernel reports an error once; then it looks like a clean end.
            self._fail(self._error)
            return
        if not self._halfCloses:
            self._lose(DONE)
            return
        self._reading = False
        self._readEnded = True
        self._unwatchRead()
        try:
            cast("IHalfCloseableProtocol", self._protocol).readConnectionLost()
        except Exception:
            self._crashed()
            return
        self._closeIfBothEnded()

    def doWrite(self) -> None:
        """
        Send what waits.  Called by the reactor.
        """
        if not self._open:
            return
        self.sendTogether()
        queue = self._queue
        if queue is not None:
            try:
                self.bytesSent += queue.send()
            except TransportFailed as error:
                self._writeFailed(error)
            else:
                self.pending = queue.size
                if self.pending:
                    return
                self._queue = None
        if self._error is not None:
            self._readTheRest(self._error)
        else:
            self._sentAll(queue is not None)

    def _sentAll(self, waited: bool) -> None:
        """
        Nothing waits any more: do what was waiting for that.

        @param waited: did anything wait?
        """
        producer = self._producer
        if self._closing and producer is None:
            self._lose(DONE)
            return
        if producer is None or self._streaming:
            self._unwatchWrite()
        self._writable = not (self._closing or self._writeEnding)
        if producer is not None and (not self._streaming or self._producerPaused):
            self._producerPaused = False
            self._tell(producer.resumeProducing)
        elif self._writeEnding:
            self._endOutput()
        if waited and self._open and self.drained is not None and not self.pending:
            self._tell(self.drained)

    def _readTheRest(self, error: TransportFailed) -> None:
        """
        Writing has failed.  What the other side said before that, for example why it
        does not want more, may still be in the kernel: deliver it, then tell.
        """
        while self._reading and self._open:
            before = self.bytesReceived
            self.doRead()
            if self.bytesReceived == before:
                break
        self._fail(error)

    def fileno(self) -> int:
        """
        The socket's descriptor, -1 once it is closed.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        Called by the reactor for each event.
        """
        return "net"

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor found that the connection is gone, or is going to stop.
        """
        self._watchedRead = self._watchedWrite = False
        if not self._open:
            return
        if self._error is not None:
            reason = Failure(self._error)
        elif isinstance(reason.value, ConnectionLost):
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                syscall = "send" if self.pending else "recv"
                reason = Failure(TransportFailed(number, syscall))
        self._lose(reason)

    def readConnectionLost(self, reason: Failure) -> None:
        """
        The reactor saw an end without data while we read: find out by reading.

        It has removed us as a reader, and does not say whether it was an error.
        """
        self._watchedRead = False
        if not self._open:
            return
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._fail(TransportFailed(number, "recv"))
            return
        self.doRead()
        if self._open and self._reading:
            self._watchRead()

    def writeConnectionLost(self, reason: Failure) -> None:
        """
        Part of C{IHalfCloseableDescriptor}; reactors do not call it.
        """
        self.connectionLost(reason)

    def pauseProducing(self) -> None:
        """
        Deliver no more data.  Once paused, pausing again does nothing.
        """
        self._reading = False

    def resumeProducing(self) -> None:
        """
        Deliver data, for the first time or again.
        """
        if self._open and not self._readEnded and not self._closing:
            self._reading = True
            self._watchRead()
