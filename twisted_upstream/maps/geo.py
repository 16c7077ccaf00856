"""
C{geo}: a variable whose value depends on an address.

Networks and ranges are made into intervals that do not overlap when the configuration
is read; looking one up is a binary search, however many there are.

nginx: ngx_http_geo_module.c, ngx_stream_geo_module.c
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING, Any

from ..config.cidr import Network, parseNetwork, unmapped
from .computed import Computed, blockDirective, wordBytes

if TYPE_CHECKING:
    from ..config.syntax import Node
    from ..variables import Getter

#: The address of a client that is told by trusted proxies: takes the request, its
#: address so far, the proxies, and whether to go on while what they tell is trusted
#: itself.
Forwarded = Callable[[Any, bytes, "tuple[Network, ...]", bool], bytes]

#: What has no address counts as 255.255.255.255: unix sockets, and what is no address.
_NONE = b"\xff\xff\xff\xff"


@dataclass(frozen=True, kw_only=True, slots=True)
class GeoOptions:
    """
    The blocks as written.
    """

    geos: tuple[Node, ...] = blockDirective(
        "geo",
        0,
        "Give a variable a value by the client's address, or by the address that"
        " another variable holds: lines of `network value`, `default value`, `delete"
        " network`, `include file`; with `ranges` as the first line, `from-to value`;"
        " in `http` also `proxy network` and `proxy_recursive`; `volatile`. Binary"
        " bases are neither read nor written.",
        arity=(1, 2),
        type="[$address] $variable",
    )


class Intervals:
    """
    Values of numbers, constant from one number on up to the next.
    """

    __slots__ = ("_starts", "_values")

    def __init__(self, steps: Iterable[tuple[int, bytes]]) -> None:
        """
        @param steps: where a value begins to count, in order; the first is 0.
        """
        self._starts: list[int] = []
        self._values: list[bytes] = []
        for start, value in steps:
            if self._starts and self._starts[-1] == start:
                self._values[-1] = value
            elif not self._values or self._values[-1] != value:
                self._starts.append(start)
                self._values.append(value)

    def __len__(self) -> int:
        return len(self._starts)

    def find(self, number: int) -> bytes:
        """
        The value of C{number}.
        """
        return self._values[bisect_right(self._starts, number) - 1]


class _Networks:
    """
    Values of networks; of those that contain an address the smallest counts.
    """

    def __init__(self) -> None:
        # By size of an address: values by the network's number and bits.
        self._values: dict[int, dict[tuple[int, int], bytes]] = {4: {}, 16: {}}

    def add(self, line: Node) -> None:
        """
        nginx: ngx_http_geo_cidr()
        """
        value = wordBytes(line.words[0])
        if line.name == "default":
            for size in (4, 16):
                self._put(Network(size), value, line)
        elif line.name == "delete":
            network = parse(line.words[0], line)
            if self._values[network.size].pop(_key(network), None) is None:
                line.warning(f'no network "{line.words[0]}" to delete')
        else:
            self._put(parse(line.name, line), value, line)

    def _put(self, network: Network, value: bytes, line: Node) -> None:
        table = self._values[network.size]
        old = table.get(_key(network))
        if old is not None:
            line.warning(
                f'duplicate network "{line.name}", value: "{line.words[0]}",'
                f' old value: "{_text(old)}"'
            )
        table[_key(network)] = value

    def intervals(self, size: int) -> Intervals:
        """
        The values of all addresses of C{size} bytes.
        """
        return Intervals(self._steps(self._values[size], 8 * size))

    @staticmethod
    def _steps(
        values: dict[tuple[int, int], bytes], bits: int
    ) -> Iterable[tuple[int, bytes]]:
        values.setdefault((0, 0), b"")
        # Networks that contain the current one: where they end, and their values.
        around: list[tuple[int, bytes]] = []
        for (start, length), value in sorted(values.items()):
            while around and around[-1][0] <= start:
                end, _ = around.pop()
                if around:
                    yield end, around[-1][1]
            yield start, value
            around.append((start + (1 << (bits - length)), value))
        while len(around) > 1:
            end, _ = around.pop()
            yield end, around[-1][1]


def _key(network: Network) -> tuple[int, int]:
    return network.number, network.mask.bit_count()


def parse(text: str, line: Node) -> Network:
    """
    Parse a network of IPv4 or IPv6.

    @raise ConfigError: it is none.
    """
    try:
        network, meaningless = parseNetwork(text)
    except ValueError:
        network, meaningless = Network(0), False
    if not network.size:
        raise line.error(f'invalid network "{text}"')
    if meaningless:
        line.warning(f"low address bits of {text} are meaningless")
    return network


#: Ends of a piece of a range, and its value.
_Piece = tuple[int, int, bytes]


class _Ranges:
    """
    Values of ranges of IPv4 addresses.

    nginx cuts ranges at multiples of 65536, and so do we: whether one may be added or
    deleted is decided piece by piece.
    """

    def __init__(self) -> None:
        self.default: bytes | None = None
        self._pieces: dict[int, list[_Piece]] = {}

    def add(self, line: Node) -> None:
        """
        nginx: ngx_http_geo_range()
        """
        value = wordBytes(line.words[0])
        if line.name == "default":
            if self.default is not None:
                line.warning(
                    f'duplicate default geo range value: "{line.words[0]}",'
                    f' old value: "{_text(self.default)}"'
                )
            self.default = value
        elif line.name == "delete":
            text = line.words[0]
            found = [self._delete(*cut) for cut in _cut(text, line)]
            if not all(found):
                line.warning(f'no address range "{text}" to delete')
        else:
            old = [self._add(*cut, value, line) for cut in _cut(line.name, line)]
            for each in old:
                if each is not None:
                    line.warning(
                        f'duplicate range "{line.name}", value: "{line.words[0]}",'
                        f' old value: "{_text(each)}"'
                    )
                    break

    def _delete(self, high: int, start: int, end: int) -> bool:
        pieces = self._pieces.get(high, [])
        for index, piece in enumerate(pieces):
            if piece[:2] == (start, end):
                del pieces[index]
                return True
        return False

    def _add(
        self, high: int, start: int, end: int, value: bytes, line: Node
    ) -> bytes | None:
        """
        @return: the value that the very same piece had before.
        """
        pieces = self._pieces.setdefault(high, [])
        # The last one that begins before the new one ends.
        at = bisect_right(pieces, end, key=lambda piece: piece[0]) - 1
        if at < 0 or pieces[at][1] < start:
            pieces.insert(at + 1, (start, end, value))
            return None
        first, last, old = pieces[at]
        if start < first or end > last:
            ends = "-".join(str(IPv4Address(high << 16 | n)) for n in (first, last))
            raise line.error(f'range "{line.name}" overlaps "{ends}"')
        parts = [(start, end, value)]
        if first < start:
            parts.insert(0, (first, start - 1, old))
        if end < last:
            parts.append((end + 1, last, old))
        pieces[at : at + 1] = parts
        return old if (start, end) == (first, last) else None

    def intervals(self) -> Intervals:
        """
        The values of all addresses.
        """
        return Intervals(self._steps())

    def _steps(self) -> Iterable[tuple[int, bytes]]:
        default = self.default or b""
        yield 0, default
        for high in sorted(self._pieces):
            for start, end, value in self._pieces[high]:
                yield high << 16 | start, value
                yield (high << 16 | end) + 1, default


def _cut(text: str, line: Node) -> Iterable[tuple[int, int, int]]:
    """
    The pieces of C{from-to}: the upper 16 bits of each, and its ends in the lower ones.
    """
    first, dash, last = text.partition("-")
    try:
        start, end = int(IPv4Address(first)), int(IPv4Address(last))
    except ValueError:
        start, end = 1, 0
    # That both mean "none" is nginx's limit.
    if not dash or start > end or end == 0xFFFFFFFF:
        raise line.error(f'invalid range "{text}"')
    for high in range(start >> 16, (end >> 16) + 1):
        yield (
            high,
            start & 0xFFFF if high == start >> 16 else 0,
            end & 0xFFFF if high == end >> 16 else 0xFFFF,
        )


class Geo(Computed):
    """
    One C{geo}.
    """

    def __init__(self, node: Node, forwarded: Forwarded | None) -> None:
        """
        @param forwarded: C{None}: there is no C{proxy} here.
        """
        super().__init__(node)
        self._forwarded = forwarded
        self._recursive = "proxy_recursive" in self.flags
        self._proxies: tuple[Network, ...] = ()
        self._source: Getter | None = None
        self._four = self._six = Intervals([(0, b"")])
        self._hasSix = True

    def evaluate(self, request: Any) -> bytes:
        """
        The value of the network or range that the address is in.
        """
        address = unmapped(self._address(request))
        if len(address) == 16:
            if self._hasSix:
                return self._six.find(int.from_bytes(address, "big"))
            address = _NONE
        return self._four.find(int.from_bytes(address or _NONE, "big"))

    def _address(self, request: Any) -> bytes:
        """
        nginx: ngx_http_geo_addr()
        """
        source = self._source
        address: bytes = request.address
        if source is not None:
            text = source(request)
            try:
                address = ip_address((text or b"").decode("ascii")).packed
            except ValueError:
                return _NONE
        if self._proxies and self._forwarded is not None:
            return self._forwarded(request, address, self._proxies, self._recursive)
        return address

    def fill(self, build: Any) -> None:
        """
        Take the source and the lines.

        nginx: ngx_http_geo()
        """
        if len(self.node.words) == 2:
            name = self.node.words[0][1:]
            self._source = build.variables.getter(name, self.node)
        table: _Networks | _Ranges | None = None
        proxies: list[Network] = []
        for line in self.node.block or ():
            if not line.words and line.name in _FLAGS:
                if line.name == "ranges" and table is None:
                    table = _Ranges()
                elif line.name == "ranges" and isinstance(table, _Networks):
                    raise line.error(
                        'the "ranges" directive must be the first directive inside'
                        ' "geo" block'
                    )
                continue
            if len(line.words) != 1:
                raise line.error("invalid number of the geo parameters")
            if line.name == "proxy" and self._forwarded is not None:
                proxies.append(parse(line.words[0], line))
                continue
            if table is None:
                table = _Networks()
            table.add(line)
        self._proxies = tuple(proxies)
        if isinstance(table, _Ranges):
            self._hasSix = False
            self._four = table.intervals()
        elif table is not None:
            self._four, self._six = table.intervals(4), table.intervals(16)


_FLAGS = ("ranges", "proxy_recursive", "volatile")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
