"""
Requests by the hundred thousand against a balancer, in simulated time: which server
gets how many while others fail, slow down, come and go.

Nothing connects.  An attempt lasts as long as the script of its server says and ends
as it says; what is simulated is choosing, failing over, and keeping the accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface import implementer

from .. import plugins
from ..balance.peer import Outcome, Peer
from ..balance.peers import Peers
from ..balance.round_robin import RoundRobin
from ..config.syntax import Node, parse
from ..config.values import Template, Variable, parseTemplate
from ..config.zones import Zones
from ..interfaces import IBalancer, IClient, IPeerGetter, IPeerInit
from ..upstream.balancing import BalancerLine
from ..upstream.surroundings import Surroundings


@implementer(IClient)
class SimulatedClient:
    """
    Who asks: an address, and the same value for every variable.
    """

    __slots__ = ("address", "key", "notes")

    def __init__(self, address: bytes = b"", key: bytes = b"") -> None:
        """
        @param address: 4 or 16 bytes, or none.
        @param key: what every C{$variable} is.
        """
        self.address = address
        self.key = key
        self.notes: dict[Any, Any] = {}

    def variable(self, name: str) -> bytes:
        """
        The value of any variable.
        """
        return self.key


class Servers:
    """
    How servers behave: each answers after the same time, but for what the script says.
    """

    def __init__(self, seconds: float = 0.01) -> None:
        """
        @param seconds: how long an ordinary attempt takes.
        """
        self._seconds = seconds
        self._script: dict[str, list[tuple[float, float, float, int]]] = {}

    def fail(self, name: str, begin: float, end: float, seconds: float = 0.001) -> None:
        """
        Attempts on C{name} that begin from C{begin} on and before C{end} fail.

        @param name: L{Peer.name}.
        @param seconds: how long it takes until they have failed.
        """
        self._say(name, begin, end, seconds, Outcome.FAILED)

    def slow(self, name: str, begin: float, end: float, seconds: float) -> None:
        """
        Attempts on C{name} that begin from C{begin} on and before C{end} take longer,
        or shorter.
        """
        self._say(name, begin, end, seconds, Outcome.OK)

    def _say(
        self, name: str, begin: float, end: float, seconds: float, outcome: int
    ) -> None:
        self._script.setdefault(name, []).append((begin, end, seconds, outcome))

    def attempt(self, peer: Peer, now: float) -> tuple[float, int]:
        """
        What becomes of an attempt that begins now.

        @return: how long it takes in seconds, and its C{Outcome}.
        """
        script = self._script.get(peer.name)
        if script is not None:
            for begin, end, seconds, outcome in script:
                if begin <= now < end:
                    return seconds, outcome
        return self._seconds, Outcome.OK


def balancerOf(text: str, surroundings: Surroundings) -> IPeerInit:
    """
    The balancer that lines of C{upstream{}} make, layers included:
    C{"least_conn; queue 10;"}.

    @param text: empty: round robin.
    @raise ConfigError: a line is wrong, or there is no such balancer.
    """
    nodes = parse(text, "simulation", lambda pattern, node: []).nodes
    found = plugins.find(IBalancer)
    beside = frozenset(node.name for node in nodes)
    for node in nodes:
        if node.name not in found:
            raise node.error(f'unknown balancer "{node.name}"')
    balancer: IPeerInit = RoundRobin()
    for node in sorted(nodes, key=lambda node: found[node.name].layer):
        plugin = found[node.name]
        line = BalancerLine(node, "simulated", _compile, surroundings, Zones(), beside)
        balancer = plugin.peerInit(line, balancer if plugin.layer else None)
    return balancer


def _compile(text: Template | str, node: Node) -> Callable[[Any], bytes]:
    template = parseTemplate(text) if isinstance(text, str) else text

    def value(client: Any) -> bytes:
        return b"".join(
            [
                client.variable(part.name)
                if isinstance(part, Variable)
                else part.encode("utf-8", "surrogateescape")
                for part in template.parts
            ]
        )

    return value


class Simulation:
    """
    One group of servers under load.

    The same arguments and the same script give the same history.

    @ivar clock: the simulated time; it begins at L{BEGIN}.  Balancers' own timers run
        on it, too.
    @ivar peers: the current generation.
    @ivar attempts: attempts by name of the peer, then by number of the interval.
    @ivar answered: requests that a server has answered.
    @ivar failed: requests whose last attempt failed.
    @ivar refused: requests for which there was no server (left).
    @ivar busy: requests under way.
    """

    #: Simulated time starts here, in seconds: long after servers were last looked at.
    BEGIN = 1000.0

    def __init__(
        self,
        balancer: IPeerInit | str,
        primary: Iterable[Peer],
        servers: Servers,
        *,
        backup: Iterable[Peer] = (),
        interval: float = 1.0,
        seed: int = 1,
    ) -> None:
        """
        @param balancer: one, or lines of C{upstream{}} as L{balancerOf} takes them.
        @param interval: the length of what is counted together, in seconds.
        @param seed: of all chance: arrivals, and methods that draw.
        """
        self.clock = Clock()
        self.clock.rightNow = self.BEGIN
        self.random = Random(seed)
        self.attempts: dict[str, list[int]] = {}
        self.answered = self.failed = self.refused = self.busy = 0
        if isinstance(balancer, str):
            balancer = balancerOf(
                balancer,
                Surroundings(
                    clock=self.clock,
                    random=self.random,
                    lookUp=lambda name: (),
                    wallClock=self.clock.seconds,
                ),
            )
        self._balancer = balancer
        self._servers = servers
        self._interval = interval
        self._number = count()
        self._events: list[tuple[float, int, Callable[..., None], Any]] = []
        backups = self._generation(backup, None)
        self.peers = self._generation(primary, backups if backups.peers else None)
        balancer.initUpstream(self.peers)

    def _generation(self, peers: Iterable[Peer], next: Peers | None) -> Peers:
        return Peers(
            "simulated",
            peers,
            seconds=self.clock.seconds,
            random=self.random,
            next=next,
        )

    @property
    def elapsed(self) -> float:
        """
        Simulated seconds since the beginning.
        """
        return self.clock.seconds() - self.BEGIN

    def replacePeers(self, peers: Iterable[Peer]) -> None:
        """
        Membership changes; backups stay.
        """
        self.peers = self.peers.successor(peers, self.peers.next)
        self._balancer.initUpstream(self.peers)

    def at(self, seconds: float, call: Callable[[], None]) -> None:
        """
        Call C{call} when so much simulated time has passed.
        """
        self._push(seconds, lambda _: call(), None)

    def run(
        self,
        seconds: float,
        rate: float,
        client: Callable[[int], IClient] = lambda number: SimulatedClient(),
    ) -> None:
        """
        Let requests arrive at random, and go on until all are over.

        @param seconds: for how long they arrive.
        @param rate: how many a second, on average.
        @param client: makes the client of request 0, 1, ....
        """
        arrive = self._arrive
        expovariate = self.random.expovariate
        moment = self.elapsed
        end = moment + seconds
        number = 0
        while True:
            moment += expovariate(rate)
            if moment >= end:
                break
            self._advance(moment)
            arrive(client(number))
            number += 1
        self._advance(end)
        while self._events:
            self._advance(self._events[0][0])
        while self.busy and self.clock.getDelayedCalls():
            # Who waits for a server has a timer; nothing else is left.
            self.clock.advance(
                self.clock.getDelayedCalls()[0].getTime() - self.clock.seconds()
            )
            while self._events:
                self._advance(self._events[0][0])

    def _push(self, moment: float, call: Callable[..., None], what: Any) -> None:
        heappush(self._events, (moment, next(self._number), call, what))

    def _advance(self, moment: float) -> None:
        """
        Everything that happens up to C{moment}.
        """
        events = self._events
        clock = self.clock
        while events and events[0][0] <= moment:
            when, _, call, what = heappop(events)
            clock.advance(max(self.BEGIN + when - clock.rightNow, 0.0))
            call(what)
        clock.advance(max(self.BEGIN + moment - clock.rightNow, 0.0))

    def _arrive(self, client: IClient) -> None:
        self.busy += 1
        self._next(self._balancer.initPeer(client))

    def _next(self, getter: IPeerGetter) -> None:
        peer = getter.getPeer()
        if isinstance(peer, Deferred):
            peer.addCallback(lambda found: self._chosen(getter, found))
        else:
            self._chosen(getter, peer)

    def _chosen(self, getter: IPeerGetter, peer: Peer | None) -> None:
        if peer is None:
            self.refused += 1
            self.busy -= 1
            return
        now = self.elapsed
        interval = int(now / self._interval)
        counts = self.attempts.setdefault(peer.name, [])
        if len(counts) <= interval:
            counts.extend([0] * (interval + 1 - len(counts)))
        counts[interval] += 1
        seconds, outcome = self._servers.attempt(peer, now)
        self._push(now + seconds, self._over, (getter, peer, outcome, seconds))

    def _over(self, attempt: tuple[IPeerGetter, Peer, int, float]) -> None:
        getter, peer, outcome, seconds = attempt
        if outcome == Outcome.OK:
            getter.notifyPeer(peer, "header", seconds)
            getter.freePeer(peer, outcome)
            self.answered += 1
            self.busy -= 1
            return
        getter.freePeer(peer, outcome)
        if getter.tries:
            self._next(getter)
        else:
            self.failed += 1
            self.busy -= 1

    # ---- what came of it ------------------------------------------------------------

    def total(self, name: str) -> int:
        """
        All attempts on one peer.
        """
        return sum(self.attempts.get(name, ()))

    def between(self, name: str, begin: float, end: float) -> int:
        """
        Attempts on one peer in the intervals that begin in this time.
        """
        counts = self.attempts.get(name, [])
        first = round(begin / self._interval)
        return sum(counts[first : round(end / self._interval)])

    def shares(self, begin: float, end: float) -> dict[str, float]:
        """
        Which part of all attempts each peer got; of the peers that got any ever.
        """
        counts = {name: self.between(name, begin, end) for name in self.attempts}
        total = sum(counts.values()) or 1
        return {name: number / total for name, number in counts.items()}
