"""
The short way of requests through a site to a group: without C{Request} and C{Headers},
which cost more than everything else.

A connection whose first request a resource has answered is looked after from then on:
a later request is answered without if it is whole, has no body and nothing that a
C{Request} has to look after, and if the tree of resources leads to a resource of ours
whatever else it says.  All others go the usual way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import ISSLTransport
from twisted.web.http import (
    RESPONSES,
    HTTPChannel,
    HTTPFactory,
    combinedLogFormatter,
    datetimeToString,
    toChunk,
)
from twisted.web.resource import Resource
from twisted.web.server import Request, Site, version
from zope.interface import implementer

from ..interfaces import IReply
from ..wire.head import ResponseHead
from .answering import SiteAsker, errorPage
from .resource import UpstreamResource

if TYPE_CHECKING:
    from twisted.python.failure import Failure

#: A whole request that has no body and keeps its connection, but for L{_UNUSUAL}.
_matchRequest = re.compile(
    rb"([A-Z]+) (/[!-~]*) HTTP/1\.1"
    rb"((?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\x00]*)*)\r\n\r\n"
).fullmatch
_findFields = re.compile(rb"\r\n([^:]+):[ \t]*([^\r]*)").findall
#: Fields of requests that go the usual way.
_UNUSUAL = frozenset(
    (
        b"Connection",
        b"Content-Length",
        b"Expect",
        b"Keep-Alive",
        b"Proxy-Connection",
        b"Te",
        b"Transfer-Encoding",
        b"Upgrade",
    )
)
#: What nobody needs to escape.
_isPlain = re.compile(rb"[ !#-&(-\[\]-~]*").fullmatch
#: What is not public of channels and sites; where it is not there, everything goes the
#: usual way.
_CHANNEL = ("_buffer", "_busyReceiving", "_handlingRequest", "_savedTimeOut")
_SITE = ("_logDateTime", "_logFile", "_logFormatter")

_usualChild = Resource.getChildWithDefault


def shorten(channel: Any) -> None:
    """
    Let later requests of a site's connection go the short way, if that makes no
    difference: the site makes requests, finds resources and writes its log as every
    site does.
    """
    site = getattr(channel, "site", None)
    if (
        isinstance(site, Site)
        and all(hasattr(channel, name) for name in _CHANNEL)
        and all(hasattr(site, name) for name in _SITE)
        and channel.requestFactory is Request
        and site._logFormatter is combinedLogFormatter
        and getattr(site.log, "__func__", None) is HTTPFactory.log
        and getattr(site.getResourceFor, "__func__", None) is Site.getResourceFor
    ):
        channel.__class__ = ShortChannel


def _find(site: Any, path: bytes) -> tuple[UpstreamResource, bytes] | None:
    """
    The resource that the tree leads to, whatever else a request says, if that is an
    upstream's; and the rest of the path.
    """
    found = site.resource
    while type(found) is not UpstreamResource:
        if (
            not path
            or not isinstance(found, Resource)
            or found.isLeaf
            or getattr(found.getChildWithDefault, "__func__", None) is not _usualChild
        ):
            return None
        name, slash, rest = path[1:].partition(b"/")
        path = slash + rest
        found = found.children.get(unquote_to_bytes(name) if b"%" in name else name)
    return found, path


class ShortChannel(HTTPChannel):
    """
    A client's connection.
    """

    site: Any
    #: The protocol of lines is within C{dataReceived}.
    _busyReceiving: bool

    def getClientAddress(self) -> Any:
        """
        Whose connection it is.
        """
        return self.getPeer()

    def isSecure(self) -> bool:
        """
        Is it over TLS?
        """
        return ISSLTransport.providedBy(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        A whole request for a group needs nothing else.
        """
        if (
            self.requests
            or self._buffer
            or self._busyReceiving
            or not self.persistent
            or len(data) > self.totalHeadersSize
            or not self._answer(data)
        ):
            super().dataReceived(data)

    def _answer(self, data: bytes) -> bool:
        match = _matchRequest(data)
        if match is None:
            return False
        method, target, block = match.groups()
        path, _, args = target.partition(b"?")
        found = _find(self.site, path)
        if found is None:
            return False
        resource, below = found
        pairs = _findFields(block)
        if (
            resource.hasKey
            or resource.upstream.isClosed
            or len(pairs) > self.maxHeaders
        ):
            return False
        fields = []
        for name, value in pairs:
            name = name.title()
            if name in _UNUSUAL:
                return False
            fields.append((name, (value.rstrip(b" \t"),)))
        asking = SiteRequest(resource, method, self, target, fields)
        # As allContentReceived() leaves it.
        if self.timeOut:
            self._savedTimeOut = self.setTimeout(None)
        self._handlingRequest = True
        self.setRawMode()
        self.requests.append(asking)
        resource.begin(asking, below, args, fields, self)
        return True


