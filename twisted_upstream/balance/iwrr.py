"""
C{iwrr}: interleaved weighted round robin.

In each round every server that has not used its weight up gets one request; when all
have, everything begins anew.  There is no table: two queues do.

Tengine: C{ngx_http_upstream_get_iwrr_peer()}, C{ngx_http_upstream_iwrr_queue_next()}
"""

from __future__ import annotations

from collections import deque
from functools import partial

from .getter import PeerGetter
from .peer import Peer
from .peers import Peers
from .plain import PlainDirective
from .schedule import Schedule, Scheduled


class Interleaved(Schedule):
    """
    The queues of one list of peers.
    """

    __slots__ = ("_active", "_expired", "_left", "_started")

    def __init__(self, peers: Peers, next: Schedule | None) -> None:
        super().__init__(peers, next)
        self._active = deque(range(len(self.weights)))
        self._expired: deque[int] = deque()
        #: What each has left in this cycle.
        self._left = self.weights[:]
        self._started = False

    def _next(self) -> int:
        if not self._active:
            self._active, self._expired = self._expired, self._active
        index = self._active.popleft()
        self._left[index] -= 1
        if self._left[index]:
            self._active.append(index)
        else:
            self._expire(index)
        return index

    def _expire(self, index: int) -> None:
        self._left[index] = self.weights[index]
        self._expired.append(index)

    def take(self, getter: PeerGetter, now: int) -> Peer | None:
        """
        The next peer that may be had.
        """
        if not self._started:
            self._started = True
            for _ in range(self.start()):
                self._next()
        peers = self.peers.peers
        for _ in range(2):
            # Each that is active comes once.
            for _ in range(len(self._active) or len(peers)):
                peer = peers[self._next()]
                if getter.isUsable(peer, now):
                    return peer
            # What these have left nobody could take: it expires, in the order in which
            # their turns would have used it up.
            for index in sorted(self._active, key=self._left.__getitem__):
                self._expire(index)
            self._active.clear()
        return None


iwrr = PlainDirective(
    "iwrr", partial(Scheduled, Interleaved), refuses=frozenset({"slow_start"})
)
