"""
Tests for L{twisted_upstream.net.transport}, with pairs of sockets whose events the
tests deliver; the last classes are on real reactors.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
import tempfile
from typing import Any, cast

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IPullProducer,
    IPushProducer,
    IReadWriteDescriptor,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.protocols.wire import Echo
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from twisted_upstream.net.sendqueue import TransportFailed
from twisted_upstream.net.transport import (
    HIGH_WATER,
    MOST_READ_SIZE,
    READ_SIZE,
    SocketTransport,
)

from .reactors import OnAsyncio, OnEPoll, OnPoll, RecordingReactor


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


class WriteTests(TransportCase):
    """
    Writing.
    """

    def test_interfaces(self) -> None:
        """
        A transport is what Twisted's protocols and reactors expect.
        """
        for interface in (
            ITCPTransport,
            IReadWriteDescriptor,
            IHalfCloseableDescriptor,
            IPushProducer,
            IConsumer,
        ):
            verifyObject(interface, self.transport)

    def test_atOnce(self) -> None:
        """
        A write is sent before it returns, and the reactor is not troubled.
        """
        before = self.reactor.changes
        self.transport.write(b"hello")
        self.assertEqual(drain(self.peer), b"hello")
        self.assertEqual(self.transport.pending, 0)
        self.assertEqual(self.transport.bytesSent, 5)
        self.assertEqual(self.reactor.changes, before)

    def test_pending(self) -> None:
        """
        What the kernel does not take is counted, kept, and sent in order later.
        """
        written = self.fill()
        self.assertIn(self.transport, self.reactor.writers)
        self.assertEqual(
            self.transport.pending + self.transport.bytesSent, len(written)
        )
        self.transport.write(b"and")
        self.transport.writeSequence([b" ", b"more"])
        self.assertEqual(self.flush(), written + b"and more")
        self.assertEqual(self.transport.pending, 0)
        self.assertEqual(self.transport.bytesSent, len(written) + 8)
        self.assertNotIn(self.transport, self.reactor.writers)

    def test_drained(self) -> None:
        """
        C{drained} is called once all is sent, not for what is sent at once.
        """
        calls: list[int] = []
        self.transport.drained = lambda: calls.append(self.transport.pending)
        self.transport.write(b"hello")
        self.assertEqual(calls, [])
        self.fill()
        self.assertEqual(calls, [])
        self.flush()
        self.assertEqual(calls, [0])

    def test_drainedWritesMore(self) -> None:
        """
        C{drained} can write again.
        """
        written = self.fill()
        rest = [b"1", b"2"]

        def more() -> None:
            if rest:
                self.transport.write(rest.pop(0))
                written2.append(self.fill() if len(rest) == 1 else b"")

        written2: list[bytes] = []
        self.transport.drained = more
        self.assertEqual(self.flush(), written + b"1" + written2[0] + b"2")

    def test_sequence(self) -> None:
        """
        A sequence is sent whole, however it is cut.
        """
        self.transport.writeSequence([b"a", b"", b"bc"])
        self.assertEqual(drain(self.peer), b"abc")
        pieces = [bytes([number % 251]) * 9001 for number in range(60)]
        self.transport.writeSequence(pieces)
        self.assertEqual(self.flush(), b"".join(pieces))
        many = [b"%d," % number for number in range(3000)]
        self.transport.writeSequence(many)
        self.assertEqual(self.flush(), b"".join(many))

    def test_errorIsToldLater(self) -> None:
        """
        A failing write calls nobody back; the reactor's next call does.
        """
        self.transport.pauseProducing()
        self.peer.close()
        self.transport.write(b"a")
        self.transport.write(b"b")
        self.assertEqual(self.protocol.events, [])
        self.assertIn(self.transport, self.reactor.writers)
        self.transport.doWrite()
        self.assertEqual(self.protocol.events, ["lost"])
        reason = self.protocol.reason
        assert isinstance(reason, TransportFailed)
        self.assertEqual((reason.errno, reason.syscall), (errno.EPIPE, "send"))
        self.assertEqual(str(reason), "send() failed (32: Broken pipe)")
        self.assertEqual(self.reactor.getWriters() + self.reactor.getReaders(), [])

    def test_lastWordsAreRead(self) -> None:
        """
        What the peer said before it went is delivered although writing failed.
        """
        self.peer.sendall(b"x" * 3 * READ_SIZE)
        self.peer.close()
        self.transport.write(b"a")
        self.transport.doWrite()
        self.assertEqual(self.protocol.data, b"x" * 3 * READ_SIZE)
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIsInstance(self.protocol.reason, TransportFailed)

    def test_endAfterFailedWrite(self) -> None:
        """
        An end of input after a failed write is an error, not a clean end.
        """
        self.peer.close()
        self.transport.write(b"a")
        self.transport.doRead()
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIsInstance(self.protocol.reason, ConnectionLost)

    def test_afterClose(self) -> None:
        """
        Writing after closing is ignored.
        """
        self.transport.loseConnection()
        self.transport.write(b"a")
        self.transport.writeSequence([b"b"])
        self.transport.sendFile(0, 0, 10)
        self.reactor.turn()
        self.transport.write(b"a")
        self.assertEqual(drain(self.peer), b"")
        self.assertEqual(self.transport.pending, 0)


class FileTests(TransportCase):
    """
    Sending files.
    """

    def setUp(self) -> None:
        super().setUp()
        self.content = bytes(range(250)) * 10000
        self.file = tempfile.TemporaryFile()
        self.addCleanup(self.file.close)
        self.file.write(self.content)
        self.file.flush()

    def test_inOrder(self) -> None:
        """
        A part of a file is sent in order with what is written before and after.
        """
        written = self.fill()
        self.transport.sendFile(self.file.fileno(), 7, 1_000_000)
        self.transport.write(b"after")
        self.transport.sendFile(self.file.fileno(), 0, 3)
        self.assertEqual(
            self.transport.pending + self.transport.bytesSent,
            len(written) + 1_000_008,
        )
        expected = written + self.content[7:1_000_007] + b"after" + self.content[:3]
        self.assertEqual(self.flush(), expected)
        self.assertEqual(self.transport.bytesSent, len(expected))
        self.assertEqual(self.transport.pending, 0)

    def test_atOnce(self) -> None:
        """
        A small part goes at once.
        """
        self.transport.sendFile(self.file.fileno(), 10, 100)
        self.assertEqual(drain(self.peer), self.content[10:110])
        self.assertEqual(self.transport.pending, 0)

    def test_drained(self) -> None:
        """
        C{drained} is called when the file is sent.
        """
        calls: list[int] = []
        self.transport.drained = lambda: calls.append(1)
        self.transport.sendFile(self.file.fileno(), 0, 2_000_000)
        self.assertGreater(self.transport.pending, 0)
        self.assertEqual(self.flush(), self.content[:2_000_000])
        self.assertEqual(calls, [1])

    def test_truncated(self) -> None:
        """
        A file that is shorter than promised ends the connection with an error.
        """
        self.transport.sendFile(self.file.fileno(), 0, len(self.content) + 1)
        self.flush()
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIn("truncated", str(self.protocol.reason))

    def test_withoutSendfile(self) -> None:
        """
        What sendfile(2) refuses, as a file that only can be read, is copied.
        """
        with open("/proc/self/maps", "rb") as special:
            self.transport.sendFile(special.fileno(), 0, 100)
            self.assertEqual(len(self.flush()), 100)


class ReadTests(TransportCase):
    """
    Reading.
    """

    def test_delivers(self) -> None:
        """
        Data is delivered as it comes, to whatever C{dataReceived} is at that time.
        """
        self.peer.send(b"one")
        self.transport.doRead()
        other: list[bytes] = []
        cast(Any, self.protocol).dataReceived = other.append
        self.peer.send(b"two")
        self.transport.doRead()
        self.assertEqual(self.protocol.received, [b"one"])
        self.assertEqual(other, [b"two"])
        self.assertEqual(self.transport.bytesReceived, 6)

    def test_nothingThere(self) -> None:
        """
        An event without data is harmless.
        """
        self.transport.doRead()
        self.transport.doWrite()
        self.transport.readConnectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.protocol.events, [])
        self.assertIn(self.transport, self.reactor.readers)

    def test_anotherProtocol(self) -> None:
        """
        Another protocol can take over.
        """
        other = Recorder()
        self.transport.protocol = other
        self.peer.send(b"one")
        self.transport.doRead()
        self.assertEqual((self.protocol.data, other.data), (b"", b"one"))

    def test_paused(self) -> None:
        """
        While paused nothing is delivered; pausing and resuming cost the reactor
        nothing unless data comes in between.
        """
        before = self.reactor.changes
        self.transport.pauseProducing()
        self.transport.pauseProducing()
        self.transport.resumeProducing()
        self.transport.resumeProducing()
        self.assertEqual(self.reactor.changes, before)
        self.transport.pauseProducing()
        self.peer.send(b"one")
        self.transport.doRead()
        self.assertEqual(self.protocol.received, [])
        self.assertNotIn(self.transport, self.reactor.readers)
        self.transport.resumeProducing()
        self.assertIn(self.transport, self.reactor.readers)
        self.transport.doRead()
        self.assertEqual(self.protocol.received, [b"one"])

    def test_endWhilePaused(self) -> None:
        """
        The end of a connection that has nothing more to say is told while paused, but
        not before data that is still there.
        """
        self.transport.pauseProducing()
        self.peer.close()
        self.transport.doRead()
        self.assertEqual(self.protocol.events, ["read"])
        self.transport.doRead()
        self.assertEqual(self.protocol.events, ["read"])

    def test_dataBeforeEndWhilePaused(self) -> None:
        """
        The end waits behind data that nobody wants yet.
        """
        self.transport.pauseProducing()
        self.peer.send(b"one")
        self.peer.close()
        self.transport.doRead()
        self.assertEqual(self.protocol.events, [])
        self.transport.resumeProducing()
        self.transport.doRead()
        self.transport.doRead()
        self.assertEqual((self.protocol.data, self.protocol.events), (b"one", ["read"]))

    def test_readSizeAdapts(self) -> None:
        """
        Reads grow while they are full and shrink when they are small.
        """
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 21)
        sizes = []
        for _ in range(7):
            drain(cast(Any, self.transport.getHandle()))
            self.peer.setblocking(False)
            try:
                while True:
                    self.peer.send(b"x" * READ_SIZE)
            except BlockingIOError:
                pass
            self.transport.doRead()
            sizes.append(len(self.protocol.received[-1]))
        self.assertEqual(sizes[0], READ_SIZE)
        self.assertEqual(sizes, sorted(sizes))
        self.assertGreater(sizes[-1], READ_SIZE)
        self.assertLessEqual(sizes[-1], MOST_READ_SIZE)
        drain(cast(Any, self.transport.getHandle()))
        for _ in range(10):
            self.peer.send(b"x")
            self.transport.doRead()
        self.peer.send(b"x" * READ_SIZE * 2)
        self.transport.doRead()
        self.assertEqual(len(self.protocol.received[-1]), READ_SIZE)

    def test_readSizeFixed(self) -> None:
        """
        A read size that was set without a limit is kept.
        """
        self.transport.setReadSize(100)
        self.peer.send(b"x" * 1000)
        for _ in range(3):
            self.transport.doRead()
        self.assertEqual([len(data) for data in self.protocol.received], [100] * 3)

    def test_protocolFails(self) -> None:
        """
        An exception of the protocol's is logged and ends this connection.
        """

        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        self.protocol.dataReceived = fail  # type: ignore[method-assign]
        self.peer.send(b"x")
        self.assertIsNone(cast(Any, self.transport).doRead())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIsInstance(self.protocol.reason, ZeroDivisionError)
        self.assertEqual(self.reactor.getReaders(), [])

    def test_otherCallbacksFail(self) -> None:
        """
        So does one of C{drained}, of C{readConnectionLost}, of C{connectionLost}.
        """
        self.transport.drained = lambda: 1 // 0  # type: ignore[assignment]
        self.fill()
        self.flush()
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_connectionLostFails(self) -> None:
        """
        An exception of C{connectionLost} is logged.
        """

        def fail(reason: object = None) -> None:
            raise ZeroDivisionError

        self.protocol.connectionLost = fail  # type: ignore[method-assign]
        self.protocol.readConnectionLost = fail  # type: ignore[method-assign]
        self.peer.close()
        self.transport.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class EndTests(TransportCase):
    """
    How connections end.
    """

    def test_halfClosed(self) -> None:
        """
        After the end of input a protocol of ours can still write; when it has ended
        its output too, the connection closes.
        """
        self.peer.shutdown(socket.SHUT_WR)
        self.transport.doRead()
        self.assertEqual(self.protocol.events, ["read"])
        self.assertEqual(self.reactor.getReaders(), [])
        self.transport.resumeProducing()
        self.assertEqual(self.reactor.getReaders(), [])
        self.transport.write(b"still here")
        self.transport.loseWriteConnection()
        self.transport.write(b"ignored")
        self.assertEqual(self.flush(), b"still here")
        self.reactor.turn()
        self.assertEqual(self.protocol.events, ["read", "write", "lost"])
        self.assertIsInstance(self.protocol.reason, ConnectionDone)

    def test_writeEndsFirst(self) -> None:
        """
        The output ends when all is sent; input goes on, and its end closes.
        """
        written = self.fill()
        self.transport.loseWriteConnection()
        self.assertEqual(self.protocol.events, [])
        self.assertEqual(self.flush(), written)
        self.assertEqual(self.peer.recv(1), b"")
        self.assertEqual(self.protocol.events, ["write"])
        self.peer.send(b"answer")
        self.transport.doRead()
        self.peer.close()
        self.transport.doRead()
        self.reactor.turn()
        self.assertEqual(self.protocol.data, b"answer")
        self.assertEqual(self.protocol.events, ["write", "read", "lost"])

    def test_stranger(self) -> None:
        """
        A protocol that knows no half-closed connections just loses it.
        """
        stranger = Stranger()
        self.transport.protocol = stranger
        self.peer.shutdown(socket.SHUT_WR)
        self.transport.doRead()
        self.assertIsInstance(stranger.reason, ConnectionDone)
        self.assertEqual(self.transport.fileno(), -1)

    def test_loseConnection(self) -> None:
        """
        Closing is told later, never inside the call, and once.
        """
        self.transport.loseConnection()
        self.transport.loseConnection()
        self.transport.abortConnection()
        self.assertEqual(self.protocol.events, [])
        self.assertEqual(self.reactor.getReaders(), [])
        self.reactor.turn()
        self.transport.loseConnection()
        self.transport.connectionLost(Failure(ConnectionLost()))
        self.reactor.turn()
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIsInstance(self.protocol.reason, ConnectionDone)
        self.assertIsNone(self.transport.protocol)
        self.assertEqual(self.peer.recv(1), b"")

    def test_loseConnectionFlushes(self) -> None:
        """
        What waits is sent before closing; nothing is received meanwhile.
        """
        written = self.fill()
        self.transport.loseConnection()
        self.peer.send(b"x")
        self.transport.doRead()
        self.assertEqual(self.flush(), written)
        self.assertEqual(self.protocol.received, [])
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIsInstance(self.protocol.reason, ConnectionDone)

    def test_loseConnectionInDataReceived(self) -> None:
        """
        A protocol can close while it receives.
        """
        self.protocol.dataReceived = (  # type: ignore[method-assign]
            lambda data: self.transport.loseConnection()
        )
        self.peer.send(b"x")
        self.transport.doRead()
        self.assertEqual(self.protocol.events, [])
        self.reactor.turn()
        self.assertEqual(self.protocol.events, ["lost"])

    def test_numberIsNotReusedInARound(self) -> None:
        """
        The descriptor stays ours until the round's events are over.
        """
        number = self.transport.fileno()
        self.transport.abortConnection()
        self.assertEqual(self.transport.fileno(), number)
        self.reactor.turn()
        self.assertEqual(self.transport.fileno(), -1)

    def test_endingTogether(self) -> None:
        """
        All that end in a round are finished by one call, also where one's protocol
        fails; who ends meanwhile is finished as well.
        """
        protocols, transports = [], []
        for _ in range(3):
            ours, theirs = self.pair()
            self.addCleanup(theirs.close)
            protocol = Recorder()
            transport = SocketTransport(ours, self.reactor, protocol)
            protocol.makeConnection(transport)
            protocols.append(protocol)
            transports.append(transport)

        def fail(reason: object = None) -> None:
            self.transport.abortConnection()
            raise RuntimeError("on purpose")

        protocols[0].connectionLost = fail  # type: ignore[method-assign]
        for transport in transports:
            transport.loseConnection()
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.reactor.turn()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual([each.fileno() for each in transports], [-1, -1, -1])
        self.assertEqual(protocols[2].events, ["lost"])
        self.reactor.turn()
        self.assertEqual(self.protocol.events, ["lost"])

    def test_abort(self) -> None:
        """
        Aborting drops what waits, and is told later.
        """
        self.fill()
        self.transport.abortConnection()
        self.assertEqual(self.transport.pending, 0)
        self.assertEqual(self.protocol.events, [])
        self.reactor.turn()
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIsInstance(self.protocol.reason, ConnectionAborted)

    def test_reactorSaysLost(self) -> None:
        """
        What the reactor finds out is told once.
        """
        self.fill()
        self.transport.connectionLost(Failure(ConnectionLost()))
        self.transport.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.protocol.events, ["lost"])

    def test_names(self) -> None:
        """
        Unix sockets have names too, if only empty ones.
        """
        self.assertEqual(self.transport.peerName, "")
        self.assertEqual(self.transport.getHost(), UNIXAddress(None))


class TCPTests(TransportCase):
    """
    What only TCP sockets do.
    """

    def pair(self) -> tuple[socket.socket, socket.socket]:
        return tcpPair()

    def test_reset(self) -> None:
        """
        A reset is an error that names the system call and its number.
        """
        linger = struct.pack("ii", 1, 0)
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.peer.close()
        self.transport.doRead()
        reason = self.protocol.reason
        assert isinstance(reason, TransportFailed)
        self.assertEqual((reason.errno, reason.syscall), (errno.ECONNRESET, "recv"))
        self.assertEqual(self.protocol.events, ["lost"])

    def test_resetWhilePaused(self) -> None:
        """
        So it is while paused, whoever notices.
        """
        self.transport.pauseProducing()
        linger = struct.pack("ii", 1, 0)
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.peer.close()
        self.transport.connectionLost(Failure(ConnectionLost()))
        reason = self.protocol.reason
        assert isinstance(reason, TransportFailed)
        self.assertEqual(reason.errno, errno.ECONNRESET)

    def test_abortResets(self) -> None:
        """
        Aborting resets the connection.
        """
        self.transport.abortConnection()
        self.reactor.turn()
        self.assertRaises(ConnectionResetError, self.peer.recv, 1)

    def test_names(self) -> None:
        """
        Both addresses are known, and remain known after closing.
        """
        name = self.peer.getsockname()
        self.assertEqual(self.transport.peerName, name)
        self.assertEqual(self.transport.hostName, self.peer.getpeername())
        self.transport.abortConnection()
        self.reactor.turn()
        self.assertEqual(self.transport.getPeer(), IPv4Address("TCP", *name))

    def test_options(self) -> None:
        """
        Delay and keep-alive can be set.
        """
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self.assertTrue(self.transport.getTcpNoDelay())
        self.assertTrue(self.transport.getTcpKeepAlive())

    def test_memory(self) -> None:
        """
        A connection's transport and socket take less than 700 bytes.
        """
        handle = self.transport.getHandle()
        size = sum(
            map(sys.getsizeof, (self.transport, handle, handle.recv, handle.send))
        )
        self.assertLess(size, 700)

    if hasattr(sys, "pypy_version_info"):
        test_memory.skip = "sizes are CPython's"  # type: ignore[attr-defined]


@implementer(IPushProducer)
class Pusher:
    """
    A push producer that remembers what it is told.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


