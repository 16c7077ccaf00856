"""
C{allow} and C{deny} of C{stream}.

nginx: C{ngx_stream_access_module.c}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.access import AccessRule, parseAccessRule, verdict
from ..config.directive import directive
from .options import STREAM

if TYPE_CHECKING:
    from ..config.build import Block
    from .routing import Phase
    from .session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamAccessOptions:
    """
    Who may come in.
    """

    rules: tuple[AccessRule, ...] = directive(
        ("allow", "deny"),
        STREAM,
        parseAccessRule,
        default=(),
        repeat=True,
        type="address | network | unix: | all",
        doc="Let clients of a network in, or keep them out; the first match decides.",
    )


def compileAccess(block: Block) -> Phase | None:
    """
    Compile the rules of one server.

    @return: C{None} when everybody may come in.
    """
    rules = block.of(StreamAccessOptions).rules
    if not rules:
        return None

    def check(session: Session) -> bool:
        if verdict(rules, session.address) is not False:
            return False
        session.logError("error", "access forbidden by rule")
        session.finalize(403)
        return True

    return check
