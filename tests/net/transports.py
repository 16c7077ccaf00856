"""
What the tests of transports share: pairs of sockets, and a protocol that remembers.
"""

from __future__ import annotations

import socket

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twisted_upstream.net.transport import SocketTransport

from .reactors import RecordingReactor


@implementer(IHalfCloseableProtocol)
class Recorder(Protocol):
    """
    A protocol of ours: remembers what it is told.
    """

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.events: list[str] = []
        self.reason: BaseException | None = None

    @property
    def data(self) -> bytes:
        """
        All received.
        """
        return b"".join(self.received)

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)

    def readConnectionLost(self) -> None:
        """
        End of input.
        """
        self.events.append("read")

    def writeConnectionLost(self) -> None:
        """
        End of output.
        """
        self.events.append("write")

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.events.append("lost")
        self.reason = reason.value


class Stranger(Protocol):
    """
    A protocol that knows nothing of half-closed connections.
    """

    reason: BaseException | None = None

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        self.reason = reason.value


def drain(sock: socket.socket) -> bytes:
    """
    All that can be read now, before an end of whatever kind.
    """
    sock.setblocking(False)
    pieces = []
    while True:
        try:
            piece = sock.recv(1 << 20)
        except (BlockingIOError, ConnectionResetError):
            break
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces)


def tcpPair() -> tuple[socket.socket, socket.socket]:
    """
    Two connected TCP sockets over loopback.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    one.setblocking(False)
    return one, other


class TransportCase(SynchronousTestCase):
    """
    A transport at one end of a pair of sockets, the test at the other.
    """

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """
        Two connected sockets.
        """
        return socket.socketpair()

    def setUp(self) -> None:
        self.reactor = RecordingReactor()
        self.protocol = Recorder()
        ours, self.peer = self.pair()
        ours.setblocking(False)
        self.addCleanup(self.peer.close)
        self.addCleanup(ours.close)
        self.transport = SocketTransport(ours, self.reactor, self.protocol)
        self.protocol.makeConnection(self.transport)
        self.transport.resumeProducing()

    def fill(self) -> bytes:
        """
        Write until something is pending.

        @return: all that was written.
        """
        piece = bytes(range(256)) * 64
        written = 0
        while not self.transport.pending:
            self.transport.write(piece)
            written += 1
        return piece * written

    def flush(self) -> bytes:
        """
        Let the peer read and the reactor write until nothing is pending.

        @return: what the peer has read.
        """
        got = [drain(self.peer)]
        while self.transport in self.reactor.writers:
            self.transport.doWrite()
            got.append(drain(self.peer))
        return b"".join(got)
