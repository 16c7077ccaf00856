"""
The response to one request: its head, and what it is made of.

Head and first bytes of the body leave in one write.

nginx: C{ngx_http_header_filter()}, C{ngx_http_range_header_filter()},
C{ngx_http_special_response_handler()}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..upstream.piped import canPipe
from .location import parseRate
from .output import Output
from .phases.conditional import selectRanges, unsatisfied
from .phases.error_page import statusText
from .window import Window

if TYPE_CHECKING:
    from ..net.splice import Pipe
    from ..upstream.request import UpstreamRequest
    from ..wire.head import ResponseHead
    from .body import RequestBody
    from .filters import Chain

_BODILESS = frozenset((100, 102, 103, 204, 304))

#: Statuses that are logged, but never sent.
_SILENT = frozenset((408, 444, 499))

_ACCEPT_RANGES = re.compile(rb"\r\naccept-ranges:[^\r]*", re.I)


class Reply(Output):
    """
    The client's side of L{IReply<twisted_upstream.interfaces.IReply>}.

    @ivar method: of the request; may change on internal redirects.
    @ivar version: of the request: 9, 10 or 11.
    @ivar body: of the request, or C{None}.
    @ivar responseHead: the response's head, once it was sent.
    @ivar isFirst: nothing has come before this response that it would show: no error,
        no X-Accel-Redirect, no edit.
    @ivar flushes: each piece of the body is to be sent at once.
    @ivar upstream: the passing under way or last.
    @ivar upstreamFields: the fields of the last server's response.
    @ivar upstreamTrailers: its trailers.
    @ivar errorStatus: of the error being answered; 0: it is none.
    @ivar plannedStatus: of a response of our own that is being made.
    @ivar errorPage: was an error page of the configuration taken already?
    @ivar redirectTo: the Location of a redirect of our own.
    """

    method = b""
    version = 10
    body: RequestBody | None = None
    responseHead: ResponseHead | None = None
    isFirst = True
    flushes = False
    upstream: UpstreamRequest | None = None
    upstreamFields = b""
    upstreamTrailers = b""
    errorStatus = 0
    plannedStatus = 0
    errorPage = False
    redirectTo: bytes | None = None
    _filters: Chain | None = None
    _window: Window | None = None
    _edits: list[Callable[[ResponseHead], None]] | None = None
    _keptType: bytes | None = None
    _errorFields = b""
    _fd = -1
    _finished = False

    # ---- head -----------------------------------------------------------------------

    def sendHead(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        """
        Begin the response.

        @param body: what is there of it; with C{complete}, all of it.
        """
        location = self.location
        if self._window is not None and body:
            body = self._window.cut(body)
        if not self.isFirst:
            self._editHead(head)
        self.status = head.status
        self.responseHead = head
        edit = location.editHead
        if edit is not None:
            edit(self, head)
        if location.filters is not None:
            self._filters = location.filters.begin(self, head)
        transport = self.connection.transport
        if self.version < 10 or head.bare:
            # HTTP/0.9 has no heads, and a server that answered so sent none.
            self.keepalive = False
            if head.bare:
                # nginx logs such a response so.
                self.status = 9
            data = b""
        else:
            data = self._serialize(head)
        self.headSize = len(data)
        if self.headOnly:
            self._filters = None
            transport.write(data)
            if complete:
                self._endOutput()
            return
        if self._filters is not None:
            self._filters.start(data, body, complete)
            return
        self.sendFirst(data, body, complete)

    def _serialize(self, head: ResponseHead) -> bytes:
        status = head.status
        location = self.location
        connection = self.connection
        text = head.text or statusText(status)
        server = location.server if head.server is None else head.server
        date = connection.factory.served.date() if head.date is None else head.date
        parts = [b"HTTP/1.1 ", text]
        if server:
            parts += (b"\r\nServer: ", server)
        if date:
            parts += (b"\r\nDate: ", date)
        length = head.contentLength
        bodiless = status in _BODILESS
        if status == 204 and not head.text:
            # A server's is passed as it is.
            length = head.contentType = None
        if head.contentType is not None:
            parts += (b"\r\nContent-Type: ", head.contentType)
        if self.method == b"HEAD" or bodiless or head.noBody:
            self.headOnly = True
        if length is not None:
            parts.append(b"\r\nContent-Length: %d" % length)
        if head.lastModified is not None:
            parts += (b"\r\nLast-Modified: ", head.lastModified)
        place = head.location
        if place is not None and place.startswith(b"/") and location.absoluteRedirect:
            parts += (b"\r\nLocation: ", location.origin(self), place)
            place = None
        if (
            not bodiless
            and (length is None or (location.trailers and self._hasTrailers()))
            and status != 101
            and self.method != b"HEAD"
        ):
            if self.version >= 11 and location.chunkedTransferEncoding:
                if length is not None:
                    parts.remove(b"\r\nContent-Length: %d" % length)
                self.chunked = not self.headOnly
                parts.append(b"\r\nTransfer-Encoding: chunked")
            elif length is None:
                self.keepalive = False
        if status == 101:
            parts.append(b"\r\nConnection: upgrade")
        elif self.keepalive:
            parts.append(b"\r\nConnection: keep-alive")
            if location.keepaliveHeader:
                parts.append(location.keepaliveHeader)
        else:
            parts.append(b"\r\nConnection: close")
        if place is not None:
            parts += (b"\r\nLocation: ", place)
        parts += (head.fields, b"\r\n\r\n")
        return b"".join(parts)

    def _hasTrailers(self) -> bool:
        trailers = self.location.trailers
        return trailers is not None and trailers.expected(self.status)

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

    # ---- body -----------------------------------------------------------------------

    def sendBody(self, data: bytes) -> None:
        """
        More of the body.
        """
        if self.headOnly:
            return
        if self._window is not None:
            data = self._window.cut(data)
            if not data:
                return
        if self._filters is not None:
            self._filters.first.putBody(data)
            return
        self.putBody(data)

    def sendRegion(self, fd: int, offset: int, count: int) -> None:
        """
        More of the body, from a file that stays open until L{whenDrained} tells.
        """
        if self.headOnly:
            return
        if self._window is not None:
            offset, count = self._window.cutRegion(offset, count)
            if not count:
                return
        if self._filters is not None:
            self._filters.first.putRegion(fd, offset, count)
            return
        if self._pace is not None:
            self._pace.addRegion(fd, offset, count)
            return
        self.writeRegion(fd, offset, count)

    def takesPipes(self) -> bool:
        """
        Does the client get the body just as it comes, over plain TCP?
        """
        return (
            self._filters is None
            and self._window is None
            and self._pace is None
            and not (self.chunked or self.headOnly or self.isSubrequest)
            and canPipe(self.connection.transport)
        )

    def sendPipe(self, pipe: Pipe) -> None:
        """
        More of the body, in a pipe, where L{takesPipes} says so.
        """
        transport = self.connection.transport
        transport.sendPipe(pipe)
        if transport.pending:
            self._watchSending()

    def canTake(self, highWater: int) -> bool:
        """
        Does the client owe no more than C{highWater} bytes?
        """
        if self._filters is not None:
            return self._filters.first.canPut(highWater)
        return self.canPut(highWater)

    def whenDrained(self, callback: Callable[[], None]) -> None:
        """
        Call C{callback}, once, when the client has taken everything.
        """
        if self._filters is not None:
            self._filters.first.whenPut(callback)
            return
        self.whenPut(callback)

    # ---- end ------------------------------------------------------------------------

    def endResponse(self) -> None:
        """
        The body is complete.
        """
        if self._filters is not None:
            self._filters.first.putEnd()
        else:
            self.putEnd()

    def cutResponse(self) -> None:
        """
        The body will not be completed: close, so that the client can tell.
        """
        if self._filters is not None:
            self._filters.first.putCut()
        else:
            self.putCut()

    # ---- responses of our own -------------------------------------------------------

    def sendResponse(self, head: ResponseHead, body: bytes) -> None:
        """
        The whole response at once.
        """
        if head.contentLength is None and not head.noBody:
            head.contentLength = len(body)
        if self.discardsBody():
            self.sendHead(head, body, True)

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

    # ---- parts ----------------------------------------------------------------------

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

    def setLimitRate(self, value: bytes) -> None:
        """
        A server said X-Accel-Limit-Rate, or C{set $limit_rate} did.
        """
        rate = parseRate(value)
        if rate is not None:
            self.limitRate = rate

    # ---- interim and upgraded -------------------------------------------------------

    def sendInterim(self, head: ResponseHead) -> bool:
        """
        Pass a 103 response on, if the location wants that.

        @return: was it passed on?
        """
        hints = self.location.earlyHints
        if head.status != 103 or hints is None or self.version < 11 or not hints(self):
            return False
        fields = self.location.hideInterim(b"", head.fields)
        self.connection.transport.write(
            b"HTTP/1.1 103 Early Hints" + fields + b"\r\n\r\n"
        )
        return True

    def sendUpgrade(self, head: ResponseHead) -> bytes:
        """
        Send a 101 response.

        @return: what the client has sent ahead, in the new protocol.
        """
        self.keepalive = False
        if not self.isFirst:
            self._editHead(head)
        self.status = head.status
        self.responseHead = head
        edit = self.location.editHead
        if edit is not None:
            edit(self, head)
        data = self._serialize(head)
        self.headSize = len(data)
        connection = self.connection
        connection.transport.write(data)
        return connection.takeAhead()

    def upgradeEnded(self) -> None:
        """
        The upgraded connection is over.
        """
        self.cutResponse()
