"""
Sockets bound to a local address: how they are made, their options, their end.

They are raw sockets that are shared by processes and outlive configurations: they are
never shut down, and who takes what arrives is one replaceable attribute.

nginx: core/ngx_connection.c (ngx_open_listening_sockets,
ngx_configure_listening_sockets, ngx_close_listening_sockets)
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from twisted.logger import Logger

from .sockaddr import Sockaddr, familyOf, sockaddrName

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from .transport import Reactor

#: Connections that may wait to be accepted, or fewer if the system permits no more.
#: nginx has 511; here a burst of clients has to wait longer for its turn, and who finds
#: no place comes back only after a second.
BACKLOG = 4096

# Linux's numbers of what PyPy's socket module does not name.
_MISSING = {"TCP_FASTOPEN": 23} if sys.platform == "linux" else {}
_log = Logger()


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


class BoundSocket:
    """
    A bound socket that a reactor waits for.

    @ivar sockaddr: what it is bound to, as the kernel tells.
    @ivar name: the same as nginx prints it.
    """

    _log = Logger()

    def __init__(self, sock: socket.socket, reactor: Reactor) -> None:
        self._reactor = reactor
        self._socket = sock
        self.sockaddr: Sockaddr = sock.getsockname()
        self.name = sockaddrName(self.sockaddr)
        self._family = familyOf(self.sockaddr)
        self._started = False
        sock.setblocking(False)

    def configure(self, options: ListenOptions) -> None:
        """
        Apply the options of a new configuration to the living socket.

        An option that is not given any more stays, and so does C{ipv6only}, as in
        nginx.  What fails is logged and ignored.

        nginx: ngx_configure_listening_sockets()
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
            keepalive = int(options.soKeepalive)
            wanted.append(("SO_KEEPALIVE", socket.SOL_SOCKET, keepalive))
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
            self._setOption(option, level, value)

    def _setOption(self, option: str, level: int, value: int) -> None:
        """
        Set one option, if it can be set.
        """
        try:
            number = getattr(socket, option, None) or _MISSING[option]
            self._socket.setsockopt(level, number, value)
        except (OSError, KeyError) as error:
            number = error.errno if isinstance(error, OSError) else errno.ENOPROTOOPT
            self._log.critical(
                "setsockopt({option}, {value}) {name} failed, ignored",
                nginxLevel="alert",
                option=option,
                value=value,
                name=self.name,
                errno=number,
            )

    def start(self) -> None:
        """
        Take what arrives.
        """
        if not self._started:
            self._started = True
            self._watch()

    def stop(self) -> None:
        """
        Take no more: what arrives waits in the kernel's queue.
        """
        if self._started:
            self._started = False
            self._unwatch()

    def _watch(self) -> None:
        """
        Let the reactor tell of what arrives.
        """
        self._reactor.addReader(self)

    def _unwatch(self) -> None:
        """
        Let it tell no more.
        """
        self._reactor.removeReader(self)

    def close(self, *, unlink: bool = False) -> None:
        """
        Close this process's descriptor.  Others that share the socket go on.

        @param unlink: delete a unix socket's file, too.
        """
        self.stop()
        # No shutdown(2): that would end the socket in every process.
        self._socket.close()
        if unlink:
            _unlink(self.sockaddr)

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
        self._socket.close()


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


def _unlink(sockaddr: Sockaddr) -> None:
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
