"""
What changes the bodies of responses on their way to the client.

Filters stand in a row: each takes what the one before it puts, and puts what comes out
into the next, the last one into the reply.  A filter that waits, for the client or for
something else, holds up those before it, and in the end the server or file that the
response comes from.

nginx: C{ngx_http_top_body_filter()} and what it calls
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..wire.head import ResponseHead

#: Bytes, in and out, after which a filter lets others have their turn.
_TURN = 1024 * 1024
#: So much of a file is read at a time.
_PIECE = 65536

#: How a body ends: not yet, well, or too early.
_OPEN, _WHOLE, _CUT = range(3)


class BrokenBody(Exception):
    """
    A body cannot be filtered; its text is what the error log says.
    """


class BodyFilter:
    """
    One response whose body is changed on its way.

    @ivar next: takes what comes out: the next filter, or the reply.
    @ivar waiting: is there something that did not come out yet?
    @ivar drained: called once when there is nothing any more.
    """

    __slots__ = ("_ending", "_most", "_parts", "_reply", "drained", "next", "waiting")

    def __init__(self, reply: Any, most: int) -> None:
        """
        @param reply: whose body it is.
        @param most: bytes that may wait for the client.
        """
        self._reply: Any = reply
        self.next: Any = reply
        self._most = most
        self._parts: deque[bytes | tuple[int, int, int]] = deque()
        self._ending = _OPEN
        self.waiting = False
        self.drained: Callable[[], None] | None = None

    # ---- for each kind of filter ----------------------------------------------------

    def step(self, data: bytes) -> bytes:
        """
        Change some of the body.

        @param data: what could not be dealt with goes back with L{putBack}.
        @raise BrokenBody: it cannot be changed.
        """
        raise NotImplementedError

    def pause(self) -> bytes:
        """
        Nothing waits any more, for now: what is to be sent ahead?
        """
        return b""

    def finish(self) -> bytes:
        """
        The body is complete: what is left?

        @raise BrokenBody: it is not complete.
        """
        return b""

    def putBack(self, data: bytes) -> None:
        """
        Let C{data} come again, before anything else.
        """
        self._parts.appendleft(data)

    # ---- what comes in --------------------------------------------------------------

    def canPut(self, highWater: int) -> bool:
        """
        Is more welcome?
        """
        return not self.waiting and bool(self.next.canPut(highWater))

    def whenPut(self, callback: Callable[[], None]) -> None:
        """
        Call C{callback}, once, when everything has gone on.
        """
        if self.waiting:
            self.drained = callback
        else:
            self.next.whenPut(callback)

    def putBody(self, data: bytes) -> None:
        """
        More of the body.
        """
        self._parts.append(data)
        self._begin()

    def putRegion(self, fd: int, offset: int, count: int) -> None:
        """
        More of it, from a file.
        """
        self._parts.append((fd, offset, count))
        self._begin()

    def putEnd(self) -> None:
        """
        It is complete.
        """
        self._ending = _WHOLE
        self._begin()

    def putCut(self) -> None:
        """
        It will not be completed.
        """
        self._ending = _CUT
        self._begin()

    def stop(self) -> None:
        """
        Forget what waits; nothing comes out any more.
        """
        self._reply = None
        self._parts.clear()
        self.waiting = False
        self.drained = None

    # ---- what comes out -------------------------------------------------------------

    def _begin(self) -> None:
        if not self.waiting and self._reply is not None:
            self.waiting = True
            self._go()

    def _go(self) -> None:
        """
        Go on until the client has enough, or nothing is left.
        """
        following, parts = self.next, self._parts
        left = _TURN
        try:
            while self.waiting and parts:
                if left <= 0 or not following.canPut(self._most):
                    following.whenPut(self._go)
                    return
                data = self._take()
                out = self.step(data)
                left -= len(data) + len(out)
                if out:
                    following.putBody(out)
            if not self.waiting:
                return
            self.waiting = False
            out = self.finish() if self._ending == _WHOLE else self.pause()
        except BrokenBody as e:
            self._broken(str(e))
            return
        except OSError as e:
            self._broken(f"pread() failed ({e.errno}: {e.strerror})")
            return
        if out:
            following.putBody(out)
        if self._ending == _WHOLE:
            following.putEnd()
        elif self._ending == _CUT:
            following.putCut()
        else:
            drained, self.drained = self.drained, None
            if drained is not None:
                drained()

    def _take(self) -> bytes:
        part = self._parts.popleft()
        if isinstance(part, bytes):
            return part
        fd, offset, count = part
        data = os.pread(fd, min(count, self._most, _PIECE), offset)
        if data and len(data) < count:
            self._parts.appendleft((fd, offset + len(data), count - len(data)))
        return data

    def _broken(self, message: str) -> None:
        reply = self._reply
        self.stop()
        reply.logError("error", message)
        self.next.putCut()


class Chain:
    """
    The filters of one response.

    At first it stands at their end, and lets the head wait for what comes out at once:
    both leave together.

    @ivar first: takes the body.
    """

    __slots__ = (
        "_callback",
        "_collecting",
        "_ending",
        "_filters",
        "_head",
        "_held",
        "_reply",
        "first",
    )

    def __init__(self, reply: Any, filters: Sequence[BodyFilter]) -> None:
        self._reply: Any = reply
        self._filters = filters
        self.first = filters[0]
        self._head: bytes | None = None
        self._held: list[bytes] = []
        self._ending = _OPEN
        self._collecting = True
        self._callback: Callable[[], None] | None = None
        for some, following in zip(filters, [*filters[1:], self], strict=True):
            some.next = following

    def start(self, head: bytes, body: bytes, complete: bool) -> None:
        """
        The body begins.

        @param head: leaves before the first of it that comes out.
        @param complete: that is all of it.
        """
        self._head = head
        if body:
            self.first.putBody(body)
        if complete:
            self.first.putEnd()
        self._collecting = False
        if self._held or self._ending or self._callback or self._reply.flushes:
            self._open()

    def _open(self) -> None:
        head, self._head = self._head, None
        if self._collecting or head is None:
            self._head = head
            return
        reply = self._reply
        self._filters[-1].next = reply
        body = b"".join(self._held)
        self._held.clear()
        reply.sendFirst(head, body, self._ending == _WHOLE)
        callback, self._callback = self._callback, None
        if self._ending == _CUT:
            reply.putCut()
        elif callback is not None:
            reply.whenPut(callback)

    def stop(self) -> None:
        """
        Forget what waits.
        """
        self._callback = None
        for each in self._filters:
            each.stop()

    # ---- while the head waits -------------------------------------------------------

    def canPut(self, highWater: int) -> bool:
        """
        Is more welcome?
        """
        if self._head is None:
            return bool(self._reply.canPut(highWater))
        return sum(map(len, self._held)) <= highWater

    def whenPut(self, callback: Callable[[], None]) -> None:
        """
        Call C{callback}, once, when that has gone.
        """
        if self._collecting:
            self._callback = callback
        else:
            self._reply.whenPut(callback)

    def putBody(self, data: bytes) -> None:
        """
        Some body comes out.
        """
        if self._head is None:
            self._reply.putBody(data)
        else:
            self._held.append(data)
            self._open()

    def putEnd(self) -> None:
        """
        It is complete.
        """
        if self._head is None:
            self._reply.putEnd()
        else:
            self._ending = _WHOLE
            self._open()

    def putCut(self) -> None:
        """
        It will not be completed.
        """
        if self._head is None:
            self._reply.putCut()
        else:
            self._ending = _CUT
            self._open()


class FilterFactory(Protocol):
    """
    One filter as a location wants it.
    """

    def applies(self, request: Any, head: ResponseHead) -> bool:
        """
        Will that response be filtered?
        """

    def begin(self, request: Any, head: ResponseHead) -> BodyFilter | None:
        """
        Edit the head of a response, and filter its body if so.
        """


class Filters:
    """
    The filters of a location, in the order in which they stand.
    """

    __slots__ = ("_factories",)

    def __init__(self, factories: Sequence[FilterFactory]) -> None:
        self._factories = factories

    def apply(self, request: Any, head: ResponseHead) -> bool:
        """
        Will the body be changed, so that no parts of it can be sent?
        """
        return any(each.applies(request, head) for each in self._factories)

    def begin(self, request: Any, head: ResponseHead) -> Chain | None:
        """
        Edit the head of a response, and filter its body if so.
        """
        filters = self.make(request, head)
        return Chain(request, filters) if filters else None

    def make(self, request: Any, head: ResponseHead) -> list[BodyFilter]:
        """
        The same, without a row.
        """
        made = [each.begin(request, head) for each in self._factories]
        return [each for each in made if each is not None]
