"""
C{slow_start} where the least busy server is chosen: a server that warms up weighs less.
What it means for turns is in L{turns<twisted_upstream.balance.turns>}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .peer import Peer


def leastLoaded(
    peers: Iterable[Peer], load: Callable[[Peer], int], seconds: float
) -> Peer | None:
    """
    The peer with the least load for what it weighs now; equals take turns.

    @param peers: usable ones.
    @param seconds: the current time.
    """
    equals: list[Peer] = []
    least, weight = 0, 1
    for peer in peers:
        mine, warmed = load(peer), peer.warmed(peer.weight, seconds)
        difference = mine * weight - least * warmed
        if not equals or difference < 0:
            equals = [peer]
            least, weight = mine, warmed
        elif difference == 0:
            equals.append(peer)
    if len(equals) < 2:
        return equals[0] if equals else None
    total = 0
    for peer in equals:
        step = peer.warmed(peer.effectiveWeight, seconds)
        peer.currentWeight += step
        total += step
        if peer.effectiveWeight < peer.weight:
            peer.effectiveWeight += 1
    best = max(equals, key=lambda peer: peer.currentWeight)
    best.currentWeight -= total
    return best
