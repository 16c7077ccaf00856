"""
The bytes of one response on their way to the client: chunks, pace, back-pressure, end.

What comes here has gone through the filters.  nginx: the chunked and write filters:
C{ngx_http_chunked_filter()}, C{ngx_http_write_filter()}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..wire.body import LAST_CHUNK
from .client import Client

if TYPE_CHECKING:
    from .pace import Pace


class Output(Client):
    """
    What is sent, as the client gets it.

    @ivar status: of the response being sent; 0: there is none yet.
    @ivar headSize: bytes of its head.
    @ivar headOnly: the response has no body.
    @ivar chunked: is it sent in chunks?
    @ivar keepalive: will the connection serve another request?
    @ivar limitRate: bytes per second that the client may get; 0: no limit; C{None}:
        what the location says.
    @ivar trailers: what C{add_trailer} and the server add after the body.
    """

    status = 0
    headSize = 0
    headOnly = False
    chunked = False
    keepalive = False
    limitRate: int | None = None
    trailers = b""
    _pace: Pace | None = None
    _progress = -1
    _ended = False
    _sentBefore = 0

    def sendFirst(self, data: bytes, body: bytes, complete: bool) -> None:
        """
        Send the head as bytes, and what of the body, as the client gets it, is there.
        """
        location = self.location
        if location.limitsRate is not None or self.limitRate:
            self._startPace()
        pace = self._pace
        if pace is not None:
            pace.begin(data, body)
            if complete:
                self.putEnd()
            return
        transport = self.connection.transport
        if self.chunked:
            if body:
                data += b"%x\r\n%b\r\n" % (len(body), body)
            if complete:
                data += self._lastChunk()
        elif body:
            data += body
        if data:
            transport.write(data)
        if transport.pending:
            if complete:
                self._endOutput()
            else:
                self._watchSending()
        elif complete:
            self._ended = True
            self._finish()

    def putBody(self, data: bytes) -> None:
        """
        More of the body as the client gets it.
        """
        if self._pace is not None:
            self._pace.add(data)
            return
        self.writeBody(data)

    def writeBody(self, data: bytes) -> None:
        """
        Send body without regard to the pace.
        """
        transport = self.connection.transport
        if self.chunked:
            transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            transport.write(data)
        if transport.pending:
            self._watchSending()

    def writeRegion(self, fd: int, offset: int, count: int) -> None:
        """
        Send a part of a file without regard to the pace.
        """
        transport = self.connection.transport
        if self.chunked:
            transport.write(b"%x\r\n" % count)
        transport.sendFile(fd, offset, count)
        if self.chunked:
            transport.write(b"\r\n")
        if transport.pending:
            self._watchSending()

    def canPut(self, highWater: int) -> bool:
        """
        The same of the body as the client gets it.
        """
        pending = self.connection.transport.pending
        if self._pace is not None:
            pending += self._pace.waiting
        return pending <= highWater

    def whenPut(self, callback: Callable[[], None]) -> None:
        """
        The same of the body as the client gets it.
        """
        if self._pace is not None and self._pace.waiting:
            self._pace.drained = callback
            return
        transport = self.connection.transport
        if not transport.pending:
            # Never from within the caller's call.
            self.connection.factory.served.soon(callback)
            return

        def drained() -> None:
            transport.drained = None
            self.connection.deadline.clear()
            callback()

        transport.drained = drained

    def _startPace(self) -> None:
        from .pace import Pace

        rate, after = self.location.pace(self)
        if rate:
            served = self.connection.factory.served
            self._pace = Pace(self, rate, after, served.seconds, served.deadlines)

    def _lastChunk(self) -> bytes:
        trailers = self.location.trailers
        if trailers is not None:
            trailers(self)
        if self.trailers:
            return b"0" + self.trailers + b"\r\n\r\n"
        return LAST_CHUNK

    def putEnd(self) -> None:
        """
        The body as the client gets it is complete.
        """
        pace = self._pace
        if pace is not None and pace.waiting:
            pace.drained = self.putEnd
            return
        if self.chunked and not self.headOnly:
            self.connection.transport.write(self._lastChunk())
        self._endOutput()

    def _endOutput(self) -> None:
        self._ended = True
        if self.connection.transport.pending:
            self.whenPut(self._finish)
            self._watchSending()
        else:
            self._finish()

    def putCut(self) -> None:
        """
        The body as the client gets it will not be completed.
        """
        self.keepalive = False
        transport = self.connection.transport
        if transport.pending and self.status:
            self.whenPut(self._finish)
            self._watchSending()
        else:
            self._finish()

    def _watchSending(self) -> None:
        """
        A client that takes nothing for C{send_timeout} is given up.
        """
        transport = self.connection.transport
        if transport.bytesSent != self._progress or not self.connection.deadline.active:
            self._progress = transport.bytesSent
            self.connection.deadline.set(self.location.sendTimeout)

    def sendingTimedOut(self) -> bool:
        """
        The time-out has come: is the client to be given up, or did it take something?
        """
        transport = self.connection.transport
        if transport.bytesSent != self._progress:
            self._progress = transport.bytesSent
            self.connection.deadline.set(self.location.sendTimeout)
            return False
        return True

    def _finish(self) -> None:
        raise NotImplementedError

    @property
    def bodySent(self) -> int:
        """
        C{$body_bytes_sent}.
        """
        return max(0, self.bytesSent - self.headSize)

    @property
    def bytesSent(self) -> int:
        """
        C{$bytes_sent}.
        """
        sent: int = self.connection.transport.bytesSent - self._sentBefore
        return sent
