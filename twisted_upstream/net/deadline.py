"""
Time-outs that are moved far more often than they fire.

Every connection has a L{Deadline} and sets it anew with each packet; nearly none ever
expires.  So setting is an assignment: the entry that the heap already has is looked at
when its time comes, and pushed again if the deadline has moved meanwhile.  All
deadlines of a L{Deadlines} share one heap and at most one delayed call of the reactor.

nginx: event/ngx_event_timer.c; NGX_TIMER_LAZY_DELAY in event/ngx_event_timer.h
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import TYPE_CHECKING

from twisted.logger import Logger

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Heaps that are shorter are not worth compacting.
_SMALL = 64


class Deadlines:
    """
    The deadlines of one reactor.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: its C{seconds} is looked up here once: replace that function (by
            C{time.monotonic}) before.
        """
        self._clock = clock
        self._seconds: Callable[[], float] = clock.seconds
        # (when to look, ties in order of pushing, whom to look at)
        self._heap: list[tuple[float, int, Deadline]] = []
        self._numbers = count().__next__
        self._compactAt = _SMALL
        self._call: IDelayedCall | None = None
        self._callAt = inf

    def new(self, expired: Callable[[], None]) -> Deadline:
        """
        Make a deadline, not set.

        @param expired: called without arguments when the time is over; the deadline is
            not set then, and may be set again.
        """
        return Deadline(self, expired)

    def stop(self) -> None:
        """
        Forget every deadline and the delayed call.  A deadline that is set later works.
        """
        for _, _, deadline in self._heap:
            deadline._due = deadline._queued = inf
        self._heap.clear()
        self._compactAt = _SMALL
        self._arm()

    def _push(self, deadline: Deadline, due: float) -> None:
        """
        Have C{deadline} looked at when it is C{due}.
        """
        heap = self._heap
        if len(heap) >= self._compactAt:
            self._compact()
        deadline._queued = due
        heappush(heap, (due, self._numbers(), deadline))
        if due < self._callAt:
            self._arm()

    def _compact(self) -> None:
        """
        Drop the entries that nobody waits for.

        Done when the heap has doubled since the last time, so that it costs a constant
        amount per entry, and what is dropped can never be more than half.
        """
        heap = self._heap
        kept = []
        for entry in heap:
            deadline = entry[2]
            if entry[0] != deadline._queued:
                continue  # it was pushed again, to be looked at earlier
            if deadline._due == inf:
                deadline._queued = inf
                continue
            kept.append(entry)
        heap[:] = kept
        heapify(heap)
        self._compactAt = max(_SMALL, 2 * len(heap))

    def _arm(self) -> None:
        """
        Let the delayed call come when the first entry wants to be looked at.
        """
        heap = self._heap
        call = self._call
        if not heap:
            self._callAt = inf
            if call is not None:
                self._call = None
                call.cancel()
            return
        self._callAt = heap[0][0]
        delay = max(0.0, self._callAt - self._seconds())
        if call is None:
            self._call = self._clock.callLater(delay, self._run)
        else:
            call.reset(delay)

    def _run(self) -> None:
        """
        The delayed call: look at all whose time has come.
        """
        self._call = None
        # Nobody needs to arm the call before we are through.
        self._callAt = -inf
        now = self._seconds()
        heap = self._heap
        # Taken out first: one that sets itself to 0 seconds fires next time, not now.
        reached = []
        while heap and heap[0][0] <= now:
            when, _, deadline = heappop(heap)
            if when == deadline._queued:
                deadline._queued = inf
                reached.append(deadline)
        for deadline in reached:
            due = deadline._due
            if due <= now:
                deadline._due = inf
                try:
                    deadline.expired()
                except BaseException:
                    # As the reactor would: the others must not miss their time.
                    self._log.failure("a deadline's callback failed")
            elif due < deadline._queued:
                self._push(deadline, due)
        self._arm()


class Deadline:
    """
    A time-out of one owner.

    Between owner, C{expired} and deadline there is a cycle of references: L{drop}
    breaks it when the owner ends.

    @ivar expired: called when the time is over; may be replaced at any time.
    """

    __slots__ = ("_due", "_now", "_queue", "_queued", "expired")

    def __init__(self, queue: Deadlines, expired: Callable[[], None]) -> None:
        self._queue = queue
        self._now = queue._seconds
        # When it expires; infinite: it does not.
        self._due = inf
        # When the heap's entry will be looked at; infinite: there is none.
        self._queued = inf
        self.expired = expired

    def set(self, seconds: float) -> None:
        """
        Expire after C{seconds} from now, instead of when it would have.
        """
        due = self._due = self._now() + seconds
        if due < self._queued:
            self._queue._push(self, due)

    def clear(self) -> None:
        """
        Do not expire.
        """
        self._due = inf

    def drop(self) -> None:
        """
        Never expire again, and keep nobody alive: the owner is gone.
        """
        self._due = inf
        self.expired = _nobody

    @property
    def active(self) -> bool:
        """
        Is it set, and not expired yet?
        """
        return self._due != inf


def _nobody() -> None:
    """
    What a dropped deadline calls.
    """
