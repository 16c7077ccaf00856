"""
Requests of a site's clients: who asks a group, and passes the response on.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.tcp import Server
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, HTTPChannel, toChunk
from zope.interface import implementer

from ..interfaces import IReply
from ..upstream.asker import Asker, HeldBody
from .passing import findFields
from .upgraded import UpgradedConnection

if TYPE_CHECKING:
    from ..wire.head import ResponseHead
    from .resource import UpstreamResource

#: What every site has put there before a resource is asked: a server's own replaces it.
#: Headers have these names as they are written here.
_REPLACED = {b"Server": b"server", b"Date": b"date"}
_replaced = frozenset(_REPLACED.values())


class FileBody:
    """
    A body that the site holds in a file.
    """

    __slots__ = ("file", "size")

    complete = True
    parts: tuple[bytes, ...] = ()

    def __init__(self, file: Any, size: int) -> None:
        self.file = file
        self.size = size


def writeNow(transport: Any, data: bytes) -> None:
    """
    Write to a connection of a site, without the round of the reactor that its own
    transport waits for: that is a tenth of what a small request costs.

    @param transport: what has anything to send, or is none of TCP's own, is given
        C{data} to send when it likes.
    """
    if (
        type(transport) is Server
        and not transport.TLS
        and transport.connected
        and not transport.disconnecting
        and not transport.dataBuffer
        # There is no public way to see that nothing waits.
        and not getattr(transport, "_tempDataBuffer", True)
    ):
        try:
            sent = transport.socket.send(data)
        except OSError:
            # Full or broken: who finds that again knows what to do.
            sent = 0
        if sent == len(data):
            return
        data = data[sent:]
    transport.write(data)


def errorPage(status: int) -> tuple[bytes, bytes]:
    """
    A page of our own: the status' text, and the body.
    """
    reason = RESPONSES.get(status, b"Error")
    title = b"%d %b" % (status, reason)
    body = b"<html><head><title>%b</title></head><body><h1>%b</h1></body></html>\n"
    return reason, body % (title, title)


def refuse(request: Any, status: int) -> None:
    """
    Answer with an error of our own.
    """
    reason, page = errorPage(status)
    request.setResponseCode(status, reason)
    request.setHeader(b"Content-Type", b"text/html")
    request.setHeader(b"Content-Length", b"%d" % len(page))
    request.write(page)
    request.finish()


@implementer(IPushProducer)
class SiteAsker(Asker):
    """
    One request of a site's client.  A subclass passes the response on.

    @ivar clientHost: the client's address as text.
    @ivar connection: the client's, once protocols were switched.
    @ivar isSecure: is it to go over TLS?
    """

    __slots__ = (
        "_isGone",
        "_isPaused",
        "_isProducer",
        "_resource",
        "_resume",
        "_writer",
        "clientHost",
        "connection",
        "isSecure",
    )

    clientHost: str
    isSecure: bool

    def __init__(
        self,
        resource: UpstreamResource,
        method: bytes,
        body: HeldBody | FileBody | None,
        writer: Any,
    ) -> None:
        """
        @param writer: the client's side of the site: has producers, and ends.
        """
        super().__init__(method, b"", b"", None, b"", body, resource.errorLog)
        self._resource = resource
        self._writer = writer
        self._isGone = self._isPaused = self._isProducer = False
        self._resume: Callable[[], None] | None = None
        self.connection: UpgradedConnection | None = None
        resource.upstream.tellWhenClosed(self, self._closed)

    @property
    def maySwitch(self) -> bool:
        """
        Can the client's connection switch protocols?
        """
        return False

    @property
    def address(self) -> bytes:
        """
        Whose request it is, in network order; none, if that is no IP address.
        """
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                return socket.inet_pton(family, self.clientHost)
            except OSError:
                continue
        return b""

    @address.setter
    def address(self, address: bytes) -> None:
        """
        It is not told: see C{clientHost}.
        """

    # ---- the response ---------------------------------------------------------------

    def _send(
        self,
        transport: Any,
        head: ResponseHead,
        length: int | None,
        body: bytes,
        further: Iterable[bytes],
        mayChunk: bool,
    ) -> bool:
        """
        Send a head of HTTP/1 as it came, and what there is of the body.

        @param further: more fields, each line of them in pieces.
        @param mayChunk: does the client know chunks?
        @return: does the body go in chunks?
        """
        self.editHead(head)
        parts = [b"HTTP/1.1 ", head.text or b"%d " % head.status, head.fields]
        if head.contentType is not None:
            parts += (b"\r\nContent-Type: ", head.contentType)
        parts += further
        isChunked = False
        if head.noBody:
            body = b""
        if length is not None:
            parts += (b"\r\nContent-Length: %d\r\n\r\n" % length, body)
        elif mayChunk and not head.noBody:
            parts.append(b"\r\nTransfer-Encoding: chunked\r\n\r\n")
            isChunked = True
            if body:
                parts += toChunk(body)
        else:
            parts += (b"\r\n\r\n", body)
        writeNow(transport, b"".join(parts))
        return isChunked

    def canTake(self, highWater: int) -> bool:
        """
        Does the client take what was written?
        """
        return not self._isPaused

    def whenDrained(self, resume: Callable[[], None]) -> None:
        """
        Call C{resume} when it does again.
        """
        self._resume = resume

    def pauseProducing(self) -> None:
        """
        The client does not take it.
        """
        self._isPaused = True

    def resumeProducing(self) -> None:
        """
        The client has taken everything.
        """
        self._isPaused = False
        resume, self._resume = self._resume, None
        if resume is not None:
            resume()

    def stopProducing(self) -> None:
        """
        The client is gone, which L{gone} is told as well.
        """

    # ---- ends -----------------------------------------------------------------------

    def cutResponse(self) -> None:
        """
        The rest will not come: the client has to see that.
        """
        self._over()
        if not self._isGone:
            self._isGone = True
            if self._isProducer:
                self._writer.unregisterProducer()
            self._writer.loseConnection()

    def failResponse(self, status: int, fields: bytes = b"") -> None:
        """
        No server has answered.
        """
        raise NotImplementedError

    def _over(self) -> None:
        self.upstream = None
        # It knows us: together they would wait for the garbage collector.
        self.exchange = None
        self._resource.upstream.forget(self)

    def gone(self, reason: Failure) -> None:
        """
        The client has closed its connection.
        """
        if self._isGone:
            return
        self._isGone = True
        upstream = self.upstream
        self._over()
        if upstream is not None and not upstream.isOver and self.connection is None:
            upstream.abort(499)

    def end(self, reason: Failure) -> None:
        """
        It cannot be asked for.
        """
        self.logError("error", reason.getErrorMessage())
        self.stop()
        self.failResponse(500)

    def _closed(self) -> None:
        upstream, self.upstream = self.upstream, None
        if upstream is None or upstream.isOver:
            return
        if self.connection is not None:
            self.connection.transport.loseConnection()
            upstream.discard()
            self._isGone = True
        else:
            upstream.abort(502)


@implementer(IReply)
class ResourceRequest(SiteAsker):
    """
    One that a C{Request} of C{twisted.web} was made for.
    """

    __slots__ = ("_request",)

    def __init__(
        self,
        resource: UpstreamResource,
        request: Any,
        body: HeldBody | FileBody | None,
    ) -> None:
        super().__init__(resource, request.method, body, request)
        self._request = request

    @property
    def maySwitch(self) -> bool:
        """
        Streams of HTTP/2 cannot switch protocols.
        """
        return hasattr(self._request.channel, "_dataBuffer")

    def _writeHead(self, head: ResponseHead) -> None:
        self.editHead(head)
        request = self._request
        request.setResponseCode(head.status, head.text[4:])
        headers = request.responseHeaders
        request.defaultContentType = None
        if head.contentType is not None:
            headers.addRawHeader(b"Content-Type", head.contentType)
        for name, value in findFields(head.fields):
            if name.lower() in _replaced:
                headers.setRawHeaders(name, [value])
            else:
                headers.addRawHeader(name, value)

    def sendHead(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        """
        The response begins.
        """
        if self._isGone:
            return
        request = self._request
        length = head.contentLength
        if length is None and complete and not head.noBody:
            length = len(body)
        if isinstance(request.channel, HTTPChannel) and request._encoder is None:
            self._sendDirectly(head, length, body)
        else:
            self._writeHead(head)
            if length is not None:
                value = b"%d" % length
                request.responseHeaders.addRawHeader(b"Content-Length", value)
            request.write(body)
        if complete:
            self.endResponse()
        else:
            self._isProducer = True
            request.registerProducer(self, True)

    def _sendDirectly(
        self, head: ResponseHead, length: int | None, body: bytes
    ) -> None:
        """
        Send the head without C{Request}: what that makes of fields, one by one, takes
        longer than all the rest.
        """
        request = self._request
        further: list[bytes] = []
        values = head.values
        # What the site, or a resource above, has put there.
        for name, given in request.responseHeaders.getAllRawHeaders():
            if name not in _REPLACED or _REPLACED[name] not in values:
                for value in given:
                    further += (b"\r\n", name, b": ", value)
        for cookie in request.cookies:
            further += (b"\r\nSet-Cookie: ", cookie)
        # As Request.write() leaves it.
        request.startedWriting = 1
        request.code = head.status
        request.code_message = head.text[4:]
        if not head.noBody:
            request.sentLength += len(body)
        mayChunk = request.clientproto == b"HTTP/1.1"
        transport = request.channel.transport
        if self._send(transport, head, length, body, further, mayChunk):
            request.chunked = 1

    def sendBody(self, data: bytes) -> None:
        """
        More of the body.
        """
        if not self._isGone:
            self._request.write(data)

    def endResponse(self) -> None:
        """
        That was all.
        """
        self._over()
        if not self._isGone:
            self._isGone = True
            if self._isProducer:
                self._request.unregisterProducer()
            self._request.finish()

    def failResponse(self, status: int, fields: bytes = b"") -> None:
        """
        No server has answered.
        """
        self._over()
        if not self._isGone:
            self._isGone = True
            refuse(self._request, status if status in RESPONSES else 502)

    # ---- other protocols ------------------------------------------------------------

    def sendUpgrade(self, head: ResponseHead) -> bytes:
        """
        The server switches protocols: so does the site's connection.

        @return: what the client has sent already.
        """
        self._writeHead(head)
        request = self._request
        lines = [b"HTTP/1.1 " + head.text]
        for name, values in request.responseHeaders.getAllRawHeaders():
            lines += [name + b": " + value for value in values]
        lines.append(b"Connection: upgrade")
        connection = self.connection = UpgradedConnection(request.channel)
        connection.transport.write(b"\r\n".join(lines) + b"\r\n\r\n")
        early, connection.early = connection.early, b""
        return early

    def upgradeEnded(self) -> None:
        """
        Both sides have said everything.
        """
        self._over()
        self._isGone = True
        if self.connection is not None:
            self.connection.transport.loseConnection()
