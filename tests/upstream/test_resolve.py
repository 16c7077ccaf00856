"""
Tests for L{twisted_upstream.upstream.resolve}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet import task
from twisted.names.error import DNSNameError, DNSServerError, DNSUnknownError
from twisted.trial.unittest import SynchronousTestCase

from tests.upstream.names import (
    AAAA,
    A,
    ResolverCase,
    a,
    aaaa,
    nobody,
    refused,
)
from twisted_upstream.config.syntax import ConfigError, Node
from twisted_upstream.upstream.resolve import UNUSED, Resolver


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


class ResolverTests(ResolverCase):
    """
    Who wants a name, and what is kept.
    """

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

    def test_literal(self) -> None:
        """
        An address needs no question.
        """
        self.resolve("192.0.2.1")
        self.resolve("::1")
        self.assertEqual(self.told, [["192.0.2.1"], ["::1"]])
        self.assertEqual(self.client.asked, [])

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
