"""
One address of a server, and what is remembered of it.

nginx: C{ngx_http_upstream_rr_peer_t}
"""

from __future__ import annotations

from hashlib import md5
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from .peers import Peers

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
    @ivar weight: as configured, at least 1.  To be read: whoever changes it does so by
        C{UpstreamGroup.setWeight()}.
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
    @ivar down: not to be chosen: bits L{DOWN} and L{DRAINING}.  To be read: whoever
        changes it does so by C{UpstreamGroup.setDown()}.
    @ivar slowStart: how long a server that has come back warms up, in seconds; 0: not.
    @ivar warmingSince: when it came back, in seconds, or C{None}: it is warm.
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
