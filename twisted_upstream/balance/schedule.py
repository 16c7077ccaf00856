"""
What Tengine's round robins have in common: an order made beforehand, which does not
learn from failures; who is not available is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

from zope.interface import implementer

from ..interfaces import IClient, IPeerInit
from .getter import PeerGetter
from .peer import Peer
from .peers import Peers


class Schedule:
    """
    The order of one list of peers.  It belongs to the group, not to a request.

    @ivar peers: the list.
    @ivar weights: theirs, without what these have in common.
    @ivar next: the schedule of the backup servers, or C{None}.
    """

    __slots__ = ("next", "peers", "weights")

    def __init__(self, peers: Peers, next: Schedule | None) -> None:
        self.peers = peers
        self.next = next
        common = gcd(*(peer.weight for peer in peers.peers)) or 1
        self.weights = [peer.weight // common for peer in peers.peers]

    def take(self, getter: PeerGetter, now: int) -> Peer | None:
        """
        The next peer that C{getter} may have.

        @param now: whole seconds.
        """
        raise NotImplementedError(f"{type(self).__name__}.take")

    def start(self) -> int:
        """
        Where to begin: somewhere, so that not all proxies begin with the same server.
        """
        return int(self.peers.random.random() * len(self.weights))


class ScheduledGetter(PeerGetter):
    """
    Takes what is next in a schedule.
    """

    __slots__ = ("_schedule",)

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(schedule.peers)
        self._schedule = schedule

    def pick(self, now: int) -> Peer | None:
        """
        The peer that the request asks for, or the next one.
        """
        if self.hint is not None:
            hinted = self.hinted(now)
            if hinted is not None:
                return hinted
        if not self._schedule.weights:
            return None
        return self._schedule.take(self, now)

    def _getBackup(self) -> Peer | None:
        if self._schedule.next is not None:
            self._schedule = self._schedule.next
        return super()._getBackup()


@implementer(IPeerInit)
class Scheduled:
    """
    A group whose servers are taken by schedule.
    """

    __slots__ = ("_make", "_schedule")

    _schedule: Schedule

    def __init__(self, make: Callable[[Peers, Schedule | None], Schedule]) -> None:
        """
        @param make: a kind of L{Schedule}.
        """
        self._make = make

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers: the order begins anew.
        """
        next = None if peers.next is None else self._make(peers.next, None)
        self._schedule = self._make(peers, next)

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.
        """
        return ScheduledGetter(self._schedule)
