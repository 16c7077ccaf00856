"""
One connection to one server.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
)
from zope.interface import implementer

from ..interfaces import IPeerConnection

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from ..net.deadline import Deadline, Deadlines
    from ..net.transport import SocketTransport
    from .keepalive import KeepaliveCache


def _nobody(reason: BaseException | None) -> None:
    """
    Who is told of the end of a connection that was closed here.
    """


def _ignored(data: bytes) -> None:
    """
    Takes what arrives after a connection was closed here.
    """


@implementer(IProtocol, IHalfCloseableProtocol, IPeerConnection)
class UpstreamProtocol:
    """
    A connection to a server, owned by one request at a time or by a cache.

    The owner takes over by assigning C{dataReceived}, C{ended} and
    C{deadline.expired}: that is the whole change of state, with no call between the
    transport and whoever owns the connection.

    @ivar dataReceived: takes the next bytes.
    @ivar ended: told once that no more come: C{None} for a clean end, or the error.
    @ivar deadline: the one time-out of this connection.
    @ivar requests: how many requests it served, the current one included.
    @ivar made: when it was opened, in seconds.
    @ivar number: C{$connection}.
    @ivar identity: who it is with, other than an address; C{None}: anybody there.
    """

    __slots__ = (
        "_cache",
        "dataReceived",
        "deadline",
        "ended",
        "factory",
        "identity",
        "made",
        "number",
        "requests",
        "transport",
    )

    transport: SocketTransport

    def __init__(self, deadline: Deadline, made: float, number: int) -> None:
        self.deadline = deadline
        self.made = made
        self.number = number
        self.requests = 0
        self.identity: Hashable = None
        self.dataReceived: Callable[[bytes], None] = _ignored
        self.ended: Callable[[BaseException | None], None] = _nobody
        self._cache: KeepaliveCache[UpstreamProtocol] | None = None

    def makeConnection(self, transport: Any) -> None:
        """
        The connection is open.
        """
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """
        Whoever dialled goes on.
        """

    def write(self, data: bytes) -> None:
        """
        Send C{data} now, or as soon as the other side takes it.
        """
        self.transport.write(data)

    def rest(self, cache: KeepaliveCache[UpstreamProtocol]) -> None:
        """
        C{cache} owns the connection: whatever happens to it now ends it.
        """
        self._cache = cache
        self.dataReceived = self.ended = self._dropped
        deadline = self.deadline
        deadline.clear()
        # It would keep the last request, with all that came, as long as it is here.
        deadline.expired = _noTime

    def _dropped(self, event: object) -> None:
        assert self._cache is not None
        self._cache.drop(self)

    def close(self) -> None:
        """
        Close it; C{ended} is not told.  What was not sent yet never will be.
        """
        self.ended = _nobody
        self.dataReceived = _ignored
        self.deadline.drop()
        self.transport.drained = None
        if self.transport.pending:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def readConnectionLost(self) -> None:
        """
        The server has ended its output.
        """
        ended, self.ended = self.ended, _nobody
        ended(None)

    def writeConnectionLost(self) -> None:
        """
        We have ended ours: the relay of an upgraded connection does.
        """

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        ended, self.ended = self.ended, _nobody
        ended(reason.value)
        self.deadline.drop()


@implementer(IProtocolFactory)
class UpstreamFactory:
    """
    Makes the protocols of connections to servers.
    """

    noisy = False

    def __init__(
        self,
        deadlines: Deadlines,
        seconds: Callable[[], float],
        nextNumber: Callable[[], int],
    ) -> None:
        """
        @param seconds: the current time.
        @param nextNumber: numbers connections, clients' and servers' alike.
        """
        self._deadlines = deadlines
        self._seconds = seconds
        self._nextNumber = nextNumber

    def doStart(self) -> None:
        """
        Part of C{IProtocolFactory}: nothing to start.
        """

    def doStop(self) -> None:
        """
        Part of C{IProtocolFactory}: nothing to stop.
        """

    def buildProtocol(self, addr: object = None) -> UpstreamProtocol:
        """
        The protocol for a new connection.
        """
        return UpstreamProtocol(
            self._deadlines.new(_noTime), self._seconds(), self._nextNumber()
        )


def _noTime() -> None:
    """
    What the deadline of a connection without an owner does.
    """
