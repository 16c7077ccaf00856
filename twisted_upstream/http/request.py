"""
One client's request, from its head to the line in the access log.

nginx: C{ngx_http_request.c}: C{ngx_http_alloc_request()},
C{ngx_http_finalize_request()}, C{ngx_http_free_request()}
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ..interfaces import IHTTPClient, IReply
from .body import RequestBody
from .client import NoHead
from .journey import Journey

if TYPE_CHECKING:
    from ..limits.connections import Held
    from .server import HTTPServerProtocol

#: How deep subrequests may be nested.  nginx: C{NGX_HTTP_MAX_SUBREQUESTS}.
SUBREQUESTS = 50


@implementer(IHTTPClient, IReply)
class Request(Journey):
    """
    A request: who asks (L{Client<twisted_upstream.http.client.Client>}), what is sent
    (L{Output<twisted_upstream.http.output.Output>},
    L{Reply<twisted_upstream.http.reply.Reply>}), which way it goes (L{Journey}), and
    here its beginning and its ends.

    Attributes have their first values in the classes: most requests change few of them,
    and what is not stored costs neither time nor memory.

    @ivar host: of the request target or the Host field, lower case, without port.
    @ivar values: variables that were assigned, by name.
    @ivar held: what C{limit_conn} counts, or C{None}.
    @ivar limitConnStatus: C{None}: C{limit_conn} has not looked.
    @ivar limitReqStatus: C{None}: C{limit_req} has not looked.
    @ivar subrequestsLeft: how deep subrequests of it may be nested.
    @ivar subrequestsAlive: subrequests under way, of this request and of those.
    """

    host: bytes | None = None
    held: Held | None = None
    limitConnStatus: bytes | None = None
    limitReqStatus: bytes | None = None
    subrequestsLeft = SUBREQUESTS + 1
    subrequestsAlive = 0
    _notes: dict[Any, Any] | None = None

    def __init__(
        self, connection: HTTPServerProtocol, head: Any, requestLine: bytes
    ) -> None:
        """
        @param head: C{None}: it could not be read.
        """
        self.connection = connection
        self.requestLine = requestLine
        self.begun = connection.factory.seconds()
        self._sentBefore = connection.transport.bytesSent
        self.values: dict[str, bytes] = {}
        # Those that are looked at before they change, if they do.
        self.attempts = self.body = None
        self._finished = False
        self.server = connection.default
        self.location = self.server.root
        if head is None:
            self.head = NoHead
            return
        self.head = head
        self.method = head.method
        self.target = head.path
        self.uri = head.uri
        self.args = head.args
        self.validUnparsed = head.validUnparsed
        if head.ignored:
            self._logIgnored(head.ignored)
        self.version = head.version
        self.host = head.host
        self.keepalive = head.keepalive and not connection.factory.closing
        length = head.contentLength
        if head.chunked:
            self.body = RequestBody(connection, None, head.expectContinue)
        elif length is not None:
            self.body = RequestBody(connection, length, head.expectContinue)

    # ---- ends -----------------------------------------------------------------------

    def refuse(self, status: int, reason: str) -> None:
        """
        The request cannot be understood.
        """
        self.keepalive = False
        action = self.readingAction
        if reason.endswith("in request line"):
            action = "reading client request line"
        self.logError("info", reason, action=action)
        self.failResponse(status)

    def abandon(self, status: int, message: str, errno: int = 0) -> None:
        """
        The head will not be completed: there will be no response.
        """
        self.keepalive = False
        line = self.requestLine.endswith(b"\n")
        self.requestLine = self.requestLine.rstrip(b"\r\n")
        action = "reading client request headers" if line else self.readingAction
        self.logError("info", message, errno, action=action)
        self.status = status
        self._finish()

    def _release(self) -> None:
        """
        Nothing more will be sent: let go of everything but the connection.
        """
        self._finished = True
        upstream, self.upstream = self.upstream, None
        if upstream is not None and not upstream.isOver:
            upstream.discard()
        if self._pace is not None:
            self._pace.stop()
        if self._filters is not None:
            self._filters.stop()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _finish(self) -> None:
        if self._finished:
            return
        self._release()
        for log in self.location.accessLogs:
            log(self)
        # It knows us: together they would wait for the garbage collector.
        self.exchange = None
        if self.held is not None:
            self.held.release()
        connection = self.connection
        if connection.request is self:
            connection.requestDone()

    def terminate(self) -> None:
        """
        Something is so wrong that the connection is closed without another word.

        nginx: ngx_http_terminate_request()
        """
        if not self._finished:
            self.discard()
            self.connection.transport.abortConnection()

    def discard(self) -> None:
        """
        The connection is gone, or is to go at once.
        """
        self.keepalive = False
        self._finish()

    def clientEnded(self, reason: BaseException | None) -> None:
        """
        The client has ended its output (C{None}), or its connection broke.
        """
        waiting, self.waiting = self.waiting, None
        body = self.body
        if body is not None and body.begun and not body.complete and not body.failed:
            body.ended()
        elif waiting is not None:
            waiting()
            self.failResponse(499)
        elif self.upstream is not None and not self._ended:
            self.upstream.clientGone()
        if reason is not None and not self._finished:
            upstream = self.upstream
            if upstream is None or upstream.isOver or self._ended:
                self.discard()

    def timedOut(self) -> None:
        """
        The connection's time-out has come while this request is under way.
        """
        body = self.body
        if body is not None and body.begun and not body.complete and not body.failed:
            body.timedOut()
        elif self.sendingTimedOut():
            self.logError("info", "client timed out", 110, action="sending to client")
            connection = self.connection
            self.discard()
            if self.location.resetTimedOut:
                connection.abort()
            else:
                connection.transport.abortConnection()

    # ---- what others ask ------------------------------------------------------------

    @property
    def main(self) -> Request:
        """
        The client's request itself.
        """
        return self

    @property
    def notes(self) -> dict[Any, Any]:
        """
        What features remember of this request.
        """
        if self._notes is None:
            self._notes = {}
        return self._notes

    @property
    def isFinished(self) -> bool:
        """
        Is it over?
        """
        return self._finished

    @property
    def absoluteRedirect(self) -> bool:
        """
        Do redirects get a host?
        """
        return self.location.absoluteRedirect
