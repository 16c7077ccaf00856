"""
C{map}: a variable whose value depends on another text.

Keys are looked up without regard to case: exact ones first, then host names with a
wildcard, then regular expressions in their order.

nginx: ngx_http_map_module.c, ngx_http_map_find(), ngx_hash_find_combined()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .computed import Computed, blockDirective, wordBytes

if TYPE_CHECKING:
    from ..config.syntax import Node
    from ..variables import Value

#: Tries a regular expression on a text and keeps what it captured: takes the request
#: and the text.
Matcher = Callable[[Any, bytes], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class MapOptions:
    """
    The maps as written.
    """

    maps: tuple[Node, ...] = blockDirective(
        "map", 1, "Give a variable a value by that of a text."
    )


class _Table:
    """
    What one map says.

    @ivar default: for texts that no key is like.
    """

    def __init__(self, *, hostnames: bool) -> None:
        self.default: Value | None = None
        self._hostnames = hostnames
        self._exact: dict[bytes, Value] = {}
        self._heads: dict[bytes, Value] = {}
        self._tails: dict[bytes, Value] = {}
        self._regexes: list[tuple[Matcher, Value]] = []

    def addRegex(self, match: Matcher, value: Value) -> None:
        self._regexes.append((match, value))

    def addKey(self, key: str, value: Value, node: Node) -> None:
        """
        nginx: ngx_hash_add_key()
        """
        lower = wordBytes(key).lower()
        if not self._hostnames:
            self._put((self._exact,), lower, value, node, key)
            return
        invalid = node.error(f'invalid hostname or wildcard "{key}"')
        if lower.count(b"*") > 1 or b".." in lower or b"\0" in lower:
            raise invalid
        if len(lower) > 1 and lower.startswith(b"."):
            # The name itself and everything under it.
            self._put((self._exact, self._heads), lower[1:], value, node, key)
        elif len(lower) > 2 and lower.startswith(b"*."):
            self._put((self._heads,), lower[2:], value, node, key)
        elif len(lower) > 2 and lower.endswith(b".*"):
            self._put((self._tails,), lower[:-2], value, node, key)
        elif b"*" in lower:
            raise invalid
        else:
            self._put((self._exact,), lower, value, node, key)

    def _put(
        self,
        tables: tuple[dict[bytes, Value], ...],
        key: bytes,
        value: Value,
        node: Node,
        written: str,
    ) -> None:
        for table in tables:
            if key in table:
                raise node.error(f'conflicting parameter "{written}"')
            table[key] = value

    def find(self, request: Any, text: bytes) -> Value | None:
        """
        What C{text} is mapped to.
        """
        if self._hostnames:
            text = text.removesuffix(b".")
        lower = text.lower()
        found = self._exact.get(lower)
        if found is None and self._heads:
            found = _longestHead(self._heads, lower)
        if found is None and self._tails:
            found = _longestTail(self._tails, lower)
        if found is not None:
            return found
        if text:
            for match, value in self._regexes:
                if match(request, text):
                    return value
        return self.default


def _longestHead(table: dict[bytes, Value], name: bytes) -> Value | None:
    """
    C{*.example.com}: the longest end of C{name} that is in C{table}.
    """
    dot = name.find(b".")
    while dot >= 0:
        found = table.get(name[dot + 1 :])
        if found is not None:
            return found
        dot = name.find(b".", dot + 1)
    return None


def _longestTail(table: dict[bytes, Value], name: bytes) -> Value | None:
    """
    C{www.example.*}: the longest beginning of C{name} that is in C{table}.
    """
    dot = name.rfind(b".")
    while dot >= 0:
        found = table.get(name[:dot])
        if found is not None:
            return found
        dot = name.rfind(b".", 0, dot)
    return None


class Map(Computed):
    """
    One map.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._table = _Table(hostnames="hostnames" in self.flags)
        self._source: Value = lambda request: b""

    def evaluate(self, request: Any) -> bytes:
        """
        The value of the key that the source is like.
        """
        value = self._table.find(request, self._source(request))
        return b"" if value is None else value(request)

    def fill(self, build: Any) -> None:
        """
        Compile the source and the lines.

        nginx: ngx_http_map()
        """
        self._source = build.compile(self.node.words[0], self.node)
        for line in self.node.block or ():
            self._add(line, build)

    def _add(self, line: Node, build: Any) -> None:
        if not line.words and line.name in ("hostnames", "volatile"):
            return
        if len(line.words) != 1:
            raise line.error("invalid number of the map parameters")
        key, table = line.name, self._table
        value = build.compile(line.words[0], line)
        if key == "default":
            if table.default is not None:
                raise line.error("duplicate default map parameter")
            table.default = value
        elif key.startswith("~"):
            caseless = key.startswith("~*")
            pattern = key[2 if caseless else 1 :]
            table.addRegex(build.compileMatcher(pattern, line, caseless), value)
        else:
            table.addKey(key.removeprefix("\\"), value, line)
