"""
Tengine's C{session_sticky}: the client is told its server's name by a cookie.

Tengine: C{ngx_http_upstream_session_sticky_get_peer()}
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5
from typing import TYPE_CHECKING, cast

from zope.interface import implementer

from ..interfaces import (
    IBalancer,
    IBalancerLine,
    IClient,
    IHTTPClient,
    IPeerGetter,
    IPeerInit,
)
from .layers import Layer, LayerGetter
from .peer import DRAINING, Peer
from .peers import Peers
from .round_robin import RoundRobin
from .session_cookie import SessionCookie, Settings, Visit, parseSettings

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred


class SessionGetter(LayerGetter):
    """
    Asks the server of the session, then as the method within does.
    """

    __slots__ = ("_client", "_layer", "_names", "_peers", "_used", "_visit")

    def __init__(
        self,
        inner: IPeerGetter,
        client: IHTTPClient,
        layer: SessionSticky,
        visit: Visit,
    ) -> None:
        super().__init__(inner)
        self._client = client
        self._layer = layer
        self._peers = layer.peers
        self._names = layer.names
        self._visit = visit
        self._used = 0

    def getPeer(self) -> Peer | None | Deferred[Peer | None]:
        """
        Choose a peer.
        """
        visit = self._visit
        fallback = self._layer.settings.fallback
        if not visit.isFirst and not (self._used and fallback):
            own = self._peers.get(visit.sid)
            if own is not None and _isOpen(own):
                own.conns += 1
                own.requests += 1
                return self._took(own)
        if not visit.isFirst and not fallback:
            return None
        peer = self.inner.getPeer()
        if peer is None or isinstance(peer, Peer):
            return self._another(peer)
        return peer.addCallback(self._another)

    def follow(self, earlier: IPeerGetter) -> None:
        """
        The client is told of the same visit, once.
        """
        super().follow(earlier)
        if isinstance(earlier, SessionGetter):
            self._used = earlier._used
            self._visit = earlier._visit

    def _another(self, peer: Peer | None) -> Peer | None:
        if peer is None:
            return None
        self._visit.sid = self._names[peer]
        self._visit.isFirst = True
        return self._took(peer)

    def _took(self, peer: Peer) -> Peer:
        if not self._used:
            edit, visit = self._layer.cookie.edit, self._visit
            self._client.addEdit(lambda head: edit(head, visit))
        self._used += 1
        return peer


def _isOpen(peer: Peer) -> bool:
    """
    May requests of old sessions go there?  Failures do not count.
    """
    if peer.down & ~DRAINING:
        return False
    return not (peer.maxConns and peer.conns >= peer.maxConns)


class SessionSticky(Layer):
    """
    One group's sessions.

    @ivar cookie: how the client is told.
    @ivar peers: by name, without the backup servers.
    @ivar names: of all peers.
    """

    __slots__ = ("cookie", "names", "peers", "settings")

    def __init__(
        self, inner: IPeerInit, settings: Settings, now: Callable[[], float]
    ) -> None:
        """
        @param now: seconds since 1970.
        """
        super().__init__(inner)
        self.settings = settings
        self.cookie = SessionCookie(settings, now)
        self.peers: dict[bytes, Peer] = {}
        self.names: dict[Peer, bytes] = {}

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        super().initUpstream(peers)
        self.peers = {self._nameOf(peer): peer for peer in reversed(peers.peers)}
        backups = () if peers.next is None else peers.next.peers
        self.names = {peer: self._nameOf(peer) for peer in (*peers.peers, *backups)}

    def _nameOf(self, peer: Peer) -> bytes:
        if self.settings.hashed:
            digest = md5(peer.nameBytes, usedforsecurity=False)
            return digest.hexdigest().encode()
        if not peer.label:
            return peer.nameBytes
        return peer.label.encode("utf-8", "surrogateescape")

    def initPeer(self, client: IClient) -> SessionGetter:
        """
        Begin one request.
        """
        asking = cast(IHTTPClient, client)
        visit = asking.notes.get(self)
        if visit is None:
            fields = b"\r\nCookie: " + client.variable("http_cookie")
            visit, _ = self.cookie.read(fields)
        return SessionGetter(self.inner.initPeer(client), asking, self, visit)

    def hide(self, client: IHTTPClient, fields: bytes) -> bytes:
        """
        Take the cookie out of a request before it is passed on.

        @param fields: of the request.
        @return: the fields without it.
        """
        if self.settings.mode == "rewrite" or self in client.notes:
            return fields
        visit, rest = self.cookie.read(fields)
        visit.hidden = True
        client.notes[self] = visit
        return rest


@implementer(IBalancer)
class _SessionStickyDirective:
    """
    C{session_sticky [parameter ...];}
    """

    directive = "session_sticky"
    layer = 1
    backup = False

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Wrap the balancer of one group.

        @raise ConfigError: a parameter is wrong, or there is another method, which
            Tengine would ignore.
        """
        if line.place != "http":
            raise line.error('"session_sticky" directive is not allowed here')
        method: object = inner
        if not isinstance(method, RoundRobin):
            raise line.error('"session_sticky" allows no other load balancing method')
        try:
            settings = parseSettings(tuple(line.arguments))
        except ValueError as e:
            raise line.error(str(e)) from None
        return SessionSticky(method, settings, line.wallClock)


sessionSticky = _SessionStickyDirective()
