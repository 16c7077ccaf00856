"""
Who asks: addresses, variables, and what the error log says of a request.

nginx: C{ngx_http_log_error_handler()}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..net.sockaddr import addressText, binaryAddress
from ..wire.fields import firstValue

if TYPE_CHECKING:
    from ..net.sockaddr import Sockaddr
    from ..upstream.attempt import Attempt
    from .location import Location
    from .routing import Server
    from .server import HTTPServerProtocol


class NoHead:
    """
    The head of a request that could not be read.
    """

    fields = b""
    path = b""
    port = b""
    quotedUri = False
    consumed = 0
    version = 10
    host: bytes | None = None
    contentLength: int | None = None
    chunked = False
    upgrade: bytes | None = None
    connection: bytes | None = None
    hostField: bytes | None = None


class Client:
    """
    The client's side of L{IClient<twisted_upstream.interfaces.IClient>}.

    @ivar connection: where the request came from.
    @ivar head: its head as received.
    @ivar requestLine: its first line.
    @ivar server: the virtual server.
    @ivar location: what applies now.
    @ivar attempts: at servers; C{None}: no server was asked.
    @ivar exchange: with the server that was asked last.
    @ivar action: what is being done, for the error log.
    @ivar pipelined: did it come together with the request before it?
    @ivar isSubrequest: is its response a part of another one's?
    @ivar realPeer: the address of the connection, when that of the client is another.
    """

    connection: HTTPServerProtocol
    head: Any
    requestLine: bytes
    server: Server
    location: Location
    attempts: list[Attempt | None] | None = None
    exchange: Any = None
    action = ""
    pipelined = False
    isSubrequest = False
    realPeer: Sockaddr | None = None
    _peer: Sockaddr | None = None
    _binary: bytes | None = None

    @property
    def peer(self) -> Sockaddr:
        """
        The client's address and port, or path.
        """
        return self.connection.peer if self._peer is None else self._peer

    @property
    def address(self) -> bytes:
        """
        The client's address in network order.
        """
        return self.connection.binary if self._binary is None else self._binary

    @property
    def addressText(self) -> bytes:
        """
        C{$remote_addr}.
        """
        return addressText(self.peer).encode("utf-8", "surrogateescape")

    def changeAddress(self, host: str, port: int) -> None:
        """
        The client's address is another than that of the connection.
        """
        self.realPeer = self.connection.peer
        self._peer = (host, port, 0, 0) if ":" in host else (host, port)
        self._binary = binaryAddress(self._peer)

    @property
    def isSecure(self) -> bool:
        """
        Did it come over TLS?
        """
        tls = self.connection.tls
        return tls is not None and tls.socket is not None

    @property
    def requestPort(self) -> bytes:
        """
        The port that the client asked for, as text: C{$request_port}.
        """
        port: bytes = self.head.port
        return port

    def variable(self, name: str) -> bytes:
        """
        The value of C{$name}; empty when it has none.
        """
        return self.connection.factory.served.getter(name)(self) or b""

    @property
    def shownSubrequest(self) -> str:
        """
        What the error log says besides of a subrequest.
        """
        return ""

    @property
    def readingAction(self) -> str:
        """
        What the error log says was being done while the head was read.
        """
        if self.head is not NoHead:
            return "reading client request headers"
        if self.pipelined:
            return "reading client pipelined request line"
        return "reading client request line"

    def _logIgnored(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            shown = line.decode("utf-8", "surrogateescape")
            self.logError(
                "info",
                f'client sent invalid header line: "{shown}"',
                action="reading client request headers",
            )

    def logError(
        self, level: str, message: str, errno: int = 0, *, action: str = "", **more: Any
    ) -> None:
        """
        Write a line to the location's error log, with what is known of the request.

        @param errno: of a system call, appended to the message.
        @param action: what was being done.
        @param more: C{upstream}: the server and URI that were asked.
        """
        log = self.location.errorLog
        if not log.enabled(level):
            return
        line = self.requestLine.decode("utf-8", "replace")
        action = action or self.action
        suffix = f" while {action}" if action else ""
        suffix += f", client: {self.addressText.decode('utf-8', 'replace')}"
        suffix += f", server: {self.server.name}"
        if line:
            suffix += f', request: "{line}"'
        suffix += self.shownSubrequest
        upstream = more.get("upstream") or self._lastUpstream()
        if upstream:
            suffix += f', upstream: "{upstream}"'
        host = self.head.hostField
        if host:
            suffix += f', host: "{host.decode("utf-8", "replace")}"'
        referrer = firstValue(self.head.fields, b"referer")
        if referrer:
            suffix += f', referrer: "{referrer.decode("utf-8", "replace")}"'
        log.write(level, message, errno, self.connection.number, suffix)

    def _lastUpstream(self) -> str:
        """
        The server and URI that were asked last.
        """
        exchange = self.exchange
        if exchange is None or not self.attempts or self.attempts[-1] is None:
            return ""
        where: bytes = exchange.scheme + self.attempts[-1].peer + exchange.uri
        return where.decode("utf-8", "replace")
