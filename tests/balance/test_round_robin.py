"""
Tests for L{twisted_upstream.balance.round_robin}, and a comparison of thousands of
random histories with the rules as they are written down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyClass, verifyObject

from twisted_upstream.balance.peers import Outcome, Peer, PeerGetter, Peers
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.interfaces import IClient, IPeerInit


@implementer(IClient)
class Nobody:
    """
    A client without qualities.
    """

    address = b""

    def variable(self, name: str) -> bytes:
        return b""


class RoundRobinTests(SynchronousTestCase):
    """
    Tests for L{RoundRobin}.
    """

    def makePeers(self, names: str) -> Peers:
        return Peers(
            "g",
            [Peer(name, (name, 80)) for name in names],
            seconds=Clock().seconds,
            random=Random(1),
        )

    def test_provides(self) -> None:
        """
        It is what a group needs.
        """
        verifyClass(IPeerInit, RoundRobin)
        verifyObject(IPeerInit, RoundRobin())

    def test_turns(self) -> None:
        """
        Each request gets the next server.
        """
        balancer = RoundRobin()
        balancer.initUpstream(self.makePeers("abc"))
        names = ""
        for _ in range(6):
            getter = balancer.initPeer(Nobody())
            peer = getter.getPeer()
            assert peer is not None
            getter.freePeer(peer, Outcome.OK)
            names += peer.name
        self.assertEqual(names, "abcabc")

    def test_newGeneration(self) -> None:
        """
        Requests that begin after a change see the new servers, the others do not.
        """
        balancer = RoundRobin()
        balancer.initUpstream(self.makePeers("a"))
        before = balancer.initPeer(Nobody())
        balancer.initUpstream(self.makePeers("b"))
        old, new = before.getPeer(), balancer.initPeer(Nobody()).getPeer()
        assert old is not None and new is not None
        self.assertEqual((old.name, new.name), ("a", "b"))


@dataclass(eq=False)
class RulePeer:
    """
    A peer as the rules see it.
    """

    sid: bytes
    weight: int
    maxFails: int
    failTimeout: int
    maxConns: int
    down: int
    effectiveWeight: int = field(init=False)
    currentWeight: int = 0
    conns: int = 0
    fails: int = 0
    accessed: int = 0
    checked: int = 0

    def __post_init__(self) -> None:
        self.effectiveWeight = self.weight


@dataclass(eq=False)
class RuleList:
    """
    A list of peers as the rules see it.
    """

    peers: list[RulePeer]
    next: RuleList | None
    single: bool


class RuleRequest:
    """
    One request, step by step as in the description of the method, with indexes and
    flags and no attention to speed.
    """

    def __init__(self, primary: RuleList) -> None:
        self.list = primary
        self.tried = [False] * len(primary.peers)
        self.current = -1
        self.hint: bytes | None = None
        self.tries = sum(1 for p in primary.peers if p.down == 0)
        if primary.next:
            self.tries += sum(1 for p in primary.next.peers if p.down == 0)

    def bySid(self, now: int) -> int | None:
        sids = [p.sid for p in self.list.peers]
        if self.hint is None or self.hint not in sids:
            return None
        i = sids.index(self.hint)
        p = self.list.peers[i]
        if self.tried[i] or p.down & ~8 or self.penalized(p, now) or self.full(p):
            return None
        return i

    @staticmethod
    def penalized(p: RulePeer, now: int) -> bool:
        if p.maxFails == 0 or p.fails < p.maxFails:
            return False
        return now - p.checked <= p.failTimeout

    @staticmethod
    def full(p: RulePeer) -> bool:
        return p.maxConns > 0 and p.conns >= p.maxConns

    def get(self, now: int) -> RulePeer | None:
        if self.list.single:
            index = self.bySid(now)
            if index is None:
                p = self.list.peers[0]
                index = None if p.down or self.full(p) else 0
        else:
            index = self.choose(now)
        if index is not None:
            self.current = index
            chosen = self.list.peers[index]
            chosen.conns += 1
            return chosen
        if self.list.next is not None:
            self.list = self.list.next
            self.tried = [False] * len(self.list.peers)
            return self.get(now)
        return None

    def choose(self, now: int) -> int | None:
        peers = self.list.peers
        sticky = self.bySid(now)
        best: int | None = None
        limit = None
        if sticky is not None:
            total = sum(p.weight for p in peers)
            limit = -(total - peers[sticky].weight)
        if (
            sticky is not None
            and limit is not None
            and peers[sticky].currentWeight <= limit
        ):
            best = sticky
        else:
            total = 0
            for i, p in enumerate(peers):
                if self.tried[i] or p.down or self.penalized(p, now) or self.full(p):
                    continue
                p.currentWeight += p.effectiveWeight
                total += p.effectiveWeight
                if p.effectiveWeight < p.weight:
                    p.effectiveWeight += 1
                if best is None or p.currentWeight > peers[best].currentWeight:
                    best = i
            if sticky is not None:
                best = sticky
            if best is None:
                return None
            peers[best].currentWeight -= total
        self.tried[best] = True
        if now - peers[best].checked > peers[best].failTimeout:
            peers[best].checked = now
        return best

    def free(self, outcome: int, now: int) -> bool:
        """
        @return: was the server disabled?
        """
        p = self.list.peers[self.current]
        disabled = False
        if self.list.single:
            p.fails = 0
            p.conns -= 1
            self.tries = 0
            return False
        if outcome == 4:
            p.fails += 1
            p.accessed = p.checked = now
            if p.maxFails > 0:
                p.effectiveWeight -= p.weight // p.maxFails
                disabled = p.fails >= p.maxFails
            if p.effectiveWeight < 0:
                p.effectiveWeight = 0
        elif p.accessed < p.checked:
            p.fails = 0
        p.conns -= 1
        if self.tries > 0:
            self.tries -= 1
        return disabled


class History:
    """
    Two equal groups, one of each kind, that live through the same random events.
    """

    def __init__(self, test: SynchronousTestCase, seed: int) -> None:
        self.test = test
        self.chance = Random(seed)
        self.clock = Clock()
        self.clock.advance(self.chance.choice((0, 1_700_000_000.25)))
        self.disabled: list[str] = []
        self.ours: list[Peer] = []
        self.rules: list[RulePeer] = []
        backups = self.chance.choice((0, 0, 0, 1, 2))
        primaries = self.chance.choice((0, 1, 1, 2, 3, 3, 5, 9))
        ourBackups, ruleBackups = self.makePair(backups, None, None)
        self.peers, self.rule = self.makePair(primaries, ourBackups, ruleBackups)
        self.open: list[tuple[PeerGetter, RuleRequest, Peer]] = []
        self.failed: list[tuple[PeerGetter, RuleRequest]] = []

    def makePair(
        self, count: int, next: Peers | None, ruleNext: RuleList | None
    ) -> tuple[Peers, RuleList]:
        choice = self.chance.choice
        ours: list[Peer] = []
        rules: list[RulePeer] = []
        for _ in range(count):
            name = f"p{len(self.ours) + len(ours)}"
            options: dict[str, Any] = {
                "weight": choice((1, 1, 1, 2, 5, 10)),
                "maxFails": choice((0, 1, 1, 2, 3)),
                "failTimeout": choice((0, 1, 3, 10)),
                "maxConns": choice((0, 0, 0, 1, 2)),
                "down": choice((0, 0, 0, 0, 0, 1, 8)),
            }
            sid = choice((b"s", b"t", name.encode()))
            ours.append(Peer(name, (name, 80), sid=sid, **options))
            rules.append(RulePeer(sid, **options))
        self.ours += ours
        self.rules += rules
        wanted = ruleNext if ruleNext is not None and ruleNext.peers else None
        if wanted is not None:
            wanted.single = False
        made = Peers(
            "g",
            ours,
            seconds=self.clock.seconds,
            random=self.chance,
            next=next if wanted is not None else None,
            unavailable=lambda peer: self.disabled.append(peer.name),
        )
        return made, RuleList(rules, wanted, count == 1 and wanted is None)

    def step(self) -> None:
        kind = self.chance.random()
        if kind < 0.4:
            self.begin()
        elif kind < 0.5:
            self.clock.advance(self.chance.choice((0.3, 1, 1, 2, 4, 11)))
        elif kind < 0.9 and self.open:
            self.end()
        elif self.failed:
            getter, rule = self.failed.pop(self.chance.randrange(len(self.failed)))
            self.get(getter, rule)
        self.compare()

    def begin(self) -> None:
        getter, rule = PeerGetter(self.peers), RuleRequest(self.rule)
        if self.chance.random() < 0.2:
            getter.hint = rule.hint = self.chance.choice((b"s", b"t", b"p0", b"none"))
        self.get(getter, rule)

    def get(self, getter: PeerGetter, rule: RuleRequest) -> None:
        expected = rule.get(int(self.clock.seconds()))
        peer = getter.getPeer()
        if expected is None or peer is None:
            self.test.assertIs(peer, expected)
            return
        self.test.assertEqual(self.ours.index(peer), self.rules.index(expected))
        self.open.append((getter, rule, peer))

    def end(self) -> None:
        getter, rule, peer = self.open.pop(self.chance.randrange(len(self.open)))
        outcome = self.chance.choice((Outcome.OK, Outcome.NEXT, Outcome.FAILED))
        before = len(self.disabled)
        getter.freePeer(peer, outcome)
        told = rule.free(outcome, int(self.clock.seconds()))
        self.test.assertEqual(self.disabled[before:], [peer.name] if told else [])
        self.test.assertEqual(getter.tries, rule.tries)
        if outcome != Outcome.OK:
            self.failed.append((getter, rule))

    def compare(self) -> None:
        for ours, rule in zip(self.ours, self.rules, strict=True):
            for name in (
                "currentWeight",
                "effectiveWeight",
                "conns",
                "fails",
                "accessed",
                "checked",
            ):
                self.test.assertEqual(
                    getattr(ours, name), getattr(rule, name), (ours, name)
                )

    def finish(self) -> None:
        while self.open:
            self.end()
        self.test.assertEqual({peer.conns for peer in self.ours} - {0}, set())


class HistoryTests(SynchronousTestCase):
    """
    The getter does what the rules say.
    """

    def test_followsTheRules(self) -> None:
        """
        Whatever requests, failures and pauses come, each choice and each number is as
        the rules have it, and no peer is held in the end.
        """
        for seed in range(400):
            history = History(self, seed)
            try:
                for _ in range(80):
                    history.step()
                history.finish()
            except self.failureException as e:
                raise self.failureException(f"history {seed}: {e}") from e
