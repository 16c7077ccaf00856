"""
Patience with clients that go on sending what nobody wants: a client that gets a reset
in the middle of its request would not read the response.

nginx: C{ngx_http_set_lingering_close()}, C{ngx_http_lingering_close_handler()},
C{ngx_http_discard_request_body()}, C{ngx_http_discarded_request_body_handler()}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .location import Location
    from .request import Request
    from .server import HTTPServerProtocol


class _Patience:
    """
    Reads for C{lingering_time} at most, and for C{lingering_timeout} without a word.
    """

    __slots__ = ("_connection", "_timeout", "_until")

    def __init__(self, connection: HTTPServerProtocol, location: Location) -> None:
        self._connection = connection
        self._timeout = location.lingeringTimeout
        self._until = connection.factory.seconds() + location.lingeringTime
        connection.deadline.expired = connection.close
        self._wait()

    def _wait(self) -> None:
        left = self._until - self._connection.factory.seconds()
        self._connection.deadline.set(max(0.0, min(left, self._timeout)))


class LingeringClose(_Patience):
    """
    The response was sent, and with it our output ended: waits for the client to stop.
    """

    __slots__ = ()

    def __init__(self, connection: HTTPServerProtocol, location: Location) -> None:
        super().__init__(connection, location)
        connection.dataReceived = self._received
        connection.ended = self._ended
        connection.transport.loseWriteConnection()
        connection.transport.resumeProducing()

    def _received(self, data: bytes) -> None:
        self._wait()

    def _ended(self, reason: BaseException | None) -> None:
        self._connection.close()


class RestOfBody(_Patience):
    """
    The response was sent before the end of the request's body: the next request is
    behind it.
    """

    __slots__ = ()

    def __init__(self, connection: HTTPServerProtocol, request: Request) -> None:
        super().__init__(connection, request.location)
        connection.dataReceived = self._received

    def _received(self, data: bytes) -> None:
        connection = self._connection
        connection.aheadReceived(data)
        request = connection.request
        if request is None:
            return
        body = request.body
        if body.complete or body.failed:
            connection.deadline.expired = connection.timedOut
            connection.requestEnded(request)
        else:
            self._wait()
