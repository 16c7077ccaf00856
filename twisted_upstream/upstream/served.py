"""
What all clients of one configuration share: clocks, numbers, variables.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..net.deadline import Deadlines
    from ..variables import Getter, Variables


class Served:
    """
    What all listening addresses of a C{http} or C{stream} block share.

    @ivar seconds: the current time, for durations.
    @ivar wallClock: seconds since 1970.
    @ivar nextNumber: numbers connections.
    @ivar soon: calls a function from the reactor's next turn.
    """

    def __init__(
        self,
        *,
        seconds: Callable[[], float],
        nextNumber: Callable[[], int],
        deadlines: Deadlines,
        soon: Callable[[Callable[[], None]], object],
        variables: Variables,
        wallClock: Callable[[], float] = time.time,
    ) -> None:
        self.seconds = seconds
        self.nextNumber = nextNumber
        self.deadlines = deadlines
        self.soon = soon
        self.wallClock = wallClock
        self._variables = variables
        self._getters: dict[str, Getter] = {}
        self._timeOf = -1
        self._local = self._iso = b""

    def getter(self, name: str) -> Getter:
        """
        The getter of a variable.
        """
        found = self._getters.get(name)
        if found is None:
            found = self._getters[name] = self._variables.getter(name)
        return found

    def find(self, name: str) -> Getter | None:
        """
        The getter of a variable that a response names; C{None}: there is none.
        """
        return self._variables.find(name)

    def timeLocal(self) -> bytes:
        """
        C{$time_local}.
        """
        self._tick()
        return self._local

    def timeISO(self) -> bytes:
        """
        C{$time_iso8601}.
        """
        self._tick()
        return self._iso

    def _tick(self) -> None:
        """
        Both are made once a second.
        """
        second = int(self.wallClock())
        if second != self._timeOf:
            self._timeOf = second
            local = time.localtime(second)
            self._local = time.strftime("%d/%b/%Y:%H:%M:%S %z", local).encode()
            text = time.strftime("%Y-%m-%dT%H:%M:%S%z", local)
            self._iso = (text[:-2] + ":" + text[-2:]).encode()
