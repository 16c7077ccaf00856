"""
The variables of stream.

nginx: C{ngx_stream_variables.c}, C{ngx_stream_upstream.c}
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from ..balance import persist
from ..net.sockaddr import addressText
from ..upstream.attempt import milliseconds
from ..upstream.variables import eachAttempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..variables import Getter, Variables
    from ..wire.client_hello import ClientHello


def _text(sockaddr: Any) -> bytes:
    return addressText(sockaddr).encode("utf-8", "surrogateescape")


def _port(sockaddr: Any) -> bytes:
    return b"%d" % sockaddr[1] if isinstance(sockaddr, tuple) else b""


_HOSTNAME = socket.gethostname().lower().encode()

_BUILT_IN: dict[str, Getter] = {
    "protocol": lambda s: s.protocol,
    "status": lambda s: b"%03d" % s.status,
    "bytes_sent": lambda s: b"%d" % s.bytesSent,
    "bytes_received": lambda s: b"%d" % s.bytesReceived,
    "session_time": lambda s: b"%.3f" % max(0.0, s.served.seconds() - s.begun),
    "connection": lambda s: b"%d" % s.number,
    "remote_addr": lambda s: _text(s.peer),
    "remote_port": lambda s: _port(s.peer),
    "binary_remote_addr": lambda s: s.address,
    "server_addr": lambda s: _text(s.hostName),
    "server_port": lambda s: _port(s.hostName),
    "server_name": lambda s: s.server.name.encode("utf-8", "surrogateescape"),
    "pid": lambda s: b"%d" % os.getpid(),
    "hostname": lambda s: _HOSTNAME,
    "nginx_version": lambda s: b"1.31.5",
    "realip_remote_addr": lambda s: _text(s.connectionPeer),
    "realip_remote_port": lambda s: _port(s.connectionPeer),
    "time_local": lambda s: s.served.timeLocal(),
    "time_iso8601": lambda s: s.served.timeISO(),
    "msec": lambda s: b"%.3f" % s.served.wallClock(),
    "upstream_addr": eachAttempt(lambda a: a.peer),
    "upstream_connect_time": eachAttempt(lambda a: milliseconds(a.connectTime)),
    "upstream_first_byte_time": eachAttempt(lambda a: milliseconds(a.headerTime)),
    "upstream_session_time": eachAttempt(lambda a: milliseconds(a.responseTime)),
    "upstream_bytes_sent": eachAttempt(lambda a: b"%d" % a.bytesSent),
    "upstream_bytes_received": eachAttempt(lambda a: b"%d" % a.bytesReceived),
}


def tlsOf(session: Any) -> Any:
    """
    What is known of a client's TLS; C{None}: it has none.
    """
    return None if getattr(session, "gate", None) is None else session


def _preread(describe: Callable[[ClientHello], bytes | None]) -> Getter:
    def get(session: Any) -> bytes | None:
        hello: ClientHello | None = getattr(session, "preread", None)
        return None if hello is None else describe(hello)

    return get


PREREAD_VARIABLES: dict[str, Getter] = {
    "ssl_preread_protocol": _preread(lambda hello: hello.protocolName.encode()),
    "ssl_preread_server_name": _preread(lambda hello: hello.serverName or b""),
    "ssl_preread_alpn_protocols": _preread(lambda hello: b",".join(hello.protocols)),
}


def addVariables(variables: Variables) -> None:
    """
    Add them all to a table.
    """
    variables.add(_BUILT_IN)
    variables.add(persist.variables)
