"""
C{set_real_ip_from}: proxies that are believed.

nginx: C{ngx_http_realip_from()}, C{ngx_stream_realip_from()}
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ..config.cidr import Network, parseNetwork

if TYPE_CHECKING:
    from ..config.syntax import Node


def trustedNetworks(node: Node) -> tuple[Network, ...]:
    """
    Read one line: a network, C{unix:}, or a name.
    """
    word = node.words[0]
    try:
        network, meaningless = parseNetwork(word)
    except ValueError:
        return _resolved(node, word)
    if meaningless:
        node.warning(f"low address bits of {word} are meaningless")
    return (network,)


def _resolved(node: Node, name: str) -> tuple[Network, ...]:
    """
    A name stands for the addresses it has when the configuration is read.
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise node.error(
            f'host not found in set_real_ip_from "{name}"', word=0
        ) from None
    addresses = {str(sockaddr[0]) for *_, sockaddr in found}
    return tuple(parseNetwork(address)[0] for address in sorted(addresses))
