"""
One client: a connection, or the datagrams that belong together.

nginx: C{ngx_stream_session_t}, C{ngx_stream_handler.c},
C{ngx_stream_core_run_phases()}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.logger import Logger
from zope.interface import implementer

from ..interfaces import IClient
from ..net.sockaddr import Sockaddr, addressText, binaryAddress
from .routing import PHASES

if TYPE_CHECKING:
    from ..limits.connections import Held
    from ..upstream.attempt import Attempt
    from ..upstream.served import Served
    from ..wire.proxy_protocol import ProxyHeader
    from .proxy import StreamProxy
    from .routing import StreamAddress, StreamServer
    from .upstream_session import UpstreamSession

#: C{$status} of sessions that went as they should.
OK = 200


@implementer(IClient)
class Session:
    """
    What TCP and UDP have in common: phases, variables, logs, the end.

    @cvar protocol: C{$protocol}.
    @cvar logPrefix: C{"udp "} before some words of the error log.
    @ivar listening: where it was accepted.
    @ivar server: the virtual server.
    @ivar number: C{$connection}.
    @ivar begun: when it began, in seconds.
    @ivar peer: the client's address; C{changeAddress} changes it.
    @ivar connectionPeer: the address of the connection itself.
    @ivar proxied: the PROXY header that it began with.
    @ivar status: 0 before the end.
    @ivar values: of variables that are assigned.
    @ivar captures: groups of the last regular expression that matched.
    @ivar attempts: at servers; C{None}: no server was asked.
    @ivar upstream: the session's passing to servers, or C{None}.
    @ivar waiting: gives up what is waited for (a name, a peer).
    @ivar action: what is being done, for the error log.
    @ivar isEnded: was it finalized?
    @ivar held: what C{limit_conn} counts, or C{None}.
    @ivar limitConnStatus: C{None}: C{limit_conn} has not looked.
    @ivar early: what the client has sent before anybody could take it.
    """

    __slots__ = (
        "_binary",
        "_phase",
        "action",
        "attempts",
        "begun",
        "captures",
        "connectionPeer",
        "early",
        "held",
        "isEnded",
        "limitConnStatus",
        "listening",
        "_notes",
        "number",
        "peer",
        "proxied",
        "served",
        "server",
        "status",
        "upstream",
        "values",
        "waiting",
    )

    protocol = b"TCP"
    logPrefix = ""
    _log = Logger()

    def __init__(
        self, served: Served, listening: StreamAddress, peer: Sockaddr
    ) -> None:
        self.served = served
        self.listening = listening
        self.server: StreamServer = listening.default
        self.peer = self.connectionPeer = peer
        self.number = served.nextNumber()
        self.begun = served.seconds()
        self.proxied: ProxyHeader | None = None
        self.status = 0
        self.values: dict[str, bytes] = {}
        self.captures: Sequence[bytes | None] = ()
        self.attempts: list[Attempt | None] | None = None
        self.upstream: UpstreamSession | None = None
        self.waiting: Callable[[], None] | None = None
        self.action = "initializing session"
        self.early = b""
        self._binary: bytes | None = None
        self._phase = 0
        self.isEnded = False
        self.held: Held | None = None
        self._notes: dict[Any, Any] | None = None
        self.limitConnStatus: bytes | None = None

    # ---- what the two kinds do differently ------------------------------------------

    @property
    def bytesReceived(self) -> int:
        """
        Bytes that came from the client, without a PROXY header.
        """
        raise NotImplementedError

    @property
    def bytesSent(self) -> int:
        """
        Bytes that went to the client.
        """
        raise NotImplementedError

    @property
    def hostName(self) -> Sockaddr:
        """
        The address that the client has connected or sent to.
        """
        raise NotImplementedError

    def tlvs(self) -> Iterable[tuple[int, bytes]]:
        """
        What a PROXY header of version 2 tells of the client's TLS: type and value.
        """
        return ()

    def newUpstream(self, proxy: StreamProxy) -> UpstreamSession:
        """
        What passes this kind of session to a server.
        """
        raise NotImplementedError

    def sendText(self, text: bytes) -> None:
        """
        Send C{text}, then end the session.
        """
        raise NotImplementedError

    def passOn(
        self,
        sockaddr: Sockaddr,
        find: Callable[[Sockaddr], Callable[..., None] | None],
    ) -> None:
        """
        Hand the client to another listening address.

        @param find: who takes the connections of a listening address.
        """
        raise NotImplementedError

    def close(self) -> None:
        """
        Let go of the client: what was written is still sent.
        """
        raise NotImplementedError

    # ---- phases ---------------------------------------------------------------------

    def proceed(self) -> None:
        """
        Go on with the next phase, and finally the content.
        """
        phases = self.server.phases
        number = self._phase
        try:
            while number < PHASES:
                phase = phases[number]
                number += 1
                if phase is not None:
                    self._phase = number
                    if phase(self):
                        return
                    # It may have chosen another server.
                    phases = self.server.phases
            self._phase = number
            self.server.content(self)
        # Whatever somebody's balancer raises: it is this session's end only.
        except Exception:
            self._log.failure("unhandled error in a session")
            if self.upstream is not None:
                self.upstream.finalize(500)
            else:
                self.finalize(500)

    def chooseServer(self, name: bytes) -> None:
        """
        The client has named a server: go on with the one that has this name, if there
        is one.

        @param name: lower case, without a dot at its end.
        """
        self.server = self.listening.find(name, self)

    def finalize(self, status: int) -> None:
        """
        End the session: log it, and let go of the client.  Who holds a server's
        connection frees it before.
        """
        if self.isEnded:
            return
        self.isEnded = True
        self.status = status
        if self.waiting is not None:
            waiting, self.waiting = self.waiting, None
            waiting()
        for log in self.server.accessLogs:
            log(self)
        if self.held is not None:
            self.held.release()
        self.close()
        # They know each other: garbage that only a collection would find.
        self.upstream = None

    def abort(self, message: str = "") -> None:
        """
        End the session in whatever state it is, with status 200.

        @param message: why, for the error log.
        """
        if message:
            self.logError("info", message)
        if self.upstream is not None:
            self.upstream.finalize(OK)
        else:
            self.finalize(OK)

    # ---- IClient, and what upstream asks --------------------------------------------

    @property
    def location(self) -> StreamServer:
        """
        Where the resolver is.
        """
        return self.server

    def failResponse(self, status: int) -> None:
        """
        There is no server's address to be had: that is always 500 here.
        """
        assert self.upstream is not None
        self.upstream.finalize(500)

    @property
    def address(self) -> bytes:
        """
        The client's address in network order.
        """
        if self._binary is None:
            self._binary = binaryAddress(self.peer)
        return self._binary

    @property
    def notes(self) -> dict[Any, Any]:
        """
        What balancers remember of this session; most remember nothing.
        """
        if self._notes is None:
            self._notes = {}
        return self._notes

    def variable(self, name: str) -> bytes:
        """
        The value of C{$name}; empty when it has none.
        """
        return self.served.getter(name)(self) or b""

    def changeAddress(self, host: str, port: int) -> None:
        """
        The client's address is another than that of the connection.
        """
        self.peer = (host, port, 0, 0) if ":" in host else (host, port)
        self._binary = None

    # ---- the error log --------------------------------------------------------------

    def logError(self, level: str, message: str, errno: int = 0) -> None:
        """
        Write a line to the server's error log, with what is known of the session.

        nginx: C{ngx_stream_log_error()}
        """
        log = self.server.errorLog
        if not log.enabled(level):
            return
        action = f" while {self.action}" if self.action else ""
        suffix = (
            f"{action}, {self.logPrefix}client: {addressText(self.peer)}"
            f", server: {self.listening.name}"
        )
        if self.upstream is not None:
            suffix += self.upstream.described()
        log.write(level, message, errno, self.number, suffix)

    def logPlainly(self, level: str, message: str) -> None:
        """
        The same without what is known of the session.
        """
        self.server.errorLog.write(level, message, 0, self.number)
