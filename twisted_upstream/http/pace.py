"""
A response that is sent no faster than C{limit_rate} says.

nginx: C{ngx_http_write_filter()}
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..net.deadline import Deadlines

#: So much goes out at a time at the most.
_MOST = 2 * 1024 * 1024


class Pace:
    """
    What waits for its time.

    @ivar waiting: bytes.
    @ivar drained: called once when nothing waits any more.
    """

    __slots__ = (
        "_after",
        "_begun",
        "_deadline",
        "_parts",
        "_rate",
        "_reply",
        "_seconds",
        "_sent",
        "drained",
        "waiting",
    )

    def __init__(
        self,
        reply: Any,
        rate: int,
        after: int,
        seconds: Callable[[], float],
        deadlines: Deadlines,
    ) -> None:
        """
        @param rate: bytes per second.
        @param after: bytes that are not limited.
        """
        self._reply = reply
        self._rate = rate
        self._after = after
        self._seconds = seconds
        self._begun = int(seconds())
        self._sent = 0
        self._parts: deque[bytes | memoryview | tuple[int, int, int]] = deque()
        self._deadline = deadlines.new(self._send)
        self.waiting = 0
        self.drained: Callable[[], None] | None = None

    def begin(self, head: bytes, body: bytes) -> None:
        """
        Bytes to send: the response's head, which counts, too, and what is there of the
        body.
        """
        if head:
            self._parts.append(head)
        if body:
            self._parts.append(memoryview(body))
        self.waiting += len(head) + len(body)
        self._send()

    def add(self, data: bytes) -> None:
        """
        Bytes of the body to send.
        """
        self._parts.append(memoryview(data))
        self.waiting += len(data)
        if not self._deadline.active:
            self._send()

    def addRegion(self, fd: int, offset: int, count: int) -> None:
        """
        A part of a file to send.
        """
        self._parts.append((fd, offset, count))
        self.waiting += count
        if not self._deadline.active:
            self._send()

    def _send(self) -> None:
        transport = self._reply.connection.transport
        if transport.pending:
            # The network is slower than the limit.
            self._deadline.set(0.05)
            return
        rate = self._rate
        elapsed = int(self._seconds()) - self._begun + 1
        allowed = rate * elapsed - max(0, self._sent - self._after)
        if self._sent < self._after:
            allowed += self._after - self._sent
        if allowed <= 0:
            self._deadline.set(-allowed / rate + 0.001)
            return
        before = self._sent
        while self._parts and allowed > 0:
            size = min(allowed, _MOST)
            part = self._parts.popleft()
            if isinstance(part, tuple):
                fd, offset, count = part
                if count > size:
                    self._parts.appendleft((fd, offset + size, count - size))
                    count = size
                self._reply.writeRegion(fd, offset, count)
            else:
                if len(part) > size:
                    self._parts.appendleft(part[size:])
                    part = part[:size]
                count = len(part)
                if isinstance(part, bytes):
                    # The head has no frames.
                    transport.write(part)
                else:
                    self._reply.writeBody(bytes(part))
            allowed -= count
            self._sent += count
            self.waiting -= count
        excess = self._sent - max(before, self._after)
        if self.waiting:
            self._deadline.set(max(excess, 1) / rate)
            return
        drained, self.drained = self.drained, None
        if excess > 0 and drained is None:
            # What comes next must wait for its time, too.
            self._deadline.set(excess / rate)
        elif drained is not None:
            drained()

    def stop(self) -> None:
        """
        Forget what waits.
        """
        self._deadline.drop()
        self._parts.clear()
        self.waiting = 0
