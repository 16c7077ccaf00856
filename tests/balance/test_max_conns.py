"""
C{max_conns} under every method of choosing, and through layers around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.interfaces import IBalancer, IPeerGetter, IPeerInit
from twisted_upstream.plugins import find

from .rules import Somebody
from .test_load import Line

METHODS: Sequence[Sequence[str]] = (
    (),
    ("least_conn",),
    ("random",),
    ("random", "two"),
    ("random", "two", "least_time=header"),
    ("hash", "$key"),
    ("hash", "$key", "consistent"),
    ("ip_hash",),
    ("least_time", "header"),
    ("least_time", "last_byte", "inflight"),
)
LAYERS: Sequence[Sequence[str]] = (
    (),
    ("persist $key",),
    ("persist $key commit=select on_full=spill",),
    ("queue 4",),
    ("persist $key on_full=wait commit=select", "queue 4"),
)


def balancers(clock: Clock) -> Iterator[tuple[str, IPeerInit]]:
    """
    Every method with every combination of layers.
    """
    plugins = find(IBalancer)
    for method in METHODS:
        for layers in LAYERS:
            init: IPeerInit = RoundRobin()
            for words in (method, *(layer.split() for layer in layers)):
                if not words:
                    continue
                line = Line(*words[1:])
                line.clock = clock
                line.beside = frozenset(layer.split()[0] for layer in layers)
                plugin = plugins[words[0]]
                init = plugin.peerInit(line, init if plugin.layer else None)
            yield " ".join([*method, *layers]), init


class MaxConnsTests(SynchronousTestCase):
    """
    Three servers that take 1, 2 and 3 attempts, and one backup that takes 1.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.taken: list[tuple[IPeerGetter, Peer]] = []

    def start(self, init: IPeerInit) -> None:
        """
        Let C{init} choose among fresh peers.
        """
        self.limited = [
            Peer(name, (name, 80), maxConns=limit, maxFails=0)
            for name, limit in (("a", 1), ("b", 2), ("c", 3), ("z", 1))
        ]
        seconds, random = self.clock.seconds, Random(1)
        backup = Peers("g", self.limited[3:], seconds=seconds, random=random)
        init.initUpstream(
            Peers("g", self.limited[:3], seconds=seconds, random=random, next=backup)
        )
        self.init = init

    def ask(self, number: int) -> Deferred[None] | None:
        """
        One more request asks for a server.
        """
        client = Somebody(bytes((10, number, 0, 1)), b"%d" % number)
        getter = self.init.initPeer(client)
        peer = getter.getPeer()
        if isinstance(peer, Peer):
            self.taken.append((getter, peer))
            return None
        if peer is None:
            return None

        def got(found: Peer | None) -> None:
            if found is not None:
                self.taken.append((getter, found))

        return peer.addCallback(got)

    def conns(self) -> list[int]:
        """
        How many attempts each has.
        """
        return [peer.conns for peer in self.limited]

    def test_filled(self) -> None:
        """
        Seven different clients fill everybody, whatever the method; an eighth gets
        nobody until one has ended.
        """
        for name, init in balancers(self.clock):
            self.start(init)
            for number in range(7):
                self.ask(number)
            self.assertEqual(self.conns(), [1, 2, 3, 1], name)
            waiting = self.ask(7)
            self.assertEqual(self.conns(), [1, 2, 3, 1], name)
            getter, peer = self.taken.pop(0)
            getter.freePeer(peer, Outcome.OK)
            self.clock.advance(0)
            if waiting is None:
                self.ask(8)
            self.assertEqual(self.conns(), [1, 2, 3, 1], name)
            for getter, peer in self.taken:
                getter.freePeer(peer, Outcome.FAILED)
            self.taken.clear()
            self.assertEqual(self.conns(), [0, 0, 0, 0], name)
            self.assertEqual(self.clock.getDelayedCalls(), [], name)
