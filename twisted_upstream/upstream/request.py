"""
One client request over its attempts at servers: the driver of every dialect.

Here a server is chosen, and another one when it fails.  How the request is sent is in
L{twisted_upstream.upstream.request_sending}, what comes back in
L{twisted_upstream.upstream.response_head} and L{twisted_upstream.upstream.response}.
Nothing here knows a reactor; sockets and timers are behind the connection.

nginx: C{ngx_http_upstream.c}: C{ngx_http_upstream_connect()},
C{ngx_http_upstream_next()}, C{ngx_http_upstream_finalize_request()}
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from twisted.logger import Logger
from zope.interface import implementer

from ..balance.peer import Outcome, Peer
from ..interfaces import IDialWaiter
from ..net.dialer import ConnectFailed, ConnectTimedOut
from . import retry
from .attempt import Attempt
from .request_sending import UpstreamSending
from .response import READING, READING_HEAD

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from .connection import UpstreamProtocol

CONNECTING = "connecting to upstream"
QUEUED = "waiting for an upstream server"


@implementer(IDialWaiter)
class UpstreamRequest(UpstreamSending):
    """
    A client's request on its way.
    """

    __slots__ = ("_begun", "_giveUp", "_reused")

    _logger = Logger()

    _giveUp: Callable[[], None] | None

    # ---- attempts -------------------------------------------------------------------

    def start(self) -> None:
        """
        Ask the first server.
        """
        client = self._client
        self._giveUp = None
        self._data = b""
        self._interim = 0
        self._offset = None
        self.sent = False
        out = self._exchange.createRequest()
        if out is None:
            self._exchange.finalizeRequest(500)
            client.failResponse(500)
            return
        self._out = out
        client.upstream = self
        attempts = client.attempts
        if attempts is None:
            client.attempts = []
        else:
            attempts.append(None)
            client.upstreamFields = b""
        getter = self._getter = self._group.initPeer(client)
        if self._passing.tries:
            getter.limitTries(self._passing.tries)
        now = self._begun = self._passing.seconds()
        self._connect(now)

    def _connect(self, now: float) -> None:
        try:
            peer = self._getter.getPeer()
        except Exception as e:
            self._getPeerRaised(e)
            return
        if isinstance(peer, Peer):
            self._peerChosen(peer, now)
        elif peer is None:
            self._noPeer()
        else:
            self._waitForPeer(peer)

    def _getPeerRaised(self, error: Exception) -> None:
        """
        The balancer has a fault.  Whoever begins the request hears of it; once a server
        was asked, that is over, and the client is answered.
        """
        client = self._client
        if not client.attempts or client.attempts[-1] is None:
            self.isOver = True
            client.upstream = None
            self._exchange.finalizeRequest(500)
            raise error
        self._logger.failure("unhandled error in a balancer")
        self._begin(self._group.nameBytes).status = 500
        self._log("alert", f"balancer failed: {error!r}", CONNECTING)
        self._finalize(500)

    def _waitForPeer(self, waiting: Deferred[Peer | None]) -> None:
        # Until there is a peer, the attempt is the group's.
        self._begin(self._group.nameBytes)
        self._giveUp = waiting.cancel
        waiting.addCallbacks(self._waited, self._waitFailed)

    def _waited(self, peer: Peer | None) -> None:
        self._giveUp = None
        attempt = self._attempt
        now = self._passing.seconds()
        queueTime = now - attempt.begun
        if peer is not None:
            self._client.attempts.pop()
            self._peerChosen(peer, now, queueTime)
            return
        attempt.queueTime = queueTime
        self._log("error", "no live upstreams", QUEUED)
        attempt.status = 502
        self._finalize(502)

    def _waitFailed(self, reason: Failure) -> None:
        if self._giveUp is None:
            # It is we who did not want to wait any more.
            return
        self._log("alert", f"balancer failed: {reason.value!r}", QUEUED)
        self._waited(None)

    def _begin(self, name: bytes) -> Attempt:
        attempt = self._attempt = Attempt(name, self._passing.seconds())
        self._client.attempts.append(attempt)
        return attempt

    def _noPeer(self) -> None:
        attempt = self._begin(self._group.nameBytes)
        self._log("error", "no live upstreams", CONNECTING)
        attempt.status = 502
        self._finalize(502)

    def _peerChosen(self, peer: Peer, now: float, queueTime: float = -1.0) -> None:
        passing = self._passing
        self._peer = peer
        self._attempt = attempt = Attempt(peer.nameBytes, now)
        attempt.queueTime = queueTime
        self._client.attempts.append(attempt)
        self.sent = False
        cache = self._group.cache
        identity: Hashable = None
        if passing.tls is not None:
            identity = passing.identity(self._client, self._exchange, self._group)
            if identity is False:
                attempt.status = 500
                self._finalize(500)
                return
        if cache is not None:
            whose = passing.account if identity is None else identity
            connection = cache.take((peer.sockaddr, whose), passing)
            if connection is not None:
                self._reused = True
                attempt.connectTime = 0.0
                self._send(connection)
                return
        self._reused = False
        giveUp = passing.dial(peer, self, self._client, identity)
        # The outcome may be known already, and the next attempt under way.
        if self._attempt is attempt and self._peer is peer and self._connection is None:
            self._giveUp = giveUp

    def connectionReady(self, connection: UpstreamProtocol) -> None:
        """
        A connection to the chosen peer is open.
        """
        self._giveUp = None
        attempt = self._attempt
        passing = self._passing
        attempt.connectTime = passing.seconds() - attempt.begun
        if passing.account is not None:
            connection.identity = passing.account
        self._send(connection)

    def connectionFailed(self, reason: Exception) -> None:
        """
        There is no connection to the chosen peer.
        """
        self._giveUp = None
        action: str = getattr(reason, "action", CONNECTING)
        if isinstance(reason, ConnectTimedOut):
            self._failed(retry.TIMEOUT, reason, action)
            return
        level = "error"
        if isinstance(reason, ConnectFailed):
            level = reason.level
            if reason.syscall != "connect":
                # Our own trouble: no other server would fare better.
                self._log(level, reason.message, CONNECTING, reason.errno)
                self._attempt.status = 500
                self._finalize(500)
                return
        self._failed(retry.ERROR, reason, action, level)

    # ---- ends -----------------------------------------------------------------------

    def clientGone(self) -> None:
        """
        The client closed its connection.
        """
        if self._passing.ignoreClientAbort:
            return
        self._exchange.abortRequest()
        if self._giveUp is not None and self._peer is None:
            self._log("info", "client prematurely closed connection", QUEUED)
        elif self._connection is not None or self._giveUp is not None:
            self._log(
                "info",
                "client prematurely closed connection, so upstream connection is"
                " closed too",
                CONNECTING
                if self._connection is None
                else READING_HEAD
                if self._head is None
                else READING,
            )
        self.abort(499)

    def abort(self, status: int) -> None:
        """
        Stop at once; the client is told C{status} if it can still be told.
        """
        if self._giveUp is not None:
            giveUp, self._giveUp = self._giveUp, None
            giveUp()
        self._finalize(status)

    def discard(self) -> None:
        """
        The client's side has ended by itself: free what is held.
        """
        giveUp, self._giveUp = self._giveUp, None
        if giveUp is not None:
            giveUp()
        if giveUp is not None or self._peer is not None:
            self._release(False)
            self._exchange.finalizeRequest(499)
        self._closeSpool()

    def _failed(
        self, failure: int, reason: BaseException, action: str, level: str = "error"
    ) -> None:
        """
        This attempt has failed before the response began: is there another one?
        """
        self._log(level, _text(reason), action, getattr(reason, "errno", 0) or 0)
        self._next(failure, action)

    def _tryAnother(self, status: int) -> bool:
        passing = self._passing
        failure = retry.mayRetryStatus(
            status,
            passing.nextUpstream,
            tries=self._getter.tries,
            method=self._client.method,
            sent=self.sent,
            unbuffered=self._streaming,
            elapsed=passing.seconds() - self._begun,
            timeout=passing.nextUpstreamTimeout,
        )
        if failure:
            self._next(failure)
        return bool(failure)

    def _next(self, failure: int, action: str = READING_HEAD) -> None:
        passing = self._passing
        attempt = self._attempt
        getter = self._getter
        self._closeConnection()
        peer, self._peer = self._peer, None
        if peer is not None:
            outcome = retry.outcomeOf(failure)
            getter.freePeer(peer, outcome)
            if outcome == Outcome.FAILED and peer.isDisabled:
                self._log("warn", "upstream server temporarily disabled", action)
        if self._reused and failure == retry.ERROR:
            getter.forgiveTry()
        status = attempt.status = retry.statusOf(failure)
        now = passing.seconds()
        attempt.responseTime = now - attempt.begun
        if not retry.nextUpstream(
            failure,
            passing.nextUpstream,
            tries=getter.tries,
            method=self._client.method,
            sent=self.sent,
            unbuffered=self.sent and self._streaming,
            elapsed=now - self._begun,
            timeout=passing.nextUpstreamTimeout,
        ):
            self._finalize(status)
            return
        self._data = b""
        self._interim = 0
        self._offset = None
        self._exchange.reinitRequest()
        if len(self._client.attempts) % retry.IN_A_ROW:
            self._connect(now)
        else:
            later = passing.deadlines.new(self._connectLater)
            self._giveUp = later.drop
            later.set(0)

    def _connectLater(self) -> None:
        self._giveUp = None
        self._connect(self._passing.seconds())

    def _finalize(self, status: int) -> None:
        """
        The end of a request whose response has not begun, or is to be cut.
        """
        head = self._head
        self._release(False)
        self._exchange.finalizeRequest(status)
        self._closeSpool()
        if head is None:
            self._client.failResponse(status)
        else:
            self._client.cutResponse()

    def _closeConnection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            attempt = self._attempt
            transport = connection.transport
            attempt.bytesSent = transport.bytesSent - self._mark
            attempt.bytesReceived = transport.bytesReceived - self._readMark
            connection.close()


def _text(reason: BaseException) -> str:
    """
    What the error log says of C{reason}, without the number that the log adds.
    """
    message: str | None = getattr(reason, "message", None)
    if message is not None:
        return message
    syscall = getattr(reason, "syscall", None)
    if syscall is not None and getattr(reason, "errno", None):
        return f"{syscall}() failed"
    return str(reason)
