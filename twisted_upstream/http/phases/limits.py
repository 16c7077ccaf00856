"""
C{limit_req} and C{limit_conn} as phases of a location.

nginx: ngx_http_limit_req_handler(), ngx_http_limit_conn_handler()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config.directive import HTTP_ANY, directive
from ...limits.connections import ConnectionLimits
from ...limits.requests import RequestLimits

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ...variables import Getter
    from ..request import Request


def _status(node: Node) -> int:
    word = node.words[0]
    if not (word.isascii() and word.isdigit()):
        raise ValueError("invalid number")
    if not 400 <= int(word) <= 599:
        raise node.error("value must be between 400 and 599", word=0)
    return int(word)


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitStatusOptions:
    """
    What who is rejected is told.
    """

    connections: int = directive(
        "limit_conn_status",
        HTTP_ANY,
        _status,
        default=503,
        type="status",
        doc="The status of requests that `limit_conn` rejects.",
    )
    requests: int = directive(
        "limit_req_status",
        HTTP_ANY,
        _status,
        default=503,
        type="status",
        doc="The status of requests that `limit_req` rejects.",
    )


class Limits:
    """
    The limits of an C{http} block.
    """

    def __init__(self, block: Block, build: Any) -> None:
        """
        @raise ConfigError: a zone is wrong.
        """
        self._served = build.served
        self._requests = RequestLimits(block, build)
        self._connections = ConnectionLimits(block, build, "http")

    def compileRequests(
        self, block: Block, build: Any
    ) -> Callable[[Request], bool] | None:
        """
        The phase that lets requests wait, or rejects them; C{None}: there is none.
        """
        served = self._served
        limiter = self._requests.compile(block, served.seconds)
        if limiter is None:
            return None
        status = block.of(LimitStatusOptions).requests
        admit = limiter.admit

        def limit(request: Request) -> bool:
            delay = admit(request)
            if delay is None:
                request.failResponse(status)
                return True
            if not delay:
                return False

            def resume() -> None:
                deadline.drop()
                request.resumeAfter(limit)

            deadline = served.deadlines.new(resume)
            deadline.set(delay)
            request.waiting = deadline.drop
            return True

        return limit

    def compileConnections(
        self, block: Block, build: Any
    ) -> Callable[[Request], bool] | None:
        """
        The phase that rejects too many requests at a time; C{None}: there is none.
        """
        limiter = self._connections.compile(block)
        if limiter is None:
            return None
        status = block.of(LimitStatusOptions).connections
        admit = limiter.admit
        soon = self._served.soon

        def limit(request: Request) -> bool:
            admitted = admit(request, last=False)
            if admitted is None:
                # The end of another client's connection may have been seen at this very
                # moment, and not been dealt with yet.
                request.waiting = _nothing
                soon(lambda: lookAgain(request))
            return not admitted

        def lookAgain(request: Request) -> None:
            if request.isFinished:
                return
            if admit(request):
                request.resumeAfter(limit)
            else:
                request.waiting = None
                request.failResponse(status)

        return limit


def _nothing() -> None:
    """
    There is nothing to stop.
    """


def variables() -> dict[str, Getter]:
    """
    C{$limit_conn_status} and C{$limit_req_status}.
    """
    return {
        "limit_conn_status": lambda request: request.limitConnStatus,
        "limit_req_status": lambda request: request.limitReqStatus,
    }
