"""
Two connections joined: what one side sends, the other receives, until both have ended.

nginx: C{ngx_http_upstream_process_upgraded()}.  nginx closes both sides as soon as one
has ended its output; here the end is passed on, and the other direction may finish.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connection import UpstreamProtocol
    from .passing import Passing


class _Side:
    """
    One direction: from C{source} to C{sink}.
    """

    __slots__ = ("deadline", "ended", "highWater", "sink", "source", "touch")

    def __init__(
        self, source: Any, sink: Any, highWater: int, touch: Callable[[], None]
    ) -> None:
        self.source = source
        self.sink = sink
        self.highWater = highWater
        self.touch = touch
        self.ended = False

    def received(self, data: bytes) -> None:
        """
        Pass C{data} on; the source waits while the sink owes too much.
        """
        sink = self.sink
        sink.write(data)
        self.touch()
        if sink.pending > self.highWater:
            self.source.pauseProducing()
            sink.drained = self.source.resumeProducing


class Relay:
    """
    An upgraded connection: client and server.
    """

    __slots__ = ("_client", "_done", "_down", "_passing", "_server", "_sent", "_up")

    def __init__(
        self,
        client: Any,
        server: UpstreamProtocol,
        passing: Passing,
        done: Callable[[str, int], None],
    ) -> None:
        """
        @param client: the client's connection: like L{UpstreamProtocol}, it has
            C{dataReceived}, C{ended}, C{deadline} and C{transport} to take over.
        @param done: told once: what to log (or nothing) and its errno.
        """
        self._client = client
        self._server = server
        self._passing = passing
        self._done: Callable[[str, int], None] | None = done
        size = passing.bufferSize
        self._up = _Side(client.transport, server.transport, size, self._touch)
        self._down = _Side(server.transport, client.transport, size, self._touch)
        self._sent = -1

    def begin(self, fromClient: bytes, fromServer: bytes) -> None:
        """
        Take both connections over.

        @param fromClient: what the client sent after its request.
        @param fromServer: what the server sent after its response.
        """
        client, server = self._client, self._server
        client.dataReceived = self._up.received
        client.ended = self._clientEnded
        client.deadline.expired = self._timedOut
        server.dataReceived = self._down.received
        server.ended = self._serverEnded
        server.deadline.expired = self._timedOut
        self._touch()
        if fromClient:
            self._up.received(fromClient)
        if fromServer:
            self._down.received(fromServer)
        client.transport.resumeProducing()

    def _touch(self) -> None:
        self._server.deadline.set(self._passing.readTimeout)

    def _clientEnded(self, reason: BaseException | None) -> None:
        self._sideEnded(self._up, reason)

    def _serverEnded(self, reason: BaseException | None) -> None:
        self._sideEnded(self._down, reason)

    def _sideEnded(self, side: _Side, reason: BaseException | None) -> None:
        if reason is not None:
            self._finish("", 0)
            return
        side.ended = True
        side.sink.loseWriteConnection()
        if self._up.ended and self._down.ended:
            self._finish("", 0)

    def _timedOut(self) -> None:
        sent = self._client.transport.bytesSent + self._server.transport.bytesSent
        if sent != self._sent and (
            self._client.transport.pending or self._server.transport.pending
        ):
            self._sent = sent
            self._touch()
            return
        self._finish("upstream timed out", errno.ETIMEDOUT)

    def _finish(self, message: str, number: int) -> None:
        done, self._done = self._done, None
        if done is not None:
            self._client.transport.drained = None
            done(message, number)
