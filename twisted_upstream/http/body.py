"""
The body of a client's request: held in memory, then in a file, or passed as it comes.

nginx: C{ngx_http_request_body.c}
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, Protocol

from ..upstream.spool import openTempFile
from ..wire.body import Chunked, InvalidBody, Length

if TYPE_CHECKING:
    from .server import HTTPServerProtocol

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BodyReceiver(Protocol):
    """
    Who takes a body as it comes.
    """

    def bodyReceived(self, data: bytes, last: bool) -> None:
        """
        The next bytes of the body.
        """

    def abort(self, status: int) -> None:
        """
        The body has failed: there will be no more of it.
        """


class RequestBody:
    """
    One request's body.

    @ivar complete: has all of it been received?
    @ivar size: bytes received so far, without framing.
    @ivar wireSize: bytes received so far, with framing.
    @ivar parts: what is held in memory.
    @ivar file: what is held in a file: all of it, or C{None}.
    @ivar path: of that file.
    @ivar failed: the status that it failed with, or 0.
    """

    __slots__ = (
        "_connection",
        "_decoder",
        "_deliver",
        "_discarding",
        "_done",
        "_early",
        "_expect",
        "_keepFile",
        "_limit",
        "_memory",
        "_paused",
        "_receiver",
        "_streaming",
        "_tempPath",
        "_timeout",
        "_toFile",
        "begun",
        "complete",
        "failed",
        "file",
        "parts",
        "path",
        "wireSize",
        "size",
    )

    def __init__(
        self, connection: HTTPServerProtocol, length: int | None, expect: bool
    ) -> None:
        """
        @param length: its Content-Length; C{None}: it is chunked.
        @param expect: the client waits for 100 Continue.
        """
        self._connection = connection
        self._decoder: Any = (
            Chunked(fromClient=True) if length is None else Length(length)
        )
        self._expect = expect
        self._done: Callable[[], None] | None = None
        self._receiver: BodyReceiver | None = None
        self._discarding = False
        self._early = False
        self._streaming = False
        self._paused = False
        self._limit = 0
        self._memory = 0
        self._timeout = 60.0
        self._tempPath: str | None = None
        self._toFile = False
        self._keepFile = False
        self.path: bytes | None = None
        self.begun = False
        self.complete = length == 0
        self.failed = 0
        self.size = 0
        self.wireSize = 0
        self.parts: list[bytes] = []
        self.file: IO[bytes] | None = None

    def read(self, done: Callable[[], None]) -> None:
        """
        Receive all of it, then call C{done}.  A body that fails answers the client by
        itself.
        """
        self.testExpect()
        if self.complete:
            done()
            return
        self._done = done
        self.begin()

    def testExpect(self) -> None:
        """
        Tell a client that waits for it to send the body.

        nginx: ngx_http_test_expect()
        """
        if self._expect:
            self._expect = False
            self._connection.transport.write(_CONTINUE)

    def begin(self, streaming: bool = False) -> None:
        """
        Start receiving: what has come already is taken now.

        @param streaming: it will be passed as it comes, and is not put into a file.
        """
        if self.begun:
            return
        self.begun = True
        self._streaming = streaming
        connection = self._connection
        location = connection.request.location
        self._limit = location.maxBodySize
        self._memory = location.bodyBufferSize
        self._timeout = location.bodyTimeout
        self._tempPath = location.bodyTempPath
        self._toFile = location.bodyInFileOnly
        self._keepFile = location.keepsBodyFile
        self.testExpect()
        self._chooseMemory(connection)
        connection.receiveBody(self.received)
        if not self.complete and not self.failed:
            connection.deadline.set(self._timeout)

    def received(self, data: bytes) -> bytes:
        """
        Take the next bytes of the connection.

        @return: those that follow the body.
        """
        decoder = self._decoder
        if not self._discarding:
            self.wireSize += len(data)
        try:
            piece = decoder.inputFilter(data)
        except InvalidBody as e:
            self._connection.request.logError("error", str(e))
            self._fail(400)
            return b""
        if piece:
            self.size += len(piece)
            if self._limit and self.size > self._limit and not self._discarding:
                self._connection.request.logError(
                    "error",
                    "client intended to send too large chunked body:"
                    f" {self.size - len(piece)}+{len(piece)} bytes",
                )
                self._fail(413)
                return b""
            self._keep(piece)
            if self.failed:
                return b""
        if decoder.remaining == 0:
            self.complete = True
            self._connection.deadline.clear()
            rest: bytes = decoder.excess
            if not self._discarding:
                self.wireSize -= len(rest)
            decoder.excess = b""
            self._ended()
            return rest
        if self.begun:
            self._connection.deadline.set(self._timeout)
        return b""

    def _keep(self, piece: bytes) -> None:
        if self._discarding:
            return
        receiver = self._receiver
        if receiver is not None:
            last = self._decoder.remaining == 0
            if last:
                self.complete = True
                self._receiver = None
            receiver.bodyReceived(piece, last)
            return
        try:
            self._store(piece)
        except OSError as e:
            # The disk is full, or there is no descriptor left.
            call = (
                f'open() "{e.filename}"'
                if self.path is None
                else (f'write() "{os.fsdecode(self.path)}"')
            )
            request = self._connection.request
            request.logError("crit", f"{call} failed", e.errno or 0)
            self._fail(500)

    def _store(self, piece: bytes) -> None:
        """
        Keep C{piece} in memory, or in the file when there is too much.

        @raise OSError: the file cannot be made, or not be written.
        """
        if self.file is None and not self._streaming and self.size > self._memory:
            self.file = openTempFile(self._tempPath)
            self.path = os.fsencode(self.file.name)
            for part in self.parts:
                self._write(part)
            self.parts = []
            if not self._toFile:
                self._connection.request.logError(
                    "warn",
                    "a client request body is buffered to a temporary file"
                    f" {self.file.name}",
                )
        if self.file is not None:
            self._write(piece)
        else:
            self.parts.append(piece)

    def _chooseMemory(self, connection: HTTPServerProtocol) -> None:
        """
        Decide how much is held in memory.

        nginx: ngx_http_read_client_request_body().  What comes with the head may fill
        the head's buffer, and a body that is a quarter larger than its own buffer gets
        a larger one.
        """
        length = connection.request.head.contentLength
        if self._toFile:
            self._memory = -1
        elif length is not None:
            room = connection.default.limits.headerBufferSize
            early = min(
                max(0, room - connection.request.head.consumed), connection.ahead
            )
            if length - early < self._memory + (self._memory >> 2):
                self._memory = length

    def _write(self, piece: bytes) -> None:
        assert self.file is not None
        view = memoryview(piece)
        while view:
            view = view[self.file.write(view) :]

    def _ended(self) -> None:
        done, self._done = self._done, None
        receiver = self._receiver
        if done is not None:
            done()
        elif receiver is not None:
            # The end by itself: a chunked body has a last chunk.
            self._receiver = None
            receiver.bodyReceived(b"", True)

    def stream(self, receiver: BodyReceiver) -> bytes:
        """
        Pass to C{receiver} what comes; if it is C{complete}, that is nothing.

        @return: what is there already.
        """
        self.begin()
        if not self.complete:
            self._receiver = receiver
        return b"".join(self.parts)

    def pause(self) -> None:
        """
        The receiver has too much for now.
        """
        if not self._paused and not self.complete:
            self._paused = True
            self._connection.deadline.clear()
            self._connection.transport.pauseProducing()

    def resume(self) -> None:
        """
        The receiver can take more.
        """
        if self._paused:
            self._paused = False
            if not self.complete:
                self._connection.deadline.set(self._timeout)
            self._connection.transport.resumeProducing()

    @property
    def isKept(self) -> bool:
        """
        Is all of it there, to be passed once more?
        """
        return self.begun and self.complete and not self._discarding

    def discardFirst(self) -> int:
        """
        Nobody wants the body of a request that is about to be answered.

        @return: a status: what is there of it is wrong; 0: nothing is wrong yet.

        nginx: ngx_http_discard_request_body()
        """
        self.testExpect()
        self._discarding = self._early = True
        self.begin()
        self._early = False
        return self.failed

    def discard(self) -> None:
        """
        Nobody wants the rest.
        """
        self._discarding = True
        self._expect = False
        self._receiver = None
        self._done = None
        self.parts = []
        self.resume()
        self.close()

    def _fail(self, status: int) -> None:
        self.failed = status
        self._connection.deadline.clear()
        self._connection.request.keepalive = False
        receiver, self._receiver = self._receiver, None
        self._done = None
        if receiver is not None:
            receiver.abort(status)
        elif self._discarding:
            if not self._early:
                self._connection.bodyDiscarded()
        else:
            self._connection.request.failResponse(status)

    def timedOut(self) -> None:
        """
        The client has sent nothing for too long.
        """
        self._fail(408)

    def ended(self) -> None:
        """
        The client has closed its connection, or its half of it, within the body.
        """
        request = self._connection.request
        request.logError("info", "client prematurely closed connection")
        # There is nobody to tell.
        if not request.status:
            request.status = 400
        self._fail(400)

    def close(self) -> None:
        """
        Give the file back to the system.
        """
        if self.file is not None:
            self.file.close()
            self.file = None
            if self._keepFile:
                return
            try:
                os.unlink(self.path or b"")
            except FileNotFoundError:
                pass  # whoever was told the name has moved it

    @property
    def value(self) -> bytes | None:
        """
        C{$request_body}: C{None} when it is in a file, or was not read.
        """
        if self.file is not None or not self.begun:
            return None
        return b"".join(self.parts) or None
