"""
The circle of C{hash … consistent}: Ketama's, with the points of
Cache::Memcached::Fast.

Ten thousand servers have 1.6 million points, and a start or a reload must not wait for
a loop over them.  Each point of a server is the CRC-32 of the one before, and CRC is
linear: with C{e}, the server's first point, the next point after C{x} is C{L(x) ^ e},
where C{L} is the same for all servers.  So the points of all servers of one weight are
made together, in four byte strings (one for each byte of a point) to which
C{bytes.translate} applies C{L}.

nginx: C{ngx_http_upstream_update_chash()}
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import compress
from operator import eq
from zlib import crc32

from .peer import Peer

#: Points on the circle for each unit of weight.
POINTS = 160
#: For fewer servers of a weight, a loop is faster.
_MANY = 128


class Circle:
    """
    Points on a circle of 2**32 places, each belonging to the peers of one C{server}
    line: all addresses of a name share theirs.

    @ivar hashes: the points, in order.
    @ivar lines: how many lines there are.
    """

    __slots__ = ("_lines", "_owners", "hashes", "lines")

    def __init__(self, peers: Sequence[Peer]) -> None:
        numbers: dict[str, int] = {}
        lines: list[list[Peer]] = []
        byWeight: dict[int, list[int]] = {}
        for peer in peers:
            line = numbers.setdefault(peer.server, len(lines))
            if line == len(lines):
                lines.append([])
            lines[line].append(peer)
            byWeight.setdefault(peer.weight, []).append(line)
        self._lines = [tuple(line) for line in lines]
        self.lines = len(lines)
        bases = [baseOf(server) for server in numbers]
        parts = [
            (_pointsTogether if len(owners) >= _MANY else _pointsInTurn)(
                [bases[line] for line in owners], owners, weight * POINTS
            )
            for weight, owners in byWeight.items()
        ]
        self.hashes, self._owners = _unique(*sortedPoints(b"".join(parts)))

    def __len__(self) -> int:
        return len(self.hashes)

    def find(self, key: bytes) -> int:
        """
        The number of the first point at or after the key's place; the number of points
        if it is after the last one.
        """
        return bisect_left(self.hashes, crc32(key))

    def at(self, number: int) -> tuple[Peer, ...]:
        """
        The peers of point C{number}, counted round and round.
        """
        return self._lines[self._owners[number % len(self._owners)]]


def baseOf(server: str) -> int:
    """
    What the points of a C{server} line begin with.

    @param server: the address as written.
    """
    if server[:5].lower() == "unix:":
        host, port = server[5:], ""
    else:
        host, colon, port = server.rpartition(":")
        if not colon or (port and not (port.isascii() and port.isdigit())):
            host, port = server, ""
    return crc32(f"{host}\0{port}".encode("utf-8", "surrogateescape"))


# Both functions return eight bytes for each point: the line's number in three, the
# point in four, and a 1 in the high half of the last one.  Read as floats (little
# endian) they have the order of the points and then of the configuration, none of them
# is out of the ordinary, and floats are sorted twice as fast as numbers of such a size.


def _pointsInTurn(bases: Sequence[int], owners: Iterable[int], count: int) -> bytes:
    """
    C{count} points of each line, one after the other.
    """
    points = bytearray()
    for base, owner in zip(bases, owners, strict=True):
        end = 0x10 << 56 | owner
        point = 0
        for _ in range(count):
            point = crc32(point.to_bytes(4, "little"), base)
            points += (end | point << 24).to_bytes(8, "little")
    return bytes(points)


def _pointsTogether(bases: Sequence[int], owners: Sequence[int], count: int) -> bytes:
    """
    C{count} points of each line, the first points of all lines first.
    """
    size = len(bases)
    tables = _tables()
    firsts = [crc32(bytes(4), base) for base in bases]
    first = [
        int.from_bytes(bytes(point >> 8 * place & 255 for point in firsts), "little")
        for place in range(4)
    ]
    planes = [plane.to_bytes(size, "little") for plane in first]
    rounds: list[list[bytes]] = [[], [], [], []]
    for _ in range(count):
        for place in range(4):
            rounds[place].append(planes[place])
        after: list[bytes] = []
        for place in range(4):
            plane = first[place]
            for table, before in zip(tables[place], planes, strict=True):
                plane ^= int.from_bytes(before.translate(table), "little")
            after.append(plane.to_bytes(size, "little"))
        planes = after
    points = bytearray(8 * size * count)
    for place in range(3):
        points[place::8] = bytes(each >> 8 * place & 255 for each in owners) * count
    for place in range(4):
        points[place + 3 :: 8] = b"".join(rounds[place])
    points[7::8] = b"\x10" * (size * count)
    return bytes(points)


@cache
def _tables() -> list[list[bytes]]:
    """
    C{L}, by the byte of its result and the byte of its argument.
    """
    zero = crc32(bytes(4))
    return [
        [
            bytes(
                (crc32((byte << 8 * source).to_bytes(4, "little")) ^ zero) >> 8 * place
                & 255
                for byte in range(256)
            )
            for source in range(4)
        ]
        for place in range(4)
    ]


def sortedPoints(points: bytes) -> tuple[array[int], array[int]]:
    """
    Points in order, and the numbers of what they belong to.

    @param points: of each point eight bytes, see above.
    """
    floats = array("d", points)
    if sys.byteorder == "big":
        floats.byteswap()
    floats = array("d", sorted(floats))
    if sys.byteorder == "big":
        floats.byteswap()
    points = floats.tobytes()
    hashes, owners = bytearray(len(floats) * 4), bytearray(len(floats) * 4)
    for place in range(4):
        hashes[place::4] = points[place + 3 :: 8]
    for place in range(3):
        owners[place::4] = points[place::8]
    both = array("I", bytes(hashes)), array("I", bytes(owners))
    if sys.byteorder == "big":
        for each in both:
            each.byteswap()
    return both


def _unique(hashes: array[int], owners: array[int]) -> tuple[array[int], array[int]]:
    """
    The same without points equal to the one before.
    """
    again = list(compress(range(1, len(hashes)), map(eq, hashes, hashes[1:])))
    if not again:
        return hashes, owners
    both = array("I"), array("I")
    start = 0
    for index in (*again, len(hashes)):
        both[0].extend(hashes[start:index])
        both[1].extend(owners[start:index])
        start = index + 1
    return both
