"""
C{listen} and C{server_name}.

nginx: C{ngx_http_core_listen()}, C{ngx_http_core_server_name()}
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..config.directive import Where, directive, words
from ..config.syntax import Node
from ..net.listen import ListenLine, parseListen

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

    listens: tuple[ListenLine, ...] = directive(
        "listen",
        Where.SERVER,
        _listen,
        arity=(1, None),
        repeat=True,
        default=(),
        doc="An address, and options of its socket.",
    )
    names: tuple[tuple[str, ...], ...] = directive(
        "server_name",
        Where.SERVER,
        words,
        arity=(1, None),
        repeat=True,
        default=(),
        doc="Names: exact, *.name, name.*, .name or ~expression.",
    )
