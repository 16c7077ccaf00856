"""
Field lines, read with care: any line end and any spelling that nginx takes, brought
into the one form that everybody else works on.

That form is the I{canonical block}: C{b"\\r\\nHost: a\\r\\nAccept: */*"}.  Each field
has the CRLF before it, one colon and one space after its name, no space at the end of
its value, and neither CR, LF nor NUL inside.

nginx: ngx_http_parse_header_line()
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

#: One field: its name and value as sent, without the spaces around the value.
Field = tuple[bytes, bytes]

# A name begins with anything but a control, a space or a colon.  A line without a colon
# is a field without a value.  CRs before the LF belong to the line's end.
# In all patterns of this package: neither x++, which PyPy (7.3.19) takes for x*+, nor
# x?+, with which its fullmatch() fails.
_LINE = rb"[^\x00-\x20\x7f:][^\x00-\x20\x7f:]*+(?::[^\0\r\n]*+)?\r*+\n"
_LINES = re.compile(rb"(?:" + _LINE + rb")*")
# IIS may repeat its status line among the fields: it is skipped, whatever it says.
_REPLY_LINES = re.compile(rb"(?:HTTP/[^\n]*+\n|" + _LINE + rb")*")

# The longest beginning of a line in which nothing is wrong.
_BEGINNING = re.compile(rb"([^\x00-\x20\x7f:]*+(?::[^\0\r\n]*+)?)\r*+")


class InvalidField(Exception):
    """
    A line is no field.

    @ivar shown: the line up to the byte that is wrong, and that byte in hexadecimal, as
        nginx's messages have it.
    @ivar begin: where the line begins in the data.
    """

    def __init__(self, data: bytes, begin: int, fault: int) -> None:
        """
        @param data: the line is in it.
        @param begin: where the line begins.
        @param fault: the index of the byte that is wrong.
        """
        text = data[begin:fault].decode("utf-8", "surrogateescape")
        self.shown = f"{text}\\x{data[fault]:02x}..."
        self.begin = begin
        super().__init__(self.shown)


def readFields(
    data: bytes, start: int, *, fromServer: bool = False
) -> tuple[list[Field], int] | None:
    """
    Read lines up to the empty one that ends them.

    @param start: where the first line begins.
    @param fromServer: skip lines that begin with C{HTTP/}.
    @return: the fields, and where the empty line ends; C{None} when more is needed and
        nothing is wrong so far.
    @raise InvalidField: a line is no field.
    """
    lines = _REPLY_LINES if fromServer else _LINES
    match = lines.match(data, start)
    end = start if match is None else match.end()
    if data.startswith(b"\n", end):
        after = end + 1
    elif data.startswith(b"\r\n", end):
        after = end + 2
    else:
        _checkBeginning(data, end, fromServer=fromServer)
        return None
    fields = []
    for line in data[start:end].split(b"\n")[:-1]:
        if fromServer and line.startswith(b"HTTP/"):
            continue
        name, _, value = line.rstrip(b"\r").partition(b":")
        fields.append((name, value.strip(b" ")))
    return fields, after


def _checkBeginning(data: bytes, start: int, *, fromServer: bool) -> None:
    """
    Raise L{InvalidField} unless the bytes from C{start} on may become a line.
    """
    if fromServer and data.startswith(b"HTTP/", start):
        return
    if data.startswith(b"\r", start):
        if len(data) > start + 1:
            # Only LF may follow the CR that begins the empty line.
            raise InvalidField(data, start, start)
        return
    if data.startswith(b":", start):
        raise InvalidField(data, start, start)
    match = _BEGINNING.match(data, start)
    assert match is not None, "the pattern matches nothing, too"
    fault = match.end()
    if fault == len(data):
        return
    if fault > match.end(1):
        # A CR that ends no line: nginx shows the line up to the spaces before it.
        fault = match.end(1)
        while data[fault - 1] == 0x20:
            fault -= 1
    raise InvalidField(data, start, fault)


def joinFields(fields: Iterable[Field]) -> bytes:
    """
    The canonical block of these fields.
    """
    return b"".join([b"\r\n%b: %b" % field for field in fields])


@lru_cache(maxsize=256)
def fieldPattern(name: bytes) -> re.Pattern[bytes]:
    """
    A pattern to search a canonical block with: the field called C{name}, its value
    being group 1.

    @param name: in any case.
    """
    return re.compile(rb"\r\n" + re.escape(name) + rb": ([^\r]*+)", re.IGNORECASE)


def firstValue(fields: bytes, name: bytes) -> bytes | None:
    """
    The value of the first field called C{name} in a canonical block, or C{None}.

    @param name: in any case.
    """
    match = fieldPattern(name).search(fields)
    return None if match is None else match[1]


_LARGEST = (1 << 63) - 1


def parseLength(value: bytes) -> int | None:
    """
    The number in a Content-Length, or C{None} if it is none.

    nginx: ngx_atoof()
    """
    # int() takes signs, underscores and spaces, and refuses thousands of digits.
    if not value.isdigit():
        return None
    if len(value) < 19:
        return int(value)
    value = value.lstrip(b"0")
    length = int(value[:20] or b"0")
    return length if length <= _LARGEST else None
