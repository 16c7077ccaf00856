"""
A client's datagrams on their way to a server, and the server's answers.

How many datagrams a session has, and when it is over, is counted: C{proxy_requests}
from the client, C{proxy_responses} from the server for each of those.

nginx: C{ngx_stream_proxy_process()}, C{ngx_stream_proxy_test_finalize()},
C{ngx_stream_proxy_process_connection()}, as far as they are about C{SOCK_DGRAM}
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from ..balance.peer import Outcome
from ..net.datagrams import REMOTE_ERRORS
from .session import OK
from .upstream_session import UpstreamSession

if TYPE_CHECKING:
    from ..net.datagrams import DatagramTransport
    from ..net.deadline import Deadlines
    from .proxy import StreamProxy
    from .udp import UDPSession

#: Datagrams of one session that may wait: empty ones take no bytes, but memory.
_MOST_WAITING = 1024

_ACTIONS = {
    "recv": "proxying and reading from upstream",
    "sendmsg": "proxying and sending to upstream",
}


class UDPUpstream(UpstreamSession):
    """
    Passes datagrams on.

    @ivar requests: datagrams of the client.
    @ivar responses: datagrams of the server.
    """

    __slots__ = (
        "_down",
        "_early",
        "_earlyBytes",
        "_hasFailed",
        "_transport",
        "_up",
        "requests",
        "responses",
    )

    session: UDPSession
    _transport: DatagramTransport

    def __init__(self, proxy: StreamProxy, session: UDPSession) -> None:
        super().__init__(proxy, session)
        self.requests = 1
        self.responses = 0
        self._hasFailed = False
        self._up: Pace | None = None
        self._down: Pace | None = None
        # Those that come before there is a server, the first one excepted.
        self._early: deque[bytes] = deque()
        self._earlyBytes = 0

    # ---- datagrams ------------------------------------------------------------------

    def received(self, datagram: bytes) -> None:
        """
        The client has sent one more.  It is dropped when there is no room for it, and
        while the client is too fast.
        """
        session = self.session
        if self.connection is None:
            if not self._hasRoom(len(self._early), self._earlyBytes):
                return
            self._early.append(datagram)
            self._earlyBytes += len(datagram)
            self._count(datagram)
            self._check()
            return
        up = self._up
        if up is not None and not up.mayPass(session.taken):
            self._setTimeout()
            return
        transport = self._transport
        if transport.pending and not self._hasRoom(
            transport.pending, transport.pendingBytes
        ):
            return
        self._count(datagram)
        if up is not None:
            up.passed(len(datagram))
        transport.write(datagram)
        if self.connection is not None:
            self._check()

    def _hasRoom(self, waiting: int, size: int) -> bool:
        """
        May one more wait?  The last one may exceed the limit: it is not cut.
        """
        return waiting < _MOST_WAITING and size < self.proxy.bufferSize

    def _count(self, datagram: bytes) -> None:
        self.requests += 1
        self.session.taken += len(datagram)

    def connected(self) -> None:
        """
        There is a socket: send what has waited for it.

        nginx: C{ngx_stream_proxy_init_upstream()}
        """
        session, proxy, connection = self.session, self.proxy, self.connection
        assert connection is not None
        datagram, session.early = session.early, b""
        if proxy.datagramHeader is not None:
            datagram = proxy.datagramHeader(session) + datagram
        session.action = "proxying connection"
        transport = self._transport = cast("Any", connection.transport)
        transport.failed = self._failed
        transport.drained = self._check
        connection.dataReceived = self._answered
        connection.deadline.expired = self._timedOut
        if proxy.limitsRates:
            self._up = self._pace(proxy.uploadRate(session), self._setTimeout)
            self._down = self._pace(proxy.downloadRate(session), self._readOn)
        transport.resumeProducing()
        transport.write(datagram)
        while self._early and self.connection is not None:
            transport.write(self._early.popleft())
        if self.connection is not None:
            self._check()

    def _answered(self, datagram: bytes) -> None:
        """
        The server has sent one.
        """
        self.responses += 1
        if self.responses == 1:
            self.firstByte()
        session = self.session
        if not session.send(datagram, "proxying and sending to client"):
            self.finalize(OK)
            return
        down = self._down
        if down is not None:
            down.passed(len(datagram))
            self._keepPace(down)
        self._check()

    def _failed(self, syscall: str, number: int) -> None:
        """
        The server's socket has an error.  One of reading stands for an answer; one of
        writing ends the session.
        """
        session = self.session
        self._hasFailed = True
        session.action = _ACTIONS[syscall]
        level = "error" if number in REMOTE_ERRORS else "alert"
        session.logError(level, f"{syscall}() failed", number)
        session.action = "proxying connection"
        if syscall != "recv":
            self.finalize(OK)
            return
        self.responses += 1
        if self.responses == 1:
            self.firstByte()
        self._check()

    # ---- rates ----------------------------------------------------------------------

    def _pace(self, rate: int, awake: Callable[[], None]) -> Pace | None:
        if not rate:
            return None
        proxy = self.proxy
        deadlines = self.session.served.deadlines
        return Pace(rate, self.began, proxy.seconds, deadlines, awake)

    def _keepPace(self, down: Pace) -> None:
        """
        Read the server now, or not.
        """
        if down.mayPass(self._transport.bytesReceived):
            self._transport.resumeProducing()
        else:
            self._transport.pauseProducing()

    def _readOn(self) -> None:
        """
        The server was not read for a while.
        """
        assert self._down is not None
        self._keepPace(self._down)
        self._setTimeout()

    # ---- the end --------------------------------------------------------------------

    @property
    def _isAnswered(self) -> bool:
        """
        Are there as many answers as are known to come?
        """
        responses = self.proxy.responses
        return responses is not None and self.responses >= responses * self.requests

    def _check(self) -> None:
        """
        Is the session over?

        nginx: C{ngx_stream_proxy_test_finalize()}
        """
        session, proxy = self.session, self.proxy
        isDraining = session.isDraining
        if proxy.requests and not isDraining:
            if self.requests < proxy.requests:
                self._setTimeout()
                return
            session.unbind()
        if isDraining and proxy.responses is None:
            session.logPlainly("info", "disconnected on shutdown")
            self.finalize(OK)
        elif (
            self._isAnswered
            and self.connection is not None
            and not self._transport.pending
        ):
            self._end("udp done")
        else:
            self._setTimeout()

    def drain(self) -> None:
        """
        The client will send no more.  If it is known how many answers are missing, they
        are waited for, else one more.
        """
        if self.proxy.responses is not None:
            self._check()

    def _setTimeout(self) -> None:
        """
        Wait for the next datagram; without end while a direction sleeps.
        """
        if self.connection is None:
            return
        if self._up and self._up.isSleeping or self._down and self._down.isSleeping:
            self.connection.deadline.clear()
        else:
            self.connection.deadline.set(self.proxy.timeout)

    def _timedOut(self) -> None:
        if self.proxy.responses is None or self._isAnswered:
            self._end("udp timed out")
            return
        self._hasFailed = True
        self.session.logError("error", "upstream timed out", errno.ETIMEDOUT)
        self.finalize(502)

    def _end(self, message: str) -> None:
        session = self.session
        if session.server.logsInfo:
            session.logPlainly(
                "info",
                f"{message}, packets from/to client:{self.requests}/{self.responses},"
                f" bytes from/to client:{session.bytesReceived}/{session.bytesSent},"
                f" bytes from/to upstream:{self.bytesReceived}/{self.bytesSent}",
            )
        self.finalize(OK)

    def _next(self) -> None:
        """
        The next server gets the first datagram only.
        """
        self._early.clear()
        self._earlyBytes = 0
        super()._next()

    def finalize(self, status: int, outcome: int = Outcome.OK) -> None:
        """
        Free what is held and end the session.
        """
        for pace in (self._up, self._down):
            if pace is not None:
                pace.stop()
        super().finalize(status, Outcome.FAILED if self._hasFailed else outcome)


class Pace:
    """
    How fast one direction may go.  A datagram is not cut: after one that is too large
    for its time, the direction sleeps.

    @ivar isSleeping: may nothing pass?
    """

    __slots__ = ("_awake", "_begun", "_rate", "_seconds", "_sleep", "isSleeping")

    def __init__(
        self,
        rate: int,
        begun: float,
        seconds: Callable[[], float],
        deadlines: Deadlines,
        awake: Callable[[], None],
    ) -> None:
        """
        @param rate: bytes per second.
        @param begun: since when they count, by C{seconds}.
        @param awake: called after a sleep.
        """
        self._rate = rate
        self._begun = int(begun)
        self._seconds = seconds
        self._awake = awake
        self._sleep = deadlines.new(self._woken)
        self.isSleeping = False

    def mayPass(self, count: int) -> bool:
        """
        May the next datagram pass?

        @param count: bytes that have passed.
        """
        if self.isSleeping:
            return False
        rate = self._rate
        limit = rate * (int(self._seconds()) - self._begun + 1) - count
        if limit > 0:
            return True
        self._sleepFor(-limit * 1000 // rate + 1)
        return False

    def passed(self, size: int) -> None:
        """
        A datagram has passed.
        """
        delay = size * 1000 // self._rate
        if delay:
            self._sleepFor(delay)

    def stop(self) -> None:
        """
        Never wake up.
        """
        self._sleep.drop()

    def _sleepFor(self, milliseconds: int) -> None:
        self.isSleeping = True
        self._sleep.set(milliseconds / 1000)

    def _woken(self) -> None:
        self.isSleeping = False
        self._awake()
