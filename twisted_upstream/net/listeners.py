"""
Listening sockets: opened, adopted from another process, changed while they live.

They are raw sockets that are shared by processes and outlive configurations: they are
never shut down, and who takes the accepted connections is one replaceable attribute.

nginx: core/ngx_connection.c (ngx_open_listening_sockets,
ngx_configure_listening_sockets, ngx_set_inherited_sockets),
event/ngx_event_accept.c (ngx_event_accept)
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from .sockaddr import Sockaddr, familyOf, sockaddrName

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure

    from .transport import Reactor

#: How long nobody accepts after descriptors ran out: nginx's accept_mutex_delay.
EXHAUSTED_DELAY = 0.5

#: Connections that may wait to be accepted, or fewer if the system permits no more.
#: nginx has 511; here a burst of clients has to wait longer for its turn, and who finds
#: no place comes back only after a second.
BACKLOG = 4096

# Accepted sockets inherit the listener's options there: one system call less for each.
_INHERITS = sys.platform == "linux"
_STREAM = int(socket.SOCK_STREAM)
# Linux's numbers of what PyPy's socket module does not name.
_MISSING = {"TCP_FASTOPEN": 23} if sys.platform == "linux" else {}
_ACCEPT = "accept4() failed" if sys.platform == "linux" else "accept() failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenOptions:
    """
    Parameters of C{listen} that are options of the socket; C{None} and 0: left alone.

    @ivar backlog: connections that may wait to be accepted.
    @ivar reuseport: several sockets may be bound to the address.
    @ivar ipv6only: an IPv6 wildcard does not take IPv4.
    @ivar rcvbuf: bytes.
    @ivar sndbuf: bytes.
    @ivar soKeepalive: does the kernel probe silent clients?
    @ivar keepaliveIdle: seconds of silence before the first probe.
    @ivar keepaliveInterval: seconds between probes.
    @ivar keepaliveCount: unanswered probes that end a connection.
    @ivar deferred: accept when the first data is there (waits a second at most).
    @ivar fastopen: connections that may wait whose handshake is not complete.
    """

    backlog: int = BACKLOG
    reuseport: bool = False
    ipv6only: bool = True
    rcvbuf: int | None = None
    sndbuf: int | None = None
    soKeepalive: bool | None = None
    keepaliveIdle: int = 0
    keepaliveInterval: int = 0
    keepaliveCount: int = 0
    deferred: bool = False
    fastopen: int | None = None


_DEFAULTS = ListenOptions()
_log = Logger()


class ListenError(Exception):
    """
    An address cannot be listened on.

    @ivar message: nginx's words, without the system's reason.
    @ivar errno: of the system call.  C{EADDRINUSE} is worth another try.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message, number)
        self.message = message
        self.errno = number

    def __str__(self) -> str:
        return f"{self.message} ({self.errno}: {os.strerror(self.errno)})"


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
class Listener:
    """
    One listening socket.

    @ivar accepted: called with each connected, non-blocking socket and its peer's
        address.  A new configuration replaces it; the socket stays.
    @ivar sockaddr: what it is bound to, as the kernel tells.
    @ivar name: the same as nginx prints it.
    """

    _log = Logger()

    def __init__(
        self, listeners: Listeners, sock: socket.socket, reactor: Reactor
    ) -> None:
        self._listeners = listeners
        self._socket = sock
        self.sockaddr: Sockaddr = sock.getsockname()
        self.name = sockaddrName(self.sockaddr)
        self.accepted: Callable[[socket.socket, Sockaddr], None] = _refuse
        self._started = False
        sock.setblocking(False)
        self._isTCP = isinstance(self.sockaddr, tuple)
        self._family = familyOf(self.sockaddr)
        if self._isTCP and _INHERITS:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        """
        Accept connections.
        """
        if not self._started:
            self._started = True
            self._listeners._start(self)

    def stop(self) -> None:
        """
        Accept no more; connections wait in the kernel's queue.
        """
        if self._started:
            self._started = False
            self._listeners._stop(self)

    def close(self, *, unlink: bool = False) -> None:
        """
        Close this process's descriptor.  Others that share the socket go on.

        @param unlink: delete a unix socket's file, too.
        """
        self.stop()
        # No shutdown(2): that would end the socket in every process.
        self._socket.close()
        if unlink:
            unlinkSocket(self.sockaddr)

    def configure(self, options: ListenOptions) -> None:
        """
        Apply the options of a new configuration to the living socket.

        An option that is not given any more stays, and so does C{ipv6only}, as in
        nginx.  What fails is logged and ignored.

        nginx: ngx_configure_listening_sockets()
        """
        applyOptions(self._socket, self.name, options)
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
            _set(
                self._socket,
                self.name,
                "TCP_DEFER_ACCEPT",
                socket.IPPROTO_TCP,
                int(options.deferred),
            )

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

    def fileno(self) -> int:
        """
        The descriptor, to hand over to other processes; -1 once closed.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        Called by the reactor for each event.
        """
        return "net"

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor stops, or somebody has shut the socket down.
        """
        self._started = False
        self._listeners._started.discard(self)
        self._socket.close()


def _refuse(sock: socket.socket, peerName: Sockaddr) -> None:
    """
    What a listener does with connections before somebody takes them.
    """
    sock.close()


def bindSocket(sockaddr: Sockaddr, kind: int, options: ListenOptions) -> socket.socket:
    """
    Make a socket of a local address.

    @param kind: C{SOCK_STREAM} or C{SOCK_DGRAM}.
    @raise ListenError: it cannot be made, or not be bound.
    """
    name = sockaddrName(sockaddr)
    family = familyOf(sockaddr)
    try:
        sock = socket.socket(family, kind)
    except OSError as error:
        raise ListenError(f"socket() {name} failed", error.errno or 0) from None
    try:
        _prepare(sock, family, name, options)
        try:
            sock.bind(sockaddr)
        except OSError as error:
            raise ListenError(f"bind() to {name} failed", _number(error)) from None
    except ListenError:
        sock.close()
        raise
    if isinstance(sockaddr, str):
        _openToAll(sockaddr)
    return sock


def applyOptions(sock: socket.socket, name: str, options: ListenOptions) -> None:
    """
    Set the options of a bound socket.  What fails is logged and ignored.

    @param name: its address.
    """
    wanted: list[tuple[str, int, int]] = []
    if options.reuseport:
        # Lets further sockets be bound beside this one.
        wanted.append(("SO_REUSEPORT", socket.SOL_SOCKET, 1))
    if options.rcvbuf is not None:
        wanted.append(("SO_RCVBUF", socket.SOL_SOCKET, options.rcvbuf))
    if options.sndbuf is not None:
        wanted.append(("SO_SNDBUF", socket.SOL_SOCKET, options.sndbuf))
    if options.soKeepalive is not None:
        wanted.append(("SO_KEEPALIVE", socket.SOL_SOCKET, int(options.soKeepalive)))
    for option, value in (
        ("TCP_KEEPIDLE", options.keepaliveIdle),
        ("TCP_KEEPINTVL", options.keepaliveInterval),
        ("TCP_KEEPCNT", options.keepaliveCount),
    ):
        if value:
            wanted.append((option, socket.IPPROTO_TCP, value))
    if options.fastopen is not None:
        wanted.append(("TCP_FASTOPEN", socket.IPPROTO_TCP, options.fastopen))
    for option, level, value in wanted:
        _set(sock, name, option, level, value)


def _set(sock: socket.socket, name: str, option: str, level: int, value: int) -> None:
    """
    Set one option of a socket, if it can be set.
    """
    try:
        number = getattr(socket, option, None) or _MISSING[option]
        sock.setsockopt(level, number, value)
    except (OSError, KeyError) as error:
        number = error.errno if isinstance(error, OSError) else errno.ENOPROTOOPT
        _log.critical(
            "setsockopt({option}, {value}) {name} failed, ignored",
            nginxLevel="alert",
            option=option,
            value=value,
            name=name,
            errno=number,
        )


def _openToAll(path: str) -> None:
    """
    Let every user connect to a unix socket.
    """
    try:
        os.chmod(path, 0o666)
    except OSError as error:
        _log.critical(
            'chmod() "{path}" failed',
            nginxLevel="emerg",
            path=path,
            errno=error.errno,
        )


def unlinkSocket(sockaddr: Sockaddr) -> None:
    """
    Delete the file of a unix socket.  Nothing happens for other addresses.
    """
    if not isinstance(sockaddr, str) or not sockaddr:
        return
    try:
        os.unlink(sockaddr)
    except FileNotFoundError:
        pass  # just as well
    except OSError as error:
        _log.critical(
            "unlink() {path} failed",
            nginxLevel="emerg",
            path=sockaddr,
            errno=error.errno,
        )


def _prepare(
    sock: socket.socket, family: int, name: str, options: ListenOptions
) -> None:
    """
    Set what has to be set before C{bind}.
    """
    wanted = [("SO_REUSEADDR", socket.SOL_SOCKET, 1)]
    if options.reuseport:
        wanted.append(("SO_REUSEPORT", socket.SOL_SOCKET, 1))
    if family == socket.AF_INET6:
        wanted.append(("IPV6_V6ONLY", socket.IPPROTO_IPV6, int(options.ipv6only)))
    for option, level, value in wanted:
        try:
            sock.setsockopt(level, getattr(socket, option), value)
        except OSError as error:
            raise ListenError(
                f"setsockopt({option}) {name} failed", error.errno or 0
            ) from None


def _number(error: OSError) -> int:
    """
    The errno of a C{bind}; Python's own complaints about the path have none.
    """
    return cast(int, error.errno) if (error.errno or 0) > 0 else errno.EINVAL
