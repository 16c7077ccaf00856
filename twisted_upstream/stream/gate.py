"""
A client's first bytes where TLS or a look at it comes before the content: all stay with
the kernel until it is known what they are.

nginx: stream/ngx_stream_ssl_module.c (ngx_stream_ssl_handler),
stream/ngx_stream_ssl_preread_module.c
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..net.transport import SocketTransport
from ..tls.accept import UNRECOGNIZED_NAME, Accept, hasEnded
from ..tls.handshake import HandshakeFailed, Turns
from ..tls.openssl import peerCertificate, verifyResult
from ..tls.socket import TLSSocket
from ..wire.client_hello import ClientHelloParser, NotClientHello
from ..wire.host import splitHost
from ..wire.proxy_protocol import readProxyHeader
from .session import OK

if TYPE_CHECKING:
    import socket as sockets

    from OpenSSL import SSL

    from ..net.dialer import SocketDialer
    from ..net.sockaddr import Sockaddr
    from ..net.transport import Reactor
    from ..tls.context import Context
    from ..tls.ocsp import OCSPChecker
    from ..tls.server import ServerTLS
    from ..wire.client_hello import ClientHello
    from .routing import StreamServer
    from .tcp import TCPFactory, TCPSession

#: OpenSSL takes no longer name.
_MOST_NAME = 255


class StreamAddressTLS:
    """
    A listening address that looks before it takes.

    @ivar servers: the TLS of each virtual server that is found here; empty: it has
        none.
    """

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.servers: dict[StreamServer, ServerTLS] = {}
        self.handshakeTimeouts: dict[StreamServer, float] = {}

    def accept(
        self,
        sock: sockets.socket,
        peerName: Sockaddr,
        factory: TCPFactory,
        reactor: Reactor,
        hostName: Sockaddr | None = None,
        passes: int = 0,
    ) -> None:
        """
        A client has connected.

        @param hostName: the address it was passed on to.
        @param passes: how often it was passed on.
        """
        session = factory.buildProtocol()
        session.passes = passes
        transport = SocketTransport(sock, reactor, session, peerName)
        if hostName is not None:
            transport.hostName = hostName
        session.gate = StreamGate(self, session, transport, reactor)
        session.makeConnection(transport)


class StreamGate(Accept):
    """
    One client before its content.

    @ivar raw: the transport that the client came with; it has read nothing.
    """

    takesPlain = False

    def __init__(
        self,
        tls: StreamAddressTLS,
        session: TCPSession,
        transport: SocketTransport,
        reactor: Reactor,
    ) -> None:
        super().__init__(transport.getHandle(), reactor, tls.turns)
        self._tls = tls
        self._session = session
        self.raw = transport
        self._prereads = False
        self._proceeding = False
        self._held = False

    # ---- what the session asks ------------------------------------------------------

    def start(self) -> None:
        """
        The session is there: go through its phases.
        """
        session = self._session
        if session.listening.proxyProtocol:
            self.proxyProtocol = readProxyHeader
            session.deadline.expired = self._timedOut
            session.deadline.set(session.server.options.proxyProtocolTimeout)
            self.receive()
        else:
            self._proceed()

    def _proceed(self) -> None:
        """
        Go on with the session's phases; without one that waits for the client, let it
        have its bytes.
        """
        session = self._session
        session.waiting = None
        if self._isHeld():
            return
        self.leave()
        transport = session.transport
        owner: object = transport.protocol
        if owner is session:
            transport.resumeProducing()
            transport.doRead()

    def _isHeld(self) -> bool:
        """
        Run phases.

        @return: does one of them wait for the client here?
        """
        self._held = False
        self._session.proceed()
        return self._held

    def _wantsToWait(self) -> None:
        self._held = True
        self._session.waiting = self.stop

    def proxied(self, header: Any) -> None:
        """
        A PROXY header has come.
        """
        session = self._session
        session.proxied = header
        session.deadline.clear()
        session.action = "initializing session"
        self._unwatch()
        self._proceed()

    def _unwatch(self) -> None:
        self._watch(False, False)

    # ---- preread --------------------------------------------------------------------

    def preread(self) -> bool:
        """
        A phase: look at the hello.
        """
        session = self._session
        self._prereads = True
        self._parser = ClientHelloParser()
        self._wantsToWait()
        session.deadline.expired = self._timedOut
        session.deadline.set(session.server.options.prereadTimeout)
        if session.transport.tls is None:
            self.receive()
        else:
            # What was encrypted for us may be a hello for somebody else.
            session.dataReceived = self._decrypted
            session.ended = self._endedEarly
            session.transport.resumeProducing()
        return True

    def _decrypted(self, data: bytes) -> None:
        session = self._session
        session.early += data
        if not self._look(session.early):
            return
        session.dataReceived = session._held
        session.ended = session._endedEarly
        self._seen()

    def _endedEarly(self, reason: BaseException | None) -> None:
        self._session.finalize(OK)

    def _look(self, data: bytes) -> bool:
        """
        @return: is it known what comes?
        """
        session = self._session
        limit = session.server.options.prereadBufferSize
        try:
            hello = self._parser.parse(data[:limit])
        except NotClientHello:
            return True
        if hello is None:
            if len(data) >= limit:
                session.logError("error", "preread buffer full")
                session.finalize(400)
            return False
        session.preread = hello
        return True

    def _seen(self) -> None:
        session = self._session
        self._prereads = False
        session.deadline.clear()
        hello: ClientHello | None = session.preread
        if hello is not None and hello.serverName:
            split = splitHost(hello.serverName.lower())
            if split is not None:
                found = session.listening.lookUp(split[0], session)
                if found is not None:
                    session.server = found
        self._proceed()

    # ---- handshake ------------------------------------------------------------------

    def handshake(self) -> bool:
        """
        A phase: TLS, where the address has it.
        """
        if not self._tls.servers:
            return False
        session = self._session
        self._prereads = False
        self._parser = ClientHelloParser()
        self._wantsToWait()
        session.action = "SSL handshaking"
        session.deadline.expired = self._timedOut
        session.deadline.set(self._tls.handshakeTimeouts[session.server])
        self.receive()
        return True

    def seen(self, sock: sockets.socket, data: bytes) -> None:
        """
        The client has said something.
        """
        if not self._prereads:
            super().seen(sock, data)
        elif not data:
            self._session.finalize(OK)
        elif self._look(data):
            self._wait(1)
            self._unwatch()
            self._seen()
        elif self._socket is not None:
            if hasEnded(sock):
                self._session.finalize(OK)
            else:
                self._more(sock, data)

    def choose(self) -> Context | int | None:
        """
        By the name that the client asks for.

        nginx: C{ngx_stream_ssl_servername()}
        """
        session = self._session
        session.hello = hello = self.hello
        default = server = session.server
        if hello is not None and hello.serverName:
            name = hello.serverName
            if len(name) > _MOST_NAME or b"\0" in name:
                return UNRECOGNIZED_NAME
            split = splitHost(name.lower())
            found = None
            if split is not None and len(self._tls.servers) > 1:
                found = session.listening.lookUp(split[0], session)
            if found is not None:
                server = session.server = found
        tls = self._tls.servers[server]
        if tls.reject:
            return UNRECOGNIZED_NAME
        if not tls.hasContext:
            tls = self._tls.servers[default]
            if tls.reject:
                return UNRECOGNIZED_NAME
        return tls.context(session)

    def rejected(self, alert: int) -> None:
        """
        Somebody wants no such client.
        """
        session = self._session
        session.logError("info", "handshake rejected")
        session.finalize(500)

    def unanswered(self) -> None:
        """
        A certificate could not be loaded, which was logged.
        """
        self._session.finalize(500)

    def handshakeFailed(self, reason: HandshakeFailed) -> None:
        """
        There is no TLS with the client.
        """
        session = self._session
        status = OK if self.proxyProtocol is not None else 500
        session.logError("info", reason.message, reason.errno)
        session.finalize(status)

    def handshakeDone(self, sock: sockets.socket, connection: SSL.Connection) -> None:
        """
        Is it somebody we want to serve?
        """
        session = self._session
        session.deadline.clear()
        raw = self.raw
        hostName = raw.hostName
        raw.release()
        session.socket = TLSSocket(sock, connection)
        session.result = verifyResult(session.socket.ssl)
        session.certificate = peerCertificate(session.socket.ssl)
        transport = SocketTransport.overTLS(
            session.socket, self._reactor, session, session.connectionPeer
        )
        transport.hostName = hostName
        session.transport = transport
        tls = self._tls.servers[session.server]
        if tls.ocsp is not None and not session.result and session.certificate:
            self._askAuthority(tls.ocsp, connection)
        else:
            self._verify()

    def _askAuthority(self, checker: OCSPChecker, connection: SSL.Connection) -> None:
        session = self._session
        known = False

        def done(status: str) -> None:
            nonlocal known
            known = True
            session.ocspStatus = status
            session.waiting = None
            self._verify()

        session.action = "requesting certificate status"
        giveUp = checker.check(connection, self, done)
        if not known:
            session.waiting = giveUp

    def _verify(self) -> None:
        session = self._session
        tls = self._tls.servers[session.server]
        found = tls.complaint(
            session.result, bool(session.certificate), session.ocspStatus
        )
        if found is not None:
            session.logError("info", found[1])
            session.finalize(500)
            return
        session.action = "initializing session"
        self._proceed()

    # ---- what an authority's check asks ---------------------------------------------

    @property
    def dialer(self) -> SocketDialer:
        """
        Connects to authorities.
        """
        from ..net.dialer import SocketDialer

        return SocketDialer(self._reactor, self._session.served.deadlines)

    @property
    def resolver(self) -> Any:
        """
        Knows their addresses.
        """
        return self._session.server.resolver

    def logError(self, level: str, message: str, errno: int = 0) -> None:
        """
        Tell what went wrong with an authority.
        """
        self._session.logError(level, message, errno)

    # ---- ends -----------------------------------------------------------------------

    def _timedOut(self) -> None:
        session = self._session
        if self._prereads:
            session.finalize(OK)
        elif self.proxyProtocol is not None:
            session.logError("info", "client timed out", 110)
            session.finalize(OK)
        else:
            session.finalize(500)

    def leave(self) -> None:
        """
        The session goes elsewhere, its socket too.
        """
        if self._socket is not None:
            self.release()


def handshakePhase(session: TCPSession) -> bool:
    """
    TLS, where the address has it.
    """
    gate = session.gate
    return gate is not None and gate.handshake()


def prereadPhase(session: TCPSession) -> bool:
    """
    C{ssl_preread on}.
    """
    gate = session.gate
    return gate is not None and gate.preread()
