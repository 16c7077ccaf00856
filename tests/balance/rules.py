"""
The rules of choosing as they are written down, step by step, with indexes and flags
and no attention to speed; and random histories that compare them with our getters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from zlib import crc32

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.turns import LARGE
from twisted_upstream.interfaces import IClient, IPeerInit


@implementer(IClient)
class Somebody:
    """
    A client with an address and a key.
    """

    def __init__(self, address: bytes = b"", key: bytes = b"") -> None:
        self.address = address
        self.key = key
        self.notes: dict[Any, Any] = {}
        self.protocol = b""

    def variable(self, name: str) -> bytes:
        return self.key


@dataclass(eq=False)
class RulePeer:
    """
    A peer as the rules see it.
    """

    server: str
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
    times: dict[str, int] = field(default_factory=dict)
    inflightReqs: int = 0
    inflightTime: int = 0
    inflightLast: int = 0
    inflightChanged: int = 0

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
    One request by round robin.
    """

    def __init__(self, primary: RuleList) -> None:
        self.list = primary
        self.tried = [False] * len(primary.peers)
        self.current = -1
        self.hint: bytes | None = None
        self.seconds: Callable[[], float] = lambda: 0.0
        self.tries = sum(1 for p in primary.peers if p.down == 0)
        if primary.next:
            self.tries += sum(1 for p in primary.next.peers if p.down == 0)

    def failed(self, i: int, now: int) -> bool:
        p = self.list.peers[i]
        if p.maxFails == 0 or p.fails < p.maxFails:
            return False
        return now - p.checked <= p.failTimeout

    def full(self, i: int) -> bool:
        p = self.list.peers[i]
        return p.maxConns > 0 and p.conns >= p.maxConns

    def usable(self, i: int, now: int) -> bool:
        if self.tried[i] or self.list.peers[i].down:
            return False
        return not self.failed(i, now) and not self.full(i)

    def bySid(self, now: int) -> int | None:
        sids = [p.sid for p in self.list.peers]
        if self.hint is None or self.hint not in sids:
            return None
        i = sids.index(self.hint)
        if self.tried[i] or self.list.peers[i].down & ~8:
            return None
        return None if self.failed(i, now) or self.full(i) else i

    def byWeight(self, target: int) -> int:
        i = 0
        while target >= self.list.peers[i].weight:
            target -= self.list.peers[i].weight
            i += 1
        return i

    @property
    def totalWeight(self) -> int:
        return sum(p.weight for p in self.list.peers)

    def take(self, i: int, now: int) -> RulePeer:
        p = self.list.peers[i]
        self.current = i
        self.tried[i] = True
        if now - p.checked > p.failTimeout:
            p.checked = now
        p.conns += 1
        return p

    def toBackup(self) -> bool:
        if self.list.next is None:
            return False
        self.list = self.list.next
        self.tried = [False] * len(self.list.peers)
        return True

    def turn(self, candidates: list[int]) -> int | None:
        """
        One step of smooth weighted round robin.
        """
        best: int | None = None
        total = 0
        for i in candidates:
            p = self.list.peers[i]
            p.currentWeight += p.effectiveWeight
            total += p.effectiveWeight
            if p.effectiveWeight < p.weight:
                p.effectiveWeight += 1
            if best is None or p.currentWeight > self.list.peers[best].currentWeight:
                best = i
        if best is not None:
            self.list.peers[best].currentWeight -= total
        return best

    def roundRobin(self, now: int) -> RulePeer | None:
        peers = self.list.peers
        if self.list.single:
            i = self.bySid(now)
            if i is None and not peers[0].down and not self.full(0):
                i = 0
            if i is not None:
                self.current = i
                peers[i].conns += 1
                return peers[i]
        else:
            chosen = self.chooseInTurn(now)
            if chosen is not None:
                return self.take(chosen, now)
        return self.roundRobin(now) if self.toBackup() else None

    def chooseInTurn(self, now: int) -> int | None:
        peers = self.list.peers
        sticky = self.bySid(now)
        if sticky is None:
            return self.turn([i for i in range(len(peers)) if self.usable(i, now)])
        p = peers[sticky]
        if p.currentWeight <= -(self.totalWeight - p.weight):
            return sticky
        total = 0
        for i, each in enumerate(peers):
            if self.usable(i, now):
                each.currentWeight += each.effectiveWeight
                total += each.effectiveWeight
                if each.effectiveWeight < each.weight:
                    each.effectiveWeight += 1
        p.currentWeight -= total
        return sticky

    def get(self, now: int) -> RulePeer | None:
        return self.roundRobin(now)

    def free(self, outcome: int, now: int) -> bool:
        """
        @return: was the server disabled?
        """
        p = self.list.peers[self.current]
        p.conns -= 1
        disabled = False
        if self.list.single:
            p.fails = 0
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
        if self.tries > 0:
            self.tries -= 1
        return disabled

    def notify(self, milestone: str) -> None:
        p = self.list.peers[self.current]
        if milestone == "connect" and p.accessed < p.checked:
            p.fails = 0


