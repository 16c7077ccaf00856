"""
Heads of HTTP/1 requests, line by line: everything that nginx takes, and the words that
it has for what it refuses.

nginx: ngx_http_process_request_line(), ngx_http_process_request_headers(),
ngx_http_process_request_header(), ngx_http_alloc_large_header_buffer()
"""

from __future__ import annotations

from .fields import Field, InvalidField, joinFields, parseLength, readFields
from .host import splitHost
from .request_head import BadRequest, HeadLimits, RequestHead
from .request_line import BadLine, RequestLine, readRequestLine
from .uri import BadURI, normalizePath

#: nginx's own status, which clients see as 400.
HEADER_TOO_LARGE = 494
URI_TOO_LONG = 414

_TEXT = ("utf-8", "surrogateescape")

_UNIQUE = frozenset(
    (
        b"if-modified-since",
        b"if-unmodified-since",
        b"if-match",
        b"if-none-match",
        b"content-length",
        b"content-range",
        b"if-range",
        b"transfer-encoding",
        b"expect",
        b"authorization",
        b"proxy-authorization",
    )
)


def readHead(data: bytes, limits: HeadLimits, start: int) -> RequestHead | None:
    """
    Find a request's head in the bytes received, where there is no empty line before it.

    @param start: where to begin.
    @return: C{None} when more bytes are needed.
    @raise BadRequest: the request is refused.

    What breaks the grammar or a limit is refused as soon as it is seen; what
    contradicts itself is refused when the head is complete.  nginx takes one line after
    the other; the difference only shows where a head is wrong in two ways.
    """
    if start == len(data):
        return None
    # Nothing beyond this is looked at.
    stop = None
    if len(data) - start >= limits.safeSize:
        stop = _findOverflow(data, limits, start)
    end = data.find(b"\n", start, stop) + 1
    line = data[start : end or stop]
    try:
        said = readRequestLine(line)
    except BadLine as e:
        raise BadRequest(e.status, e.reason, _shown(line), None) from None
    if said is None:
        if stop is not None:
            raise BadRequest(
                URI_TOO_LONG, "client sent too long URI", _shown(line), None
            )
        return None
    head = _newHead(said, limits)
    if head.version == 9:
        head.consumed = end
        return head
    try:
        found = readFields(data if stop is None else data[:stop], end)
    except InvalidField as e:
        _remember(head, limits, data[end : e.begin])
        raise _refusal(
            head, 400, f'client sent invalid header line: "{e.shown}"'
        ) from None
    if found is None:
        if stop is not None:
            last = data.rfind(b"\n", 0, stop) + 1
            _remember(head, limits, data[end:last])
            # No longer than nginx shows it: what was being done must fit behind it.
            text = data[last : min(stop, last + 1748)].decode(*_TEXT)
            raise _refusal(
                head,
                HEADER_TOO_LARGE,
                f'client sent too long header line: "{text}..."',
            )
        if data.count(b"\n", end) > limits.maxHeaders:
            kept = _remember(head, limits, data[end : data.rfind(b"\n") + 1])
            if len(kept) > limits.maxHeaders:
                raise _tooMany(head)
        return None
    fields, head.consumed = found
    kept = [field for field in fields if not limits.drops(field[0])]
    if len(kept) != len(fields):
        head.ignored = tuple(
            b": ".join(field) for field in fields if limits.drops(field[0])
        )
    head.fields = joinFields(kept)
    if len(kept) > limits.maxHeaders:
        raise _tooMany(head)
    _judge(head, kept, limits)
    return head


def _shown(line: bytes) -> bytes:
    """
    A request line without what ends it.
    """
    return line.partition(b"\n")[0].partition(b"\r")[0]


def _refusal(head: RequestHead, status: int, reason: str) -> BadRequest:
    return BadRequest(status, reason, head.requestLine, head)


def _tooMany(head: RequestHead) -> BadRequest:
    return _refusal(head, HEADER_TOO_LARGE, "client sent too many header lines")


def _remember(head: RequestHead, limits: HeadLimits, lines: bytes) -> list[Field]:
    """
    Keep what a head said before it turned out wrong: the name asked for tells whose
    error page it gets.

    @param lines: whole lines in which nothing is wrong.
    """
    found = readFields(lines + b"\n", 0)
    assert found is not None, "an empty line ends them"
    kept = [field for field in found[0] if not limits.drops(field[0])]
    head.fields = joinFields(kept)
    value = head.hostField
    if value is not None and head.host is None:
        head.host, head.port = splitHost(value.lower()) or (None, b"")
    return kept


