"""
A name that is being asked for, by all who wait for it.

nginx: C{ngx_resolver_node_t}, C{ngx_resolver_process_a()}
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .answer import Answered, Service

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

#: Types of records: what is asked for, and C{CNAME}.
A = 1
CNAME = 5
AAAA = 28
SRV = 33

#: A name, and whether as a service.
Key = tuple[str, bool]


class Waiter:
    """
    One who waits for a name.
    """

    __slots__ = ("answered", "question", "timer")

    def __init__(self, question: Question, answered: Answered) -> None:
        self.question = question
        self.answered = answered
        self.timer: IDelayedCall | None = None

    def leave(self) -> None:
        """
        Wait no longer; nothing is called any more.
        """
        timer = self.timer
        if timer is not None:
            self.timer = None
            timer.cancel()
            self.question.waiters.remove(self)


class Question:
    """
    A name that is being asked for.

    @ivar key: the name that was wanted, and whether as a service.
    @ivar families: what is asked for.
    @ivar target: the name that is asked for: the same, or what it is an alias of.
    @ivar open: families without an answer.
    @ivar addresses: by family.
    @ivar services: what C{SRV} records say.
    @ivar alias: what C{target} is an alias of.
    @ivar code: of the first failure; 0: none.
    @ivar ttl: the shortest of all records, seconds.
    """

    __slots__ = (
        "addresses",
        "alias",
        "aliases",
        "asked",
        "code",
        "families",
        "key",
        "open",
        "services",
        "target",
        "ttl",
        "waiters",
    )

    def __init__(self, key: Key, families: Sequence[int]) -> None:
        self.key = key
        self.families = families
        self.waiters: list[Waiter] = []
        self.aliases = 0
        self.code = 0
        self.asked = 0.0
        self.begin(key[0].encode("utf-8", "surrogateescape"))

    def begin(self, target: bytes) -> None:
        """
        Forget what is known, C{target} is to be asked for.
        """
        self.target = target
        self.open: set[int] = set()
        self.addresses: dict[int, list[str]] = {}
        self.services: list[Service] = []
        self.alias: bytes | None = None
        self.code = 0
        self.ttl: int | None = None

    def read(self, family: int, records: Sequence[Any]) -> None:
        """
        Take the answer section of one family's message.

        Like nginx we take every address in it: whoever could smuggle one in could
        as well have answered something else.
        """
        aliases: dict[bytes, bytes] = {}
        found: list[str] = []
        for record in records:
            # The upper half stands for negative numbers, which mean nothing.
            ttl = record.ttl if 0 <= record.ttl < 1 << 31 else 0
            self.ttl = ttl if self.ttl is None else min(self.ttl, ttl)
            if family == record.type == SRV:
                said = record.payload
                name = said.target.name.decode("utf-8", "surrogateescape")
                self.services.append(
                    Service(said.priority, said.weight or 1, said.port, name)
                )
            elif record.type == family:
                form = socket.AF_INET if family == A else socket.AF_INET6
                found.append(socket.inet_ntop(form, record.payload.address))
            elif record.type == CNAME:
                aliases[record.name.name.lower()] = record.payload.name.name
        self.addresses[family] = found
        self.services.sort(key=lambda service: service.priority)
        if aliases and not found and not self.services:
            alias = self.target
            # A ring of aliases ends it, too: each one is used once.
            while (following := aliases.pop(alias.lower(), None)) is not None:
                alias = following
            if alias != self.target:
                self.alias = alias

    def found(self) -> tuple[str, ...]:
        """
        All addresses so far, IPv4 first.
        """
        return (*self.addresses.get(A, ()), *self.addresses.get(AAAA, ()))


def isName(name: str) -> bool:
    """
    Can this be asked for?
    """
    octets = name.encode("utf-8", "surrogateescape")
    return len(octets) <= 253 and all(0 < len(s) < 64 for s in octets.split(b"."))
