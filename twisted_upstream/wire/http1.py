"""
Heads of HTTP/1 requests.

A head that is written as everybody writes heads is validated and taken apart by one
regular expression.  All others - bare LF, odd spaces, names to drop, limits that are
near, anything wrong - are read line by line, refused with the status and the words that
nginx has for them, or brought into the same form.

nginx: ngx_http_parse_request_line(), ngx_http_parse_header_line(),
ngx_http_process_request_line(), ngx_http_process_request_headers(),
ngx_http_process_request_header(), ngx_http_alloc_large_header_buffer()
"""

from __future__ import annotations

import re

from .fields import (
    Field,
    InvalidField,
    firstValue,
    joinFields,
    parseLength,
    readFields,
)
from .host import splitHost
from .request_line import BadLine, RequestLine, readRequestLine
from .uri import BadURI, normalizePath

#: nginx's own statuses, which clients see as 400.
URI_TOO_LONG = 414
HEADER_TOO_LARGE = 494

_TEXT = ("utf-8", "surrogateescape")


class BadRequest(Exception):
    """
    A request that is refused.  The connection is of no more use.

    @ivar status: the status, perhaps one of nginx's own: 400, 405, 414, 494, 501, 505.
    @ivar reason: what nginx logs, at level C{info}.
    @ivar requestLine: the request line, as far as it came, without its end.
    @ivar head: what is known of the request; C{None}: the request line is wrong.  Its
        C{fields} may be empty, or lack those after the one that is wrong.
    """

    def __init__(
        self, status: int, reason: str, requestLine: bytes, head: RequestHead | None
    ) -> None:
        self.status = status
        self.reason = reason
        self.requestLine = requestLine
        self.head = head
        super().__init__(status, reason)


class HeadLimits:
    """
    What requests on one listening address may look like, of its default server.

    @ivar headerBufferSize: C{client_header_buffer_size}, bytes.
    @ivar largeBufferCount: C{large_client_header_buffers}, how many.
    @ivar largeBufferSize: C{large_client_header_buffers}, bytes of each.
    @ivar maxHeaders: C{max_headers}.
    @ivar ignoreInvalidHeaders: C{ignore_invalid_headers}: fields whose names have
        unusual characters are dropped.
    @ivar underscoresInHeaders: C{underscores_in_headers}: the underscore is usual.
    @ivar mergeSlashes: C{merge_slashes}.
    @ivar allowConnect: some server there takes CONNECT.
    @ivar safeSize: bytes of a head that can break no limit.
    """

    __slots__ = (
        "_validName",
        "allowConnect",
        "headerBufferSize",
        "hosts",
        "ignoreInvalidHeaders",
        "largeBufferCount",
        "largeBufferSize",
        "match",
        "maxHeaders",
        "mergeSlashes",
        "safeSize",
        "underscoresInHeaders",
    )

    def __init__(
        self,
        *,
        headerBufferSize: int = 1024,
        largeBufferCount: int = 4,
        largeBufferSize: int = 8192,
        maxHeaders: int = 1000,
        ignoreInvalidHeaders: bool = True,
        underscoresInHeaders: bool = False,
        mergeSlashes: bool = True,
        allowConnect: bool = False,
    ) -> None:
        self.headerBufferSize = headerBufferSize
        self.largeBufferCount = largeBufferCount
        self.largeBufferSize = largeBufferSize
        self.maxHeaders = maxHeaders
        self.ignoreInvalidHeaders = ignoreInvalidHeaders
        self.underscoresInHeaders = underscoresInHeaders
        self.mergeSlashes = mergeSlashes
        self.allowConnect = allowConnect
        safe = headerBufferSize
        if largeBufferCount and largeBufferSize > headerBufferSize:
            # The line that does not fit moves to a large buffer, and all others follow.
            safe = largeBufferSize
        # No field that the pattern below takes is shorter than six bytes.
        self.safeSize = min(safe, 6 * maxHeaders)
        characters = rb"A-Za-z0-9-"
        if underscoresInHeaders:
            characters += rb"_"
        self._validName = re.compile(rb"[" + characters + rb"]+").fullmatch
        name = rb"[" + characters + rb"]"
        if not ignoreInvalidHeaders:
            name = rb"[^\x00-\x20\x7f:]"
        self.match = re.compile(_HEAD % name).match
        #: Hosts that were validated: value of Host in lower case to name and port.
        self.hosts: dict[bytes, tuple[bytes, bytes]] = {}

    def drops(self, name: bytes) -> bool:
        """
        Is a field with this name dropped?
        """
        return self.ignoreInvalidHeaders and not self._validName(name)


