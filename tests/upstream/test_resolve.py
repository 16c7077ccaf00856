"""
Tests for L{twisted_upstream.upstream.resolve}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, cast

from twisted.internet import task
from twisted.internet.defer import Deferred, TimeoutError, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.error import DNSNameError, DNSServerError, DNSUnknownError
from twisted.names.server import DNSServerFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase

from twisted_upstream.config.syntax import ConfigError, Node
from twisted_upstream.upstream.resolve import (
    MAX_ALIASES,
    RESEND,
    UNUSED,
    Answer,
    Resolver,
    Service,
    nameClient,
)

A, AAAA, SRV = "A", "AAAA", "SRV"
NAME = b"b.test"


def a(address: str, *, ttl: int = 300, name: bytes = NAME) -> dns.RRHeader:
    """
    A record with an address of IPv4.
    """
    return dns.RRHeader(name, dns.A, ttl=ttl, payload=dns.Record_A(address, ttl))


def aaaa(address: str, *, ttl: int = 300) -> dns.RRHeader:
    """
    A record with an address of IPv6.
    """
    return dns.RRHeader(NAME, dns.AAAA, ttl=ttl, payload=dns.Record_AAAA(address, ttl))


def cname(name: bytes, target: bytes, *, ttl: int = 300) -> dns.RRHeader:
    """
    A record with an alias.
    """
    return dns.RRHeader(name, dns.CNAME, ttl=ttl, payload=dns.Record_CNAME(target, ttl))


def srv(priority: int, weight: int, port: int, target: bytes) -> dns.RRHeader:
    """
    A record of a service.
    """
    payload = dns.Record_SRV(priority, weight, port, target, 300)
    return dns.RRHeader(NAME, dns.SRV, ttl=300, payload=payload)


class FakeClient:
    """
    Asks nobody: keeps questions, and a test answers.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.turns = 0
        self.closed = False
        self._open: dict[tuple[str, bytes], Deferred[Any]] = {}

    def _ask(self, family: str, name: bytes) -> Deferred[Any]:
        self.asked.append((family, name))
        question: Deferred[Any] = Deferred()
        self._open[family, name] = question
        return question

    def lookupAddress(self, name: bytes) -> Deferred[Any]:
        return self._ask(A, name)

    def lookupIPV6Address(self, name: bytes) -> Deferred[Any]:
        return self._ask(AAAA, name)

    def lookupService(self, name: bytes) -> Deferred[Any]:
        return self._ask(SRV, name)

    def nextServer(self) -> None:
        self.turns += 1

    def close(self) -> None:
        self.closed = True

    def answer(self, family: str, *records: dns.RRHeader, name: bytes = NAME) -> None:
        """
        Answer a question.
        """
        self._open.pop((family, name)).callback((list(records), [], []))

    def fail(self, family: str, error: Exception, *, name: bytes = NAME) -> None:
        """
        Let a question fail.
        """
        self._open.pop((family, name)).errback(error)


class FakeRandom(Random):
    """
    Throws what it is told.
    """

    thrown = 0

    def randrange(self, *limits: int) -> int:  # type: ignore[override]
        return self.thrown % limits[0]


def nobody(host: str) -> Sequence[str]:
    """
    Knows no host.
    """
    raise OSError("unknown")


def refused(code: int) -> dns.Message:
    """
    An answer with a code.
    """
    return dns.Message(rCode=code)


