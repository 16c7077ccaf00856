"""
FastCGI records: the frames of requests, and a reader of what comes back.

nginx: ngx_http_fastcgi_create_request(), ngx_http_fastcgi_process_record()
"""

from __future__ import annotations

BEGIN_REQUEST = 1
END_REQUEST = 3
PARAMS = 4
STDIN = 5
STDOUT = 6
STDERR = 7

#: Bytes that one record can carry.
MOST_CONTENT = 65535

#: Bytes of a body in one record: nginx's size, too.
_PIECE = 32 * 1024

_HEAD = 8


class InvalidRecord(Exception):
    """
    What came is no record of ours.  The text is for the error log.
    """


def beginRequest(keep: bool) -> bytes:
    """
    The record that begins a request to a responder.

    @param keep: may the server leave the connection open?
    """
    return b"\1\1\0\1\0\x08\0\0\0\1%b\0\0\0\0\0" % (b"\1" if keep else b"\0")


def record(kind: int, content: bytes) -> bytes:
    """
    One record, padded to a multiple of eight bytes.

    @param content: at most L{MOST_CONTENT} bytes.
    """
    size = len(content)
    padding = -size % 8
    return b"\1%c\0\1%b%c\0%b%b" % (
        kind,
        size.to_bytes(2, "big"),
        padding,
        content,
        bytes(padding),
    )


def encodePair(name: bytes, value: bytes) -> bytes:
    """
    One parameter.
    """
    return b"%b%b%b%b" % (_size(len(name)), _size(len(value)), name, value)


def _size(number: int) -> bytes:
    if number < 128:
        return b"%c" % number
    return (number | 0x80000000).to_bytes(4, "big")


def encodeParams(pairs: bytes) -> bytes:
    """
    All parameters in one record, and the empty one that ends them.

    @param pairs: at most L{MOST_CONTENT} bytes.
    """
    return record(PARAMS, pairs) + record(PARAMS, b"")


def encodeBody(data: bytes, last: bool) -> bytes:
    """
    Bytes of a body in records.

    @param last: end the body.
    """
    pieces = [
        record(STDIN, data[at : at + _PIECE]) for at in range(0, len(data), _PIECE)
    ]
    if last:
        pieces.append(record(STDIN, b""))
    return b"".join(pieces)


class RecordReader:
    """
    Takes records apart, cut anywhere.

    @ivar kind: the type of the record that L{next} has found content of.
    @ivar begin: where that content begins in the data.
    @ivar end: where it ends; equal to C{begin}: the record is empty.
    @ivar left: bytes of the record's content that have not come.
    @ivar unread: bytes of padding that have not come.
    """

    __slots__ = ("_head", "begin", "end", "kind", "left", "unread")

    def __init__(self) -> None:
        self._head = b""
        self.kind = 0
        self.begin = self.end = self.left = self.unread = 0

    def next(self, data: bytes, position: int) -> int:
        """
        Find the next piece of content.

        @return: where to go on; or -1: the data is used up, and there was none.
        @raise InvalidRecord: this is no answer to our request.
        """
        if not self.left:
            count = len(data)
            if self.unread:
                skipped = min(self.unread, count - position)
                position += skipped
                self.unread -= skipped
            missing = _HEAD - len(self._head)
            head = self._head + data[position : position + missing]
            _check(head)
            if len(head) < _HEAD:
                self._head = head
                return -1
            position += missing
            self._head = b""
            self.kind = head[1]
            self.left = head[4] << 8 | head[5]
            self.unread = head[6]
            if not self.left:
                self.begin = self.end = position
                return position
        if position >= len(data):
            return -1
        self.begin = position
        self.end = min(position + self.left, len(data))
        self.left -= self.end - position
        return self.end

    def giveBack(self, count: int) -> None:
        """
        The last C{count} bytes of the piece will be read once more, from the position
        before them.
        """
        self.left += count


def _check(head: bytes) -> None:
    """
    Refuse as much of a record's head as has come.
    """
    if head and head[0] != 1:
        raise InvalidRecord(
            f"upstream sent unsupported FastCGI protocol version: {head[0]}"
        )
    if len(head) > 1 and head[1] not in (STDOUT, STDERR, END_REQUEST):
        raise InvalidRecord(f"upstream sent invalid FastCGI record type: {head[1]}")
    if len(head) > 2 and head[2] != 0:
        raise InvalidRecord(
            f"upstream sent unexpected FastCGI request id high byte: {head[2]}"
        )
    if len(head) > 3 and head[3] != 1:
        raise InvalidRecord(
            f"upstream sent unexpected FastCGI request id low byte: {head[3]}"
        )
