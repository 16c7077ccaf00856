"""
Named zones of memory: who declares which, and what goes from one configuration to the
next by its name.

All features share the names: limits, groups, balancers, caches of TLS, in http and in
stream.

nginx: C{ngx_shared_memory_add()}, C{ngx_init_cycle()},
C{ngx_http_upstream_sticky_sess_init_zone()}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..interfaces import IKept
    from .nodes import Node, Problem


class ZoneError(Exception):
    """
    A configuration cannot follow the one that serves.
    """


@dataclass(eq=False)
class _Zone:
    """
    @ivar use: the feature that it is for, and whether in http or stream.
    @ivar size: bytes; 0: not said yet.
    @ivar node: the first line that uses it.
    @ivar sized: the first line that says its size.
    @ivar disputed: some line uses it for something else.
    @ivar keeper: the line whose feature keeps something there.
    @ivar group: the group whose balancer that is; empty: it is no balancer.
    @ivar key: only what has the same one is handed on.
    """

    use: str
    size: int
    node: Node
    sized: Node | None = None
    disputed: bool = False
    keeper: Node | None = None
    group: str = ""
    key: str = ""
    kept: IKept | None = field(default=None, repr=False)


class Zones:
    """
    The zones of one configuration.
    """

    def __init__(self, root: Node | None = None) -> None:
        """
        @param root: all of the configuration, which tells what comes first in it: of
            two lines that contradict each other, the later one is wrong.  Without it,
            the one that is declared later.
        """
        self._root = root
        self._zones: dict[str, _Zone] = {}

    def declare(self, name: str, size: int, use: str, node: Node) -> _Zone:
        """
        A directive uses a zone.

        @param size: bytes; 0: another line says.
        @param use: the feature that it is for, in words of our own.
        @raise ConfigError: it contradicts another line.
        """
        zone = self._zones.get(name)
        if zone is None:
            zone = self._zones[name] = _Zone(use, 0, node)
        if zone.use != use:
            later = node
            zone.disputed = True
            if self._isBefore(node, zone.node):
                later = zone.node
                self._zones[name] = _Zone(
                    use, size, node, node if size else None, disputed=True
                )
            raise later.error(
                f'the shared memory zone "{name}" is already declared for a'
                " different use"
            )
        if self._isBefore(node, zone.node):
            zone.node = node
        if not zone.size:
            zone.size, zone.sized = size, node
        elif size and size != zone.size:
            assert zone.sized is not None
            first, second = (zone.size, zone.sized), (size, node)
            if self._isBefore(node, zone.sized):
                first, second = second, first
                zone.size, zone.sized = first
            raise second[1].error(
                f'the size {second[0]} of shared memory zone "{name}" conflicts with'
                f" already declared size {first[0]}"
            )
        return zone

    def keep(
        self,
        name: str,
        size: int,
        use: str,
        kept: IKept,
        node: Node,
        *,
        group: str = "",
        key: str = "",
    ) -> None:
        """
        Something is kept in a zone, and handed to the next configuration.

        @param group: the group whose balancer keeps it.
        @param key: what keys are made of, where something is kept by key.
        @raise ConfigError: the zone is used already.
        """
        zone = self.declare(name, size, use, node)
        if zone.kept is not None:
            assert zone.keeper is not None
            later, earlier = node, (zone.group, zone.key)
            if self._isBefore(node, zone.keeper):
                later, earlier = zone.keeper, (group, key)
            what = f'"{name}" is already bound to key "{earlier[1]}"'
            if earlier[0]:
                what = f'zone "{name}" is already used in upstream "{earlier[0]}"'
            raise later.error(f"{later.name} {what}")
        zone.keeper, zone.group, zone.key = node, group, key
        zone.kept = kept

    def unsized(self) -> list[Problem]:
        """
        Complaints of zones whose size no line says.
        """
        problems: list[Problem] = []
        for name, zone in self._zones.items():
            if not (zone.size or zone.kept or zone.disputed):
                error = zone.node.error(f'zero size shared memory zone "{name}"')
                problems += error.problems
        return problems

    def _isBefore(self, node: Node, other: Node) -> bool:
        if self._root is None or node is other:
            return False
        for each in _inOrder(self._root):
            if each is node or each is other:
                return each is node
        return False

    def _followed(self, previous: Zones) -> list[tuple[str, _Zone, _Zone]]:
        return [
            (name, zone, old)
            for name, zone in self._zones.items()
            if (old := previous._zones.get(name)) is not None
            and zone.kept is not None
            and old.kept is not None
            and (zone.use, zone.size, zone.key) == (old.use, old.size, old.key)
        ]

    def check(self, previous: Zones) -> None:
        """
        May this configuration go on with what C{previous} keeps?

        @raise ZoneError: it may not.
        """
        for name, zone, old in self._followed(previous):
            if zone.group != old.group:
                assert zone.keeper is not None
                raise ZoneError(
                    f'{zone.keeper.name} zone "{name}" is used in upstream'
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


def _inOrder(node: Node) -> Iterator[Node]:
    for each in node.block or ():
        yield each
        yield from _inOrder(each)
