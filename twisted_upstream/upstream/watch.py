"""
Servers given by names that are watched: C{server NAME resolve}.

Each line asks again when what it knows has grown old, and its group gets a new
generation when addresses have come or gone.  An address that stays keeps its L{Peer},
with everything that is known of it.

nginx: C{ngx_http_upstream_zone_resolve_timer()},
C{ngx_http_upstream_zone_resolve_handler()}, C{ngx_http_upstream_zone_preresolve()}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from ..balance.peer import Peer
from ..net.sockaddr import inetSockaddr, sockaddrName
from .answer import NOT_FOUND, failureText
from .services import Found, INames, Target, lookUpTargets

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from .server_line import ServerLine

#: Seconds until the first look-up.  Each line of a configuration begins that much
#: later than the one before it, so that many names do not ask at one moment.
FIRST = 0.001
#: The least number of seconds between two look-ups of one line.
LEAST = 1.0


class IMembers(Protocol):
    """
    The group that peers are put into.
    """

    host: str

    def change(
        self, gone: Iterable[Peer], come: Iterable[Peer], backup: Iterable[Peer]
    ) -> None:
        """
        Make a new generation.

        @param come: new ones, appended to the others.
        @param backup: new ones, appended to the backup servers.
        """


class WatchedServer:
    """
    One C{server NAME resolve} line.

    @ivar valid: until when what is known is good, on the clock; 0: nothing is known.
    """

    def __init__(
        self,
        line: ServerLine,
        name: str,
        port: int,
        group: IMembers,
        names: INames,
        *,
        timeout: float,
        clock: IReactorTime,
        log: Callable[[str, str], object],
        makePeer: Callable[..., Peer] = Peer,
        mayBackUp: bool = True,
    ) -> None:
        """
        @param port: of all addresses, unless a service says.
        @param names: finds addresses.
        @param timeout: seconds; of C{resolver_timeout}.
        @param log: takes the level and the message.
        @param mayBackUp: can the group have backup servers?
        """
        self.name = name
        self.valid = 0.0
        self._line = line
        self._port = port
        self._group = group
        self._names = names
        self._timeout = timeout
        self._clock = clock
        self._log = log
        self._makePeer = makePeer
        # Of a service, the hosts that are asked last become backup servers.
        self._mayBackUp = mayBackUp and bool(line.service) and not line.backup
        # The peers there are now; in the second one, those with other priorities.
        self._first: dict[Peer, Target] = {}
        self._rest: dict[Peer, Target] = {}
        self._timer: IDelayedCall | None = None
        self._giveUp: Callable[[], None] | None = None

    # ---- life -----------------------------------------------------------------------

    def start(self, delay: float = FIRST) -> None:
        """
        Begin to ask: at once, or when what was adopted has grown old.

        @param delay: seconds that "at once" means.
        """
        left = self.valid - self._clock.seconds()
        self._arm(left if left > 0 else delay)

    def close(self) -> None:
        """
        Ask no more.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._giveUp is not None:
            self._giveUp()
            self._giveUp = None

    def follows(self, other: WatchedServer) -> bool:
        """
        Does C{other}, a line of a previous configuration, watch the same?
        """
        return (self.name, self._line.service, self._line.backup) == (
            other.name,
            other._line.service,
            other._line.backup,
        )

    def adopt(self, other: WatchedServer) -> None:
        """
        Go on with what C{other} has found.  The peers are new ones: everything else is
        as this line says.
        """
        self.valid = other.valid
        rest = other._rest if self._mayBackUp else {}
        if other._first or rest:
            self._replace((), other._first.values(), rest.values())

    def _arm(self, delay: float) -> None:
        self._timer = self._clock.callLater(delay, self._ask)

    def _ask(self) -> None:
        self._timer = None
        giveUp = lookUpTargets(
            self._names, self.name, self._line.service, self._timeout, self._found
        )
        if self._timer is None:
            self._giveUp = giveUp

    # ---- answers --------------------------------------------------------------------

    def _found(self, found: Found) -> None:
        """
        Take an answer.  The next question is certain before anything can go wrong.
        """
        self._giveUp = None
        service = self._line.service
        isGone = found.code in (0, NOT_FOUND)
        if isGone:
            self.valid = found.until
            left = found.until - self._clock.seconds()
            self._arm(left + LEAST if left > 0 else LEAST)
        else:
            self._arm(max(self._timeout, LEAST))
        for host, code in found.failures:
            self._log(
                "error",
                f"{failureText(host, code)} while resolving service {service} of"
                f" {self.name}",
            )
        if found.code:
            what = f"service {service} of {self.name}" if service else self.name
            self._log("error", failureText(what, found.code))
        if isGone:
            self._merge(found.targets)

    def _merge(self, targets: Sequence[Target]) -> None:
        """
        Keep the peers whose targets are still there, drop the others, append new ones.
        """
        first = min((each.priority for each in targets), default=0)
        rest: list[Target] = []
        if self._mayBackUp:
            rest = [each for each in targets if each.priority != first]
        gone, come = self._compare(
            self._first, [each for each in targets if each.priority == first]
        )
        restGone, restCome = self._compare(self._rest, rest)
        gone += restGone
        if gone or come or restCome:
            self._replace(gone, come, restCome)

    def _compare(
        self, known: dict[Peer, Target], targets: Sequence[Target]
    ) -> tuple[list[Peer], list[Target]]:
        """
        Which peers are not in C{targets}, and which targets are new.  Two equal
        targets are two peers.
        """
        kept = Counter(map(self._identity, known.values()))
        come: list[Target] = []
        for target in targets:
            identity = self._identity(target)
            if kept[identity]:
                kept[identity] -= 1
            else:
                come.append(target)
        # What is left over has no target any more.
        gone: list[Peer] = []
        for peer, target in reversed(known.items()):
            identity = self._identity(target)
            if kept[identity]:
                kept[identity] -= 1
                gone.append(peer)
        return gone, come

    def _identity(self, target: Target) -> tuple[object, ...]:
        """
        What must not change if a peer is to stay.
        """
        if not self._line.service:
            return (target.address,)
        weight = target.weight if self._line.weight == 1 else 0
        return (target.address, target.port, target.name, weight)

    def _replace(
        self, gone: Sequence[Peer], come: Iterable[Target], rest: Iterable[Target]
    ) -> None:
        for peer in gone:
            self._first.pop(peer, None)
            self._rest.pop(peer, None)
        first = {self._peer(target): target for target in come}
        others = {self._peer(target): target for target in rest}
        self._first.update(first)
        self._rest.update(others)
        if self._line.backup:
            self._group.change(gone, (), first)
        else:
            self._group.change(gone, first, others)
        changes = [f" +{peer.name}" for peer in (*first, *others)]
        changes += [f" -{peer.name}" for peer in gone]
        self._log(
            "info", f'upstream "{self._group.host}": {self.name}{"".join(changes)}'
        )

    def _peer(self, target: Target) -> Peer:
        line = self._line
        weight, port, server = line.weight, self._port, line.address
        if line.service:
            port, server = target.port, target.name
            weight = target.weight if line.weight == 1 else line.weight
        sockaddr = inetSockaddr(target.address, port)
        return self._makePeer(
            sockaddrName(sockaddr),
            sockaddr,
            host=self.name,
            **{**line.peerOptions(), "weight": weight, "server": server},
        )
