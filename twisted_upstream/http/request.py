"""
One client's request, from its head to the line in the access log.

nginx: C{ngx_http_core_module.c}: C{ngx_http_handler()},
C{ngx_http_core_run_phases()}, C{ngx_http_internal_redirect()},
C{ngx_http_named_location()}; C{ngx_http_finalize_request()}.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ..interfaces import IHTTPClient, IReply
from ..wire.uri import UnsafeURI, splitSafe
from .body import RequestBody
from .client import NoHead
from .location import parseRate
from .phases.conditional import selectRanges, unsatisfied
from .reply import Reply
from .window import Window

if TYPE_CHECKING:
    from ..limits.connections import Held
    from ..upstream.request import UpstreamRequest
    from ..wire.head import ResponseHead
    from .location import Location
    from .server import HTTPServerProtocol

#: How often a request may change its URI.  nginx: C{NGX_HTTP_MAX_URI_CHANGES}.
_CHANGES = 10

#: How deep subrequests may be nested.  nginx: C{NGX_HTTP_MAX_SUBREQUESTS}.
SUBREQUESTS = 50

#: What X-Accel-Redirect keeps of the response that carried it.
_KEPT = re.compile(
    rb"\r\n(?:set-cookie|content-disposition|cache-control|expires|accept-ranges)"
    rb":[^\r]*",
    re.I,
)


@implementer(IHTTPClient, IReply)
class Request(Reply):
    """
    A request.

    Attributes have their first values in the class: most requests change few of them,
    and what is not stored costs neither time nor memory.

    @ivar connection: where it came from.
    @ivar head: its head as received.
    @ivar requestLine: its first line.
    @ivar method: may change on internal redirects.
    @ivar target: what stood between method and version: C{$request_uri}.
    @ivar uri: the path, decoded and normalised: C{$uri}.
    @ivar args: the query, as sent: C{$args}.
    @ivar version: 9, 10 or 11.
    @ivar host: of the request target or the Host field, lower case, without port.
    @ivar server: the virtual server.
    @ivar location: what applies now.
    @ivar validUnparsed: does C{target} still mean C{uri}?
    @ivar validLocation: does C{uri} still begin as the location's name?
    @ivar internal: did it come to its location by an internal redirect?
    @ivar uriChanges: how often its URI may still change.
    @ivar values: variables that were assigned, by name.
    @ivar captures: the groups of the last regular expression that matched.
    @ivar body: its body, or C{None}.
    @ivar attempts: at servers; C{None}: no server was asked.
    @ivar upstream: the passing under way or last.
    @ivar upstreamFields: the fields of the last server's response.
    @ivar upstreamTrailers: its trailers.
    @ivar errorStatus: of the error being answered; 0: it is none.
    @ivar plannedStatus: of a response of our own that is being made.
    @ivar errorPage: was an error page of the configuration taken already?
    @ivar redirectTo: the Location of a redirect of our own.
    @ivar action: what is being done, for the error log.
    @ivar waiting: stops what the request waits for before it is answered.
    @ivar held: what C{limit_conn} counts, or C{None}.
    @ivar limitConnStatus: C{None}: C{limit_conn} has not looked.
    @ivar limitReqStatus: C{None}: C{limit_req} has not looked.
    @ivar realPeer: the address of the connection, when that of the client is another.
    @ivar isSubrequest: is its response a part of another one's?
    @ivar subrequestsLeft: how deep subrequests of it may be nested.
    @ivar subrequestsAlive: subrequests under way, of this request and of those.
    """

    uri = b""
    args = b""
    target = b""
    method = b""
    version = 10
    host: bytes | None = None
    validUnparsed = True
    validLocation = True
    internal = False
    uriChanges = _CHANGES + 1
    captures: Sequence[bytes | None] = ()
    body: RequestBody | None = None
    upstream: UpstreamRequest | None = None
    upstreamFields = b""
    upstreamTrailers = b""
    errorStatus = 0
    plannedStatus = 0
    errorPage = False
    redirectTo: bytes | None = None
    addUriToAlias = False
    waiting: Any = None
    _notes: dict[Any, Any] | None = None
    _edits: list[Callable[[ResponseHead], None]] | None = None
    held: Held | None = None
    limitConnStatus: bytes | None = None
    limitReqStatus: bytes | None = None
    isSubrequest = False
    subrequestsLeft = SUBREQUESTS + 1
    subrequestsAlive = 0
    _keptType: bytes | None = None
    _errorFields = b""
    _fd = -1
    _finished = False

    def __init__(
        self, connection: HTTPServerProtocol, head: Any, requestLine: bytes
    ) -> None:
        """
        @param head: C{None}: it could not be read.
        """
        self.connection = connection
        self.requestLine = requestLine
        #: When it began, in seconds.
        self.begun = connection.factory.seconds()
        self._sentBefore = connection.transport.bytesSent
        self.values: dict[str, bytes] = {}
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

    # ---- life -----------------------------------------------------------------------

    def start(self) -> None:
        """
        Find the server and answer.
        """
        connection = self.connection
        tls = connection.tls
        if tls is None:
            server = connection.address.find(self.head.host, self)
        else:
            server = tls.serverFor(self)
            if server is None:
                return
        if server is not self.server:
            self.server = server
            self.location = server.root
        if tls is not None and tls.refuses(self):
            return
        postRead = server.postRead
        if postRead is not None:
            postRead(self)
        if server.rewrite is None:
            self._locate()
        else:
            self.run()

    def run(self) -> None:
        """
        Go through the phases, from the server's C{rewrite} on.
        """
        server = self.server
        self.location = server.root
        self.validLocation = True
        rewrite = server.rewrite
        if rewrite is None or not rewrite(self):
            self._locate()

    def _locate(self) -> None:
        location = self.server.locations.find(self.uri, self)
        if location is None:
            # Nothing but the server itself.
            self.enter(self.server.root)
        elif location.internal and not self.internal:
            self.location = location
            self.failResponse(404)
        else:
            self.enter(location)

    def redirectToDirectory(self, location: Location) -> None:
        """
        The URI lacks the slash at its end that a location's name has.
        """
        self.location = location
        self.redirectTo = location.escapedName
        if self.args:
            self.redirectTo += b"?" + self.args
        self.failResponse(301)

    def enter(self, location: Location) -> None:
        """
        Go through the phases of a location.
        """
        self.location = location
        self.action = ""
        if location.limitExcept is not None:
            other = location.limitExcept(self.method)
            if other is not None:
                location = self.location = other
        connection = self.connection
        if self.keepalive and (
            connection.requests >= location.keepaliveRequests
            or not location.keepaliveTimeout
            or self.begun - connection.made > location.keepaliveTime
            or (
                (self.method == b"POST" or location.disablesAlways)
                and location.disablesKeepalive is not None
                and location.disablesKeepalive(self)
            )
        ):
            self.keepalive = False
        body = self.body
        if body is not None and not body.begun and location.maxBodySize:
            length = self.head.contentLength
            if length is not None and length > location.maxBodySize:
                self.logError(
                    "error",
                    f"client intended to send too large body: {length} bytes",
                )
                self.keepalive = False
                self.failResponse(413)
                return
        self._runPhases(location, location.phases)

    def _runPhases(
        self, location: Location, phases: Sequence[Callable[[Any], bool]]
    ) -> None:
        for phase in phases:
            if phase(self):
                return
            if self.location is not location:
                # A true "if" has moved the request, and its own phases count.
                self.enter(self.location)
                return
        location.content(self)

    def resumeAfter(self, phase: Callable[[Any], bool]) -> None:
        """
        Go on with the phases of the location that come after C{phase}, which has let
        the request wait.
        """
        self.waiting = None
        if not self._finished:
            location = self.location
            phases = location.phases
            self._runPhases(location, phases[phases.index(phase) + 1 :])

    def relocate(self) -> None:
        """
        The URI was changed in a location: look for the location again.
        """
        self.uriChanges -= 1
        if not self.uriChanges:
            self.logError(
                "error",
                "rewrite or internal redirection cycle while processing"
                f' "{self._shownURI()}"',
            )
            self.failResponse(500)
            return
        self.location = self.server.root
        self._locate()

    def internalRedirect(self, uri: bytes, args: bytes) -> None:
        """
        Answer as another URI would.
        """
        self.uriChanges -= 1
        self.uri = uri
        self.args = args
        if not self.uriChanges:
            self.logError(
                "error",
                "rewrite or internal redirection cycle while internally redirecting"
                f' to "{self._shownURI()}"',
            )
            self._finalError(500)
            return
        self.internal = True
        self.validUnparsed = False
        self.addUriToAlias = False
        self.run()

    def namedLocation(self, name: str) -> None:
        """
        Go on in C{location @name}.
        """
        self.uriChanges -= 1
        if not self.uriChanges:
            self.logError(
                "error",
                f'rewrite or internal redirection cycle while redirect to "{name}"',
            )
            self._finalError(500)
            return
        location = self.server.named.get(name)
        if location is None:
            self.logError("error", f'could not find named location "{name}"')
            self._finalError(500)
            return
        self.internal = True
        self.enter(location)

    def _finalError(self, status: int) -> None:
        self.uriChanges = 0
        self.failResponse(status)

    def _shownURI(self) -> str:
        return self.uri.decode("utf-8", "replace")

    # ---- answers --------------------------------------------------------------------

    def sendResponse(self, head: ResponseHead, body: bytes) -> None:
        """
        The whole response at once.
        """
        if head.contentLength is None and not head.noBody:
            head.contentLength = len(body)
        if self.discardsBody():
            self.sendHead(head, body, True)

    def _editHead(self, head: ResponseHead) -> None:
        """
        Let a response carry what earlier ones of this request have left.
        """
        if self._keptType is not None and not self.errorStatus:
            if self.upstream is None or head.contentType is None:
                head.contentType = self._keptType
        if self._errorFields:
            head.fields += self._errorFields
        if self.errorStatus and self.upstream is not None:
            # A server's response is the error page.
            head.status = self.errorStatus
            head.text = b""
            if self.redirectTo is not None and head.location is None:
                head.location = self.redirectTo
        # Taken out: who edits usually holds the request, too.
        edits, self._edits = self._edits, None
        if edits is not None:
            for edit in reversed(edits):
                edit(head)

    def addEdit(self, edit: Callable[[ResponseHead], None]) -> None:
        """
        Let C{edit} change the head of the response.
        """
        self.isFirst = False
        if self._edits is None:
            self._edits = [edit]
        else:
            self._edits.append(edit)

    def sendFile(self, head: ResponseHead, fd: int, offset: int, count: int) -> None:
        """
        The whole response, its body from a file; the descriptor is closed in the end.
        """
        self._fd = fd
        if not self.discardsBody():
            return
        if not count:
            self.sendHead(head, b"", True)
            return
        self.sendHead(head, b"", False)
        if not self._finished:
            self.sendRegion(fd, offset, count)
            self.endResponse()

    def discardsBody(self) -> bool:
        """
        A response of our own is about to be sent: nobody will look at a body.

        @return: C{False}: the body is wrong, and that was answered instead.
        """
        body = self.body
        if body is None or body.begun or self.errorStatus:
            return True
        status = body.discardFirst()
        if self._finished:
            return False
        if status:
            self.keepalive = False
            self.failResponse(status)
        return not status

    def failResponse(self, status: int, fields: bytes = b"") -> None:
        """
        Answer with an error: by an error page of the location, or the built-in one.

        @param fields: fields of the response, each with the CRLF before it.
        """
        if self.status or status in _SILENT:
            if not self.status:
                self.status = status
            self.keepalive = False
            self.cutResponse()
            return
        self._errorFields = fields
        self.isFirst = False
        self.location.errorPages(self, status)

    def hasErrorPage(self, status: int) -> bool:
        """
        Is there an error page of the configuration for C{status}?
        """
        return status in self.location.errorPageStatuses

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

    def accelRedirect(self, value: bytes, head: ResponseHead) -> None:
        """
        A server said X-Accel-Redirect.

        nginx: ngx_http_upstream_process_headers()
        """
        kept = b"".join(_KEPT.findall(head.fields))

        def keep(head: ResponseHead) -> None:
            head.fields = kept + head.fields

        self.addEdit(keep)
        self._keptType = head.contentType
        self.isFirst = False
        self.upstream = None
        self.action = "reading response header from upstream"
        if value.startswith(b"@"):
            self.namedLocation(value.decode("utf-8", "surrogateescape"))
            return
        if self.method != b"HEAD":
            self.method = b"GET"
        try:
            uri, args = splitSafe(value)
        except UnsafeURI:
            shown = value.decode("utf-8", "replace")
            self.logError("error", f'unsafe URI "{shown}" was detected')
            self.failResponse(404)
            return
        self.internalRedirect(uri, args)

    def setLimitRate(self, value: bytes) -> None:
        """
        A server said X-Accel-Limit-Rate, or C{set $limit_rate} did.
        """
        rate = parseRate(value)
        if rate is not None:
            self.limitRate = rate

    def isFiltered(self, head: ResponseHead) -> bool:
        """
        Will the body be changed on its way, so that no parts of it can be sent?
        """
        filters = self.location.filters
        return filters is not None and filters.apply(self, head)

    def takeRange(self, head: ResponseHead) -> bool:
        """
        Let the response be the one part of it that the client wants, if so.

        @param head: of a response whose whole body will come; becomes that of the part.
        @return: C{False}: there is no such part; L{noRange} is what goes with 416.
        """
        if self.errorStatus:
            return True
        if self.isFiltered(head):
            return True
        if head.fields:
            head.fields = _ACCEPT_RANGES.sub(b"", head.fields)
        if (
            b"\r\nrange:" not in self.head.fields.lower()
            and head.status == 200
            and head.contentLength is not None
            and self.version >= 10
        ):
            head.fields += b"\r\nAccept-Ranges: bytes"
            return True
        ranges = selectRanges(self, head, 1)
        if ranges:
            self._window = Window(*ranges[0])
        return ranges is None or bool(ranges)

    def noRange(self, head: ResponseHead) -> bytes:
        """
        The field that tells how long the response is that has no such part.
        """
        return unsatisfied(head.contentLength or 0)

    # ---- ends -----------------------------------------------------------------------

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


_ACCEPT_RANGES = re.compile(rb"\r\naccept-ranges:[^\r]*", re.I)

#: Statuses that are logged, but never sent.
_SILENT = frozenset((408, 444, 499))

#: What a location does with a request.
Content = Callable[[Request], None]
