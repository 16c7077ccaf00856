"""
The PROXY header that comes first where C{listen} says so.

nginx: C{ngx_http_wait_request_handler()}, C{ngx_proxy_protocol_read()}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .server import HTTPServerProtocol


class ProxyHeader:
    """
    Reads it; what follows is the first request.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: HTTPServerProtocol) -> None:
        self._connection = connection
        connection.dataReceived = self._received

    def _received(self, data: bytes) -> None:
        connection = self._connection
        data = connection.takeAhead() + data
        try:
            found = connection.address.proxyProtocol(data)
        except ValueError as e:
            connection.logError("error", str(e))
            connection.close()
            return
        if found is None:
            connection.aheadReceived(data)
            return
        connection.proxied, size = found
        connection.dataReceived = connection.headReceived
        if size < len(data):
            connection.headReceived(data[size:])
