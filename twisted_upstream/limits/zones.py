"""
Zones: named tables of what is known by key, of limited size.

A zone outlives a reload that leaves its name, size and key as they are.  nginx:
C{ngx_shared_memory_add()} and the zones of C{limit_conn} and C{limit_req}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakValueDictionary

from ..config.syntax import ConfigError
from ..config.values import parseSize

if TYPE_CHECKING:
    from ..config.syntax import Node
    from ..variables import Value

T = TypeVar("T")

_PAGE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneLine:
    """
    A zone as written.

    @ivar key: a text with variables.
    @ivar size: bytes.
    @ivar more: the other parameters.
    """

    node: Node
    key: str
    name: str
    size: int
    more: tuple[str, ...] = ()


def parseZone(node: Node, more: Sequence[str] = ()) -> ZoneLine:
    """
    Read C{KEY zone=NAME:SIZE}.

    @param more: what other parameters begin with.
    @raise ConfigError: a parameter is wrong.
    """
    name, size = "", 0
    others: list[str] = []
    for index, word in enumerate(node.words[1:], 1):
        if word.startswith("zone="):
            name, colon, text = word[5:].partition(":")
            try:
                size = parseSize(text) if colon else -1
            except ValueError:
                size = -1
            if size < 0:
                raise node.error(f'invalid zone size "{word}"', word=index)
            if size < 8 * _PAGE:
                raise node.error(f'zone "{word}" is too small', word=index)
        elif any(word.startswith(each) for each in more):
            others.append(word)
        else:
            raise node.error(f'invalid parameter "{word}"', word=index)
    if not name:
        raise node.error(f'"{node.name}" must have "zone" parameter')
    return ZoneLine(
        node=node, key=node.words[0], name=name, size=size, more=tuple(others)
    )


class Memory:
    """
    How much of a zone is in use: states take as many bytes as nginx's would.

    @ivar free: bytes.
    """

    __slots__ = ("_head", "free")

    def __init__(self, size: int, head: int) -> None:
        """
        @param size: of the zone, in bytes.
        @param head: bytes of a state besides its key.
        """
        # nginx keeps a page for itself, and a little for each of the others.
        self.free = (size // (_PAGE + 24) - 1) * _PAGE
        self._head = head

    def take(self, key: bytes) -> bool:
        """
        Take what the state of C{key} needs; C{False}: it is not there.
        """
        size = self._sizeOf(key)
        if size > self.free:
            return False
        self.free -= size
        return True

    def give(self, key: bytes) -> None:
        """
        Give it back.
        """
        self.free += self._sizeOf(key)

    def _sizeOf(self, key: bytes) -> int:
        # The next power of two.
        return 1 << (self._head + len(key) - 1).bit_length()


class Tables:
    """
    The tables of all zones that are in use, over all configurations.
    """

    __slots__ = ("_tables",)

    def __init__(self) -> None:
        self._tables: MutableMapping[tuple[str, str, int, str], Any] = (
            WeakValueDictionary()
        )

    def __len__(self) -> int:
        return len(self._tables)

    def table(self, owner: str, line: ZoneLine, make: Callable[[int], T]) -> T:
        """
        The table of a zone; made where there is none that it could continue.

        @param owner: whose zone it is: C{http limit_conn}.
        @param make: takes the size.
        """
        identity = (owner, line.name, line.size, line.key)
        table: T | None = self._tables.get(identity)
        if table is None:
            table = self._tables[identity] = make(line.size)
        return table


@dataclass(frozen=True, slots=True)
class Zone(Generic[T]):
    """
    A zone of one configuration.

    @ivar key: takes a request or a session.
    """

    line: ZoneLine
    table: T
    key: Value


def defineZones(
    lines: Iterable[ZoneLine],
    owner: str,
    tables: Tables,
    build: Any,
    make: Callable[[int], T],
) -> dict[str, Zone[T]]:
    """
    The zones of one configuration, by name.

    @raise ConfigError: a zone is there twice, or its key is wrong.
    """
    found: dict[str, Zone[T]] = {}
    for line in lines:
        earlier = found.get(line.name)
        if earlier is not None:
            raise line.node.error(
                f'{line.node.name} "{line.name}" is already bound to key'
                f' "{earlier.line.key}"'
            )
        table = tables.table(owner, line, make)
        found[line.name] = Zone(line, table, build.compile(line.key, line.node))
    return found


def zoneOf(found: dict[str, Zone[T]], name: str, node: Node) -> Zone[T]:
    """
    The zone that a limit names.

    @raise ConfigError: there is none.
    """
    zone = found.get(name)
    if zone is None:
        raise node.error(f'zero size shared memory zone "{name}"')
    return zone


def duplicate(node: Node) -> ConfigError:
    """
    The same zone is named twice in one place.
    """
    return node.error(f'"{node.name}" directive is duplicate')
