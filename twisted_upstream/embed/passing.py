"""
The way from a program to a group: options of a C{*_pass}, from arguments; and the
exchange of requests that the program has made.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.python.failure import Failure

from ..config.directive import Where, bind
from ..config.nodes import ConfigError, Node
from ..dialects.proxy import ProxyExchange, ProxyPass, chunks
from ..upstream.options import PassOptions
from ..upstream.tls_options import UpstreamTLSOptions
from ..wire.response1 import InvalidHead
from .arguments import naming, optionNodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.web.http_headers import Headers

    from ..upstream.passing import Passing
    from ..wire.head import ResponseHead
    from .upstream import Upstream

_PREFIX = "proxy_"

#: Names and values of a block of fields.
findFields = re.compile(rb"\r\n([^:]*): ?([^\r]*)").findall
#: The directives that make sense here, and everything of TLS.
_OPTIONS = (
    "connect_timeout",
    "send_timeout",
    "read_timeout",
    "buffer_size",
    "buffers",
    "next_upstream",
    "next_upstream_tries",
    "next_upstream_timeout",
    "bind",
    "socket_keepalive",
    "socket_rcvbuf",
    "socket_sndbuf",
    *(
        each.name.removeprefix(_PREFIX)
        for each in bind(UpstreamTLSOptions, _PREFIX.rstrip("_"))
    ),
)
#: Other than a proxy, who asks for itself wants to know whom it talks to; and gets
#: bigger heads than nginx allows.
_DEFAULTS: dict[str, Any] = {
    "bufferSize": "16k",
    "buffers": "8 16k",
    "sslVerify": True,
    "sslVerifyNames": "strict",
    "sslVerifyDepth": 9,
    "sslServerName": True,
}


#: Fields that are made here, or are for one connection only.
_OWN = frozenset(
    (
        b"host",
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"upgrade",
    )
)


class AgentExchange(ProxyExchange):
    """
    One request of a program to an HTTP server.

    @ivar isChunked: is the response's body in chunks?
    """

    client: Any
    rewriteRedirect = None
    rewriteCookie = None
    takesBody = True

    def __init__(self, options: ProxyPass, client: Any) -> None:
        self.options = options
        self.client = client
        self.target = None
        self.uri = client.target
        if client.isSecure:
            self.secure = True
            self.scheme = b"https://"
            self.secureName = client.host or b""

    @property
    def mayStream(self) -> bool:  # type: ignore[override]
        """
        All bodies.
        """
        return True

    @property
    def isAskedToSwitch(self) -> bool:
        """
        What the program asks for is sent.
        """
        return True

    @property
    def isChunked(self) -> bool:
        """
        Does the response say where its body ends?
        """
        return self._response is not None and self._response.chunked

    def processHeader(self, data: bytes) -> ResponseHead | None:
        """
        Parse the status line and the fields.  There has to be a status line.
        """
        head = super().processHeader(data)
        if head is not None and head.bare:
            raise InvalidHead("upstream sent no valid HTTP/1.0 header")
        return head

    def createRequest(self) -> bytes:
        """
        The head.
        """
        client = self.client
        method = client.method
        self._headOnly = method == b"HEAD"
        fields = client.head.fields
        body = client.body
        if body is not None:
            if body.complete or body.length is not None:
                fields += b"\r\nContent-Length: %d" % body.size
            else:
                self.bodyFilter = chunks
                fields += b"\r\nTransfer-Encoding: chunked"
        elif method in (b"POST", b"PUT", b"PATCH"):
            fields += b"\r\nContent-Length: 0"
        return b"%b %b HTTP/1.1%b\r\n\r\n" % (method, client.target, fields)


class Way:
    """
    A program's way to a group.

    @ivar passing: which it is for the driver.
    """

    def __init__(self, upstream: Upstream, options: Mapping[str, Any]) -> None:
        """
        @param options: C{proxy_*} of a configuration, in camelCase and without
            C{proxy_}.
        @raise ArgumentError: one is wrong.
        @raise TypeError: there is no such option.
        """
        composition = upstream.composition
        values = {**_DEFAULTS, **options}
        if values["sslVerify"] and "sslTrustedCertificate" not in values:
            values["sslTrustedCertificate"] = _systemCertificates()
        nodes = optionNodes(
            composition.grammar, Where.LOCATION, _OPTIONS, values, _PREFIX
        )
        target = Node("proxy_pass", ("http://upstream",), path="upstream")
        with naming():
            block = composition.location([target, *nodes])
            build = composition.build
            bound = ProxyPass(block, "proxy", build)
            self._tls = build.tlsLike(block, "proxy")
            if any(name.startswith("ssl") for name in options):
                self._tls.get()
            passOptions = replace(
                block.of(PassOptions, "proxy"), hidden=(), maxTempFileSize=0
            )
            local = passOptions.bind
            self.passing: Passing = build.passingAside(
                upstream.group,
                lambda client: AgentExchange(bound, client),
                passOptions,
                bind=None if local is None else build.compile(local, block.node),
                tls=self._tls,
            )

    def begin(self, asker: Any) -> None:
        """
        Pass on what C{asker} wants; if that has to be secure and cannot, it is ended
        (C{end}).
        """
        if asker.isSecure:
            try:
                # Who wants no TLS needs no certificates either.
                self._tls.get()
            except ConfigError as e:
                asker.end(Failure(e))
                return
        self.passing.begin(asker)


def _systemCertificates() -> str:
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.openssl_cafile


def fieldsOf(host: bytes | None, headers: Headers | None) -> bytes:
    """
    The block of fields of a request.

    @param host: where C{headers} do not say it.
    """
    parts = []
    for name, values in () if headers is None else headers.getAllRawHeaders():
        lower = name.lower()
        if lower in _OWN:
            if lower == b"host" and values:
                host = values[-1]
        else:
            for value in values:
                parts.append(b"\r\n%b: %b" % (name, value))
    return b"\r\nHost: " + (host or b"") + b"".join(parts)
