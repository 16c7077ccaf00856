"""
Methods that send what is alike to the same server: C{hash}, C{hash … consistent} and
C{ip_hash}.

nginx: C{ngx_http_upstream_get_hash_peer()}, C{ngx_http_upstream_get_chash_peer()},
C{ngx_http_upstream_get_ip_hash_peer()}; the first two also in C{stream}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

from zope.interface import implementer

from ..interfaces import IBalancer, IBalancerLine, IClient, IPeerInit
from .draw import MOST_MISSES, DrawingGetter, Drawn, Ranges
from .getter import PeerGetter, takeTurns
from .ketama import Circle
from .peer import Peer
from .peers import Peers
from .plain import PlainDirective


class HashGetter(DrawingGetter):
    """
    Draws by the CRC-32 of a key; later draws put their number before it and add up, as
    Cache::Memcached does.
    """

    __slots__ = ("_hash", "_key", "_round")

    _ranges: Ranges

    def __init__(self, peers: Peers, ranges: Ranges, key: bytes) -> None:
        """
        @param key: empty: the request takes turns.
        """
        super().__init__(peers, ranges)
        self._key = key
        self._hash = 0
        self._round = 0
        if not key:
            self.misses = MOST_MISSES + 1

    def draw(self) -> Peer:
        """
        The next peer of the key's own sequence.
        """
        number = self._round
        self._round = number + 1
        key = b"%d%b" % (number, self._key) if number else self._key
        self._hash = (self._hash + (crc32(key) >> 16 & 0x7FFF)) & 0xFFFFFFFF
        ranges = self._ranges
        return ranges.at(self._hash % ranges.total)


@implementer(IPeerInit)
class Hash(Drawn):
    """
    C{hash KEY}: requests with the same key go to the same server, until servers come
    or go.
    """

    __slots__ = ("key",)

    def __init__(self, key: Callable[[IClient], bytes]) -> None:
        """
        @param key: called once per request.
        """
        self.key = key

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.
        """
        return HashGetter(self._peers, self._ranges, self.key(client))


class ConsistentGetter(DrawingGetter):
    """
    Walks the circle from the key's place until a point has a usable peer.
    """

    __slots__ = ("_circle", "_point")

    # nginx asks the circle also where one peer has backups, or where there is none.
    fewest = 0

    def __init__(self, peers: Peers, circle: Circle, key: bytes) -> None:
        """
        @param key: empty: the request takes turns.
        """
        super().__init__(peers, None)
        self._circle = circle
        self._point = circle.find(key)
        if not key:
            self.misses = MOST_MISSES + 1

    def choose(self, now: int) -> Peer | None:
        """
        The first point's peer.  A miss leads to the next point, which may well belong
        to the same server.
        """
        if not self._circle:
            return None
        while self.misses <= MOST_MISSES:
            usable = [
                peer
                for peer in self._circle.at(self._point)
                if self.isUsable(peer, now)
            ]
            if usable:
                return self.turn(usable)
            self._point += 1
            self.misses += 1
        return None

    def turn(self, usable: Sequence[Peer]) -> Peer | None:
        """
        The addresses of one server, all usable, take turns.
        """
        first = usable[0]
        if len(usable) == 1 and first.effectiveWeight == first.weight:
            # It would get back what it pays.
            return first
        for peer in usable:
            self.peers.touch(peer)
        return takeTurns(usable)

    def _getBackup(self) -> Peer | None:
        if not self.peers.peers and self.misses <= MOST_MISSES:
            # nginx asks no backup server in the place of a circle without points.
            return None
        return super()._getBackup()


@implementer(IPeerInit)
class ConsistentHash:
    """
    C{hash KEY consistent}: when servers come or go, few keys change their server.
    """

    __slots__ = ("_circle", "_peers", "key")

    _circle: Circle
    _peers: Peers

    def __init__(self, key: Callable[[IClient], bytes]) -> None:
        """
        @param key: called once per request.
        """
        self.key = key

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
        return ConsistentGetter(self._peers, self._circle, self.key(client))


class IpHashGetter(DrawingGetter):
    """
    Draws by the client's address: the first three bytes of an IPv4 address, so that a
    network of 256 stays together; all of an IPv6 address.
    """

    __slots__ = ("_address", "_hash")

    _ranges: Ranges

    def __init__(self, peers: Peers, ranges: Ranges, address: bytes) -> None:
        """
        @param address: 4 or 16 bytes, or none.
        """
        super().__init__(peers, ranges)
        if len(address) == 16:
            self._address = address
        else:
            # Clients of unix sockets are all alike.
            self._address = address[:3] or bytes(3)
        self._hash = 89

    def draw(self) -> Peer:
        """
        The next peer of the address's own sequence.
        """
        value = self._hash
        for byte in self._address:
            value = (value * 113 + byte) % 6271
        self._hash = value
        ranges = self._ranges
        return ranges.at(value % ranges.total)


@implementer(IPeerInit)
class IpHash(Drawn):
    """
    C{ip_hash}: requests from the same network go to the same server.
    """

    __slots__ = ()

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.
        """
        return IpHashGetter(self._peers, self._ranges, client.address)


@implementer(IBalancer)
class _HashDirective:
    """
    C{hash KEY [consistent] [bounded=FACTOR];}
    """

    directive = "hash"
    layer = 0
    backup = False
    refuses = frozenset({"slow_start"})

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Make the balancer of one group.

        @raise ConfigError: the arguments are others than these.
        """
        # It is made of what is in this module.
        from .bounded import BoundedHash, parseFactor

        arguments = list(line.arguments)
        bounded = arguments[-1].startswith("bounded=") if arguments else False
        if not 1 <= len(arguments) <= 2 + bounded:
            raise line.error('invalid number of arguments in "hash" directive')
        key = line.compile(arguments.pop(0))
        if not arguments:
            return Hash(key)
        factor = None
        if bounded:
            word = arguments.pop()
            try:
                factor = parseFactor(word.partition("=")[2])
            except ValueError:
                raise line.error(f'invalid parameter "{word}"') from None
        if arguments and arguments[0] != "consistent":
            raise line.error(f'invalid parameter "{arguments[0]}"')
        return ConsistentHash(key) if factor is None else BoundedHash(key, factor)


hashKey = _HashDirective()
ipHash = PlainDirective(
    "ip_hash", IpHash, backup=False, refuses=frozenset({"slow_start"})
)
