"""
A group as a part of a C{twisted.web} site: requests below a resource are passed to the
group's servers.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, HTTPChannel, toChunk
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from ..interfaces import IReply
from ..upstream.asker import Asker, HeldBody
from .arguments import ArgumentError
from .passing import Way, fieldsOf
from .upgraded import UpgradedConnection

if TYPE_CHECKING:
    from ..wire.head import ResponseHead
    from .upstream import Upstream

_findFields = re.compile(rb"\r\n([^:]*): ?([^\r]*)").findall
_climbs = re.compile(rb"[/\\]\.\.(?:[/\\]|\Z)").search
#: Fields that stand there once, and replace what the site has put there.
_REPLACED = frozenset((b"server", b"date"))
_FORWARDED = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"))


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


@implementer(IResource)
class UpstreamResource:
    """
    Passes all requests below it to the servers of a group.
    """

    isLeaf = True

    def __init__(
        self,
        upstream: Upstream,
        path: bytes = b"",
        *,
        host: bytes | None = None,
        secure: bool = False,
        forwarded: bool = True,
        key: Callable[[Any], bytes] | None = None,
        **options: Any,
    ) -> None:
        """
        @param path: what stands before the rest of a request's path at the servers;
            paths that would leave it by C{..} are refused with 400.
        @param host: what servers are told; C{None}: what the client has said.
        @param secure: do the servers speak TLS?  Whom they have to be is said by
            C{sslName}, else by C{host}.
        @param forwarded: tell servers of the client, by X-Forwarded-For, -Proto and
            -Host.
        @param key: what methods that hash are to hash: takes the request.
        @param options: C{proxy_*} of a configuration, in camelCase and without
            C{proxy_}.
        @raise ArgumentError: an argument is wrong.
        @raise TypeError: there is no such argument.
        """
        if not isinstance(path, bytes) or (path and not path.startswith(b"/")):
            raise ArgumentError(f"path: neither empty nor beginning with /: {path!r}")
        if host is not None and not isinstance(host, bytes):
            raise ArgumentError(f"host: not bytes: {host!r}")
        if key is not None and not callable(key):
            raise ArgumentError(f"key: cannot be called: {key!r}")
        self.upstream = upstream
        self.errorLog = upstream.composition.errorLog
        self._path = path
        self._host = host
        self._secure = secure
        self._forwarded = forwarded
        self._key = key
        made = _FORWARDED if forwarded else frozenset()
        #: Fields of the client that are not passed on.
        self._made = made if host is None else made | {b"host"}
        self._way = Way(upstream, options)

    def getChildWithDefault(self, name: bytes, request: Any) -> IResource:
        """
        Everything below is the servers'.
        """
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        """
        Nothing can be put here.
        """
        raise NotImplementedError("an upstream's resource has no children")

    def render(self, request: Any) -> int:
        """
        Pass a request on.
        """
        if self.upstream.isClosed:
            refuse(request, 502)
            return NOT_DONE_YET
        key = None if self._key is None else self._key(request)
        uri, _, args = request.uri.partition(b"?")
        below = uri.split(b"/")[1 + len(request.prepath) :]
        path = self._path
        if below:
            path += b"/" + b"/".join(below)
        path = path or b"/"
        decoded = unquote_to_bytes(path) if b"%" in path else path
        if self._path and _climbs(decoded):
            # What stands before it is not to be left.
            refuse(request, 400)
            return NOT_DONE_YET
        headers = request.requestHeaders
        named = headers.getRawHeaders(b"host")
        host = self._host or (named[-1] if named else b"")
        client = getattr(request.getClientAddress(), "host", "") or ""
        fields = fieldsOf(host, headers, self._made)
        if self._forwarded:
            through = headers.getRawHeaders(b"x-forwarded-for") or []
            chain = b", ".join([*through, client.encode()])
            proto = b"https" if request.isSecure() else b"http"
            fields += b"\r\nX-Forwarded-For: " + chain + b"\r\nX-Forwarded-Proto: "
            fields += proto
            if named:
                fields += b"\r\nX-Forwarded-Host: " + named[-1]
        asking = ResourceRequest(
            self,
            request,
            decoded,
            args,
            host,
            fields,
            _bodyOf(request.content),
        )
        asking.isSecure = self._secure
        asking.clientHost = client
        target = path + b"?" + args if args else path
        asking.target = asking.head.path = target
        if headers.hasHeader(b"upgrade"):
            asking.askUpgrade(headers)
        asking.key = key
        request.notifyFinish().addErrback(asking.gone)
        try:
            self._way.begin(asking)
        # Whatever a balancer raises.
        except Exception:
            asking.end(Failure())
        return NOT_DONE_YET


def _bodyOf(content: Any) -> HeldBody | FileBody | None:
    if content is None:
        return None
    if isinstance(content, BytesIO):
        data = content.getvalue()
        return HeldBody(data) if data else None
    content.flush()
    return FileBody(content, os.fstat(content.fileno()).st_size)


def refuse(request: Any, status: int) -> None:
    """
    Answer with an error of our own.
    """
    reason = RESPONSES.get(status, b"Error")
    request.setResponseCode(status, reason)
    request.setHeader(b"Content-Type", b"text/html")
    title = b"%d %b" % (status, reason)
    body = b"<html><head><title>%b</title></head><body><h1>%b</h1></body></html>\n"
    data = body % (title, title)
    request.setHeader(b"Content-Length", b"%d" % len(data))
    request.write(data)
    request.finish()


@implementer(IReply, IPushProducer)
class ResourceRequest(Asker):
    """
    One request of a site's client.

    @ivar clientHost: the client's address as text.
    @ivar connection: the client's, once protocols were switched.
    @ivar isSecure: is it to go over TLS?
    """

    __slots__ = (
        "_isGone",
        "_isPaused",
        "_isProducer",
        "_request",
        "_resource",
        "_resume",
        "clientHost",
        "connection",
        "isSecure",
    )

    clientHost: str
    isSecure: bool

    def __init__(
        self,
        resource: UpstreamResource,
        request: Any,
        uri: bytes,
        args: bytes,
        host: bytes,
        fields: bytes,
        body: HeldBody | FileBody | None,
    ) -> None:
        super().__init__(
            request.method, uri, args, host, fields, body, resource.errorLog
        )
        self._resource = resource
        self._request = request
        self._isGone = self._isPaused = self._isProducer = False
        self._resume: Callable[[], None] | None = None
        self.connection: UpgradedConnection | None = None
        resource.upstream.tellWhenClosed(self, self._closed)

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

    def askUpgrade(self, headers: Any) -> None:
        """
        The client wants to switch protocols: so does the request to the server.
        """
        connection = b",".join(headers.getRawHeaders(b"connection") or [])
        protocol = headers.getRawHeaders(b"upgrade")[-1]
        # Streams of HTTP/2 cannot switch.
        if b"upgrade" in connection.lower() and hasattr(
            self._request.channel, "_dataBuffer"
        ):
            self.head.upgrade = protocol
            self.head.fields += b"\r\nConnection: upgrade\r\nUpgrade: " + protocol

    # ---- the response ---------------------------------------------------------------

    def _writeHead(self, head: ResponseHead) -> None:
        self.editHead(head)
        request = self._request
        request.setResponseCode(head.status, head.text[4:])
        headers = request.responseHeaders
        request.defaultContentType = None
        if head.contentType is not None:
            headers.addRawHeader(b"Content-Type", head.contentType)
        for name, value in _findFields(head.fields):
            if name.lower() in _REPLACED:
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
        Send a head of HTTP/1 as it came: what C{Request}
        makes of fields, one by one, takes longer than all the rest.
        """
        self.editHead(head)
        request = self._request
        status = head.status
        parts = [b"HTTP/1.1 ", head.text or b"%d " % status, head.fields]
        if head.contentType is not None:
            parts += (b"\r\nContent-Type: ", head.contentType)
        values = head.values
        # What the site, or a resource above, has put there.
        for name, given in request.responseHeaders.getAllRawHeaders():
            lower = name.lower()
            if lower not in _REPLACED or lower not in values:
                for value in given:
                    parts.append(b"\r\n" + name + b": " + value)
        for cookie in request.cookies:
            parts.append(b"\r\nSet-Cookie: " + cookie)
        if length is not None:
            parts.append(b"\r\nContent-Length: %d" % length)
        elif request.clientproto == b"HTTP/1.1" and not head.noBody:
            parts.append(b"\r\nTransfer-Encoding: chunked")
            request.chunked = 1
        parts.append(b"\r\n\r\n")
        if head.noBody:
            body = b""
        if request.chunked:
            if body:
                parts += toChunk(body)
        else:
            parts.append(body)
        # As Request.write() leaves it.
        request.startedWriting = 1
        request.code = status
        request.code_message = head.text[4:]
        request.sentLength += len(body)
        request.channel.write(b"".join(parts))

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

    def cutResponse(self) -> None:
        """
        The rest will not come: the client has to see that.
        """
        self._over()
        if not self._isGone:
            self._isGone = True
            if self._isProducer:
                self._request.unregisterProducer()
            self._request.loseConnection()

    def failResponse(self, status: int, fields: bytes = b"") -> None:
        """
        No server has answered.
        """
        self._over()
        if not self._isGone:
            self._isGone = True
            refuse(self._request, status if status in RESPONSES else 502)

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

    # ---- ends -----------------------------------------------------------------------

    def _over(self) -> None:
        self.upstream = None
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
