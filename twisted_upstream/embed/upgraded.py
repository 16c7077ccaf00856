"""
A connection of a C{twisted.web} site that has switched protocols, as a relay wants it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer


class _NoDeadline:
    """
    A relay has one time-out for both sides, and it is not here.
    """

    def set(self, seconds: float) -> None:
        """
        Nothing expires.
        """

    def clear(self) -> None:
        """
        Nothing would have.
        """


@implementer(IPushProducer)
class _Sink:
    """
    Is told by the network whether the client takes what was written.
    """

    def __init__(self, transport: UpgradedTransport) -> None:
        self._transport = transport

    def pauseProducing(self) -> None:
        """
        It does not.
        """
        self._transport.pending = 1 << 30

    def resumeProducing(self) -> None:
        """
        It has.
        """
        transport = self._transport
        transport.pending = 0
        if transport.drained is not None:
            transport.drained()

    def stopProducing(self) -> None:
        """
        The connection is lost, which is told elsewhere.
        """


class UpgradedTransport:
    """
    The client's side of a relay.

    @ivar pending: not 0: the client has not taken everything.
    @ivar drained: called when it has.
    """

    #: No pipe can be laid.
    joins = False
    truncated = False

    def __init__(self, network: Any) -> None:
        self.bytesSent = self.bytesReceived = self.pending = 0
        self.drained: Callable[[], None] | None = None
        self._network: Any = network
        network.unregisterProducer()
        network.registerProducer(_Sink(self), True)

    def write(self, data: bytes) -> None:
        """
        Send to the client.
        """
        if self._network is not None:
            self.bytesSent += len(data)
            self._network.write(data)

    def pauseProducing(self) -> None:
        """
        Receive nothing for now.
        """
        if self._network is not None:
            self._network.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Receive again.
        """
        if self._network is not None:
            self._network.resumeProducing()

    def loseWriteConnection(self) -> None:
        """
        Nothing more is sent: a site's connections are not half-closed.
        """
        self.loseConnection()

    def loseConnection(self) -> None:
        """
        Send what is pending, then close.
        """
        if self._network is not None:
            self._network.unregisterProducer()
            self._network.loseConnection()

    def setReadSize(self, least: int, most: int | None = None) -> None:
        """
        The network decides.
        """

    def lost(self) -> None:
        """
        The connection is gone.
        """
        self._network = None
        self.pending = 0


class UpgradedConnection:
    """
    Stands for a client's connection, which it takes over from a site, for good.

    @ivar dataReceived: takes the next bytes; the relay's.
    @ivar ended: told once that no more come.
    @ivar early: what came before there was a relay.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.deadline = _NoDeadline()
        self.early = b"".join(channel._dataBuffer)
        channel._dataBuffer = []
        channel.setTimeout(None)
        self.transport = UpgradedTransport(channel.transport)
        self.dataReceived: Callable[[bytes], None] = _ignored
        self.ended: Callable[[BaseException | None], None] = _ignored
        # What twisted.web.websocket does: there is no public way.
        channel.dataReceived = self._received
        channel.connectionLost = self._lost

    def _received(self, data: bytes) -> None:
        self.transport.bytesReceived += len(data)
        self.dataReceived(data)

    def _lost(self, reason: Failure) -> None:
        self.transport.lost()
        ended, self.ended = self.ended, _ignored
        ended(reason.value)
        # The request, and who waits for its end, are told.
        type(self._channel).connectionLost(self._channel, reason)


def _ignored(event: object) -> None:
    """
    Before and after the relay.
    """