# Groups: request line, method, target, plain path and its arguments (or neither), minor
# version, fields.  A plain path needs no decoding.  Values are not empty, and have no
# spaces around them; they are matched up to their CR, because that is fast, and LF and
# NUL in them are looked for apart.
_HEAD = (
    rb"(([A-Z_-]++) ("
    rb"((?=/)(?:/[^\x00-\x20\x7f%%#?/.][^\x00-\x20\x7f%%#?/]*+)*+/?+)"
    rb"(?:\?([^\x00-\x20\x7f#]*+))?+(?= )"
    rb"|/[^\x00-\x20\x7f]*+) HTTP/1\.([01]))"
    rb"((?:\r\n%b++: (?! )[^\r]++(?<! ))*+)\r\n\r\n"
)

# The fields that say something about the message, and those that may stand only once.
# It looks at fields in lower case.
_findSpecial = re.compile(
    rb"\n(host|connection|content-length|transfer-encoding|expect|upgrade"
    rb"|if-(?:modified-since|unmodified-since|match|none-match|range)"
    rb"|authorization|proxy-authorization|content-range): ([^\r]*+)"
).findall

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

_matchEmptyLines = re.compile(rb"[\r\n]*+").match

#: So many hosts are remembered; then all are forgotten.
_MAX_HOSTS = 1024


