"""
Tests for L{twisted_upstream.net.transport}, with pairs of sockets whose events the
tests deliver.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import Any, cast

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from twisted_upstream.net.sendqueue import TransportFailed
from twisted_upstream.net.transport import (
    MOST_READ_SIZE,
    READ_SIZE,
    SocketTransport,
)

from .transports import (
    Recorder,
    Stranger,
    TransportCase,
    drain,
    tcpPair,
)


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
