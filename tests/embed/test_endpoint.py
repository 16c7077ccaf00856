"""
Tests for L{twisted_upstream.embed.endpoint}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.endpoints import TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols import amp
from twisted.protocols.basic import LineReceiver
from twisted.protocols.memcache import MemCacheProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from twisted_upstream.embed import (
    ArgumentError,
    Upstream,
    UpstreamClosed,
    UpstreamFailed,
)

A, B = "127.0.0.1:8001", "127.0.0.1:8002"


class EndpointTests(SynchronousTestCase):
    """
    L{UpstreamEndpoint<twisted_upstream.embed.endpoint.UpstreamEndpoint>} in memory.
    """

    def setUp(self) -> None:
        """
        Two servers.
        """
        self.reactor = MemoryReactorClock()
        self.upstream = Upstream(self.reactor, A, B)

    def attempt(self) -> tuple[int, Any]:
        """
        Port and factory of the newest attempt at connecting.
        """
        _, port, factory, _, _ = self.reactor.tcpClients[-1]
        return port, factory

    def accept(self) -> Any:
        """
        The newest attempt succeeds.

        @return: what the transport talks to.
        """
        _, factory = self.attempt()
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        protocol.makeConnection(StringTransport())
        return protocol

    def refuse(self) -> None:
        """
        The newest attempt fails.
        """
        _, factory = self.attempt()
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def fails(self) -> list[int]:
        """
        The failures of each peer; nobody is busy.
        """
        self.assertEqual(self.upstream.status.active, 0)
        return [each.fails for each in self.upstream.status.peers]

    def test_counts(self) -> None:
        """
        A connection counts until it ends; its protocol is the one that was asked for.
        """
        endpoint = self.upstream.endpoint()
        verifyObject(IStreamClientEndpoint, endpoint)
        wanted = Protocol()
        connecting = connectProtocol(endpoint, wanted)
        other = self.accept()
        self.assertIs(self.successResultOf(connecting), wanted)
        self.assertEqual(self.upstream.status.active, 1)
        other.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.fails(), [0, 0])

    def test_nextServer(self) -> None:
        """
        When a server cannot be reached, the next one is asked.
        """
        connecting = connectProtocol(self.upstream.endpoint(), Protocol())
        self.assertEqual(self.attempt()[0], 8001)
        self.refuse()
        self.assertEqual(self.attempt()[0], 8002)
        self.accept().connectionLost(Failure(ConnectionDone()))
        self.successResultOf(connecting)
        self.assertEqual(self.fails(), [1, 0])

    def test_allFail(self) -> None:
        """
        When none can be reached, the error lists every attempt.
        """
        connecting = connectProtocol(self.upstream.endpoint(), Protocol())
        self.reactor.advance(0.25)
        self.refuse()
        self.refuse()
        error = self.failureResultOf(connecting, UpstreamFailed).value
        self.assertEqual(
            [(e.peer, e.phase, e.error, e.seconds) for e in error.attempts],
            [
                (
                    A,
                    "connecting to upstream",
                    "Connection was refused by other side.",
                    0.25,
                ),
                (
                    B,
                    "connecting to upstream",
                    "Connection was refused by other side.",
                    0.0,
                ),
            ],
        )
        self.assertEqual(self.fails(), [1, 1])
        error = self.failureResultOf(
            connectProtocol(self.upstream.endpoint(), Protocol()), UpstreamFailed
        ).value
        self.assertEqual(error.attempts[0].error, "no live upstreams")

    def test_tries(self) -> None:
        """
        No more servers are asked than allowed.
        """
        connecting = connectProtocol(self.upstream.endpoint(tries=1), Protocol())
        self.refuse()
        self.failureResultOf(connecting, UpstreamFailed)
        self.assertEqual(len(self.reactor.tcpClients), 1)

    def test_timeout(self) -> None:
        """
        Each server has its time.
        """
        connectProtocol(self.upstream.endpoint(connectTimeout=2.5), Protocol())
        self.assertEqual(self.reactor.tcpClients[-1][3], 2.5)

    def test_cancelled(self) -> None:
        """
        Who is cancelled frees the server, and does not blame it.
        """
        connecting = connectProtocol(self.upstream.endpoint(), Protocol())
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(self.fails(), [0, 0])

    def test_closed(self) -> None:
        """
        Closing the group ends attempts, and leaves connections alone.
        """
        endpoint = self.upstream.endpoint()
        first = connectProtocol(endpoint, Protocol())
        other = self.accept()
        self.successResultOf(first)
        second = connectProtocol(endpoint, Protocol())
        self.upstream.close()
        self.failureResultOf(second, UpstreamClosed)
        self.failureResultOf(connectProtocol(endpoint, Protocol()), UpstreamClosed)
        self.assertEqual(self.upstream.status.active, 1)
        other.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.fails(), [0, 0])

    def test_queue(self) -> None:
        """
        Beyond C{max_conns}, callers wait.
        """
        self.upstream = Upstream(self.reactor, f"{A} max_conns=1", queue="5 timeout=1s")
        endpoint = self.upstream.endpoint()
        connectProtocol(endpoint, Protocol())
        other = self.accept()
        second = connectProtocol(endpoint, Protocol())
        third = connectProtocol(endpoint, Protocol())
        third.cancel()
        self.failureResultOf(third, CancelledError)
        other.connectionLost(Failure(ConnectionDone()))
        self.reactor.advance(0)
        self.accept()
        self.successResultOf(second)
        fourth = connectProtocol(endpoint, Protocol())
        self.reactor.advance(1)
        error = self.failureResultOf(fourth, UpstreamFailed).value
        self.assertEqual(error.attempts[0].phase, "waiting for an upstream server")
        self.assertEqual(self.upstream.status.active, 1)

    def test_factoryRefuses(self) -> None:
        """
        A factory without a protocol, or that raises, is no server's fault.
        """

        class Refusing(Factory):
            def buildProtocol(self, addr: object) -> None:
                return None

        class Raising(Factory):
            def buildProtocol(self, addr: object) -> Any:
                raise KeyError("mine")

        for factory, error in ((Refusing(), Exception), (Raising(), KeyError)):
            connecting = self.upstream.endpoint().connect(factory)
            _, attempt = self.attempt()
            attempt.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
            self.assertIsInstance(self.failureResultOf(connecting).value, error)
            self.assertEqual(self.fails(), [0, 0])

    def test_halfClose(self) -> None:
        """
        Protocols that want to know of half-closed connections are told.
        """

        @implementer(IHalfCloseableProtocol)
        class Half(Protocol):
            ends: list[str] = []

            def readConnectionLost(self) -> None:
                self.ends.append("read")

            def writeConnectionLost(self) -> None:
                self.ends.append("write")

        connectProtocol(self.upstream.endpoint(), Half())
        other = self.accept()
        self.assertTrue(IHalfCloseableProtocol.providedBy(other))
        other.readConnectionLost()
        other.writeConnectionLost()
        self.assertEqual(Half.ends, ["read", "write"])

    def test_families(self) -> None:
        """
        IPv6 and unix sockets are connected to as well.
        """
        upstream = Upstream(self.reactor, "[::1]:8001", "unix:/tmp/x")
        connectProtocol(upstream.endpoint(), Protocol())
        self.assertEqual(self.reactor.tcpClients[-1][:2], ("::1", 8001))
        connectProtocol(upstream.endpoint(), Protocol())
        self.assertEqual(self.reactor.unixClients[-1][0], "/tmp/x")

    def test_wrong(self) -> None:
        """
        Wrong arguments are named at once.
        """
        for name, value in (
            ("connectTimeout", 0),
            ("tries", -1),
            ("key", 1),
            ("address", "x"),
        ):
            more: dict[str, Any] = {name: value}
            error = self.assertRaises(ArgumentError, self.upstream.endpoint, **more)
            self.assertTrue(str(error).startswith(f"{name}: "))


class Cache(LineReceiver):
    """
    The server's side of some of memcached's protocol.
    """

    def connectionMade(self) -> None:
        """
        Nothing is there yet.
        """
        self.values: dict[bytes, bytes] = {}

    def lineReceived(self, line: bytes) -> None:
        """
        C{set} or C{get}.
        """
        command, self.key, *_ = line.split(b" ")
        if command == b"set":
            self.setRawMode()
            return
        value = self.values[self.key]
        self.sendLine(b"VALUE %b 0 %d" % (self.key, len(value)))
        self.sendLine(value)
        self.sendLine(b"END")

    def rawDataReceived(self, data: bytes) -> None:
        """
        The value.
        """
        self.values[self.key] = data.removesuffix(b"\r\n")
        self.sendLine(b"STORED")
        self.setLineMode()


class Sum(amp.Command):
    """
    Adds two numbers.
    """

    arguments = [(b"a", amp.Integer()), (b"b", amp.Integer())]
    response = [(b"total", amp.Integer())]


class Adder(amp.AMP):
    """
    Who can.
    """

    @Sum.responder
    def sum(self, a: int, b: int) -> dict[str, int]:
        """
        Add.
        """
        return {"total": a + b}


class Echo(LineReceiver):
    """
    Says lines again.
    """

    def lineReceived(self, line: bytes) -> None:
        """
        Once more.
        """
        self.sendLine(line.upper())


class Asking(LineReceiver):
    """
    Says a line, and waits for another one.
    """

    def __init__(self) -> None:
        self.heard: Deferred[bytes] = Deferred()

    def lineReceived(self, line: bytes) -> None:
        """
        There it is.
        """
        self.heard.callback(line)


class SocketTests(TestCase):
    """
    Twisted's own protocols over a group, by real sockets.
    """

    @inlineCallbacks
    def group(self, protocol: type[Protocol]) -> Any:
        """
        Two servers of that protocol and a port where nobody is.
        """
        from twisted.internet import reactor

        servers, numbers = [], []
        for _ in range(3):
            endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
            port = yield endpoint.listen(Factory.forProtocol(protocol))
            self.addCleanup(port.stopListening)
            servers.append(port)
            numbers.append(port.getHost().port)
        yield servers[0].stopListening()
        upstream = Upstream(reactor, *(f"127.0.0.1:{each}" for each in numbers))
        self.addCleanup(upstream.close)
        return upstream

    @inlineCallbacks
    def finish(self, upstream: Upstream, *protocols: Any) -> Any:
        """
        All connections end, and so do the counts.
        """
        from twisted.internet import reactor

        self.assertEqual(upstream.status.active, len(protocols))
        for each in protocols:
            each.transport.loseConnection()
        for _ in range(100):
            if not upstream.status.active:
                break
            turn: Deferred[None] = Deferred()
            reactor.callLater(0.01, turn.callback, None)
            yield turn
        self.assertEqual(upstream.status.active, 0)
        self.assertEqual([e.fails for e in upstream.status.peers], [1, 0, 0])

    @inlineCallbacks
    def test_memcache(self) -> Any:
        """
        L{MemCacheProtocol}.
        """
        upstream = yield self.group(Cache)
        caches = []
        for number in range(4):
            cache = yield connectProtocol(upstream.endpoint(), MemCacheProtocol())
            value = b"v%d" % number
            self.assertTrue((yield cache.set(b"k", value)))
            self.assertEqual((yield cache.get(b"k")), (0, value))
            caches.append(cache)
        yield self.finish(upstream, *caches)

    @inlineCallbacks
    def test_amp(self) -> Any:
        """
        AMP.
        """
        upstream = yield self.group(Adder)
        client = yield connectProtocol(upstream.endpoint(), amp.AMP())
        self.assertEqual((yield client.callRemote(Sum, a=2, b=3)), {"total": 5})
        yield self.finish(upstream, client)

    @inlineCallbacks
    def test_lines(self) -> Any:
        """
        A protocol of lines.
        """
        upstream = yield self.group(Echo)
        client = yield connectProtocol(upstream.endpoint(), Asking())
        client.sendLine(b"hello")
        self.assertEqual((yield client.heard), b"HELLO")
        yield self.finish(upstream, client)
