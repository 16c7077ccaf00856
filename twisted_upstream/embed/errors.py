"""
What goes wrong with a group as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """
    One attempt that has failed.

    @ivar peer: the server's address; the group's name where there was none to ask.
    @ivar phase: what was being done: C{connecting to upstream}.
    @ivar error: what went wrong.
    @ivar seconds: how long it took.
    """

    peer: str
    phase: str
    error: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.peer}: {self.error} while {self.phase}, {self.seconds:.3f} s"


class UpstreamFailed(Exception):
    """
    No server of a group has done what was wanted.

    @ivar group: its name.
    @ivar attempts: all that was tried, in order.
    """

    def __init__(self, group: str, attempts: Sequence[FailedAttempt]) -> None:
        tried = "; ".join(map(str, attempts)) or "no live upstreams"
        super().__init__(f"upstream {group}: {tried}")
        self.group = group
        self.attempts = tuple(attempts)

    def __str__(self) -> str:
        return str(self.args[0])


class UpstreamClosed(Exception):
    """
    The group was closed.
    """