@implementer(IPullProducer)
class Puller:
    """
    A pull producer that writes some pieces.
    """

    def __init__(self, transport: SocketTransport, pieces: list[bytes]) -> None:
        self.transport = transport
        self.pieces = pieces

    def resumeProducing(self) -> None:
        if self.pieces:
            self.transport.write(self.pieces.pop(0))
        else:
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        self.pieces.clear()


class ProducerTests(TransportCase):
    """
    Twisted's producers.
    """

    def test_push(self) -> None:
        """
        A push producer is paused above the high water mark and resumed when all is
        sent.
        """
        producer = Pusher()
        self.transport.registerProducer(producer, True)
        written = self.fill()
        self.transport.write(b"x" * HIGH_WATER)
        self.transport.write(b"x")
        self.assertEqual(producer.calls, ["pause"])
        self.assertEqual(self.flush(), written + b"x" * (HIGH_WATER + 1))
        self.assertEqual(producer.calls, ["pause", "resume"])

    def test_registeredWhenFull(self) -> None:
        """
        A push producer that comes when too much waits is paused at once.
        """
        self.fill()
        self.transport.write(b"x" * HIGH_WATER)
        producer = Pusher()
        self.transport.registerProducer(producer, True)
        self.assertEqual(producer.calls, ["pause"])

    def test_pull(self) -> None:
        """
        A pull producer is asked for each next piece when the last one is sent.
        """
        pieces = [b"a" * 10, b"b" * 1_000_000, b"c"]
        expected = b"".join(pieces)
        self.transport.registerProducer(Puller(self.transport, pieces), False)
        self.assertEqual(self.flush(), expected)
        self.transport.write(b"d")
        self.assertEqual(drain(self.peer), b"d")

    def test_closeWaitsForProducer(self) -> None:
        """
        Closing waits until the producer has finished.
        """
        producer = Pusher()
        self.transport.registerProducer(producer, True)
        self.transport.loseConnection()
        self.transport.write(b"last")
        self.flush()
        self.reactor.turn()
        self.assertEqual(self.protocol.events, [])
        self.transport.unregisterProducer()
        self.flush()
        self.assertEqual(self.protocol.events, ["lost"])

    def test_pullClose(self) -> None:
        """
        A pull producer finishes after C{loseConnection}.
        """
        pieces = [b"a", b"b" * 1_000_000, b"c"]
        expected = b"".join(pieces)
        self.transport.registerProducer(Puller(self.transport, pieces), False)
        self.transport.loseConnection()
        self.assertEqual(self.flush(), expected)
        self.assertEqual(self.protocol.events, ["lost"])

    def test_stopped(self) -> None:
        """
        A producer is stopped when the connection is lost, and refused afterwards.
        """
        producer, late = Pusher(), Pusher()
        self.transport.registerProducer(producer, True)
        self.transport.abortConnection()
        self.reactor.turn()
        self.transport.registerProducer(late, True)
        self.assertEqual((producer.calls, late.calls), (["stop"], ["stop"]))

    def test_onlyOne(self) -> None:
        """
        There is one producer at a time.
        """
        self.transport.registerProducer(Pusher(), True)
        self.assertRaises(RuntimeError, self.transport.registerProducer, Pusher(), True)


