"""
C{limit_req}: how often requests with the same key may come.

Every request fills the bucket of its key with 1000 thousandths, and it leaks C{rate}
thousandths per second; all numbers are whole, as nginx's are.

nginx: ngx_http_limit_req_module.c
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ..config.directive import HTTP_ANY, Where
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

#: Bytes of a state of nginx's, besides its key.
_STATE = 80
_LONGEST = 65535
#: Milliseconds after which an empty bucket is forgotten.
_FORGET = 60000
_NEVER = 1 << 62

PASSED = b"PASSED"
DELAYED = b"DELAYED"
REJECTED = b"REJECTED"
DELAYED_DRY_RUN = b"DELAYED_DRY_RUN"
REJECTED_DRY_RUN = b"REJECTED_DRY_RUN"

#: The level below each level.
_LOWER = {"error": "warn", "warn": "notice", "notice": "info", "info": "info"}


@dataclass(frozen=True, slots=True)
class LimitLine:
    """
    One C{limit_req} as written.

    @ivar burst: thousandths of a request.
    @ivar delay: the same.
    """

    node: Node
    zone: str
    burst: int
    delay: int


def _zone(node: Node) -> ZoneLine:
    line = parseZone(node, ("rate=",))
    for word in line.more:
        if _rate(word) <= 0:
            raise node.error(f'invalid rate "{word}"')
    return line


def _rate(word: str) -> int:
    """
    Thousandths of a request per second; 0: it is none.
    """
    text, scale = word[5:], 1
    if text.endswith(("r/s", "r/m")):
        scale = 60 if text.endswith("m") else 1
        text = text[:-3]
    if not (text.isascii() and text.isdigit()) or not int(text):
        return 0
    # Less than one thousandth would never leak.
    return max(1, int(text) * 1000 // scale)


def _limit(node: Node) -> LimitLine:
    """
    nginx: ngx_http_limit_req()
    """
    zone: str | None = None
    burst = delay = 0
    for index, word in enumerate(node.words):
        name, equals, value = word.partition("=")
        if name == "zone" and equals:
            zone = value
        elif name in ("burst", "delay") and equals:
            number = int(value) if value.isascii() and value.isdigit() else 0
            if not number:
                raise node.error(f'invalid {name} value "{word}"', word=index)
            if name == "burst":
                burst = number * 1000
            else:
                delay = number * 1000
        elif word == "nodelay":
            delay = _NEVER
        else:
            raise node.error(f'invalid parameter "{word}"', word=index)
    if zone is None:
        raise node.error(f'"{node.name}" must have "zone" parameter')
    return LimitLine(node, zone, burst, delay)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestLimitOptions:
    """
    Zones and limits.
    """

    zones: tuple[ZoneLine, ...] = linesDirective(
        "limit_req_zone",
        Where.HTTP,
        _zone,
        (3, 3),
        "key zone=name:size rate=number(r/s | r/m)",
        "A table of how often requests came by key (a text with variables). When"
        " it is full, the key that was longest away is forgotten.",
    )
    limits: tuple[LimitLine, ...] = linesDirective(
        "limit_req",
        HTTP_ANY,
        _limit,
        (1, 3),
        "zone=name [burst=number] [nodelay | delay=number]",
        "Requests with the same key that come more often than the zone's rate are"
        " delayed, and rejected when they are more than `burst` ahead. The first"
        " `delay` of them are not delayed.",
    )
    logLevel: str = logLevelDirective(
        "limit_req_log_level",
        HTTP_ANY,
        "The level of messages about rejected requests; those about delayed ones"
        " are one level lower.",
    )
    dryRun: bool = dryRunDirective(
        "limit_req_dry_run", HTTP_ANY, "Count and log, but delay and reject nobody."
    )


class _Bucket:
    """
    @ivar excess: thousandths in it.
    @ivar last: when it was filled last, in milliseconds.
    @ivar users: requests that look at it now: it is not forgotten.
    """

    __slots__ = ("excess", "last", "users")

    def __init__(self, last: int) -> None:
        self.excess = 0
        self.last = last
        self.users = 0

    def filled(self, rate: int, now: int) -> tuple[int, int]:
        """
        What would be in it after one more request, and the milliseconds since the last
        one; clocks may be set back.
        """
        passed = now - self.last
        if passed < 0:
            passed = 1 if passed < -_FORGET else 0
        return max(0, self.excess - rate * passed // 1000 + 1000), passed

    def fill(self, rate: int, now: int) -> int:
        """
        One more request.

        @return: what is in it then.
        """
        self.excess, passed = self.filled(rate, now)
        if passed:
            self.last = now
        return self.excess


@implementer(IKept)
class RequestTable:
    """
    Buckets by key, those that were used last at the end.
    """

    __slots__ = ("__weakref__", "_buckets", "_memory", "rate")

    def __init__(self, size: int) -> None:
        """
        @param size: bytes, as nginx would need them.
        """
        self._buckets: OrderedDict[bytes, _Bucket] = OrderedDict()
        self._memory = Memory(size, _STATE)
        #: Thousandths of a request that leak per second.
        self.rate = 1000

    def __len__(self) -> int:
        return len(self._buckets)

    def adopt(self, previous: RequestTable) -> None:
        """
        Use the buckets of C{previous}; the rate may be another one.
        """
        self._buckets = previous._buckets
        self._memory = previous._memory

    def close(self) -> None:
        """
        Nothing waits here.
        """

    def find(self, key: bytes) -> _Bucket | None:
        """
        The bucket of C{key}.
        """
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._buckets.move_to_end(key)
        return bucket

    def make(self, key: bytes, now: int) -> _Bucket | None:
        """
        A bucket for a new key; C{None}: there is no room, though the oldest one was
        forgotten.
        """
        self._expire(now, 1)
        if not self._memory.take(key):
            self._expire(now, 0)
            if not self._memory.take(key):
                return None
        bucket = self._buckets[key] = _Bucket(now)
        return bucket

    def _expire(self, now: int, done: int) -> None:
        """
        Forget one or two empty buckets; with C{done} 0, first the oldest one.
        """
        while done < 3 and self._buckets:
            key, bucket = next(iter(self._buckets.items()))
            if bucket.users:
                return
            if done:
                passed = abs(now - bucket.last)
                if passed < _FORGET or bucket.excess > self.rate * passed // 1000:
                    return
            done += 1
            del self._buckets[key]
            self._memory.give(key)


class RequestLimiter:
    """
    The limits of one place.
    """

    __slots__ = ("_dryRun", "_level", "_limits", "_seconds")

    def __init__(
        self,
        limits: Sequence[tuple[Zone[RequestTable], LimitLine]],
        level: str,
        dryRun: bool,
        seconds: Callable[[], float],
    ) -> None:
        self._limits = limits
        self._level = level
        self._dryRun = dryRun
        self._seconds = seconds

    def admit(self, client: Any) -> float | None:
        """
        Count a request, and compare.

        @param client: has C{logError}; C{client.limitReqStatus} becomes the value of
            C{$limit_req_status}.
        @return: for how many seconds it has to wait; C{None}: it is rejected.
        """
        if client.limitReqStatus is not None:
            # Not again after an internal redirect.
            return 0.0
        now = int(self._seconds() * 1000)
        found: list[tuple[Zone[RequestTable], LimitLine, _Bucket]] = []
        try:
            for zone, line in self._limits:
                key = self._key(zone, client)
                if not key:
                    continue
                table = zone.table
                bucket = table.find(key)
                if bucket is None:
                    bucket = table.make(key, now)
                    if bucket is None:
                        client.logError(
                            "alert",
                            "could not allocate node in limit_req zone"
                            f' "{zone.line.name}"',
                        )
                        return self._reject(client)
                    # The first request is free.
                    bucket.excess = -1000
                excess, _ = bucket.filled(table.rate, now)
                if excess > line.burst:
                    dry = ", dry run" if self._dryRun else ""
                    client.logError(
                        self._level,
                        f"limiting requests{dry}, excess: {_thousandths(excess)}"
                        f' by zone "{zone.line.name}"',
                    )
                    return self._reject(client)
                bucket.users += 1
                found.append((zone, line, bucket))
            return self._account(found, now, client) if found else 0.0
        finally:
            for _, _, bucket in found:
                bucket.users -= 1

    @staticmethod
    def _key(zone: Zone[RequestTable], client: Any) -> bytes:
        key = zone.key(client)
        if len(key) <= _LONGEST:
            return key
        shown = key.decode("utf-8", "replace")
        client.logError(
            "error",
            f'the value of the "{zone.line.key}" key is more than {_LONGEST} bytes:'
            f' "{shown}"',
        )
        return b""

    def _reject(self, client: Any) -> float | None:
        client.limitReqStatus = REJECTED_DRY_RUN if self._dryRun else REJECTED
        return 0.0 if self._dryRun else None

    def _account(
        self,
        found: list[tuple[Zone[RequestTable], LimitLine, _Bucket]],
        now: int,
        client: Any,
    ) -> float:
        """
        All buckets have room: fill them.

        @return: the longest delay of all, in seconds.
        """
        longest = most = 0
        name = ""
        for zone, line, bucket in reversed(found):
            rate = zone.table.rate
            excess = bucket.fill(rate, now)
            if excess <= line.delay:
                continue
            delay = (excess - line.delay) * 1000 // rate
            if delay > longest:
                longest, most, name = delay, excess, zone.line.name
        if not longest:
            client.limitReqStatus = PASSED
            return 0.0
        dry = ", dry run" if self._dryRun else ""
        client.logError(
            _LOWER[self._level],
            f'delaying request{dry}, excess: {_thousandths(most)}, by zone "{name}"',
        )
        client.limitReqStatus = DELAYED_DRY_RUN if self._dryRun else DELAYED
        return 0.0 if self._dryRun else longest / 1000


def _thousandths(number: int) -> str:
    return f"{number // 1000}.{number % 1000:03}"


class RequestLimits:
    """
    The zones of an C{http} block, and the limits in it.
    """

    def __init__(self, block: Block, build: Any) -> None:
        """
        @param build: the composition at hand, with C{compile(text, node)} and C{zones}.
        @raise ConfigError: a zone is wrong.
        """
        lines = block.of(RequestLimitOptions).zones
        self._zones = LimitZones(lines, "http limit_req", build, RequestTable)
        for zone in self._zones:
            rates = [_rate(word) for word in zone.line.more]
            zone.table.rate = rates[-1] if rates else 1000

    def compile(
        self, block: Block, seconds: Callable[[], float]
    ) -> RequestLimiter | None:
        """
        The limits of one place; C{None}: there are none.

        @raise ConfigError: a zone is named twice, or is for something else.
        """
        options = block.of(RequestLimitOptions)
        if not options.limits:
            return None
        limits = self._zones.bind(options.limits)
        return RequestLimiter(limits, options.logLevel, options.dryRun, seconds)
