"""
The head of a response, whoever made it: a server, a file, C{return}.

Fields are kept as one block of bytes in which B{each field carries the CRLF before
it} (C{b"\\r\\nETag: x\\r\\nVary: y"}): editing is one anchored regular expression, and
a finished head is a concatenation.
"""

from __future__ import annotations

from collections.abc import Mapping

#: The values of a protocol without fields.
_NONE: Mapping[bytes, bytes] = {}


class ResponseHead:
    """
    What is known of a response before its body.

    @ivar status: the status code, 100-999.
    @ivar text: status code and reason as they go on the wire (C{b"200 OK"}); empty:
        nginx's own text for C{status}.
    @ivar fields: the fields that have no attribute of their own, in order, each with
        the CRLF before it.
    @ivar consumed: how many bytes of the received data the head took.
    @ivar contentLength: bytes of body to come; C{None} when only the end of the
        connection or a chunked framing tells.
    @ivar contentType: value of Content-Type; C{None}: the field is absent.
    @ivar location: value of a Location that was made or rewritten here, and which
        C{absolute_redirect} may complete; others stay in C{fields}.
    @ivar lastModified: value of Last-Modified of content of our own.
    @ivar server: value of Server; C{None}: ours; empty: no such field.
    @ivar date: value of Date; C{None}: the current time; empty: no such field.
    @ivar upgrade: the server switches protocols (101), as it was asked to.
    @ivar values: the first value of each field, by name in lower case, where the
        protocol has fields.
    @ivar bare: there is no head at all: the bytes are the body (HTTP/0.9).
    @ivar noBody: a body is announced but not sent (answer to HEAD, 204, 304).
    """

    __slots__ = (
        "bare",
        "consumed",
        "contentLength",
        "contentType",
        "date",
        "fields",
        "lastModified",
        "location",
        "noBody",
        "server",
        "status",
        "text",
        "upgrade",
        "values",
    )

    def __init__(
        self,
        status: int,
        fields: bytes = b"",
        consumed: int = 0,
        contentLength: int | None = None,
        text: bytes = b"",
        contentType: bytes | None = None,
    ) -> None:
        self.status = status
        self.fields = fields
        self.consumed = consumed
        self.contentLength = contentLength
        self.text = text
        self.contentType = contentType
        self.location: bytes | None = None
        self.lastModified: bytes | None = None
        self.server: bytes | None = None
        self.date: bytes | None = None
        self.upgrade = False
        self.noBody = False
        self.bare = False
        self.values: Mapping[bytes, bytes] = _NONE
