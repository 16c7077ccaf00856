"""
Requests for content that the client may have already (C{If-*}) or wants a part of
(C{Range}).

nginx: ngx_http_not_modified_filter_module.c, ngx_http_range_filter_module.c
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...wire.dates import parseDate
from ...wire.fields import firstValue

if TYPE_CHECKING:
    from ...wire.head import ResponseHead
    from ..reply import Reply

#: C{max_ranges} when nothing is said.
UNLIMITED = 0x7FFFFFFF
_LARGEST = (1 << 63) - 1

_ASKED = re.compile(
    rb"\r\n(If-(?:None-)?Match|If-(?:Un)?Modified-Since|If-Range|Range): ([^\r]*)",
    re.IGNORECASE,
)
_ENCODING = re.compile(rb"\r\nContent-Encoding:[^\r\n]*", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\nContent-Length:[^\r\n]*", re.IGNORECASE)
_RANGE = re.compile(rb" *(?:(\d+) *- *(\d*)|-(\d+)) *(,|\Z)")


def asked(request: Reply) -> dict[bytes, bytes]:
    """
    The conditional fields of a request and Range, by lower-case name.
    """
    return {name.lower(): value for name, value in _ASKED.findall(request.head.fields)}


def matches(listed: bytes, etag: bytes | None, weak: bool) -> bool:
    """
    Is C{etag} among those of an If-Match or If-None-Match?

    @param weak: compare without regard to C{W/}.
    @note: nginx: ngx_http_test_if_match()
    """
    if listed == b"*":
        return True
    if etag is None:
        return False
    if weak and len(etag) > 2:
        etag = etag.removeprefix(b"W/")
    for one in listed.split(b","):
        one = one.strip(b" \t")
        if weak and len(one) > 2:
            one = one.removeprefix(b"W/")
        if one == etag:
            return True
    return False


def _modified(since: bytes, head: ResponseHead, comparison: str) -> bool:
    """
    nginx: ngx_http_test_if_modified()
    """
    if head.lastModified is None or comparison == "off":
        return True
    changed = parseDate(head.lastModified)
    has = parseDate(since)
    if has is None or changed is None:
        return True
    return has != changed and (comparison == "exact" or has < changed)


def _unmodified(since: bytes, head: ResponseHead) -> bool:
    """
    nginx: ngx_http_test_if_unmodified()
    """
    if head.lastModified is None:
        return False
    changed = parseDate(head.lastModified)
    has = parseDate(since)
    return has is not None and changed is not None and has >= changed


def conditional(request: Reply, head: ResponseHead, comparison: str = "exact") -> int:
    """
    Compare a response of our own with what the client says it has.

    @param head: changed to a 304 where that is the answer.
    @param comparison: what C{if_modified_since} says.
    @return: the status to fail with: 412; else 0.
    @note: nginx: ngx_http_not_modified_header_filter()
    """
    if head.status != 200 or request.isSubrequest:
        return 0
    fields = asked(request)
    if not fields:
        return 0
    since = fields.get(b"if-unmodified-since")
    if since is not None and not _unmodified(since, head):
        return 412
    listed = fields.get(b"if-match")
    if listed is not None and not matches(
        listed, firstValue(head.fields, b"ETag"), weak=False
    ):
        return 412
    since = fields.get(b"if-modified-since")
    listed = fields.get(b"if-none-match")
    if since is None and listed is None:
        return 0
    if since is not None and _modified(since, head, comparison):
        return 0
    if listed is not None and not matches(
        listed, firstValue(head.fields, b"ETag"), weak=True
    ):
        return 0
    head.status = 304
    head.text = b""
    head.contentType = None
    head.contentLength = None
    head.noBody = True
    head.fields = _LENGTH.sub(b"", _ENCODING.sub(b"", head.fields))
    return 0


def _tooLarge(number: bytes) -> bool:
    # int() refuses thousands of digits, by an exception.
    number = number.lstrip(b"0")
    return len(number) > 19 or int(number or b"0") > _LARGEST


def parseRanges(
    value: bytes, length: int, most: int = UNLIMITED
) -> list[tuple[int, int]] | None:
    """
    The ranges asked for, as (first, last + 1).

    @param value: of the Range field.
    @param length: bytes of the whole body.
    @param most: how many ranges are allowed.
    @return: an empty list when none can be satisfied or the value is malformed (416);
        C{None} when the whole body is to be sent.
    @note: nginx: ngx_http_range_parse()
    """
    ranges: list[tuple[int, int]] = []
    total = 0
    at = len(b"bytes=")
    while True:
        found = _RANGE.match(value, at)
        if found is None:
            return []
        first, last, suffix, separator = found.groups()
        if any(number and _tooLarge(number) for number in (first, last, suffix)):
            return []
        if suffix is not None:
            start, end = max(length - int(suffix), 0), length
        else:
            start = int(first)
            end = min(int(last) + 1, length) if last else length
        if start < end:
            if len(ranges) == most:
                return None
            ranges.append((start, end))
            total += end - start
        elif start == 0:
            return None
        if not separator:
            break
        at = found.end()
    # Overlapping ranges, and many tiny ones, would make a response that is larger
    # than the whole.
    if len(ranges) > 1 and (
        total > length
        or (most == UNLIMITED and total + 256 * len(ranges) > length + 4096)
    ):
        return None
    return ranges


def _wanted(request: Reply, head: ResponseHead) -> bytes | None:
    """
    The value of Range, if it is to be regarded.
    """
    fields = asked(request)
    value = fields.get(b"range")
    if value is None or len(value) < 7 or value[:6].lower() != b"bytes=":
        return None
    condition = fields.get(b"if-range")
    if condition is None:
        return value
    if len(condition) >= 2 and condition.endswith(b'"'):
        return value if condition == firstValue(head.fields, b"ETag") else None
    modified = head.lastModified
    if modified is None:
        # A server's stays among its fields.
        modified = firstValue(head.fields, b"Last-Modified")
    changed = None if modified is None else parseDate(modified)
    return value if changed is not None and parseDate(condition) == changed else None


def selectRanges(
    request: Reply, head: ResponseHead, most: int = UNLIMITED
) -> list[tuple[int, int]] | None:
    """
    Which parts of a body a client wants; C{head} gets Accept-Ranges, or becomes a 206
    with a Content-Range if it is one part.

    @param head: a 200 whose C{contentLength} is that of the whole body.
    @param most: what C{max_ranges} says.
    @return: C{None}: the whole body.  An empty list: no such part; the caller is to
        fail with 416 and L{unsatisfied}.  Several parts are for L{Multipart}.
    @note: nginx: ngx_http_range_header_filter()
    """
    length = head.contentLength
    if request.version < 10 or head.status != 200 or length is None or most == 0:
        return None
    if request.isFiltered(head):
        return None
    value = _wanted(request, head)
    ranges = None if value is None else parseRanges(value, length, most)
    if ranges is None:
        head.fields += b"\r\nAccept-Ranges: bytes"
        return None
    if not ranges:
        return ranges
    head.status = 206
    head.text = b""
    if len(ranges) == 1:
        start, end = ranges[0]
        head.fields += b"\r\nContent-Range: bytes %d-%d/%d" % (start, end - 1, length)
        head.contentLength = end - start
    return ranges


def unsatisfied(length: int) -> bytes:
    """
    The field that goes with a 416: how many bytes there are.
    """
    return b"\r\nContent-Range: bytes */%d" % length


class Multipart:
    """
    Several parts in one body, as C{multipart/byteranges}.

    @ivar parts: for each part, what stands before it and its (first, last + 1).
    @ivar end: what stands after the last one.
    """

    __slots__ = ("end", "parts")

    def __init__(
        self, head: ResponseHead, ranges: list[tuple[int, int]], number: int
    ) -> None:
        """
        @param head: gets the type and the length of the whole.
        @param number: makes the boundary; should not be in use twice at a time.
        @note: nginx: ngx_http_range_multipart_header()
        """
        length = head.contentLength
        boundary = b"%020d" % number
        typed = b""
        if head.contentType is not None:
            typed = b"Content-Type: %b\r\n" % head.contentType
        self.parts = [
            (
                b"\r\n--%b\r\n%bContent-Range: bytes %d-%d/%d\r\n\r\n"
                % (boundary, typed, start, end - 1, length or 0),
                (start, end),
            )
            for start, end in ranges
        ]
        self.end = b"\r\n--%b--\r\n" % boundary
        head.contentType = b"multipart/byteranges; boundary=" + boundary
        head.contentLength = len(self.end) + sum(
            len(before) + end - start for before, (start, end) in self.parts
        )
