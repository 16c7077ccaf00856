"""
C{allow} and C{deny}: whose address may come in.

nginx: C{ngx_http_access_module.c}, C{ngx_stream_access_module.c}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .cidr import Network, parseNetwork, unmapped

if TYPE_CHECKING:
    from .syntax import Node


@dataclass(frozen=True, slots=True)
class AccessRule:
    """
    One C{allow} or C{deny}.

    @ivar network: C{None} for C{all}.
    """

    deny: bool
    network: Network | None


def parseAccessRule(node: Node) -> AccessRule:
    """
    Read one line.

    nginx: ngx_http_access_rule()
    """
    word = node.words[0]
    deny = node.name == "deny"
    if word == "all":
        return AccessRule(deny, None)
    try:
        network, meaningless = parseNetwork(word)
    except ValueError:
        raise node.error(f'invalid parameter "{word}"', word=0) from None
    if meaningless:
        node.warning(f"low address bits of {word} are meaningless")
    return AccessRule(deny, network)


def verdict(rules: tuple[AccessRule, ...], address: bytes) -> bool | None:
    """
    May a client with this address in?

    @param address: in network order; empty for a unix socket.
    @return: C{None} when no rule says.

    nginx: ngx_http_access_handler()
    """
    address = unmapped(address)
    for rule in rules:
        if rule.network is None or rule.network.contains(address):
            return not rule.deny
    return None
