"""
C{listen} and C{server_name} of C{stream}.

nginx: C{ngx_stream_core_listen()}, C{ngx_stream_core_server_name()}
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.directive import Where, directive, words
from ..config.syntax import Node
from ..net.listen import ListenLine, parseListen

_FLAGS = {
    "default_server": "isDefault",
    "proxy_protocol": "proxyProtocol",
    "udp": "udp",
    "ssl": "tls",
}


def _listen(node: Node) -> ListenLine:
    line = parseListen(node, 0, _FLAGS, {})
    for sockaddr in line.sockaddrs:
        if isinstance(sockaddr, tuple) and not sockaddr[1]:
            raise node.error(
                f'no port in "{node.words[0]}" of the "listen" directive', word=0
            )
    if line.udp:
        raise node.error('the "udp" parameter is not supported yet')
    return line


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamServerOptions:
    """
    Where a server is found.
    """

    listens: tuple[ListenLine, ...] = directive(
        "listen",
        Where.STREAM_SERVER,
        _listen,
        arity=(1, None),
        repeat=True,
        default=(),
        doc="An address, and options of its socket.",
    )
    names: tuple[tuple[str, ...], ...] = directive(
        "server_name",
        Where.STREAM_SERVER,
        words,
        arity=(1, None),
        repeat=True,
        default=(),
        doc="Names: exact, *.name, name.*, .name or ~expression.",
    )
