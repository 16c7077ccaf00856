"""
A group of servers: its members, the method of choosing among them, and its idle
connections.

nginx: C{ngx_http_upstream_srv_conf_t}, C{ngx_http_upstream_rr_peers_t}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..balance.layers import Layer
from ..balance.peer import Peer
from ..balance.peers import Peers
from ..interfaces import IPeerInit
from .group_options import UpstreamOptions
from .keepalive import KeepaliveCache
from .server_line import ServerLine
from .watch import WatchedServer

if TYPE_CHECKING:
    from .connection import UpstreamProtocol

_Layer = TypeVar("_Layer", bound=Layer)


class UpstreamGroup:
    """
    A group of servers.

    @ivar host: its name.
    @ivar port: the port that a C{*_pass} must name to mean it; 0: none.
    @ivar explicit: is it an C{upstream{}}?
    @ivar peers: the current generation.
    @ivar initPeer: begins a request: the balancer's own method.
    @ivar cache: idle connections, or C{None}.
    @ivar makePeers: takes a L{ServerLine}, and makes the peers that it stands for, one
        for each address; raises L{ConfigError}.  For groups that are C{explicit}.
    @ivar gone: attempts at servers that have left since.
    @ivar zone: the name of its memory.
    @ivar watched: servers whose names are watched.
    """

    makePeers: Callable[[ServerLine], list[Peer]]

    __slots__ = (
        "_init",
        "_keepaliveRequests",
        "_keepaliveTime",
        "cache",
        "explicit",
        "gone",
        "host",
        "initPeer",
        "makePeers",
        "nameBytes",
        "peers",
        "port",
        "watched",
        "zone",
    )

    def __init__(
        self,
        host: str,
        peers: Peers,
        init: IPeerInit,
        *,
        port: int = 0,
        explicit: bool = False,
        cache: KeepaliveCache[UpstreamProtocol] | None = None,
        options: UpstreamOptions | None = None,
    ) -> None:
        self.host = host
        self.nameBytes = peers.nameBytes
        self.port = port
        self.explicit = explicit
        self.cache = cache
        self._init = init
        self._keepaliveRequests = 0 if options is None else options.keepaliveRequests
        self._keepaliveTime = 0.0 if options is None else options.keepaliveTime
        self.zone = "" if options is None else options.zone[0]
        self.watched: list[WatchedServer] = []
        self.gone = 0
        self.initPeer = init.initPeer
        self.replacePeers(peers)

    def replacePeers(self, peers: Peers) -> None:
        """
        Membership has changed.  Requests under way keep the generation that they
        began with.
        """
        self.peers = peers
        self._init.initUpstream(peers)

    def change(
        self, gone: Iterable[Peer], come: Iterable[Peer], backup: Iterable[Peer]
    ) -> None:
        """
        Some peers leave, others come.

        @param come: new ones, appended to the others.
        @param backup: new ones, appended to the backup servers.
        """
        left = set(gone)
        primary, spare = self.members()
        self.setMembers(
            [*(peer for peer in primary if peer not in left), *come],
            [*(peer for peer in spare if peer not in left), *backup],
        )

    def members(self) -> tuple[Sequence[Peer], Sequence[Peer]]:
        """
        The peers of now, and the backup servers.
        """
        peers = self.peers
        return peers.peers, () if peers.next is None else peers.next.peers

    def setMembers(self, primary: Iterable[Peer], backup: Iterable[Peer]) -> None:
        """
        Make a new generation.  Idle connections to addresses that leave are closed.
        """
        old = self.peers
        before = {peer for peers in self.members() for peer in peers}
        spare = tuple(backup)
        next: Peers | None = None
        if spare:
            next = old.next
            next = old.beside(spare) if next is None else next.successor(spare)
        self.replacePeers(old.successor(primary, next))
        after = {peer for peers in self.members() for peer in peers}
        left = before - after
        self.gone += sum(peer.requests for peer in left)
        if self.cache is not None:
            addresses = {peer.sockaddr for peer in after}
            for sockaddr in {peer.sockaddr for peer in left} - addresses:
                self.cache.dropAddress(sockaddr)

    def setDown(self, changes: Mapping[Peer, int]) -> None:
        """
        Let members take part or not.

        @param changes: what L{Peer.down} is to be.
        """
        members = self.members()
        for peer, down in changes.items():
            self._touch(peer)
            peer.down = down
        # How often requests may try depends on it, and some methods' tables; and who
        # waits for a server is asked again.
        self.setMembers(*members)
        for peer, down in changes.items():
            if not down:
                self.peers.cameBack(peer)

    def setWeight(self, changes: Mapping[Peer, int]) -> None:
        """
        Give members other weights.

        @param changes: what L{Peer.weight} is to be, at least 1.
        """
        members = self.members()
        for peer, weight in changes.items():
            self._touch(peer)
            peer.weight = peer.effectiveWeight = weight
        self.setMembers(*members)

    def _touch(self, peer: Peer) -> None:
        # Whichever has it: the others do not mind.
        peers: Peers | None = self.peers
        while peers is not None:
            peers.touch(peer)
            peers = peers.next

    def layer(self, kind: type[_Layer]) -> _Layer | None:
        """
        The layer of that kind around the method of choosing, if there is one.
        """
        init = self._init
        while isinstance(init, Layer):
            if isinstance(init, kind):
                return init
            init = init.inner
        return None

    @property
    def method(self) -> IPeerInit:
        """
        The method of choosing itself, within all layers.
        """
        init = self._init
        while isinstance(init, Layer):
            init = init.inner
        return init

    def mayKeep(self, connection: UpstreamProtocol, peer: Peer, now: float) -> bool:
        """
        May C{connection} to C{peer} serve one more request?
        """
        if peer not in self.peers.hints:
            # It has left the group meanwhile.
            return False
        if connection.requests >= self._keepaliveRequests:
            return False
        return now - connection.made <= self._keepaliveTime

    def close(self) -> None:
        """
        Close the idle connections, and watch names no longer.
        """
        for each in self.watched:
            each.close()
        if self.cache is not None:
            self.cache.closeAll()
