"""
C{proxy_pass}: HTTP/1.0 and 1.1 towards servers.

nginx: C{ngx_http_proxy_module.c}: C{ngx_http_proxy_create_request()},
C{ngx_http_proxy_process_header()}, C{ngx_http_proxy_input_filter_init()}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from zope.interface import implementer

from ..config.build import Block
from ..config.directive import Where
from ..config.syntax import Node
from ..config.values import Template
from ..interfaces import IDialect, IInputFilter
from ..plugins import Dialect, Exchange
from ..upstream import fields as blocks
from ..upstream.options import PassOptions
from ..upstream.tls_options import UpstreamTLSOptions
from ..variables import Value
from ..wire.body import Chunked, Length, UntilClose, encodeChunk
from ..wire.head import ResponseHead
from ..wire.response1 import NotHTTP, parseResponse
from ..wire.uri import escapeUri
from .cookies import CookieOptions, compileCookies
from .proxy_options import ProxyOptions
from .redirects import RedirectOptions, compileRedirect
from .switching import maySwitch
from .target import Target, passUrls

#: Fields that are made here, or are for one connection only.  Empty values are not
#: sent.
_DEFAULTS = (
    b"host",
    b"connection",
    b"proxy-connection",
    b"content-length",
    b"transfer-encoding",
    b"te",
    b"keep-alive",
    b"expect",
    b"upgrade",
)


class ProxyPass:
    """
    C{proxy_pass} of one location, with all that goes with it, bound once.
    """

    def __init__(self, block: Block, name: str, build: Any) -> None:
        """
        @raise ConfigError: an option is wrong.
        """
        options = block.of(ProxyOptions, name)
        passing = block.of(PassOptions, name)
        text, node, owner = build.passOf(block, name)
        self.target: Target | None = None
        constant = text.constant
        if constant is not None:
            try:
                self.target = Target(constant)
            except ValueError as e:
                raise node.error(str(e)) from None
            self._checkUri(self.target, node, owner)
        self.version = options.httpVersion
        self.bufferSize = passing.bufferSize
        self.method = self._compiled(options.method, node, build)
        self.setBody = self._compiled(options.setBody, node, build)
        self.passBody = passing.passRequestBody
        self.passFields = passing.passRequestHeaders
        self.passTrailers = options.passTrailers
        self.hide = blocks.hider(passing.hideHeaders, passing.passHeaders)
        self.redirect = compileRedirect(block, name, build, passUrls(name))
        self.cookies = compileCookies(block, name, build)
        self._bindFields(options, build)

    @staticmethod
    def _compiled(text: Template | None, node: Node, build: Any) -> Value | None:
        if text is None:
            return None
        compiled: Value = build.compile(text, node)
        return compiled

    @staticmethod
    def _checkUri(target: Target, node: Node, owner: Block) -> None:
        if not target.uri:
            return
        words = owner.node.words
        special = owner.where is not Where.LOCATION or words[0].startswith(("~", "@"))
        if special:
            raise node.error(
                '"proxy_pass" cannot have URI part in location given by regular'
                ' expression, or inside named location, or inside "if" statement, or'
                ' inside "limit_except" block'
            )

    def _bindFields(self, options: ProxyOptions, build: Any) -> None:
        names = set(_DEFAULTS)
        self.ownHost = True
        self.fixed = b""
        self.upgrade: Value | None = None
        lines: list[tuple[bytes, Value]] = []
        constant = True
        self.ownLength = self.ownCoding = True
        for line in options.setHeaders:
            name = line.name.lower()
            names.add(name)
            value = build.compile(line.value, line.node)
            if name == b"host":
                self.ownHost = False
            elif name == b"content-length":
                self.ownLength = False
            elif name == b"transfer-encoding":
                self.ownCoding = False
            if not line.value:
                continue
            if name == b"upgrade":
                self.upgrade = value
            if "$" in line.value:
                constant = False
            lines.append((b"\r\n" + line.name + b": ", value))
        if constant:
            self.fixed = b"".join([start + value(None) for start, value in lines])
            lines = []
        self.lines = tuple(lines)
        pattern = b"|".join(re.escape(name) for name in sorted(names))
        self.strip = re.compile(rb"\r\n(?:%b):[^\r]*" % pattern, re.I).sub


class ProxyExchange(Exchange):
    """
    One request to an HTTP server.
    """

    scheme = b"http://"
    excessMessage = 'upstream sent more data than specified in "Content-Length" header'
    _body: Any = None

    def __init__(self, options: ProxyPass, client: Any) -> None:
        self.options: ProxyPass = options
        self.client: Any = client
        target = self.target = options.target
        if target is not None and target.secure:
            self.secure = True
            self.scheme = b"https://"
            self.secureName = target.secureName
        self.takesBody = options.passBody and options.setBody is None

    @property
    def mayStream(self) -> bool:  # type: ignore[override]  # asked at most once
        """
        Not a chunked body to a server of HTTP/1.0.
        """
        options = self.options
        return self.takesBody and (
            options.version == b"1.1" or not self.client.head.chunked
        )

    def authority(self, text: bytes) -> tuple[bytes, int] | None:
        """
        What the variables of C{proxy_pass} say for this request.
        """
        try:
            target = self.target = Target(text)
        except ValueError as e:
            shown = text.decode("utf-8", "replace")
            self.client.logError("error", f'{e} in "{shown}"')
            return None
        self._setScheme(target)
        return target.authority, target.usualPort

    def _setScheme(self, target: Target) -> None:
        if target.secure:
            self.secure = True
            self.scheme = b"https://"
            self.secureName = target.secureName

    def createRequest(self) -> bytes:
        """
        The head, and the body if it is not the client's.
        """
        options = self.options
        client = self.client
        target = self.target
        assert target is not None
        method = client.method if options.method is None else options.method(client)
        self._headOnly = method == b"HEAD"
        self.uri = uri = self._uri(target)
        fields = options.fixed
        if options.lines:
            for start, value in options.lines:
                text = value(client)
                if text:
                    fields += start + text
        if options.ownHost:
            fields += b"\r\nHost: " + target.host
        body = client.body
        data = b""
        if options.setBody is not None:
            data = options.setBody(client)
            if options.ownLength:
                fields += b"\r\nContent-Length: %d" % len(data)
        elif body is not None:
            fields += self._framing(body)
        if options.passFields:
            fields += options.strip(b"", client.head.fields)
        return b"%b %b HTTP/%b%b\r\n\r\n%b" % (
            method,
            uri,
            options.version,
            fields,
            data,
        )

    def _framing(self, body: Any) -> bytes:
        options = self.options
        if body.complete or not self.takesBody:
            length = body.size if body.complete else self.client.head.contentLength
        else:
            length = self.client.head.contentLength
            if length is None:
                self.bodyFilter = chunks
                return b"\r\nTransfer-Encoding: chunked" if options.ownCoding else b""
        if options.ownLength and length is not None:
            return b"\r\nContent-Length: %d" % length
        return b""

    def _uri(self, target: Target) -> bytes:
        client = self.client
        given = target.uri
        if self.options.target is None and given:
            return given
        if not given and client.validUnparsed:
            raw: bytes = client.head.path
            if raw.startswith(b"/"):
                return raw
            return b"/" + raw
        uri: bytes = client.uri
        skip = 0
        if given and client.validLocation:
            skip = min(len(client.location.nameBytes), len(uri))
        tail = uri[skip:]
        if client.head.quotedUri or client.internal:
            tail = escapeUri(tail)
        whole = (given if client.validLocation else b"") + tail
        if client.args:
            whole += b"?" + client.args
        return whole

    def processHeader(self, data: bytes) -> ResponseHead | None:
        """
        Parse the status line and the fields.
        """
        try:
            response = parseResponse(data, self.options.bufferSize)
        except NotHTTP as e:
            self.client.logError("error", str(e), action=_READING)
            head = ResponseHead(200)
            head.bare = True
            self._response = None
            return head
        if response is None:
            return None
        self._response = response
        status = response.status
        if response.warnings:
            for warning in response.warnings:
                self.client.logError("warn", warning, action=_READING)
        if status == 101:
            response.upgrade = self.isAskedToSwitch and maySwitch(
                self.client, response.protocols
            )
        if self._headOnly or status == 204 or status == 304:
            response.noBody = True
        return response

    @property
    def isAskedToSwitch(self) -> bool:
        """
        Was the server sent an Upgrade?
        """
        upgrade = self.options.upgrade
        return upgrade is not None and bool(upgrade(self.client))

    def inputFilterInit(self, head: ResponseHead) -> IInputFilter:
        """
        The decoder for what the head said of the body.
        """
        response = self._response
        if response is None:
            return UntilClose()
        self.reusable = not response.close and response.status != 101
        if head.noBody:
            return Length(0)
        if response.chunked:
            limit = self.options.bufferSize if self.options.passTrailers else None
            body = self._body = Chunked(trailerLimit=limit)
            self.excessMessage = "upstream sent data after final chunk"
            return body
        length = head.contentLength
        if length is None:
            self.reusable = False
            return UntilClose()
        return Length(length)

    def finalizeRequest(self, status: int) -> None:
        """
        Trailers follow the body.
        """
        body = self._body
        if body is not None and body.trailers:
            client = self.client
            client.upstreamTrailers = body.trailers
            client.trailers = self.options.hide(b"", body.trailers)

    @property
    def rewriteRedirect(self) -> Callable[[bytes], bytes | None] | None:  # type: ignore[override]
        """
        C{proxy_redirect}.
        """
        redirect = self.options.redirect
        return None if redirect is None else redirect(self.client)

    @property
    def rewriteCookie(self) -> Callable[[bytes], bytes | None] | None:  # type: ignore[override]
        """
        C{proxy_cookie_domain}, C{proxy_cookie_path}, C{proxy_cookie_flags}.
        """
        cookies = self.options.cookies
        return None if cookies is None else cookies(self.client)


_READING = "reading response header from upstream"


def chunks(data: bytes, last: bool) -> bytes:
    """
    Frame a part of a body.
    """
    framed = encodeChunk(data)
    return framed + b"0\r\n\r\n" if last else framed


@implementer(IDialect)
class ProxyDialect(Dialect):
    """
    HTTP.
    """

    def __init__(self) -> None:
        super().__init__("proxy", ProxyExchange, ProxyOptions)
        self.moreOptions = (RedirectOptions, CookieOptions, UpstreamTLSOptions)

    def authority(self, text: bytes) -> tuple[bytes, int]:
        """
        Host and port of a constant C{proxy_pass}.
        """
        target = Target(text)
        return target.authority, target.usualPort

    def mayBeSecure(self, text: str) -> bool | None:
        """
        C{https}, or whatever variables say.
        """
        if text[:8].lower() == "https://":
            return True
        return None if text.startswith("$") or text[:5].lower() == "http$" else False

    def exchangeFactory(self, block: Block, build: Any) -> Callable[[Any], Any]:
        """
        Bind one location.
        """
        return partial(ProxyExchange, ProxyPass(block, self.name, build))

    def variables(self) -> dict[str, Callable[[Any], bytes | None]]:
        """
        C{$proxy_host} and C{$proxy_port}.
        """

        def part(name: str) -> Callable[[Any], bytes | None]:
            def get(request: Any) -> bytes | None:
                target = getattr(request.exchange, "target", None)
                if target is None:
                    return None
                value: bytes = getattr(target, name)
                return value

            return get

        return {"proxy_host": part("host"), "proxy_port": part("port")}


proxy = ProxyDialect()
