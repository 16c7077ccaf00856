"""
A group as an HTTP client: L{IAgent}, with everything that passing a client's request to
a group has.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgent
from zope.interface import implementer

from ..config.directive import Where, bind
from ..config.nodes import ConfigError, Node
from ..dialects.proxy import ProxyExchange, ProxyPass, chunks
from ..upstream.options import PassOptions
from ..upstream.tls_options import UpstreamTLSOptions
from ..wire.response1 import InvalidHead
from .arguments import ArgumentError, naming, optionNodes
from .asking import AgentRequest
from .bodies import ProducedBody
from .errors import UpstreamClosed
from .response import ClientRequest

if TYPE_CHECKING:
    from twisted.web.http_headers import Headers
    from twisted.web.iweb import IBodyProducer, IResponse

    from ..upstream.passing import Passing
    from ..wire.head import ResponseHead
    from .upstream import Upstream

_PREFIX = "proxy_"
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
#: Bodies up to so many bytes are held, and can be sent again.
_HELD = 64 * 1024

_matchUri = re.compile(
    rb"(https?)://(?:[^/?#@\s]*@)?([^/?#@\x00-\x20\x7f-\xff]+)"
    rb"([^?#\x00-\x20\x7f-\xff]*)(?:\?([^#\x00-\x20\x7f-\xff]*))?"
    rb"(?:#[^\x00-\x20\x7f-\xff]*)?\Z",
    re.I,
).match
#: A URI of another scheme.
_isOther = re.compile(rb"(?!https?:)[a-z][a-z0-9+.-]*:[!-~]+\Z", re.I).match
_isMethod = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z").match
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
    One request of an agent to an HTTP server.

    @ivar isChunked: is the response's body in chunks?
    """

    client: AgentRequest
    rewriteRedirect = None
    rewriteCookie = None
    takesBody = True

    def __init__(self, options: ProxyPass, client: AgentRequest) -> None:
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


@implementer(IAgent)
class UpstreamAgent:
    """
    Asks the servers of a group, whatever host a URI names: that is what the request's
    Host says, and whom TLS has to prove.

    @ivar passing: the way to the group.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        key: Callable[[bytes, bytes, Headers | None], bytes] | None = None,
        **options: Any,
    ) -> None:
        """
        @param key: what methods that hash are to hash: takes method, URI and headers.
        @param options: C{proxy_*} of a configuration, in camelCase and without
            C{proxy_}: C{connectTimeout=2.0}, C{nextUpstream="error timeout http_503"},
            C{sslTrustedCertificate="ca.pem"}, ....
        @raise ArgumentError: an argument is wrong.
        @raise TypeError: there is no such argument.
        """
        self.upstream = upstream
        composition = upstream.composition
        self.errorLog = composition.errorLog
        self._key = key
        if key is not None and not callable(key):
            raise ArgumentError(f"key: cannot be called: {key!r}")
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
            tls = self._tls = build.tlsLike(block, "proxy")
            if any(name.startswith("ssl") for name in options):
                tls.get()
            passOptions = replace(
                block.of(PassOptions, "proxy"), hidden=(), maxTempFileSize=0
            )
            local = passOptions.bind
            self.passing: Passing = build.passingAside(
                upstream.group,
                lambda client: AgentExchange(bound, client),
                passOptions,
                bind=None if local is None else build.compile(local, block.node),
                tls=tls,
            )

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        Ask.

        @return: fails with L{RequestFailed
            <twisted_upstream.embed.asking.RequestFailed>}, which lists all attempts;
            to cancel it frees the server at once.
        @raise ValueError: method or URI cannot be sent.
        """
        if not isinstance(method, bytes) or _isMethod(method) is None:
            raise ArgumentError(f"method: cannot be {method!r}")
        match = _matchUri(uri) if isinstance(uri, bytes) else None
        if match is None:
            if isinstance(uri, bytes) and _isOther(uri):
                return fail(SchemeNotSupported(f"Unsupported scheme: {uri!r}"))
            raise ArgumentError(f"uri: cannot be {uri!r}")
        if self.upstream.isClosed:
            return fail(UpstreamClosed(self.upstream.name))
        scheme, host, path, args = match.groups(b"")
        path = path or b"/"
        asked = ClientRequest(method, uri, headers)
        asking = AgentRequest(
            self,
            asked,
            len(scheme) == 5,
            unquote_to_bytes(path) if b"%" in path else path,
            args,
            host,
            _fieldsOf(host, headers),
            None,
        )
        asking.target = asking.head.path = path + b"?" + args if args else path
        if self._key is not None:
            asking.key = self._key(method, uri, headers)
        result = asking.result
        assert result is not None
        if bodyProducer is None:
            self._begin(asking)
            return result
        body = asking.body = ProducedBody(bodyProducer, asking.bodyFailed)
        if body.length is not None and body.length <= _HELD:
            body.collect(lambda: self._begin(asking))
        else:
            self._begin(asking)
        return result

    def _begin(self, asking: AgentRequest) -> None:
        if asking.result is None:
            return
        if asking.isSecure:
            try:
                self._tls.get()
            except ConfigError as e:
                asking.end(Failure(e))
                return
        self.passing.begin(asking)


def _fieldsOf(host: bytes, headers: Headers | None) -> bytes:
    """
    The block of fields of a request.
    """
    if headers is None:
        return b"\r\nHost: " + host
    parts = []
    for name, values in headers.getAllRawHeaders():
        lower = name.lower()
        if lower in _OWN:
            if lower == b"host" and values:
                host = values[-1]
            continue
        for value in values:
            parts.append(b"\r\n%b: %b" % (name, value))
    return b"\r\nHost: " + host + b"".join(parts)


def _systemCertificates() -> str:
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.openssl_cafile
