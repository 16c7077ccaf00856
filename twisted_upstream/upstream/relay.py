"""
Two connections joined: what one side sends, the other receives.

A packet goes straight on: written to the other side, the time-out moved, nothing else.
A direction that has proved to be a bulk transfer moves through a pipe instead
(L{twisted_upstream.net.splice}) for as long as it keeps its pace.

nginx: C{ngx_stream_proxy_process()}, C{ngx_stream_proxy_test_finalize()},
C{ngx_http_upstream_process_upgraded()}
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..net.splice import PIPES
from .direction import Direction, PacedDirection, WakingDeadline

if TYPE_CHECKING:
    from ..net.deadline import Deadlines
    from ..net.splice import Pipes


class End(Enum):
    """
    Why a relay is over: the client's or the server's end, or neither said anything for
    too long.
    """

    CLIENT = "client"
    SERVER = "upstream"
    TIMEOUT = "timeout"


class Relay:
    """
    A client and a server that talk to each other.

    Both connections have C{dataReceived}, C{ended}, C{deadline} and C{transport} to
    take over, as L{UpstreamProtocol<twisted_upstream.upstream.connection>} has.  The
    transports are L{SocketTransport<twisted_upstream.net.transport>}s, or have the same
    methods and counters.  C{ended} is looked up again when a connection is lost whose
    input had ended before.

    What went through is counted by the transports: C{bytesReceived}, C{bytesSent}.
    """

    __slots__ = (
        "_client",
        "_deadline",
        "_done",
        "_down",
        "_failed",
        "_firstByte",
        "_halfClose",
        "_sent",
        "_server",
        "_timeout",
        "_up",
    )

    def __init__(
        self,
        client: Any,
        server: Any,
        *,
        bufferSize: int,
        timeout: float,
        halfClose: bool,
        done: Callable[[End], None],
        firstByte: Callable[[], None] | None = None,
        failed: Callable[[BaseException], None] | None = None,
        pipes: Pipes = PIPES,
    ) -> None:
        """
        @param bufferSize: bytes that one side may owe before the other has to wait.
        @param timeout: seconds that both sides may be silent together.
        @param halfClose: pass a side's end on and let the other finish, until both have
            ended; else the first end, once it is passed on, is the end of both.
        @param done: told once that it is over.  Both connections are the caller's
            again, to be closed: nothing of this relay's is called any more.
        @param firstByte: called when the server first says anything, or ends.
        @param failed: told of the error that the server's connection ends with.
        @param pipes: what bulk goes through.
        """
        self._client = client
        self._server = server
        self._done: Callable[[End], None] | None = done
        self._failed = failed
        self._firstByte = firstByte
        self._halfClose = halfClose
        self._sent = -1
        self._timeout = timeout
        # One of the two time-outs is enough.
        self._deadline: Any = server.deadline
        values = (self._deadline, timeout, bufferSize, pipes)
        self._up = Direction(client, server.transport, *values)
        self._down = Direction(server, client.transport, *values)

    def limitRates(
        self,
        upload: int,
        download: int,
        begun: float,
        seconds: Callable[[], float],
        deadlines: Deadlines,
    ) -> None:
        """
        Read no faster than so many bytes per second; 0: no limit.  Before L{begin}.

        While a direction sleeps for its rate, there is no time-out.

        @param begun: when the session began, by C{seconds}; whole seconds count.
        """
        deadline = self._deadline = WakingDeadline(self._deadline)
        for side, rate in (("_up", upload), ("_down", download)):
            direction = getattr(self, side)
            direction.deadline = deadline
            if rate:
                paced = PacedDirection(direction, rate, begun, seconds, deadlines)
                setattr(self, side, paced)

    def begin(self, fromClient: bytes = b"", fromServer: bytes = b"") -> None:
        """
        Take both connections over.

        @param fromClient: what the client sent before, to be passed on first.
        @param fromServer: what the server sent before.
        """
        client, server = self._client, self._server
        client.dataReceived = self._up.received
        client.ended = self._clientEnded
        client.deadline.clear()
        server.dataReceived = self._down.received
        server.ended = self._serverEnded
        if self._firstByte is not None:
            server.dataReceived = self._firstReceived
        self._deadline.expired = self._timedOut
        self._deadline.set(self._timeout)
        if fromClient:
            client.dataReceived(fromClient)
        if fromServer:
            server.dataReceived(fromServer)
        self._up.begin()
        self._down.begin()

    def stop(self) -> None:
        """
        End it now; C{done} is not told.
        """
        self._done = None
        self._release()

    def _firstReceived(self, data: bytes) -> None:
        self._server.dataReceived = self._down.received
        self._tellFirst()
        self._down.received(data)

    def _tellFirst(self) -> None:
        firstByte, self._firstByte = self._firstByte, None
        if firstByte is not None:
            firstByte()

    def _clientEnded(self, reason: BaseException | None) -> None:
        self._client.ended = self._clientEnded
        self._ended(End.CLIENT, self._up, self._down, reason)

    def _serverEnded(self, reason: BaseException | None) -> None:
        self._server.ended = self._serverEnded
        self._tellFirst()
        if reason is not None and self._done is not None and self._failed is not None:
            self._failed(reason)
        self._ended(End.SERVER, self._down, self._up, reason)

    def _ended(
        self,
        end: End,
        direction: Direction,
        back: Direction,
        reason: BaseException | None,
    ) -> None:
        """
        C{direction} carries nothing more, nor does C{back} if the connection is lost.
        """
        if self._done is None:
            return
        direction.end()
        if reason is not None:
            back.end()
        owing = [direction.sink] if direction.sink.pending else []
        if self._halfClose:
            direction.sink.loseWriteConnection()
            if not back.ended:
                self._deadline.set(self._timeout)
                return
            if back.sink.pending:
                owing.append(back.sink)
        elif back.ended and reason is None:
            # Both have said goodbye: as nginx, what they still owe is dropped.
            owing.clear()
        if not owing:
            self._finish(end)
            return

        def drained() -> None:
            self._ended(end, direction, back, reason)

        for sink in owing:
            sink.drained = drained

    def _timedOut(self) -> None:
        sent = self._client.transport.bytesSent + self._server.transport.bytesSent
        if sent != self._sent and (
            self._client.transport.pending or self._server.transport.pending
        ):
            self._sent = sent
            self._deadline.set(self._timeout)
            return
        self._finish(End.TIMEOUT)

    def _finish(self, end: End) -> None:
        done, self._done = self._done, None
        if done is not None:
            self._release()
            done(end)

    def _release(self) -> None:
        """
        Let go of both connections.
        """
        for direction in (self._up, self._down):
            direction.stop()
        self._deadline.clear()
        for connection in (self._client, self._server):
            connection.dataReceived = connection.ended = _ignored


def _ignored(event: object) -> None:
    """
    What connections call after their relay.
    """
