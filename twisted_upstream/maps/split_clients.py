"""
C{split_clients}: a variable that divides clients into parts of fixed sizes; the same
text always belongs to the same part.

nginx: ngx_http_split_clients_module.c, ngx_murmur_hash2()
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from struct import unpack_from
from typing import TYPE_CHECKING, Any

from .computed import Computed, blockDirective, wordBytes

if TYPE_CHECKING:
    from ..config.syntax import Node
    from ..variables import Value

_percent = re.compile(r"([0-9]+)(?:\.([0-9]{0,2}))?%", re.ASCII)

_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmurHash2(data: bytes) -> int:
    """
    MurmurHash2 of 32 bits, with the length as its only seed.
    """
    size = len(data)
    result = size
    words = size >> 2
    for word in unpack_from(f"<{words}I", data):
        word = word * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        result = (result * _MULTIPLIER & _MASK) ^ word
    if size & 3:
        rest = int.from_bytes(data[words << 2 :], "little")
        result = (result ^ rest) * _MULTIPLIER & _MASK
    result = (result ^ result >> 13) * _MULTIPLIER & _MASK
    return result ^ result >> 15


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitOptions:
    """
    The blocks as written.
    """

    splits: tuple[Node, ...] = blockDirective(
        "split_clients",
        1,
        "Give a variable a value by the hash of a text: lines of `PERCENT% value`,"
        " the last of them may be `* value`.",
        type="text $variable",
    )


class Split(Computed):
    """
    One C{split_clients}.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._source: Value = lambda request: b""
        # Where each part ends, and its value; the last one has no end.
        self._ends: list[int] = []
        self._values: list[bytes] = []

    def evaluate(self, request: Any) -> bytes:
        """
        The value of the part that the source is in.
        """
        number = murmurHash2(self._source(request))
        return self._values[bisect_right(self._ends, number)]

    def fill(self, build: Any) -> None:
        """
        Compile the source and the lines.

        nginx: ngx_conf_split_clients_block()
        """
        self._source = build.compile(self.node.words[0], self.node)
        total = end = 0
        rest: bytes | None = None
        for line in self.node.block or ():
            if len(line.words) != 1:
                raise line.error("invalid number of the split_clients parameters")
            value = wordBytes(line.words[0])
            percent = _parsePercent(line)
            total = total + percent if percent else 10000
            if total > 10000:
                raise self.node.error("percent total is greater than 100%")
            if total == 10000:
                # Whatever rounding leaves belongs to the last part.
                rest = value if rest is None else rest
            else:
                end += percent * _MASK // 10000
                self._ends.append(end)
                self._values.append(value)
        self._values.append(rest or b"")


def _parsePercent(line: Node) -> int:
    """
    Hundredths of a percent; 0: all that is left.
    """
    if line.name == "*":
        return 0
    found = _percent.fullmatch(line.name)
    percent = int(found[1]) * 100 + int(f"{found[2] or '':0<2}") if found else 0
    if not percent:
        raise line.error(f'invalid percent value "{line.name}"')
    return percent
