"""
TLS of one session with a server.

nginx: C{ngx_stream_proxy_ssl_init_connection()}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..upstream.tls import UpstreamTLS
from .tls_options import StreamUpstreamTLSOptions

if TYPE_CHECKING:
    from ..config.build import Block
    from ..net.dialer import SocketDialer
    from ..tls.build import TLSBuild
    from ..variables import Value
    from .session import Session

_MOST_NAME = 255


class StreamUpstreamTLS:
    """
    The C{proxy_ssl_*} of one server.
    """

    def __init__(
        self, block: Block, tls: TLSBuild, protocolNames: Sequence[Value]
    ) -> None:
        """
        @param protocolNames: values of C{proxy_ssl_alpn}.
        @raise ConfigError: a file cannot be used, or OpenSSL refuses a setting.
        """
        self._tls = UpstreamTLS(block, "proxy", tls, StreamUpstreamTLSOptions)
        self._protocolNames = protocolNames

    def secure(
        self,
        session: Session,
        host: bytes,
        group: bytes,
        dialer: SocketDialer,
        *,
        header: bytes,
        timeout: float,
    ) -> Callable[..., Any] | None:
        """
        What goes on with a connected socket.

        @param host: what C{proxy_pass} names.
        @param header: sent before the handshake.
        @param timeout: seconds that the handshake may take.
        @return: C{None}: it cannot be said who is wanted, which was logged.
        """
        names = tuple(value(session) for value in self._protocolNames)
        identity = self._tls.identity(
            session,
            host,
            group,
            tuple(name for name in names if 0 < len(name) <= _MOST_NAME),
        )
        if identity is None:
            return None
        return self._tls.secure(
            identity, dialer.reactor, dialer.deadlines, header=header, timeout=timeout
        )