@implementer(IReply)
class SiteRequest(SiteAsker):
    """
    A request that no C{Request} was made for.

    @ivar sentTarget: what was asked for, path and query.
    @ivar fields: of the request.
    """

    __slots__ = ("_isChunked", "_sent", "_status", "channel", "fields", "sentTarget")

    def __init__(
        self,
        resource: UpstreamResource,
        method: bytes,
        channel: ShortChannel,
        target: bytes,
        fields: list[tuple[bytes, tuple[bytes]]],
    ) -> None:
        super().__init__(resource, method, None, channel)
        self.channel = channel
        self._isChunked = False
        self._sent = self._status = 0
        self.sentTarget = target
        self.fields = fields

    def connectionLost(self, reason: Failure) -> None:
        """
        The client has closed its connection.
        """
        self.gone(reason)

    # ---- the response ---------------------------------------------------------------

    def sendHead(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        """
        The response begins.
        """
        if self._isGone:
            return
        channel = self.channel
        length = head.contentLength
        if length is None and complete and not head.noBody:
            length = len(body)
        further: tuple[bytes, ...] = ()
        values = head.values
        if b"server" not in values:
            further = (b"\r\nServer: ", version)
        if b"date" not in values:
            further += (b"\r\nDate: ", datetimeToString())
        self._status = head.status
        if not head.noBody:
            self._sent = len(body)
        transport = channel.transport
        self._isChunked = self._send(transport, head, length, body, further, True)
        if complete:
            self.endResponse()
        else:
            self._isProducer = True
            channel.registerProducer(self, True)

    def sendBody(self, data: bytes) -> None:
        """
        More of the body.
        """
        if not self._isGone and data:
            self._sent += len(data)
            if self._isChunked:
                self.channel.writeSequence(toChunk(data))
            else:
                self.channel.write(data)

    def endResponse(self) -> None:
        """
        That was all.
        """
        self._over()
        if not self._isGone:
            if self._isChunked:
                self.channel.write(b"0\r\n\r\n")
            self._finish()

    def _finish(self) -> None:
        self._isGone = True
        channel = self.channel
        if self._isProducer:
            channel.unregisterProducer()
        site = channel.site
        if site._logFile is not None:
            logged = _Logged(self, self._status, self._sent)
            site._logFile.write(_lineOf(site._logDateTime, logged) + "\n")
        channel.requestDone(self)

    def failResponse(self, status: int, fields: bytes = b"") -> None:
        """
        No server has answered.
        """
        self._over()
        if self._isGone:
            return
        if status not in RESPONSES:
            status = 502
        reason, page = errorPage(status)
        head = ResponseHead(status, text=b"%d %b" % (status, reason))
        head.contentType = b"text/html"
        head.noBody = self.method == b"HEAD"
        head.contentLength = len(page)
        self.sendHead(head, page, True)


def _lineOf(timestamp: str | None, request: _Logged) -> str:
    """
    A line of the log, as C{combinedLogFormatter} writes it: nearly always there is
    nothing to escape.
    """
    uri = request.uri
    referer = request.getHeader(b"referer") or b"-"
    agent = request.getHeader(b"user-agent") or b"-"
    host = getattr(request.getClientAddress(), "host", "-")
    method, proto = request.method, request.clientproto
    if _isPlain(b"".join((method, uri, proto, referer, agent))) is None:
        formatter: Any = combinedLogFormatter
        line: str = formatter(timestamp, request)
        return line
    return (
        f'"{host}" - - {timestamp} "{method.decode()} {uri.decode()}'
        f' {proto.decode()}" {request.code} {request.sentLength or "-"}'
        f' "{referer.decode()}" "{agent.decode()}"'
    )


class _Logged:
    """
    What a line of the site's log is made of.
    """

    __slots__ = ("_asking", "clientproto", "code", "method", "sentLength", "uri")

    def __init__(self, asking: SiteRequest, status: int, sent: int) -> None:
        self.method = asking.method
        self.uri = asking.sentTarget
        self.clientproto = b"HTTP/1.1"
        self.code = status
        self.sentLength = sent
        self._asking = asking

    def getClientAddress(self) -> Any:
        """
        Whose request it was.
        """
        return self._asking.channel.getPeer()

    def getHeader(self, name: bytes) -> bytes | None:
        """
        The last of the request's fields with that name.
        """
        title = name.title()
        for each, values in reversed(self._asking.fields):
            if each == title:
                return values[-1]
        return None
