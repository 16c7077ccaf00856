"""
What C{limit_conn} and C{limit_req} have in common: lines, tables of limited size by
key, and finding them by name.

A table outlives a reload that leaves its zone's name, size and key as they are.

nginx: C{ngx_http_limit_conn_zone()}, C{ngx_http_limit_req_zone()}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ..config.directive import Arity, Where, directive, flag, oneOf
from ..config.values import parseSize

if TYPE_CHECKING:
    from ..config.syntax import Node
    from ..config.zones import Zones
    from ..variables import Value


class NamesZone(Protocol):
    """
    A limit as written: it names a zone.
    """

    @property
    def node(self) -> Node: ...

    @property
    def zone(self) -> str: ...


T = TypeVar("T")
L = TypeVar("L", bound=NamesZone)

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


def linesDirective(
    name: str,
    where: Where,
    convert: Callable[[Node], Any],
    arity: Arity,
    type: str,
    doc: str,
) -> Any:
    """
    The field of zones or limits: all lines of a place.
    """
    return directive(
        name, where, convert, arity=arity, default=(), repeat=True, type=type, doc=doc
    )


def logLevelDirective(name: str, where: Where, doc: str) -> Any:
    """
    The field of a C{limit_*_log_level}.
    """
    return directive(
        name, where, oneOf("info", "notice", "warn", "error"), default="error", doc=doc
    )


def dryRunDirective(name: str, where: Where, doc: str) -> Any:
    """
    The field of a C{limit_*_dry_run}.
    """
    return directive(name, where, flag, default=False, doc=doc)


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


@dataclass(frozen=True, slots=True)
class Zone(Generic[T]):
    """
    A zone of one configuration.

    @ivar key: takes a request or a session.
    """

    line: ZoneLine
    table: T
    key: Value


class LimitZones(Generic[T]):
    """
    The zones of one kind of limit in one configuration, by name.
    """

    def __init__(
        self,
        lines: Iterable[ZoneLine],
        use: str,
        build: Any,
        make: Callable[[int], T],
    ) -> None:
        """
        @param use: whose zones they are: C{http limit_conn}.
        @param build: the composition at hand, with C{compile(text, node)} and the
            zones of all features.
        @param make: takes the size of a zone, answers its table, an L{IKept}.
        @raise ConfigError: a name is used already, or a key is wrong.
        """
        self._use = use
        self._registry: Zones = build.zones
        self._found: dict[str, Zone[T]] = {}
        for line in lines:
            table: Any = make(line.size)
            self._registry.keep(
                line.name, line.size, use, table, line.node, key=line.key
            )
            key = build.compile(line.key, line.node)
            self._found[line.name] = Zone(line, table, key)

    def __iter__(self) -> Iterator[Zone[T]]:
        return iter(self._found.values())

    def bind(self, lines: Iterable[L]) -> tuple[tuple[Zone[T], L], ...]:
        """
        The zones that the limits of one place name.

        @raise ConfigError: a zone is named twice, or is for something else.
        """
        bound: dict[str, tuple[Zone[T], L]] = {}
        for line in lines:
            name, node = line.zone, line.node
            if name in bound:
                raise node.error(f'"{node.name}" directive is duplicate')
            self._registry.declare(name, 0, self._use, node)
            zone = self._found.get(name)
            # Others are complained of when all directives had their chance.
            if zone is not None:
                bound[name] = (zone, line)
        return tuple(bound.values())
