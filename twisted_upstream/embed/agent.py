"""
A group as an HTTP client: C{IAgent}, with everything that passing a client's request to
a group has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from twisted.web.error import SchemeNotSupported
from twisted.web.iweb import IAgent
from zope.interface import implementer

from .arguments import ArgumentError
from .asking import AgentRequest
from .bodies import ProducedBody
from .errors import UpstreamClosed
from .passing import Way, fieldsOf
from .response import ClientRequest

if TYPE_CHECKING:
    from twisted.web.http_headers import Headers
    from twisted.web.iweb import IBodyProducer, IResponse

    from .upstream import Upstream

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
        self.errorLog = upstream.composition.errorLog
        self._key = key
        if key is not None and not callable(key):
            raise ArgumentError(f"key: cannot be called: {key!r}")
        self._way = Way(upstream, options)
        self.passing = self._way.passing

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
        key = None if self._key is None else self._key(method, uri, headers)
        asked = ClientRequest(method, uri, headers)
        asking = AgentRequest(
            self,
            asked,
            len(scheme) == 5,
            unquote_to_bytes(path) if b"%" in path else path,
            args,
            host,
            fieldsOf(host, headers),
            None,
        )
        asking.target = asking.head.path = path + b"?" + args if args else path
        asking.key = key
        result = asking.result
        assert result is not None
        try:
            if bodyProducer is None:
                self._begin(asking)
                return result
            body = asking.body = ProducedBody(bodyProducer, asking.bodyFailed)
            if body.length is not None and body.length <= _HELD:
                body.collect(lambda: self._begin(asking))
            else:
                self._begin(asking)
        # Whatever a producer raises.
        except Exception:
            asking.end(Failure())
        return result

    def _begin(self, asking: AgentRequest) -> None:
        if asking.result is None:
            return
        try:
            self._way.begin(asking)
        # Whatever a balancer raises.
        except Exception:
            asking.end(Failure())
