"""
UDP in memory: the real listeners and transports over sockets that are lists, on a
clock.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from typing import Any

from twisted_upstream.net.datagrams import DatagramListener, DatagramTransport
from twisted_upstream.net.dialer import ConnectFailed
from twisted_upstream.net.sockaddr import Sockaddr, sockaddrName
from twisted_upstream.stream.udp import UDPFactory, UDPSession

from .memory import MemoryReactor
from .stream import MemoryStream, StreamCase

CLIENT = ("192.0.2.1", 50000)


class MemoryDatagrams:
    """
    A socket as the kernel shows it to us, and as the other side sees it.

    @ivar incoming: what was sent to us and nobody has read, or numbers of errors, and
        who has sent it.
    @ivar outgoing: what we have sent, and to whom.
    @ivar room: how many more datagrams the kernel takes; C{None}: all.
    @ivar error: the number of the error that sending has.
    @ivar closed: is our descriptor closed?
    """

    def __init__(self, reactor: MemoryReactor, name: Sockaddr) -> None:
        self._reactor = reactor
        self.name = name
        self.incoming: deque[tuple[bytes | int, Sockaddr]] = deque()
        self.outgoing: list[tuple[bytes, Sockaddr]] = []
        self.room: int | None = None
        self.error = 0
        self.closed = False

    @property
    def heard(self) -> list[bytes]:
        """
        What we have sent since the last time.
        """
        found = [datagram for datagram, _ in self.outgoing]
        self.outgoing.clear()
        return found

    # ---- the kernel -----------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """
        Would C{recv} return?
        """
        return bool(self.incoming)

    @property
    def writable(self) -> bool:
        """
        Would C{send} take anything?
        """
        return self.room is None or self.room > 0

    def recvfrom_into(self, buffer: bytearray) -> tuple[int, Sockaddr]:
        """
        Part of L{socket.socket}, as all that follow.
        """
        if not self.incoming:
            raise BlockingIOError(errno.EAGAIN, "would block")
        data, sender = self.incoming.popleft()
        if isinstance(data, int):
            raise OSError(data, os.strerror(data))
        buffer[: len(data)] = data
        return len(data), sender

    def recv_into(self, buffer: bytearray) -> int:
        return self.recvfrom_into(buffer)[0]

    def send(self, data: bytes) -> int:
        return self.sendto(data, "")

    def sendto(self, data: bytes, to: Sockaddr) -> int:
        if self.closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        if self.room is not None:
            if not self.room:
                raise BlockingIOError(errno.EAGAIN, "would block")
            self.room -= 1
        self.outgoing.append((data, to))
        return len(data)

    def getsockname(self) -> Sockaddr:
        return self.name

    def getsockopt(self, level: int, name: int) -> int:
        if self.incoming and isinstance(self.incoming[0][0], int):
            return self.incoming.popleft()[0]  # type: ignore[return-value]
        return 0

    def setblocking(self, isBlocking: bool) -> None:
        pass

    def fileno(self) -> int:
        return -1 if self.closed else self._reactor.notASocket()

    def close(self) -> None:
        self.closed = True


class DatagramDialer:
    """
    Makes sockets to servers.

    @ivar made: those that there ever were.
    @ivar failing: servers' names, and the numbers of the errors they have at once.
    @ivar local: the address that the last one comes from.
    """

    def __init__(self, reactor: MemoryReactor) -> None:
        self._reactor = reactor
        self.made: list[MemoryDatagrams] = []
        self.names: list[str] = []
        self.failing: dict[str, int] = {}
        self.local: Sockaddr | None = None

    def dial(
        self,
        sockaddr: Sockaddr,
        protocol: Any,
        waiter: Any,
        *,
        timeout: float,
        localAddress: Sockaddr | None,
        options: Any,
        datagrams: bool,
    ) -> Callable[[], None]:
        """
        What L{SocketDialer<twisted_upstream.net.dialer>} does.
        """
        assert datagrams
        name = sockaddrName(sockaddr)
        self.names.append(name)
        self.local = localAddress
        number = self.failing.get(name)
        if number:
            waiter.connectionFailed(
                ConnectFailed(number, "connect", sockaddr, immediate=True)
            )
            return _nothing
        made = MemoryDatagrams(self._reactor, ("192.0.2.254", 60000 + len(self.made)))
        self.made.append(made)
        protocol.makeConnection(
            DatagramTransport(made, self._reactor, protocol, sockaddr)  # type: ignore[arg-type]  # acts as one
        )
        waiter.connectionReady(protocol)
        return _nothing


def _nothing() -> None:
    pass


class MemoryUDP(MemoryStream):
    """
    A C{stream} block whose servers all listen for datagrams.

    @ivar sockets: what the addresses are bound to, in their order.
    """

    dialer: DatagramDialer  # type: ignore[assignment]
    factories: list[UDPFactory]

    def __init__(self, text: str, prefix: str) -> None:
        super().__init__(text, prefix)
        self.sockets: list[MemoryDatagrams] = []
        self.listeners: list[DatagramListener] = []
        for factory, each in zip(self.factories, self.build.sockets, strict=True):
            made = MemoryDatagrams(self.reactor, each.sockaddr)
            listener = DatagramListener(self.reactor, made)  # type: ignore[arg-type]  # acts as one
            listener.received = factory.datagramReceived
            listener.start()
            self.sockets.append(made)
            self.listeners.append(listener)

    def makeDialer(self) -> Any:
        """
        What connects to servers.
        """
        return DatagramDialer(self.reactor)

    def sends(
        self, *datagrams: bytes, client: Sockaddr = CLIENT, index: int = 0
    ) -> None:
        """
        A client sends datagrams.

        @param index: to which of the addresses.
        """
        for each in datagrams:
            self.sockets[index].incoming.append((each, client))
        self.reactor.settle()

    def answers(self, server: int, *datagrams: bytes | int) -> None:
        """
        A server sends datagrams, or what was sent to it comes back as an error.

        @param server: a place in C{dialer.made}; -1 is the newest.
        """
        made = self.dialer.made[server]
        for each in datagrams:
            made.incoming.append((each, ""))
        self.reactor.settle()

    def heard(self, client: Sockaddr = CLIENT, index: int = 0) -> list[bytes]:
        """
        What a client has heard, all of it.
        """
        return [data for data, to in self.sockets[index].outgoing if to == client]

    @property
    def udpSessions(self) -> list[UDPSession]:
        """
        Those that are open.
        """
        return [each for factory in self.factories for each in factory.clients]

    def shutDown(self) -> list[str]:
        """
        End all sessions.

        @return: what is left over then.
        """
        for factory in self.factories:
            factory.stop()
        self.reactor.settle()
        found = [f"a session: {key}" for each in self.factories for key in each.bound]
        return found + self.close()


class UDPCase(StreamCase):
    """
    A test case of sessions over UDP.
    """

    def udp(self, more: str = "", head: str = "") -> MemoryUDP:
        """
        Begin with one server; after the test nothing may be left over.

        @param more: of the C{server} block; C{proxy_pass} is there.
        @param head: before it.
        """
        return self.udpBlock(
            f"{head} server {{ listen 192.0.2.254:53 udp; proxy_pass 10.0.0.1:53;"
            f" {more} }}"
        )

    def udpBlock(self, text: str) -> MemoryUDP:
        """
        Begin with the inside of C{stream}.
        """
        return self.begin(MemoryUDP, text)
