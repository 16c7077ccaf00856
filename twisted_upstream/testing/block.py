"""
One C{http} block built from a text, over a network without sockets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Any

from ..balance.peer import Peer
from ..config.syntax import Document, parse
from ..config.zones import Zones
from ..http.build import HTTPBuild
from ..http.factory import HTTPServerFactory
from ..http.routing import ServedBy
from ..logs.error_log import ErrorLogLine
from ..logs.logs import Logs
from ..net.sockaddr import Sockaddr
from ..net.transport import SocketTransport
from ..process.grammar import makeGrammar
from ..upstream.build import Given
from ..upstream.connection import UpstreamFactory
from ..upstream.group import UpstreamGroup
from ..upstream.surroundings import Surroundings
from ..variables import Variables
from .memory import MemoryReactor, MemorySocket
from .network import LogLines, MemoryDialer, Names, WatchedDeadlines

#: The wall clock when a test begins: Wed, 01 Jan 2025 00:00:00 GMT.
EPOCH = 1735689600.0


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

    def __init__(
        self,
        text: str | Document,
        prefix: str,
        *,
        seed: int = 1,
        begin: float = 0.0,
        directory: str = "",
        lookUp: Callable[[str], Sequence[str]] = lookUp,
        makeDialer: type[MemoryDialer] = MemoryDialer,
        names: Any = None,
        makeReactor: type[MemoryReactor] = MemoryReactor,
    ) -> None:
        """
        @param text: the whole configuration.
        @param prefix: where temporary files and access logs are.
        @param seed: of all chance.
        @param begin: what the clock shows first.
        @param directory: that of the configuration; empty: C{prefix}.
        @param lookUp: the addresses of a name while the configuration is built.
        @param names: the resolver while requests wait; C{None}: L{Names}.
        @param makeReactor: turns and time.
        @raise ConfigError: it is wrong.
        """
        reactor = self.reactor = makeReactor()
        reactor.rightNow = begin
        self.deadlines = WatchedDeadlines(reactor)
        self.dialer = makeDialer(reactor, self.deadlines)
        self.log = LogLines()
        self.names = Names() if names is None else names
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
        if isinstance(text, str):
            text = parse(text, "nginx.conf", lambda pattern, node: [])
        root = makeGrammar().build(text)
        block = next(each for each in root.inner if each.node.name == "http")
        self.build = HTTPBuild(
            block,
            Given(
                prefix=prefix,
                directory=directory or prefix,
                logs=self._logs,
                variables=variables,
                surroundings=Surroundings(
                    clock=reactor,
                    random=Random(seed),
                    lookUp=lookUp,
                    wallClock=wallClock,
                    log=self._logs.main.write,
                ),
                factory=UpstreamFactory(
                    self.deadlines, reactor.seconds, numbers.__next__
                ),
                makeResolver=lambda words, node, timeout: self.names,
                zones=Zones(root.node),
            ),
            served=served,
            dial=self.dialer.dial,
        )
        self.build.seconds = wallClock
        self.build.build()
        os.makedirs(prefix, exist_ok=True)
        for path in self.build.tempPaths:
            os.makedirs(path, 0o700, exist_ok=True)
        self._logs.open()
        self.build.groups.start()
        self.factories = [
            HTTPServerFactory(served, each.address) for each in self.build.sockets
        ]

    def wallClock(self) -> float:
        """
        Seconds since 1970.
        """
        return EPOCH + self.reactor.seconds()

    def connect(self, index: int = 0, address: str = "192.0.2.1") -> MemorySocket:
        """
        A client connects.

        @param index: to which of the listening addresses.
        @param address: the client's own.
        """
        port = next(self._ports)
        peer: Sockaddr = (address, port, 0, 0) if ":" in address else (address, port)
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
        self.build.zones.close()
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
