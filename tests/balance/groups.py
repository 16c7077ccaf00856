"""
Groups of servers in tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.task import Clock

from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers

#: Any time that is not 0, so that "never" and "now" differ.
START = 1000.0


def makePeer(name: str = "a", **options: Any) -> Peer:
    """
    A peer whose address does not matter.
    """
    return Peer(name, (name, 80), **options)


class Group:
    """
    Peers on a clock, with a list of those that were disabled.
    """

    def __init__(self, *peers: Peer, backups: Sequence[Peer] | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.disabled: list[str] = []
        next = None if backups is None else self.make("g", backups, None)
        self.peers = self.make("g", peers, next)

    def make(self, name: str, peers: Sequence[Peer], next: Peers | None) -> Peers:
        return Peers(
            name,
            peers,
            seconds=self.clock.seconds,
            random=Random(1),
            next=next,
            unavailable=lambda peer: self.disabled.append(peer.name),
        )

    def attempt(self, outcome: int = Outcome.OK) -> str | None:
        """
        One request of one attempt; the name of its peer.
        """
        getter = PeerGetter(self.peers)
        peer = getter.getPeer()
        if peer is None:
            return None
        getter.freePeer(peer, outcome)
        return peer.name

    def names(self, count: int) -> str:
        """
        The names that C{count} requests get; C{-} for none.
        """
        return "".join(self.attempt() or "-" for _ in range(count))