class LiveTests:
    """
    The same on a real reactor, given by C{OnEPoll} and its likes.
    """

    def connect(self: Any, protocol: Any) -> tuple[SocketTransport, socket.socket]:
        """
        A transport on the reactor and the peer's socket.
        """
        ours, peer = tcpPair()
        self.addCleanup(peer.close)
        transport = SocketTransport(ours, self.reactor, protocol)
        protocol.makeConnection(transport)
        transport.resumeProducing()
        return transport, peer

    def test_echo(self: Any) -> None:
        """
        Twisted's protocols work over it.
        """
        _, peer = self.connect(Echo())
        peer.sendall(b"x" * 100_000)
        got = bytearray()

        def finished() -> bool:
            got.extend(drain(peer))
            return len(got) == 100_000

        self.spin(finished)

    def test_bulk(self: Any) -> None:
        """
        More than the kernel takes is sent when the peer reads.
        """
        protocol = Recorder()
        transport, peer = self.connect(protocol)
        transport.write(b"x" * 10_000_000)
        transport.loseConnection()
        got = bytearray()

        def finished() -> bool:
            got.extend(drain(peer))
            return "lost" in protocol.events

        self.spin(finished)
        got.extend(drain(peer))
        self.assertEqual(len(got), 10_000_000)
        self.assertIsInstance(protocol.reason, ConnectionDone)

    def test_halfClose(self: Any) -> None:
        """
        Each direction ends by itself.
        """
        protocol = Recorder()
        transport, peer = self.connect(protocol)
        peer.sendall(b"question")
        peer.shutdown(socket.SHUT_WR)
        self.spin(lambda: "read" in protocol.events)
        transport.write(b"answer")
        transport.loseWriteConnection()
        self.spin(lambda: "lost" in protocol.events)
        self.assertEqual(protocol.events, ["read", "write", "lost"])
        self.assertEqual(drain(peer), b"answer")

    def test_reset(self: Any) -> None:
        """
        A reset is noticed by a reader, by a writer that is paused, and by a paused
        transport that is resumed.
        """
        linger = struct.pack("ii", 1, 0)
        for situation in ("reading", "writing", "resumed"):
            protocol = Recorder()
            transport, peer = self.connect(protocol)
            if situation == "writing":
                # Paused with data there: the reactor has stopped reading.
                transport.pauseProducing()
                peer.send(b"x")
                self.reactor.iterate(0.01)
                transport.write(b"x" * 10_000_000)
            elif situation == "resumed":
                transport.pauseProducing()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            peer.close()
            if situation == "resumed":
                transport.resumeProducing()
            self.spin(lambda protocol=protocol: "lost" in protocol.events)
            self.assertEqual(protocol.events, ["lost"])
            reason = protocol.reason
            assert isinstance(reason, TransportFailed), situation
            self.assertIn(reason.errno, (errno.ECONNRESET, errno.EPIPE))

    def test_failedWrite(self: Any) -> None:
        """
        The reactor tells of a write that failed, with nobody reading.
        """
        protocol = Recorder()
        transport, peer = self.connect(protocol)
        transport.pauseProducing()
        peer.send(b"x")
        self.reactor.iterate(0.01)
        peer.close()
        transport.write(b"a")
        transport.write(b"b")
        self.assertEqual(protocol.events, [])
        self.spin(lambda: "lost" in protocol.events)

    def test_fails(self: Any) -> None:
        """
        A protocol that raises does no harm to others.
        """
        failing, other = Recorder(), Recorder()
        failing.dataReceived = lambda data: 1 // 0  # type: ignore[method-assign,assignment]
        _, first = self.connect(failing)
        _, second = self.connect(other)
        first.send(b"x")
        second.send(b"y")
        self.spin(lambda: other.data and failing.events)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_reactorStops(self: Any) -> None:
        """
        When the reactor disconnects everybody, each protocol is told.
        """
        protocol = Recorder()
        self.connect(protocol)
        self.reactor.disconnectAll()
        self.assertEqual(protocol.events, ["lost"])


class EPollTests(OnEPoll, LiveTests, SynchronousTestCase):
    """
    L{LiveTests} on epoll(7).
    """


class PollTests(OnPoll, LiveTests, SynchronousTestCase):
    """
    L{LiveTests} on poll(2).
    """


class AsyncioTests(OnAsyncio, LiveTests, SynchronousTestCase):
    """
    L{LiveTests} on asyncio.
    """
