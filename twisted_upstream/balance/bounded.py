"""
C{hash KEY bounded=FACTOR}: consistent hashing with bounded loads.

The circle is that of C{hash KEY consistent}.  But no server has more attempts under way
than C{FACTOR} times its share of all of them, the new one included, rounded up: where
it would have, the key goes on to the next server on the circle.  So one popular key
cannot overload its server, and the others stay where they are.

nginx has no such method; it is that of Mirrokni, Thorup and Zadimoghaddam.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from zope.interface import implementer

from ..interfaces import IClient, IPeerInit
from .getter import PeerGetter
from .hashing import ConsistentGetter
from .ketama import Circle
from .peer import Peer
from .peers import Peers

#: So many servers are looked at along the circle; then it is faster to look at all.
_FAR = 64

_decimal = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def parseFactor(text: str) -> Fraction:
    """
    Read C{FACTOR}.

    @raise ValueError: it is no decimal, or less than 1: the shares of all servers
        would not make up for all attempts.
    """
    if _decimal.fullmatch(text) is None or (factor := Fraction(text)) < 1:
        raise ValueError("invalid value")
    return factor


class Load:
    """
    What the requests of a group have under way.

    @ivar active: attempts.
    """

    __slots__ = ("active", "factor")

    def __init__(self, factor: Fraction) -> None:
        self.active = 0
        self.factor = factor.as_integer_ratio()


class BoundedGetter(ConsistentGetter):
    """
    Walks the circle from the key's place until a server is neither out nor full.

    Whom a request asks for, or without a key has the turn, is taken as it is.
    """

    __slots__ = ("_load",)

    def __init__(self, peers: Peers, circle: Circle, key: bytes, load: Load) -> None:
        super().__init__(peers, circle, key)
        self._load = load

    def pick(self, now: int) -> Peer | None:
        """
        The peer that the request asks for, or the circle's.
        """
        peer = super().pick(now)
        if peer is not None:
            self._load.active += 1
        return peer

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        The attempt is over.
        """
        if self.peers.single is None:
            self._load.active -= 1
        super().freePeer(peer, outcome)

    def choose(self, now: int) -> Peer | None:
        """
        The first server that may have one more.  Where all that are usable have their
        share, since others are out: the one least above it.
        """
        circle, point = self._circle, self._point
        if not circle:
            return None
        # A peer has room below share / parts for each of its weight.
        times, parts = self._load.factor
        share = times * (self._load.active + 1)
        parts *= self.peers.totalWeight
        full: list[Peer] = []
        seen: set[tuple[Peer, ...]] = set()
        for step in range(len(circle)):
            line = circle.at(point + step)
            if line in seen:
                continue
            free: list[Peer] = []
            for peer in line:
                if self.isUsable(peer, now):
                    hasRoom = peer.conns * parts < share * peer.weight
                    (free if hasRoom else full).append(peer)
            if free:
                return self.turn(free)
            seen.add(line)
            if len(seen) == circle.lines:
                break
            if len(seen) == _FAR:
                full = self.usable(now)
                free = [
                    each for each in full if each.conns * parts < share * each.weight
                ]
                full = free or full
                break
        if not full:
            return None
        return min(full, key=lambda peer: (peer.conns + 1) / peer.weight)


@implementer(IPeerInit)
class BoundedHash:
    """
    C{hash KEY [consistent] bounded=FACTOR}.
    """

    __slots__ = ("_circle", "_load", "_peers", "key")

    _circle: Circle
    _peers: Peers

    def __init__(self, key: Callable[[IClient], bytes], factor: Fraction) -> None:
        """
        @param key: called once per request.
        @param factor: at least 1.
        """
        self.key = key
        self._load = Load(factor)

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        self._peers = peers
        self._circle = Circle(peers.peers)

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.
        """
        return BoundedGetter(self._peers, self._circle, self.key(client), self._load)
