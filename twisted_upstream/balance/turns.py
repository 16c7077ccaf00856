"""
Smooth weighted round robin without looking at every peer: what large groups take turns
by, each pick and each number the same as of the plain loop.

The rule is: add to each usable peer's C{currentWeight} its weight, take the peer that
has most (the first one of equals), and subtract from it what all got together.

So while a peer is usable and at full weight, C{r} rounds make its value
C{base + r * weight}, and C{base} changes only when it is picked.  Of peers with equal
weights the one with the largest C{base} is always ahead, whatever C{r} is: a heap per
weight knows its best one, and a pick compares the heads of the heaps only.  Nothing is
assumed of the values that it begins with, no cycle has to be waited for, and the value
of each peer can be had at any time.

Peers for which that does not hold are set aside, with their values written out: those
that fail, recover, are full, warm up, or have been tried by the request that asks.
They go through the plain rule, one by one, until they are as the others again.

A pick costs C{O(log peers + different weights + peers aside)}.

nginx: C{ngx_http_upstream_get_peer()}, which does it by a loop.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .getter import PeerGetter
    from .peer import Peer
    from .peers import Peers

#: A loop over fewer peers is faster.
LARGE = 12


class Turns:
    """
    The turns of one generation of peers.

    C{currentWeight} of peers in heaps is stale.  Who changes or reads a peer's weights,
    or makes it unusable, calls L{Peers.touch} or L{Peers.settle} before.

    As generations share peers, only the newest one keeps heaps from pick to pick.
    """

    __slots__ = (
        "_aside",
        "_bits",
        "_heaps",
        "_indexes",
        "_keys",
        "_mask",
        "_peers",
        "_rounds",
        "_scale",
        "_total",
    )

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._scale = peers.scale
        self._bits = len(peers.peers).bit_length()
        self._mask = (1 << self._bits) - 1
        self._clear()

    def _clear(self) -> None:
        # Places of the peers; none until the first pick.
        self._indexes: dict[Peer, int] = {}
        # A peer's place in the order of its heap: -base and, for equals, its index, in
        # one number; None: it is not in a heap.  What a heap has besides is obsolete.
        self._keys: list[int | None] = []
        self._heaps: dict[int, list[int]] = {}
        self._aside: dict[int, Peer] = {}
        self._rounds = 0
        # Of the peers in heaps.
        self._total = 0

    def _begin(self) -> None:
        peers = self._peers.peers
        self._indexes = {peer: index for index, peer in enumerate(peers)}
        self._keys = [None] * len(peers)
        for index, peer in enumerate(peers):
            if not self._isRegular(peer):
                self._aside[index] = peer
                continue
            weight = peer.weight * self._scale
            key = (-peer.currentWeight << self._bits) + index
            self._keys[index] = key
            self._heaps.setdefault(weight, []).append(key)
            self._total += weight
        for heap in self._heaps.values():
            heapify(heap)

    @staticmethod
    def _isRegular(peer: Peer) -> bool:
        """
        Is it usable, at full weight, and will it stay so until L{touch} says otherwise?
        """
        return not (
            peer.down
            or peer.effectiveWeight != peer.weight
            or peer.sharesHealth
            or 0 < peer.maxFails <= peer.fails
            or (peer.maxConns and peer.conns >= peer.maxConns)
            or peer.warmingSince is not None
        )

    def pick(self, getter: PeerGetter, now: int) -> Peer | None:
        """
        What the plain loop would pick for C{getter}.

        @param now: whole seconds.
        """
        newest = self._peers.newest
        if newest is None or newest[0] is self._peers:
            return self._pick(getter, now)
        # A request that is older than the last change of the group.
        if newest[0].turns is not None:
            newest[0].turns.settle(drop=True)
        picked = self._pick(getter, now)
        self.settle(drop=True)
        return picked

    def _pick(self, getter: PeerGetter, now: int) -> Peer | None:
        if not self._keys:
            self._begin()
        tried = getter.tried
        if tried:
            for peer in tried:
                self.touch(peer)
        hinted = None
        if getter.hint is not None:
            hinted = getter.hinted(now)
            if hinted is not None:
                self.touch(hinted)
                if hinted.isAhead(self._peers):
                    return hinted
        total = 0
        most: int | None = None
        best: Peer | None = None
        if self._aside:
            most, best, total = self._turnAside(now, tried)
        total += self._total
        rounds = self._rounds = self._rounds + 1
        keys, bits, mask = self._keys, self._bits, self._mask
        head = None
        for weight, heap in self._heaps.items():
            while heap:
                key = heap[0]
                if keys[key & mask] == key:
                    value = (rounds * weight << bits) - key
                    if most is None or value > most:
                        most = value
                        head = heap
                    break
                heappop(heap)
        if hinted is not None:
            self.touch(hinted)
            best = hinted
        elif head is not None:
            key = head[0]
            index = key & mask
            key += total << bits
            keys[index] = key
            heapreplace(head, key)
            return self._peers.peers[index]
        if best is not None:
            best.currentWeight -= total
        return best

    def _turnAside(
        self, now: int, tried: set[Peer] | None
    ) -> tuple[int | None, Peer | None, int]:
        """
        The plain rule for those aside; who is regular again goes back.

        @return: the most that one has, comparable with what heaps have; that one; what
            was added to all.
        """
        scale, bits = self._scale, self._bits
        seconds = self._peers.seconds() if scale != 1 else 0.0
        most: int | None = None
        best: Peer | None = None
        total = 0
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
            step = effective = peer.effectiveWeight
            if scale != 1:
                step = peer.warmed(effective, seconds)
            current = peer.currentWeight + step
            peer.currentWeight = current
            total += step
            if effective < peer.weight:
                peer.effectiveWeight = effective + 1
            value = (current << bits) - index
            if most is None or value > most:
                most = value
                best = peer
        return most, best, total

    def _hold(self, index: int, peer: Peer) -> None:
        del self._aside[index]
        weight = peer.weight * self._scale
        base = peer.currentWeight - self._rounds * weight
        key = (-base << self._bits) + index
        self._keys[index] = key
        self._total += weight
        heap = self._heaps.setdefault(weight, [])
        heappush(heap, key)
        if len(heap) > 2 * len(self._keys):
            # Most of it is obsolete.
            valid = {key for key in heap if self._keys[key & self._mask] == key}
            heap[:] = sorted(valid)

    def touch(self, peer: Peer) -> None:
        """
        Write C{currentWeight} out and look at the peer itself at the next pick: it is
        about to change, or may just have become unusable.
        """
        index = self._indexes.get(peer)
        if index is None:
            return
        key = self._keys[index]
        if key is not None:
            weight = peer.weight * self._scale
            peer.currentWeight = self._rounds * weight - (key >> self._bits)
            self._keys[index] = None
            self._total -= weight
        self._aside[index] = peer

    def settle(self, drop: bool = False) -> None:
        """
        Write C{currentWeight} of all peers out.

        @param drop: and begin anew with what it will be then.
        """
        rounds, scale, bits = self._rounds, self._scale, self._bits
        for key, peer in zip(self._keys, self._peers.peers, strict=False):
            if key is not None:
                peer.currentWeight = rounds * peer.weight * scale - (key >> bits)
        if drop:
            self._clear()