def _findOverflow(data: bytes, limits: HeadLimits, start: int) -> int | None:
    """
    Fill nginx's buffers with a head.

    A line that does not fit into what is left of a buffer moves to a large one; other
    lines follow it there.  The head is refused when a line does not fit into a large
    buffer, or there is none left.

    @return: the position behind the last byte that nginx takes, if it is in C{data} and
        before the end of the head.
    @note: nginx: ngx_http_alloc_large_header_buffer()
    """
    left = limits.largeBufferCount
    large = limits.largeBufferSize
    free = limits.headerBufferSize
    position = start
    while True:
        if free == 0:
            if left == 0:
                return position
            left -= 1
            free = large
        room = large if free < large and left else free
        end = data.find(b"\n", position, position + room) + 1
        if end == 0:
            limit = position + room
            return limit if len(data) >= limit else None
        length = end - position
        if length > free:
            left -= 1
            free = large
        free -= length
        if length <= 2 and data[position:end] in (b"\n", b"\r\n"):
            return None
        position = end


def _newHead(said: RequestLine, limits: HeadLimits) -> RequestHead:
    """
    What the request line tells.

    @raise BadRequest: its path or its host is impossible.
    """
    line = said.text
    try:
        uri, args = normalizePath(said.path, limits.mergeSlashes)
    except BadURI:
        raise BadRequest(400, "client sent invalid request", line, None) from None
    encoded = said.path.partition(b"?")[0].partition(b"#")[0]
    head = RequestHead(
        said.method,
        said.target,
        said.path,
        uri,
        args,
        b"%" in encoded,
        said.version,
        line,
    )
    head.validUnparsed = not said.path.startswith(b"?")
    if said.authority is not None:
        named = splitHost(said.authority.lower())
        if named is None:
            raise _refusal(head, 400, "client sent invalid host in request line")
        head.host, head.port = named
    return head


def _judge(head: RequestHead, fields: list[Field], limits: HeadLimits) -> None:
    """
    Read the fields that say something about the message.

    @raise BadRequest: they contradict each other, or ask for what is not served.
    @note: nginx: ngx_http_process_request_header() and the handlers of
        ngx_http_headers_in
    """
    seen: dict[bytes, Field] = {}
    head.keepalive = head.version > 10
    hostInLine = head.host is not None
    for field in fields:
        name = field[0].lower()
        value = field[1]
        if name == b"connection":
            lower = value.lower()
            if b"close" in lower:
                head.keepalive = False
            elif b"keep-alive" in lower:
                head.keepalive = True
        elif name == b"upgrade":
            if head.upgrade is None:
                head.upgrade = value
        elif name == b"host" or name in _UNIQUE:
            if name in seen:
                raise _duplicate(head, name, field, seen[name])
            seen[name] = field
            if name == b"host":
                named = splitHost(value.lower())
                if named is None:
                    raise _refusal(head, 400, "client sent invalid host header")
                if not hostInLine:
                    head.host, head.port = named
    if b"host" not in seen and head.version > 10:
        raise _refusal(head, 400, 'client sent HTTP/1.1 request without "Host" header')
    if b"expect" in seen and head.version > 10:
        head.expectContinue = seen[b"expect"][1].lower() == b"100-continue"
    if b"content-length" in seen:
        head.contentLength = parseLength(seen[b"content-length"][1])
        if head.contentLength is None:
            raise _refusal(head, 400, 'client sent invalid "Content-Length" header')
    if b"transfer-encoding" in seen:
        _judgeCoding(head, seen[b"transfer-encoding"][1])
    _judgeMethod(head, limits)


def _duplicate(
    head: RequestHead, name: bytes, field: Field, previous: Field
) -> BadRequest:
    kind = "host header" if name == b"host" else "header line"
    shown = (b": ".join(field).decode(*_TEXT), b": ".join(previous).decode(*_TEXT))
    return _refusal(
        head,
        400,
        f'client sent duplicate {kind}: "{shown[0]}", previous value: "{shown[1]}"',
    )


def _judgeCoding(head: RequestHead, value: bytes) -> None:
    """
    Transfer-Encoding is C{chunked}, of HTTP/1.1, and alone.
    """
    if head.version < 11:
        raise _refusal(
            head, 400, 'client sent HTTP/1.0 request with "Transfer-Encoding" header'
        )
    if value.lower() != b"chunked":
        text = value.decode(*_TEXT)
        raise _refusal(head, 501, f'client sent unknown "Transfer-Encoding": "{text}"')
    if head.contentLength is not None:
        raise _refusal(
            head,
            400,
            'client sent "Content-Length" and "Transfer-Encoding" headers'
            " at the same time",
        )
    head.chunked = True


def _judgeMethod(head: RequestHead, limits: HeadLimits) -> None:
    """
    TRACE is never served, CONNECT where it is allowed.
    """
    if head.method == b"CONNECT":
        # A tunnel's connection has no next request.
        head.keepalive = False
        if not limits.allowConnect or head.protocol.rstrip(b" ") != b"HTTP/1.1":
            raise _refusal(head, 405, "client sent CONNECT method")
        if head.contentLength or head.chunked:
            raise _refusal(head, 400, "client sent CONNECT request with body")
    if head.method == b"TRACE":
        raise _refusal(head, 405, "client sent TRACE method")
