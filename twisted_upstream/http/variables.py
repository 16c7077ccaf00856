"""
The variables of http that belong to connections, requests and responses.

nginx: C{ngx_http_variables.c}, C{ngx_http_log_module.c}
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from typing import Any

from ..net.sockaddr import addressText
from ..variables import Getter, Variables
from ..wire.cookies import cookieFinder
from .phases.gzip import gzipRatio
from .phases.ssi import dateVariable


def _port(sockaddr: Any) -> bytes:
    return b"%d" % sockaddr[1] if isinstance(sockaddr, tuple) else b""


def field(fields: bytes, name: bytes, separator: bytes = b", ") -> bytes | None:
    """
    The value of a field in a block; several are joined.

    @param name: lower case, with underscores for what is no letter or digit.
    """
    pattern = re.escape(name).replace(b"_", b"[-_]")
    found = re.findall(rb"\r\n%b:[ \t]*([^\r]*)" % pattern, fields, re.I)
    if not found:
        return None
    value: bytes = separator.join(each.rstrip(b" \t") for each in found)
    return value


def fieldGetter(name: bytes, block: Callable[[Any], bytes]) -> Getter:
    """
    The getter of one field: compiled once.

    @param name: as the variable has it, with underscores.
    @param block: takes a request, answers the block of fields.
    """
    pattern = re.escape(name.lower()).replace(b"_", b"[-_]")
    find = re.compile(rb"\r\n%b:[ \t]*([^\r]*)" % pattern, re.I).findall
    separator = b"; " if name.lower() == b"cookie" else b", "

    def get(request: Any) -> bytes | None:
        found = find(block(request))
        if not found:
            return None
        return separator.join([each.rstrip(b" \t") for each in found])

    return get


def argument(args: bytes, name: bytes) -> bytes | None:
    """
    The first argument of that name, in any case.  nginx: C{ngx_http_arg()}.
    """
    lower = name.lower()
    for part in args.split(b"&"):
        key, given, value = part.partition(b"=")
        if given and key.lower() == lower:
            return value
    return None


def _cookie(name: str) -> Getter:
    find = cookieFinder(name.encode("utf-8", "surrogateescape"))
    return lambda request: find(request.head.fields)


def _host(request: Any) -> bytes:
    if request.host is not None:
        host: bytes = request.host
        return host
    name: str = request.server.name
    return name.encode("utf-8", "surrogateescape")


def _requestTime(request: Any) -> bytes:
    return b"%.3f" % max(0.0, request.connection.factory.seconds() - request.begun)


def _status(request: Any) -> bytes:
    return b"%03d" % (request.errorStatus or request.status or request.plannedStatus)


def _basicUser(request: Any) -> bytes | None:
    import base64
    import binascii

    value = field(request.head.fields, b"authorization")
    if value is None or value[:6].lower() != b"basic ":
        return None
    try:
        text = base64.b64decode(value[6:].strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, given, _ = text.partition(b":")
    return user if given else None


def _forwarded(request: Any) -> bytes:
    before = field(request.head.fields, b"x-forwarded-for")
    address: bytes = request.addressText
    return address if before is None else before + b", " + address


def _contentLength(request: Any) -> bytes | None:
    length = request.head.contentLength
    if length is None and request.body is not None and request.body.begun:
        length = request.body.size
    return None if length is None else b"%d" % length


def _requestLength(request: Any) -> bytes:
    size = request.head.consumed or len(request.requestLine)
    if request.body is not None:
        size += request.body.wireSize
    return b"%d" % size


def _sent(request: Any, name: str) -> bytes | None:
    head = request.responseHead
    if head is None:
        return None
    if name == "content_type":
        value: bytes | None = head.contentType
        return value
    if name == "content_length":
        length = head.contentLength
        return None if length is None else b"%d" % length
    if name == "location":
        place: bytes | None = head.location
        return place if place is not None else field(head.fields, b"location")
    if name == "last_modified":
        modified: bytes | None = head.lastModified
        if modified is not None:
            return modified
    if name == "connection":
        if head.upgrade:
            return b"upgrade"
        return b"keep-alive" if request.keepalive else b"close"
    if name == "keep_alive":
        said: bytes = request.location.keepaliveHeader
        return said.partition(b": ")[2] or None if request.keepalive else None
    if name == "transfer_encoding":
        return b"chunked" if request.chunked else None
    return field(head.fields, name.encode("utf-8", "surrogateescape").lower())


def _realRoot(request: Any) -> bytes | None:
    try:
        root: bytes = request.location.documentRoot(request)
        return os.path.realpath(root, strict=True)
    except (OSError, ValueError) as e:
        request.logError("crit", "realpath() failed", getattr(e, "errno", 0) or 0)
        return None


def _setArgs(request: Any, value: bytes) -> None:
    request.args = value
    request.validUnparsed = False


def _limitRate(request: Any) -> bytes:
    rate = request.limitRate
    return b"%d" % (request.location.ownRate(request) if rate is None else rate)


def _setLimitRate(request: Any, value: bytes) -> None:
    request.setLimitRate(value)


def _requestId(request: Any) -> bytes:
    """
    C{$request_id}: sixteen random bytes, the same for all parts of one response.
    """
    notes: dict[Any, bytes] = request.main.notes
    found = notes.get("request_id")
    if found is None:
        found = notes["request_id"] = os.urandom(16).hex().encode()
    return found


_HOSTNAME = socket.gethostname().lower().encode()

_BUILT_IN: dict[str, Getter] = {
    "args": lambda r: r.args or None,
    "query_string": lambda r: r.args or None,
    "is_args": lambda r: b"?" if r.args else b"",
    "uri": lambda r: r.uri,
    "document_uri": lambda r: r.uri,
    "request": lambda r: r.requestLine or None,
    "request_uri": lambda r: r.target,
    "request_method": lambda r: r.method or None,
    "request_body": lambda r: None if r.body is None else r.body.value,
    "request_completion": lambda r: b"OK" if r._ended else b"",
    "request_length": _requestLength,
    "request_time": _requestTime,
    "scheme": lambda r: b"https" if r.isSecure else b"http",
    "https": lambda r: b"on" if r.isSecure else b"",
    "host": _host,
    "server_name": lambda r: r.server.name.encode("utf-8", "surrogateescape"),
    "server_addr": lambda r: r.connection.hostText,
    "server_port": lambda r: b"%d" % r.connection.hostPort,
    "server_protocol": lambda r: {9: b"HTTP/0.9", 10: b"HTTP/1.0"}.get(
        r.version, b"HTTP/1.1"
    ),
    "remote_addr": lambda r: r.addressText,
    "remote_port": lambda r: _port(r.peer),
    "remote_user": _basicUser,
    "binary_remote_addr": lambda r: r.address,
    "realip_remote_addr": lambda r: addressText(r.connection.peer).encode(),
    "realip_remote_port": lambda r: _port(r.connection.peer),
    "connection": lambda r: b"%d" % r.connection.number,
    "connection_requests": lambda r: b"%d" % r.connection.requests,
    "connection_time": lambda r: (
        b"%.3f" % (r.connection.factory.seconds() - r.connection.made)
    ),
    "content_length": _contentLength,
    "content_type": lambda r: field(r.head.fields, b"content-type"),
    "document_root": lambda r: r.location.documentRoot(r),
    "realpath_root": _realRoot,
    "request_filename": lambda r: r.location.filename(r),
    "request_port": lambda r: r.requestPort or None,
    "is_request_port": lambda r: b":" if r.requestPort else b"",
    "status": _status,
    "bytes_sent": lambda r: b"%d" % r.bytesSent,
    "body_bytes_sent": lambda r: b"%d" % r.bodySent,
    "time_local": lambda r: r.connection.factory.served.timeLocal(),
    "time_iso8601": lambda r: r.connection.factory.served.timeISO(),
    "msec": lambda r: b"%.3f" % r.connection.factory.served.wallClock(),
    "pid": lambda r: b"%d" % os.getpid(),
    "pipe": lambda r: b"p" if r.pipelined else b".",
    "hostname": lambda r: _HOSTNAME,
    "nginx_version": lambda r: b"1.31.5",
    "limit_rate": _limitRate,
    "gzip_ratio": gzipRatio,
    "request_id": _requestId,
    "date_local": lambda r: dateVariable(r, gmt=False),
    "date_gmt": lambda r: dateVariable(r, gmt=True),
    "request_body_file": lambda r: None if r.body is None else r.body.path,
    "proxy_add_x_forwarded_for": _forwarded,
}


def addVariables(variables: Variables) -> None:
    """
    Add them all to a table.
    """
    variables.add(_BUILT_IN)
    variables.addSetter("args", _setArgs)
    variables.addSetter("limit_rate", _setLimitRate)
    variables.addPrefix(
        "http_",
        lambda name: fieldGetter(name.encode(), lambda request: request.head.fields),
    )
    variables.addPrefix("sent_http_", lambda name: lambda r: _sent(r, name.lower()))
    variables.addPrefix(
        "sent_trailer_", lambda name: fieldGetter(name.encode(), lambda r: r.trailers)
    )
    variables.addPrefix("arg_", lambda name: lambda r: argument(r.args, name.encode()))
    variables.addPrefix("cookie_", _cookie)
