"""
C{vnswrr}: the order of smooth weighted round robin, written down while it is walked.

Each server stands in a table as often as its weight says (its virtual nodes); a request
takes the next entry whose server is available.

Tengine: C{ngx_http_upstream_get_vnswrr_peer()}, C{ngx_http_upstream_get_vnswrr()},
C{ngx_http_upstream_init_virtual_peers()}
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from heapq import heapreplace
from itertools import islice

from zope.interface import implementer

from ..interfaces import IBalancer, IBalancerLine, IPeerInit
from .getter import PeerGetter
from .peer import Peer
from .peers import Peers
from .schedule import Schedule, Scheduled

#: Entries that a table has at most; a longer order begins anew there.
LONGEST = 1 << 20
#: Entries that one request looks at, at least, before it takes what it can get.
_PATIENCE = 1000


def smoothOrder(weights: Sequence[int]) -> Iterator[int]:
    """
    Places in the order of smooth weighted round robin, without end.  How that works
    without a loop over all is told in L{turns<twisted_upstream.balance.turns>}.
    """
    bits = len(weights).bit_length()
    mask = (1 << bits) - 1
    heaps: dict[int, list[int]] = {}
    for index, weight in enumerate(weights):
        heaps.setdefault(weight, []).append(index)
    total = sum(weights) << bits
    byWeight = [(weight << bits, heap) for weight, heap in heaps.items()]
    rounds = 0
    while True:
        rounds += 1
        _, heap = max((rounds * weight - heap[0], heap) for weight, heap in byWeight)
        key = heap[0]
        heapreplace(heap, key + total)
        yield key & mask


class VirtualNodes(Schedule):
    """
    The table of one list of peers.
    """

    __slots__ = ("_batch", "_last", "_order", "_size", "_table")

    def __init__(self, maxInit: int, peers: Peers, next: Schedule | None) -> None:
        """
        @param maxInit: how many entries are made at a time; 0: as many as there are
            peers.
        """
        super().__init__(peers, next)
        count = len(self.weights)
        self._last: int | None = None
        self._size = min(sum(self.weights), LONGEST)
        self._batch = max(1, min(maxInit or count, self._size))
        self._order = smoothOrder(self.weights)
        self._table = array("I")
        if peers.weighted:
            self._extend()
        else:
            self._size = count
            self._table.extend(range(count))

    def _extend(self) -> None:
        missing = self._size - len(self._table)
        self._table.extend(islice(self._order, min(self._batch, missing)))

    def take(self, getter: PeerGetter, now: int) -> Peer | None:
        """
        The next entry whose peer may be had.
        """
        table, peers = self._table, self.peers.peers
        position = self.start() if self._last is None else self._last
        useless: set[int] = set()
        for _ in range(min(self._size, _PATIENCE + 4 * len(peers))):
            position += 1
            if position == len(table) and position < self._size:
                self._extend()
            position %= len(table)
            index = table[position]
            if index in useless:
                continue
            peer = peers[index]
            if getter.isUsable(peer, now):
                self._last = position
                return peer
            useless.add(index)
            if len(useless) == len(peers):
                return None
        if self._size <= _PATIENCE + 4 * len(peers):
            return None
        # All of that belongs to servers that are not available.
        self._last = position
        return next((each for each in peers if getter.isUsable(each, now)), None)


@implementer(IBalancer)
class _VnSwrrDirective:
    """
    C{vnswrr [max_init=N];}
    """

    directive = "vnswrr"
    layer = 0
    backup = True
    refuses = frozenset({"slow_start"})

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Make the balancer of one group.

        @raise ConfigError: the arguments are others than these.
        """
        arguments = line.arguments
        if len(arguments) > 1:
            raise line.error('invalid number of arguments in "vnswrr" directive')
        maxInit = 0
        for word in arguments:
            name, _, value = word.partition("=")
            if name != "max_init" or not (value.isascii() and value.isdigit()):
                raise line.error(f'invalid parameter "{word}"')
            maxInit = int(value)
        return Scheduled(partial(VirtualNodes, maxInit))


vnSwrr = _VnSwrrDirective()
