"""
C{sticky}: a client's requests go to the server that its first one went to.

C{cookie} tells the client which one, C{route} is told by the client, C{learn} remembers
what servers give their clients as sessions.

nginx: C{ngx_http_upstream_sticky()}, C{ngx_http_upstream_sticky_get_peer()},
C{ngx_http_upstream_sticky_cookie_insert()}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from zope.interface import implementer

from ..config.values import parseTemplate, parseTime
from ..interfaces import (
    IBalancer,
    IBalancerLine,
    IClient,
    IHTTPClient,
    IPeerGetter,
    IPeerInit,
)
from ..wire.dates import formatCookieDate
from .layers import Layer, LayerGetter
from .peer import Peer
from .sticky_learn import StickyLearn, Value, firstOf, learnLayer

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from ..wire.head import ResponseHead

#: How long C{expires=max} is; nobody counts the seconds, browsers have a limit.
_FOREVER = 2145916555
_EXPIRES_MAX = b"; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000"

_VALUED = ("domain", "path", "expires", "samesite")
_FLAGS = ("httponly", "secure")
_SAME_SITES = (b"strict", b"lax", b"none")


class Cookie:
    """
    The Set-Cookie fields of one group.
    """

    __slots__ = (
        "_domain",
        "_expires",
        "_flags",
        "_path",
        "_sameSite",
        "_start",
        "_now",
    )

    def __init__(
        self,
        name: bytes,
        *,
        now: Callable[[], float],
        expires: int | None = None,
        domain: Value | None = None,
        flags: bytes = b"",
        sameSite: Value | None = None,
        path: bytes = b"",
    ) -> None:
        """
        @param now: seconds since 1970.
        @param expires: seconds until the client forgets it; C{None}: not said.
        @param flags: C{b"; httponly; secure"}.
        @param path: C{b"; path=/"}.
        """
        self._start = b"\r\nSet-Cookie: %b=" % name
        self._now = now
        self._expires = expires
        self._domain = domain
        self._flags = flags
        self._sameSite = sameSite
        self._path = path

    def field(self, sid: bytes, client: IClient) -> bytes:
        """
        The field for one peer, with the CRLF before it.
        """
        text = self._start + sid
        expires = self._expires
        if expires is not None:
            if expires == _FOREVER:
                text += _EXPIRES_MAX
            else:
                date = formatCookieDate(int(self._now()) + expires)
                text += b"; expires=%b; max-age=%d" % (date, expires)
        if self._domain is not None:
            domain = self._domain(client)
            if domain:
                text += b"; domain=" + domain
        text += self._flags
        if self._sameSite is not None:
            sameSite = self._sameSite(client)
            if sameSite:
                if sameSite.lower() not in _SAME_SITES:
                    sameSite = b"strict"
                text += b"; samesite=" + sameSite
        return text + self._path


class CookieGetter(LayerGetter):
    """
    Tells the client whom it was sent to.
    """

    __slots__ = ("_client", "_cookie", "_field", "_teller")

    def __init__(self, inner: IPeerGetter, client: IHTTPClient, cookie: Cookie) -> None:
        super().__init__(inner)
        self._client = client
        self._cookie = cookie
        self._field = b""
        # Who began the request and tells the client, if that was another one.
        self._teller: CookieGetter | None = None

    def follow(self, earlier: IPeerGetter) -> None:
        """
        The client gets one cookie.
        """
        super().follow(earlier)
        if isinstance(earlier, CookieGetter):
            self._teller = earlier._teller or earlier

    def getPeer(self) -> Peer | None | Deferred[Peer | None]:
        """
        Choose a peer.
        """
        peer = self.inner.getPeer()
        if peer is None or isinstance(peer, Peer):
            return self._chosen(peer)
        return peer.addCallback(self._chosen)

    def _chosen(self, peer: Peer | None) -> Peer | None:
        if peer is not None:
            teller = self._teller or self
            if not teller._field:
                self._client.addEdit(teller._edit)
            teller._field = self._cookie.field(peer.sid, self._client)
        return peer

    def _edit(self, head: ResponseHead) -> None:
        head.fields = self._field + head.fields


class StickyCookie(Layer):
    """
    C{sticky cookie}: the client keeps the C{sid} of its server.
    """

    __slots__ = ("_cookie", "_lookUp")

    def __init__(self, inner: IPeerInit, cookie: Cookie, lookUp: Value) -> None:
        """
        @param lookUp: the value of the client's cookie.
        """
        super().__init__(inner)
        self._cookie = cookie
        self._lookUp = lookUp

    def initPeer(self, client: IClient) -> CookieGetter:
        """
        Begin one request.
        """
        getter = self.inner.initPeer(client)
        sid = self._lookUp(client)
        if sid:
            getter.hint = sid
        return CookieGetter(getter, cast(IHTTPClient, client), self._cookie)


class StickyRoute(Layer):
    """
    C{sticky route}: something in the request is the C{sid} of its server.
    """

    __slots__ = ("_lookUps",)

    def __init__(self, inner: IPeerInit, lookUps: Sequence[Value]) -> None:
        """
        @param lookUps: the first that is not empty counts.
        """
        super().__init__(inner)
        self._lookUps = tuple(lookUps)

    def initPeer(self, client: IClient) -> IPeerGetter:
        """
        Begin one request.
        """
        getter = self.inner.initPeer(client)
        sid = firstOf(self._lookUps, client)
        if sid:
            getter.hint = sid
        return getter


def _cookieLayer(
    line: IBalancerLine, arguments: Sequence[str], inner: IPeerInit
) -> IPeerInit:
    """
    nginx: C{ngx_http_upstream_sticky_cookie()}
    """
    name, *words = arguments
    if not name:
        raise line.error('"sticky" directive empty cookie name')
    values: dict[str, str] = {}
    for word in words:
        key, given, value = word.partition("=")
        if key not in (_VALUED if given else _FLAGS):
            raise line.error(f'unknown parameter "{word}"')
        if key in values:
            raise line.error(f'"sticky" directive parameter "{key}" is duplicate')
        if key in ("domain", "path") and not value:
            raise line.error(f'"sticky" directive no value for "{key}"')
        values[key] = value
    flags = [b"; " + _encode(flag) for flag in _FLAGS if flag in values]
    cookie = Cookie(
        _encode(name),
        now=line.wallClock,
        expires=_expires(line, values.get("expires")),
        domain=line.compile(values["domain"]) if "domain" in values else None,
        flags=b"".join(flags),
        sameSite=_sameSite(line, values.get("samesite")),
        path=b"; path=" + _encode(values["path"]) if "path" in values else b"",
    )
    return StickyCookie(inner, cookie, line.variable(f"cookie_{name}"))


def _expires(line: IBalancerLine, word: str | None) -> int | None:
    if word is None:
        return None
    if word == "max":
        return _FOREVER
    try:
        seconds = int(parseTime(word, milliseconds=False))
        # Dates have an end.
        formatCookieDate(int(line.wallClock()) + seconds)
    except (ValueError, OverflowError, OSError):
        raise line.error(
            '"sticky" directive invalid "expires" parameter value'
        ) from None
    return seconds


def _sameSite(line: IBalancerLine, word: str | None) -> Value | None:
    if word is None:
        return None
    value = line.compile(word)
    constant = parseTemplate(word).constant
    if constant is not None and constant.lower() not in _SAME_SITES:
        raise line.error('"sticky" directive invalid "samesite" parameter value')
    return value


def _routeLayer(
    line: IBalancerLine, arguments: Sequence[str], inner: IPeerInit
) -> IPeerInit:
    lookUps = []
    for word in arguments:
        if not word.startswith("$"):
            raise line.error(f'invalid variable name "{word}"')
        lookUps.append(line.variable(word[1:]))
    return StickyRoute(inner, lookUps)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_METHODS: Mapping[
    str, Callable[[IBalancerLine, Sequence[str], IPeerInit], IPeerInit]
] = {
    "cookie": _cookieLayer,
    "route": _routeLayer,
    "learn": learnLayer,
}


@implementer(IBalancer)
class _StickyDirective:
    """
    C{sticky cookie|route|learn …;}
    """

    layer = 1
    backup = True

    def __init__(self, directive: str, *implied: str) -> None:
        """
        @param implied: words that C{directive} means, but does not say.
        """
        self.directive = directive
        self._implied = implied

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Wrap the balancer of one group.

        @raise ConfigError: the arguments are others than these.
        """
        assert inner is not None
        if line.place != "http":
            raise line.error(f'"{self.directive}" directive is not allowed here')
        around: object = inner
        if isinstance(around, (StickyCookie, StickyRoute, StickyLearn)):
            raise line.error(f'"{self.directive}" directive is duplicate')
        arguments = (*self._implied, *line.arguments)
        if len(arguments) < 2:
            raise line.error(
                f'invalid number of arguments in "{self.directive}" directive'
            )
        method = _METHODS.get(arguments[0])
        if method is None:
            raise line.error(f'unknown parameter "{arguments[0]}"')
        return method(line, arguments[1:], inner)


sticky = _StickyDirective("sticky")
#: What NGINX Plus called it in the beginning.
stickyCookieInsert = _StickyDirective("sticky_cookie_insert", "cookie")
