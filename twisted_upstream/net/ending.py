"""
The ends of a connected socket: closed when all is sent, ended in one direction,
aborted, failed; and what its protocol is told of that.

The socket is closed, and the protocol told, by the reactor's next round where the end
comes from inside a call of the protocol's.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from .sending import SendingSocket
from .sendqueue import TransportFailed

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IProtocol

    from .sockaddr import Sockaddr
    from .transport import Reactor

#: Seconds that a closing connection may take nothing of what is still to be sent.
CLOSING_TIMEOUT = 60.0

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
#: The reason of a clean end.
DONE = Failure(ConnectionDone())
_aborted = Failure(ConnectionAborted())
# What each reactor's next round finishes: one delayed call for all.
_ending: dict[Reactor, list[tuple[EndingSocket, Failure]]] = {}


def _finishAll(reactor: Reactor) -> None:
    """
    Close the sockets of all that have ended since the last round.
    """
    for transport, reason in _ending.pop(reactor):
        transport._finish(reason)


class EndingSocket(SendingSocket):
    """
    A connected stream socket as far as its output and its ends go.
    """

    __slots__ = (
        "_closingCall",
        "_halfCloses",
        "_protocol",
        "_readEnded",
        "_reading",
        "_watchedRead",
    )

    _log = Logger()

    def __init__(
        self, sock: socket.socket, reactor: Reactor, peerName: Sockaddr | None
    ) -> None:
        SendingSocket.__init__(self, sock, reactor, peerName)
        # What the protocol wants, and what the reactor was told.
        self._reading = False
        self._watchedRead = False
        self._readEnded = False
        self._closingCall: IDelayedCall | None = None
        self._halfCloses = False
        self._protocol: IProtocol | None = None

    @property
    def protocol(self) -> IProtocol | None:
        """
        Who receives; C{None} after C{connectionLost}.  Another may take over any time.
        """
        return self._protocol

    @protocol.setter
    def protocol(self, protocol: IProtocol) -> None:
        self._protocol = protocol
        self._halfCloses = IHalfCloseableProtocol.providedBy(protocol)

    def loseConnection(self) -> None:
        """
        Send what waits, then close.  Nothing is received any more.

        C{connectionLost} is told later, never from here.  A peer that reads nothing
        for C{CLOSING_TIMEOUT} loses the rest.
        """
        if not self._open or self._closing:
            return
        self.sendTogether()
        self._reading = False
        if self._queue is None and self._producer is None and self._error is None:
            self._closeLater(DONE)
            return
        self._closing = True
        self._unwatchRead()
        self._watchWrite()
        self._awaitProgress()

    def _awaitProgress(self) -> None:
        """
        Give a closing connection up unless it takes something in time.
        """
        self._closingCall = self._reactor.callLater(
            CLOSING_TIMEOUT, self._closingTimedOut, self.bytesSent
        )

    def _closingTimedOut(self, before: int) -> None:
        self._closingCall = None
        if self._producer is not None or self.bytesSent != before:
            self._awaitProgress()
        else:
            self.abortConnection()

    def abortConnection(self) -> None:
        """
        Close without sending what waits; the other side sees a reset.
        """
        if self._open:
            self._resetOnClose()
            self._closeLater(_aborted)

    def loseWriteConnection(self) -> None:
        """
        Send what waits, then end our output; the other side can go on.
        """
        if not self._open or self._writeEnding or self._closing:
            return
        self.sendTogether()
        self._writeEnding = True
        self._writable = False
        if self.tls is not None and self._queue is None and self._error is None:
            # Before the other side does: who was told of an end first does not answer.
            self.tls.sayEnd()
        # The protocol is told of the end, so this waits for the reactor, too.
        self._watchWrite()

    def stopProducing(self) -> None:
        """
        The same as L{loseConnection}.
        """
        self.loseConnection()

    def _endOutput(self) -> None:
        """
        All is sent: tell the other side that no more comes.
        """
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side is gone: reading will notice
        if self._halfCloses:
            self._tell(
                cast("IHalfCloseableProtocol", self._protocol).writeConnectionLost
            )
        if self._open:
            self._closeIfBothEnded()

    def _closeIfBothEnded(self) -> None:
        """
        Nothing can happen any more once both directions have ended.
        """
        if self._readEnded and self._writeEnding and self._queue is None:
            if self._open and not self._watchedWrite:
                self._closeLater(DONE)

    def _resetOnClose(self) -> None:
        """
        Make C{close} send a reset, and nothing before it.
        """
        if self.tls is not None:
            self.tls.silent = True
        try:
            self._socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE
            )
        except OSError:
            pass  # not a socket that can: closing is all we want

    def release(self) -> socket.socket:
        """
        Leave the socket, open, to the caller; the protocol is told nothing.
        """
        self.sendTogether()
        self._detach()
        self._protocol = None
        return self._socket

    def _detach(self) -> None:
        """
        Leave the reactor; nothing of the protocol's is called from here on.
        """
        if self.tls is not None and (
            self._queue is not None or self._error is not None
        ):
            # A clean end would say that all has come; and half a record cannot be
            # followed by another one.
            self.tls.silent = True
        self._open = self._writable = self._reading = False
        self._together = None
        if self._closingCall is not None:
            self._closingCall.cancel()
            self._closingCall = None
        self._unwatchRead()
        self._unwatchWrite()
        self._dropQueue()

    def _closeLater(self, reason: Failure) -> None:
        """
        End, from inside a call of the protocol's.

        The socket is closed by the reactor's next round, too: its number must not be
        reused while the events of this round are still to be handled.
        """
        self._detach()
        ending = _ending.get(self._reactor)
        if ending is None:
            ending = _ending[self._reactor] = []
            self._reactor.callLater(0, _finishAll, self._reactor)
        ending.append((self, reason))

    def _lose(self, reason: Failure) -> None:
        """
        End, from inside an event of our own.
        """
        if self._open:
            self.sendTogether()
            self._detach()
            self._finish(reason)

    def _finish(self, reason: Failure) -> None:
        """
        Close the socket and tell the protocol.
        """
        self._socket.close()
        self.drained = None
        producer, self._producer = self._producer, None
        protocol, self._protocol = self._protocol, None
        try:
            if producer is not None:
                producer.stopProducing()
        except Exception:
            self._log.failure("a producer could not be stopped")
        try:
            if protocol is not None:
                protocol.connectionLost(reason)
        except Exception:
            self._log.failure("connectionLost failed")

    def _fail(self, error: TransportFailed) -> None:
        """
        The connection has failed: end it.
        """
        self._lose(Failure(error))

    def _crashed(self) -> None:
        """
        A callback has raised: log it and end this connection, no other.
        """
        failure = Failure()
        self._log.failure("unhandled error in a protocol", failure=failure)
        self._resetOnClose()
        self._lose(failure)

    def _tell(self, callback: Callable[[], object]) -> None:
        """
        Call somebody who might raise.
        """
        try:
            callback()
        except Exception:
            self._crashed()

    def _watchRead(self) -> None:
        if not self._watchedRead:
            self._watchedRead = True
            self._reactor.addReader(self)

    def _unwatchRead(self) -> None:
        if self._watchedRead:
            self._watchedRead = False
            self._reactor.removeReader(self)
