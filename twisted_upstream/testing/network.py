"""
Servers and names as the proxy meets them, without sockets: connections that are being
made, time-outs that are watched, a log that is kept, a resolver that is answered.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import Any

from ..balance.peer import Peer
from ..net.deadline import Deadline, Deadlines
from ..net.dialer import ConnectFailed, ConnectTimedOut
from ..net.transport import SocketTransport
from ..upstream.answer import Answer, Answered, Service
from .memory import MemoryReactor, MemorySocket

#: So many of anything need not be looked through for what is over.
_SMALL = 1000


class WatchedDeadlines(Deadlines):
    """
    Remembers every deadline it made, for as long as somebody else does.
    """

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self._made: list[Any] = []
        self._pruneAt = _SMALL

    def new(self, expired: Callable[[], None]) -> Deadline:
        """
        Make a deadline.
        """
        made = super().new(expired)
        self._made.append(made)
        if len(self._made) >= self._pruneAt:
            self._pruneAt = 2 * len(self.active()) + _SMALL
        return made

    def active(self) -> list[Deadline]:
        """
        Those that would expire some time.
        """
        self._made = [each for each in self._made if each.active]
        return list(self._made)


class Dialed:
    """
    A connection that somebody has asked for.

    @ivar peer: the server.
    @ivar socket: the connection, or C{None} while there is none.
    @ivar givenUp: did who asked lose interest?
    """

    def __init__(
        self,
        dialer: MemoryDialer,
        peer: Peer,
        protocol: Any,
        waiter: Any,
        timeout: float,
        local: bytes | None,
    ) -> None:
        self._dialer = dialer
        self.protocol = protocol
        self._waiter = waiter
        self.peer = peer
        self.local = local
        self.socket: MemorySocket | None = None
        self.givenUp = False
        self._deadline = dialer.deadlines.new(self._timedOut)
        self._timeout = timeout

    def wait(self) -> None:
        """
        The server has not answered yet.
        """
        self._deadline.set(self._timeout)

    def accept(self) -> None:
        """
        The server accepts.
        """
        self._deadline.drop()
        reactor = self._dialer.reactor
        sockaddr = self.peer.sockaddr
        made = self.socket = MemorySocket(reactor, sockaddr, ("127.0.0.1", 40000))
        made.room = self._dialer.room
        self._dialer.made.append(made)
        transport = SocketTransport(made, reactor, self.protocol, sockaddr)  # type: ignore[arg-type]  # acts as one
        self.protocol.makeConnection(transport)
        transport.resumeProducing()
        self._waiter.connectionReady(self.protocol)

    def refuse(
        self, number: int = errno.ECONNREFUSED, syscall: str = "connect"
    ) -> None:
        """
        There is no connection.
        """
        self._deadline.drop()
        self._waiter.connectionFailed(
            ConnectFailed(number, syscall, self.peer.sockaddr, immediate=False)
        )

    def _timedOut(self) -> None:
        self._dialer.unanswered.remove(self)
        self._waiter.connectionFailed(ConnectTimedOut())

    def giveUp(self) -> None:
        """
        Who asked for it does not want it any more.
        """
        if self in self._dialer.unanswered:
            self._dialer.unanswered.remove(self)
            self.givenUp = True
            self._deadline.drop()


class MemoryDialer:
    """
    Connects to servers that tests play.

    @ivar behaviour: of each server by name: C{"accept"} (at once), C{"refuse"}, or
        C{"wait"} for the test; C{"accept"} where nothing is said.
    @ivar accepted: connections that no test has looked at yet.
    @ivar unanswered: those that wait.
    @ivar made: every connection there ever was.
    @ivar peers: every peer that was ever asked.
    @ivar asked: the names of the peers that were asked, in order.
    @ivar room: how much new connections take; C{None}: everything.
    """

    def __init__(self, reactor: MemoryReactor, deadlines: Deadlines) -> None:
        self.reactor = reactor
        self.deadlines = deadlines
        self.behaviour: dict[str, str] = {}
        self.accepted: deque[Dialed] = deque()
        self.unanswered: list[Dialed] = []
        self.made: list[MemorySocket] = []
        self.peers: dict[Peer, None] = {}
        self.asked: list[str] = []
        self.room: int | None = None

    def dial(
        self,
        peer: Peer,
        protocol: Any,
        waiter: Any,
        options: Any,
        local: bytes | None,
        client: Any,
        secure: Any = None,
    ) -> Callable[[], None]:
        """
        What L{HTTPBuild<twisted_upstream.http.build.HTTPBuild>} calls to connect.

        @param secure: of TLS, which is taken for done.
        """
        self.peers[peer] = None
        self.asked.append(peer.name)
        dialed = Dialed(self, peer, protocol, waiter, options.connectTimeout, local)
        self.begin(dialed)
        return dialed.giveUp

    def begin(self, dialed: Dialed) -> None:
        """
        Let the server do what it does with who connects.
        """
        peer = dialed.peer
        behaviour = self.behaviour.get(peer.name, "accept")
        if behaviour == "accept":
            self.accepted.append(dialed)
            dialed.accept()
        elif behaviour == "refuse":
            dialed.refuse()
        else:
            self.unanswered.append(dialed)
            dialed.wait()


class LogLines:
    """
    An error log in memory.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: bytes, level: int) -> None:
        """
        Keep a line, from its level on.
        """
        self.lines.append(line.decode().partition(" [")[2].rstrip("\n"))

    def has(self, text: str) -> bool:
        """
        Does a line have C{text}?
        """
        return any(text in line for line in self.lines)


class Names:
    """
    A resolver that tests answer.

    @ivar asked: the names that nobody has answered yet, and who waits.
    @ivar looked: the same of watched names, and whether services were asked for.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, Callable[..., None], Callable[[str], None]]] = []
        self.looked: dict[tuple[str, bool], list[Answered]] = {}

    def resolve(
        self, name: str, found: Callable[..., None], failed: Callable[[str], None]
    ) -> Callable[[], None]:
        """
        Ask for the addresses of C{name}.

        @return: gives up.
        """
        entry = (name, found, failed)
        self.asked.append(entry)
        return lambda: self.asked.remove(entry)

    def look(
        self,
        name: str,
        answered: Answered,
        *,
        timeout: float | None = None,
        service: bool = False,
    ) -> Callable[[], None]:
        """
        Ask for what there is of C{name}.

        @return: gives up.
        """
        waiting = self.looked.setdefault((name, service), [])
        waiting.append(answered)

        def giveUp() -> None:
            if answered in waiting:
                waiting.remove(answered)

        return giveUp

    def says(
        self, name: str, *found: str | Service, code: int = 0, until: float = 0.0
    ) -> None:
        """
        Answer all who ask for addresses, or for services.

        @param until: how long it is good, on the clock.
        @raise KeyError: nobody asks.
        """
        services = tuple(each for each in found if isinstance(each, Service))
        addresses = tuple(each for each in found if isinstance(each, str))
        answer = Answer(name, code, addresses, services, until)
        for answered in self.looked.pop((name, bool(services))):
            answered(answer)

    def close(self) -> None:
        """
        Nothing is open.
        """
