"""
What balancers have in common that wrap another one: a layer remembers or waits, and
leaves the choice to what is within it.

nginx: what C{ngx_http_upstream_init_sticky()} and
C{ngx_http_upstream_init_keepalive()} do with C{original_init_peer}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zope.interface import implementer

from ..interfaces import IClient, IPeerGetter, IPeerInit
from .peer import Peer

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from .peers import Peers


@implementer(IPeerInit)
class Layer:
    """
    Wraps the balancer of one group.  A subclass overrides L{initPeer}, and returns what
    C{inner} makes where a request does not concern it.

    @ivar inner: what is wrapped.
    """

    __slots__ = ("inner",)

    def __init__(self, inner: IPeerInit) -> None:
        self.inner = inner

    def initUpstream(self, peers: Peers) -> None:
        """
        Hand a generation of peers on.
        """
        self.inner.initUpstream(peers)

    def initPeer(self, client: IClient) -> IPeerGetter:
        """
        Begin one request or session.
        """
        return self.inner.initPeer(client)


@implementer(IPeerGetter)
class LayerGetter:
    """
    Wraps the getter of one request.  It behaves as C{inner} does; a subclass overrides
    what it does otherwise, and calls C{self.inner} for the rest.

    Whom the request asks for is told by C{hint}, which reaches the innermost getter
    through all layers.

    @ivar inner: what is wrapped.
    """

    __slots__ = ("inner",)

    def __init__(self, inner: IPeerGetter) -> None:
        self.inner = inner

    @property
    def tries(self) -> int:
        """
        How many attempts are left.
        """
        return self.inner.tries

    @property
    def hint(self) -> bytes | Peer | None:
        """
        The peer that the request asks for or its C{sid}, or C{None}.
        """
        return self.inner.hint

    @hint.setter
    def hint(self, hint: bytes | Peer | None) -> None:
        self.inner.hint = hint

    @property
    def tried(self) -> set[Peer] | None:
        """
        The peers of earlier attempts, if any.
        """
        return self.inner.tried

    @tried.setter
    def tried(self, tried: set[Peer] | None) -> None:
        self.inner.tried = tried

    @property
    def awaited(self) -> Sequence[Peer] | None:
        """
        After no peer was found: whom it is worth waiting for.
        """
        return getattr(self.inner, "awaited", None)

    def follow(self, earlier: IPeerGetter) -> None:
        """
        Go on with a request that C{earlier}, of the same layer, has begun: what it has
        done for the request is not to be done again.
        """
        if isinstance(self.inner, LayerGetter) and isinstance(earlier, LayerGetter):
            self.inner.follow(earlier.inner)

    def getPeer(self) -> Peer | None | Deferred[Peer | None]:
        """
        Choose a peer for the next attempt.
        """
        return self.inner.getPeer()

    def getPeerNow(self) -> Peer | None:
        """
        What C{inner} chooses, for layers that cannot wait for it.
        """
        peer = self.inner.getPeer()
        if peer is None or isinstance(peer, Peer):
            return peer
        raise TypeError("a balancer waits within a layer that cannot")

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        The attempt is over.
        """
        self.inner.freePeer(peer, outcome)

    def notifyPeer(self, peer: Peer, milestone: str, elapsed: float) -> None:
        """
        The attempt has come so far.
        """
        self.inner.notifyPeer(peer, milestone, elapsed)

    def limitTries(self, limit: int) -> None:
        """
        Allow C{limit} attempts at most.
        """
        self.inner.limitTries(limit)

    def forgiveTry(self) -> None:
        """
        The attempt just freed has not counted.
        """
        self.inner.forgiveTry()
