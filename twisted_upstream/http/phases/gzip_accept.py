"""
Which requests may get compressed responses: C{gzip_http_version}, C{gzip_proxied},
C{gzip_disable}; and what caches are told of that: C{gzip_vary}.

nginx: C{ngx_http_gzip_ok()}, C{ngx_http_gzip_accept_encoding()}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...config.directive import HTTP_ANY, directive, flag, oneOf
from ...config.regex import compileRegex
from ...wire.dates import parseDate
from ...wire.fields import firstValue
from ..browsers import isMSIE6

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ...wire.head import ResponseHead

#: Takes a request and the head of its response: may that be compressed?
Accepts = Callable[[Any, "ResponseHead"], bool]

_PROXIED = (
    "off",
    "expired",
    "no-cache",
    "no-store",
    "private",
    "no_last_modified",
    "no_etag",
    "auth",
    "any",
)


def _proxied(node: Node) -> tuple[str, ...]:
    found: list[str] = []
    for at, word in enumerate(node.words):
        if word not in _PROXIED:
            raise node.error(f'invalid value "{word}"', word=at)
        if word in found:
            node.warning(f'duplicate value "{word}"')
        found.append(word)
    return tuple(found)


def _disable(node: Node) -> tuple[re.Pattern[bytes] | None, ...]:
    """
    @return: C{None} stands for C{msie6}.
    """
    return tuple(
        None if word == "msie6" else compileRegex(word, node, True)
        for word in node.words
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class GzipAcceptOptions:
    """
    Who gets compressed responses.
    """

    vary: bool = directive(
        "gzip_vary",
        HTTP_ANY,
        flag,
        default=False,
        doc="Say Vary: Accept-Encoding with responses that are compressed for some.",
    )
    httpVersion: str = directive(
        "gzip_http_version",
        HTTP_ANY,
        oneOf("1.0", "1.1"),
        default="1.1",
        doc="The lowest version of requests whose responses are compressed.",
    )
    proxied: tuple[str, ...] = directive(
        "gzip_proxied",
        HTTP_ANY,
        _proxied,
        arity=(1, None),
        default=("off",),
        type=" | ".join(_PROXIED) + " ...",
        doc="Which responses are compressed for requests that came through a proxy"
        " (Via).",
    )
    disable: tuple[tuple[re.Pattern[bytes] | None, ...], ...] = directive(
        "gzip_disable",
        HTTP_ANY,
        _disable,
        arity=(1, None),
        default=(),
        repeat=True,
        type="regex ...",
        doc="Browsers (User-Agent) that get nothing compressed; msie6 stands for the"
        " old ones of that name.",
    )


_GZIP = re.compile(rb"(?:^|[, ])gzip", re.I)
# A quality has up to three digits, and not all of them are 0.
_QUALITY = re.compile(
    rb" *(?:\Z|,|; *(?:\Z|q="
    rb"(?:1(?:\.0{0,3})?|0\.(?!0*(?:[, ]|\Z))\d{1,3})(?:[, ]|\Z)))",
    re.I,
)


@lru_cache(maxsize=256)
def acceptsGzip(value: bytes) -> bool:
    """
    Does an Accept-Encoding say so?  C{*} does not.
    """
    found = _GZIP.search(value)
    return found is not None and _QUALITY.match(value, found.end()) is not None


def compileAccepts(block: Block, build: Any) -> Accepts:
    """
    Compile who gets compressed responses in one place.

    @param build: the composition at hand: C{seconds()}, the current time in seconds
        since 1970.
    """
    options = block.of(GzipAcceptOptions)
    lowest = 10 if options.httpVersion == "1.0" else 11
    patterns = [each for line in options.disable for each in line]
    msie6 = None in patterns
    disabled = [each for each in patterns if each is not None]
    proxied = _compileProxied(frozenset(options.proxied), build.seconds)

    def accepts(request: Any, head: ResponseHead) -> bool:
        fields = request.head.fields
        value = firstValue(fields, b"accept-encoding")
        if value is None or not acceptsGzip(value) or request.version < lowest:
            return False
        if request.isSubrequest:
            return False
        if patterns:
            agent = firstValue(fields, b"user-agent")
            if agent is not None and (
                (msie6 and isMSIE6(agent))
                or any(each.search(agent) for each in disabled)
            ):
                return False
        return firstValue(fields, b"via") is None or proxied(request, head)

    return accepts


def _compileProxied(words: frozenset[str], seconds: Callable[[], float]) -> Accepts:
    """
    Responses to proxies.
    """
    if "off" in words or "any" in words:
        always = "off" not in words
        return lambda request, head: always
    control = [word for word in ("no-cache", "no-store", "private") if word in words]
    wanted = re.compile(
        rb"\r\ncache-control: (?:[^\r]*[;,])? *(?:%b) *(?=[,\r]|\Z)"
        % ("|".join(control).encode() or rb"(?!)"),
        re.I,
    )

    def accepts(request: Any, head: ResponseHead) -> bool:
        if "auth" in words and firstValue(request.head.fields, b"authorization"):
            return True
        fields = head.fields
        expires = firstValue(fields, b"expires")
        if expires is not None:
            if "expired" not in words:
                return False
            moment = parseDate(expires)
            now = seconds() if not head.date else parseDate(head.date)
            return moment is not None and now is not None and moment < int(now)
        if firstValue(fields, b"cache-control") is not None:
            return wanted.search(fields) is not None
        if "no_last_modified" in words and firstValue(fields, b"last-modified"):
            return False
        return "no_etag" not in words or firstValue(fields, b"etag") is None

    return accepts


_VARY = b"\r\nVary: Accept-Encoding"


def addVary(head: ResponseHead) -> None:
    """
    Tell caches that the response depends on what its client accepts.
    """
    if not head.fields.startswith(_VARY):
        head.fields = _VARY + head.fields


_RANGES = re.compile(rb"\r\naccept-ranges:[^\r]*", re.I)
_ETAG = re.compile(rb'(\r\netag: *)(?=")', re.I)
_NO_ETAG = re.compile(rb'\r\netag: *(?![ "]|W/)[^\r]*', re.I)


def editChanged(head: ResponseHead) -> None:
    """
    The body will be another one: its length is not known, there are no parts of it, and
    the ETag is a weak one.
    """
    head.contentLength = None
    fields = _ETAG.sub(rb"\1W/", _RANGES.sub(b"", head.fields))
    head.fields = _NO_ETAG.sub(b"", fields)
