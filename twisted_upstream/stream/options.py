"""
The directives of nginx's stream core.

nginx: C{ngx_stream_core_module.c}
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.directive import (
    Where,
    directive,
    flag,
    nothing,
    seconds,
    size,
)

#: Where nearly everything of stream may stand.
STREAM = Where.STREAM | Where.STREAM_SERVER


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamBlockOptions:
    """
    The blocks of stream.
    """

    stream: bool = directive(
        "stream",
        Where.MAIN,
        nothing,
        default=False,
        opens=Where.STREAM,
        doc="Everything about TCP and UDP.",
    )
    server: tuple[bool, ...] = directive(
        "server",
        Where.STREAM,
        nothing,
        repeat=True,
        default=(),
        opens=Where.STREAM_SERVER,
        doc="A virtual server.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamOptions:
    """
    What counts for every session of a server.
    """

    proxyProtocolTimeout: float = directive(
        "proxy_protocol_timeout",
        STREAM,
        seconds,
        default=30.0,
        doc="How long a client may take to send its PROXY header.",
    )
    tcpNodelay: bool = directive(
        "tcp_nodelay",
        STREAM,
        flag,
        default=True,
        doc="Send small packets at once, to clients and to servers.",
    )
    prereadBufferSize: int = directive(
        "preread_buffer_size",
        STREAM,
        size,
        default=16384,
        doc="How much of what a client says is looked at before a server is chosen.",
    )
    prereadTimeout: float = directive(
        "preread_timeout",
        STREAM,
        seconds,
        default=30.0,
        doc="How long looking at what a client says may take.",
    )
