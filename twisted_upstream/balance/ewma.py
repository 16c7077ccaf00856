"""
C{random two least_time=ewma}: of two servers the one that has answered sooner of late.

What a server costs rises at once to the longest answer and sinks slowly, so that one
slow answer is enough to be avoided, and many fast ones are needed to be trusted again.
After an answer that took C{t}::

    cost = max(t, cost)                          if t > cost, or
    cost = cost * w + t * (1 - w)                w = exp(-elapsed / 10 s)

where C{elapsed} is the time since the last answer.  While nothing is heard, C{cost * w}
is what counts: a slow server gets its chance again.  A server's load is::

    max(cost * w, 1 ms) * (1 + conns) / weight

An attempt that failed counts if it took longer than what is left of C{cost}.

nginx has no such method; the idea is that of Finagle's C{PeakEwma}.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp

from zope.interface import implementer

from ..interfaces import IClient, IPeerInit
from .draw import Drawn, Ranges
from .getter import PeerGetter
from .least_time import Records
from .load import RandomTwoGetter
from .peer import Outcome, Peer
from .peers import Peers

#: Seconds in which a cost that is not renewed sinks to a third or so.
DECAY = 10.0
#: What an answer costs at least, in seconds: new servers do not get everything.
LEAST = 0.001


class Cost:
    """
    How long a server's answers take, in seconds.

    @ivar cost: after the last answer.
    @ivar at: when that was.
    """

    __slots__ = ("at", "cost")

    def __init__(self) -> None:
        self.cost = 0.0
        self.at = 0.0

    def now(self, seconds: float) -> float:
        """
        What is left of the cost.
        """
        # Clocks may be set back.
        return self.cost * exp(min(self.at - seconds, 0.0) / DECAY)

    def answered(self, took: float, seconds: float) -> None:
        """
        An answer took so long.
        """
        if took <= self.cost:
            left = self.now(seconds)
            # cost * w + took * (1 - w)
            took += left - took * (left / self.cost) if self.cost else 0.0
        self.cost = took
        self.at = seconds


class EwmaGetter(RandomTwoGetter):
    """
    Measures how long the answer takes: to C{header} in C{http}, to C{first_byte} in
    C{stream}.
    """

    __slots__ = ("_begun", "_costs")

    def __init__(
        self, peers: Peers, ranges: Ranges, costs: Mapping[Peer, Cost]
    ) -> None:
        super().__init__(peers, ranges)
        self._costs = costs
        self._begun = 0.0

    def getPeer(self) -> Peer | None:
        """
        Choose a peer, and begin to measure.
        """
        self._begun = self.peers.seconds()
        return super().getPeer()

    def notifyPeer(self, peer: Peer, milestone: str, elapsed: float) -> None:
        """
        The answer has begun.
        """
        if milestone != "connect":
            self._costs[peer].answered(elapsed, self.peers.seconds())
        super().notifyPeer(peer, milestone, elapsed)

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        Who fails slowly is slow.
        """
        if outcome == Outcome.FAILED:
            now = self.peers.seconds()
            took = now - self._begun
            cost = self._costs[peer]
            if took > cost.now(now):
                cost.answered(took, now)
        super().freePeer(peer, outcome)

    def isWorse(self, peer: Peer, first: Peer, now: int) -> bool:
        """
        Is the load of C{peer} higher?
        """
        seconds = self._begun
        return self._load(peer, seconds) > self._load(first, seconds)

    def _load(self, peer: Peer, seconds: float) -> float:
        cost = max(self._costs[peer].now(seconds), LEAST)
        return cost * (1 + peer.conns) / peer.weight


@implementer(IPeerInit)
class RandomTwoEwma(Drawn):
    """
    C{random two least_time=ewma}
    """

    __slots__ = ("_costs",)

    def __init__(self) -> None:
        self._costs = Records(Cost)

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        super().initUpstream(peers)
        self._costs.renew(peers)

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.
        """
        return EwmaGetter(self._peers, self._ranges, self._costs.of)
