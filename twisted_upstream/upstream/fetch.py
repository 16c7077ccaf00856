"""
Responses in memory, without any client: a plugin, or a program that embeds us, asks a
group for one response and gets it whole.

Retries, time-outs, idle connections and logging are those of passed requests.

nginx: C{ngx_http_subrequest()} with C{NGX_HTTP_SUBREQUEST_IN_MEMORY},
C{ngx_http_upstream_process_body_in_memory()}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import implementer

from ..interfaces import IReply
from .asker import Asker, HeldBody

if TYPE_CHECKING:
    from ..logs.error_log import ErrorLog
    from ..wire.head import ResponseHead
    from .passing import Passing


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchRequest:
    """
    What is asked for.

    @ivar uri: the path, decoded.
    @ivar args: the query, as sent.
    @ivar fields: of the request, each with the CRLF before it.
    @ivar body: C{None}: there is none.
    @ivar variables: values of variables: C{{"memcached_key": b"..."}}.
    """

    method: bytes = b"GET"
    uri: bytes = b"/"
    args: bytes = b""
    host: bytes | None = None
    fields: bytes = b""
    body: bytes | None = None
    variables: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """
    A whole response.

    @ivar fields: each with the CRLF before it, hidden ones left out.
    @ivar peers: the servers that were asked, in order.
    """

    status: int
    contentType: bytes | None
    fields: bytes
    body: bytes
    peers: Sequence[bytes]


class FetchError(Exception):
    """
    There is no response, or no whole one.

    @ivar status: what a client would have been told: 502, 504, 500.
    @ivar peer: the server that was asked last, or the group's name; may be empty.
    @ivar phase: what was being done: C{connecting to upstream}; may be empty.
    """

    def __init__(self, reason: str, status: int, peer: bytes, phase: str) -> None:
        shown = peer.decode("utf-8", "replace")
        text = reason + (f" while {phase}" if phase else "")
        super().__init__(f"{text}, server: {shown}" if shown else text)
        self.reason = reason
        self.status = status
        self.peer = peer
        self.phase = phase


@implementer(IReply)
class _Nobody(Asker):
    """
    Who asks, and gets the response, where there is no client.
    """

    __slots__ = ("_head", "_limit", "_parts", "_size", "result")

    def __init__(
        self, request: FetchRequest, limit: int, errorLog: ErrorLog | None
    ) -> None:
        super().__init__(
            request.method,
            request.uri,
            request.args,
            request.host,
            request.fields,
            None if request.body is None else HeldBody(request.body),
            errorLog,
            dict(request.variables),
        )
        self.result: Deferred[Fetched] | None = Deferred(self._cancelled)
        self._limit = limit
        self._head: ResponseHead | None = None
        self._parts: list[bytes] = []
        self._size = 0

    def sendHead(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        """
        The response begins.
        """
        self.editHead(head)
        self._head = head
        self.status = head.status
        if (head.contentLength or 0) > self._limit and not head.noBody:
            self._tooBig()
            return
        if body:
            self.sendBody(body)
        if complete:
            self.endResponse()

    def sendBody(self, data: bytes) -> None:
        """
        More of the body.
        """
        self._size += len(data)
        if self._size > self._limit:
            self._tooBig()
            return
        self._parts.append(data)

    def endResponse(self) -> None:
        """
        That was all.
        """
        head = self._head
        result, self.result = self.result, None
        if result is not None and head is not None:
            result.callback(
                Fetched(
                    status=head.status,
                    contentType=head.contentType,
                    fields=head.fields,
                    body=b"".join(self._parts),
                    peers=[each.peer for each in self.attempts or () if each],
                )
            )

    def cutResponse(self) -> None:
        """
        The rest will not come.
        """
        self._failed(502)

    def failResponse(self, status: int, fields: bytes = b"") -> None:
        """
        There is no response; but that there is nothing is an answer.
        """
        if status == 404:
            from ..wire.head import ResponseHead

            self._head = ResponseHead(404, fields)
            self.endResponse()
        else:
            self._failed(status)

    def canTake(self, highWater: int) -> bool:
        """
        Up to the limit, all of it, at once.
        """
        return True

    # ---- ends -----------------------------------------------------------------------

    def _failed(self, status: int) -> None:
        result, self.result = self.result, None
        if result is not None:
            attempt = self.attempts[-1] if self.attempts else None
            peer = b"" if attempt is None else attempt.peer
            reason = self.message or f"no response (status {status})"
            result.errback(FetchError(reason, status, peer, self.action))

    def _tooBig(self) -> None:
        self.message = f"the response is longer than {self._limit} bytes"
        self.action = "reading upstream"
        self._failed(502)
        self.stop()

    def _cancelled(self, result: object) -> None:
        self.stop()

    def stop(self) -> None:
        """
        Nobody wants the response any more.
        """
        self.result = None
        self._parts = []
        super().stop()


class Fetcher:
    """
    Asks one group in one dialect; bound once, used for any number of requests.
    """

    def __init__(
        self, passing: Passing, limit: int, errorLog: ErrorLog | None = None
    ) -> None:
        """
        @param passing: to a group that is known; X-Accel-Redirect must not be acted
            upon.
        @param limit: bytes that the body of a response may have.
        """
        self._passing = passing
        self._limit = limit
        self._errorLog = errorLog

    def fetch(
        self, request: FetchRequest, limit: int | None = None
    ) -> Deferred[Fetched]:
        """
        Ask for one response.

        @param limit: another than usual.
        @return: fails with L{FetchError}; cancelling it closes the connection.
        """
        most = self._limit if limit is None else limit
        client = _Nobody(request, most, self._errorLog)
        result = client.result
        assert result is not None
        try:
            self._passing.begin(client)
        # Whatever a plugin, or a variable that only clients have, raises.
        except Exception as e:
            client.stop()
            result.errback(e)
        return result
