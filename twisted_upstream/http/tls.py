"""
HTTPS: which server answers a handshake, and whether its client may ask anything.

nginx: http/ngx_http_request.c (ngx_http_ssl_servername, ngx_http_process_request),
http/modules/ngx_http_ssl_module.c (ngx_http_ssl_init)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..net.dialer import SocketDialer
from ..net.transport import SocketTransport
from ..tls.accept import UNRECOGNIZED_NAME, Accept
from ..tls.handshake import HandshakeFailed, Turns
from ..tls.openssl import isAwaited, peerCertificate, verifyResult
from ..tls.server import ServerTLS
from ..tls.socket import TLSSocket
from ..wire.host import splitHost
from .client import Client, NoHead

if TYPE_CHECKING:
    import socket as sockets

    from OpenSSL import SSL

    from ..net.sockaddr import Sockaddr
    from ..net.transport import Reactor
    from ..tls.context import Context
    from ..tls.ocsp import OCSPChecker
    from ..wire.client_hello import ClientHello
    from .factory import HTTPServerFactory
    from .request import Request
    from .routing import Server
    from .server import HTTPServerProtocol

#: OpenSSL takes no longer name.
_MOST_NAME = 255


class HTTPTLS:
    """
    The TLS of one virtual server of HTTP.

    @ivar bufferSize: how much is encrypted together, in bytes.
    """

    def __init__(self, tls: ServerTLS, bufferSize: int) -> None:
        self.tls = tls
        self.bufferSize = bufferSize


class AddressTLS:
    """
    The TLS of one listening address.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        #: Of each virtual server that is found here.
        self.servers: dict[Server, HTTPTLS] = {}

    def accept(
        self,
        sock: sockets.socket,
        peerName: Sockaddr,
        factory: HTTPServerFactory,
        reactor: Reactor,
        hostName: Sockaddr | None = None,
        passes: int = 0,
    ) -> None:
        """
        A client has connected.

        @param hostName: the address that stream has passed it on to.
        """
        accept = HTTPAccept(self, sock, peerName, factory, reactor, self._turns)
        if hostName is not None:
            accept.setHostName(hostName)
        accept.start()


class ClientTLS:
    """
    What is known of the TLS of one client.

    @ivar hello: what it asked for; C{None}: that could not be understood.
    @ivar server: who has answered.
    @ivar name: the name by which that server was found; C{None}: by none, and then
        requests may name any.
    @ivar socket: C{None}: it is no TLS, although this is the address for it.
    @ivar certificate: the client's, in DER; empty: none.
    @ivar result: of its verification; 0: nothing is wrong with it.
    @ivar ocspStatus: what its authority says against it.
    """

    __slots__ = (
        "_certificate",
        "address",
        "hello",
        "kept",
        "name",
        "result",
        "server",
        "ocspStatus",
        "socket",
    )

    def __init__(self, address: AddressTLS, server: Server) -> None:
        self.address = address
        self.server = server
        self.hello: ClientHello | None = None
        self.name: bytes | None = None
        self.socket: TLSSocket | None = None
        self.result = 0
        self.ocspStatus = ""
        self._certificate: bytes | None = None
        #: Of variables: computed once.
        self.kept: dict[str, Any] = {}

    @property
    def certificate(self) -> bytes:
        """
        The client's certificate.
        """
        found = self._certificate
        if found is None:
            found = b""
            if self.socket is not None:
                found = peerCertificate(self.socket.ssl)
            self._certificate = found
        return found

    def serverFor(self, request: Request) -> Server | None:
        """
        The virtual server of a request.

        @return: C{None}: it was answered with an error.

        nginx: ngx_http_set_virtual_server()
        """
        host = request.head.host
        address = request.connection.address
        name = self.name
        if name is None:
            return address.find(host, request)
        if host is None:
            return self.server
        if host == name:
            # Once more, for what an expression captures.
            return address.find(host, request)
        server = address.find(host, request)
        if self.address.servers[server].tls.verify != "off":
            request.server = server
            request.location = server.root
            request.logError(
                "info",
                "client attempted to request the server name different from the one"
                " that was negotiated",
                action=request.readingAction,
            )
            request.keepalive = False
            request.failResponse(421)
            return None
        return server

    def refuses(self, request: Request) -> bool:
        """
        Was the request answered with an error, because of what is wrong with its
        connection?

        nginx: ngx_http_process_request()
        """
        if self.socket is None:
            self._refuse(request, 497, "client sent plain HTTP request to HTTPS port")
            return True
        tls = self.address.servers[request.server].tls
        if tls.verify == "off":
            return False
        found = tls.complaint(self.result, bool(self.certificate), self.ocspStatus)
        if found is None:
            return False
        self._refuse(request, *found)
        return True

    def _refuse(self, request: Request, status: int, message: str) -> None:
        request.logError("info", message, action=request.readingAction)
        request.keepalive = False
        request.failResponse(status)


