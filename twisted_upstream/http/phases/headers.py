"""
Fields added to responses: C{add_header}, C{add_trailer}, C{expires}.

nginx: ngx_http_headers_filter_module.c
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from time import localtime, mktime
from typing import TYPE_CHECKING, Any

from ...config.directive import HTTP_ANY, Where, directive, oneOf
from ...config.values import Template, parseTemplate, parseTime
from ...wire.dates import formatDate, parseDate

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ...wire.head import ResponseHead
    from ..request import Request

#: Responses that get what is not C{always}.
SAFE = frozenset((200, 201, 204, 206, 301, 302, 303, 304, 307, 308))

_DAY = 24 * 60 * 60
_EPOCH = b"Thu, 01 Jan 1970 00:00:01 GMT"
_MAX = b"Thu, 31 Dec 2037 23:55:55 GMT"

#: No calendar goes further.
_LONGEST = 1 << 40


@dataclass(frozen=True, slots=True)
class FieldLine:
    """
    One C{add_header} or C{add_trailer}.
    """

    name: str
    value: Template
    always: bool
    node: Node


def _field(node: Node) -> FieldLine:
    """
    nginx: ngx_http_headers_add()
    """
    if len(node.words) == 3 and node.words[2] != "always":
        raise node.error(f'invalid parameter "{node.words[2]}"', word=2)
    value = parseTemplate(node.words[1])
    return FieldLine(node.words[0], value, len(node.words) == 3, node)


@dataclass(frozen=True, slots=True)
class Expiry:
    """
    When a response expires.

    @ivar kind: C{access}, C{modified}, C{daily}, C{epoch}, C{max} or C{off}.
    @ivar seconds: after access or modification, or since midnight; may be negative.
    """

    kind: str
    seconds: int = 0


def parseExpiry(text: bytes, modified: bool) -> Expiry:
    """
    nginx: ngx_http_parse_expires()

    @raise ValueError: C{text} says no time.
    """
    if not modified and text in (b"epoch", b"max", b"off"):
        return Expiry(text.decode())
    kind = "modified" if modified else "access"
    sign = text[:1]
    if sign == b"@":
        if modified:
            raise ValueError('daily time cannot be used with "modified" parameter')
        kind = "daily"
    word = text[1:] if sign and sign in b"@+-" else text
    seconds = int(parseTime(word.decode("latin-1"), milliseconds=False))
    if seconds > _LONGEST:
        raise ValueError("invalid value")
    if kind == "daily" and seconds > _DAY:
        raise ValueError("daily time value must be less than 24 hours")
    return Expiry(kind, -seconds if sign == b"-" else seconds)


@dataclass(frozen=True, slots=True)
class ExpiresLine:
    """
    C{expires} as written.

    @ivar constant: what it always says; C{None} when that depends on the request.
    """

    modified: bool
    value: Template
    constant: Expiry | None
    node: Node


def _expires(node: Node) -> ExpiresLine:
    """
    nginx: ngx_http_headers_expires()
    """
    modified = len(node.words) == 2
    if modified and node.words[0] != "modified":
        raise ValueError("invalid value")
    value = parseTemplate(node.words[-1])
    constant = None
    if value.constant is not None:
        constant = parseExpiry(value.constant, modified)
    return ExpiresLine(modified, value, constant, node)


def _fieldsDirective(name: str, doc: str) -> Any:
    return directive(
        name,
        HTTP_ANY | Where.IF,
        _field,
        arity=(2, 3),
        default=(),
        repeat=True,
        inherit=False,
        type="name value [always]",
        doc=doc,
    )


def _inheritDirective(name: str, doc: str) -> Any:
    choices = oneOf("off", "on", "merge")
    return directive(name, HTTP_ANY | Where.IF, choices, default="on", doc=doc)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeaderOptions:
    """
    Fields added to responses.
    """

    headers: tuple[FieldLine, ...] = _fieldsDirective(
        "add_header", "Add a field to responses of some statuses, or always."
    )
    trailers: tuple[FieldLine, ...] = _fieldsDirective(
        "add_trailer", "Add a field after the body of chunked responses."
    )
    headersInherit: str = _inheritDirective(
        "add_header_inherit",
        "Inherit add_header never, when there is none here, or in addition.",
    )
    trailersInherit: str = _inheritDirective(
        "add_trailer_inherit", "The same for add_trailer."
    )
    expires: ExpiresLine | None = directive(
        "expires",
        HTTP_ANY | Where.IF,
        _expires,
        arity=(1, 2),
        default=None,
        type="[modified] time | epoch | max | off",
        doc="Set Expires and Cache-Control.",
    )


def _inherited(
    block: Block | None,
    own: Callable[[HeaderOptions], tuple[tuple[FieldLine, ...], str]],
) -> tuple[FieldLine, ...]:
    """
    The lines in force: own ones, outer ones or both.

    nginx: ngx_http_headers_merge_conf()
    """
    if block is None:
        return ()
    lines, inherit = own(block.of(HeaderOptions))
    if inherit == "off" or (lines and inherit != "merge"):
        return lines
    return lines + _inherited(block.parent, own)


#: Changes a head: takes it and the new value.
_Edit = Callable[["ResponseHead", bytes], None]


def _pattern(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\r\n" + re.escape(name) + rb":[ \t]*([^\r\n]*)", re.IGNORECASE)


_CACHE_CONTROL = _pattern(b"Cache-Control")
_EXPIRES = _pattern(b"Expires")
_ETAG = _pattern(b"ETag")
_LAST_MODIFIED = _pattern(b"Last-Modified")


def _replace(
    fields: bytes, pattern: re.Pattern[bytes], name: bytes, value: bytes
) -> bytes:
    """
    Give a field a new value where it stands, or add it; drop further ones.
    """
    line = b"\r\n%b: %b" % (name, value)
    found = pattern.search(fields)
    if found is None:
        return fields + line
    end = found.end()
    return fields[: found.start()] + line + pattern.sub(b"", fields[end:])


def _adder(name: bytes) -> _Edit:
    """
    nginx: ngx_http_add_header(), ngx_http_add_multi_header_lines()
    """
    start = b"\r\n%b: " % name

    def add(head: ResponseHead, value: bytes) -> None:
        if value:
            head.fields += start + value

    return add


def _setETag(name: bytes) -> _Edit:
    """
    nginx: ngx_http_set_response_header()
    """

    def change(head: ResponseHead, value: bytes) -> None:
        if value:
            head.fields = _replace(head.fields, _ETAG, name, value)
        else:
            head.fields = _ETAG.sub(b"", head.fields)

    return change


def _setLastModified(name: bytes) -> _Edit:
    """
    nginx: ngx_http_set_last_modified()
    """

    def change(head: ResponseHead, value: bytes) -> None:
        head.lastModified = None
        if value:
            head.fields = _replace(head.fields, _LAST_MODIFIED, name, value)
        else:
            head.fields = _LAST_MODIFIED.sub(b"", head.fields)

    return change


_SPECIAL = {"etag": _setETag, "last-modified": _setLastModified}


def _lastModified(head: ResponseHead) -> int | None:
    value = head.lastModified
    if value is None:
        found = _LAST_MODIFIED.search(head.fields)
        value = found[1] if found else b""
    return parseDate(value)


def nextTime(now: float, seconds: int) -> int:
    """
    The next moment at which the local clock shows C{seconds} since midnight.

    nginx: ngx_next_time()
    """
    local = list(localtime(now))
    local[3:6] = [seconds // 3600, seconds % 3600 // 60, seconds % 60]
    moment = mktime(tuple(local))  # type: ignore[arg-type]  # of nine numbers
    if moment <= now:
        local[2] += 1
        moment = mktime(tuple(local))  # type: ignore[arg-type]  # of nine numbers
    return int(moment)


def setExpires(head: ResponseHead, expiry: Expiry, now: float) -> None:
    """
    Set Expires and Cache-Control of a response.

    @param now: seconds since 1970.

    nginx: ngx_http_set_expires()
    """
    date, control = _validity(expiry, _lastModified(head), int(now))
    fields = _replace(head.fields, _EXPIRES, b"Expires", date)
    head.fields = _replace(fields, _CACHE_CONTROL, b"Cache-Control", control)


def _validity(expiry: Expiry, modified: int | None, now: int) -> tuple[bytes, bytes]:
    """
    The values of Expires and Cache-Control.
    """
    kind, seconds = expiry.kind, expiry.seconds
    if kind == "epoch":
        return _EPOCH, b"no-cache"
    if kind == "max":
        return _MAX, b"max-age=315360000"
    if seconds == 0 and kind != "daily":
        return formatDate(now), b"max-age=0"
    if kind == "daily":
        moment = nextTime(now, seconds)
    elif kind == "access" or modified is None:
        moment = now + seconds
    else:
        moment = modified + seconds
    age = moment - now
    if seconds < 0 or age < 0:
        return formatDate(moment), b"no-cache"
    return formatDate(moment), b"max-age=%d" % age


def _expiresStep(
    line: ExpiresLine, build: Any
) -> Callable[[Request, ResponseHead], None] | None:
    constant = line.constant
    now = build.seconds
    if constant is not None:
        if constant.kind == "off":
            return None

        def always(request: Request, head: ResponseHead) -> None:
            setExpires(head, constant, now())

        return always
    value = build.compile(line.value, line.node)
    modified = line.modified

    def evaluate(request: Request, head: ResponseHead) -> None:
        try:
            expiry = parseExpiry(value(request), modified)
        except ValueError:
            # What a variable said is no time: leave the response alone, as nginx does.
            return
        if expiry.kind != "off":
            setExpires(head, expiry, now())

    return evaluate


def compileHeaders(
    block: Block, build: Any
) -> Callable[[Request, ResponseHead], None] | None:
    """
    Compile C{expires} and C{add_header} of one place.

    @param build: the composition at hand: C{compile} and C{seconds()}, the current
        time in seconds since 1970.
    @return: C{None} when responses get nothing added; else what edits a head, whose
        status is final, before it is serialised.  Values are evaluated one after the
        other: C{$sent_http_*} in a later one sees the earlier ones if the request
        knows the head by then.
    """
    options = block.of(HeaderOptions)
    expires = None
    if options.expires is not None:
        expires = _expiresStep(options.expires, build)
    steps: list[tuple[_Edit, Callable[[Any], bytes], bool]] = []
    for line in _inherited(block, lambda o: (o.headers, o.headersInherit)):
        name = line.name.encode("utf-8", "surrogateescape")
        make = _SPECIAL.get(line.name.lower(), _adder)
        steps.append((make(name), build.compile(line.value, line.node), line.always))
    if expires is None and not steps:
        return None

    def edit(request: Request, head: ResponseHead) -> None:
        safe = head.status in SAFE
        if expires is not None and safe:
            expires(request, head)
        for change, value, always in steps:
            if safe or always:
                change(head, value(request))

    return edit


class Trailers:
    """
    C{add_trailer} of one place.
    """

    __slots__ = ("_always", "_lines")

    def __init__(self, lines: list[tuple[bytes, Callable[[Any], bytes], bool]]) -> None:
        self._lines = lines
        self._always = any(always for start, value, always in lines)

    def expected(self, status: int) -> bool:
        """
        May a response of this status get trailers, and hence needs to be chunked?
        """
        return self._always or status in SAFE

    def __call__(self, request: Any) -> bytes:
        """
        Evaluate the trailers of C{request}, each with the CRLF before it.

        They are added to C{request.trailers} one by one, so that a later one can tell
        an earlier one's value by C{$sent_trailer_*}.

        nginx: ngx_http_trailers_filter()
        """
        safe = request.status in SAFE
        for start, value, always in self._lines:
            if safe or always:
                said = value(request)
                if said:
                    request.trailers += start + said
        trailers: bytes = request.trailers
        return trailers


def compileTrailers(block: Block, build: Any) -> Trailers | None:
    """
    Compile C{add_trailer} of one place.

    @return: C{None} when there is none; else to be called with the request when its
        body has been sent.
    """
    lines = [
        (
            b"\r\n%b: " % line.name.encode("utf-8", "surrogateescape"),
            build.compile(line.value, line.node),
            line.always,
        )
        for line in _inherited(block, lambda o: (o.trailers, o.trailersInherit))
    ]
    return Trailers(lines) if lines else None
