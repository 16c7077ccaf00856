"""
C{consistent_hash KEY}: Tengine's own ring, other than C{hash KEY consistent}.

A server has 160 places on the ring for each unit of weight, made of its C{id} (or of a
hash of its address) by MurmurHash2.  A key goes to the first place at or after its own
hash.  Where that server is out, the key goes to the next place of one that is not, or
to the lowest of the ring if that is nearer.

A server is out after more than C{max_fails} failures, for C{fail_timeout}; a success
forgives none.

Tengine: C{ngx_http_upstream_get_chash_peer()}, C{ngx_http_upstream_init_chash()}
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from sys import byteorder

from zope.interface import implementer

from ..interfaces import IBalancer, IBalancerLine, IClient, IPeerInit
from .getter import PeerGetter
from .ketama import sortedPoints
from .peer import Outcome, Peer
from .peers import Peers

#: Places on the ring for each unit of weight.
PLACES = 160
#: No server has more of them.
MOST_PLACES = 16384

_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """
    MurmurHash2 of 32 bits, with seed 0.
    """
    hashed = len(data) & _MASK
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _M & _MASK
        word = (word ^ word >> 24) * _M & _MASK
        hashed = hashed * _M & _MASK ^ word
    if whole < len(data):
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    hashed = (hashed ^ hashed >> 13) * _M & _MASK
    return hashed ^ hashed >> 15


class Ring:
    """
    Places on a circle of 2**32.

    @ivar hashes: the places, in order.
    @ivar owners: the number of each place's peer.
    """

    __slots__ = ("hashes", "owners")

    def __init__(self, peers: Sequence[Peer]) -> None:
        numbers, owners = array("Q"), array("Q")
        for index, peer in enumerate(peers):
            count = min(peer.weight * PLACES, MOST_PLACES)
            start = _identity(peer) * 4096 & _MASK
            numbers.extend(range(start, start + count))
            owners.extend(array("Q", [index]) * count)
        self.hashes, self.owners = sortedPoints(_hashAll(numbers, owners))

    def find(self, hashed: int) -> int:
        """
        The first place at or after C{hashed}; behind the last one comes the first.
        """
        return bisect_left(self.hashes, hashed) % len(self.hashes)

    def first(self, out: set[int], start: int, end: int) -> int | None:
        """
        The first place from C{start} up to C{end} of a peer that is not in C{out}.
        """
        owners = self.owners
        for place in range(start, end):
            if owners[place] not in out:
                return place
        return None


def _identity(peer: Peer) -> int:
    label = peer.label
    if label.isascii() and label.isdigit() and int(label) <= 65535:
        return int(label)
    return murmur2(peer.nameBytes)


def _hashAll(numbers: array[int], owners: array[int]) -> bytes:
    """
    Hash four bytes of each number: L{murmur2} of all at once, each in 64 bits of a
    long number, where products of 32 bits do not meet.

    @return: what L{sortedPoints} takes.
    """
    count = len(numbers)

    def lanes(number: int) -> int:
        return int.from_bytes(number.to_bytes(8, "little") * count, "little")

    mask = lanes(_MASK)
    if byteorder == "big":
        numbers.byteswap()
        owners.byteswap()
    word = int.from_bytes(numbers.tobytes(), "little")
    word = (word & mask) * _M & mask
    word = (word ^ word >> 24 & mask) * _M & mask
    hashed = lanes(4 * _M & _MASK) ^ word
    hashed = (hashed ^ hashed >> 13 & mask) * _M & mask
    hashed ^= hashed >> 15 & mask
    points = hashed << 24 | int.from_bytes(owners.tobytes(), "little")
    return (points | lanes(0x10 << 56)).to_bytes(8 * count, "little")


class RingGetter(PeerGetter):
    """
    One request's choices on the ring.
    """

    __slots__ = ("_hash", "_out", "_ring")

    def __init__(
        self, peers: Peers, ring: Ring, out: dict[Peer, int], key: bytes
    ) -> None:
        """
        @param out: until when, in whole seconds, peers are out.
        """
        super().__init__(peers)
        self._ring = ring
        self._out = out
        self._hash = murmur2(key)

    def getPeer(self) -> Peer | None:
        """
        Choose a peer for the next attempt, or C{None} if all are out.
        """
        peer = self._choose(int(self.peers.seconds()))
        if peer is not None:
            if self.tried is None:
                self.tried = {peer}
            else:
                self.tried.add(peer)
            peer.conns += 1
            peer.requests += 1
        return peer

    def _choose(self, now: int) -> Peer | None:
        out = self._out
        if out:
            for peer in [peer for peer, until in out.items() if until <= now]:
                peer.fails = 0
                del out[peer]
        if self.hint is not None:
            hinted = self.peers.hints.get(self.hint)
            if hinted is not None and not self._isOut(hinted, now):
                return hinted
        peers, ring = self.peers.peers, self._ring
        if not peers:
            return None
        place = ring.find(self._hash)
        peer = peers[ring.owners[place]]
        if not self._isOut(peer, now):
            return peer
        unusable = {
            index
            for index, each in enumerate(peers)
            if each.down
            or each in out
            or (self.tried is not None and each in self.tried)
        }
        while True:
            unusable.add(ring.owners[place])
            if len(unusable) == len(peers):
                return None
            lowest = ring.first(unusable, 0, place)
            following = ring.first(unusable, place + 1, len(ring.owners))
            if lowest is None and following is None:
                return None
            place = self._nearer(lowest, following)
            peer = peers[ring.owners[place]]
            if not self._isOut(peer, now):
                return peer

    def _nearer(self, lowest: int | None, following: int | None) -> int:
        if lowest is None or following is None:
            found = following if lowest is None else lowest
            assert found is not None
            return found
        hashes = self._ring.hashes
        if abs(hashes[lowest] - self._hash) > abs(hashes[following] - self._hash):
            return following
        return lowest

    def _isOut(self, peer: Peer, now: int) -> bool:
        if peer.down or (self.tried is not None and peer in self.tried):
            return True
        if peer.fails <= peer.maxFails:
            return False
        self._out.setdefault(peer, now + peer.failTimeout)
        return True

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        The attempt is over.

        @param outcome: of L{Outcome}.
        """
        peer.conns -= 1
        if self.tries:
            self.tries -= 1
        if outcome & Outcome.FAILED:
            peer.fails += 1
            if peer.fails == peer.maxFails + 1:
                self.peers.unavailable(peer)

    def notifyPeer(self, peer: Peer, milestone: str, elapsed: float) -> None:
        """
        Nothing but time makes a server well.
        """


@implementer(IPeerInit)
class TengineHash:
    """
    C{consistent_hash KEY}: requests with the same key go to the same server.
    """

    __slots__ = ("_out", "_peers", "_ring", "key")

    _peers: Peers
    _ring: Ring

    def __init__(self, key: Callable[[IClient], bytes]) -> None:
        """
        @param key: called once per request.
        """
        self.key = key
        self._out: dict[Peer, int] = {}

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        self._peers = peers
        self._ring = Ring(peers.peers)
        stay = set(peers.peers)
        self._out = {peer: until for peer, until in self._out.items() if peer in stay}

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.
        """
        return RingGetter(self._peers, self._ring, self._out, self.key(client))


@implementer(IBalancer)
class _TengineHashDirective:
    """
    C{consistent_hash KEY;}
    """

    directive = "consistent_hash"
    layer = 0
    backup = False
    refuses = frozenset({"max_conns", "slow_start"})

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Make the balancer of one group.

        @raise ConfigError: there is not one argument.
        """
        if len(line.arguments) != 1:
            raise line.error(
                'invalid number of arguments in "consistent_hash" directive'
            )
        return TengineHash(line.compile(line.arguments[0]))


consistentHash = _TengineHashDirective()