class _Handshaking(Client):
    """
    Who asks while there is no request yet: for variables in names of certificates.
    """

    requestLine = b""
    uri = args = target = method = b""
    version = 10
    host = None
    body = upstream = None
    upstreamFields = upstreamTrailers = b""
    status = 0
    action = "SSL handshaking"
    internal = validLocation = False

    def __init__(self, connection: HTTPServerProtocol, server: Server) -> None:
        self.connection = connection
        self.head = NoHead
        self.server = server
        self.location = server.root
        self.values: dict[str, bytes] = {}
        self.captures: Any = ()
        self.begun = connection.made


class HTTPAccept(Accept):
    """
    A client's connection before its first request.
    """

    handsOver = True

    def __init__(
        self,
        tls: AddressTLS,
        sock: sockets.socket,
        peerName: Sockaddr,
        factory: HTTPServerFactory,
        reactor: Reactor,
        turns: Turns,
    ) -> None:
        super().__init__(sock, reactor, turns)
        self._tls = tls
        self._factory = factory
        self._peerName = peerName
        self._giveUp: Callable[[], None] | None = None
        #: What waits for an authority's answer.
        self._waiting: SocketTransport | None = None
        self.proxyProtocol = factory.address.proxyProtocol
        protocol = self._protocol = factory.buildProtocol()
        protocol.tls = self._state = ClientTLS(tls, factory.address.default)
        protocol.begin(peerName)
        protocol.deadline.expired = self._timedOut

    def setHostName(self, hostName: Sockaddr) -> None:
        """
        The client was passed on to this address.
        """
        self._protocol.host = hostName

    def start(self) -> None:
        """
        Begin: the first bytes are often there already.
        """
        self._factory.clients.add(self)
        self.receive()

    # ---- the way --------------------------------------------------------------------

    def proxied(self, header: Any) -> None:
        """
        A PROXY header has come.
        """
        self._protocol.proxied = header
        self.receive()

    def choose(self) -> Context | int | None:
        """
        By the name that the client asks for.

        nginx: ngx_http_ssl_servername()
        """
        address = self._factory.address
        state = self._state
        server = address.default
        hello = state.hello = self.hello
        client = _Handshaking(self._protocol, server)
        if hello is not None and hello.serverName:
            name = hello.serverName
            if len(name) > _MOST_NAME or b"\0" in name:
                return UNRECOGNIZED_NAME
            split = splitHost(name.lower())
            host = None if split is None else split[0]
            found = None
            if host is not None and len(self._tls.servers) > 1:
                # As in nginx, a server alone is everybody's.
                found = address.lookUp(host, client)
            if found is not None:
                server = client.server = found
                client.location = found.root
                state.server = self._protocol.default = found
                state.name = host
        tls = self._tls.servers[server].tls
        if tls.reject:
            return UNRECOGNIZED_NAME
        if not tls.hasContext:
            # The certificate is the default server's; who may ask, this one decides.
            tls = self._tls.servers[address.default].tls
            if tls.reject:
                return UNRECOGNIZED_NAME
        return tls.context(client)

    def rejected(self, alert: int) -> None:
        """
        Somebody wants no such client.
        """
        self._say("handshake rejected")
        self._over()

    def unanswered(self) -> None:
        """
        A certificate could not be loaded, which was logged.
        """
        self._over()

    def plainReceived(self, sock: sockets.socket) -> None:
        """
        A request without TLS, which is answered so.
        """
        transport = SocketTransport(sock, self._reactor, None, self._peerName)
        self._enter(transport)
        transport.resumeProducing()
        self._served(transport, isEarly=True)

    def handshakeDone(self, sock: sockets.socket, connection: SSL.Connection) -> None:
        """
        Wait for requests.
        """
        state = self._state
        tls = self._tls.servers[state.server]
        wrapped = state.socket = TLSSocket(sock, connection, tls.bufferSize)
        state.result = verifyResult(wrapped.ssl)
        transport = SocketTransport.overTLS(
            wrapped, self._reactor, None, self._peerName
        )
        if tls.tls.ocsp is not None and not state.result and state.certificate:
            self._askAuthority(tls.tls.ocsp, transport, wrapped)
        else:
            self._serve(transport, wrapped)

    def _askAuthority(
        self, checker: OCSPChecker, transport: SocketTransport, tls: TLSSocket
    ) -> None:
        """
        Was the client's certificate revoked?
        """
        self._waiting = transport

        def done(status: str) -> None:
            self._giveUp = None
            self._waiting = None
            self._state.ocspStatus = status
            self._serve(transport, tls)

        giveUp = checker.check(tls.connection, self, done)
        if self._waiting is not None:
            self._giveUp = giveUp

    def stop(self) -> None:
        """
        Close the socket; nobody is told.
        """
        if self._giveUp is not None:
            giveUp, self._giveUp = self._giveUp, None
            giveUp()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.abortConnection()
        super().stop()

    @property
    def dialer(self) -> SocketDialer:
        """
        Who connects to authorities.
        """
        return SocketDialer(self._reactor, self._factory.served.deadlines)

    @property
    def resolver(self) -> Any:
        """
        Who knows their addresses.
        """
        return self._state.server.root.resolver

    def logError(self, level: str, message: str, errno: int = 0) -> None:
        """
        Tell what went wrong with an authority.
        """
        self._factory.logError(
            self._protocol, level, message, errno, "requesting certificate status"
        )

    def _serve(self, transport: SocketTransport, tls: TLSSocket) -> None:
        self._enter(transport)
        self.handOver(transport)
        # The first request often comes with the end of the handshake.
        self._served(transport, isEarly=not isAwaited(tls.ssl))

    def _enter(self, transport: SocketTransport) -> None:
        """
        The connection is as any other from here on.
        """
        protocol = self._protocol
        transport.protocol = protocol
        protocol.makeConnection(transport)
        self._factory.clients.discard(self)

    def _served(self, transport: SocketTransport, isEarly: bool) -> None:
        """
        @param isEarly: may a request have come already?
        """
        if isEarly:
            transport.doRead()
        if self._factory.closing:
            self._protocol.drain()

    def handshakeFailed(self, reason: HandshakeFailed) -> None:
        """
        There will be no request.
        """
        self._say(reason.message, reason.errno)
        self._over()

    def _timedOut(self) -> None:
        self._say("client timed out", 110)
        self.stop()
        self._over()

    def _over(self) -> None:
        self._protocol.deadline.drop()
        self._factory.clientGone(self)

    def _say(self, message: str, number: int = 0) -> None:
        self._factory.logError(
            self._protocol, "info", message, number, "SSL handshaking"
        )

    # ---- what the factory asks of its connections -----------------------------------

    def drain(self) -> None:
        """
        The server shuts down: there was no request yet.
        """
        self.abort()

    def abort(self) -> None:
        """
        Close at once.
        """
        self.stop()
        self._over()
