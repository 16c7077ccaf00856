"""
C{$upstream_*}: what became of a request at its servers.

nginx: C{ngx_http_upstream_vars}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..balance import persist
from ..variables import Getter, Variables
from . import fields
from .attempt import Attempt, joined, milliseconds


def eachAttempt(text: Callable[[Attempt], bytes]) -> Getter:
    """
    The getter of a variable that has a value for each attempt.
    """
    return lambda request: joined(request.attempts or (), text)


def _status(attempt: Attempt) -> bytes:
    return b"%d" % attempt.status if attempt.status else b"-"


def _nothing(request: Any) -> None:
    """
    What only a cache could tell.
    """


_BUILT_IN: dict[str, Getter] = {
    "upstream_cache_status": _nothing,
    "upstream_cache_last_modified": _nothing,
    "upstream_cache_etag": _nothing,
    "upstream_addr": eachAttempt(lambda a: a.peer),
    "upstream_status": eachAttempt(_status),
    "upstream_queue_time": eachAttempt(lambda a: milliseconds(a.queueTime)),
    "upstream_connect_time": eachAttempt(lambda a: milliseconds(a.connectTime)),
    "upstream_header_time": eachAttempt(lambda a: milliseconds(a.headerTime)),
    "upstream_response_time": eachAttempt(lambda a: milliseconds(a.responseTime)),
    "upstream_response_length": eachAttempt(lambda a: b"%d" % a.responseLength),
    "upstream_bytes_received": eachAttempt(lambda a: b"%d" % a.bytesReceived),
    "upstream_bytes_sent": eachAttempt(lambda a: b"%d" % a.bytesSent),
}


def _named(name: str, block: Callable[[Any], bytes]) -> Getter:
    wire = name.lower().replace("_", "-").encode("utf-8", "surrogateescape")

    def get(request: Any) -> bytes | None:
        found = fields.values(block(request), wire)
        return b", ".join(found) if found else None

    return get


def _cookie(name: str) -> Getter:
    wanted = name.lower().encode("utf-8", "surrogateescape")

    def get(request: Any) -> bytes | None:
        for value in fields.values(request.upstreamFields, b"set-cookie"):
            key, given, rest = value.partition(b"=")
            if given and key.strip(b" ").lower() == wanted:
                return rest.partition(b";")[0].strip(b" ")
        return None

    return get


def addVariables(variables: Variables) -> None:
    """
    Add them all to a table.
    """
    variables.add(_BUILT_IN)
    variables.add(persist.variables)
    variables.addPrefix(
        "upstream_http_", lambda name: _named(name, lambda r: r.upstreamFields)
    )
    variables.addPrefix(
        "upstream_trailer_", lambda name: _named(name, lambda r: r.upstreamTrailers)
    )
    variables.addPrefix("upstream_cookie_", _cookie)
