"""
The response of the last attempt on its way to the client: bodies, in memory or in a
file, at the pace that was asked for; then peer and connection are given back.

nginx: C{ngx_http_upstream_send_response()}, C{ngx_event_pipe()},
C{ngx_http_upstream_finalize_request()}
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from ..balance.peer import Outcome, Peer
from ..wire.body import InvalidBody
from . import bulk
from .piped import BULK
from .spool import Spool

if TYPE_CHECKING:
    from ..interfaces import IExchange, IInputFilter, IPeerGetter
    from ..wire.head import ResponseHead
    from .attempt import Attempt
    from .connection import UpstreamProtocol
    from .group import UpstreamGroup
    from .passing import Passing

READING_HEAD = "reading response header from upstream"
READING = "reading upstream"

#: Seconds that a client may be behind before its response goes into a file.
_PATIENCE = 0.1


class UpstreamResponse:
    """
    What a request needs once the head of its response was accepted.

    @ivar isOver: is there nothing left to free?
    """

    __slots__ = (
        "_action",
        "_attempt",
        "_buffered",
        "_bulk",
        "_client",
        "_connection",
        "_exchange",
        "_filter",
        "_getter",
        "_group",
        "_head",
        "_mark",
        "_pace",
        "_paused",
        "_passing",
        "_peer",
        "_progress",
        "_rate",
        "_readMark",
        "_spool",
        "_streaming",
        "isOver",
    )

    _attempt: Attempt
    _buffered: bool
    _filter: IInputFilter
    _getter: IPeerGetter
    _mark: int
    _progress: int
    _readMark: int

    def __init__(
        self, passing: Passing, client: Any, exchange: IExchange, group: UpstreamGroup
    ) -> None:
        """
        @param client: the client's side:
            L{IClient<twisted_upstream.interfaces.IClient>} and
            L{IReply<twisted_upstream.interfaces.IReply>}.
        """
        self._passing = passing
        self._client = client
        self._exchange = exchange
        self._group = group
        self._connection: UpstreamProtocol | None = None
        self._peer: Peer | None = None
        self._head: ResponseHead | None = None
        self._spool: Spool | None = None
        self._bulk: bulk.BulkBody | None = None
        self._action = READING
        self._paused = False
        self._streaming = False
        self._rate = 0
        self._pace: Any = None
        self.isOver = False

    # ---- passing it on ---------------------------------------------------------------

    def _sendResponse(self, head: ResponseHead, data: bytes) -> None:
        connection = self._connection
        assert connection is not None
        client = self._client
        received = self._filter = self._exchange.inputFilterInit(head)
        if self._passing.forceRanges and not client.takeRange(head):
            self._release(False)
            self._exchange.finalizeRequest(416)
            client.failResponse(416, client.noRange(head))
            return
        if not self._buffered:
            self._action = READING_HEAD
        data = data[head.consumed :]
        self._attempt.responseLength = len(data)
        if data and received.remaining != 0:
            try:
                body = received.inputFilter(data)
            except InvalidBody as e:
                # As in nginx, not even the head was sent by then.
                client.status = head.status
                self._broken(str(e))
                return
        else:
            # A body where none may be is never passed on.
            body = b""
            if data:
                received.excess = data
                if client.method == b"HEAD":
                    # nginx does not look at what follows the head.
                    self._attempt.responseLength = 0
        if not self._buffered:
            client.limitRate = 0
            client.flushes = True
        if received.remaining == 0:
            # It came with the head.
            attempt = self._attempt
            attempt.responseTime = attempt.headerTime
            self._done(received)
            client.sendHead(head, body, True)
            return
        client.sendHead(head, body, False)
        if self._connection is None:
            return
        self._action = READING
        connection.dataReceived = self._bodyReceived
        connection.ended = self._bodyEnded
        connection.deadline.expired = self._bodyTimedOut
        connection.deadline.set(self._passing.readTimeout)
        if self._passing.limitRate is not None and self._buffered:
            self._limitRate()
        if not client.canTake(self._highWater()):
            self._hold()

    def _bodyReceived(self, data: bytes) -> None:
        received = self._filter
        self._attempt.responseLength += len(data)
        try:
            body = received.inputFilter(data)
        except InvalidBody as e:
            self._broken(str(e))
            return
        client = self._client
        if body:
            client.sendBody(body)
        connection = self._connection
        if connection is None:
            return
        if received.remaining == 0:
            self._done(received)
            client.endResponse()
            return
        connection.deadline.set(self._passing.readTimeout)
        if self._rate:
            self._paceReading(len(data))
        elif len(data) >= BULK:
            self._bulk = bulk.enter(
                connection,
                client,
                received,
                self._attempt,
                self._passing.readTimeout,
                self._hold,
            )
        if not client.canTake(self._highWater()):
            self._hold()

    def _bodyEnded(self, reason: BaseException | None) -> None:
        received = self._filter
        connection = self._connection
        if (
            reason is None
            and received.remaining is None
            and not (connection is not None and connection.transport.truncated)
        ):
            self._exchange.reusable = False
            self._done(received)
            if self._spool is None:
                self._client.endResponse()
            return
        if reason is None:
            self._broken("upstream prematurely closed connection")
        else:
            self._broken(str(reason), getattr(reason, "errno", 0) or 0)

    def _bodyTimedOut(self) -> None:
        connection = self._connection
        assert connection is not None
        transport = connection.transport
        if transport.pending and transport.bytesSent != self._progress:
            self._progress = transport.bytesSent
            connection.deadline.set(self._passing.readTimeout)
            return
        self._broken("upstream timed out", errno.ETIMEDOUT)

    def _broken(self, message: str, number: int = 0) -> None:
        """
        The response cannot be completed, and its head is on its way already.
        """
        self._log("error", message, self._action, number)
        self._release(False)
        self._exchange.finalizeRequest(502)
        self._closeSpool()
        self._client.cutResponse()

    def _done(self, received: IInputFilter) -> None:
        """
        The response is complete.
        """
        exchange = self._exchange
        if received.excess:
            exchange.reusable = False
            if self._client.method != b"HEAD":
                self._log(exchange.excessLevel, exchange.excessMessage, self._action)
        self._release(exchange.reusable)
        exchange.finalizeRequest(0)
        self.isOver = self._spool is None

    def _release(self, reusable: bool) -> None:
        """
        Give peer and connection back.
        """
        if self._bulk is not None:
            self._bulk.leave()
        attempt = self._attempt
        if attempt.responseTime < 0:
            attempt.responseTime = self._passing.seconds() - attempt.begun
        if self._pace is not None:
            self._pace.drop()
        connection = self._connection
        peer = self._peer
        if connection is not None:
            transport = connection.transport
            attempt.bytesSent = transport.bytesSent - self._mark
            attempt.bytesReceived = transport.bytesReceived - self._readMark
            self._connection = None
            if reusable and peer is not None:
                cache = self._group.cache
                if (
                    cache is not None
                    and not transport.pending
                    and (not self._streaming or self._client.body.complete)
                    and self._group.mayKeep(
                        connection, peer, attempt.begun + attempt.responseTime
                    )
                ):
                    if self._paused:
                        transport.resumeProducing()
                    connection.rest(cache)
                    passing = self._passing
                    cache.put((peer.sockaddr, connection.identity), connection, passing)
                else:
                    connection.close()
            else:
                connection.close()
        if peer is not None:
            self._peer = None
            self._getter.freePeer(peer, Outcome.OK)

    # ---- a client that is slower than the server -------------------------------------

    def _highWater(self) -> int:
        return self._passing.highWater if self._buffered else 0

    def _hold(self) -> None:
        """
        The client owes too much: let the server wait.  If the client does not catch up
        soon, the rest goes into a file, and the server is free the sooner.

        @note: nginx writes the file at once.  A client that is only a moment behind
            needs none, and a gigabyte costs half the time without.
        """
        passing = self._passing
        connection = self._connection
        assert connection is not None
        self._pause()
        self._client.whenDrained(self._resume)
        if self._buffered and passing.maxTempFileSize:
            connection.deadline.expired = self._clientSlow
            connection.deadline.set(_PATIENCE)

    def _clientSlow(self) -> None:
        """
        The client has not caught up: let the response wait in a file.
        """
        client = self._client
        passing = self._passing
        connection = self._connection
        assert connection is not None
        if self._bulk is not None:
            self._bulk.leave()
        try:
            spool = Spool(
                passing.openTempFile, passing.maxTempFileSize, client.sendRegion
            )
        except OSError as e:
            # The server waits, as where files are not allowed.
            self._log("crit", f'open() "{e.filename}" failed', READING, e.errno or 0)
            return
        self._spool = spool
        client.logError(
            "warn",
            "an upstream response is buffered to a temporary file",
            action=READING,
            upstream=self._where(),
        )
        connection.dataReceived = self._spoolReceived
        client.whenDrained(self._spoolDrained)
        self._resume()

    def _pause(self) -> None:
        connection = self._connection
        if connection is not None:
            self._paused = True
            connection.transport.pauseProducing()
            connection.deadline.clear()

    def _resume(self) -> None:
        connection = self._connection
        if connection is not None and self._paused:
            self._paused = False
            connection.deadline.expired = self._bodyTimedOut
            connection.deadline.set(self._passing.readTimeout)
            connection.transport.resumeProducing()

    def _spoolReceived(self, data: bytes) -> None:
        received, spool = self._filter, self._spool
        assert spool is not None
        self._attempt.responseLength += len(data)
        try:
            body = received.inputFilter(data)
            room = spool.write(body)
        except InvalidBody as e:
            self._broken(str(e))
            return
        except OSError as e:
            self._broken(f"write() to temporary file failed ({e.errno}: {e.strerror})")
            return
        if received.remaining == 0:
            # The server is free; the client goes on from the file.
            self._done(received)
        elif not room:
            self._pause()
        else:
            assert self._connection is not None
            self._connection.deadline.set(self._passing.readTimeout)

    def _spoolDrained(self) -> None:
        spool = self._spool
        if spool is None:
            return
        client = self._client
        if spool.sendNext():
            client.whenDrained(self._spoolDrained)
            return
        self._spool = None
        spool.close()
        connection = self._connection
        if connection is None:
            client.endResponse()
            return
        connection.dataReceived = self._bodyReceived
        self._resume()

    def _closeSpool(self) -> None:
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.close()

    # ---- limiting the rate -----------------------------------------------------------

    def _limitRate(self) -> None:
        assert self._passing.limitRate is not None
        text = self._passing.limitRate(self._client)
        self._rate = self._passing.parseRate(text)
        if self._rate:
            self._pace = self._passing.deadlines.new(self._paced)
            self._paceReading(self._attempt.responseLength)

    def _paceReading(self, count: int) -> None:
        """
        Read no faster than allowed.  nginx: C{ngx_event_pipe_read_upstream()}.
        """
        assert self._connection is not None
        connection = self._connection
        rate = self._rate
        attempt = self._attempt
        since = int(self._passing.seconds()) - int(attempt.begun + attempt.headerTime)
        limit = rate * (since + 1) - attempt.responseLength
        delay = count / rate
        if limit <= 0:
            delay = max(delay, -limit / rate + 0.001)
        else:
            connection.transport.setReadSize(min(limit, self._passing.highWater))
        connection.transport.pauseProducing()
        connection.deadline.clear()
        self._pace.set(delay)

    def _paced(self) -> None:
        connection = self._connection
        if connection is not None and not self._paused:
            connection.deadline.set(self._passing.readTimeout)
            connection.transport.resumeProducing()

    # ---- the error log ---------------------------------------------------------------

    def _where(self) -> str:
        exchange = self._exchange
        peer = self._attempt.peer
        where = exchange.scheme + peer + exchange.uri
        return where.decode("utf-8", "replace")

    def _log(self, level: str, message: str, action: str, number: int = 0) -> None:
        self._client.logError(
            level, message, number, action=action, upstream=self._where()
        )
