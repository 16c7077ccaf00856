"""
C{listen} and C{server_name}, and the addresses that servers are found at.

nginx: C{ngx_http_core_listen()}, C{ngx_http_core_server_name()}
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ..config.directive import Where
from ..config.syntax import Node
from ..net.listen import ListenLine, parseListen
from ..upstream.listening import (
    ListeningAddress,
    listenDirective,
    serverNameDirective,
)
from ..wire.http1 import HeadLimits
from ..wire.proxy_protocol import readProxyHeader
from .factory import HTTPServerFactory
from .options import ConnectionOptions
from .routing import Address, Server

_UNSUPPORTED = {
    "http2": "ngx_http_v2_module",
    "quic": "ngx_http_v3_module",
}


_FLAGS = {
    "default_server": "isDefault",
    "default": "isDefault",
    "proxy_protocol": "proxyProtocol",
    "ssl": "tls",
}


def defaultPort() -> int:
    """
    Where servers without C{listen} are found.
    """
    return 80 if os.geteuid() == 0 else 8000


def _listen(node: Node) -> ListenLine:
    return parseListen(node, 80, _FLAGS, _UNSUPPORTED)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions:
    """
    Where a server is found.
    """

    listens: tuple[ListenLine, ...] = listenDirective(Where.SERVER, _listen)
    names: tuple[tuple[str, ...], ...] = serverNameDirective(Where.SERVER)


def headLimits(options: ConnectionOptions) -> HeadLimits:
    """
    Limits of requests' heads.
    """
    count, each = options.largeBuffers
    return HeadLimits(
        headerBufferSize=options.headerBufferSize,
        largeBufferCount=count,
        largeBufferSize=each,
        maxHeaders=options.maxHeaders,
        ignoreInvalidHeaders=options.ignoreInvalidHeaders,
        underscoresInHeaders=options.underscoresInHeaders,
        mergeSlashes=options.mergeSlashes,
    )


class Socket(ListeningAddress[Server]):
    """
    A listening address of http.
    """

    address: Address

    def expectProxyHeaders(self) -> None:
        """
        Connections begin with a PROXY header.
        """
        self.address.proxyProtocol = readProxyHeader

    def makeFactory(self, served: Any) -> HTTPServerFactory:
        """
        What makes the protocols of its connections.
        """
        return HTTPServerFactory(served, self.address)
