"""
C{session_sticky_hide_cookie}: what a cookie says about the client's server is read and
taken out before the request is passed on.

Tengine: C{ngx_http_session_sticky_header_handler()}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...balance.session_sticky import SessionSticky
from ...config.directive import HTTP_ANY, directive

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ..request import Request


@dataclass(frozen=True, slots=True)
class _Hiding:
    """
    @ivar group: the group's name.
    """

    group: str
    node: Node


def _hiding(node: Node) -> _Hiding:
    if node.name == "session_sticky_header":
        node.warning(
            'the "session_sticky_header" directive is deprecated, use the'
            ' "session_sticky_hide_cookie" directive instead'
        )
    name, _, group = node.words[0].partition("=")
    if name != "upstream":
        raise node.error(f'invalid argument of "{node.words[0]}"', word=0)
    if not group:
        raise node.error("invalid upstream name", word=0)
    return _Hiding(group, node)


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionStickyOptions:
    """
    What servers do not get to see.
    """

    hiding: _Hiding | None = directive(
        ("session_sticky_hide_cookie", "session_sticky_header"),
        HTTP_ANY,
        _hiding,
        default=None,
        type="upstream=name",
        doc="Take the cookie of a group with session_sticky out of requests before"
        " they are passed on.",
    )


def compileSessionSticky(block: Block, build: Any) -> Callable[[Request], bool] | None:
    """
    Compile C{session_sticky_hide_cookie} of one place.

    @param build: the composition at hand, with C{groups}.
    @return: C{None} when nothing is hidden; else a phase.
    """
    hiding = block.of(SessionStickyOptions).hiding
    if hiding is None:
        return None
    group = build.groups.explicit(hiding.group)
    sticky = None if group is None else group.layer(SessionSticky)
    if sticky is None:
        raise hiding.node.error(f'no session_sticky in upstream "{hiding.group}"')

    def hide(request: Request) -> bool:
        request.head.fields = sticky.hide(request, request.head.fields)
        return False

    return hide
