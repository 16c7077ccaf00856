"""
A network without sockets: the real transports over buffers, on a clock.

L{MemorySocket} stands where the kernel is.  Everything above it, L{SocketTransport}
included, is what runs in production, so pausing, draining and closing behave as there.
L{MemoryHTTP} is one C{http} block built from a text over such a network.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from random import Random
from typing import Any

from twisted.internet import task
from twisted.internet.interfaces import IReactorFDSet
from zope.interface import implementer

from twisted_upstream.balance.peers import Peer
from twisted_upstream.config.syntax import parse
from twisted_upstream.http.build import HTTPBuild
from twisted_upstream.http.routing import ServedBy
from twisted_upstream.http.server import HTTPServerFactory
from twisted_upstream.logs import ErrorLogLine, Logs
from twisted_upstream.net.deadline import Deadline, Deadlines
from twisted_upstream.net.dialer import ConnectFailed, ConnectTimedOut
from twisted_upstream.net.sockaddr import Sockaddr
from twisted_upstream.net.transport import SocketTransport
from twisted_upstream.process.cycle import makeGrammar
from twisted_upstream.upstream.connection import UpstreamFactory
from twisted_upstream.upstream.group import Surroundings, UpstreamGroup
from twisted_upstream.variables import Variables

#: The wall clock when a test begins: Wed, 01 Jan 2025 00:00:00 GMT.
EPOCH = 1735689600.0

#: Turns of the reactor after which a test is told that it spins.
_MOST_TURNS = 20000


class MemorySocket:
    """
    One connection as the kernel shows it to the transport, and as the other side sees
    it.

    @ivar incoming: what the other side has sent and nobody has read.
    @ivar outgoing: what was sent to the other side.
    @ivar room: how many more bytes the other side takes; C{None}: all.
    @ivar finished: did we end our output?
    @ivar closed: is our descriptor closed?
    @ivar wasReset: did we close it by a reset?
    """

    def __init__(self, reactor: MemoryReactor, peer: Sockaddr, host: Sockaddr) -> None:
        self._reactor = reactor
        self._peer = peer
        self._host = host
        self.incoming = bytearray()
        self.outgoing = bytearray()
        self.room: int | None = None
        self.finished = False
        self.closed = False
        self.wasReset = False
        self._ended = False
        self._gone = False
        self._error = 0

    # ---- the other side -------------------------------------------------------------

    def deliver(self, data: bytes) -> None:
        """
        The other side sends C{data}.
        """
        if not self.closed and not self._gone:
            self.incoming += data

    def end(self) -> None:
        """
        The other side ends its output.
        """
        self._ended = True

    def hangUp(self) -> None:
        """
        The other side closes: its output ends, and what we send makes it answer with a
        reset.
        """
        self._ended = self._gone = True

    def reset(self) -> None:
        """
        The other side resets the connection.
        """
        self.incoming.clear()
        self._error = errno.ECONNRESET
        self._gone = True

    # ---- the kernel -----------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """
        Would C{recv} return?
        """
        return bool(self.incoming) or self._ended or bool(self._error)

    @property
    def writable(self) -> bool:
        """
        Would C{send} take anything?
        """
        return self.room is None or self.room > 0 or self._gone

    def recv(self, size: int, flags: int = 0) -> bytes:
        """
        Part of L{socket.socket}, as all that follow.
        """
        if self._error:
            number, self._error = self._error, 0
            self._ended = True
            raise OSError(number, os.strerror(number))
        if not self.incoming:
            if self._ended:
                return b""
            raise BlockingIOError(errno.EAGAIN, "would block")
        data = bytes(self.incoming[:size])
        if not flags & socket.MSG_PEEK:
            del self.incoming[:size]
        return data

    def send(self, data: Any) -> int:
        if self.finished:
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
        if self._gone:
            self._error = errno.ECONNRESET
            return len(data)
        size = len(data)
        if self.room is not None:
            size = min(size, self.room)
            if not size:
                raise BlockingIOError(errno.EAGAIN, "would block")
            self.room -= size
        self.outgoing += bytes(data[:size])
        return size

    def sendmsg(self, buffers: Iterable[Any]) -> int:
        return self.send(b"".join(bytes(each) for each in buffers))

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        if name == socket.SO_LINGER:
            self.wasReset = True

    def getsockopt(self, level: int, name: int) -> int:
        if name == socket.SO_ERROR:
            number, self._error = self._error, 0
            return number
        return 0

    def getpeername(self) -> Sockaddr:
        return self._peer

    def getsockname(self) -> Sockaddr:
        return self._host

    def shutdown(self, how: int) -> None:
        self.finished = True

    def close(self) -> None:
        self.closed = self.finished = True

    def fileno(self) -> int:
        return -1 if self.closed else self._reactor.notASocket()


@implementer(IReactorFDSet)
class MemoryReactor(task.Clock):
    """
    A clock whose turns also serve memory sockets.
    """

    def __init__(self) -> None:
        super().__init__()
        # In order, so that tests do not depend on chance.
        self._readers: dict[Any, MemorySocket] = {}
        self._writers: dict[Any, MemorySocket] = {}
        self._descriptor = -1

    def addReader(self, reader: Any) -> None:
        """
        Part of L{IReactorFDSet}, as all that follow.
        """
        self._readers[reader] = reader.getHandle()

    def addWriter(self, writer: Any) -> None:
        self._writers[writer] = writer.getHandle()

    def removeReader(self, reader: Any) -> None:
        self._readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        self._writers.pop(writer, None)

    def removeAll(self) -> list[Any]:
        everybody = self.getReaders() + self.getWriters()
        self._readers.clear()
        self._writers.clear()
        return everybody

    def getReaders(self) -> list[Any]:
        return list(self._readers)

    def getWriters(self) -> list[Any]:
        return list(self._writers)

    def notASocket(self) -> int:
        """
        A descriptor that sendfile(2) refuses, so that files are copied instead.
        """
        if self._descriptor < 0:
            self._descriptor = os.open(os.devnull, os.O_WRONLY | os.O_APPEND)
        return self._descriptor

    def close(self) -> None:
        """
        Give the descriptor back.
        """
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def settle(self) -> None:
        """
        Turn until nothing happens any more at this moment.
        """
        for _ in range(_MOST_TURNS):
            if not self._turn():
                return
        raise AssertionError("the reactor spins")

    def _turn(self) -> bool:
        happened = False
        for writer, kernel in list(self._writers.items()):
            if writer in self._writers and kernel.writable:
                happened = True
                writer.doWrite()
        for reader, kernel in list(self._readers.items()):
            if reader in self._readers and kernel.readable:
                happened = True
                reader.doRead()
        if any(call.getTime() <= self.seconds() for call in self.getDelayedCalls()):
            happened = True
            self.advance(0)
        return happened

    def passes(self, seconds: float) -> None:
        """
        Let time pass: everything that is due meanwhile happens at its time.
        """
        end = self.seconds() + seconds
        for _ in range(_MOST_TURNS):
            self.settle()
            due = [call.getTime() for call in self.getDelayedCalls()]
            if not due or min(due) > end:
                self.advance(max(0.0, end - self.seconds()))
                self.settle()
                return
            self.advance(max(0.0, min(due) - self.seconds()))
        raise AssertionError("time stands still")


class WatchedDeadlines(Deadlines):
    """
    Remembers every deadline it made, for as long as somebody else does.
    """

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self._made: list[Any] = []

    def new(self, expired: Callable[[], None]) -> Deadline:
        """
        Make a deadline.
        """
        made = super().new(expired)
        self._made.append(made)
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
    ) -> Callable[[], None]:
        """
        What L{HTTPBuild} calls to connect.
        """
        self.peers[peer] = None
        self.asked.append(peer.name)
        dialed = Dialed(self, peer, protocol, waiter, options.connectTimeout, local)
        behaviour = self.behaviour.get(peer.name, "accept")
        if behaviour == "accept":
            self.accepted.append(dialed)
            dialed.accept()
        elif behaviour == "refuse":
            dialed.refuse()
        else:
            self.unanswered.append(dialed)
            dialed.wait()
        return dialed.giveUp


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
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, Callable[..., None], Callable[[str], None]]] = []

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

    def close(self) -> None:
        """
        Nothing is open.
        """


def lookUp(host: str) -> list[str]:
    """
    The system's resolver knows C{backend} alone.

    @raise OSError: for all others.
    """
    if host == "backend":
        return ["10.0.0.1"]
    raise OSError("unknown host")


class MemoryHTTP:
    """
    A C{http} block that serves clients in memory.

    @ivar reactor: turns and time.
    @ivar log: the error log, all levels up to C{info}.
    @ivar clients: every connection from a client there ever was.
    """

    def __init__(self, text: str, prefix: str, *, seed: int = 1) -> None:
        """
        @param text: the whole configuration.
        @param prefix: where temporary files and access logs are.
        @raise ConfigError: it is wrong.
        """
        reactor = self.reactor = MemoryReactor()
        self.deadlines = WatchedDeadlines(reactor)
        self.dialer = MemoryDialer(reactor, self.deadlines)
        self.log = LogLines()
        self.names = Names()
        self.clients: list[MemorySocket] = []
        self._ports = count(50000)
        wallClock = self.wallClock
        self._logs = Logs(
            reactor,
            prefix,
            (ErrorLogLine("memory", "info"),),
            target=self.log,  # type: ignore[arg-type]  # acts as one
            wallClock=wallClock,
        )
        variables = Variables()
        numbers = count(1)
        served = ServedBy(
            seconds=reactor.seconds,
            nextNumber=numbers.__next__,
            deadlines=self.deadlines,
            soon=lambda callback: reactor.callLater(0, callback),
            variables=variables,
            wallClock=wallClock,
        )
        root = makeGrammar().build(parse(text, "nginx.conf", lambda pattern, node: []))
        block = next(each for each in root.inner if each.node.name == "http")
        self.build = HTTPBuild(
            block,
            prefix=prefix,
            directory=prefix,
            logs=self._logs,
            served=served,
            variables=variables,
            surroundings=Surroundings(
                clock=reactor,
                random=Random(seed),
                lookUp=lookUp,
                wallClock=wallClock,
            ),
            factory=UpstreamFactory(self.deadlines, reactor.seconds, numbers.__next__),
            dial=self.dialer.dial,
            makeResolver=lambda words, node, timeout: self.names,
        )
        self.build.seconds = wallClock
        self.build.build()
        os.makedirs(prefix, exist_ok=True)
        for path in self.build.tempPaths:
            os.makedirs(path, 0o700, exist_ok=True)
        self._logs.open()
        self.factories = [
            HTTPServerFactory(served, each.address) for each in self.build.sockets
        ]

    def wallClock(self) -> float:
        """
        Seconds since 1970.
        """
        return EPOCH + self.reactor.seconds()

    def connect(self, index: int = 0) -> MemorySocket:
        """
        A client connects.

        @param index: to which of the listening addresses.
        """
        peer = ("192.0.2.1", next(self._ports))
        host = self.build.sockets[index].sockaddr
        made = MemorySocket(self.reactor, peer, host)
        self.clients.append(made)
        protocol = self.factories[index].buildProtocol()
        transport = SocketTransport(made, self.reactor, protocol, peer)  # type: ignore[arg-type]  # acts as one
        protocol.makeConnection(transport)
        transport.resumeProducing()
        transport.doRead()
        return made

    @property
    def groups(self) -> list[UpstreamGroup]:
        """
        All groups of servers.
        """
        return list(self.build.groups)

    def peers(self) -> list[Peer]:
        """
        Every peer that there is or that was ever asked.
        """
        found = dict(self.dialer.peers)
        for group in self.groups:
            peers = group.peers
            while peers is not None:
                found.update(dict.fromkeys(peers.peers))
                peers = peers.next  # type: ignore[assignment]
        return list(found)

    def idle(self) -> int:
        """
        How many connections to servers are kept for later.
        """
        return sum(len(group.cache) for group in self.groups if group.cache is not None)

    def problems(self) -> list[str]:
        """
        What is left over although no request is under way.
        """
        found = [f"{p.name}: conns {p.conns}" for p in self.peers() if p.conns]
        found += [f"{d.peer.name}: still dialed" for d in self.dialer.unanswered]
        openSockets = [each for each in self.dialer.made if not each.closed]
        if len(openSockets) != self.idle():
            found.append(f"{len(openSockets)} open, {self.idle()} idle connections")
        return found

    def shutDown(self) -> list[str]:
        """
        Close everything in good order.

        @return: what is left over then.
        """
        emptied = 0

        def count() -> None:
            nonlocal emptied
            emptied += 1

        for factory in self.factories:
            factory.drain(count)
        self.reactor.settle()
        for client in self.clients:
            client.hangUp()
        self.reactor.settle()
        for group in self.groups:
            group.close()
        self.build.groups.zones.close()
        self.reactor.settle()
        found = self.problems()
        if emptied != len(self.factories):
            found.append("connections of clients are left")
        found += ["a client's socket is open" for c in self.clients if not c.closed]
        for path in self.build.tempPaths:
            found += [f"a temporary file: {name}" for name in os.listdir(path)]
        found += [f"a deadline: {each.expired!r}" for each in self.deadlines.active()]
        # The queue of deadlines looks after those that were cleared when their time
        # comes; whatever else is waiting should not.
        self.deadlines.stop()
        found += [str(call) for call in self.reactor.getDelayedCalls()]
        self._logs.close()
        self.reactor.close()
        return found


__all__ = [
    "EPOCH",
    "Dialed",
    "LogLines",
    "MemoryDialer",
    "MemoryHTTP",
    "MemoryReactor",
    "MemorySocket",
    "Names",
    "WatchedDeadlines",
]
