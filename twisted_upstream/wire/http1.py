"""
Heads of HTTP/1 requests.

A head that is written as everybody writes heads is validated and taken apart by one
regular expression.  All others - bare LF, odd spaces, names to drop, limits that are
near, anything wrong - are read line by line, refused with the status and the words that
nginx has for them, or brought into the same form.

nginx: ngx_http_process_request_line(), ngx_http_process_request_headers()
"""

from __future__ import annotations

import re

from .fields import firstValue, parseLength
from .host import splitHost
from .line_by_line import readHead
from .request_head import BadRequest, HeadLimits, RequestHead, matchLine
from .uri import BadURI, normalizePath

__all__ = ["BadRequest", "HeadLimits", "RequestHead", "parseRequest"]

# The fields that say something about the message, and those that may stand only once,
# in lower case.  The first letters stand apart because that is fast; the strange names
# that this lets in do no harm.  A name of nothing is a LF that ends no line.
_findSpecial = re.compile(
    rb"\n(?:(?<!\r\n)|([acehiptu](?:ost|on(?:nection|tent-(?:length|range))"
    rb"|ransfer-encoding|xpect|pgrade|uthorization|roxy-authorization"
    rb"|f-(?:modified-since|unmodified-since|match|none-match|range))): ([^\r\n]*+))"
).findall

#: Methods that have rules of their own.
_ODD_METHODS = frozenset((b"CONNECT", b"TRACE"))

_matchEmptyLines = re.compile(rb"[\r\n]*+").match

#: So many hosts are remembered; then all are forgotten.
_MAX_HOSTS = 1024
#: Longer ones are not.
_MAX_NAME = 256


def parseRequest(
    data: bytes, limits: HeadLimits, start: int = 0, last: RequestHead | None = None
) -> RequestHead | None:
    """
    Find a request's head in the bytes received.

    Empty lines before it are skipped.  Who waits for more bytes may drop them.

    @param start: where to begin.
    @param last: of the request before it on the same connection, read with the same
        C{limits}: fields that are repeated need not be read again.
    @return: C{None} when more bytes are needed.
    @raise BadRequest: the request is refused; C{data} may have more than it.
    """
    again = None
    # Where the target names a host, the fields are not all that counts.
    if last is not None and last.target == last.path:
        match = _matchAgain(data, start, last.fields)
        if match is not None:
            again = last
            fields = last.fields
            end = len(data)
            requestLine, method, target, uri, args, minor = match.groups()
    if again is None:
        match = limits.match(data, start)
        if match is None:
            return _readOdd(data, limits, start)
        end = match.end()
        requestLine, method, target, uri, args, minor, fields = match.groups()
        if 0 in fields:
            return _readOdd(data, limits, start)
    if end - start > limits.safeSize or method in _ODD_METHODS:
        return _readOdd(data, limits, start)
    if uri is None:
        # A path to decode: what cannot be decoded is refused there.
        try:
            uri, args = normalizePath(target, limits.mergeSlashes)
        except BadURI:
            return _readOdd(data, limits, start)
        quoted = b"%" in target.partition(b"?")[0].partition(b"#")[0]
    else:
        quoted = False
        if args is None:
            args = b""
    version = 11 if minor == b"1" else 10
    head = RequestHead(
        method, target, target, uri, args, quoted, version, requestLine, fields, end
    )
    if again is not None and again.version == version:
        head.host = again.host
        head.port = again.port
        head.contentLength = again.contentLength
        head.chunked = again.chunked
        head.keepalive = again.keepalive
        head.expectContinue = again.expectContinue
        head.upgrade = again.upgrade
    elif not _readSpecial(head, limits):
        return _readOdd(data, limits, start)
    return head


def _matchAgain(data: bytes, start: int, fields: bytes) -> re.Match[bytes] | None:
    """
    The request line, if behind it are just these fields, and nothing more.
    """
    end = len(data) - 4
    if data.endswith(fields, start, end) and data.endswith(b"\r\n\r\n"):
        return matchLine(data, start, end - len(fields))
    return None


def _readSpecial(head: RequestHead, limits: HeadLimits) -> bool:
    """
    Read the fields that say something about the message.

    @return: C{False}: something is odd or wrong.
    """
    fields = head.fields
    version = head.version
    keepalive = version == 11
    host = contentLength = seen = None
    for name, value in _findSpecial(fields.lower()):
        if name == b"host":
            if host is not None:
                return False
            known = limits.hosts.get(value)
            if known is None:
                known = splitHost(value)
                if known is None:
                    return False
                if len(limits.hosts) >= _MAX_HOSTS:
                    limits.hosts.clear()
                if len(value) < _MAX_NAME:
                    limits.hosts[value] = known
            host, head.port = known
            head.host = host
        elif name == b"connection":
            # The last field that says something counts.
            if b"close" in value:
                keepalive = False
            elif b"keep-alive" in value:
                keepalive = True
        elif name == b"upgrade":
            if head.upgrade is None:
                # Not the one in lower case.
                head.upgrade = firstValue(fields, name)
        else:
            if not name:
                return False
            if seen is None:
                seen = {name}
            elif name in seen:
                return False
            else:
                seen.add(name)
            if name == b"content-length":
                contentLength = head.contentLength = parseLength(value)
                if contentLength is None:
                    return False
            elif name == b"transfer-encoding":
                head.chunked = True
                if value != b"chunked" or version == 10:
                    return False
            elif name == b"expect":
                head.expectContinue = value == b"100-continue" and version == 11
    head.keepalive = keepalive
    return not (
        (head.chunked and contentLength is not None) or (host is None and version == 11)
    )


def _readOdd(data: bytes, limits: HeadLimits, start: int) -> RequestHead | None:
    """
    The same as L{parseRequest}, for a head that is odd, wrong or not complete.
    """
    match = _matchEmptyLines(data, start)
    assert match is not None, "the pattern matches nothing, too"
    if match.end() > start:
        return parseRequest(data, limits, match.end())
    return readHead(data, limits, start)
