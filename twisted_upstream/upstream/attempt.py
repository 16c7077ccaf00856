"""
What is remembered of each attempt at passing a request, for C{$upstream_*}.

nginx: C{ngx_http_upstream_state_t}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Attempt:
    """
    One attempt.

    @ivar peer: the server's address, or the group's name when none was available.
    @ivar begun: when it began, in seconds.
    @ivar connectTime: seconds until connected; negative: never.
    @ivar headerTime: seconds until the response's head was there; negative: never.
    @ivar responseTime: seconds until the end; negative: it is still under way.
    @ivar queueTime: seconds that it waited before it began, for any server to be
        available; negative: it did not wait.
    @ivar status: the response's, or that of the failure; 0: neither came.
    @ivar responseLength: bytes of body read, framing included.
    @ivar bytesSent: bytes of request sent.
    @ivar bytesReceived: bytes of response read.
    """

    __slots__ = (
        "begun",
        "bytesReceived",
        "bytesSent",
        "connectTime",
        "headerTime",
        "peer",
        "queueTime",
        "responseLength",
        "responseTime",
        "status",
    )

    def __init__(self, peer: bytes, begun: float) -> None:
        self.peer = peer
        self.begun = begun
        self.connectTime = -1.0
        self.headerTime = -1.0
        self.responseTime = -1.0
        self.queueTime = -1.0
        self.status = 0
        self.responseLength = 0
        self.bytesSent = 0
        self.bytesReceived = 0


#: Attempts of one request in order; C{None} separates one passing from the next.
Attempts = Sequence["Attempt | None"]


def joined(attempts: Attempts, text: Callable[[Attempt], bytes]) -> bytes | None:
    """
    Attempts of one passing joined by C{", "}, passings by C{" : "}.
    """
    if not attempts:
        return None
    parts: list[bytes] = []
    separator = b""
    for attempt in attempts:
        if attempt is None:
            separator = b" : "
            continue
        parts += (separator, text(attempt))
        separator = b", "
    return b"".join(parts)


def milliseconds(seconds: float) -> bytes:
    """
    Seconds with three decimals; C{-} for a time that never came.
    """
    return b"-" if seconds < 0 else b"%.3f" % seconds
