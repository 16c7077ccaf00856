"""
Listening sockets: opened, adopted from another process, changed while they live.

nginx: core/ngx_connection.c (ngx_set_inherited_sockets), event/ngx_event_accept.c
(ngx_event_accept)
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from .bound import BoundSocket, ListenError, ListenOptions, bindSocket
from .sockaddr import Sockaddr, sockaddrName

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

    from .transport import Reactor

#: How long nobody accepts after descriptors ran out: nginx's accept_mutex_delay.
EXHAUSTED_DELAY = 0.5

# Accepted sockets inherit the listener's options there: one system call less for each.
_INHERITS = sys.platform == "linux"
_STREAM = int(socket.SOCK_STREAM)
_ACCEPT = "accept4() failed" if sys.platform == "linux" else "accept() failed"


_DEFAULTS = ListenOptions()


class Listeners:
    """
    The listening sockets of one reactor.

    @ivar acceptLimit: connections that a listener accepts at one wake-up.  With 1, as
        with nginx's C{multi_accept off}, workers share bursts evenly; a process that
        is alone saves a round of the reactor per connection with more.
    """

    _log = Logger()

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.acceptLimit = 1
        self._started: set[Listener] = set()
        self._exhausted: IDelayedCall | None = None
        self._complained = False

    def open(self, sockaddr: Sockaddr, options: ListenOptions = _DEFAULTS) -> Listener:
        """
        Open a socket that listens, and does not accept before L{Listener.start}.

        A unix socket whose file exists is in use, even if nobody listens: as in nginx,
        who wants to take it over has to delete the file.

        @raise ListenError: C{bind() to 127.0.0.1:80 failed (98: Address already in
            use)}.
        """
        sock = bindSocket(sockaddr, socket.SOCK_STREAM, options)
        try:
            sock.listen(options.backlog)
        except OSError as error:
            sock.close()
            if isinstance(sockaddr, str):
                os.unlink(sockaddr)
            raise ListenError(
                f"listen() to {sockaddrName(sockaddr)}, backlog {options.backlog}"
                " failed",
                error.errno or 0,
            ) from None
        listener = Listener(self, sock, self._reactor)
        listener.configure(options)
        return listener

    def adopt(self, fd: int) -> Listener:
        """
        Take over a listening socket of another process.

        @param fd: belongs to the listener from now on, unless this raises.
        @raise ListenError: it is not a stream socket.
        """
        try:
            sock = socket.socket(fileno=fd)
        except OSError as error:
            raise ListenError(
                f"getsockname() of the inherited socket #{fd} failed", error.errno or 0
            ) from None
        if sock.type != socket.SOCK_STREAM:
            sock.detach()
            raise ListenError(
                f"the inherited socket #{fd} is not a stream socket", errno.EINVAL
            )
        os.set_inheritable(fd, False)
        return Listener(self, sock, self._reactor)

    def stopAll(self) -> None:
        """
        Accept nowhere any more; the sockets stay open.
        """
        for listener in list(self._started):
            listener.stop()

    def _acceptFailed(self, error: OSError) -> bool:
        """
        Complain, and decide what to do.

        @return: may the next connection be accepted now?
        """
        if error.errno == errno.ECONNABORTED:
            self._log.error(_ACCEPT, errno=error.errno)
            return True
        level = "crit" if error.errno in (errno.EMFILE, errno.ENFILE) else "alert"
        # Every half second is too often for the same alarm.
        self._log.critical(
            _ACCEPT,
            nginxLevel="error" if self._complained else level,
            errno=error.errno,
        )
        self._complained = True
        # Whatever it is, it would be found again at once: the clients wait in the
        # kernel's queue, while connections that end make room.
        for listener in self._started:
            self._reactor.removeReader(listener)
        self._exhausted = self._reactor.callLater(EXHAUSTED_DELAY, self._tryAgain)
        return False

    def _tryAgain(self) -> None:
        """
        The delay is over.
        """
        self._exhausted = None
        for listener in self._started:
            self._reactor.addReader(listener)

    def _start(self, listener: Listener) -> None:
        """
        Let C{listener} be told of connections.
        """
        self._started.add(listener)
        if self._exhausted is None:
            self._reactor.addReader(listener)

    def _stop(self, listener: Listener) -> None:
        """
        Let it not be told any more.
        """
        if listener in self._started:
            self._started.remove(listener)
            self._reactor.removeReader(listener)
        if not self._started and self._exhausted is not None:
            self._exhausted.cancel()
            self._exhausted = None


@implementer(IReadDescriptor)
class Listener(BoundSocket):
    """
    One listening socket.

    @ivar accepted: called with each connected, non-blocking socket and its peer's
        address.  A new configuration replaces it; the socket stays.
    """

    def __init__(
        self, listeners: Listeners, sock: socket.socket, reactor: Reactor
    ) -> None:
        super().__init__(sock, reactor)
        self._listeners = listeners
        self.accepted: Callable[[socket.socket, Sockaddr], None] = _refuse
        self._isTCP = isinstance(self.sockaddr, tuple)
        if self._isTCP and _INHERITS:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _watch(self) -> None:
        self._listeners._start(self)

    def _unwatch(self) -> None:
        self._listeners._stop(self)

    def configure(self, options: ListenOptions) -> None:
        """
        Apply the options of a new configuration to the living socket.
        """
        super().configure(options)
        try:
            self._socket.listen(options.backlog)
        except OSError as error:
            self._log.critical(
                "listen() to {name}, backlog {backlog} failed, ignored",
                nginxLevel="alert",
                name=self.name,
                backlog=options.backlog,
                errno=error.errno,
            )
        if self._isTCP and hasattr(socket, "TCP_DEFER_ACCEPT"):
            # In seconds: how long a silent client stays with the kernel.
            deferred = int(options.deferred)
            self._setOption("TCP_DEFER_ACCEPT", socket.IPPROTO_TCP, deferred)

    def doRead(self) -> None:
        """
        Accept.  Called by the reactor.
        """
        listeners = self._listeners
        accept = self._socket._accept  # type: ignore[attr-defined]
        for _ in range(listeners.acceptLimit):
            # An event may be under way already when all listeners stop.
            if not self._started or listeners._exhausted is not None:
                return
            try:
                # What socket.accept() does, but for looking the names of the family and
                # the kind up each time, which takes longer than the system call.
                fd, peerName = accept()
            except BlockingIOError:
                return
            except OSError as error:
                if listeners._acceptFailed(error):
                    continue
                return
            listeners._complained = False
            sock = socket.socket(self._family, _STREAM, 0, fd)
            try:
                sock.setblocking(False)
                if self._isTCP and not _INHERITS:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.accepted(sock, peerName)
            except Exception:
                self._log.failure("a connection could not be taken")
                sock.close()

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor stops, or somebody has shut the socket down.
        """
        self._listeners._started.discard(self)
        super().connectionLost(reason)


def _refuse(sock: socket.socket, peerName: Sockaddr) -> None:
    """
    What a listener does with connections before somebody takes them.
    """
    sock.close()
