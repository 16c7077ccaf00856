"""
One request's choices, and the rules that all methods of choosing share.

nginx: C{ngx_http_upstream_round_robin.c}: C{ngx_http_upstream_get_round_robin_peer()},
C{ngx_http_upstream_get_peer()}, C{ngx_http_upstream_get_rr_peer_by_sid()},
C{ngx_http_upstream_free_round_robin_peer()}; the same functions of C{stream}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from zope.interface import implementer

from ..interfaces import IPeerGetter
from .peer import DRAINING, Outcome, Peer

if TYPE_CHECKING:
    from .peers import Peers


def takeTurns(peers: Iterable[Peer]) -> Peer | None:
    """
    Smooth weighted round robin among some peers of a group, all of them usable.

    @return: whose turn it is; C{None}: there are none.
    """
    best: Peer | None = None
    total = 0
    for peer in peers:
        step = peer.effectiveWeight
        peer.currentWeight += step
        total += step
        if step < peer.weight:
            peer.effectiveWeight = step + 1
        if best is None or peer.currentWeight > best.currentWeight:
            best = peer
    if best is not None:
        best.currentWeight -= total
    return best


@implementer(IPeerGetter)
class PeerGetter:
    """
    One request's choices, by smooth weighted round robin.

    Other methods override L{pick} and use L{usable}, L{isUsable} and L{hinted}.

    @ivar peers: where it chooses now: the group's peers, later its backups.
    @ivar tries: how many attempts are left.
    @ivar tried: peers that were chosen before, if any.
    @ivar hint: the L{Peer} or the L{Peer.sid} that the request asks for, or C{None}; a
        layer that remembers sets it.
    """

    __slots__ = ("hint", "peers", "tried", "tries")

    def __init__(self, peers: Peers) -> None:
        self.peers = peers
        self.tries = peers.tries
        self.tried: set[Peer] | None = None
        self.hint: bytes | Peer | None = None

    def getPeer(self) -> Peer | None:
        """
        Choose a peer for the next attempt, or C{None} if none is available.
        """
        peer = self.peers.single
        if peer is None:
            now = int(self.peers.seconds())
            peer = self.pick(now)
            if peer is None:
                return self._getBackup()
            if self.tried is None:
                self.tried = {peer}
            else:
                self.tried.add(peer)
            # A new period; after a penalty this also makes the attempt the only one
            # that is let through.
            if now - peer.checked > peer.failTimeout:
                peer.checked = now
            peer.conns += 1
            peer.requests += 1
            if peer.maxConns and peer.conns >= peer.maxConns:
                self.peers.touch(peer)
            return peer
        elif peer.down or (peer.maxConns and peer.conns >= peer.maxConns):
            if self.hinted(int(self.peers.seconds())) is None:
                return self._getBackup()
        peer.conns += 1
        peer.requests += 1
        return peer

    def _getBackup(self) -> Peer | None:
        # For good: later attempts of this request begin with the backups, too.
        if self.peers.next is None:
            return None
        self.peers = self.peers.next
        return self.getPeer()

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        The attempt is over.

        @param outcome: of L{Outcome}.
        """
        peer.conns -= 1
        peers = self.peers
        if peers.single is not None:
            self.tries = 0
            if not peer.sharesHealth:
                peer.fails = 0
                return
        if outcome & Outcome.FAILED:
            self._failed(peer)
        elif peer.fails and peer.accessed < peer.checked:
            self._recovered(peer)
        if self.tries:
            self.tries -= 1

    def _failed(self, peer: Peer) -> None:
        peer.fails += 1
        peer.accessed = peer.checked = int(self.peers.seconds())
        peer.warmingSince = None
        if not peer.maxFails:
            return
        self.peers.touch(peer)
        less = peer.effectiveWeight - peer.weight // peer.maxFails
        peer.effectiveWeight = max(less, 0)
        if peer.fails >= peer.maxFails:
            self.peers.unavailable(peer)

    def _recovered(self, peer: Peer) -> None:
        if peer.isDisabled:
            self.peers.cameBack(peer)
        peer.fails = 0

    def notifyPeer(self, peer: Peer, milestone: str, elapsed: float) -> None:
        """
        A stream is connected: that alone proves the server alive.

        @note: nginx has it for TCP streams only.  HTTP and UDP do not tell
            C{"connect"}.
        """
        if milestone == "connect" and peer.fails and peer.accessed < peer.checked:
            self._recovered(peer)

    def limitTries(self, limit: int) -> None:
        """
        Allow C{limit} attempts at most; 0: no limit.  Once, before the first attempt.
        """
        if limit and self.tries > limit:
            self.tries = limit

    def forgiveTry(self) -> None:
        """
        The attempt just freed has not counted: it failed on an idle connection, which
        the server may close at any time.
        """
        self.tries += 1

    def pick(self, now: int) -> Peer | None:
        """
        Choose among several peers; the caller keeps the accounts.

        @param now: whole seconds.
        """
        turns = self.peers.turns
        if turns is not None:
            return turns.pick(self, now)
        return self.pickByLoop(now)

    def pickByLoop(self, now: int) -> Peer | None:
        """
        Take turns in the plain way, which is the fastest for small groups.

        @param now: whole seconds.
        """
        peers = self.peers
        tried = self.tried
        hinted = None
        if self.hint is not None:
            hinted = self.hinted(now)
            # A sticky peer so far ahead of its turn is given out without paying, or
            # the others would get too much once the hints stop.
            if hinted is not None and hinted.isAhead(peers):
                return hinted
        best: Peer | None = None
        most = total = 0
        # isUsable() written out: this is the one loop on every request's way.
        for peer in peers.peers:
            if peer.down or (tried is not None and peer in tried):
                continue
            if (
                peer.fails
                and 0 < peer.maxFails <= peer.fails
                and now - peer.checked <= peer.failTimeout
            ):
                continue
            if peer.maxConns and peer.conns >= peer.maxConns:
                continue
            step = peer.effectiveWeight
            current = peer.currentWeight + step
            peer.currentWeight = current
            total += step
            if step < peer.weight:
                peer.effectiveWeight = step + 1
            if best is None or current > most:
                best = peer
                most = current
        if hinted is not None:
            best = hinted
        if best is not None:
            best.currentWeight -= total
        return best

    def isUsable(self, peer: Peer, now: int) -> bool:
        """
        May C{peer} be chosen for this request?

        @param now: whole seconds.
        """
        return not peer.down and self.isOpen(peer, now)

    def isOpen(self, peer: Peer, now: int) -> bool:
        """
        The same, whether or not C{peer} is down or draining.
        """
        if self.tried is not None and peer in self.tried:
            return False
        if 0 < peer.maxFails <= peer.fails and now - peer.checked <= peer.failTimeout:
            return False
        return not (peer.maxConns and peer.conns >= peer.maxConns)

    def usable(self, now: int) -> list[Peer]:
        """
        The peers that may be chosen for this request, in order.
        """
        return [peer for peer in self.peers.peers if self.isUsable(peer, now)]

    def hinted(self, now: int) -> Peer | None:
        """
        The peer that the request asks for, if it has asked and may have it.  A
        draining peer may be asked for.
        """
        if self.hint is None:
            return None
        peer = self.peers.hints.get(self.hint)
        if peer is None or peer.down & ~DRAINING or not self.isOpen(peer, now):
            return None
        return peer


class ChoosingGetter(PeerGetter):
    """
    Leaves the choice to a function.
    """

    __slots__ = ("_choose",)

    def __init__(
        self, peers: Peers, choose: Callable[[Sequence[Peer]], Peer | None]
    ) -> None:
        super().__init__(peers)
        self._choose = choose

    def pick(self, now: int) -> Peer | None:
        """
        Choose by the function, unless the request asks for a peer.
        """
        hinted = self.hinted(now)
        if hinted is not None:
            return hinted
        usable = self.usable(now)
        return self._choose(usable) if usable else None
