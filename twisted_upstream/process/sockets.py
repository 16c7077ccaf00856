"""
The sockets that one configuration listens on: opened or taken over from the
configuration before it, and given to those who serve there.

nginx: C{ngx_open_listening_sockets()}, C{ngx_http_init_listening()},
C{ngx_http_init_connection()}, C{ngx_stream_pass_match()}
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..http.build import HTTPBuild
from ..http.factory import HTTPServerFactory
from ..http.listen import Socket
from ..net.bound import ListenError, ListenOptions
from ..net.datagrams import DatagramListener, openDatagrams
from ..net.listeners import Listener, Listeners
from ..net.sockaddr import Sockaddr, familyOf, sockaddrName
from ..net.transport import SocketTransport
from ..stream.build import StreamBuild, StreamSocket
from ..stream.tcp import TCPFactory, TCPSession
from ..stream.udp import UDPFactory

if TYPE_CHECKING:
    from ..http.routing import Address
    from ..logs.logs import Logs
    from ..stream.routing import StreamAddress

#: What makes the protocols of a listening address.
Factory = HTTPServerFactory | TCPFactory | UDPFactory
#: What is listened on: an address, and whether for datagrams.
_Place = tuple[Sockaddr, bool]


@dataclass(eq=False)
class _Open:
    """
    A listening socket and who is served there.

    @ivar factories: by local address, where a wildcard stands for others, too.
    """

    listener: Listener | DatagramListener
    factory: Factory
    factories: dict[Sockaddr, Factory] = field(default_factory=dict)


class ListeningSockets:
    """
    The listening sockets of one configuration.

    @ivar factories: one for each address that the configuration names.
    """

    def __init__(self, reactor: Any, logs: Logs) -> None:
        self._reactor = reactor
        self._logs = logs
        self._listeners = Listeners(reactor)
        self._listeners.acceptLimit = 64
        self._open: dict[_Place, _Open] = {}
        self.factories: list[Factory] = []

    def open(
        self,
        builds: Iterable[HTTPBuild | StreamBuild],
        previous: ListeningSockets | None,
    ) -> None:
        """
        Bind what C{previous} does not have: all or nothing.

        @raise ListenError: an address cannot be listened on.
        """
        sockets = [(build, each) for build in builds for each in build.sockets]
        wildcards = {
            _port(each.sockaddr, each.isDatagram)
            for _, each in sockets
            if _isWildcard(each.sockaddr)
        }
        inherited = {} if previous is None else previous._open
        bound: list[Listener | DatagramListener] = []
        covered: list[tuple[_Place, Factory]] = []
        try:
            for build, each in sockets:
                factory = each.makeFactory(build.served)
                self.factories.append(factory)
                place = (each.sockaddr, each.isDatagram)
                if _port(*place) in wildcards and not _isWildcard(each.sockaddr):
                    covered.append((place, factory))
                    continue
                old = inherited.get(place)
                if old is not None:
                    listener = old.listener
                else:
                    listener = self._bind(each)
                    bound.append(listener)
                self._open[place] = _Open(listener, factory)
        except ListenError:
            for listener in bound:
                listener.close(unlink=True)
            self._open.clear()
            raise
        for place, factory in covered:
            for opened in self._standingFor(*place):
                opened.factories[place[0]] = factory

    def _standingFor(self, sockaddr: Sockaddr, isDatagram: bool) -> list[_Open]:
        """
        The wildcards that take what comes to an address.
        """
        port = _port(sockaddr, isDatagram)
        return [
            opened
            for bound, opened in self._open.items()
            if _isWildcard(bound[0]) and _port(*bound) == port
        ]

    def _bind(self, each: Socket | StreamSocket) -> Listener | DatagramListener:
        # An old process may be about to leave the address.
        for _ in range(4):
            try:
                return self._bindNow(each)
            except ListenError as e:
                if e.errno != errno.EADDRINUSE:
                    raise
                self._logs.main.write("emerg", e.message, e.errno)
                self._logs.main.write("notice", "try again to bind() after 500ms")
                time.sleep(0.5)
        return self._bindNow(each)

    def _bindNow(self, each: Socket | StreamSocket) -> Listener | DatagramListener:
        options = None if each.line is None else each.line.options
        options = options or ListenOptions()
        if each.isDatagram:
            return openDatagrams(self._reactor, each.sockaddr, options)
        return self._listeners.open(each.sockaddr, options)

    def handOver(self, successor: ListeningSockets) -> None:
        """
        Keep none: those that C{successor} has, too, are its own now, and the others
        are closed.
        """
        kept = set(successor._open)
        for place, opened in list(self._open.items()):
            if place not in kept:
                opened.listener.close(unlink=True)
            del self._open[place]

    def start(self) -> None:
        """
        Begin accepting.
        """
        for opened in self._open.values():
            listener = opened.listener
            if isinstance(listener, DatagramListener):
                listener.received = _dispatching(opened)
            else:
                listener.accepted = _accepting(opened, self._reactor)
            listener.start()

    def close(self) -> None:
        """
        Close those that nobody has taken over.
        """
        for opened in self._open.values():
            opened.listener.close(unlink=True)
        self._open.clear()

    def findTaker(self, sockaddr: Sockaddr) -> Callable[..., None] | None:
        """
        Who takes connections that C{pass} of C{stream} hands to a listening address.

        nginx: C{ngx_stream_pass_match()}
        """
        opened = self._open.get((sockaddr, False))
        if opened is None:
            opened = next(iter(self._standingFor(sockaddr, False)), None)
        if opened is None:
            return None
        factory: Any = opened.factories.get(sockaddr, opened.factory)
        reactor = self._reactor
        gate = factory.address.tls

        def takeSocket(
            transport: SocketTransport, local: Sockaddr, early: bytes, passes: int
        ) -> None:
            peerName = transport.peerName
            gate.accept(transport.release(), peerName, factory, reactor, local, passes)

        def take(
            transport: SocketTransport, local: Sockaddr, early: bytes, passes: int
        ) -> None:
            protocol = factory.buildProtocol()
            if isinstance(protocol, TCPSession):
                protocol.passes = passes
            transport.hostName = local
            transport.protocol = protocol
            protocol.makeConnection(transport)
            if early:
                protocol.dataReceived(early)
            transport.resumeProducing()
            transport.doRead()

        return take if gate is None else takeSocket

    @property
    def addresses(self) -> Sequence[tuple[str, Address | StreamAddress]]:
        """
        What is listened on: names and what serves there.
        """
        return [
            (sockaddrName(sockaddr), opened.factory.address)
            for (sockaddr, _), opened in self._open.items()
        ]


def _accepting(opened: _Open, reactor: Any) -> Callable[[socket.socket, Any], None]:
    """
    What takes connections to the servers of the address that was connected to.
    """
    ours: Any = opened.factory
    build = ours.buildProtocol
    factories: Mapping[Sockaddr, Any] = opened.factories
    tls = ours.address.tls

    def accepted(sock: socket.socket, peerName: Any) -> None:
        make = build
        if factories:
            factory = factories.get(sock.getsockname())
            if factory is not None:
                if factory.address.tls is not None:
                    factory.address.tls.accept(sock, peerName, factory, reactor)
                    return
                make = factory.buildProtocol
        protocol = make()
        transport = SocketTransport(sock, reactor, protocol, peerName)
        protocol.makeConnection(transport)
        transport.resumeProducing()
        # The first request is often there already.
        transport.doRead()

    def acceptedTLS(sock: socket.socket, peerName: Any) -> None:
        factory = factories.get(sock.getsockname()) if factories else None
        if factory is not None and factory.address.tls is None:
            accepted(sock, peerName)
            return
        factory = factory or ours
        factory.address.tls.accept(sock, peerName, factory, reactor)

    return accepted if tls is None else acceptedTLS


def _dispatching(
    opened: _Open,
) -> Callable[[bytes, Sockaddr, Sockaddr, DatagramListener], None]:
    """
    What takes datagrams to the servers of the address that they were sent to.
    """
    ours, factories = opened.factory, opened.factories
    assert isinstance(ours, UDPFactory)
    if not factories:
        return ours.datagramReceived

    def dispatch(
        datagram: bytes, client: Sockaddr, local: Sockaddr, listener: DatagramListener
    ) -> None:
        factory: Any = factories.get(local, ours)
        factory.datagramReceived(datagram, client, local, listener)

    return dispatch


def _isWildcard(sockaddr: Sockaddr) -> bool:
    return not isinstance(sockaddr, str) and sockaddr[0] in ("0.0.0.0", "::")


def _port(sockaddr: Sockaddr, isDatagram: bool) -> tuple[int, int | None, bool]:
    """
    What a wildcard has in common with the addresses it stands for.
    """
    number = None if isinstance(sockaddr, str) else sockaddr[1]
    return familyOf(sockaddr), number, isDatagram