class RuleLeastConn(RuleRequest):
    """
    One request by C{least_conn}.
    """

    def get(self, now: int) -> RulePeer | None:
        if self.list.single:
            return self.roundRobin(now)
        peers = self.list.peers
        best = self.bySid(now)
        if best is not None:
            return self.take(best, now)
        many = False
        for i, p in enumerate(peers):
            if not self.usable(i, now):
                continue
            if best is None:
                best = i
                continue
            mine, least = p.conns * peers[best].weight, peers[best].conns * p.weight
            if mine < least:
                best, many = i, False
            elif mine == least:
                many = True
        if best is None:
            return self.get(now) if self.toBackup() else None
        total = 0
        if many:
            for i in range(best, len(peers)):
                p = peers[i]
                if p.conns * peers[best].weight != peers[best].conns * p.weight:
                    continue
                if not self.usable(i, now):
                    continue
                p.currentWeight += p.effectiveWeight
                total += p.effectiveWeight
                if p.effectiveWeight < p.weight:
                    p.effectiveWeight += 1
                if p.currentWeight > peers[best].currentWeight:
                    best = i
        peers[best].currentWeight -= total
        return self.take(best, now)


def ruleAverage(old: int, value: int) -> int:
    """
    A moving average of milliseconds.
    """
    return value if old == 0 else int(0.5 + (0.05 * value + 0.95 * old))


