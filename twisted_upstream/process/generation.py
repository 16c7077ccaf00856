"""
One configuration on its way through the process, and what the process needs of it.

nginx: C{ngx_cycle_t}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall

    from ..config.syntax import Problem
    from ..logs.error_log import ErrorLog
    from ..logs.logs import Logs
    from .options import MainOptions


class Serving(Protocol):
    """
    What is needed of a L{Cycle<twisted_upstream.process.cycle.Cycle>}.
    """

    def open(self, previous: Any) -> None:
        """
        Bind what C{previous} does not hand over; all or nothing.
        """

    def start(self) -> None:
        """
        Begin accepting.
        """

    def drain(self) -> Deferred[None]:
        """
        Stop accepting; fires when the last request has ended.
        """

    def stop(self) -> None:
        """
        Close everything at once.
        """

    def reopenLogs(self) -> None:
        """
        Open all log files anew.
        """


@dataclass(eq=False)
class Generation:
    """
    One configuration on its way through the process.

    @ivar pidPath: absolute.
    @ivar warnings: what the configuration was warned of.
    """

    cycle: Serving
    logs: Logs
    options: MainOptions
    pidPath: str
    warnings: Sequence[Problem] = ()
    shutdownTimer: IDelayedCall | None = field(default=None, repr=False)

    @property
    def log(self) -> ErrorLog:
        """
        The main error log.
        """
        return self.logs.main
