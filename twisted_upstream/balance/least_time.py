"""
C{least_time}: the server that is expected to have answered first, and how long servers
take.

Each pick looks at every server, as in nginx, and has to: an estimate falls with the
clock while nobody asks that server, and the average of those in flight moves each time
that it is looked at.

nginx: C{ngx_http_upstream_get_least_time_peer()},
C{ngx_http_upstream_least_time_eta()}, C{ngx_http_upstream_least_time_inflight_done()},
C{ngx_http_upstream_free_least_time_peer()}; the same functions of C{stream}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from zope.interface import implementer

from ..interfaces import IBalancer, IBalancerLine, IClient, IPeerInit
from .draw import Drawn, Ranges
from .getter import PeerGetter
from .load import RandomTwoGetter
from .peer import Outcome, Peer
from .peers import Peers
from .warming import leastLoaded

T = TypeVar("T")

#: The end of an attempt, which no milestone tells.
LAST_BYTE = "last_byte"
#: Times by which a group may choose, by its place; the first is the default where one
#: is needed.  All but the last are milestones.
TIMES = {
    "http": ("header", LAST_BYTE),
    "stream": ("connect", "first_byte", LAST_BYTE),
}

#: Servers slower than this are all equally bad, in milliseconds.
WORST = 5000
#: Servers whose times are in the same cluster are equally good, in milliseconds.
CLUSTER = 20


def average(old: int, value: int) -> int:
    """
    An exponential moving average, rounded, that begins with its first value.
    """
    return int(0.5 + (0.05 * value + 0.95 * old)) if old else value


class Timing:
    """
    How long one server takes.  All times are whole milliseconds.

    @ivar times: averages of successful attempts by what was timed.
    @ivar inflight: attempts that are being waited for.
    @ivar inflightTime: average of how long they have been.
    @ivar inflightSum: what they had waited at L{inflightChanged}, all together.
    @ivar inflightChanged: when their number changed last.
    """

    __slots__ = (
        "inflight",
        "inflightChanged",
        "inflightSum",
        "inflightTime",
        "times",
    )

    def __init__(self) -> None:
        self.times: dict[str, int] = {}
        self.inflight = 0
        self.inflightTime = 0
        self.inflightSum = 0
        self.inflightChanged = 0

    def add(self, what: str, value: int) -> None:
        """
        Take the time of a successful attempt.
        """
        self.times[what] = average(self.times.get(what, 0), value)

    def look(self, now: int) -> None:
        """
        A request looks for a server: how long have those in flight been waiting?  There
        is at least one.
        """
        waited = self.inflightSum // self.inflight + now - self.inflightChanged
        self.inflightTime = average(self.inflightTime, waited)

    def begin(self, now: int) -> None:
        """
        One more is in flight.
        """
        if self.inflight:
            self.inflightSum += (now - self.inflightChanged) * self.inflight
        self.inflightChanged = now
        self.inflight += 1

    def end(self, now: int, waited: int) -> None:
        """
        One that has waited so long is not in flight any more.
        """
        if self.inflight == 1:
            self.inflightSum = 0
        else:
            self.inflightSum += (now - self.inflightChanged) * self.inflight - waited
            self.inflightChanged = now
        self.inflight -= 1

    def estimate(self, peer: Peer, what: str, now: int) -> int:
        """
        When one more attempt at C{peer} would be through, if it worked on one after the
        other.

        @param now: whole seconds.
        """
        time = self.times.get(what, 0)
        idle = now - peer.checked
        if idle > peer.failTimeout:
            # A slow server gets its chance again: nobody has asked it for long.
            time >>= idle // (peer.failTimeout + 1)
        if self.inflight and self.inflightTime > time:
            time = self.inflightTime
        if time > WORST:
            time = WORST
        else:
            time += CLUSTER - time % CLUSTER
        return time * (1 + peer.conns)


class Records(Generic[T]):
    """
    What a balancer keeps of each peer of a generation, backups included.  Peers that
    stay keep theirs.

    @ivar of: the records of the current generation, never changed.
    """

    __slots__ = ("_make", "of")

    def __init__(self, make: Callable[[], T]) -> None:
        """
        @param make: called for each peer that is new.
        """
        self._make = make
        self.of: Mapping[Peer, T] = {}

    def renew(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        old = self.of
        self.of = {
            peer: old[peer] if peer in old else self._make()
            for peer in _everyPeer(peers)
        }


def _everyPeer(peers: Peers | None) -> Iterator[Peer]:
    while peers is not None:
        yield from peers.peers
        peers = peers.next


class TimingGetter(RandomTwoGetter):
    """
    Measures attempts, what milestones they reach and when they end; and chooses the
    sooner through of two that chance names.

    Only those that succeed count, or a server that fails at once would seem fast.
    """

    __slots__ = ("_begun", "_reached", "_what", "timings")

    #: When the attempt began, and when it reached which milestone.
    _begun: int
    _reached: dict[str, int]

    def __init__(
        self,
        peers: Peers,
        ranges: Ranges | None,
        timings: Mapping[Peer, Timing],
        what: str,
    ) -> None:
        """
        @param ranges: C{None} for who does not draw.
        @param what: the time that counts, of L{TIMES}.
        """
        super().__init__(peers, ranges)
        self.timings = timings
        self._what = what

    def milliseconds(self) -> int:
        """
        The current time.
        """
        return int(self.peers.seconds() * 1000)

    def getPeer(self) -> Peer | None:
        """
        Choose a peer, and begin to measure.
        """
        self._begun = int(self.peers.seconds() * 1000)
        self._reached = {}
        return super().getPeer()

    def notifyPeer(self, peer: Peer, milestone: str, elapsed: float) -> None:
        """
        Remember when the milestone was reached.
        """
        reached = self.milliseconds() - self._begun
        # Who tells later than it happened says so.  Rounding makes a difference of 1.
        said = int(elapsed * 1000)
        self._reached[milestone] = said if said < reached - 1 else reached
        super().notifyPeer(peer, milestone, elapsed)

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        Take the times of an attempt that succeeded.  Who reached nothing has not.
        """
        reached = self._reached
        if reached and outcome == Outcome.OK:
            timing = self.timings[peer]
            timing.add(LAST_BYTE, self.milliseconds() - self._begun)
            for milestone, waited in reached.items():
                self.take(timing, milestone, waited)
        super().freePeer(peer, outcome)

    def take(self, timing: Timing, milestone: str, waited: int) -> None:
        """
        An attempt that succeeded had reached C{milestone} in so many milliseconds.
        """
        timing.add(milestone, waited)

    def isWorse(self, peer: Peer, first: Peer, now: int) -> bool:
        """
        Would C{peer} be through later?
        """
        timings, what = self.timings, self._what
        mine = timings[peer].estimate(peer, what, now) * first.weight
        return mine > timings[first].estimate(first, what, now) * peer.weight


