"""
What groups need of the world: time, chance, names, and a log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twisted.internet.interfaces import IReactorTime

from ..balance.health import HealthRecords
from ..config.syntax import Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """
    What groups need of the world.

    @ivar lookUp: addresses of a host name, in order; called while a configuration is
        built, and may block.
    @ivar health: of the servers whose groups share it.
    @ivar wallClock: seconds since 1970.
    @ivar log: the main error log: takes level and message.
    """

    clock: IReactorTime
    random: Random
    lookUp: Callable[[str], Sequence[str]]
    wallClock: Callable[[], float]
    health: HealthRecords = field(default_factory=HealthRecords)
    log: Callable[[str, str], object] = lambda level, message: None


#: Takes words and time-out of C{resolver} lines, and the line; gives what finds names,
#: or C{None}, and the time-out.
FindResolver = Callable[[Sequence[str], float | None, Node], tuple[Any, float]]


def noResolver(
    words: Sequence[str], timeout: float | None, node: Node
) -> tuple[Any, float]:
    """
    Where there are no C{resolver} lines.
    """
    return None, 0.0
