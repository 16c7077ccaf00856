"""
Tests for L{twisted_upstream.net.transport} on real reactors.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.net.sendqueue import TransportFailed
from twisted_upstream.net.transport import (
    SocketTransport,
)

from .reactors import OnAsyncio, OnEPoll, OnLeanEPoll, OnPoll
from .transports import (
    Recorder,
    drain,
    tcpPair,
)


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


class LeanEPollTests(OnLeanEPoll, LiveTests, SynchronousTestCase):
    """
    L{LiveTests} on our own epoll(7) reactor.
    """


class PollTests(OnPoll, LiveTests, SynchronousTestCase):
    """
    L{LiveTests} on poll(2).
    """


class AsyncioTests(OnAsyncio, LiveTests, SynchronousTestCase):
    """
    L{LiveTests} on asyncio.
    """