class LeastTimeGetter(TimingGetter):
    """
    Chooses the peer with the least estimate for its weight.  Equals take turns among
    themselves.
    """

    __slots__ = ()

    def pick(self, now: int) -> Peer | None:
        """
        The peer that the request asks for, or the one that will be through first.
        """
        if self.hint is not None:
            hinted = self.hinted(now)
            if hinted is not None:
                return hinted
        what = self._what
        timings = self.timings
        milliseconds = self._begun
        if self.peers.scale != 1:

            def estimateOf(peer: Peer) -> int:
                timing = timings[peer]
                if timing.inflight:
                    timing.look(milliseconds)
                return timing.estimate(peer, what, now)

            return leastLoaded(self.usable(now), estimateOf, self.peers.seconds())
        best: Peer | None = None
        least = 0
        # Those after the best one, with their estimates.
        others: list[tuple[Peer, int]] = []
        many = False
        tried = self.tried
        # isUsable() written out: there may be many peers.
        for peer in self.peers.peers:
            if peer.down or (tried is not None and peer in tried):
                continue
            if (
                peer.fails
                and 0 < peer.maxFails <= peer.fails
                and now - peer.checked <= peer.failTimeout
            ):
                continue
            if peer.maxConns and peer.conns >= peer.maxConns:
                continue
            timing = timings[peer]
            if timing.inflight:
                timing.look(milliseconds)
            estimate = timing.estimate(peer, what, now)
            # estimate / weight of each, without fractions.
            if best is None or estimate * best.weight < least * peer.weight:
                best = peer
                least = estimate
                others.clear()
                many = False
            else:
                others.append((peer, estimate))
                if estimate * best.weight == least * peer.weight:
                    many = True
        if best is not None and many:
            return self._turn(best, least, others)
        return best

    @staticmethod
    def _turn(best: Peer, least: int, others: list[tuple[Peer, int]]) -> Peer:
        """
        Smooth weighted round robin among equals.

        As in nginx, who leads is compared by its own weight but with the estimate of
        the first: where weights differ, equals behind it may be passed over.
        """
        total = 0
        for peer, estimate in ((best, least), *others):
            if estimate * best.weight != least * peer.weight:
                continue
            step = peer.effectiveWeight
            peer.currentWeight += step
            total += step
            if step < peer.weight:
                peer.effectiveWeight = step + 1
            if peer.currentWeight > best.currentWeight:
                best = peer
        best.currentWeight -= total
        return best


