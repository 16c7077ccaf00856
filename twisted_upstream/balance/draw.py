"""
Drawing a peer without looking at all of them: what C{hash}, C{ip_hash} and C{random}
have in common.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from .getter import PeerGetter
from .peer import Peer
from .peers import Peers

#: After more useless draws than this, a request takes turns.  nginx's number, too.
MOST_MISSES = 20


class Ranges:
    """
    The peers of a generation, each as wide as its weight: a number below the total
    weight names one of them.

    @ivar total: the sum of the weights.
    @ivar next: the same of the backup servers, or C{None}.
    """

    __slots__ = ("_ends", "_peers", "next", "total")

    def __init__(self, peers: Peers) -> None:
        self.total = peers.totalWeight
        self.next = None if peers.next is None else Ranges(peers.next)
        self._peers = peers.peers
        self._ends = (
            list(accumulate(peer.weight for peer in peers.peers))
            if peers.weighted
            else None
        )

    def at(self, number: int) -> Peer:
        """
        The peer whose range C{number} is in; at least 0, below L{total}.
        """
        if self._ends is not None:
            number = bisect_right(self._ends, number)
        return self._peers[number]


class Drawn:
    """
    A group whose servers are drawn: what is known of its newest generation.
    """

    __slots__ = ("_peers", "_ranges")

    _peers: Peers
    _ranges: Ranges

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        self._peers = peers
        self._ranges = Ranges(peers)


class DrawingGetter(PeerGetter):
    """
    Draws until a peer is usable.  After L{MOST_MISSES} it gives up and takes turns,
    which alone leads to the backup servers.

    Subclasses override L{draw} or, where there is more to it, L{choose}.

    @cvar fewest: among fewer peers (one that has backups) there is nothing to draw.
    @ivar misses: useless draws of all attempts of this request.
    """

    __slots__ = ("_ranges", "_takingTurns", "misses")

    fewest = 2

    def __init__(self, peers: Peers, ranges: Ranges | None) -> None:
        super().__init__(peers)
        self._ranges = ranges
        self._takingTurns = False
        self.misses = 0

    def pick(self, now: int) -> Peer | None:
        """
        The peer that the request asks for, or draw one.
        """
        if (
            self._takingTurns
            or self.misses > MOST_MISSES
            or len(self.peers.peers) < self.fewest
        ):
            return super().pick(now)
        if self.hint is not None:
            hinted = self.hinted(now)
            if hinted is not None:
                return hinted
        peer = self.choose(now)
        return super().pick(now) if peer is None else peer

    def choose(self, now: int) -> Peer | None:
        """
        A usable peer, or C{None} after too many misses.

        @param now: whole seconds.
        """
        while self.misses <= MOST_MISSES:
            peer = self.draw()
            if self.isUsable(peer, now):
                return peer
            self.misses += 1
        return None

    def draw(self) -> Peer:
        """
        The next peer to look at, usable or not.
        """
        raise NotImplementedError(f"{type(self).__name__}.draw")

    def _getBackup(self) -> Peer | None:
        # The attempt that moves to the backup servers takes turns there.  A later one
        # draws among them, unless it was misses that led here.
        if self._ranges is not None and self._ranges.next is not None:
            self._ranges = self._ranges.next
        self._takingTurns = True
        try:
            return super()._getBackup()
        finally:
            self._takingTurns = False
