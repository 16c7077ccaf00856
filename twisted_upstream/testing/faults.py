"""
What may go wrong with a server, each by a class that says how.

A fault changes the plan of what a server is about to do: of being connected to, or of
a response.  A fault of your own is a subclass that overrides L{Fault.onConnect} or
L{Fault.onResponse}.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from .messages import answer

_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.I)


@dataclass
class ConnectPlan:
    """
    What becomes of a connection that somebody wants to make.

    @ivar isRefused: it is refused.
    @ivar delay: seconds until it is accepted or refused; C{None}: there is no answer.
    """

    isRefused: bool = False
    delay: float | None = 0.0


@dataclass
class ResponsePlan:
    """
    What is sent for one request.

    @ivar data: head and body.
    @ivar delay: seconds until it begins; C{None}: it never does.
    @ivar bytesPerSecond: how fast it is sent; C{None}: at once.
    @ivar isLast: the connection is closed afterwards.
    @ivar isReset: it is closed by a reset.
    """

    data: bytes
    delay: float | None = 0.0
    bytesPerSecond: float | None = None
    isLast: bool = False
    isReset: bool = False


class Fault:
    """
    Something that goes wrong.  This one does not.

    @ivar closes: are connections that are open closed when it begins?
    """

    closes = False

    def onConnect(self, plan: ConnectPlan, random: Random) -> None:
        """
        Somebody connects.

        @param random: the world's chance.
        """

    def onResponse(self, plan: ResponsePlan, random: Random) -> None:
        """
        A request is about to be answered.
        """


@dataclass(frozen=True)
class Refuse(Fault):
    """
    The server is not there: connections are refused, and those that are open are closed
    when it begins.

    @ivar closes: C{False}: those that are open stay.
    """

    closes: bool = True

    def onConnect(self, plan: ConnectPlan, random: Random) -> None:
        """
        Refuse.
        """
        plan.isRefused = True


@dataclass(frozen=True)
class Unreachable(Fault):
    """
    Connections are never answered: C{proxy_connect_timeout} ends the attempt.
    """

    def onConnect(self, plan: ConnectPlan, random: Random) -> None:
        """
        Do not answer.
        """
        plan.delay = None


@dataclass(frozen=True)
class SlowConnect(Fault):
    """
    Connections take so many seconds.
    """

    seconds: float

    def onConnect(self, plan: ConnectPlan, random: Random) -> None:
        """
        Take longer.
        """
        if plan.delay is not None:
            plan.delay += self.seconds


@dataclass(frozen=True)
class Hang(Fault):
    """
    Connections and requests are accepted and never answered: C{proxy_read_timeout}
    ends the attempt.
    """

    def onResponse(self, plan: ResponsePlan, random: Random) -> None:
        """
        Do not answer.
        """
        plan.delay = None


@dataclass(frozen=True)
class Delay(Fault):
    """
    Responses begin so many seconds later.
    """

    seconds: float

    def onResponse(self, plan: ResponsePlan, random: Random) -> None:
        """
        Begin later.
        """
        if plan.delay is not None:
            plan.delay += self.seconds


@dataclass(frozen=True)
class Slow(Fault):
    """
    Responses are sent at so many bytes per second.
    """

    bytesPerSecond: float

    def __post_init__(self) -> None:
        if not self.bytesPerSecond > 0:
            raise ValueError("bytesPerSecond must be more than 0")

    def onResponse(self, plan: ResponsePlan, random: Random) -> None:
        """
        Send slowly.
        """
        plan.bytesPerSecond = self.bytesPerSecond


@dataclass(frozen=True)
class Cut(Fault):
    """
    The connection is closed after so many bytes of the response, its head included.

    @ivar reset: by a reset.
    """

    after: int
    reset: bool = False

    def onResponse(self, plan: ResponsePlan, random: Random) -> None:
        """
        Send only the beginning.
        """
        plan.data = plan.data[: self.after]
        plan.isLast = True
        plan.isReset = self.reset


@dataclass(frozen=True)
class WrongLength(Fault):
    """
    Content-Length says so many bytes more than there are, or less.
    """

    by: int

    def onResponse(self, plan: ResponsePlan, random: Random) -> None:
        """
        Lie about the length.
        """

        def lie(found: re.Match[bytes]) -> bytes:
            return b"\r\nContent-Length: %d" % max(0, int(found[1]) + self.by)

        head, end, body = plan.data.partition(b"\r\n\r\n")
        plan.data = _LENGTH.sub(lie, head) + end + body
        plan.isLast = True


@dataclass(frozen=True)
class Garbage(Fault):
    """
    Something that is no HTTP comes instead of a response, and the connection is closed.

    @ivar data: that something; empty: up to 200 bytes by chance.
    """

    data: bytes = b""

    def onResponse(self, plan: ResponsePlan, random: Random) -> None:
        """
        Send nonsense.
        """
        # A first byte that no status line has, or it might happen to be none.
        plan.data = self.data or b"\0" + random.randbytes(random.randint(1, 199))
        plan.isLast = True


@dataclass(frozen=True)
class Status(Fault):
    """
    Responses have this status.
    """

    status: int

    def onResponse(self, plan: ResponsePlan, random: Random) -> None:
        """
        Answer otherwise.
        """
        plan.data = answer(b"", status=f"{self.status} Injected")