class ConfigurationTests(SynchronousTestCase):
    """
    The arguments of C{resolver}.
    """

    def make(
        self, text: str, lookUp: Callable[[str], Sequence[str]] = nobody
    ) -> Resolver:
        """
        A resolver of a line.
        """
        words = text.split()
        node = Node("resolver", tuple(words), path="t.conf", line=7)
        return Resolver(words, node, task.Clock(), 30.0, lookUp=lookUp)

    def refused(self, text: str, message: str) -> None:
        """
        A line is refused with a message.
        """
        with self.assertRaises(ConfigError) as caught:
            self.make(text)
        self.assertEqual(
            [str(problem) for problem in caught.exception.problems],
            [f"{message} in t.conf:7"],
        )

    def test_accepted(self) -> None:
        """
        Addresses with and without port, and all parameters in any order.
        """
        self.make("127.0.0.1")
        self.make("valid=1m 127.0.0.1:5353 ipv6=off [::1] [::1]:53 ipv4=on")

    def test_name(self) -> None:
        """
        A name server's name is looked up at once.
        """
        asked = []

        def lookUp(host: str) -> Sequence[str]:
            asked.append(host)
            return ["192.0.2.1", "192.0.2.2"]

        self.make("ns.test:5353", lookUp)
        self.assertEqual(asked, ["ns.test"])

    def test_addresses(self) -> None:
        """
        What is no address of a name server is refused.
        """
        self.refused("ns.test", 'host not found in resolver "ns.test"')
        self.refused("127.0.0.1:0", 'invalid port in resolver "127.0.0.1:0"')
        self.refused("unix:/s", 'invalid host in resolver "unix:/s"')

    def test_parameters(self) -> None:
        """
        Parameters with values that mean nothing are refused.
        """
        for word in ("valid=x", "valid=", "ipv4=yes", "ipv6="):
            self.refused(f"127.0.0.1 {word}", f"invalid parameter: {word}")

    def test_noServers(self) -> None:
        """
        Parameters alone are not enough.
        """
        self.refused("valid=5s", "no name servers defined")

    def test_noFamily(self) -> None:
        """
        One family must be left.
        """
        self.refused(
            "127.0.0.1 ipv4=off ipv6=off", '"ipv4" and "ipv6" cannot both be "off"'
        )


