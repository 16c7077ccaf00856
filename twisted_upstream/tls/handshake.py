"""
Handshakes: so many steps in each of the reactor's turns, and no more.

A step costs up to a millisecond.  Whoever opens a thousand connections at once must not
make those wait that are open already.

nginx: event/ngx_event_openssl.c (ngx_ssl_handshake)
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from . import openssl

if TYPE_CHECKING:
    import socket as sockets

    from OpenSSL import SSL
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from ..net.transport import Reactor, SocketTransport

#: Steps in one turn of the reactor.
MOST_STEPS = 3
#: Seconds: once everything else had as many since the last step, it is another turn.
_PAUSE = 0.0003


class Turns:
    """
    Shares the reactor's time between handshakes and everything else.
    """

    def __init__(self, clock: IReactorTime, most: int = MOST_STEPS) -> None:
        """
        @param clock: its C{seconds} is looked up here once.
        @param most: steps in one turn.
        """
        self._clock = clock
        self._seconds: Callable[[], float] = clock.seconds
        self._most = most
        self._left = most
        # When the last step was over; infinite: it is not.
        self._ended = -inf
        self._waiting: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def take(self, step: Callable[[], None]) -> None:
        """
        Call C{step} now, or in a later turn when this one had its share.

        Only a delayed call tells of another turn, and it costs as much as the rest of
        a step in Python: so there is one only where some have to wait.
        """
        if not self._waiting:
            if self._left <= 0 and self._seconds() - self._ended >= _PAUSE:
                self._left = self._most
            if self._left > 0:
                self._run(step)
                return
        self._waiting.append(step)
        self._schedule()

    def _run(self, step: Callable[[], None]) -> None:
        self._left -= 1
        self._ended = inf
        step()
        self._ended = self._seconds()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._clock.callLater(0, self._next)

    def _next(self) -> None:
        """
        Another turn.
        """
        self._scheduled = False
        self._left = self._most
        waiting = self._waiting
        try:
            for _ in range(min(self._most, len(waiting))):
                self._run(waiting.popleft())
        finally:
            if waiting:
                self._schedule()


class HandshakeFailed(Exception):
    """
    There is no TLS with the other side.

    @ivar message: nginx's words, without the system's reason.
    @ivar errno: of a system call; 0: none.
    """

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message, number)
        self.message = message
        self.errno = number

    def __str__(self) -> str:
        if self.errno:
            return f"{self.message} ({self.errno}: {os.strerror(self.errno)})"
        return self.message


@implementer(IReadWriteDescriptor)
class Handshake:
    """
    One handshake, on a socket that it owns until it is over.

    Subclasses say what happens then.  Whoever ends it in between calls L{stop}.
    """

    _log = Logger()

    #: Does C{handshakeDone} call L{handOver} before anybody else reads?
    handsOver = False

    def __init__(self, sock: sockets.socket, reactor: Reactor, turns: Turns) -> None:
        """
        @param sock: connected and non-blocking.
        """
        # None: somebody else's, or closed.
        self._socket: sockets.socket | None = sock
        self._reactor = reactor
        self._turns = turns
        self._connection: SSL.Connection | None = None
        self._ssl: Any = None
        self._queued = False
        self._reading = False
        self._writing = False

    # ---- for subclasses -------------------------------------------------------------

    def handshakeDone(self, sock: sockets.socket, connection: SSL.Connection) -> None:
        """
        It has succeeded; the socket is the subclass's now.
        """
        raise NotImplementedError

    def handshakeFailed(self, reason: HandshakeFailed) -> None:
        """
        It has failed; the socket is closed.
        """
        raise NotImplementedError

    def begin(self, connection: SSL.Connection) -> None:
        """
        Shake hands.

        @param connection: on the socket, and told which side it is.
        """
        self._connection = connection
        self._ssl = openssl.raw(connection)
        self._turn()

    # ---- steps ----------------------------------------------------------------------

    def _turn(self) -> None:
        if not self._queued:
            self._queued = True
            self._turns.take(self._step)

    def _step(self) -> None:
        self._queued = False
        if self._socket is None:
            return
        try:
            error = openssl.handshake(self._ssl)
            if error == openssl.NONE:
                self._done()
            elif error == openssl.WANT_READ:
                self._watch(True, False)
            elif error == openssl.WANT_WRITE:
                self._watch(False, True)
            else:
                self._broken(error)
        except Exception:
            self._log.failure("a handshake could not go on")
            self.fail(HandshakeFailed("internal error"))

    def _done(self) -> None:
        sock, connection = self._socket, self._connection
        assert sock is not None and connection is not None
        canReplace = self.handsOver and hasattr(self._reactor, "replaceReader")
        if self._writing or not canReplace:
            self.release()
        self._socket = self._connection = self._ssl = None
        try:
            self.handshakeDone(sock, connection)
        finally:
            self._watch(False, False)

    def handOver(self, transport: SocketTransport) -> None:
        """
        Let C{transport}, which has the socket now, read: in our place, where the
        reactor can change its readers without asking the kernel.
        """
        if self._reading:
            self._reading = False
            transport.takePlace(self._reactor)
        transport.resumeProducing()

    def _broken(self, error: int) -> None:
        number = openssl.errno() if error == openssl.SYSCALL else 0
        complaint = openssl.complaint()
        if (
            number
            or complaint.truncated
            or error == openssl.ZERO_RETURN
            or not complaint.text
        ):
            reason = HandshakeFailed("peer closed connection in SSL handshake", number)
        else:
            reason = HandshakeFailed(
                f"SSL_do_handshake() failed (SSL: {complaint.text})"
            )
        self.fail(reason)

    def fail(self, reason: HandshakeFailed) -> None:
        """
        Close the socket and say why.
        """
        if self._socket is not None:
            self._close(self.release())
            self.handshakeFailed(reason)

    def stop(self) -> None:
        """
        Close the socket; nobody is told.
        """
        if self._socket is not None:
            self._close(self.release())

    def _close(self, sock: sockets.socket) -> None:
        # Only after this round's events: one may be there for this descriptor.
        self._reactor.callLater(0, sock.close)
        self._connection = self._ssl = None

    def release(self) -> sockets.socket:
        """
        Give the socket up.
        """
        sock = self._socket
        assert sock is not None
        self._watch(False, False)
        self._socket = None
        return sock

    def _watch(self, reading: bool, writing: bool) -> None:
        reactor = self._reactor
        if reading != self._reading:
            self._reading = reading
            (reactor.addReader if reading else reactor.removeReader)(self)
        if writing != self._writing:
            self._writing = writing
            (reactor.addWriter if writing else reactor.removeWriter)(self)

    # ---- what the reactor calls -----------------------------------------------------

    def doRead(self) -> None:
        """
        There is something to read.
        """
        if self._socket is not None:
            self._turn()

    def doWrite(self) -> None:
        """
        There is room to write.
        """
        if self._socket is not None:
            self._turn()

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor saw an error, or stops.
        """
        self._reading = self._writing = False
        if self._socket is not None:
            if self._ssl is not None:
                # What the other side said before it left may explain it.
                self._step()
            self.fail(HandshakeFailed("peer closed connection in SSL handshake"))

    def fileno(self) -> int:
        """
        The descriptor while it is ours, else -1.
        """
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        """
        Called by the reactor for each event.
        """
        return "tls"
