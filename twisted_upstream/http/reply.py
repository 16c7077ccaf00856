"""
The response to one request on its way to the client: framing, pace, end.

Head and first bytes of the body leave in one write.  nginx: the header, chunked and
write filters: C{ngx_http_header_filter()}, C{ngx_http_chunked_filter()},
C{ngx_http_write_filter()}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..wire.body import LAST_CHUNK
from .client import Client
from .phases.error_page import statusText

if TYPE_CHECKING:
    from ..wire.head import ResponseHead
    from .filters import Chain
    from .pace import Pace
    from .window import Window


class Reply(Client):
    """
    The client's side of L{IReply<twisted_upstream.interfaces.IReply>}.

    Attributes have their first values in the class: most requests change few of them.

    @ivar status: of the response being sent; 0: there is none yet.
    @ivar headSize: bytes of its head.
    @ivar chunked: is it sent in chunks?
    @ivar keepalive: will the connection serve another request?
    @ivar responseHead: the response's head, once it was sent.
    @ivar isFirst: nothing has come before this response that it would show: no error,
        no X-Accel-Redirect, no edit.
    @ivar limitRate: bytes per second that the client may get; 0: no limit; C{None}:
        what the location says.
    @ivar flushes: each piece of the body is to be sent at once.
    @ivar trailers: what C{add_trailer} and the server add after the body.
    """

    method: bytes
    version: int
    status = 0
    headSize = 0
    chunked = False
    keepalive = False
    responseHead: ResponseHead | None = None
    headOnly = False
    isFirst = True
    limitRate: int | None = None
    flushes = False
    trailers = b""
    _pace: Pace | None = None
    _filters: Chain | None = None
    _window: Window | None = None
    _progress = -1
    _ended = False
    _sentBefore = 0

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
            if complete or head.contentLength is not None or not self.chunked:
                self.headOnly = True
            if complete:
                self._endOutput()
            return
        if self._filters is not None:
            self._filters.start(data, body, complete)
            return
        self.sendFirst(data, body, complete)

    def sendFirst(self, data: bytes, body: bytes, complete: bool) -> None:
        """
        Send the head as bytes, and what of the body, as the client gets it, is there.
        """
        location = self.location
        if location.limitsRate is not None or self.limitRate:
            self._startPace()
        pace = self._pace
        if pace is not None:
            pace.begin(data, body)
            if complete:
                self.putEnd()
            return
        transport = self.connection.transport
        if self.chunked:
            if body:
                data += b"%x\r\n%b\r\n" % (len(body), body)
            if complete:
                data += self._lastChunk()
        elif body:
            data += body
        if data:
            transport.write(data)
        if transport.pending:
            if complete:
                self._endOutput()
            else:
                self._watchSending()
        elif complete:
            self._ended = True
            self._finish()

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

    def putBody(self, data: bytes) -> None:
        """
        More of the body as the client gets it.
        """
        if self._pace is not None:
            self._pace.add(data)
            return
        self.writeBody(data)

    def writeBody(self, data: bytes) -> None:
        """
        Send body without regard to the pace.
        """
        transport = self.connection.transport
        if self.chunked:
            transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            transport.write(data)
        if transport.pending:
            self._watchSending()

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

    def writeRegion(self, fd: int, offset: int, count: int) -> None:
        """
        Send a part of a file without regard to the pace.
        """
        transport = self.connection.transport
        if self.chunked:
            transport.write(b"%x\r\n" % count)
        transport.sendFile(fd, offset, count)
        if self.chunked:
            transport.write(b"\r\n")
        if transport.pending:
            self._watchSending()

    def canTake(self, highWater: int) -> bool:
        """
        Does the client owe no more than C{highWater} bytes?
        """
        if self._filters is not None:
            return self._filters.first.canPut(highWater)
        return self.canPut(highWater)

    def canPut(self, highWater: int) -> bool:
        """
        The same of the body as the client gets it.
        """
        pending = self.connection.transport.pending
        if self._pace is not None:
            pending += self._pace.waiting
        return pending <= highWater

    def whenDrained(self, callback: Callable[[], None]) -> None:
        """
        Call C{callback}, once, when the client has taken everything.
        """
        if self._filters is not None:
            self._filters.first.whenPut(callback)
            return
        self.whenPut(callback)

    def whenPut(self, callback: Callable[[], None]) -> None:
        """
        The same of the body as the client gets it.
        """
        if self._pace is not None and self._pace.waiting:
            self._pace.drained = callback
            return
        transport = self.connection.transport
        if not transport.pending:
            # Never from within the caller's call.
            self.connection.factory.served.soon(callback)
            return

        def drained() -> None:
            transport.drained = None
            self.connection.deadline.clear()
            callback()

        transport.drained = drained

    def _startPace(self) -> None:
        from .pace import Pace

        rate, after = self.location.pace(self)
        if rate:
            served = self.connection.factory.served
            self._pace = Pace(self, rate, after, served.seconds, served.deadlines)

    # ---- end ------------------------------------------------------------------------

    def _lastChunk(self) -> bytes:
        trailers = self.location.trailers
        if trailers is not None:
            trailers(self)
        if self.trailers:
            return b"0" + self.trailers + b"\r\n\r\n"
        return LAST_CHUNK

    def endResponse(self) -> None:
        """
        The body is complete.
        """
        if self._filters is not None:
            self._filters.first.putEnd()
        else:
            self.putEnd()

    def putEnd(self) -> None:
        """
        The body as the client gets it is complete.
        """
        pace = self._pace
        if pace is not None and pace.waiting:
            pace.drained = self.putEnd
            return
        if self.chunked and not self.headOnly:
            self.connection.transport.write(self._lastChunk())
        self._endOutput()

    def _endOutput(self) -> None:
        self._ended = True
        if self.connection.transport.pending:
            self.whenPut(self._finish)
            self._watchSending()
        else:
            self._finish()

    def cutResponse(self) -> None:
        """
        The body will not be completed: close, so that the client can tell.
        """
        if self._filters is not None:
            self._filters.first.putCut()
        else:
            self.putCut()

    def putCut(self) -> None:
        """
        The body as the client gets it will not be completed.
        """
        self.keepalive = False
        transport = self.connection.transport
        if transport.pending and self.status:
            self.whenPut(self._finish)
            self._watchSending()
        else:
            self._finish()

    def _watchSending(self) -> None:
        """
        A client that takes nothing for C{send_timeout} is given up.
        """
        transport = self.connection.transport
        if transport.bytesSent != self._progress or not self.connection.deadline.active:
            self._progress = transport.bytesSent
            self.connection.deadline.set(self.location.sendTimeout)

    def sendingTimedOut(self) -> bool:
        """
        The time-out has come: is the client to be given up, or did it take something?
        """
        transport = self.connection.transport
        if transport.bytesSent != self._progress:
            self._progress = transport.bytesSent
            self.connection.deadline.set(self.location.sendTimeout)
            return False
        return True

    def _finish(self) -> None:
        raise NotImplementedError

    def _editHead(self, head: ResponseHead) -> None:
        raise NotImplementedError

    # ---- interim and upgraded -------------------------------------------------------

    def sendInterim(self, head: ResponseHead) -> None:
        """
        Pass a 103 response on, if the location wants that.
        """
        hints = self.location.earlyHints
        if head.status != 103 or hints is None or self.version < 11:
            return
        if hints(self):
            fields = self.location.hideInterim(b"", head.fields)
            self.connection.transport.write(
                b"HTTP/1.1 103 Early Hints" + fields + b"\r\n\r\n"
            )

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

    @property
    def bodySent(self) -> int:
        """
        C{$body_bytes_sent}.
        """
        return max(0, self.bytesSent - self.headSize)

    @property
    def bytesSent(self) -> int:
        """
        C{$bytes_sent}.
        """
        sent: int = self.connection.transport.bytesSent - self._sentBefore
        return sent


_BODILESS = frozenset((100, 102, 103, 204, 304))
