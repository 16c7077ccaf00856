"""
A C{stream} block that serves clients in memory, on a clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.peer import Peer
from twisted_upstream.config.syntax import parse
from twisted_upstream.config.zones import Zones
from twisted_upstream.logs.error_log import ErrorLogLine
from twisted_upstream.logs.logs import Logs
from twisted_upstream.net.sockaddr import Sockaddr, sockaddrName
from twisted_upstream.net.transport import SocketTransport
from twisted_upstream.process.grammar import makeGrammar
from twisted_upstream.stream.build import StreamBuild
from twisted_upstream.stream.tcp import TCPSession
from twisted_upstream.upstream.build import Given
from twisted_upstream.upstream.connection import UpstreamFactory
from twisted_upstream.upstream.served import Served
from twisted_upstream.upstream.surroundings import Surroundings
from twisted_upstream.variables import Variables

from .memory import (
    EPOCH,
    Dialed,
    LogLines,
    MemoryDialer,
    MemoryReactor,
    MemorySocket,
    Names,
    WatchedDeadlines,
    lookUp,
)

#: One server before one backend.
SINGLE = "server { listen 8080; proxy_pass 10.0.0.1:80; }"


class StreamDialer(MemoryDialer):
    """
    The same as sessions call it.

    @ivar options: of the connection that was asked for last.
    """

    options: Any = None

    def dial(  # type: ignore[override]  # what SocketDialer has
        self,
        sockaddr: Sockaddr,
        protocol: Any,
        waiter: Any,
        *,
        timeout: float,
        localAddress: Sockaddr | None,
        options: Any,
        datagrams: bool = False,
    ) -> Callable[[], None]:
        """
        Connect.
        """
        self.options = options
        peer = Peer(sockaddrName(sockaddr), sockaddr)
        self.asked.append(peer.name)
        local = None if localAddress is None else sockaddrName(localAddress).encode()
        dialed = Dialed(self, peer, protocol, waiter, timeout, local)
        self.begin(dialed)
        return dialed.giveUp


class MemoryStream:
    """
    A C{stream} block in memory.

    @ivar log: the error log, C{info} and worse.
    @ivar lines: the access log of the format C{test}.
    """

    def __init__(self, text: str, prefix: str) -> None:
        """
        @param text: the inside of C{stream}.
        """
        reactor = self.reactor = self.makeReactor()
        self.deadlines = WatchedDeadlines(reactor)
        self.dialer = self.makeDialer()
        self.log = LogLines()
        self.names = Names()
        self.clients: list[MemorySocket] = []
        self._ports = count(50000)
        self._logs = Logs(
            reactor,
            prefix,
            (ErrorLogLine("memory", "info"),),
            target=self.log,  # type: ignore[arg-type]  # acts as one
            wallClock=self.wallClock,
        )
        variables = Variables()
        numbers = count(1)
        whole = f"events {{ }} stream {{ {text} }}"
        self.grammar = makeGrammar()
        root = self.grammar.build(parse(whole, "nginx.conf", lambda pattern, node: []))
        block = next(each for each in root.inner if each.node.name == "stream")
        self.served = Served(
            seconds=reactor.seconds,
            nextNumber=numbers.__next__,
            deadlines=self.deadlines,
            soon=lambda callback: reactor.callLater(0, callback),
            variables=variables,
            wallClock=self.wallClock,
        )
        self.build = StreamBuild(
            block,
            Given(
                prefix=prefix,
                directory=prefix,
                logs=self._logs,
                variables=variables,
                surroundings=Surroundings(
                    clock=reactor,
                    random=Random(1),
                    lookUp=lookUp,
                    wallClock=self.wallClock,
                    log=self._logs.main.write,
                ),
                factory=UpstreamFactory(
                    self.deadlines, reactor.seconds, numbers.__next__
                ),
                makeResolver=lambda words, node, timeout: self.names,
                zones=Zones(root.node),
            ),
            served=self.served,
            dialer=self.dialer,  # type: ignore[arg-type]  # acts as one
            findTaker=self._findTaker,
        )
        self.build.build()
        self._logs.open()
        self.build.groups.start()
        self.factories: list[Any] = [
            each.makeFactory(self.served) for each in self.build.sockets
        ]

    def makeReactor(self) -> MemoryReactor:
        """
        Turns and time.
        """
        return MemoryReactor()

    def makeDialer(self) -> StreamDialer:
        """
        What connects to servers.
        """
        return StreamDialer(self.reactor, self.deadlines)

    def wallClock(self) -> float:
        """
        Seconds since 1970.
        """
        return EPOCH + self.reactor.seconds()

    def _findTaker(self, sockaddr: Sockaddr) -> Callable[..., None] | None:
        sockaddrs = [each.sockaddr for each in self.build.sockets]
        if sockaddr not in sockaddrs:
            return None
        factory = self.factories[sockaddrs.index(sockaddr)]

        def take(transport: Any, local: Sockaddr, early: bytes, passes: int) -> None:
            protocol = factory.buildProtocol()
            protocol.passes = passes
            transport.hostName = local
            transport.protocol = protocol
            protocol.makeConnection(transport)
            transport.resumeProducing()

        return take

    def connect(
        self,
        index: int = 0,
        data: bytes = b"",
        peer: Sockaddr | None = None,
    ) -> MemorySocket:
        """
        A client connects.

        @param index: to which of the listening addresses.
        @param data: what it has sent when it is accepted.
        """
        peer = ("192.0.2.1", next(self._ports)) if peer is None else peer
        made = MemorySocket(self.reactor, peer, self.build.sockets[index].sockaddr)
        self.clients.append(made)
        made.deliver(data)
        protocol = self.factories[index].buildProtocol()
        transport = SocketTransport(made, self.reactor, protocol, peer)  # type: ignore[arg-type]  # acts as one
        protocol.makeConnection(transport)
        transport.resumeProducing()
        transport.doRead()
        self.reactor.settle()
        return made

    @property
    def sessions(self) -> list[TCPSession]:
        """
        Those that are open.
        """
        return [each for factory in self.factories for each in factory.clients]

    def server(self) -> MemorySocket:
        """
        The server's side of the next connection.
        """
        found = self.dialer.accepted.popleft().socket
        assert found is not None
        return found

    def says(self, speaker: MemorySocket, data: bytes) -> None:
        """
        One side sends C{data}.
        """
        speaker.deliver(data)
        self.reactor.settle()

    def ends(self, speaker: MemorySocket) -> None:
        """
        One side ends its output.
        """
        speaker.end()
        self.reactor.settle()

    def shutDown(self) -> list[str]:
        """
        Let everybody hang up.

        @return: what is left over then.
        """
        for client in self.clients:
            client.hangUp()
        for made in self.dialer.made:
            made.hangUp()
        self.reactor.settle()
        for session in self.sessions:
            session.abort()
        self.reactor.settle()
        found = [
            "a client's socket is open" for each in self.clients if not each.closed
        ]
        found += [f"{each.peer.name}: still dialed" for each in self.dialer.unanswered]
        return found + self.close()

    def close(self) -> list[str]:
        """
        Close what is no client's, and stop the clock.

        @return: what is left over then.
        """
        found = [
            "a server's socket is open" for each in self.dialer.made if not each.closed
        ]
        for group in self.build.groups:
            found += [
                f"{peer.name}: conns {peer.conns}"
                for peer in group.peers.peers
                if peer.conns
            ]
        found += [f"a deadline: {each.expired!r}" for each in self.deadlines.active()]
        self._logs.close()
        self.deadlines.stop()
        self.reactor.close()
        return found


_Stream = TypeVar("_Stream", bound=MemoryStream)


class StreamCase(SynchronousTestCase):
    """
    A test case of sessions.
    """

    def stream(self, text: str = SINGLE) -> MemoryStream:
        """
        Begin; after the test nothing may be left over.

        @param text: the inside of C{stream}.
        """
        return self.begin(MemoryStream, text)

    def begin(self, make: Callable[[str, str], _Stream], text: str) -> _Stream:
        """
        The same of a kind of L{MemoryStream}.
        """
        prefix = self.prefix = os.path.abspath(self.mktemp())
        os.makedirs(prefix)
        made = make(
            "log_format test '$status $bytes_received $bytes_sent $upstream_addr';"
            f" access_log access.log test; {text}",
            prefix,
        )
        self.addCleanup(lambda: self.assertEqual(made.shutDown(), []))
        return made

    def accessLog(self, name: str = "access.log") -> list[str]:
        """
        The lines of an access log.
        """
        with open(f"{self.prefix}/{name}") as file:
            return file.read().splitlines()
