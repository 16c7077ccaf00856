"""
Tests for L{twisted_upstream.upstream.name_client}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from twisted.internet import task
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.error import DNSNameError
from twisted.names.server import DNSServerFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.upstream.names import (
    NAME,
    a,
    aaaa,
    cname,
    refused,
)
from twisted_upstream.config.syntax import Node
from twisted_upstream.upstream.name_client import RESEND, nameClient
from twisted_upstream.upstream.resolve import Resolver


class Zone(ResolverBase):
    """
    What the name server in these tests knows.
    """

    def __init__(self, records: dict[tuple[bytes, int], list[dns.RRHeader]]) -> None:
        super().__init__()
        self.records = records
        self.asked: list[tuple[bytes, int]] = []
        # It is silent after so many questions.
        self.answers = 1000

    def _lookup(self, name: bytes, cls: int, type: int, timeout: Any) -> Any:
        self.asked.append((name, type))
        if len(self.asked) > self.answers:
            return Deferred()
        found = self.records.get((name, type))
        if found is None:
            return fail(DNSNameError(refused(3)))
        return succeed((found, [], []))


class ShortDatagrams(dns.DNSDatagramProtocol):
    """
    Cuts long answers, which Twisted's server does not do by itself.
    """

    def writeMessage(self, message: dns.Message, address: tuple[str, int]) -> None:
        if len(message.answers) > 10:
            message.answers = []
            message.trunc = 1
        super().writeMessage(message, address)


class NameServerTests(TestCase):
    """
    With real sockets and a real name server, on loopback.
    """

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor = cast(Any, reactor)
        self.zone = Zone(
            {
                (b"b.test", dns.A): [cname(NAME, b"c.test")],
                (b"b.test", dns.AAAA): [cname(NAME, b"c.test")],
                (b"c.test", dns.A): [a("192.0.2.1", name=b"c.test")],
                (b"c.test", dns.AAAA): [aaaa("2001:db8::1")],
                # Too much for one datagram: there must be another question by TCP.
                (b"many.test", dns.A): [
                    a(f"192.0.2.{n}", name=b"many.test") for n in range(100)
                ],
                (b"many.test", dns.AAAA): [],
            }
        )
        factory = DNSServerFactory(clients=[self.zone])
        factory.noisy = False
        self.word = word = f"127.0.0.1:{self.listen(factory)}"
        self.resolver = Resolver([word], Node("resolver"), self.reactor, 10.0)

    def tearDown(self) -> None:
        self.resolver.close()

    def listen(self, factory: DNSServerFactory) -> int:
        """
        Serve on ports of TCP and UDP with the same number.
        """
        while True:
            tcp = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
            self.addCleanup(tcp.stopListening)
            number: int = tcp.getHost().port
            protocol = ShortDatagrams(factory, self.reactor)
            try:
                udp = self.reactor.listenUDP(number, protocol, interface="127.0.0.1")
            except CannotListenError:
                continue  # somebody else has that number for UDP
            self.addCleanup(udp.stopListening)
            return number

    def resolve(self, name: str) -> Deferred[Any]:
        """
        The addresses of a name, sorted, or the message.
        """
        told: Deferred[Any] = Deferred()

        def resolved(addresses: Sequence[str]) -> None:
            told.callback(sorted(addresses))

        self.resolver.resolve(name, resolved, told.callback)
        return told

    async def test_found(self) -> None:
        """
        A name is found through its alias, and kept.
        """
        for _ in range(2):
            self.assertEqual(await self.resolve("b.test"), ["192.0.2.1", "2001:db8::1"])
        self.assertEqual(len(self.zone.asked), 4)

    async def test_notFound(self) -> None:
        """
        A name that the server does not know is not found.
        """
        self.assertEqual(
            await self.resolve("none.test"),
            "none.test could not be resolved (3: Host not found)",
        )

    async def test_truncated(self) -> None:
        """
        An answer that was cut is asked for again by TCP.
        """
        found = await self.resolve("many.test")
        self.assertEqual(len(found), 100)
        self.assertEqual(self.zone.asked.count((b"many.test", dns.A)), 2)

    async def test_unreachable(self) -> None:
        """
        A server that nothing can be sent to does not hold up the name.
        """
        self.resolver.close()
        words = ["255.255.255.255", self.word]
        self.resolver = Resolver(words, Node("resolver"), self.reactor, 4.0)
        self.assertEqual(await self.resolve("b.test"), ["192.0.2.1", "2001:db8::1"])

    async def test_closedWhileAsking(self) -> None:
        """
        Closing leaves no socket and no timer behind, whatever was under way.
        """
        self.zone.answers = 0
        self.resolve("b.test")
        while len(self.zone.asked) < 2:
            await task.deferLater(self.reactor, 0)
        # The test runner complains of what is left.
        self.resolver.close()

    async def test_closedWhileAskingMore(self) -> None:
        """
        The same while an answer that was cut is asked for by TCP.
        """
        self.resolve("many.test")
        # A and AAAA come by UDP, the third question by TCP.
        self.zone.answers = 2
        while len(self.zone.asked) < 3:
            await task.deferLater(self.reactor, 0)
        # The test runner complains of what is left.
        self.resolver.close()


class NameClientTests(SynchronousTestCase):
    """
    The client that C{twisted.names} gives us.
    """

    def test_turns(self) -> None:
        """
        Each turn begins with another server, and what was given is left alone.
        """
        servers = [("192.0.2.1", 53), ("192.0.2.2", 53)]
        client: Any = nameClient(servers, task.Clock())
        client.nextServer()
        self.assertEqual(client.servers, servers[::-1])
        client.nextServer()
        self.assertEqual(client.servers, servers)

    def test_once(self) -> None:
        """
        Each server has a while to answer, and is asked once.
        """
        client: Any = nameClient([("192.0.2.1", 53)], task.Clock())
        self.assertEqual(client.timeout, (RESEND,))
