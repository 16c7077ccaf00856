"""
Tests for L{twisted_upstream.balance.levels}: large groups choose as small ones do.
"""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.balance.rules import RuleLeastConn, Somebody, compareHistories
from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.levels import MANY, Levels
from twisted_upstream.balance.load import LeastConn
from twisted_upstream.balance.peer import DOWN, Outcome, Peer
from twisted_upstream.balance.peers import Peers


class PlainLeastConn(LeastConn):
    """
    By the loop, whatever the size.
    """

    def initUpstream(self, peers: Peers) -> None:
        super().initUpstream(peers)
        peers.turns = None
        if peers.next is not None:
            peers.next.turns = None


class Twin:
    """
    A group by one of two ways to choose.
    """

    def __init__(
        self, balancer: LeastConn, primary: list[Peer], backup: list[Peer]
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.balancer = balancer
        self.primary = primary
        self.all = primary + backup
        self.open: list[tuple[PeerGetter, Peer]] = []
        self.again: list[PeerGetter] = []
        seconds, random = self.clock.seconds, Random(1)
        next = Peers("g", backup, seconds=seconds, random=random) if backup else None
        self.peers = Peers("g", primary, seconds=seconds, random=random, next=next)
        balancer.initUpstream(self.peers)

    def get(self, getter: PeerGetter) -> str:
        """
        One choice.
        """
        peer = getter.getPeer()
        if peer is None:
            return ""
        self.open.append((getter, peer))
        return peer.name

    def does(self, what: str, number: int) -> str:
        """
        Something happens; what came of it.
        """
        if what == "get" or (what == "hinted" and not self.all):
            return self.get(self.balancer.initPeer(Somebody()))
        if what == "hinted":
            getter = self.balancer.initPeer(Somebody())
            getter.hint = self.all[number % len(self.all)].sid
            return self.get(getter)
        if what == "again" and self.again:
            return self.get(self.again.pop(number % len(self.again)))
        if what in ("ends", "fails") and self.open:
            getter, peer = self.open.pop(number % len(self.open))
            outcome = Outcome.OK if what == "ends" else Outcome.FAILED
            getter.freePeer(peer, outcome)
            self.again.append(getter)
        elif what == "passes":
            self.clock.advance(number % 7)
        elif what == "weighs":
            peer = self.all[number % len(self.all)]
            self.touch(peer)
            peer.weight = peer.effectiveWeight = number % 4 + 1
            self.renew(len(self.peers.peers))
        elif what == "down":
            peer = self.all[number % len(self.all)]
            self.touch(peer)
            peer.down ^= DOWN
        elif what == "members":
            self.renew(number % len(self.primary) + 1)
        return ""

    def touch(self, peer: Peer) -> None:
        """
        It is about to change.
        """
        peers: Peers | None = self.peers
        while peers is not None:
            peers.touch(peer)
            peers = peers.next

    def renew(self, count: int) -> None:
        """
        A new generation with so many of the servers, and all backups.
        """
        next = self.peers.next
        if next is not None:
            next = next.successor(next.peers)
        self.peers = self.peers.successor(self.primary[:count], next)
        self.balancer.initUpstream(self.peers)

    def numbers(self) -> list[tuple[Any, ...]]:
        """
        What is kept of each server.
        """
        peers: Peers | None = self.peers
        while peers is not None:
            peers.settle()
            peers = peers.next
        return [
            (peer.conns, peer.currentWeight, peer.effectiveWeight, peer.fails)
            for peer in self.all
        ]


_peers = st.fixed_dictionaries(
    {
        "weight": st.sampled_from((1, 1, 1, 2, 3, 7)),
        "maxConns": st.sampled_from((0, 0, 0, 1, 2)),
        "maxFails": st.sampled_from((0, 1, 2, 3)),
        "failTimeout": st.sampled_from((0, 1, 4)),
        "down": st.sampled_from((0, 0, 0, 0, DOWN)),
    }
)
_what = st.sampled_from(
    ("get",) * 12
    + ("ends",) * 8
    + ("fails", "again", "hinted", "passes", "passes", "down", "weighs")
)


class LevelsTests(SynchronousTestCase):
    """
    Tests for L{Levels}.
    """

    def test_followsTheRules(self) -> None:
        """
        Each choice and each number is as the rules have it.
        """
        compareHistories(
            self,
            LeastConn,
            lambda rule, client, _: RuleLeastConn(rule),
            60,
            sizes=(MANY, MANY + 1, 2 * MANY),
        )

    @settings(
        max_examples=120,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        st.lists(_peers, min_size=MANY, max_size=MANY + 10),
        st.integers(0, 2),
        st.lists(st.tuples(_what, st.integers(0, 1 << 16)), max_size=150),
        st.lists(st.integers(0, 149), max_size=4),
    )
    def test_asTheLoop(
        self,
        servers: list[dict[str, int]],
        backups: int,
        events: list[tuple[str, int]],
        changes: list[int],
    ) -> None:
        """
        Whatever happens, also while requests of earlier generations are under way, each
        choice is the same as the loop's, and so are the numbers in the end.
        """
        events = [
            ("members", event[1]) if index in changes else event
            for index, event in enumerate(events)
        ]
        twins = []
        for balancer in (LeastConn(), PlainLeastConn()):
            made = [
                Peer(str(n), (str(n), 80), **each)  # type: ignore[arg-type]
                for n, each in enumerate(servers)
            ]
            primary = len(made) - backups
            twins.append(Twin(balancer, made[:primary], made[primary:]))
        large, plain = twins
        for index, (what, number) in enumerate(events):
            self.assertEqual(
                large.does(what, number), plain.does(what, number), (index, what)
            )
        self.assertEqual(large.numbers(), plain.numbers())

    def test_generations(self) -> None:
        """
        So it is when the group grows and shrinks again and again, and requests of small
        generations choose among what large ones know best.
        """
        for seed in range(25):
            chance = Random(seed)
            twins = [
                Twin(
                    balancer,
                    [Peer(str(n), (str(n), 80), weight=n % 3 + 1) for n in range(50)],
                    [Peer(str(n), (str(n), 80)) for n in range(50, 50 + seed % 3)],
                )
                for balancer in (LeastConn(), PlainLeastConn())
            ]
            for step in range(300):
                what = chance.choice(
                    ("get", "get", "get", "ends", "fails", "again", "again", "members")
                )
                number = chance.choice((5, 44, 49, chance.randrange(1000)))
                large, plain = [twin.does(what, number) for twin in twins]
                self.assertEqual(large, plain, (seed, step, what))
            self.assertEqual(twins[0].numbers(), twins[1].numbers())

    def group(self, count: int, **options: Any) -> Twin:
        """
        A large group.
        """
        peers = [Peer(f"{n:03}", (str(n), 80), **options) for n in range(count)]
        return Twin(LeastConn(), peers, [])

    def test_spread(self) -> None:
        """
        Each server gets one attempt before any gets two.
        """
        twin = self.group(100)
        names = [twin.does("get", 0) for _ in range(200)]
        self.assertEqual(names[:100], [f"{n:03}" for n in range(100)])
        self.assertEqual(sorted(names[100:]), names[:100])

    def test_suits(self) -> None:
        """
        Small groups, such as share their health, warm up or weigh enormously go by the
        loop.
        """
        for count, options, suits in (
            (MANY, {}, True),
            (MANY - 1, {}, False),
            (MANY, {"slowStart": 1.0}, False),
            (MANY, {"weight": 1 << 24}, False),
        ):
            twin = self.group(count, **options)
            self.assertIs(type(twin.peers.turns) is Levels, suits)

    def test_bounded(self) -> None:
        """
        What is left in heaps of servers that have changed their level is bounded.
        """
        twin = self.group(MANY)
        turns = twin.peers.turns
        assert isinstance(turns, Levels)
        chance = Random(3)
        for _ in range(5000):
            if twin.open and chance.random() < len(twin.open) / 100:
                twin.does("ends", chance.randrange(1000))
            else:
                twin.does("get", 0)
            twin.again.clear()
        levels = turns._byLoad.values()
        self.assertEqual(sum(level.count for level in levels) + len(turns._aside), MANY)
        for level in levels:
            sizes = sum(map(len, level.heaps.values()))
            self.assertLessEqual(sizes, 2 * level.count + MANY)
        self.assertLessEqual(len(turns._loads), 2 * len(levels) + MANY + 1)
