"""
Named zones of memory: who declares which, and what goes from one configuration to the
next by its name.

nginx: C{ngx_shared_memory_add()}, C{ngx_init_cycle()},
C{ngx_http_upstream_sticky_sess_init_zone()}
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..config.syntax import Node
    from ..interfaces import IKept


class ZoneError(Exception):
    """
    A configuration cannot follow the one that serves.
    """


@dataclass(eq=False)
class _Zone:
    """
    @ivar directive: what it is used for.
    @ivar size: bytes; 0: not said yet.
    @ivar group: the group whose balancer keeps something there.
    """

    directive: str
    size: int
    group: str = ""
    kept: IKept | None = field(default=None, repr=False)


class Zones:
    """
    The zones of one configuration.
    """

    def __init__(self) -> None:
        self._zones: dict[str, _Zone] = {}

    def declare(self, name: str, size: int, directive: str, node: Node) -> _Zone:
        """
        A directive uses a zone.

        @param size: bytes; 0: another line says.
        @raise ConfigError: it contradicts another line.
        """
        zone = self._zones.setdefault(name, _Zone(directive, size))
        if zone.directive != directive:
            raise node.error(
                f'the shared memory zone "{name}" is already declared for a'
                " different use"
            )
        zone.size = zone.size or size
        if size and size != zone.size:
            raise node.error(
                f'the size {size} of shared memory zone "{name}" conflicts with'
                f" already declared size {zone.size}"
            )
        return zone

    def keep(self, name: str, size: int, kept: IKept, group: str, node: Node) -> None:
        """
        A group's balancer keeps something.

        @raise ConfigError: the zone is used already.
        """
        zone = self.declare(name, size, node.name, node)
        if zone.kept is not None:
            raise node.error(
                f'{node.name} zone "{name}" is already used in upstream "{zone.group}"'
            )
        zone.group = group
        zone.kept = kept

    def _followed(self, previous: Zones) -> list[tuple[str, _Zone, _Zone]]:
        return [
            (name, zone, old)
            for name, zone in self._zones.items()
            if (old := previous._zones.get(name)) is not None
            and zone.kept is not None
            and old.kept is not None
            and (zone.directive, zone.size) == (old.directive, old.size)
        ]

    def check(self, previous: Zones) -> None:
        """
        May this configuration go on with what C{previous} keeps?

        @raise ZoneError: it may not.
        """
        for name, zone, old in self._followed(previous):
            if zone.group != old.group:
                raise ZoneError(
                    f'{zone.directive} zone "{name}" is used in upstream'
                    f' "{zone.group}" while previously it was used in upstream'
                    f' "{old.group}"'
                )

    def adopt(self, previous: Zones) -> None:
        """
        Go on with what C{previous} keeps.
        """
        for _, zone, old in self._followed(previous):
            assert zone.kept is not None
            zone.kept.adopt(old.kept)

    def close(self) -> None:
        """
        Nothing is asked any more.
        """
        for zone in self._zones.values():
            if zone.kept is not None:
                zone.kept.close()
