"""
Smooth weighted round robin: the method of groups that name no other.

nginx: C{ngx_http_upstream_init_round_robin()},
C{ngx_http_upstream_init_round_robin_peer()}
"""

from __future__ import annotations

from zope.interface import implementer

from ..interfaces import IClient, IPeerInit
from .getter import PeerGetter
from .peers import Peers


@implementer(IPeerInit)
class RoundRobin:
    """
    A group's servers in turn, each as often as its weight says, well mixed.
    """

    __slots__ = ("_peers",)

    _peers: Peers

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        self._peers = peers

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.  The getter stays with the generation it began with.
        """
        return PeerGetter(self._peers)