class RuleLeastTime(RuleRequest):
    """
    One request by C{least_time}.
    """

    def __init__(self, primary: RuleList, mode: str, useInflight: bool) -> None:
        super().__init__(primary)
        self.mode = mode
        self.useInflight = useInflight
        self.inflight = False
        self.state: dict[str, int] = {}

    @property
    def ms(self) -> int:
        return int(self.seconds() * 1000)

    def eta(self, p: RulePeer, now: int) -> int:
        rt = p.times.get(self.mode, 0)
        d = now - p.checked
        if d > p.failTimeout:
            rt = rt >> (d // (p.failTimeout + 1))
        if p.inflightReqs > 0:
            rt = max(rt, p.inflightTime)
        rt = 5000 if rt > 5000 else rt + 20 - rt % 20
        return rt * (1 + p.conns)

    def get(self, now: int) -> RulePeer | None:
        self.begun = self.ms
        self.state = {}
        if self.list.single:
            return self.roundRobin(now)
        peers = self.list.peers
        best = self.bySid(now)
        if best is None:
            best = self.byTime(now)
        if best is None:
            return self.get(now) if self.toBackup() else None
        p = peers[best]
        if self.useInflight:
            if p.inflightReqs:
                p.inflightLast += (self.ms - p.inflightChanged) * p.inflightReqs
            p.inflightChanged = self.ms
            p.inflightReqs += 1
            self.inflight = True
        return self.take(best, now)

    def byTime(self, now: int) -> int | None:
        peers = self.list.peers
        best: int | None = None
        bestEta, many = 0, False
        for i, p in enumerate(peers):
            if not self.usable(i, now):
                continue
            if p.inflightReqs > 0:
                ift = p.inflightLast // p.inflightReqs + (self.ms - p.inflightChanged)
                p.inflightTime = ruleAverage(p.inflightTime, ift)
            eta = self.eta(p, now)
            if best is None or eta * peers[best].weight < bestEta * p.weight:
                best, bestEta, many = i, eta, False
            elif eta * peers[best].weight == bestEta * p.weight:
                many = True
        if best is None:
            return None
        total = 0
        if many:
            for i in range(best, len(peers)):
                p = peers[i]
                if self.eta(p, now) * peers[best].weight != bestEta * p.weight:
                    continue
                if not self.usable(i, now):
                    continue
                p.currentWeight += p.effectiveWeight
                total += p.effectiveWeight
                if p.effectiveWeight < p.weight:
                    p.effectiveWeight += 1
                if p.currentWeight > peers[best].currentWeight:
                    best = i
        peers[best].currentWeight -= total
        return best

    def notify(self, milestone: str) -> None:
        p = self.list.peers[self.current]
        last = self.state[milestone] = self.ms - self.begun
        if self.useInflight and milestone == self.mode:
            p.times[milestone] = ruleAverage(p.times.get(milestone, 0), last)
            if self.inflight:
                self.inflightDone(p, last)
        super().notify(milestone)

    def inflightDone(self, p: RulePeer, last: int) -> None:
        if p.inflightReqs == 1:
            p.inflightLast = 0
        else:
            p.inflightLast += (self.ms - p.inflightChanged) * p.inflightReqs - last
            p.inflightChanged = self.ms
        p.inflightReqs -= 1
        self.inflight = False

    def free(self, outcome: int, now: int) -> bool:
        p = self.list.peers[self.current]
        response = self.ms - self.begun
        if self.inflight:
            self.inflightDone(p, response)
        if outcome == 0 and self.state:
            p.times["last_byte"] = ruleAverage(p.times.get("last_byte", 0), response)
            for name, time in self.state.items():
                if not (self.useInflight and name == self.mode):
                    p.times[name] = ruleAverage(p.times.get(name, 0), time)
        return super().free(outcome, now)


class RuleRandom(RuleRequest):
    """
    One request by C{random}.
    """

    def __init__(self, primary: RuleList, chance: Random) -> None:
        super().__init__(primary)
        self.chance = chance
        self.misses = 0

    def peek(self) -> int:
        return self.byWeight(int(self.chance.random() * self.totalWeight))

    def get(self, now: int) -> RulePeer | None:
        if self.misses > 20 or len(self.list.peers) < 2:
            return self.roundRobin(now)
        i = self.bySid(now)
        while i is None:
            i = self.peek()
            if not self.usable(i, now):
                i = None
                self.misses += 1
                if self.misses > 20:
                    return self.roundRobin(now)
        return self.take(i, now)


class RuleRandomTwo(RuleRandom):
    """
    One request by C{random two}.
    """

    def get(self, now: int) -> RulePeer | None:
        if self.misses > 20 or len(self.list.peers) < 2:
            return self.roundRobin(now)
        i = self.bySid(now)
        if i is not None:
            return self.take(i, now)
        peers = self.list.peers
        first: int | None = None
        while True:
            i = self.peek()
            if i == first or not self.usable(i, now):
                self.misses += 1
                if self.misses > 20:
                    return self.roundRobin(now)
            elif first is None:
                first = i
            else:
                one, two = peers[first], peers[i]
                if two.conns * one.weight > one.conns * two.weight:
                    i = first
                return self.take(i, now)


class RuleHash(RuleRequest):
    """
    One request by C{hash}.
    """

    def __init__(self, primary: RuleList, key: bytes) -> None:
        super().__init__(primary)
        self.key = key
        self.misses = 0
        self.rehash = 0
        self.hash = 0

    def get(self, now: int) -> RulePeer | None:
        if self.misses > 20 or len(self.list.peers) < 2 or self.key == b"":
            return self.roundRobin(now)
        i = self.bySid(now)
        while i is None:
            text = self.key
            if self.rehash > 0:
                text = str(self.rehash).encode() + text
            self.hash = (self.hash + ((crc32(text) >> 16) & 0x7FFF)) % 2**32
            self.rehash += 1
            i = self.byWeight(self.hash % self.totalWeight)
            if not self.usable(i, now):
                i = None
                self.misses += 1
                if self.misses > 20:
                    return self.roundRobin(now)
        return self.take(i, now)


def rulePoints(peers: list[RulePeer]) -> list[tuple[int, str]]:
    """
    The points of C{hash … consistent}.
    """
    points: list[tuple[int, str]] = []
    for p in peers:
        host, port = p.server, ""
        if p.server[:5].lower() == "unix:":
            host = p.server[5:]
        else:
            for j in range(len(p.server) - 1, -1, -1):
                if p.server[j] == ":":
                    host, port = p.server[:j], p.server[j + 1 :]
                    break
                if p.server[j] not in "0123456789":
                    break
        previous = bytes(4)
        for _ in range(p.weight * 160):
            h = crc32(host.encode() + b"\0" + port.encode() + previous)
            points.append((h, p.server))
            previous = bytes((h & 255, h >> 8 & 255, h >> 16 & 255, h >> 24))
    points.sort(key=lambda point: point[0])
    return [
        point
        for number, point in enumerate(points)
        if number == 0 or points[number - 1][0] != point[0]
    ]


class RuleConsistent(RuleRequest):
    """
    One request by C{hash … consistent}.
    """

    def __init__(
        self, primary: RuleList, points: list[tuple[int, str]], key: bytes
    ) -> None:
        super().__init__(primary)
        self.points = points
        self.key = key
        self.misses = 0
        self.hash = 0
        wanted = crc32(key)
        while self.hash < len(points) and points[self.hash][0] < wanted:
            self.hash += 1

    def get(self, now: int) -> RulePeer | None:
        if self.misses > 20 or self.list.single or self.key == b"":
            return self.roundRobin(now)
        peers = self.list.peers
        if not peers:
            return None
        best = self.bySid(now)
        while best is None:
            server = self.points[self.hash % len(self.points)][1]
            best = self.turn(
                [
                    i
                    for i, p in enumerate(peers)
                    if self.usable(i, now) and p.server == server
                ]
            )
            if best is None:
                self.hash += 1
                self.misses += 1
                if self.misses > 20:
                    return self.roundRobin(now)
        return self.take(best, now)


class RuleIpHash(RuleRequest):
    """
    One request by C{ip_hash}.
    """

    def __init__(self, primary: RuleList, address: bytes) -> None:
        super().__init__(primary)
        self.bytes = bytes(3)
        if len(address) == 4:
            self.bytes = address[:3]
        elif len(address) == 16:
            self.bytes = address
        self.hash = 89
        self.misses = 0

    def get(self, now: int) -> RulePeer | None:
        if self.misses > 20 or len(self.list.peers) < 2:
            return self.roundRobin(now)
        hash = self.hash
        i = self.bySid(now)
        while i is None:
            for byte in self.bytes:
                hash = (hash * 113 + byte) % 6271
            i = self.byWeight(hash % self.totalWeight)
            if not self.usable(i, now):
                i = None
                self.misses += 1
                if self.misses > 20:
                    return self.roundRobin(now)
        self.hash = hash
        return self.take(i, now)


#: Makes the rules' request; gets the list, the client and the history's own chance.
MakeRule = Callable[[RuleList, Somebody, Random], RuleRequest]


class History:
    """
    Two equal groups, ours and the rules', that live through the same random events.
    """

    def __init__(
        self,
        test: SynchronousTestCase,
        seed: int,
        balancer: IPeerInit,
        makeRule: MakeRule,
        milestones: Sequence[str] = ("header",),
        sizes: Sequence[int] = (0, 1, 1, 2, 3, 3, 5, 9, LARGE + 2),
    ) -> None:
        """
        @param milestones: what attempts reach, in order.
        @param sizes: how many servers there may be.
        """
        self.test = test
        self.milestones = milestones
        self.chance = Random(seed)
        self.ourChance = Random(seed + 1)
        self.ruleChance = Random(seed + 1)
        self.balancer = balancer
        self.makeRule = makeRule
        self.clock = Clock()
        self.clock.advance(self.chance.choice((0, 1_700_000_000.25)))
        self.disabled: list[str] = []
        self.ours: list[Peer] = []
        self.rules: list[RulePeer] = []
        ourNext, ruleNext = None, None
        backups = self.chance.choice((0, 0, 0, 1, 2, 3))
        if backups:
            ourNext, ruleNext = self.makePair(backups, None, None)
            ruleNext.single = False
        primaries = self.chance.choice(sizes)
        self.peers, self.rule = self.makePair(primaries, ourNext, ruleNext)
        balancer.initUpstream(self.peers)
        self.open: list[tuple[PeerGetter, RuleRequest, Peer]] = []
        self.ahead: dict[RuleRequest, list[str]] = {}
        self.began: dict[RuleRequest, float] = {}
        self.failed: list[tuple[PeerGetter, RuleRequest]] = []

    def makePair(
        self, count: int, next: Peers | None, ruleNext: RuleList | None
    ) -> tuple[Peers, RuleList]:
        choice = self.chance.choice
        ours: list[Peer] = []
        rules: list[RulePeer] = []
        plain = choice((True, False))
        for _ in range(count):
            name = f"10.0.0.{len(self.ours) + len(ours)}:80"
            options: dict[str, Any] = {
                "server": choice((name, name, "two.example:8080", "unix:/s", "[::1]")),
                "weight": 1 if plain else choice((1, 1, 2, 5)),
                "maxFails": choice((0, 1, 1, 2, 3)),
                "failTimeout": choice((0, 1, 3, 10)),
                "maxConns": choice((0, 0, 0, 1, 2)),
                "down": choice((0, 0, 0, 0, 0, 1, 8)),
                "sid": choice((b"s", b"t", name.encode())),
            }
            ours.append(Peer(name, (name, 80), **options))
            rules.append(RulePeer(**options))
        self.ours += ours
        self.rules += rules
        made = Peers(
            "g",
            ours,
            seconds=self.clock.seconds,
            random=self.ourChance,
            next=next,
            unavailable=lambda peer: self.disabled.append(peer.name),
        )
        return made, RuleList(rules, ruleNext, count == 1 and ruleNext is None)

    def step(self) -> None:
        """
        Whatever may happen next.
        """
        kind = self.chance.random()
        if kind < 0.02:
            self.change()
        elif kind < 0.4:
            self.begin()
        elif kind < 0.5:
            self.clock.advance(self.chance.choice((0.04, 0.3, 1, 1, 2, 4, 11)))
        elif kind < 0.6 and self.open:
            self.reach()
        elif kind < 0.85 and self.open:
            self.end()
        elif self.failed:
            getter, rule = self.failed.pop(self.chance.randrange(len(self.failed)))
            self.get(getter, rule)
        self.compare()

    def change(self) -> None:
        """
        A new generation, of the same servers: nothing that the rules would notice.
        """
        next = self.peers.next
        if next is not None:
            next = next.successor(next.peers)
        self.peers = self.peers.successor(self.peers.peers, next)
        self.balancer.initUpstream(self.peers)

    def begin(self) -> None:
        choice = self.chance.choice
        client = Somebody(
            choice((b"", b"\x7f\0\0\1", b"\x0a\1\2\3", bytes(15) + b"\1")),
            choice((b"", b"foo", b"bar", b"%d" % self.chance.randrange(1000))),
        )
        getter: Any = self.balancer.initPeer(client)
        rule = self.makeRule(self.rule, client, self.ruleChance)
        rule.seconds = self.clock.seconds
        if self.chance.random() < 0.2:
            getter.hint = rule.hint = choice((b"s", b"t", b"10.0.0.0:80", b"none"))
        self.get(getter, rule)

    def get(self, getter: PeerGetter, rule: RuleRequest) -> None:
        expected = rule.get(int(self.clock.seconds()))
        peer = getter.getPeer()
        if expected is None or peer is None:
            self.test.assertIs(peer, expected)
            return
        self.test.assertEqual(self.ours.index(peer), self.rules.index(expected))
        self.open.append((getter, rule, peer))
        self.ahead[rule] = list(self.milestones)
        self.began[rule] = self.clock.seconds()

    def reach(self) -> None:
        getter, rule, peer = self.open[self.chance.randrange(len(self.open))]
        if self.ahead[rule]:
            milestone = self.ahead[rule].pop(0)
            elapsed = self.clock.seconds() - self.began[rule]
            getter.notifyPeer(peer, milestone, elapsed)
            rule.notify(milestone)

    def end(self) -> None:
        getter, rule, peer = self.open.pop(self.chance.randrange(len(self.open)))
        outcome = self.chance.choice((Outcome.OK, Outcome.NEXT, Outcome.FAILED))
        self.disabled.clear()
        getter.freePeer(peer, outcome)
        told = rule.free(outcome, int(self.clock.seconds()))
        self.test.assertEqual(self.disabled, [peer.name] if told else [])
        self.test.assertEqual(getter.tries, rule.tries)
        if outcome != Outcome.OK:
            self.failed.append((getter, rule))

    def compare(self) -> None:
        """
        Every number of every peer is equal.
        """
        self.peers.settle()
        if self.peers.next is not None:
            self.peers.next.settle()
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
        """
        All attempts end: no peer is held.
        """
        while self.open:
            self.end()
        self.test.assertEqual({peer.conns for peer in self.ours} - {0}, set())


def compareHistories(
    test: SynchronousTestCase,
    makeBalancer: Callable[[], IPeerInit],
    makeRule: MakeRule,
    count: int = 200,
    **options: Any,
) -> None:
    """
    Live through C{count} histories.

    @param options: of L{History}.
    """
    for seed in range(count):
        history = History(test, seed, makeBalancer(), makeRule, **options)
        try:
            for _ in range(80):
                history.step()
            history.finish()
        except test.failureException as e:
            raise test.failureException(f"history {seed}: {e}") from e
