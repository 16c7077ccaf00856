"""
Sessions over TCP and unix sockets: one for each client's connection.

nginx: C{ngx_stream_init_connection()}, C{ngx_stream_proxy_protocol_handler()}
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from zope.interface import implementer

from ..net.sockaddr import sockaddrName
from ..upstream.clients import ClientFactory, noTime
from ..upstream.relay import End, Relay
from ..wire.proxy_protocol import readProxyHeader
from .content import MAX_PASSES
from .session import OK, Session
from .upstream_session import UpstreamSession

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from ..net.deadline import Deadline
    from ..net.sockaddr import Sockaddr
    from ..net.transport import SocketTransport
    from ..tls.socket import TLSSocket
    from ..upstream.served import Served
    from ..wire.client_hello import ClientHello
    from .gate import StreamGate
    from .proxy import StreamProxy
    from .routing import StreamAddress


#: Seconds that sending a text may take.  nginx has it as a number, too.
_RETURN_TIMEOUT = 5.0


@implementer(IProtocol, IHalfCloseableProtocol)
class TCPSession(Session):
    """
    A client's connection.

    Whoever takes over assigns C{dataReceived}, C{ended} and C{deadline.expired}.

    @ivar end: has the client ended its output?  The error, if the connection is lost.
    @ivar passes: how often it was passed on to get here.
    @ivar gate: what looks at the client's first bytes, or C{None}.
    @ivar preread: the hello that it has seen.
    @ivar socket: of its TLS; C{None}: there is none.  With C{hello}, C{certificate},
        C{result}, C{ocspStatus} and C{kept} it is what variables tell of it.
    """

    __slots__ = (
        "_limit",
        "certificate",
        "dataReceived",
        "deadline",
        "ended",
        "factory",
        "gate",
        "hello",
        "end",
        "kept",
        "ocspStatus",
        "passes",
        "preread",
        "result",
        "socket",
        "transport",
    )

    transport: SocketTransport

    def __init__(
        self,
        factory: TCPFactory,
        served: Served,
        listening: StreamAddress,
        deadline: Deadline,
    ) -> None:
        super().__init__(served, listening, "")
        self.factory = factory
        self.deadline = deadline
        self.end: BaseException | bool = False
        self.passes = 0
        self.gate: StreamGate | None = None
        self.preread: ClientHello | None = None
        self.hello: ClientHello | None = None
        self.socket: TLSSocket | None = None
        self.certificate = b""
        self.result = 0
        self.ocspStatus = ""
        self.kept: dict[str, Any] = {}
        self._limit = 0
        self.dataReceived: Callable[[bytes], None] = self._held
        self.ended: Callable[[BaseException | None], None] = self._endedEarly

    def makeConnection(self, transport: Any) -> None:
        """
        A client has connected.
        """
        self.transport = transport
        self.peer = self.connectionPeer = transport.peerName
        self.connectionMade()

    def connectionMade(self) -> None:
        """
        Begin.

        nginx: C{ngx_stream_init_connection()}
        """
        self.factory.clients.add(self)
        server = self.server
        if server.logsInfo:
            server.errorLog.write(
                "info",
                f"*{self.number} client {sockaddrName(self.peer)} connected to"
                f" {self.listening.name}",
            )
        options = server.options
        self._limit = options.prereadBufferSize
        if not options.tcpNodelay:
            self.transport.setTcpNoDelay(False)
        if self.listening.proxyProtocol:
            self.action = "reading PROXY protocol"
        if self.gate is not None:
            self.gate.start()
            return
        if self.listening.proxyProtocol:
            self.dataReceived = self._proxyHeaderReceived
            self.ended = self._endedInHeader
            self.deadline.expired = self._clientTimedOut
            self.deadline.set(options.proxyProtocolTimeout)
            return
        self.proceed()

    # ---- before there is a server ---------------------------------------------------

    def _proxyHeaderReceived(self, data: bytes) -> None:
        # The header is not the client's own.
        self.transport.bytesReceived -= len(data)
        if self.early:
            data = self.early + data
        try:
            found = readProxyHeader(data)
        except ValueError as e:
            self.logError("error", str(e))
            self.finalize(400)
            return
        if found is None:
            self.early = data
            return
        self.proxied, size = found
        self.early = data[size:]
        self.transport.bytesReceived += len(self.early)
        self.dataReceived = self._held
        self.ended = self._endedEarly
        self.deadline.clear()
        self.action = "initializing session"
        self.proceed()

    def _endedInHeader(self, reason: BaseException | None) -> None:
        if reason is None:
            line = self.early.partition(b"\r")[0].partition(b"\n")[0]
            text = line.decode("utf-8", "surrogateescape")
            self.logError("error", f'broken header: "{text}"')
            self.finalize(400)
        else:
            self.finalize(OK)

    def _held(self, data: bytes) -> None:
        """
        Nobody can take it yet: it must not become too much.
        """
        self.early = self.early + data if self.early else data
        if len(self.early) >= self._limit:
            self.transport.pauseProducing()

    def _endedEarly(self, reason: BaseException | None) -> None:
        """
        The client has ended its output before there was a server: it may still want an
        answer.
        """
        self.end = reason or True
        if self.upstream is None:
            self.finalize(OK)

    def _clientTimedOut(self) -> None:
        self.logError("info", "client timed out", errno.ETIMEDOUT)
        self.finalize(OK)

    # ---- Session --------------------------------------------------------------------

    @property
    def bytesReceived(self) -> int:
        """
        Bytes that came from the client, without its PROXY header.
        """
        return self.transport.bytesReceived

    @property
    def bytesSent(self) -> int:
        """
        Bytes that went to the client.
        """
        return self.transport.bytesSent

    @property
    def hostName(self) -> Sockaddr:
        """
        The address that the client has connected to.
        """
        return self.transport.hostName

    def tlvs(self) -> Iterable[tuple[int, bytes]]:
        """
        What a PROXY header of version 2 tells of the client's TLS: type and value.
        """
        if self.socket is None:
            return ()
        from ..tls.tlvs import proxyTLVs

        return proxyTLVs(self)

    def newUpstream(self, proxy: StreamProxy) -> UpstreamSession:
        """
        What passes this session to a server.
        """
        self._limit = proxy.bufferSize
        return TCPUpstream(proxy, self)

    def sendText(self, text: bytes) -> None:
        """
        Send C{text}, then end the session.

        nginx: C{ngx_stream_return_write_handler()}
        """
        transport = self.transport
        transport.write(text)
        if not transport.pending:
            self.finalize(OK)
            return
        transport.drained = lambda: self.finalize(OK)
        self.deadline.expired = self._sendTimedOut
        self.deadline.set(_RETURN_TIMEOUT)

    def _sendTimedOut(self) -> None:
        self.logError("info", "connection timed out", errno.ETIMEDOUT)
        self.finalize(OK)

    def passOn(
        self,
        sockaddr: Sockaddr,
        find: Callable[[Sockaddr], Callable[..., None] | None],
    ) -> None:
        """
        Hand the connection to another listening address.
        """
        gate = self.gate
        if self.early and (self.proxied is None or gate is not None):
            self.logError("error", "cannot pass connection with preread data")
            self.finalize(500)
            return
        if self.passes >= MAX_PASSES:
            self.logError("error", "stream pass cycle")
            self.finalize(500)
            return
        take = find(sockaddr)
        if take is None:
            self.logError("error", f'port not found for "{sockaddrName(sockaddr)}"')
            self.finalize(OK)
            return
        self.deadline.drop()
        self.transport.drained = None
        self.factory.clientGone(self)
        if gate is not None and self.transport is gate.raw:
            gate.leave()
        take(self.transport, sockaddr, self.early, self.passes + 1)

    def close(self) -> None:
        """
        Close the connection; what could not be sent yet never will be.
        """
        self.dataReceived = _ignored
        self.ended = _nobody
        self.deadline.drop()
        transport = self.transport
        transport.drained = None
        if transport.pending:
            # Whoever takes nothing has had its time.
            transport.abortConnection()
        else:
            transport.loseConnection()
        self.factory.clientGone(self)

    # ---- what the transport tells ---------------------------------------------------

    def readConnectionLost(self) -> None:
        """
        The client has ended its output; it may still read.
        """
        self.ended(None)

    def writeConnectionLost(self) -> None:
        """
        We have ended ours.
        """

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        ended, self.ended = self.ended, _nobody
        error = reason.value
        number = getattr(error, "errno", 0)
        if number and not self.isEnded and self.server.logsInfo:
            logFailure(self, "info", error, number, "client")
        ended(error)


_PROXYING = "proxying connection"


def logFailure(
    session: TCPSession, level: str, error: object, number: int, side: str
) -> None:
    """
    Log that the connection to C{side} has failed, in the words of nginx, which writes
    by another call than we do.
    """
    isSending = getattr(error, "syscall", "recv") == "send"
    before = session.action
    if before == _PROXYING:
        session.action = (
            f"proxying and sending to {side}"
            if isSending
            else f"proxying and reading from {side}"
        )
    session.logError(level, f"{'writev' if isSending else 'recv'}() failed", number)
    session.action = before


def _nobody(reason: BaseException | None) -> None:
    """
    Who is told of the end of a connection that was closed here.
    """


def _ignored(data: bytes) -> None:
    """
    Takes what arrives after a connection was closed here.
    """


class TCPUpstream(UpstreamSession):
    """
    Passes a connection on.
    """

    __slots__ = ()

    session: TCPSession

    def connected(self) -> None:
        """
        Join both connections.

        nginx: C{ngx_stream_proxy_init_upstream()}
        """
        session, proxy, connection = self.session, self.proxy, self.connection
        assert connection is not None
        early, session.early = session.early, b""
        if proxy.header is not None:
            early = proxy.header(session) + early
        session.action = _PROXYING
        relay = Relay(
            session,
            connection,
            bufferSize=proxy.bufferSize,
            timeout=proxy.timeout,
            halfClose=proxy.halfClose,
            done=self._done,
            firstByte=self.firstByte,
            failed=self._failed,
        )
        if proxy.limitsRates:
            relay.limitRates(
                proxy.uploadRate(session),
                proxy.downloadRate(session),
                self.began,
                proxy.seconds,
                session.served.deadlines,
            )
        relay.begin(early)
        if self.connection is not None and session.end:
            end = session.end
            session.ended(None if isinstance(end, bool) else end)

    def _failed(self, error: BaseException) -> None:
        number = getattr(error, "errno", 0)
        if number:
            logFailure(self.session, "error", error, number, "upstream")

    def _done(self, end: End) -> None:
        session = self.session
        if end is End.TIMEOUT:
            session.logError("info", "connection timed out", errno.ETIMEDOUT)
        elif session.server.logsInfo:
            session.logPlainly(
                "info",
                f"{end.value} disconnected, bytes from/to client:"
                f"{session.bytesReceived}/{session.bytesSent}, bytes from/to"
                f" upstream:{self.bytesReceived}/{self.bytesSent}",
            )
        self.finalize(OK)


class TCPFactory(ClientFactory):
    """
    Makes the sessions of one listening address.
    """

    def __init__(self, served: Served, address: StreamAddress) -> None:
        """
        @param served: what all addresses of a configuration share.
        """
        super().__init__(served)
        self.address = address

    def buildProtocol(self, addr: object = None) -> TCPSession:
        """
        The session of a new connection.
        """
        served = self.served
        return TCPSession(self, served, self.address, served.deadlines.new(noTime))
