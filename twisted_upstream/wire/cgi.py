"""
Heads of responses in the form of CGI: fields alone, where C{Status} is the status
line.  FastCGI, uwsgi and SCGI servers send them; RFC 3875, section 6.

nginx: ngx_http_fastcgi_process_header(), ngx_http_scgi_process_status_line(),
ngx_http_scgi_process_header(); the same two functions of uwsgi
"""

from __future__ import annotations

from .fields import InvalidField, joinFields, readFields
from .response1 import (
    STATUS_LINE,
    HTTP1Response,
    InvalidHead,
    checkRoom,
    firstValues,
    judgeFields,
    mayBecomeStatusLine,
)


def parseResponse(
    data: bytes, limit: int, *, statusLine: bool = False
) -> HTTP1Response | None:
    """
    Find a response's head in the bytes received.

    @param limit: bytes that a head may have.
    @param statusLine: may a status line of HTTP come first?
    @return: C{None} when more bytes are needed.  The connection ends after it: its
        C{close} says so.
    @raise InvalidHead: the response cannot be used.
    """
    head = data[:limit]
    start = status = 0
    text = b""
    if statusLine:
        line = STATUS_LINE.match(head)
        if line is not None:
            start, status, text = line.end(), int(line[4]), line[3]
        elif mayBecomeStatusLine(head):
            checkRoom(head, limit)
            return None
    try:
        found = readFields(head, start, fromServer=True)
    except InvalidField as e:
        raise InvalidHead(f'upstream sent invalid header: "{e.shown}"') from None
    if found is None:
        checkRoom(head, limit)
        return None
    fields, end = found
    response = HTTP1Response(10, status, text, b"", end)
    fields = judgeFields(response, fields)
    response.fields = joinFields(fields)
    response.values = firstValues(fields)
    if not status:
        _readStatus(response)
    return response


def _readStatus(response: HTTP1Response) -> None:
    """
    The status that the fields say.

    @raise InvalidHead: it is no number.
    """
    value = response.values.get(b"status")
    if value is not None:
        if not value[:3].isdigit() or len(value) < 3:
            shown = value.decode("utf-8", "surrogateescape")
            raise InvalidHead(f'upstream sent invalid status "{shown}"')
        response.status = int(value[:3])
        if len(value) > 3:
            response.text = value
    elif b"location" in response.values:
        response.status = 302
        response.text = b"302 Moved Temporarily"
    else:
        response.status = 200
        response.text = b"200 OK"
