"""
Heads of HTTP/1 responses, as servers send them.

nginx: ngx_http_parse_status_line(), ngx_http_proxy_process_status_line(),
ngx_http_proxy_process_header(), ngx_http_upstream_headers_in
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .fields import Field, InvalidField, joinFields, parseLength, readFields
from .head import ResponseHead

EARLY_HINTS = 103

_TEXT = ("utf-8", "surrogateescape")


class InvalidHead(Exception):
    """
    A response that breaks the protocol.  The text is for the error log.
    """


class NotHTTP(Exception):
    """
    The first line is no status line: all of it is the body of an HTTP/0.9 response.
    """


class HTTP1Response(ResponseHead):
    """
    What a response says before its body.

    Its C{fields} are a canonical block, see L{twisted_upstream.wire.fields}; none is
    missing but those in C{warnings}.

    @ivar version: 10, 11 and so on, after C{HTTP/}.
    @ivar chunked: the body comes in chunks.
    @ivar close: the server will not take another request on this connection.
    @ivar warnings: what to log at level C{warn}: fields that were dropped because they
        stand there twice.
    """

    __slots__ = ("chunked", "close", "version", "warnings")

    def __init__(
        self, version: int, status: int, text: bytes, fields: bytes, consumed: int
    ) -> None:
        ResponseHead.__init__(self, status, fields, consumed, None, text)
        self.version = version
        self.chunked = False
        self.close = version < 11
        self.warnings: tuple[str, ...] = ()

    @property
    def protocols(self) -> bytes | None:
        """
        Value of Upgrade, if there is one.
        """
        return self.values.get(b"upgrade")


# Status lines are few: each is looked at once.
_matchLine = re.compile(rb"HTTP/1\.([01]) (([1-9][0-9][0-9])(?: [^\r\n]*+)?)").fullmatch
#: Version, status and text of those that were; then all are forgotten.
_lines: dict[bytes, tuple[int, int, bytes]] = {}
_MAX_LINES = 256
#: Longer ones are not kept.
_MAX_LINE = 64

# The slash in names is left out because of lines that nginx skips; see readFields.
# Values are matched up to their CR, because that is fast; LF and NUL in them are looked
# for apart.
_findFields = re.compile(
    rb"\n([^\x00-\x20\x7f:/][^\x00-\x20\x7f:/]*+): ([^\r ][^\r]*+)(?<! )\r(?=\n)"
).findall

# Which may stand there once: others are passed as often as they come.
_SINGLE = frozenset(
    (
        b"status",
        b"content-type",
        b"date",
        b"last-modified",
        b"etag",
        b"server",
        b"location",
        b"refresh",
        b"expires",
        b"x-accel-expires",
        b"x-accel-redirect",
        b"x-accel-limit-rate",
    )
)
_FRAMING = (b"content-length", b"transfer-encoding")
#: Where a second one is more than one more line.
_MATTERS = _SINGLE.union(_FRAMING, (b"connection",))


def parseResponse(data: bytes, limit: int, start: int = 0) -> HTTP1Response | None:
    """
    Find a response's head in the bytes received.  Interim responses are responses.

    @param limit: bytes that a head may have.
    @param start: where to begin.
    @return: C{None} when more bytes are needed.
    @raise InvalidHead: the response cannot be used.
    @raise NotHTTP: there is no status line.
    """
    end = data.find(b"\r\n\r\n", start)
    if end < 0 or end + 4 - start > limit:
        return _readHead(data, limit, start)
    begin = data.find(b"\r\n", start)
    line = _lines.get(data[start:begin]) or _readLine(data[start:begin])
    if line is None:
        return _readHead(data, limit, start)
    version, status, text = line
    found = _findFields(data, begin, end + 2)
    fields = data[begin:end]
    if fields.count(b"\n") != len(found) or 0 in fields:
        return _readHead(data, limit, start)
    values = {name.lower(): value for name, value in found}
    if len(values) != len(found):
        # Of a name that stands there twice, the last value was kept.
        values = {}
        for name, value in found:
            name = name.lower()
            if name not in values:
                values[name] = value
            elif name in _MATTERS:
                return _readHead(data, limit, start)
    response = HTTP1Response(version, status, text, fields, end + 4)
    response.values = values
    if status == EARLY_HINTS:
        return response if version > 10 else _readHead(data, limit, start)
    get = values.get
    length = get(b"content-length")
    if length is not None:
        response.contentLength = parseLength(length)
        if response.contentLength is None or b"transfer-encoding" in values:
            return _readHead(data, limit, start)
    else:
        coding = get(b"transfer-encoding")
        if coding is not None:
            if coding.lower() != b"chunked":
                return _readHead(data, limit, start)
            response.chunked = True
    connection = get(b"connection")
    # What most servers say, if anything, needs no closer look.
    if (
        connection is not None
        and connection != b"keep-alive"
        and b"close" in connection.lower()
    ):
        response.close = True
    return response


def _readLine(line: bytes) -> tuple[int, int, bytes] | None:
    """
    What a status line says; C{None}: it is an odd one.
    """
    match = _matchLine(line)
    if match is None:
        return None
    minor, text, code = match.groups()
    said = 11 if minor == b"1" else 10, int(code), text
    if len(line) <= _MAX_LINE:
        if len(_lines) >= _MAX_LINES:
            _lines.clear()
        _lines[line] = said
    return said


STATUS_LINE = re.compile(
    rb"HTTP/([1-9][0-9]{0,2})\.0*([0-9]{1,3}) +(([0-9]{3})(?:[ .][^\r\n]*+)?)\r?\n"
)

# What may become a status line.
mayBecomeStatusLine = re.compile(
    rb"(?:H(?:T(?:T(?:P(?:/(?:[1-9][0-9]{0,2}(?:\.(?:0*[0-9]{0,3}(?:(?<=[0-9]) +"
    rb"(?:[0-9](?:[0-9](?:[0-9](?:[ .][^\r\n]*+)?\r?)?)?)?)?)?)?)?)?)?)?)?)?"
).fullmatch


def _readHead(data: bytes, limit: int, start: int) -> HTTP1Response | None:
    """
    The same as L{parseResponse}, line by line.
    """
    head = data[start : start + limit]
    line = STATUS_LINE.match(head)
    if line is None:
        # nginx takes spaces between the digits of a status, too, and passes on
        # nonsense.
        if mayBecomeStatusLine(head) is None:
            raise NotHTTP("upstream sent no valid HTTP/1.0 header")
        checkRoom(head, limit)
        return None
    major, minor = int(line[1]), int(line[2])
    version = 10 * major + min(minor, 9)
    status = int(line[4])
    if status == EARLY_HINTS and version < 11:
        raise InvalidHead("upstream sent HTTP/1.0 response with early hints")
    try:
        found = readFields(head, line.end(), fromServer=True)
    except InvalidField as e:
        raise InvalidHead(f'upstream sent invalid header: "{e.shown}"') from None
    if found is None:
        checkRoom(head, limit)
        return None
    fields, end = found
    response = HTTP1Response(version, status, line[3], b"", start + end)
    if status != EARLY_HINTS:
        fields = judgeFields(response, fields)
    response.fields = joinFields(fields)
    response.values = firstValues(fields)
    return response


def firstValues(fields: Iterable[Field]) -> dict[bytes, bytes]:
    """
    The first value of each field, by name in lower case.
    """
    values: dict[bytes, bytes] = {}
    for name, value in fields:
        values.setdefault(name.lower(), value)
    return values


def checkRoom(head: bytes, limit: int) -> None:
    """
    Refuse a head that is not complete when there is no room for more of it.
    """
    if len(head) >= limit:
        raise InvalidHead("upstream sent too big header")


def judgeFields(response: HTTP1Response, fields: list[Field]) -> list[Field]:
    """
    Read the fields that say something about the message.

    @return: those that are passed on.
    @raise InvalidHead: they contradict each other.
    """
    kept: list[Field] = []
    warnings: list[str] = []
    seen: dict[bytes, Field] = {}
    for field in fields:
        name = field[0].lower()
        if name == b"connection":
            if b"close" in field[1].lower():
                response.close = True
        elif name in _MATTERS:
            previous = seen.get(name)
            if previous is not None:
                shown = _shownTwice(field, previous)
                if name in _FRAMING:
                    raise InvalidHead(shown)
                warnings.append(shown + ", ignored")
                continue
            seen[name] = field
            if name in _FRAMING:
                _judgeFraming(response, name, field, seen)
        kept.append(field)
    response.warnings = tuple(warnings)
    return kept


def _judgeFraming(
    response: HTTP1Response, name: bytes, field: Field, seen: dict[bytes, Field]
) -> None:
    """
    Read a Content-Length or a Transfer-Encoding.
    """
    if all(framing in seen for framing in _FRAMING):
        raise InvalidHead(
            'upstream sent "Content-Length" and "Transfer-Encoding" headers'
            " at the same time"
        )
    if name == b"content-length":
        response.contentLength = parseLength(field[1])
        if response.contentLength is None:
            text = b": ".join(field).decode(*_TEXT)
            raise InvalidHead(
                f'upstream sent invalid "Content-Length" header: "{text}"'
            )
        return
    if field[1].lower() != b"chunked":
        text = field[1].decode(*_TEXT)
        raise InvalidHead(f'upstream sent unknown "Transfer-Encoding": "{text}"')
    response.chunked = True


def _shownTwice(field: Field, previous: Field) -> str:
    return (
        f'upstream sent duplicate header line: "{b": ".join(field).decode(*_TEXT)}",'
        f' previous value: "{b": ".join(previous).decode(*_TEXT)}"'
    )
