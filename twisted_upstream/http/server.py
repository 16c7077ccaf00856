"""
Clients' connections: requests in order, one at a time, on each.

nginx: C{ngx_http_request.c}: C{ngx_http_init_connection()},
C{ngx_http_process_request_headers()}, C{ngx_http_set_keepalive()},
C{ngx_http_set_lingering_close()}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from zope.interface import implementer

from ..net.sockaddr import addressText, binaryAddress
from ..wire.http1 import BadRequest, parseRequest
from .lingering import LingeringClose, RestOfBody
from .proxy_header import ProxyHeader
from .request import Request

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from ..net.deadline import Deadline
    from ..net.sockaddr import Sockaddr
    from ..net.transport import SocketTransport
    from ..wire.request_head import RequestHead
    from .factory import HTTPServerFactory
    from .location import Location
    from .routing import Address

#: Bytes of further requests that a client may send ahead.
_AHEAD = 64 * 1024


@implementer(IProtocol, IHalfCloseableProtocol)
class HTTPServerProtocol:
    """
    One client's connection.

    @ivar address: where it was accepted: which servers there are.
    @ivar request: the request under way, or C{None}.
    @ivar requests: how many began on this connection.
    @ivar number: C{$connection}.
    @ivar isHalfClosed: has the client ended its output?
    @ivar made: when it was accepted, in seconds.
    @ivar peer: the client's address and port (or path).
    @ivar host: the address and port that it connected to.
    @ivar binary: the client's address in network order.
    @ivar default: the server of requests that name no other; its limits count until
        they do.
    @ivar tls: a L{ClientTLS<twisted_upstream.http.tls.ClientTLS>}, or C{None}.
    """

    __slots__ = (
        "_ahead",
        "_body",
        "_idle",
        "_keep",
        "_last",
        "_looping",
        "_paused",
        "_pipelined",
        "address",
        "binary",
        "dataReceived",
        "deadline",
        "default",
        "ended",
        "factory",
        "host",
        "isHalfClosed",
        "made",
        "number",
        "peer",
        "proxied",
        "request",
        "requests",
        "tls",
        "transport",
    )

    transport: SocketTransport

    def __init__(
        self, factory: HTTPServerFactory, address: Address, deadline: Deadline
    ) -> None:
        self.factory = factory
        self.address = address
        self.deadline = deadline
        self.request: Any = None
        self.requests = 0
        self._ahead = b""
        self._last: RequestHead | None = None
        self.isHalfClosed = False
        self._idle = True
        self._looping = False
        self.host: Any = None
        self._paused = False
        self._pipelined = False
        self._keep = True
        self._body: Callable[[bytes], bytes] | None = None
        self.proxied: Any = None
        self.tls: Any = None
        self.default = address.default
        self.dataReceived: Callable[[bytes], None] = self.headReceived
        self.ended: Callable[[BaseException | None], None] = self._inputEnded

    def makeConnection(self, transport: Any) -> None:
        """
        A client has connected.
        """
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """
        Wait for the first request.
        """
        if self.tls is None:
            # Else that was done before the handshake.
            self.begin(self.transport.peerName)
            if self.address.proxyProtocol is not None:
                ProxyHeader(self)
        self.factory.clients.add(self)
        self.deadline.expired = self.timedOut

    def begin(self, peerName: Sockaddr) -> None:
        """
        Count the connection, and the time until its first request.
        """
        factory = self.factory
        self.number = factory.nextNumber()
        self.made = factory.seconds()
        self.peer = peerName
        self.binary = binaryAddress(peerName)
        self.deadline.set(self.default.headerTimeout)

    # ---- reading requests -----------------------------------------------------------

    def headReceived(self, data: bytes) -> None:
        """
        More of the next request's head.
        """
        if self._ahead:
            data = self._ahead + data
        self._ahead = data
        self._nextRequests()

    def _nextRequests(self) -> None:
        """
        Begin requests while there are any and each is answered at once.
        """
        if self._looping:
            return
        self._looping = True
        try:
            while self._ahead and self.request is None and self._keep:
                data = self._ahead
                try:
                    head = parseRequest(data, self.default.limits, 0, self._last)
                except BadRequest as e:
                    request = Request(self, e.head, e.requestLine)
                    request.pipelined = self._pipelined
                    self._begin(request)
                    request.refuse(e.status, e.reason)
                    break
                if head is None:
                    if data[0] in b"\r\n":
                        # A client may send line ends for ever: they are nothing.
                        self._ahead = data.lstrip(b"\r\n")
                    if self._idle:
                        self._idle = False
                        self.deadline.set(self.default.headerTimeout)
                    if self.isHalfClosed:
                        self._abandon(400, "client prematurely closed connection")
                    return
                self._ahead = (
                    data[head.consumed :] if head.consumed < len(data) else b""
                )
                self._last = head
                self._idle = False
                self.deadline.clear()
                self._pipelined = bool(self._ahead)
                request = Request(self, head, head.requestLine)
                self.requests += 1
                self.request = request
                self.dataReceived = self.aheadReceived
                request.start()
        finally:
            self._looping = False
        if self.request is None and self._keep and self.isHalfClosed:
            self.close()

    def _begin(self, request: Request) -> None:
        self.requests += 1
        self.request = request
        self.dataReceived = self.aheadReceived

    def aheadReceived(self, data: bytes) -> None:
        """
        More while a request is under way: its body, or the next request.
        """
        body = self._body
        if body is not None:
            data = body(data)
            if not data:
                return
        self._ahead = self._ahead + data if self._ahead else data
        if len(self._ahead) > _AHEAD and not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    @property
    def ahead(self) -> int:
        """
        Bytes received that nobody has taken.
        """
        return len(self._ahead)

    def takeAhead(self) -> bytes:
        """
        What the client has sent after its request, for another protocol.
        """
        data, self._ahead = self._ahead, b""
        return data

    def receiveBody(self, receive: Callable[[bytes], bytes]) -> None:
        """
        Give C{receive} the body of the request under way: what is there and what
        comes.  It returns what follows the body.
        """
        self._body = receive
        data, self._ahead = self._ahead, b""
        if data:
            rest = receive(data)
            # The request may have ended meanwhile, and another may have begun.
            self._ahead = rest + self._ahead

    def requestDone(self) -> None:
        """
        The request under way is over, its response sent.  Its connection goes on,
        unless the request said otherwise.
        """
        request = self.request
        body = request.body
        if body is not None and not body.complete:
            if (
                not body.failed
                and not self.isHalfClosed
                and request.location.linger != "off"
            ):
                # The rest of the body is still to come: the next request is behind it.
                body.discard()
                body.begin()
                if self.request is not request:
                    return
                if not body.complete and not body.failed:
                    RestOfBody(self, request)
                    return
        self.requestEnded(request)

    def bodyDiscarded(self) -> None:
        """
        The rest of a body that nobody wants will not come.
        """
        request = self.request
        request.keepalive = False
        self.requestEnded(request)

    def requestEnded(self, request: Request) -> None:
        """
        The request is over, and so is what the client sent of it: go on, or close.
        """
        self.request = None
        self._body = None
        body = request.body
        if body is not None:
            body.close()
        if not request.keepalive or self.factory.closing:
            self._keep = False
            self._close(request.location, body is not None and not body.complete)
            return
        self._idle = True
        self._pipelined = bool(self._ahead)
        self.dataReceived = self.headReceived
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
        if self._ahead:
            self.deadline.set(self.default.headerTimeout)
            self._nextRequests()
        elif self.isHalfClosed:
            self.close()
        else:
            self.deadline.set(request.location.keepaliveTimeout)

    # ---- ends -----------------------------------------------------------------------

    def _close(self, location: Location, unread: bool) -> None:
        """
        Close after a response; while the client still sends, wait for it to stop, or
        it would not get to read the response.
        """
        if location.linger == "always" or (
            location.linger == "on"
            and (unread or self._ahead)
            and not self.isHalfClosed
        ):
            self._ahead = b""
            LingeringClose(self, location)
        else:
            self.close()

    def close(self) -> None:
        """
        Close the connection; what was written is still sent.
        """
        self.request = None
        self._keep = False
        self.ended = _nobody
        self.deadline.drop()
        self.transport.loseConnection()

    def abort(self) -> None:
        """
        Close at once, whatever was not sent yet.
        """
        self._keep = False
        request, self.request = self.request, None
        if request is not None:
            request.discard()
        self.ended = _nobody
        self.deadline.drop()
        self.transport.abortConnection()

    def drain(self) -> None:
        """
        The server shuts down: close now if idle, else after the response.
        """
        if self.request is None and self._keep:
            # A request may be waiting that was sent before the client could know.
            self.transport.doRead()
        if self.request is None:
            self.close()
        else:
            self.request.keepalive = False

    def timedOut(self) -> None:
        """
        The client has taken too long with whatever it is to do now.
        """
        request = self.request
        if request is not None:
            request.timedOut()
            return
        if self._ahead.strip(b"\r\n"):
            self._abandon(408, "client timed out", 110)
            return
        if not self.requests:
            self.logError("info", "client timed out", 110, "waiting for request")
        self.close()

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
        self.factory.clientGone(self)
        ended, self.ended = self.ended, _nobody
        ended(reason.value)
        self.deadline.drop()
        # A method of our own: the cycle would keep all of the connection, OpenSSL's
        # part of it included, until the garbage collector comes.
        self.dataReceived = _ignored

    def _inputEnded(self, reason: BaseException | None) -> None:
        self.isHalfClosed = True
        request = self.request
        if request is not None:
            request.clientEnded(reason)
        elif reason is not None:
            self._keep = False
        elif self._ahead:
            self._abandon(400, "client prematurely closed connection")
        else:
            self.close()

    def _abandon(self, status: int, message: str, number: int = 0) -> None:
        """
        A request whose head will not be completed is logged like any other.
        """
        line = self._ahead.lstrip(b"\r\n")
        end = line.find(b"\n") + 1
        self._ahead = b""
        request = Request(self, None, line[:end] if end else line)
        request.pipelined = self._pipelined
        self._begin(request)
        request.abandon(status, message, number)

    def logError(
        self, level: str, message: str, number: int = 0, action: str = ""
    ) -> None:
        """
        Log what no request is to blame for.
        """
        self.factory.logError(self, level, message, number, action)

    @property
    def hostName(self) -> Any:
        """
        The address and port, or path, that the client connected to.
        """
        if self.host is None:
            self.host = self.transport.hostName
        return self.host

    @property
    def hostText(self) -> bytes:
        """
        C{$server_addr}.
        """
        return addressText(self.hostName).encode("utf-8", "surrogateescape")

    @property
    def hostPort(self) -> int:
        """
        C{$server_port}; 0 of a unix socket.
        """
        name = self.hostName
        return name[1] if isinstance(name, tuple) else 0

    @property
    def addressText(self) -> bytes:
        """
        The client's address without port, as C{$remote_addr} has it.
        """
        return addressText(self.peer).encode("utf-8", "surrogateescape")


def _nobody(reason: BaseException | None) -> None:
    """
    Who is told of the end of a connection that was closed here.
    """


def _ignored(data: bytes) -> None:
    """
    Who receives after the end: nothing comes then.
    """
