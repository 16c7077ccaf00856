"""
C{limit_conn}: how many requests or sessions with the same key there may be at a time.

nginx: ngx_http_limit_conn_module.c, ngx_stream_limit_conn_module.c
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ..config.directive import Where
from ..interfaces import IKept
from .zones import (
    LimitZones,
    Memory,
    Zone,
    ZoneLine,
    dryRunDirective,
    linesDirective,
    logLevelDirective,
    parseZone,
)

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node

_PLACES = Where.HTTP_ANY | Where.STREAM | Where.STREAM_SERVER

#: Bytes of a state of nginx's, besides its key.
_STATE = 36
_LONGEST = 255

PASSED = b"PASSED"
REJECTED = b"REJECTED"
REJECTED_DRY_RUN = b"REJECTED_DRY_RUN"


@dataclass(frozen=True, slots=True)
class LimitLine:
    """
    One C{limit_conn} as written.
    """

    node: Node
    zone: str
    count: int


def _limit(node: Node) -> LimitLine:
    """
    nginx: ngx_http_limit_conn()
    """
    zone, text = node.words
    count = int(text) if text.isascii() and text.isdigit() else 0
    if count < 1:
        raise node.error(f'invalid number of connections "{text}"', word=1)
    if count > 65535:
        raise node.error("connection limit must be less 65536", word=1)
    return LimitLine(node, zone, count)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionLimitOptions:
    """
    Zones and limits.
    """

    zones: tuple[ZoneLine, ...] = linesDirective(
        "limit_conn_zone",
        Where.HTTP | Where.STREAM,
        parseZone,
        (2, 2),
        "key zone=name:size",
        "A table of numbers of connections by key (a text with variables). When it"
        " is full, new keys are rejected.",
    )
    limits: tuple[LimitLine, ...] = linesDirective(
        "limit_conn",
        _PLACES,
        _limit,
        (2, 2),
        "zone number",
        "How many requests (in stream: sessions) with the same key may be served"
        " at a time.",
    )
    logLevel: str = logLevelDirective(
        "limit_conn_log_level",
        _PLACES,
        "The level of messages about rejected connections.",
    )
    dryRun: bool = dryRunDirective(
        "limit_conn_dry_run", _PLACES, "Count and log, but reject nobody."
    )


@implementer(IKept)
class ConnectionTable:
    """
    How many there are by key.
    """

    __slots__ = ("__weakref__", "_counts", "_memory")

    def __init__(self, size: int) -> None:
        """
        @param size: bytes, as nginx would need them.
        """
        self._counts: dict[bytes, int] = {}
        self._memory = Memory(size, _STATE)

    def __len__(self) -> int:
        return len(self._counts)

    def adopt(self, previous: ConnectionTable) -> None:
        """
        Count together with C{previous}, whose clients may stay.
        """
        self._counts = previous._counts
        self._memory = previous._memory

    def close(self) -> None:
        """
        Nothing waits here.
        """

    def count(self, key: bytes) -> int:
        """
        How many there are with C{key}.
        """
        return self._counts.get(key, 0)

    def enter(self, key: bytes) -> bool:
        """
        There is one more.

        @return: C{False}: there is no room for its key.
        """
        count = self._counts.get(key, 0)
        if not count and not self._memory.take(key):
            return False
        self._counts[key] = count + 1
        return True

    def leave(self, key: bytes) -> None:
        """
        One that entered has gone.
        """
        count = self._counts[key] - 1
        if count:
            self._counts[key] = count
        else:
            del self._counts[key]
            self._memory.give(key)


class Held:
    """
    What one request or session counts for.
    """

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: list[tuple[ConnectionTable, bytes]] = []

    def enter(self, table: ConnectionTable, key: bytes) -> bool:
        """
        Count in a table; C{False}: there is no room.
        """
        if not table.enter(key):
            return False
        self._taken.append((table, key))
        return True

    def release(self) -> None:
        """
        It is over.  May be called again.
        """
        for table, key in self._taken:
            table.leave(key)
        self._taken.clear()


class ConnectionLimiter:
    """
    The limits of one place.
    """

    __slots__ = ("_dryRun", "_level", "_limits")

    def __init__(
        self,
        limits: Sequence[tuple[Zone[ConnectionTable], int]],
        level: str,
        dryRun: bool,
    ) -> None:
        self._limits = limits
        self._level = level
        self._dryRun = dryRun

    def admit(self, client: Any, *, last: bool = True) -> bool | None:
        """
        Count a request or a session, and compare.

        @param client: has C{logError}; C{client.limitConnStatus} becomes the value of
            C{$limit_conn_status}, and C{client.held} what is to be released in the end,
            whatever the answer: a L{Held}, or C{None} still.
        @param last: else nobody is rejected: the answer is C{None} then, and nothing
            has happened.
        @return: C{False}: it is rejected.
        """
        if client.limitConnStatus is not None:
            # Not again after an internal redirect.
            return True
        held = Held()
        for zone, limit in self._limits:
            key = zone.key(client)
            if not key:
                continue
            if len(key) > _LONGEST:
                shown = key.decode("utf-8", "replace")
                client.logError(
                    "error",
                    f'the value of the "{zone.line.key}" key is more than {_LONGEST}'
                    f' bytes: "{shown}"',
                )
                continue
            client.limitConnStatus = PASSED
            full = zone.table.count(key) >= limit
            if full and not last:
                held.release()
                client.limitConnStatus = None
                return None
            if full:
                dry = ", dry run," if self._dryRun else ""
                client.logError(
                    self._level,
                    f'limiting connections{dry} by zone "{zone.line.name}"',
                )
            elif held.enter(zone.table, key):
                client.held = held
                continue
            else:
                client.logError(
                    "crit",
                    "ngx_slab_alloc() failed: no memory in limit_conn_zone"
                    f' "{zone.line.name}"',
                )
            held.release()
            client.limitConnStatus = REJECTED_DRY_RUN if self._dryRun else REJECTED
            return self._dryRun
        return True


class ConnectionLimits:
    """
    The zones of an C{http} or C{stream} block, and the limits in it.
    """

    def __init__(self, block: Block, build: Any, place: str) -> None:
        """
        @param build: the composition at hand, with C{compile(text, node)} and C{zones}.
        @param place: C{http} or C{stream}: each has its own zones.
        @raise ConfigError: a zone is wrong.
        """
        lines = block.of(ConnectionLimitOptions).zones
        self._zones = LimitZones(lines, f"{place} limit_conn", build, ConnectionTable)

    def compile(self, block: Block) -> ConnectionLimiter | None:
        """
        The limits of one place; C{None}: there are none.

        @raise ConfigError: a zone is named twice, or is for something else.
        """
        options = block.of(ConnectionLimitOptions)
        if not options.limits:
            return None
        limits = [(zone, line.count) for zone, line in self._zones.bind(options.limits)]
        return ConnectionLimiter(limits, options.logLevel, options.dryRun)
