"""
One request of an agent: who asks, and takes the response.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure
from twisted.web.client import RequestGenerationFailed, ResponseNeverReceived
from zope.interface import implementer

from ..interfaces import IReply
from ..upstream.asker import Asker
from .bodies import ProducedBody
from .errors import FailedAttempt, UpstreamClosed, UpstreamFailed
from .response import AgentResponse, ClientRequest, failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.iweb import IResponse

    from ..wire.head import ResponseHead
    from .agent import UpstreamAgent

_QUIET = ("info", "notice", "warn", "debug")


class RequestFailed(UpstreamFailed, ResponseNeverReceived):
    """
    No server has answered: all that was tried, for who expects an L{UpstreamFailed} as
    for who expects a C{ResponseFailed}.
    """

    def __init__(self, group: str, attempts: list[FailedAttempt]) -> None:
        UpstreamFailed.__init__(self, group, attempts)
        self.reasons = [Failure(ConnectionError(str(each))) for each in attempts]
        self.response = None


@implementer(IReply)
class AgentRequest(Asker):
    """
    One request.

    @ivar asked: what was asked for.
    @ivar result: of the agent's caller, until there is a response.
    @ivar isSecure: is it to go over TLS?
    """

    __slots__ = (
        "_agent",
        "_byClose",
        "_deadline",
        "_errors",
        "_resume",
        "_response",
        "asked",
        "isSecure",
        "result",
    )

    def __init__(
        self,
        agent: UpstreamAgent,
        asked: ClientRequest,
        isSecure: bool,
        uri: bytes,
        args: bytes,
        host: bytes,
        fields: bytes,
        body: ProducedBody | None,
    ) -> None:
        super().__init__(asked.method, uri, args, host, fields, body, agent.errorLog)
        self._agent = agent
        self.asked = asked
        self.isSecure = isSecure
        self._response: AgentResponse | None = None
        self._byClose = False
        self._errors: dict[int, tuple[str, str]] | None = None
        self._deadline: Any = None
        self._resume: Callable[[], None] | None = None
        self.result: Deferred[IResponse] | None = Deferred(self._cancelled)
        agent.upstream.tellWhenClosed(self, self._closed)

    # ---- what goes wrong ------------------------------------------------------------

    def logError(
        self, level: str, message: str, errno: int = 0, *, action: str = "", **more: Any
    ) -> None:
        """
        Remember what went wrong with this attempt.
        """
        if level not in _QUIET and self.result is not None:
            if self._errors is None:
                self._errors = {}
            text = f"{message} ({errno}: {os.strerror(errno)})" if errno else message
            self._errors[len(self.attempts or ())] = (action, text)
        super().logError(level, message, errno, action=action, **more)

    def _failedAttempts(self) -> list[FailedAttempt]:
        errors = self._errors or {}
        found = []
        for number, attempt in enumerate(self.attempts or (), 1):
            if attempt is None:
                continue
            usual = (
                "reading response header from upstream",
                f"status {attempt.status}",
            )
            phase, error = errors.get(number, usual)
            peer = attempt.peer.decode("utf-8", "surrogateescape")
            seconds = attempt.responseTime
            if seconds < 0:
                seconds = self._agent.upstream.reactor.seconds() - attempt.begun
            found.append(FailedAttempt(peer, phase, error, seconds))
        return found

    # ---- the response ---------------------------------------------------------------

    def sendHead(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        """
        The response begins.
        """
        self.editHead(head)
        result, self.result = self.result, None
        if result is None:
            return
        assert self.attempts is not None and self.attempts[-1] is not None
        response = self._response = AgentResponse(
            head, self, self.attempts[-1].peer, complete
        )
        self._byClose = (
            not complete and head.contentLength is None and not self.exchange.isChunked
        )
        if body:
            response.body.received(body)
        if complete:
            self._over()
            response.body.ended(None)
        result.callback(response)

    def sendBody(self, data: bytes) -> None:
        """
        More of the body.
        """
        if self._response is not None:
            self._response.body.received(data)

    def endResponse(self) -> None:
        """
        That was all.
        """
        self._over()
        if self._response is not None:
            if self._byClose:
                self._response.body.endedByClose()
            else:
                self._response.body.ended(None)

    def cutResponse(self) -> None:
        """
        The rest will not come.
        """
        message, action = self.message, self.action
        self._over()
        if self._response is not None:
            reason = ConnectionError(f"{message} while {action}")
            self._response.body.ended(failed(reason))

    def failResponse(self, status: int, fields: bytes = b"") -> None:
        """
        There is no response.
        """
        self._over()
        result, self.result = self.result, None
        if result is not None:
            name = self._agent.upstream.name
            result.errback(RequestFailed(name, self._failedAttempts()))

    def canTake(self, highWater: int) -> bool:
        """
        May more of the body come?
        """
        assert self._response is not None
        body = self._response.body
        return not body.isPaused or (not body.isWanted and body.held <= highWater)

    def whenDrained(self, resume: Callable[[], None]) -> None:
        """
        Call C{resume} when whoever takes the body wants more.
        """
        self._resume = resume
        assert self._response is not None
        if not self._response.body.isWanted and self._deadline is None:
            # Nobody has asked for the body, and the server waits.
            self._deadline = self._agent.passing.deadlines.new(self._forgotten)
            self._deadline.set(self._agent.passing.readTimeout)

    def drained(self) -> None:
        """
        Whoever takes the body has taken all of it so far.
        """
        self._dropDeadline()
        resume, self._resume = self._resume, None
        if resume is not None:
            resume()

    def _forgotten(self) -> None:
        self.logError("error", "the body of a response was not asked for")
        self.end(failed(TimeoutError("the body was not asked for in time")))

    # ---- ends -----------------------------------------------------------------------

    def _over(self) -> None:
        """
        Peer and connection are free.
        """
        self.upstream = None
        # It knows us: together they would wait for the garbage collector.
        self.exchange = None
        self._agent.upstream.forget(self)
        self._dropDeadline()
        body = self.body
        if body is not None:
            body.stop()

    def _dropDeadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.drop()

    def bodyFailed(self, reason: Failure) -> None:
        """
        The body could not be produced.
        """
        self.end(Failure(RequestGenerationFailed([reason])))

    def abort(self) -> None:
        """
        The rest of the response is not wanted.
        """
        self.end(failed(ConnectionAborted()))

    def _cancelled(self, result: object) -> None:
        self.result = None
        self.end(None)

    def _closed(self) -> None:
        reason = UpstreamClosed(self._agent.upstream.name)
        self.end(Failure(reason) if self._response is None else failed(reason))

    def end(self, reason: Failure | None) -> None:
        """
        End it here and now.
        """
        result, self.result = self.result, None
        response, self._response = self._response, None
        upstream = self.upstream
        self._over()
        if upstream is not None and not upstream.isOver:
            upstream.discard()
        if reason is None:
            return
        if result is not None:
            result.errback(reason)
        elif response is not None:
            response.body.ended(reason)