class ResolverTests(SynchronousTestCase):
    """
    Names are asked for and kept.
    """

    def setUp(self) -> None:
        self.clock = task.Clock()
        self.client = FakeClient()
        self.random = FakeRandom()
        self.told: list[object] = []
        self.make()

    def make(self, *parameters: str, timeout: float = 30.0) -> None:
        """
        Another resolver.
        """
        self.resolver = Resolver(
            ["127.0.0.1", *parameters],
            Node("resolver"),
            self.clock,
            timeout,
            client=self.client,
            random=self.random,
        )

    def resolve(
        self, name: str = "b.test", timeout: float | None = None
    ) -> Callable[[], None]:
        """
        Want a name; C{told} gets the addresses, or the message.
        """
        return self.resolver.resolve(
            name, self.told.append, self.told.append, timeout=timeout
        )

    def failure(self, text: str) -> list[str]:
        """
        What is told when the name fails.
        """
        return [f"b.test could not be resolved ({text})"]

    def test_bothFamilies(self) -> None:
        """
        Both are asked at once; addresses are told when both have come, IPv4 first.
        """
        self.resolve()
        self.assertEqual(self.client.asked, [(A, NAME), (AAAA, NAME)])
        self.client.answer(AAAA, aaaa("::1"))
        self.assertEqual(self.told, [])
        self.client.answer(A, a("192.0.2.1"), a("192.0.2.2"))
        self.assertEqual(self.told, [["192.0.2.1", "192.0.2.2", "::1"]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_oneFamily(self) -> None:
        """
        A family that is off is not asked.
        """
        self.make("ipv6=off")
        self.resolve()
        self.assertEqual(self.client.asked, [(A, NAME)])
        self.client.answer(A, a("192.0.2.1"))
        self.assertEqual(self.told, [["192.0.2.1"]])
        self.make("ipv4=off")
        self.resolve()
        self.client.answer(AAAA, aaaa("::1"))
        self.assertEqual(self.told[1:], [["::1"]])

    def test_rotated(self) -> None:
        """
        Who has waited for an answer gets the addresses as they came; who asks later,
        from another one on.
        """
        self.random.thrown = 2
        self.resolve()
        self.client.answer(AAAA)
        self.client.answer(A, a("192.0.2.1"), a("192.0.2.2"), a("192.0.2.3"))
        self.resolve()
        self.assertEqual(
            self.told,
            [
                ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
                ["192.0.2.3", "192.0.2.1", "192.0.2.2"],
            ],
        )

    def test_shared(self) -> None:
        """
        All who want a name meanwhile share one question, in any case of letters.
        """
        for name in ("b.test", "B.Test", "b.test."):
            self.resolve(name)
        self.assertEqual(len(self.client.asked), 2)
        self.client.answer(AAAA)
        self.client.answer(A, a("192.0.2.1"))
        self.assertEqual(self.told, [["192.0.2.1"]] * 3)

    def test_kept(self) -> None:
        """
        An answer is kept for the shortest time that a record of either family says.
        """
        self.resolve()
        self.client.answer(A, a("192.0.2.1", ttl=20))
        self.client.answer(AAAA, aaaa("::1", ttl=10))
        self.clock.advance(9.9)
        self.resolve("B.TEST")
        self.assertEqual(len(self.told), 2)
        self.assertEqual(len(self.client.asked), 2)
        self.clock.advance(0.1)
        self.resolve()
        self.assertEqual(len(self.told), 2)
        self.assertEqual(len(self.client.asked), 4)

    def test_valid(self) -> None:
        """
        C{valid=} takes the place of what the records say.
        """
        self.make("valid=5s", "ipv6=off")
        for ttl in (0, 1000):
            self.resolve()
            self.client.answer(A, a("192.0.2.1", ttl=ttl))
            self.clock.advance(4.9)
            self.resolve()
            self.clock.advance(0.1)
        self.assertEqual(len(self.client.asked), 2)
        self.assertEqual(len(self.told), 4)

    def test_zeroLifetime(self) -> None:
        """
        Records that are not to be kept, or for a negative time, are not.
        """
        self.make("ipv6=off")
        for ttl in (0, 0xFFFFFFFF):
            self.resolve()
            self.client.answer(A, a("192.0.2.1", ttl=ttl))
        self.resolve()
        self.assertEqual(len(self.client.asked), 3)

    def test_unused(self) -> None:
        """
        A name that nobody wants for a while is forgotten; use keeps it.
        """
        self.make("ipv6=off")
        self.resolve()
        self.client.answer(A, a("192.0.2.1"))
        for _ in range(3):
            self.clock.advance(UNUSED)
            self.resolve()
        self.assertEqual(len(self.client.asked), 1)
        self.clock.advance(UNUSED + 1)
        self.resolve()
        self.assertEqual(len(self.client.asked), 2)

    def test_notFound(self) -> None:
        """
        Failures and empty answers are told and not kept.
        """
        for _ in range(2):
            self.resolve()
            self.client.answer(A)
            self.client.answer(AAAA)
        self.assertEqual(len(self.client.asked), 4)
        self.assertEqual(self.told, self.failure("3: Host not found") * 2)

    def test_failures(self) -> None:
        """
        The code of the server is told, of the family that failed first.
        """
        self.resolve()
        self.client.fail(AAAA, DNSServerError(refused(2)))
        self.client.fail(A, DNSNameError(refused(3)))
        self.resolve()
        self.client.fail(A, DNSUnknownError(refused(9)))
        self.client.answer(AAAA)
        self.assertEqual(
            self.told,
            self.failure("2: Server failure") + self.failure("9: Unknown error"),
        )

    def test_otherFamily(self) -> None:
        """
        A failure of one family does not matter when the other has addresses.
        """
        self.resolve()
        self.client.fail(AAAA, DNSServerError(refused(2)))
        self.client.answer(A, a("192.0.2.1"))
        self.resolve()
        self.assertEqual(self.told, [["192.0.2.1"]] * 2)

    def test_cannotAsk(self) -> None:
        """
        When no question can be sent it is a server's failure, and is logged.
        """
        self.make("ipv6=off")
        self.resolve()
        self.client.fail(A, RuntimeError("no sockets"))
        self.assertEqual(self.told, self.failure("2: Server failure"))

    def test_timeout(self) -> None:
        """
        Each waits for the time that it has; the answer is kept for who asks later.
        """
        self.resolve()
        self.clock.advance(10)
        self.resolve(timeout=5)
        self.clock.advance(5)
        expected = self.failure("110: Operation timed out")
        self.assertEqual(self.told, expected)
        self.clock.advance(15)
        self.assertEqual(self.told, expected * 2)
        self.assertEqual(len(self.client.asked), 2)
        self.client.answer(A, a("192.0.2.1"))
        self.client.answer(AAAA)
        self.resolve()
        self.assertEqual(self.told[2:], [["192.0.2.1"]])

    def test_silentFamily(self) -> None:
        """
        Addresses of one family are used when the other stays silent to the end.
        """
        self.resolve()
        self.client.answer(A, a("192.0.2.1"))
        self.clock.advance(30)
        self.assertEqual(self.told, [["192.0.2.1"]])

    def test_askedAgain(self) -> None:
        """
        While somebody waits, a family that got no answer is asked again.
        """
        self.make("ipv6=off", timeout=8)
        self.resolve()
        self.clock.advance(5)
        self.client.fail(A, TimeoutError())
        self.assertEqual(self.client.asked, [(A, NAME)] * 2)
        self.assertEqual(self.client.turns, 2)
        self.clock.advance(3)
        self.client.fail(A, TimeoutError())
        self.assertEqual(len(self.client.asked), 2)
        self.assertEqual(self.told, self.failure("110: Operation timed out"))

    def test_gaveUpAtOnce(self) -> None:
        """
        A client that gives up at once is not asked over and over.
        """
        self.make("ipv6=off")
        self.resolve()
        self.client.fail(A, TimeoutError())
        self.assertEqual(self.told, self.failure("110: Operation timed out"))

    def test_cancel(self) -> None:
        """
        Who has cancelled is not called; cancelling late or twice does nothing.
        """
        cancel = self.resolve()
        other = self.resolve()
        cancel()
        cancel()
        self.client.answer(A, a("192.0.2.1"))
        self.client.answer(AAAA)
        other()
        self.assertEqual(self.told, [["192.0.2.1"]])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.resolve()()
        self.assertEqual(len(self.told), 2)

    def test_close(self) -> None:
        """
        Closing ends everything without a call, and later names are refused.
        """
        self.resolve()
        self.resolver.close()
        self.assertTrue(self.client.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.client.answer(A, a("192.0.2.1"))
        self.assertEqual(self.told, [])
        self.resolve()
        self.assertEqual(self.told, self.failure("5: Operation refused"))

    def test_aliasInAnswer(self) -> None:
        """
        An alias with its address in one answer needs no other question.
        """
        self.resolve()
        self.client.answer(
            A, cname(NAME, b"c.test", ttl=2), a("192.0.2.1", name=b"c.test")
        )
        self.client.answer(AAAA, cname(NAME, b"c.test"))
        self.assertEqual(self.told, [["192.0.2.1"]])
        self.clock.advance(2)
        self.resolve()
        self.assertEqual(len(self.client.asked), 4)

    def test_aliasFollowed(self) -> None:
        """
        The end of a chain of aliases is asked for, and kept under the name wanted.
        """
        self.resolve()
        self.client.answer(
            A, cname(b"C.test", b"d.test", ttl=1), cname(NAME, b"c.test")
        )
        self.client.answer(AAAA)
        self.assertEqual(self.client.asked[2:], [(A, b"d.test"), (AAAA, b"d.test")])
        self.client.answer(A, a("192.0.2.1"), name=b"d.test")
        self.client.answer(AAAA, name=b"d.test")
        self.clock.advance(2)
        self.resolve()
        self.assertEqual(self.told, [["192.0.2.1"]] * 2)

    def test_endlessAliases(self) -> None:
        """
        Aliases of each other end as a name that is not found.
        """
        self.make("ipv6=off")
        self.resolve()
        names = [NAME, b"c.test"]
        for _ in range(MAX_ALIASES + 1):
            self.client.answer(A, cname(names[0], names[1]), name=names[0])
            names.reverse()
        self.assertEqual(len(self.client.asked), MAX_ALIASES + 1)
        self.assertEqual(self.told, self.failure("3: Host not found"))

    def test_ring(self) -> None:
        """
        A ring of aliases in one answer ends as a name that is not found.
        """
        self.make("ipv6=off")
        self.resolve()
        self.client.answer(A, cname(NAME, b"c.test"), cname(b"c.test", NAME))
        self.assertEqual(self.told, self.failure("3: Host not found"))

    def look(self, *, service: bool = False) -> list[Answer]:
        """
        Want all there is of C{b.test}.
        """
        answers: list[Answer] = []
        self.resolver.look("b.test", answers.append, service=service)
        return answers

    def test_look(self) -> None:
        """
        Answers say how long they are good; failures are believed for ten seconds, or
        as long as C{valid=} says.
        """
        answers = self.look()
        self.client.answer(A, a("192.0.2.1", ttl=20))
        self.client.answer(AAAA)
        [found] = answers
        self.assertEqual(
            (found.addresses, found.failure, found.until), (("192.0.2.1",), 0, 20)
        )
        for words, until in (((), 10), (("valid=3s",), 3)):
            self.make(*words)
            answers = self.look()
            self.client.answer(A)
            self.client.answer(AAAA)
            self.assertEqual((answers[0].failure, answers[0].until), (3, until))

    def test_lookPartial(self) -> None:
        """
        Half an answer, with the other family failed, is kept for requests but not for
        those who want to know for certain.
        """
        failure = DNSServerError(refused(2))
        self.resolve()
        self.client.answer(A, a("192.0.2.1"))
        self.client.fail(AAAA, failure)
        self.resolve()
        self.assertEqual(self.told, [["192.0.2.1"]] * 2)
        answers = self.look()
        self.client.answer(A, a("192.0.2.1"))
        self.client.fail(AAAA, failure)
        self.assertEqual([answer.failure for answer in answers], [2])

    def test_lookTimeout(self) -> None:
        """
        A name server that is silent makes the answer useless.
        """
        answers = self.look()
        self.client.answer(A, a("192.0.2.1"))
        self.clock.advance(30)
        self.assertEqual([answer.failure for answer in answers], [110])

    def test_service(self) -> None:
        """
        Services are asked for by themselves, sorted by priority, and kept apart from
        addresses of the same name.
        """
        answers = self.look(service=True)
        self.assertEqual(self.client.asked, [(SRV, NAME)])
        self.client.answer(SRV, srv(2, 0, 81, b"y.test"), srv(1, 5, 80, b"x.test"))
        expected = (Service(1, 5, 80, "x.test"), Service(2, 1, 81, "y.test"))
        self.assertEqual(answers[0].services, expected)
        self.assertEqual(self.look(service=True)[0].services, expected)
        self.look()
        self.assertEqual(self.client.asked[1:], [(A, NAME), (AAAA, NAME)])

    def test_serviceAlias(self) -> None:
        """
        A service may be an alias of another one, or not be there.
        """
        answers = self.look(service=True)
        self.client.answer(SRV, cname(NAME, b"c.test"))
        self.client.answer(SRV, srv(1, 1, 80, b"x.test"), name=b"c.test")
        self.assertEqual(answers[0].services, (Service(1, 1, 80, "x.test"),))
        self.make()
        answers = self.look(service=True)
        self.client.fail(SRV, DNSNameError(refused(3)))
        self.assertEqual(answers[0].failure, 3)

    def test_literal(self) -> None:
        """
        An address needs no question.
        """
        self.resolve("192.0.2.1")
        self.resolve("::1")
        self.assertEqual(self.told, [["192.0.2.1"], ["::1"]])
        self.assertEqual(self.client.asked, [])

    def test_impossible(self) -> None:
        """
        What no name server can be asked for is not found.
        """
        for name in ("", "a..b", ".", "x" * 64 + ".test", "x." * 127 + "x"):
            self.resolve(name)
        self.assertEqual(self.client.asked, [])
        self.assertEqual(len(self.told), 5)
        self.assertEqual(self.told[1], "a..b could not be resolved (3: Host not found)")

    def test_brokenCallback(self) -> None:
        """
        When one who waits fails, the others are told, and it is logged.
        """

        def broken(addresses: Sequence[str]) -> None:
            raise RuntimeError("broken")

        self.resolver.resolve("b.test", broken, self.told.append)
        self.resolve()
        self.client.answer(A, a("192.0.2.1"))
        self.client.answer(AAAA)
        self.assertEqual(self.told, [["192.0.2.1"]])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_nextServer(self) -> None:
        """
        Each name begins with another server, both families of it with the same.
        """
        self.resolve()
        self.resolve("c.test")
        self.assertEqual(self.client.turns, 2)


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
