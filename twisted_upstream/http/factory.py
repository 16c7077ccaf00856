"""
The factory of one listening address: makes its connections, ends them, and logs what
no request is to blame for.

nginx: C{ngx_http_init_connection()}, C{ngx_close_idle_connections()}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..upstream.clients import ClientFactory, noTime
from .server import HTTPServerProtocol

if TYPE_CHECKING:
    from .routing import Address, ServedBy


class HTTPServerFactory(ClientFactory):
    """
    Makes the protocols of one listening address.

    Among its clients are those that shake hands yet: they are no protocols, but end in
    the same ways.

    @ivar closing: the server shuts down: no connection is kept after its response.
    """

    served: ServedBy

    def __init__(self, served: ServedBy, address: Address) -> None:
        """
        @param served: what all addresses of a configuration share.
        @param address: its servers.
        """
        super().__init__(served)
        self.address = address
        self.closing = False
        self.seconds = served.seconds
        self.nextNumber = served.nextNumber

    def buildProtocol(self, addr: object = None) -> HTTPServerProtocol:
        """
        The protocol for a new connection.
        """
        return HTTPServerProtocol(self, self.address, self.served.deadlines.new(noTime))

    def drain(self, emptied: Callable[[], None]) -> None:
        """
        Close idle connections, and the others after their responses; then call
        C{emptied}.
        """
        self.closing = True
        for client in list(self.clients):
            client.drain()
        super().drain(emptied)

    def stop(self) -> None:
        """
        Close all connections at once.
        """
        self.closing = True
        for client in list(self.clients):
            client.abort()

    def logError(
        self,
        protocol: HTTPServerProtocol,
        level: str,
        message: str,
        number: int,
        action: str,
    ) -> None:
        """
        Write to the error log of the default server what no request is to blame for.
        """
        log = self.address.default.root.errorLog
        if log.enabled(level):
            suffix = (
                f"{f' while {action}' if action else ''}"
                f", client: {protocol.addressText.decode()}"
                f", server: {self.address.name}"
            )
            log.write(level, message, number, protocol.number, suffix)
