"""
C{listen} and C{server_name} of C{stream}.

nginx: C{ngx_stream_core_listen()}, C{ngx_stream_core_server_name()}
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.directive import Where
from ..config.syntax import Node
from ..net.listen import ListenLine, parseListen
from ..upstream.listening import listenDirective, serverNameDirective

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
        _checkUDP(node, line)
    return line


def _checkUDP(node: Node, line: ListenLine) -> None:
    """
    Complain of what makes no sense with datagrams.
    """
    options = line.options
    given = {word.partition("=")[0] for word in node.words[1:]}
    for name, isThere in (
        ("fastopen", "fastopen" in given),
        ("backlog", "backlog" in given),
        ("deferred", "deferred" in given),
        ("ssl", "ssl" in given),
        ("so_keepalive", options is not None and bool(options.soKeepalive)),
        ("proxy_protocol", line.proxyProtocol),
    ):
        if isThere:
            raise node.error(
                f'"listen" directive "{name}" parameter is incompatible with "udp"'
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamServerOptions:
    """
    Where a server is found.
    """

    listens: tuple[ListenLine, ...] = listenDirective(Where.STREAM_SERVER, _listen)
    names: tuple[tuple[str, ...], ...] = serverNameDirective(Where.STREAM_SERVER)
