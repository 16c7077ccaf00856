"""
The peers of a group at one time: a generation.

nginx: C{ngx_http_upstream_rr_peers_t}, C{ngx_http_upstream_init_round_robin()}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from .getter import ChoosingGetter, PeerGetter
from .peer import Peer
from .turns import LARGE, Turns


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
        if self.turns is None:
            # A request under way must not loop over what the newest generation has,
            # which may be larger.
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
        return ChoosingGetter(self, choose)
