"""
C{limit_conn} of C{stream}: sessions with the same key at a time.

nginx: C{ngx_stream_limit_conn_module.c}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..config.build import Block
    from ..limits.connections import ConnectionLimits
    from .routing import Phase
    from .session import Session


def compileLimits(
    block: Block,
    limits: ConnectionLimits,
    soon: Callable[[Callable[[], None]], object],
) -> Phase | None:
    """
    The phase that rejects too many sessions at a time; C{None}: there is none.

    @param soon: calls a function from the reactor's next turn.
    """
    limiter = limits.compile(block)
    if limiter is None:
        return None
    admit = limiter.admit

    def limit(session: Session) -> bool:
        admitted = admit(session, last=False)
        if admitted is None:
            # The end of another session may have been seen at this very moment, and not
            # been dealt with yet.
            soon(lambda: lookAgain(session))
        return not admitted

    def lookAgain(session: Session) -> None:
        if session.isEnded:
            return
        if admit(session):
            session.proceed()
        else:
            session.finalize(503)

    return limit


def variables() -> dict[str, Any]:
    """
    C{$limit_conn_status}.
    """
    return {"limit_conn_status": lambda session: session.limitConnStatus}
