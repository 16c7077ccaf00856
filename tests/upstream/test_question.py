"""
Tests for L{twisted_upstream.upstream.question}.
"""

from __future__ import annotations

from twisted.internet.defer import TimeoutError
from twisted.names.error import DNSNameError, DNSServerError

from tests.upstream.names import (
    AAAA,
    NAME,
    SRV,
    A,
    ResolverCase,
    a,
    aaaa,
    cname,
    refused,
    srv,
)
from twisted_upstream.upstream.answer import Service
from twisted_upstream.upstream.resolve import MAX_ALIASES


class QuestionTests(ResolverCase):
    """
    What is asked for, and what becomes of the answers.
    """

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

    def test_otherFamily(self) -> None:
        """
        A failure of one family does not matter when the other has addresses.
        """
        self.resolve()
        self.client.fail(AAAA, DNSServerError(refused(2)))
        self.client.answer(A, a("192.0.2.1"))
        self.resolve()
        self.assertEqual(self.told, [["192.0.2.1"]] * 2)

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

    def test_nextServer(self) -> None:
        """
        Each name begins with another server, both families of it with the same.
        """
        self.resolve()
        self.resolve("c.test")
        self.assertEqual(self.client.turns, 2)

    def test_impossible(self) -> None:
        """
        What no name server can be asked for is not found.
        """
        for name in ("", "a..b", ".", "x" * 64 + ".test", "x." * 127 + "x"):
            self.resolve(name)
        self.assertEqual(self.client.asked, [])
        self.assertEqual(len(self.told), 5)
        self.assertEqual(self.told[1], "a..b could not be resolved (3: Host not found)")
