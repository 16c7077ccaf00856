"""
Sessions over UDP: the datagrams of one client, for as long as they belong together.

nginx: C{ngx_event_recvmsg()}, C{ngx_lookup_udp_connection()},
C{ngx_delete_udp_connection()}
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..net.datagrams import REMOTE_ERRORS
from ..net.sockaddr import sockaddrName
from ..upstream.clients import Clients
from .session import OK, Session
from .udp_upstream import UDPUpstream

if TYPE_CHECKING:
    from ..net.datagrams import DatagramListener
    from ..net.sockaddr import Sockaddr
    from ..upstream.served import Served
    from .proxy import StreamProxy
    from .routing import StreamAddress
    from .upstream_session import UpstreamSession

#: Sessions of one listening address: whoever makes up senders' addresses must not fill
#: the memory.
MAX_SESSIONS = 65536


class UDPSession(Session):
    """
    A client's datagrams.

    @ivar received: takes the client's next datagram.
    @ivar taken: bytes of the client's datagrams, without those that were dropped.
    """

    __slots__ = (
        "_factory",
        "_isBound",
        "_listener",
        "_local",
        "_sent",
        "received",
        "taken",
    )

    protocol = b"UDP"
    logPrefix = "udp "
    #: There is no TLS over UDP, whatever the server does with connections.
    gate = None

    def __init__(
        self,
        factory: UDPFactory,
        client: Sockaddr,
        local: Sockaddr,
        listener: DatagramListener,
    ) -> None:
        """
        @param local: the address that the client sends to.
        """
        super().__init__(factory.served, factory.address, client)
        self._factory = factory
        self._local = local
        self._listener = listener
        self._isBound = False
        self.taken = 0
        self._sent = 0
        self.received: Callable[[bytes], None] = _ignored

    def begin(self, datagram: bytes) -> None:
        """
        The client's first datagram is there.

        nginx: C{ngx_stream_init_connection()}
        """
        self._factory.clients.add(self)
        if self.connectionPeer:
            # Who has no address always is somebody new.
            self._factory.bound[self.connectionPeer, self._local] = self
            self._isBound = True
        self.early = datagram
        self.taken = len(datagram)
        server = self.server
        if server.logsInfo:
            server.errorLog.write(
                "info",
                f"*{self.number} udp client {sockaddrName(self.peer)} connected to"
                f" {self.listening.name}",
            )
        self.proceed()

    def unbind(self) -> None:
        """
        The client's next datagram begins another session.
        """
        if self._isBound:
            self._isBound = False
            del self._factory.bound[self.connectionPeer, self._local]

    def send(self, datagram: bytes, action: str) -> bool:
        """
        Send a datagram to the client.

        @param action: what is done so, for the error log.
        @return: C{False}: it could not be sent.
        """
        number = self._listener.send(datagram, self.connectionPeer, self._local)
        if not number:
            self._sent += len(datagram)
            return True
        self.action = action
        if number == errno.EAGAIN:
            self.logError("alert", "shared connection is busy")
        else:
            level = "info" if number in REMOTE_ERRORS else "alert"
            self.logError(level, "sendmsg() failed", number)
        return False

    @property
    def isDraining(self) -> bool:
        """
        Is a new configuration, or nobody, to have the client's next datagram?
        """
        return self._factory.isDraining

    def drain(self) -> None:
        """
        The session's configuration is not the current one any more.
        """
        self.unbind()
        if self._listener.isClosed:
            # Nothing can be answered.
            self.logPlainly("info", "disconnected on shutdown")
            self.abort()
        elif isinstance(self.upstream, UDPUpstream):
            self.upstream.drain()

    # ---- Session --------------------------------------------------------------------

    @property
    def bytesReceived(self) -> int:
        """
        Bytes that came from the client.
        """
        return self.taken

    @property
    def bytesSent(self) -> int:
        """
        Bytes that went to the client.
        """
        return self._sent

    @property
    def hostName(self) -> Sockaddr:
        """
        The address that the client sends to.
        """
        return self._local

    def newUpstream(self, proxy: StreamProxy) -> UpstreamSession:
        """
        What passes this session to a server.
        """
        upstream = UDPUpstream(proxy, self)
        self.received = upstream.received
        return upstream

    def sendText(self, text: bytes) -> None:
        """
        Send C{text} in one datagram, then end the session.
        """
        self.finalize(OK if not text or self.send(text, self.action) else 500)

    def passOn(
        self,
        sockaddr: Sockaddr,
        find: Callable[[Sockaddr], Callable[..., None] | None],
    ) -> None:
        """
        There is no connection to hand to another listening address.

        nginx: C{ngx_stream_pass_check_cycle()}
        """
        self.logError("error", "cannot pass udp connection")
        self.finalize(500)

    def close(self) -> None:
        """
        Let go of the client.
        """
        self.received = _ignored
        self.unbind()
        self._factory.clientGone(self)


def _ignored(datagram: bytes) -> None:
    """
    What happens to datagrams while nobody takes them.
    """


class UDPFactory(Clients):
    """
    Makes the sessions of one listening address.

    @ivar bound: those that get their clients' next datagrams, by the client's address
        and the one that it sends to.
    @ivar isDraining: are they to end soon?
    @ivar maxSessions: how many there may be; others' datagrams are dropped.
    """

    def __init__(self, served: Served, address: StreamAddress) -> None:
        """
        @param served: what all addresses of a configuration share.
        """
        super().__init__(served)
        self.address = address
        self.bound: dict[tuple[Sockaddr, Sockaddr], UDPSession] = {}
        self.isDraining = False
        self.maxSessions = MAX_SESSIONS
        self._isFull = False

    def datagramReceived(
        self,
        datagram: bytes,
        client: Sockaddr,
        local: Sockaddr,
        listener: DatagramListener,
    ) -> None:
        """
        Take a datagram to its session.

        @param local: the address that it was sent to.
        """
        session = self.bound.get((client, local))
        if session is not None:
            session.received(datagram)
            return
        if len(self.clients) >= self.maxSessions:
            self._complain()
            return
        self._isFull = False
        UDPSession(self, client, local, listener).begin(datagram)

    def _complain(self) -> None:
        """
        Say that there are too many sessions, once.
        """
        if not self._isFull:
            self._isFull = True
            log = self.address.default.errorLog
            log.write("alert", f"{self.maxSessions} udp sessions are not enough")

    def drain(self, emptied: Callable[[], None]) -> None:
        """
        Call C{emptied} when the last session has ended: at once, where the socket is
        closed; else when there is nothing more to expect from servers.
        """
        self.isDraining = True
        for session in list(self.clients):
            session.drain()
        super().drain(emptied)
