"""
Peers, one generation of them, and the rules that all methods of choosing share.

nginx: C{ngx_http_upstream_round_robin.c}: C{ngx_http_upstream_get_round_robin_peer()},
C{ngx_http_upstream_get_peer()}, C{ngx_http_upstream_get_rr_peer_by_sid()},
C{ngx_http_upstream_free_round_robin_peer()}; the same functions of C{stream}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import md5
from random import Random
from typing import ClassVar, TypeAlias

from zope.interface import implementer

from ..interfaces import IPeerGetter
from .turns import LARGE, Turns

#: What C{socket.connect} takes: IPv4, IPv6, or the path of a unix socket.
Sockaddr: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | str

#: Bits of L{Peer.down}.
DOWN = 1
DRAINING = 8


class Outcome:
    """
    How an attempt ended.  nginx: C{NGX_PEER_NEXT}, C{NGX_PEER_FAILED}.

    @cvar OK: fine.
    @cvar NEXT: another server is asked, but this one has not failed.
    @cvar FAILED: the server failed.
    """

    OK = 0
    NEXT = 2
    FAILED = 4


class Peer:
    """
    One address of a server.  It lives as long as any generation that contains it.

    A balancer that needs to know more of each peer keeps a dictionary keyed by peers;
    a feature that changes the peers themselves makes a subclass.

    @ivar name: the address with its port, as C{$upstream_addr} prints it.
    @ivar nameBytes: C{name}, for the wire.
    @ivar server: the text of the C{server} line that the address comes from.
    @ivar host: the name that was resolved at run time, or C{None}.
    @ivar sid: what sticky sessions call this peer.
    @ivar label: what the configuration calls its server; empty: nothing.
    @ivar weight: as configured, at least 1.
    @ivar effectiveWeight: C{weight}, less after failures.
    @ivar currentWeight: the running value of smooth weighted round robin.
    @ivar conns: attempts under way; idle connections do not count.
    @ivar requests: attempts so far, those under way included.
    @ivar fails: failures in the current period.
    @ivar accessed: when it failed last, in whole seconds.
    @ivar checked: when the current period of C{failTimeout} began, in whole seconds.
    @ivar maxFails: failures that make it unavailable; 0: it is always available.
    @ivar failTimeout: length of the period, and of being unavailable; whole seconds.
    @ivar maxConns: limit of C{conns}; 0: none.
    @ivar down: not to be chosen: bits L{DOWN} and L{DRAINING}.  Who changes it calls
        L{Peers.touch}.
    @ivar slowStart: how long a server that has come back warms up, in seconds; 0: not.
    @ivar warmingSince: when it came back, in seconds, or C{None}: it is warm.
    @ivar tlsSession: what a later TLS handshake with it can resume.
    @cvar sharesHealth: do other groups learn from its C{fails}?
    """

    sharesHealth: ClassVar[bool] = False

    __slots__ = (
        "__weakref__",
        "accessed",
        "checked",
        "conns",
        "currentWeight",
        "down",
        "effectiveWeight",
        "failTimeout",
        "fails",
        "host",
        "label",
        "maxConns",
        "maxFails",
        "name",
        "nameBytes",
        "requests",
        "server",
        "sid",
        "slowStart",
        "sockaddr",
        "tlsSession",
        "warmingSince",
        "weight",
    )

    def __init__(
        self,
        name: str,
        sockaddr: Sockaddr,
        *,
        server: str | None = None,
        host: str | None = None,
        weight: int = 1,
        maxConns: int = 0,
        maxFails: int = 1,
        failTimeout: int = 10,
        down: int = 0,
        sid: bytes = b"",
        label: str = "",
        slowStart: float = 0.0,
    ) -> None:
        """
        @param server: C{None}: the same as C{name}.
        @param sid: empty: made from C{name}.
        """
        self.name = name
        self.nameBytes = name.encode("utf-8", "surrogateescape")
        self.sockaddr = sockaddr
        self.server = name if server is None else server
        self.host = host
        self.weight = weight
        self.effectiveWeight = weight
        self.currentWeight = 0
        self.conns = 0
        self.requests = 0
        self.fails = 0
        self.accessed = 0
        self.checked = 0
        self.maxConns = maxConns
        self.maxFails = maxFails
        self.failTimeout = failTimeout
        self.down = down
        self.label = label
        self.slowStart = slowStart
        self.warmingSince: float | None = None
        # A name for the peer, not a secret: the digest is part of nginx's cookies.
        digest = md5(self.nameBytes, usedforsecurity=False)
        self.sid = sid or digest.hexdigest().encode()
        self.tlsSession: object | None = None

    def __repr__(self) -> str:
        return f"<Peer {self.name}>"

    @property
    def isDisabled(self) -> bool:
        """
        Has it failed often enough to be unavailable for a while?
        """
        return 0 < self.maxFails <= self.fails

    def isAhead(self, peers: Peers) -> bool:
        """
        Is it so far ahead of its turn that it need not pay for being asked for?
        """
        return self.currentWeight <= (self.weight - peers.totalWeight) * peers.scale

    def warmed(self, weight: int, seconds: float) -> int:
        """
        What C{weight} counts for, in thousandths: all, or while it warms up, as much as
        of C{slowStart} has passed.

        @param weight: C{weight} or C{effectiveWeight}.
        @param seconds: the current time.
        """
        weight *= 1000
        if self.warmingSince is None:
            return weight
        passed = seconds - self.warmingSince
        if not passed < self.slowStart:
            self.warmingSince = None
            return weight
        # Clocks may be set back.
        return max(1, weight * int(passed * 1000) // int(self.slowStart * 1000))


def _tellNobody(peer: Peer) -> None:
    """
    The default of L{Peers.unavailable}.
    """


class Peers:
    """
    The peers of one group at one time: a generation.  Membership never changes; a
    change makes a L{successor}, which may contain the same L{Peer} objects.

    @ivar name: the group's name.
    @ivar nameBytes: C{name}, for the wire.
    @ivar peers: in the order of the configuration.
    @ivar next: the backup servers, asked when none of these is available.
    @ivar totalWeight: sum of the weights.
    @ivar weighted: is there a weight other than 1?
    @ivar single: the only peer of a group without backups, else C{None}.  A lone
        server never becomes unavailable, and there is nothing to choose.
    @ivar tries: how many attempts a request begins with, backups included.
    @ivar hints: what a request may ask for: the first peer of each L{Peer.sid}; and
        every peer itself, backups included.
    @ivar generation: 0, and one more with each successor.
    @ivar newest: holds the generation that has no successor yet, and is shared by all
        of them; C{None}: there has been no change.
    @ivar scale: 1000 in groups where a server may warm up, whose L{Peer.currentWeight}
        counts thousandths, else 1.
    @ivar turns: takes turns in the place of a loop over all peers, or C{None}.
    @ivar seconds: the current time.
    @ivar random: the source of chance.
    @ivar unavailable: told of a peer that a failure has just left disabled.
    """

    __slots__ = (
        "generation",
        "hints",
        "name",
        "nameBytes",
        "newest",
        "next",
        "peers",
        "random",
        "scale",
        "seconds",
        "single",
        "totalWeight",
        "tries",
        "turns",
        "unavailable",
        "weighted",
    )

    def __init__(
        self,
        name: str,
        peers: Iterable[Peer],
        *,
        seconds: Callable[[], float],
        random: Random,
        next: Peers | None = None,
        unavailable: Callable[[Peer], None] = _tellNobody,
    ) -> None:
        self.name = name
        self.nameBytes = name.encode("utf-8", "surrogateescape")
        self.peers = tuple(peers)
        self.next = next
        self.seconds = seconds
        self.random = random
        self.unavailable = unavailable
        self.newest: list[Peers] | None = None
        self.generation = 0
        self.totalWeight = sum(peer.weight for peer in self.peers)
        self.weighted = self.totalWeight != len(self.peers)
        self.tries = sum(not peer.down for peer in self.peers)
        self.hints: dict[bytes | Peer, Peer] = {}
        for peer in reversed(self.peers):
            self.hints[peer.sid] = self.hints[peer] = peer
        self.single: Peer | None = None
        if next is not None:
            # Being the last resort is not being the only one: backups do become
            # unavailable, also when there is just one.
            next.single = None
            self.tries += next.tries
            for peer in next.peers:
                self.hints[peer] = peer
        if len(self.peers) == 1 and (next is None or not next.peers):
            self.single = self.peers[0]
        self.scale = 1
        if self.single is None and any(peer.slowStart for peer in self.peers):
            self.scale = 1000
        self.turns: Turns | None = None
        # Where other groups' failures count, all have to be looked at anyway.
        if self.scale != 1 or (
            len(self.peers) >= LARGE
            and not any(peer.sharesHealth for peer in self.peers)
        ):
            self.turns = Turns(self)

    def successor(self, peers: Iterable[Peer], next: Peers | None = None) -> Peers:
        """
        The generation after this one.

        @param peers: those that stay (the same objects) and those that are new.
        """
        new = Peers(
            self.name,
            peers,
            seconds=self.seconds,
            random=self.random,
            next=next,
            unavailable=self.unavailable,
        )
        new.generation = self.generation + 1
        if self.newest is None:
            self.newest = [self]
        turns = self.newest[0].turns
        if turns is not None:
            turns.settle(drop=True)
        self.newest[0] = new
        new.newest = self.newest
        if new.scale != self.scale:
            for peer in new.peers:
                peer.currentWeight = peer.currentWeight * new.scale // self.scale
        if new.turns is not None and self.turns is None:
            # A request under way must not loop over what the new generation has.
            self.turns = Turns(self)
        return new

    def beside(self, peers: Iterable[Peer]) -> Peers:
        """
        More peers of the same group, to be the next of a successor.
        """
        return Peers(
            self.name,
            peers,
            seconds=self.seconds,
            random=self.random,
            unavailable=self.unavailable,
        )

    def touch(self, peer: Peer) -> None:
        """
        C{peer} is about to change (its weights, C{down}), or has just become unusable:
        whoever takes turns is to look at it.
        """
        turns = self.turns if self.newest is None else self.newest[0].turns
        if turns is not None:
            turns.touch(peer)

    def settle(self) -> None:
        """
        Bring C{currentWeight} of all peers up to date, for those who want to read it.
        """
        turns = self.turns if self.newest is None else self.newest[0].turns
        if turns is not None:
            turns.settle()

    def cameBack(self, peer: Peer) -> None:
        """
        A server that could not be asked can be asked again: it warms up.
        """
        if peer.slowStart and self.single is None:
            self.touch(peer)
            peer.warmingSince = self.seconds()

    def getter(self, choose: Callable[[Sequence[Peer]], Peer | None]) -> PeerGetter:
        """
        Begin a request whose peers C{choose} picks.  Everything else is done for it:
        failures, limits, backups, what was tried already.

        @param choose: takes the peers that are available now, at least one; C{None}
            refuses them all, and the backup servers are next.
        """
        return _ChoosingGetter(self, choose)


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


class _ChoosingGetter(PeerGetter):
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