class InflightGetter(LeastTimeGetter):
    """
    Looks also at those who are waiting now: a server that answers nobody any more is
    left alone before the first of them is through.
    """

    __slots__ = ("_waiting",)

    def getPeer(self) -> Peer | None:
        """
        Choose a peer.
        """
        self._waiting = False
        return super().getPeer()

    def pick(self, now: int) -> Peer | None:
        """
        Choose a peer and wait for it.
        """
        peer = super().pick(now)
        if peer is not None:
            self.timings[peer].begin(self._begun)
            self._waiting = True
        return peer

    def notifyPeer(self, peer: Peer, milestone: str, elapsed: float) -> None:
        """
        Whatever comes after the milestone that counts is not waited for.
        """
        super().notifyPeer(peer, milestone, elapsed)
        if milestone == self._what:
            timing = self.timings[peer]
            timing.add(milestone, self._reached[milestone])
            self._stopWaiting(timing)

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        Take the times of an attempt that succeeded.
        """
        self._stopWaiting(self.timings[peer])
        super().freePeer(peer, outcome)

    def take(self, timing: Timing, milestone: str, waited: int) -> None:
        """
        The milestone that counts was taken when it was reached.
        """
        if milestone != self._what:
            timing.add(milestone, waited)

    def _stopWaiting(self, timing: Timing) -> None:
        if self._waiting:
            self._waiting = False
            now = self.milliseconds()
            timing.end(now, now - self._begun)


@implementer(IPeerInit)
class LeastTime:
    """
    C{least_time}: the server that is expected to be through first.
    """

    __slots__ = ("_getter", "_peers", "_timings", "_what")

    _peers: Peers

    def __init__(self, what: str, inflight: bool = False) -> None:
        """
        @param what: the time that counts, of L{TIMES}.
        @param inflight: do attempts count that are being waited for?
        """
        self._what = what
        self._getter = InflightGetter if inflight else LeastTimeGetter
        self._timings = Records(Timing)

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        self._peers = peers
        self._timings.renew(peers)

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.
        """
        return self._getter(self._peers, None, self._timings.of, self._what)


@implementer(IPeerInit)
class RandomTwoLeastTime(Drawn):
    """
    C{random two least_time}: the better of two by the same estimate.
    """

    __slots__ = ("_timings", "_what")

    def __init__(self, what: str) -> None:
        """
        @param what: the time that counts, of L{TIMES}.
        """
        self._what = what
        self._timings = Records(Timing)

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        super().initUpstream(peers)
        self._timings.renew(peers)

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.
        """
        return TimingGetter(self._peers, self._ranges, self._timings.of, self._what)


@implementer(IBalancer)
class _LeastTimeDirective:
    """
    C{least_time TIME [inflight];}
    """

    directive = "least_time"
    layer = 0
    backup = True

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Make the balancer of one group.

        @raise ConfigError: the arguments are others than these.
        """
        arguments = line.arguments
        if not 1 <= len(arguments) <= 2:
            raise line.error('invalid number of arguments in "least_time" directive')
        if len(arguments) == 2 and arguments[1] != "inflight":
            raise line.error(f'invalid parameter "{arguments[1]}"')
        if arguments[0] not in TIMES[line.place]:
            raise line.error(f'invalid value "{arguments[0]}"')
        return LeastTime(arguments[0], inflight=len(arguments) == 2)


leastTime = _LeastTimeDirective()
