"""
How a group is at one moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..balance.peer import DOWN, DRAINING, Peer
from ..balance.queue import Queue

if TYPE_CHECKING:
    from ..upstream.group import UpstreamGroup


@dataclass(frozen=True, kw_only=True, slots=True)
class PeerStatus:
    """
    One peer at one moment.

    @ivar name: its address.
    @ivar server: the text of its C{server} line.
    @ivar state: C{up}, C{down}, C{draining}, C{unavail} (it has failed), or C{busy}
        (it has as many as it may have).
    @ivar active: attempts under way.
    @ivar requests: attempts so far.
    @ivar fails: failures of the current period.
    """

    name: str
    server: str
    weight: int
    backup: bool
    state: str
    active: int
    requests: int
    fails: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupStatus:
    """
    A group at one moment.

    @ivar idle: connections that wait for requests.
    @ivar waiting: requests that wait for a peer.
    @ivar overflows: requests that were refused, as so many were waiting.
    @ivar requests: attempts so far, those at peers included that have left.
    """

    name: str
    peers: tuple[PeerStatus, ...]
    active: int
    requests: int
    idle: int
    waiting: int
    overflows: int


def statusOf(name: str, group: UpstreamGroup) -> GroupStatus:
    """
    How C{group} is now.
    """
    primary, backup = group.members()
    peers = [_peerStatus(peer, False) for peer in primary]
    peers += [_peerStatus(peer, True) for peer in backup]
    cache = group.cache
    queue = group.layer(Queue)
    return GroupStatus(
        name=name,
        peers=tuple(peers),
        active=sum(each.active for each in peers),
        requests=sum(each.requests for each in peers) + group.gone,
        idle=0 if cache is None else len(cache),
        waiting=0 if queue is None else queue.size,
        overflows=0 if queue is None else queue.overflows,
    )


def _peerStatus(peer: Peer, backup: bool) -> PeerStatus:
    if peer.down & DOWN:
        state = "down"
    elif peer.down & DRAINING:
        state = "draining"
    elif peer.isDisabled:
        state = "unavail"
    elif peer.maxConns and peer.conns >= peer.maxConns:
        state = "busy"
    else:
        state = "up"
    return PeerStatus(
        name=peer.name,
        server=peer.server,
        weight=peer.weight,
        backup=backup,
        state=state,
        active=peer.conns,
        requests=peer.requests,
        fails=peer.fails,
    )
