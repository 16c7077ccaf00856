"""
Names that tests ask for: records, and a client that asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.names import dns
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.syntax import Node
from twisted_upstream.upstream.answer import Answer
from twisted_upstream.upstream.resolve import Resolver

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


class ResolverCase(SynchronousTestCase):
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

    def look(self, *, service: bool = False) -> list[Answer]:
        """
        Want all there is of C{b.test}.
        """
        answers: list[Answer] = []
        self.resolver.look("b.test", answers.append, service=service)
        return answers
