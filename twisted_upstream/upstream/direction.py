"""
One direction of two joined connections: from a source to a sink, as fast as both can,
or at a rate.

nginx: C{ngx_stream_proxy_process()}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..net.splice import PIPE_SIZE
from ..net.transport import MOST_READ_SIZE, READ_SIZE
from .piped import BULK, PipedInput, canPipe

if TYPE_CHECKING:
    from ..net.deadline import Deadline, Deadlines
    from ..net.splice import Pipes

_NEVER = 1 << 62


class Direction:
    """
    From C{source} to C{sink}.

    @ivar source: a transport.
    @ivar sink: the other one.
    @ivar deadline: set anew whenever anything moves.
    @ivar ended: does nothing more come?
    @ivar blocked: does the source wait for the sink?
    """

    __slots__ = (
        "_bulk",
        "_highWater",
        "_input",
        "blocked",
        "connection",
        "deadline",
        "ended",
        "pipes",
        "sink",
        "source",
        "timeout",
    )

    def __init__(
        self,
        connection: Any,
        sink: Any,
        deadline: Any,
        timeout: float,
        highWater: int,
        pipes: Pipes,
    ) -> None:
        """
        @param connection: the source's owner, whose C{dataReceived} is L{received}.
        @param timeout: seconds.
        @param highWater: bytes that the sink may owe before the source has to wait.
        """
        self.connection = connection
        self.source = connection.transport
        self.sink = sink
        self.deadline = deadline
        self.timeout = timeout
        self._highWater = highWater
        self.pipes = pipes
        self._bulk = BULK
        self._input: PipedInput | None = None
        self.ended = self.blocked = False

    def begin(self) -> None:
        """
        Let bytes come, unless they have to wait.
        """
        if not self.blocked:
            self.source.resumeProducing()

    def received(self, data: bytes) -> None:
        """
        Pass C{data} on; the source waits while the sink owes too much.
        """
        sink = self.sink
        sink.write(data)
        self.deadline.set(self.timeout)
        if sink.pending > self._highWater:
            self._block()
        if len(data) >= self._bulk:
            self._enterPipe()

    def _block(self) -> None:
        self.blocked = True
        self.source.pauseProducing()
        self.sink.drained = self._unblock

    def _unblock(self) -> None:
        """
        The sink has caught up.
        """
        self.sink.drained = None
        self.blocked = False
        self.deadline.set(self.timeout)
        self.begin()

    # ---- in bulk ---------------------------------------------------------------------

    def _enterPipe(self) -> None:
        """
        This is a bulk transfer: let a pipe carry it, if both ends can and one is free.
        """
        if not canPipe(self.source, self.sink):
            self._bulk = _NEVER
            return
        pipe = self.pipes.take()
        if pipe is not None:
            self._input = PipedInput(self.connection, pipe, self.pipeReceived)
            self._setReadSize(PIPE_SIZE)

    def pipeReceived(self, pipe: Any) -> None:
        """
        L{received} when C{pipe} holds the data.
        """
        size = len(pipe)
        self.sink.sendPipe(pipe)
        self.deadline.set(self.timeout)
        if pipe:
            self._block()
        elif size < READ_SIZE:
            # No bulk any more; little is passed on faster without.
            self._leavePipe()

    def _leavePipe(self) -> None:
        """
        Let bytes come as bytes again.
        """
        piped, self._input = self._input, None
        if piped is not None:
            piped.leave()
            self._setReadSize(READ_SIZE, MOST_READ_SIZE)

    def _setReadSize(self, least: int, most: int | None = None) -> None:
        self.source.setReadSize(least, most)

    def end(self) -> None:
        """
        Nothing more comes; what the sink owes remains.
        """
        self.ended = True
        self._leavePipe()

    def stop(self) -> None:
        """
        Let go of everything.
        """
        self.end()
        self.source.pauseProducing()
        self.sink.drained = None


class PacedDirection(Direction):
    """
    A direction that is limited to a rate.
    """

    __slots__ = ("_begun", "_rate", "_seconds", "_size", "_sleep", "_sleeping")

    deadline: WakingDeadline

    def __init__(
        self,
        plain: Direction,
        rate: int,
        begun: float,
        seconds: Callable[[], float],
        deadlines: Deadlines,
    ) -> None:
        """
        @param plain: what it would be without a limit.
        @param rate: bytes per second.
        @param begun: since when they count.
        """
        Direction.__init__(
            self,
            plain.connection,
            plain.sink,
            plain.deadline,
            plain.timeout,
            plain._highWater,
            plain.pipes,
        )
        self._rate = rate
        self._begun = int(begun)
        self._seconds = seconds
        self._sleep = deadlines.new(self._awake)
        # A high rate in small pieces would be all waking up.
        self._size = max(self._highWater, rate >> 6)
        self._sleeping = False

    def begin(self) -> None:
        """
        Let as much come as may by now, or sleep.
        """
        if self.blocked or self._sleeping:
            return
        rate = self._rate
        elapsed = int(self._seconds()) - self._begun + 1
        limit = rate * elapsed - self.source.bytesReceived
        if limit <= 0:
            self._sleepFor(-limit * 1000 // rate + 1)
            return
        self.source.setReadSize(min(limit, self._size))
        self.source.resumeProducing()

    def received(self, data: bytes) -> None:
        """
        Pass C{data} on, and sleep for the time that it may take.
        """
        size = len(data)
        Direction.received(self, data)
        self._received(size)

    def pipeReceived(self, pipe: Any) -> None:
        """
        The same through a pipe.
        """
        size = len(pipe)
        Direction.pipeReceived(self, pipe)
        self._received(size)

    def _received(self, size: int) -> None:
        delay = size * 1000 // self._rate
        if delay:
            self._sleepFor(delay)
        else:
            self.begin()

    def _sleepFor(self, milliseconds: int) -> None:
        self._sleeping = True
        self.source.pauseProducing()
        self.deadline.sleep()
        self._sleep.set(milliseconds / 1000)

    def _awake(self) -> None:
        self._sleeping = False
        self.deadline.wake(self.timeout)
        self.begin()

    def _setReadSize(self, least: int, most: int | None = None) -> None:
        """
        The rate says it.
        """

    def end(self) -> None:
        """
        Nothing more comes, and there is nothing to wait for.
        """
        Direction.end(self)
        if self._sleeping:
            self._sleep.clear()
            self._sleeping = False
            self.deadline.wake(self.timeout)

    def stop(self) -> None:
        """
        Let go of everything.
        """
        Direction.stop(self)
        self._sleep.drop()


class WakingDeadline:
    """
    A time-out that is not set while one of its users sleeps.
    """

    __slots__ = ("_deadline", "_sleeping")

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._sleeping = 0

    @property
    def expired(self) -> Callable[[], None]:
        """
        Called when the time is over.
        """
        return self._deadline.expired

    @expired.setter
    def expired(self, expired: Callable[[], None]) -> None:
        self._deadline.expired = expired

    def set(self, seconds: float) -> None:
        """
        Expire after C{seconds}, if nobody sleeps.
        """
        if not self._sleeping:
            self._deadline.set(seconds)

    def clear(self) -> None:
        """
        Do not expire.
        """
        self._deadline.clear()

    def sleep(self) -> None:
        """
        One sleeps.
        """
        self._sleeping += 1
        self._deadline.clear()

    def wake(self, seconds: float) -> None:
        """
        One sleeps no more: expire after C{seconds} if it was the last.
        """
        self._sleeping -= 1
        self.set(seconds)
