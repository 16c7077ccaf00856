"""
What tests of layers that remember share: a directive's line, a client that speaks HTTP,
groups of servers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.support.fakerequest import messages
from twisted_upstream.balance.peer import Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.config.syntax import ConfigError, Problem
from twisted_upstream.interfaces import (
    IBalancer,
    IBalancerLine,
    IClient,
    IHTTPClient,
    IKept,
    IPeerGetter,
    IPeerInit,
)
from twisted_upstream.variables import Variables
from twisted_upstream.wire.head import ResponseHead

#: 2001-09-09 01:46:40 GMT.
NOW = 1_000_000_000


@implementer(IHTTPClient)
class Browser:
    """
    A client with variables.

    @ivar values: what C{$name} is.
    """

    address = b"\x0a\0\0\1"

    def __init__(self, values: Mapping[str, bytes] | None = None) -> None:
        self.values = dict(values or {})
        self.notes: dict[Any, Any] = {}
        self.edits: list[Callable[[ResponseHead], None]] = []

    def variable(self, name: str) -> bytes:
        return self.values.get(name, b"")

    def addEdit(self, edit: Callable[[ResponseHead], None]) -> None:
        self.edits.append(edit)

    def response(self, fields: bytes = b"", status: int = 200) -> bytes:
        """
        The fields that a response to this client has in the end.

        @param fields: the server's.
        """
        head = ResponseHead(status, fields)
        for edit in reversed(self.edits):
            edit(head)
        return head.fields


@implementer(IBalancerLine)
class StickyLine:
    """
    A directive as written.

    @ivar kept: what was kept, by name.
    """

    def __init__(self, text: str, clock: Clock) -> None:
        self.arguments = text.split()
        self.place = "http"
        self.beside: frozenset[str] = frozenset()
        self.clock = clock
        self.kept: dict[str, tuple[int, IKept]] = {}

    def wallClock(self) -> float:
        return NOW + self.clock.seconds()

    def compile(self, text: str) -> Callable[[IClient], bytes]:
        variables = Variables()
        variables.addPrefix("", lambda name: lambda client: client.variable(name))
        return variables.compile(text)

    def variable(self, name: str) -> Callable[[IClient], bytes]:
        return lambda client: client.variable(name)

    def keep(self, name: str, size: int, kept: IKept) -> None:
        self.kept[name] = (size, kept)

    def error(self, message: str) -> ConfigError:
        return ConfigError([Problem(level="emerg", message=message, path="f", line=1)])


class StickingCase(SynchronousTestCase):
    """
    A group of peers C{a}, C{b} and so on, whose C{sid} is their name.

    @ivar directive: what is tested.
    """

    directive: IBalancer

    def setUp(self) -> None:
        self.clock = Clock()
        self.peers: list[Peer] = []

    def make(
        self,
        text: str,
        letters: str = "abc",
        backups: str = "",
        method: IPeerInit | None = None,
        **parameters: Any,
    ) -> IPeerInit:
        """
        Configure a group.

        @param parameters: of its peers.
        """
        self.line = StickyLine(text, self.clock)
        self.peers = []
        init = self.directive.peerInit(self.line, method or RoundRobin())
        # The wall clock of the peers: a failure is long ago in the beginning.
        self.clock.advance(1000)

        def group(names: str, next: Peers | None) -> Peers:
            peers = [
                Peer(f"{name}:80", (name, 80), sid=name.encode(), **parameters)
                for name in names
            ]
            self.peers += peers
            return Peers(
                "g", peers, seconds=self.clock.seconds, random=Random(1), next=next
            )

        init.initUpstream(group(letters, group(backups, None) if backups else None))
        return init

    def take(self, getter: IPeerGetter) -> str:
        """
        The name of the next peer; C{-}: nobody is available.
        """
        peer = getter.getPeer()
        if peer is None:
            return "-"
        assert isinstance(peer, Peer)
        return peer.name.removesuffix(":80")

    def peer(self, letter: str) -> Peer:
        """
        The peer of that name.
        """
        return next(peer for peer in self.peers if peer.name == f"{letter}:80")

    def ask(self, init: IPeerInit, client: IHTTPClient, outcome: int = 0) -> str:
        """
        A whole request with one attempt: the name of its peer.
        """
        getter = init.initPeer(client)
        name = self.take(getter)
        if name != "-":
            getter.freePeer(self.peer(name), outcome)
        return name

    def refuses(self, text: str, expected: str, place: str = "http") -> None:
        """
        The directive with these words is refused.
        """
        line = StickyLine(text, self.clock)
        line.place = place
        error = self.assertRaises(
            ConfigError, self.directive.peerInit, line, RoundRobin()
        )
        self.assertEqual(messages(error), [expected])