class RequestHead:
    """
    What a request says before its body.

    @ivar method: C{b"GET"}.
    @ivar target: the second word of the request line, as sent.
    @ivar path: C{target} without scheme and authority: nginx's C{$request_uri}.
    @ivar uri: the path, decoded and normalised.
    @ivar args: the arguments, as sent.
    @ivar quotedUri: something in the path was encoded.
    @ivar validUnparsed: C{path} can be passed on as it is.
    @ivar version: 9, 10 or 11; what is newer than 1.1 counts as 1.1.
    @ivar fields: the fields as a canonical block, see L{twisted_upstream.wire.fields}.
    @ivar ignored: lines that were dropped, to be logged at level C{info}.
    @ivar consumed: where the head ends in the data it was found in.
    @ivar requestLine: the request line without its end.
    @ivar host: the name asked for, in lower case, without port and last dot; of the
        target if it has one, else of Host.  C{None}: no name.
    @ivar port: the port that came with C{host}, as text; empty: none.
    @ivar contentLength: bytes of the body, if that was said.
    @ivar chunked: the body comes in chunks.
    @ivar keepalive: the client wants to use the connection again.
    @ivar expectContinue: the client waits for a word before it sends the body.
    @ivar upgrade: value of Upgrade, if there is one.
    """

    __slots__ = (
        "args",
        "chunked",
        "consumed",
        "contentLength",
        "expectContinue",
        "fields",
        "host",
        "ignored",
        "keepalive",
        "method",
        "path",
        "port",
        "quotedUri",
        "requestLine",
        "target",
        "upgrade",
        "uri",
        "validUnparsed",
        "version",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        path: bytes,
        uri: bytes,
        args: bytes,
        quotedUri: bool,
        version: int,
        requestLine: bytes,
        fields: bytes = b"",
        consumed: int = 0,
        host: bytes | None = None,
        port: bytes = b"",
        contentLength: int | None = None,
        chunked: bool = False,
        keepalive: bool = False,
        expectContinue: bool = False,
        upgrade: bytes | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.uri = uri
        self.args = args
        self.quotedUri = quotedUri
        self.version = version
        self.requestLine = requestLine
        self.fields = fields
        self.consumed = consumed
        self.host = host
        self.port = port
        self.contentLength = contentLength
        self.chunked = chunked
        self.keepalive = keepalive
        self.expectContinue = expectContinue
        self.upgrade = upgrade
        self.validUnparsed = True
        self.ignored: tuple[bytes, ...] = ()

    @property
    def hostField(self) -> bytes | None:
        """
        Value of Host as sent, or C{None}.
        """
        return firstValue(self.fields, b"host")

    @property
    def connection(self) -> bytes | None:
        """
        Value of the first Connection, or C{None}.
        """
        return firstValue(self.fields, b"connection")

    @property
    def protocol(self) -> bytes:
        """
        C{b"HTTP/1.1"} as sent: nginx's C{$server_protocol}; empty for HTTP/0.9.
        """
        if self.version == 9:
            return b""
        return self.requestLine[self.requestLine.rindex(b"HTTP/") :]


def parseRequest(
    data: bytes, limits: HeadLimits, start: int = 0
) -> RequestHead | None:
    """
    Find a request's head in the bytes received.

    Empty lines before it are skipped.  Who waits for more bytes may drop them.

    @param start: where to begin.
    @return: C{None} when more bytes are needed.
    @raise BadRequest: the request is refused; C{data} may have more than it.
    """
    match = limits.match(data, start)
    if match is None:
        return _readHead(data, limits, start)
    end = match.end()
    requestLine, method, target, uri, args, minor, fields = match.groups()
    if (
        end - start > limits.safeSize
        or fields.count(b"\n") != fields.count(b"\r")
        or b"\0" in fields
        or method == b"TRACE"
    ):
        return _readHead(data, limits, start)
    if uri is None:
        # A path to decode: what cannot be decoded is refused there.
        try:
            uri, args = normalizePath(target, limits.mergeSlashes)
        except BadURI:
            return _readHead(data, limits, start)
        quoted = b"%" in target.partition(b"?")[0].partition(b"#")[0]
    else:
        quoted = False
        if args is None:
            args = b""
    if minor == b"1":
        version = 11
        keepalive = True
    else:
        version = 10
        keepalive = False
    host = contentLength = upgrade = seen = None
    port = b""
    chunked = expectContinue = False
    for name, value in _findSpecial(fields.lower()):
        if name == b"host":
            if host is not None:
                return _readHead(data, limits, start)
            known = limits.hosts.get(value)
            if known is None:
                known = splitHost(value)
                if known is None:
                    return _readHead(data, limits, start)
                if len(limits.hosts) >= _MAX_HOSTS:
                    limits.hosts.clear()
                limits.hosts[value] = known
            host, port = known
        elif name == b"connection":
            # The last field that says something counts.
            if b"close" in value:
                keepalive = False
            elif b"keep-alive" in value:
                keepalive = True
        elif name == b"upgrade":
            if upgrade is None:
                # Not the one in lower case.
                upgrade = firstValue(fields, name)
        else:
            if seen is None:
                seen = {name}
            elif name in seen:
                return _readHead(data, limits, start)
            else:
                seen.add(name)
            if name == b"content-length":
                contentLength = parseLength(value)
                if contentLength is None:
                    return _readHead(data, limits, start)
            elif name == b"transfer-encoding":
                chunked = True
                if value != b"chunked" or version == 10:
                    return _readHead(data, limits, start)
            elif name == b"expect":
                expectContinue = value == b"100-continue" and version == 11
    if (chunked and contentLength is not None) or (host is None and version == 11):
        return _readHead(data, limits, start)
    return RequestHead(
        method,
        target,
        target,
        uri,
        args,
        quoted,
        version,
        requestLine,
        fields,
        end,
        host,
        port,
        contentLength,
        chunked,
        keepalive,
        expectContinue,
        upgrade,
    )


def _readHead(data: bytes, limits: HeadLimits, start: int) -> RequestHead | None:
    """
    The same as L{parseRequest}, line by line.

    What breaks the grammar or a limit is refused as soon as it is seen; what
    contradicts itself is refused when the head is complete.  nginx takes one line after
    the other; the difference only shows where a head is wrong in two ways.
    """
    begin = _matchEmptyLines(data, start)
    assert begin is not None, "the pattern matches nothing, too"
    if begin.end() > start:
        return parseRequest(data, limits, begin.end())
    if start == len(data):
        return None
    # Nothing beyond this is looked at.
    stop = None
    if len(data) - start > limits.safeSize:
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
        raise _refusal(
            head, 400, f'client sent invalid header line: "{e.shown}"'
        ) from None
    if found is None:
        if stop is not None:
            last = data[data.rfind(b"\n", 0, stop) + 1 : stop]
            text = last.decode(*_TEXT)
            raise _refusal(
                head,
                HEADER_TOO_LARGE,
                f'client sent too long header line: "{text}..."',
            )
        if data.count(b"\n", end) > limits.maxHeaders:
            _countFields(head, limits, data[end : data.rfind(b"\n") + 1])
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


def _countFields(head: RequestHead, limits: HeadLimits, lines: bytes) -> None:
    """
    Refuse a head that is not complete yet, but has too many fields already.
    """
    found = readFields(lines + b"\n", 0)
    assert found is not None, "an empty line ends them"
    if sum(not limits.drops(name) for name, _ in found[0]) > limits.maxHeaders:
        raise _tooMany(head)


def _findOverflow(data: bytes, limits: HeadLimits, start: int) -> int | None:
    """
    Fill nginx's buffers with a head.

    A line that does not fit into what is left of a buffer moves to a large one; other
    lines follow it there.  The head is refused when a line does not fit into a large
    buffer, or there is none left.

    @return: the position behind the last byte that nginx takes, if it is in C{data} and
        before the end of the head.

    nginx: ngx_http_alloc_large_header_buffer()
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

    nginx: ngx_http_process_request_header() and the handlers of ngx_http_headers_in
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
        raise _refusal(
            head, 400, 'client sent HTTP/1.1 request without "Host" header'
        )
    if b"expect" in seen and head.version > 10:
        head.expectContinue = seen[b"expect"][1].lower() == b"100-continue"
    if b"content-length" in seen:
        head.contentLength = parseLength(seen[b"content-length"][1])
        if head.contentLength is None:
            raise _refusal(
                head, 400, 'client sent invalid "Content-Length" header'
            )
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
        raise _refusal(
            head, 501, f'client sent unknown "Transfer-Encoding": "{text}"'
        )
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
