"""
A request within a request: a part of a response that another URI gives.

It goes the way of any request, from the server's C{rewrite} on; but what it is answered
with goes where its maker says, and waits as long as that has no use for it.

nginx: C{ngx_http_subrequest()}, C{ngx_http_postpone_filter_module.c}
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twisted.logger import Logger

from .filters import BodyFilter, Chain
from .request import Request

if TYPE_CHECKING:
    from ..wire.head import ResponseHead

#: So many subrequests of one request may be under way.
MOST_ALIVE = 1000

#: Bytes of a response that wait for their turn.
_MOST = 65536


class Sink(Protocol):
    """
    Takes the body of a subrequest's response: a filter, or a reply.
    """

    def canPut(self, highWater: int) -> bool:
        """
        Is more welcome?
        """

    def whenPut(self, callback: Callable[[], None]) -> None:
        """
        Call C{callback}, once, when everything has gone on.
        """

    def putBody(self, data: bytes) -> None:
        """
        Take some.
        """


class _Through(BodyFilter):
    """
    Passes a body as it is; what comes from a file is read.
    """

    __slots__ = ()

    def step(self, data: bytes) -> bytes:
        """
        The same.
        """
        return data


class Subrequest(Request):
    """
    A request within another one.

    @ivar isDone: it is over; what came out may still wait to be taken.
    @ivar waitingBytes: how much that is.
    """

    isSubrequest = True
    internal = True
    validUnparsed = False
    keepalive = False
    isDone = False
    _log = Logger()
    _sink: Sink | None = None
    _callback: Callable[[], None] | None = None
    _hasOutput = False

    # A request that comes from a client is made of other things.
    def __init__(
        self,
        parent: Request,
        uri: bytes,
        args: bytes,
        done: Callable[[], None],
        stub: bytes | None = None,
    ) -> None:
        """
        @param parent: the request whose response this will be a part of.
        @param done: called once when the response is complete, or will not be.
        @param stub: what stands for a response that is an error, or empty.
        """
        self._main = parent.main
        self._done: Callable[[], None] | None = done
        self._stub = stub
        self._held: list[bytes] = []
        self.waitingBytes = 0
        self.connection = parent.connection
        self.requestLine = parent.requestLine
        self.begun = self.connection.factory.seconds()
        self.values = parent.values
        self.server = parent.server
        self.location = self.server.root
        self.method = b"GET"
        self.target = parent.target
        self.uri = uri
        self.args = args
        self.version = parent.version
        self.host = parent.host
        self.pipelined = parent.pipelined
        self.realPeer = parent.realPeer
        self._peer = parent._peer
        self._binary = parent._binary
        self.limitConnStatus = parent.limitConnStatus
        self.limitReqStatus = parent.limitReqStatus
        self.subrequestsLeft = parent.subrequestsLeft - 1
        body = parent.body
        self.body = body if body is not None and body.isKept else None
        head = parent.head
        if self.body is None or head.upgrade is not None:
            head = copy.copy(head)
            head.upgrade = None
            if self.body is None:
                head.contentLength = None
                head.chunked = False
        self.head = head
        self._main.subrequestsAlive += 1

    @property
    def main(self) -> Request:
        """
        The client's request.
        """
        return self._main

    @property
    def shownSubrequest(self) -> str:
        """
        What the error log says besides.
        """
        return f', subrequest: "{self._shownURI()}"'

    def begin(self) -> None:
        """
        Answer it, from the next turn on.
        """
        self.connection.factory.served.soon(self._begin)

    def _begin(self) -> None:
        if self._finished:
            return
        try:
            self.run()
        # Nobody else would end it, and its page waits.
        except Exception:
            self._log.failure("unhandled error in a subrequest")
            self._main.terminate()

    # ---- the response ---------------------------------------------------------------

    def isFiltered(self, head: ResponseHead) -> bool:
        """
        Parts of it are never sent.
        """
        return True

    def sendHead(self, head: ResponseHead, body: bytes, complete: bool) -> None:
        """
        Begin the response.
        """
        if not self.isFirst:
            self._editHead(head)
        self.status = head.status
        self.responseHead = head
        filters = self.location.filters
        made = [] if filters is None else filters.make(self, head)
        self._filters = Chain(self, [*made, _Through(self, _MOST)])
        self._filters.start(b"", body, complete)

    def sendFirst(self, data: bytes, body: bytes, complete: bool) -> None:
        """
        There is a first part of the body.
        """
        if body:
            self.putBody(body)
        if complete:
            self.putEnd()

    def failResponse(self, status: int, fields: bytes = b"") -> None:
        """
        Answer with an error, or the stub.
        """
        if status in _TERMINATING:
            self._main.terminate()
        elif self._stub is not None and not self.status:
            self.status = status
            self.putEnd()
        else:
            super().failResponse(status, fields)

    def putBody(self, data: bytes) -> None:
        """
        Some of the body comes out.
        """
        self._hasOutput = True
        if self._sink is None:
            self._held.append(data)
            self.waitingBytes += len(data)
        else:
            self._sink.putBody(data)

    def putEnd(self) -> None:
        """
        That was all.
        """
        stub, self._stub = self._stub, None
        if stub is not None and not self._hasOutput:
            self._sendStub(stub)
        else:
            self._finish()

    def _sendStub(self, stub: bytes) -> None:
        """
        nginx: ngx_http_ssi_stub_output()
        """
        from ..wire.head import ResponseHead

        if self._filters is not None:
            # They were told that it has ended, and say so after that, too.
            self._filters.first.putBody(stub)
            return
        head = ResponseHead(200, contentLength=len(stub))
        parent = self._main.responseHead
        if parent is not None:
            head.contentType = parent.contentType
        self.sendHead(head, stub, True)

    def putCut(self) -> None:
        """
        There will be no more: what there was stands, as in nginx.
        """
        self._finish()

    def canPut(self, highWater: int) -> bool:
        """
        Is more welcome?
        """
        if self._sink is None:
            return self.waitingBytes <= highWater
        return self._sink.canPut(highWater)

    def whenPut(self, callback: Callable[[], None]) -> None:
        """
        Call C{callback}, once, when everything has gone on.
        """
        if self._sink is None:
            self._callback = callback
        else:
            self._sink.whenPut(callback)

    def sendInterim(self, head: ResponseHead) -> bool:
        """
        Only the final response counts.
        """
        return False

    # ---- its maker ------------------------------------------------------------------

    @property
    def isActive(self) -> bool:
        """
        Does it go to its sink already?
        """
        return self._sink is not None

    def activate(self, sink: Sink) -> None:
        """
        It is this one's turn: what comes out goes to C{sink}.
        """
        self._sink = sink
        held, self._held = self._held, []
        self.waitingBytes = 0
        if held:
            sink.putBody(b"".join(held))
        callback, self._callback = self._callback, None
        if callback is not None:
            sink.whenPut(callback)

    def _finish(self) -> None:
        if self._finished:
            return
        self._release()
        if self.held is not None:
            self.held.release()
        self._main.subrequestsAlive -= 1
        self.isDone = True
        done, self._done = self._done, None
        if done is not None:
            done()

    def discard(self) -> None:
        """
        Nobody wants it any more.
        """
        self._done = None
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting()
        self._finish()


class Memory:
    """
    Takes a whole response, up to a limit.

    nginx: ngx_http_postpone_filter_in_memory()
    """

    __slots__ = ("_limit", "_parts", "_request", "_size")

    def __init__(self, request: Subrequest) -> None:
        self._request = request
        self._parts: list[bytes] = []
        self._size = 0
        self._limit = -1

    def canPut(self, highWater: int) -> bool:
        """
        All of it is.
        """
        return True

    def whenPut(self, callback: Callable[[], None]) -> None:
        """
        Everything has gone on already.
        """
        self._request.connection.factory.served.soon(callback)

    def putBody(self, data: bytes) -> None:
        """
        Take some; what is too much ends everything.
        """
        request = self._request
        if self._limit < 0:
            self._limit = request.location.subrequestBuffer
        self._size += len(data)
        if self._size <= self._limit:
            self._parts.append(data)
            return
        request.logError("error", "too big subrequest response")
        request.main.terminate()

    @property
    def value(self) -> bytes:
        """
        What was taken.
        """
        return b"".join(self._parts)


_TERMINATING = frozenset((408, 444, 499))


def startSubrequest(
    parent: Request,
    uri: bytes,
    args: bytes,
    done: Callable[[], None],
    stub: bytes | None = None,
) -> Subrequest | None:
    """
    Start a subrequest.

    @return: C{None}: there are too many, which was logged.
    """
    level = ""
    if not parent.subrequestsLeft:
        level, reason = "error", "subrequests cycle"
    elif parent.main.subrequestsAlive >= MOST_ALIVE:
        level, reason = "crit", "request reference counter overflow"
    if level:
        shown = uri.decode("utf-8", "replace")
        action = parent.action or "sending response to client"
        parent.logError(level, f'{reason} while processing "{shown}"', action=action)
        return None
    made = Subrequest(parent, uri, args, done, stub)
    made.begin()
    return made
