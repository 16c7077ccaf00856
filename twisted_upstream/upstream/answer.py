"""
What has been found out of a name, or why nothing has.

nginx: C{ngx_resolver_ctx_t}, C{ngx_resolver_strerror()}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

#: The code of a name that does not exist, or has nothing of what was asked for.
NOT_FOUND = 3
SERVER_FAILURE = 2
REFUSED = 5
TIMED_OUT = 110
_TEXTS = {
    1: "Format error",
    SERVER_FAILURE: "Server failure",
    NOT_FOUND: "Host not found",
    4: "Unimplemented",
    REFUSED: "Operation refused",
    TIMED_OUT: "Operation timed out",
}


@dataclass(frozen=True, slots=True)
class Service:
    """
    One C{SRV} record.

    @ivar name: of the host that serves.
    """

    priority: int
    weight: int
    port: int
    name: str


@dataclass(slots=True)
class Answer:
    """
    What has been found out of a name.

    @ivar code: of the first failure, as name servers give it; 0: none.  One family
        may have failed while the other has addresses.
    @ivar addresses: IPv4 first.
    @ivar services: in the order of their priorities, where they were asked for.
    @ivar until: when it is to be asked for again, on the resolver's clock.
    @ivar used: when somebody wanted it last.
    """

    name: str
    code: int
    addresses: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    until: float = 0.0
    used: float = 0.0

    @property
    def failure(self) -> int:
        """
        The code of what makes this answer useless, or 0.

        A family that does not exist does no harm to the other one.
        """
        if not self.addresses and not self.services:
            return self.code or NOT_FOUND
        return 0 if self.code == NOT_FOUND else self.code


#: Takes what was found, or why nothing was.
Answered = Callable[[Answer], None]


def failureText(what: str, code: int) -> str:
    """
    The line of a log for what could not be found.
    """
    text = _TEXTS.get(code, "Unknown error")
    return f"{what} could not be resolved ({code}: {text})"
