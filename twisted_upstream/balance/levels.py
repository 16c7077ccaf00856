"""
C{least_conn} without looking at every peer: what large groups choose by, each pick and
each number the same as of the plain loop.

The rule is: of the usable peers with the fewest attempts for their weight take the one
whose turn it is, by smooth weighted round robin among these equals alone.

So peers that are equally busy stand together on a I{level}, and the lowest level is
all that a pick looks at.  While a peer stays on its level, C{r} rounds of turns there
make its C{currentWeight} C{base + r * weight}, as in
L{turns<twisted_upstream.balance.turns>}: a heap per weight knows who leads.  Who is
chosen, and who is given back, changes its level.

Peers for which that does not hold are set aside, with their values written out: those
whose attempts have just changed, until the next pick; and those that fail, recover, are
full, or have been tried by the request that asks.  They are looked at one by one.

A pick costs C{O(log peers + different weights + peers aside)}.

nginx: C{ngx_http_upstream_get_least_conn_peer()}, which does it by a loop.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from .turns import Turns

if TYPE_CHECKING:
    from .getter import PeerGetter
    from .peer import Peer
    from .peers import Peers

#: A loop over fewer peers is faster.
MANY = 40

#: Quotients of attempts by smaller weights are different as C{float}, if they are.
_MOST = 1 << 24


class _Level:
    """
    Peers that are equally busy.

    @ivar load: attempts of each for its weight.
    @ivar rounds: how often turns were taken here.
    @ivar count: how many there are.
    @ivar total: the sum of their weights.
    @ivar heaps: by weight, their places in the order of turns: C{-base} and the index
        in one number.  What a heap has besides is obsolete.
    """

    __slots__ = ("count", "heaps", "load", "rounds", "total")

    def __init__(self, load: float) -> None:
        self.load = load
        self.rounds = 0
        self.count = 0
        self.total = 0
        self.heaps: dict[int, list[int]] = {}


class Levels(Turns):
    """
    The levels of one generation of peers.  Who changes a peer's attempts, weights, or
    whether it is usable, calls L{Peers.touch<twisted_upstream.balance.peers.Peers>}.
    """

    __slots__ = ("_byLoad", "_levels", "_loads")

    @staticmethod
    def suit(peers: Peers) -> bool:
        """
        Is it worth it, and right, for these?
        """
        return (
            len(peers.peers) >= MANY
            and peers.scale == 1
            and not any(
                peer.sharesHealth or peer.weight >= _MOST for peer in peers.peers
            )
        )

    def _clear(self) -> None:
        super()._clear()
        # Where each peer in a heap stands; by place.
        self._levels: list[_Level | None] = []
        self._byLoad: dict[float, _Level] = {}
        # A heap of the loads of all levels, and of some that are gone.
        self._loads: list[float] = []

    def _begin(self) -> None:
        peers = self._peers.peers
        self._indexes = {peer: index for index, peer in enumerate(peers)}
        self._keys = [None] * len(peers)
        self._levels = [None] * len(peers)
        self._aside = dict(enumerate(peers))

    def _pick(self, getter: PeerGetter, now: int) -> Peer | None:
        if not self._keys:
            self._begin()
        tried = getter.tried
        if tried:
            for peer in tried:
                self.touch(peer)
        lowest, equals = self._lookAside(now, tried)
        level = self._lowest()
        if level is None or (equals and lowest < level.load):
            return self._takeTurns(equals)
        if equals and lowest > level.load:
            equals = []
        total = level.total
        shares = level.count + len(equals) > 1
        if shares:
            level.rounds += 1
        leader = self._leader(level)
        best = self._peers.peers[leader]
        # It is about to be busier.
        self.touch(best)
        if equals:
            peers = self._peers.peers
            total += sum([self._step(peers[index]) for index in equals])
            best = self._first([leader, *equals])
        if shares:
            best.currentWeight -= total
        return best

    def _takeTurns(self, equals: list[int]) -> Peer | None:
        """
        The plain rule among some that are aside.
        """
        peers = self._peers.peers
        if len(equals) < 2:
            return peers[equals[0]] if equals else None
        total = sum([self._step(peers[index]) for index in equals])
        best = self._first(equals)
        best.currentWeight -= total
        return best

    def _first(self, equals: list[int]) -> Peer:
        peers = self._peers.peers
        return peers[min(equals, key=lambda i: (-peers[i].currentWeight, i))]

    @staticmethod
    def _step(peer: Peer) -> int:
        step = peer.effectiveWeight
        peer.currentWeight += step
        if step < peer.weight:
            peer.effectiveWeight = step + 1
        return step

    def _lookAside(self, now: int, tried: set[Peer] | None) -> tuple[float, list[int]]:
        """
        Look at those aside; who is regular again goes to its level.

        @return: the least load of the others, and who has it.
        """
        lowest = 0.0
        equals: list[int] = []
        for index, peer in list(self._aside.items()):
            if tried is not None and peer in tried:
                continue
            if self._isRegular(peer):
                self._hold(index, peer)
                continue
            if peer.down:
                # It is touched when that changes.
                del self._aside[index]
                continue
            if 0 < peer.maxFails <= peer.fails:
                if now - peer.checked <= peer.failTimeout:
                    continue
            if peer.maxConns and peer.conns >= peer.maxConns:
                continue
            load = peer.conns / peer.weight
            if not equals or load < lowest:
                lowest = load
                equals = [index]
            elif load == lowest:
                equals.append(index)
        return lowest, equals

    def _lowest(self) -> _Level | None:
        loads, byLoad = self._loads, self._byLoad
        while loads:
            level = byLoad.get(loads[0])
            if level is not None:
                return level
            heappop(loads)
        return None

    def _leader(self, level: _Level) -> int:
        """
        Whose turn it is on a level: its place.
        """
        keys, levels, bits, mask = self._keys, self._levels, self._bits, self._mask
        rounds = level.rounds
        most: int | None = None
        leader = 0
        for weight, heap in level.heaps.items():
            while heap:
                key = heap[0]
                index = key & mask
                if keys[index] == key and levels[index] is level:
                    value = (rounds * weight << bits) - key
                    if most is None or value > most:
                        most = value
                        leader = index
                    break
                heappop(heap)
        return leader

    def _hold(self, index: int, peer: Peer) -> None:
        del self._aside[index]
        weight = peer.weight
        load = peer.conns / weight
        level = self._byLoad.get(load)
        if level is None:
            level = self._byLoad[load] = _Level(load)
            loads = self._loads
            heappush(loads, load)
            if len(loads) > 2 * len(self._byLoad) + MANY:
                loads[:] = sorted(self._byLoad)
        key = (level.rounds * weight - peer.currentWeight << self._bits) + index
        self._keys[index] = key
        self._levels[index] = level
        level.count += 1
        level.total += weight
        heap = level.heaps.setdefault(weight, [])
        heappush(heap, key)
        if len(heap) > 2 * level.count + MANY:
            keys, levels, mask = self._keys, self._levels, self._mask
            heap[:] = {
                key
                for key in heap
                if keys[key & mask] == key and levels[key & mask] is level
            }
            heapify(heap)

    def touch(self, peer: Peer) -> None:
        """
        Write C{currentWeight} out and look at the peer itself at the next pick: it is
        about to change, or has just done so.
        """
        index = self._indexes.get(peer)
        if index is None:
            return
        key = self._keys[index]
        if key is not None:
            level = self._levels[index]
            assert level is not None
            weight = peer.weight
            peer.currentWeight = level.rounds * weight - (key >> self._bits)
            self._keys[index] = None
            level.count -= 1
            level.total -= weight
            if not level.count:
                del self._byLoad[level.load]
        self._aside[index] = peer

    def settle(self, drop: bool = False) -> None:
        """
        Write C{currentWeight} of all peers out.

        @param drop: and begin anew with what it will be then.
        """
        for key, level, peer in zip(
            self._keys, self._levels, self._peers.peers, strict=False
        ):
            if key is not None and level is not None:
                rounds = level.rounds
                peer.currentWeight = rounds * peer.weight - (key >> self._bits)
        if drop:
            self._clear()
