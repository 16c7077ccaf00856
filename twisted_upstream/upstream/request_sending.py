"""
A request on its way to the chosen server: its head, and its body, which waits in memory
or in a file, or is passed on as it comes.

nginx: C{ngx_http_upstream_send_request()}, C{ngx_http_upstream_send_request_body()},
C{ngx_http_upstream_send_request_handler()}
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .response_head import UpstreamHead

if TYPE_CHECKING:
    from .connection import UpstreamProtocol

#: Bytes of a file that are framed at a time.
_PIECE = 64 * 1024


class UpstreamSending(UpstreamHead):
    """
    What a request needs once there is a connection to its server.

    @ivar sent: was anything of the request sent in this attempt?
    """

    __slots__ = ("_offset", "_out", "sent")

    sent: bool
    #: The head, and what goes with it.
    _out: bytes
    #: How much of a file was framed and sent; C{None}: that is not what is sent.
    _offset: int | None

    def _send(self, connection: UpstreamProtocol) -> None:
        self._connection = connection
        connection.requests += 1
        connection.dataReceived = self._headReceived
        connection.ended = self._headEnded
        connection.deadline.expired = self._headTimedOut
        transport = connection.transport
        self._mark = self._progress = transport.bytesSent
        self._readMark = transport.bytesReceived
        self.sent = True
        if self._passing.limitRate is not None:
            # Nothing is read in advance that is not to be had yet.
            transport.setReadSize(self._passing.bufferSize)
        body = self._client.body
        if body is None or not self._exchange.takesBody:
            transport.write(self._out)
        else:
            self._sendBody(body)
        if transport.pending:
            connection.deadline.set(self._passing.sendTimeout)
            transport.drained = self._requestSent
        else:
            connection.deadline.set(self._passing.readTimeout)

    def _sendBody(self, body: Any) -> None:
        assert self._connection is not None
        transport = self._connection.transport
        bodyFilter = self._exchange.bodyFilter
        if not body.complete or self._streaming:
            # As it comes.  What came already goes with the head.
            self._streaming = True
            early = body.stream(self)
            if bodyFilter is not None and (early or body.complete):
                early = bodyFilter(early, body.complete)
            transport.write(self._out + early)
        elif body.file is not None:
            transport.write(self._out)
            if bodyFilter is None:
                transport.sendFile(body.file.fileno(), 0, body.size)
            else:
                self._offset = 0
                self._sendFramed(bodyFilter)
        else:
            data = b"".join(body.parts)
            if bodyFilter is not None:
                data = bodyFilter(data, True)
            transport.write(self._out + data)

    def _sendFramed(self, bodyFilter: Callable[[bytes, bool], bytes]) -> None:
        """
        More of a body that waits in a file and has to be framed.
        """
        connection = self._connection
        body = self._client.body
        if connection is None or body is None:
            return
        transport = connection.transport
        while self._offset is not None and not transport.pending:
            data = os.pread(body.file.fileno(), _PIECE, self._offset)
            self._offset += len(data)
            # Nothing to read before the end: somebody has cut the file short.
            last = self._offset >= body.size or not data
            if last:
                self._offset = None
            transport.write(bodyFilter(data, last))

    def bodyReceived(self, data: bytes, last: bool) -> None:
        """
        More of an unbuffered request body.
        """
        connection = self._connection
        if connection is None:
            return
        bodyFilter = self._exchange.bodyFilter
        if bodyFilter is not None:
            data = bodyFilter(data, last)
        transport = connection.transport
        if data:
            transport.write(data)
        if transport.pending:
            connection.deadline.set(self._passing.sendTimeout)
            transport.drained = self._requestSent
            if transport.pending > self._passing.bufferSize:
                self._client.body.pause()
        elif self._head is None:
            connection.deadline.set(self._passing.readTimeout)

    def _requestSent(self) -> None:
        connection = self._connection
        if self._offset is not None and self._exchange.bodyFilter is not None:
            self._sendFramed(self._exchange.bodyFilter)
            if connection is not None and connection.transport.pending:
                connection.deadline.set(self._passing.sendTimeout)
                connection.transport.drained = self._requestSent
                return
        if connection is not None and self._head is None:
            connection.deadline.set(self._passing.readTimeout)
        if self._streaming and self._client.body is not None:
            self._client.body.resume()
