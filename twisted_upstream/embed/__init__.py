"""
Groups of servers inside somebody else's Twisted program: balancing, health, keep-alive,
stickiness and counters, without any proxy or configuration file.

L{Upstream} is a group.  It gives out peers, endpoints, agents and resources.
"""

from .arguments import ArgumentError, Server
from .errors import FailedAttempt, UpstreamClosed, UpstreamFailed
from .pick import Pick
from .status import GroupStatus, PeerStatus
from .upstream import Upstream

__all__ = [
    "ArgumentError",
    "FailedAttempt",
    "GroupStatus",
    "PeerStatus",
    "Pick",
    "Server",
    "Upstream",
    "UpstreamClosed",
    "UpstreamFailed",
]
