"""
What applies to some URIs: a location as it serves, with all options bound.

nginx: C{ngx_http_core_loc_conf_t}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..upstream import fields
from ..wire.uri import escapeUri

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.regex import Matcher
    from ..logs.error_log import ErrorLog
    from ..wire.head import ResponseHead
    from .filters import Filters
    from .options import LocationOptions
    from .phases.headers import Trailers
    from .request import Request

#: URIs whose locations are remembered; then all are forgotten.
_MOST_REMEMBERED = 1024

_RATES = {b"k": 1024, b"m": 1024 * 1024}


def parseRate(text: bytes) -> int | None:
    """
    Bytes of a rate or size with C{k} or C{m}; C{None} for nonsense.
    """
    unit = _RATES.get(text[-1:].lower(), 1)
    digits = text if unit == 1 else text[:-1]
    return int(digits) * unit if digits.isdigit() else None


class Location:
    """
    One location, or the part of a server outside of all, or the inside of an C{if}.

    @ivar name: as written, without modifier.
    @ivar content: answers the request in the end.
    @ivar phases: asked before; one that answers C{True} has taken the request over.
    @ivar editHead: edits the heads of responses, or C{None}.
    @ivar filters: change the bodies of responses, or C{None}.
    @ivar errorPages: answers with an error: takes request and status.
    @ivar errorPageStatuses: statuses that have an error page of the configuration.
    @ivar accessLogs: told of each request in the end.
    """

    content: Callable[[Any], None]
    errorPages: Callable[[Any, int], None]
    errorLog: ErrorLog
    documentRoot: Callable[[Any], bytes]
    filename: Callable[[Any], bytes]
    phases: Sequence[Callable[[Any], bool]] = ()
    limitExcept: Callable[[bytes], Any] | None = None
    editHead: Callable[[Any, ResponseHead], None] | None = None
    filters: Filters | None = None
    trailers: Trailers | None = None
    errorPageStatuses: frozenset[int] = frozenset()
    accessLogs: Sequence[Callable[[Any], None]] = ()
    resolver: Any = None
    earlyHints: Callable[[Any], bool] | None = None
    internal = False
    server: bytes = b""
    autoRedirect = False
    disablesKeepalive: Callable[[Any], bool] | None = None
    #: Is there more to disable than after C{POST}?
    disablesAlways = False

    def __init__(self, block: Block, name: str, options: LocationOptions) -> None:
        self.block = block
        self.name = name
        self.nameBytes = name.encode("utf-8", "surrogateescape")
        self.escapedName = escapeUri(self.nameBytes)
        self.subrequestBuffer = options.subrequestOutputBufferSize
        self.maxBodySize = options.maxBodySize
        self.bodyBufferSize = options.bodyBufferSize
        self.bodyTimeout = options.bodyTimeout
        self.bodyTempPath: str | None = None
        self.bodyInFileOnly = options.bodyInFileOnly != "off"
        self.keepsBodyFile = options.bodyInFileOnly == "on"
        self.sendTimeout = options.sendTimeout
        self.keepaliveTimeout, announced = options.keepaliveTimeout
        self.keepaliveHeader = b"\r\nKeep-Alive: timeout=%d" % announced
        if not announced:
            self.keepaliveHeader = b""
        self.keepaliveRequests = options.keepaliveRequests
        self.keepaliveTime = options.keepaliveTime
        self.linger = options.lingeringClose
        self.lingeringTime = options.lingeringTime
        self.lingeringTimeout = options.lingeringTimeout
        self.absoluteRedirect = options.absoluteRedirect
        self.serverNameInRedirect = options.serverNameInRedirect
        self.portInRedirect = options.portInRedirect
        self.chunkedTransferEncoding = options.chunkedTransferEncoding
        self.resetTimedOut = options.resetTimedOut
        self.limitsRate: Callable[[Any], bytes] | None = None
        self.limitsRateAfter: Callable[[Any], bytes] | None = None
        self.hideInterim = fields.hider((), ())

    def pace(self, request: Any) -> tuple[int, int]:
        """
        How fast C{request} gets its response: bytes per second (0: at once), and bytes
        before that counts.
        """
        rate: int | None = request.limitRate
        if rate is None:
            rate = self.ownRate(request)
        after = 0
        if self.limitsRateAfter is not None:
            after = parseRate(self.limitsRateAfter(request)) or 0
        return rate, after

    def ownRate(self, request: Any) -> int:
        """
        C{limit_rate}, in bytes per second.
        """
        if self.limitsRate is None:
            return 0
        return parseRate(self.limitsRate(request)) or 0

    def origin(self, request: Any) -> bytes:
        """
        Scheme, host and port of redirects of our own.

        nginx: ngx_http_header_filter()
        """
        connection = request.connection
        if self.serverNameInRedirect:
            host: bytes = request.server.name.encode("utf-8", "surrogateescape")
        elif request.host is not None:
            host = request.host
        else:
            host = connection.hostText
        port = connection.hostPort
        scheme, usual = (b"https://", 443) if request.isSecure else (b"http://", 80)
        if self.portInRedirect and port not in (0, usual):
            return b"%b%b:%d" % (scheme, host, port)
        return scheme + host


class Locations:
    """
    The locations of one level: a server's, or those nested in one.

    nginx: C{ngx_http_core_find_location()}, C{ngx_http_core_find_static_location()}
    """

    def __init__(self) -> None:
        self._exact: dict[bytes, Location] = {}
        self._prefixes: dict[bytes, tuple[Location, bool]] = {}
        self._regexes: list[tuple[Matcher, Location]] = []
        self._redirects: dict[bytes, Location] = {}
        self._inner: dict[Location, Locations] = {}
        self._lengths: tuple[int, ...] = ()
        #: Locations found before, where they depend on nothing but the URI.
        self._memo: dict[bytes, Location | None] | None = None

    def addExact(self, location: Location) -> bool:
        """
        C{location = /name}.

        @return: C{False}: there is one of that name.
        """
        name = location.nameBytes
        if name in self._exact:
            return False
        self._exact[name] = location
        return True

    def addPrefix(self, location: Location, noRegex: bool) -> bool:
        """
        C{location /name}, or with C{noRegex} C{location ^~ /name}.

        @return: C{False}: there is one of that name.
        """
        name = location.nameBytes
        if name in self._prefixes:
            return False
        self._prefixes[name] = (location, noRegex)
        lengths = {len(prefix) for prefix in self._prefixes}
        self._lengths = tuple(sorted(lengths, reverse=True))
        return True

    def addRegex(self, matches: Matcher, location: Location) -> None:
        """
        C{location ~ expression}.
        """
        self._regexes.append((matches, location))

    def addInner(self, location: Location, inner: Locations) -> None:
        """
        The locations nested in C{location}.
        """
        self._inner[location] = inner

    def bind(self) -> None:
        """
        All were added: note the names that lack nothing but their last slash.
        """
        for name, (location, _) in self._prefixes.items():
            if location.autoRedirect and name[-1:] == b"/":
                self._redirects[name[:-1]] = location
        if not self.hasRegexes:
            self._memo = {}
        for name, location in self._exact.items():
            if location.autoRedirect and name[-1:] == b"/":
                self._redirects[name[:-1]] = location

    def find(self, uri: bytes, request: Any) -> Location | None:
        """
        The location of C{uri}; C{None}: what is around this level counts.
        """
        memo = self._memo
        if memo is None:
            return self._find(uri, request)[0]
        if uri in memo:
            return memo[uri]
        location = self._find(uri, request)[0]
        if len(memo) >= _MOST_REMEMBERED:
            memo.clear()
        memo[uri] = location
        return location

    @property
    def hasRegexes(self) -> bool:
        """
        Is there an expression on this level, or on one nested in it?
        """
        return bool(self._regexes) or any(
            inner.hasRegexes for inner in self._inner.values()
        )

    def _find(self, uri: bytes, request: Any) -> tuple[Location | None, bool]:
        """
        @return: the location, and whether the search ends with it: neither a longer
            prefix nor an expression further out can take its place.
        """
        exact = self._exact.get(uri)
        if exact is not None:
            return exact, True
        best: Location | None = None
        noRegex = False
        prefixes = self._prefixes
        size = len(uri)
        for length in self._lengths:
            if length <= size:
                found = prefixes.get(uri[:length])
                if found is not None:
                    best, noRegex = found
                    break
        if uri in self._redirects and (best is None or len(best.nameBytes) < size):
            return _Redirect(self._redirects[uri]), True
        if best is not None:
            inner = self._inner.get(best)
            if inner is not None:
                nested, ends = inner._find(uri, request)
                if ends:
                    return nested, True
                if nested is not None:
                    best = nested
        if self._regexes and not noRegex:
            for matches, location in self._regexes:
                if matches(request, uri):
                    inner = self._inner.get(location)
                    if inner is not None:
                        nested, _ = inner._find(uri, request)
                        if nested is not None:
                            return nested, True
                    return location, True
        return best, False


class _Redirect(Location):
    """
    Where a URI goes that lacks the slash at the end of a location's name.
    """

    def __init__(self, target: Location) -> None:
        self.__dict__.update(target.__dict__)
        self.phases = ()
        self.limitExcept = None
        self.internal = False
        self.maxBodySize = 0
        self.content = self._redirect
        self._target = target

    def _redirect(self, request: Request) -> None:
        request.redirectToDirectory(self._target)
