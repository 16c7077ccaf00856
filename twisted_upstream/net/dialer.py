"""
Connects to servers.

nginx: event/ngx_event_connect.c (ngx_event_connect_peer),
http/ngx_http_upstream.c (ngx_http_upstream_test_connect)
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from .datagrams import DatagramTransport
from .sockaddr import Sockaddr, addressText, familyOf, sockaddrName
from .transport import SocketTransport

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from .deadline import Deadlines
    from .transport import Reactor

# Missing from Python's socket module up to 3.11, and in part still.
_IP_TRANSPARENT = getattr(socket, "IP_TRANSPARENT", 19)
_IPV6_TRANSPARENT = getattr(socket, "IPV6_TRANSPARENT", 75)
_IP_BIND_ADDRESS_NO_PORT = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)
_LINUX = sys.platform == "linux"
_NONBLOCK = getattr(socket, "SOCK_NONBLOCK", 0)
# Plain numbers: with those of the socket module Python computes in names.
_STREAM = int(socket.SOCK_STREAM | _NONBLOCK)
_DATAGRAMS = int(socket.SOCK_DGRAM | _NONBLOCK)
_UNIX = int(socket.AF_UNIX)
_TCP, _NODELAY = int(socket.IPPROTO_TCP), int(socket.TCP_NODELAY)
_CONNECTING = {errno.EINPROGRESS, errno.EALREADY, errno.EINTR}
# Not worth more than an "error" in the log: the other side's trouble, not ours.
_USUAL = {
    errno.ECONNREFUSED,
    errno.EAGAIN,
    errno.ECONNRESET,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ETIMEDOUT,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DialOptions:
    """
    Options of sockets to servers; C{None}: left alone.

    @ivar keepalive: does the kernel probe a silent server?
    @ivar rcvbuf: bytes.
    @ivar sndbuf: bytes.
    @ivar noDelay: send small packets at once.
    @ivar tos: the type of service, 0-255.
    @ivar transparent: the local address need not be one of this machine's.
    """

    keepalive: bool = False
    rcvbuf: int | None = None
    sndbuf: int | None = None
    noDelay: bool = True
    tos: int | None = None
    transparent: bool = False

    #: Do they leave sockets as they are, but for C{noDelay} and C{transparent}?
    isPlain: bool = field(init=False)

    def __post_init__(self) -> None:
        asked = (self.rcvbuf, self.sndbuf, self.tos)
        isPlain = not self.keepalive and asked == (None, None, None)
        object.__setattr__(self, "isPlain", isPlain)


_DEFAULTS = DialOptions()


class ConnectFailed(Exception):
    """
    There is no connection.

    @ivar errno: of the system call.
    @ivar syscall: C{"connect"}, C{"bind"} or C{"socket"}.  The last two are our own
        trouble: nginx does not try another server then, nor blame this one.
    @ivar immediate: did the very call fail?  nginx's text says the address then.
    @ivar message: nginx's words, without the system's reason.
    """

    def __init__(
        self, number: int, syscall: str, sockaddr: Sockaddr, *, immediate: bool
    ) -> None:
        super().__init__(number, syscall, sockaddr)
        self.errno = number
        self.syscall = syscall
        self.immediate = immediate
        self.message = f"{syscall}() failed"
        if syscall == "bind":
            isPlain = isinstance(sockaddr, tuple) and not sockaddr[1]
            name = (addressText if isPlain else sockaddrName)(sockaddr)
            self.message = f"bind({name}) failed"
        elif immediate and syscall == "connect":
            self.message = f"connect() to {sockaddrName(sockaddr)} failed"

    @property
    def level(self) -> str:
        """
        How severe nginx's log calls it.
        """
        if self.syscall == "socket":
            return "alert"
        usual = self.syscall == "connect" and self.errno in _USUAL
        return "error" if usual else "crit"

    def __str__(self) -> str:
        return f"{self.message} ({self.errno}: {os.strerror(self.errno)})"


class ConnectTimedOut(Exception):
    """
    The server has not answered in time.
    """

    errno = errno.ETIMEDOUT
    message = "upstream timed out"
    level = "error"

    def __str__(self) -> str:
        return f"{self.message} ({self.errno}: {os.strerror(self.errno)})"


class Dialing(Protocol):
    """
    Who waits for a connection; L{IDialWaiter
    <twisted_upstream.interfaces.IDialWaiter>}.  Told once, by one of these.
    """

    def connectionReady(self, connection: Any, /) -> None:
        """
        C{connection} is the protocol that was to be connected, and it is.
        """

    def connectionFailed(self, reason: Exception, /) -> None:
        """
        There is no connection: L{ConnectFailed} or L{ConnectTimedOut}.
        """


#: Goes on with a connected socket: takes it, its address, the protocol, the waiter and
#: the seconds that are left; returns what gives up.
Secure = Callable[..., Callable[[], None]]


class SocketDialer:
    """
    Opens connections to socket addresses.

    @ivar reactor: where its sockets are.
    @ivar deadlines: of that reactor.
    """

    _log = Logger()

    def __init__(self, reactor: Reactor, deadlines: Deadlines) -> None:
        self.reactor = self._reactor = reactor
        self.deadlines = self._deadlines = deadlines

    def dial(
        self,
        sockaddr: Sockaddr,
        protocol: Any,
        waiter: Dialing,
        *,
        timeout: float,
        localAddress: Sockaddr | None = None,
        options: DialOptions = _DEFAULTS,
        secure: Secure | None = None,
        datagrams: bool = False,
    ) -> Callable[[], None]:
        """
        Connect C{protocol}: it gets a L{SocketTransport} that reads, by
        C{makeConnection}, before the waiter is told.

        The waiter is told before this returns when the outcome is known at once: with
        unix sockets always, with servers on this machine nearly always.

        @param timeout: seconds.
        @param localAddress: to connect from; port 0 leaves the port to the kernel.
        @param secure: takes the connected socket over and tells the waiter itself,
            within what is left of C{timeout}; C{None}: there is no more to do.
        @param datagrams: it gets a L{DatagramTransport} that does not read yet, and
            there is no timeout: nobody is asked.
        @return: gives up: the waiter will not be told any more.  Does nothing when it
            has been.
        """
        try:
            sock = self._open(sockaddr, localAddress, options, datagrams)
        except ConnectFailed as error:
            waiter.connectionFailed(error)
            return _nothing
        immediate = True
        try:
            number = sock.connect_ex(sockaddr)
        except OSError:
            # Python's own complaint: a path that is too long, for example.
            number = errno.EINVAL
        if number in _CONNECTING:
            # Over loopback the handshake is over by now, the kernel only could not
            # say so while it was in the call.  Asking costs 0.3 µs, the way through
            # the reactor 10.
            immediate = False
            number = _progress(sock, sockaddr)
        if not number and datagrams:
            protocol.makeConnection(
                DatagramTransport(sock, self._reactor, protocol, sockaddr)
            )
            waiter.connectionReady(protocol)
            return _nothing
        if not number:
            if secure is not None:
                return secure(sock, sockaddr, protocol, waiter, timeout)
            self._connected(sock, sockaddr, protocol, waiter)
            return _nothing
        if number in _CONNECTING:
            attempt = Attempt(self, sock, sockaddr, protocol, waiter, secure)
            attempt.start(self._deadlines, timeout)
            return attempt.giveUp
        sock.close()
        waiter.connectionFailed(
            ConnectFailed(number, "connect", sockaddr, immediate=immediate)
        )
        return _nothing

    def _open(
        self,
        sockaddr: Sockaddr,
        localAddress: Sockaddr | None,
        options: DialOptions,
        datagrams: bool,
    ) -> socket.socket:
        """
        Make the socket.

        @raise ConnectFailed: it cannot be made, or not be bound to the local address.
        """
        family = familyOf(sockaddr)
        try:
            sock = socket.socket(family, _DATAGRAMS if datagrams else _STREAM)
        except OSError as error:
            raise ConnectFailed(
                error.errno or 0, "socket", sockaddr, immediate=True
            ) from None
        if not _NONBLOCK:
            sock.setblocking(False)
        if options.noDelay and not datagrams and family != _UNIX:
            sock.setsockopt(_TCP, _NODELAY, 1)
        if not options.isPlain:
            self._setOptions(sock, family, options)
        if localAddress is not None:
            if datagrams and isinstance(localAddress, tuple) and localAddress[1]:
                # Every session comes from there.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self._bind(sock, family, localAddress, options)
            except OSError as error:
                sock.close()
                raise ConnectFailed(
                    error.errno or 0, "bind", localAddress, immediate=True
                ) from None
        return sock

    def _setOptions(
        self, sock: socket.socket, family: int, options: DialOptions
    ) -> None:
        """
        Set what was asked for.  What fails is logged and ignored, as in nginx.
        """
        wanted: list[tuple[str, int, int, int]] = []
        if options.rcvbuf is not None:
            wanted.append(
                ("SO_RCVBUF", socket.SOL_SOCKET, socket.SO_RCVBUF, options.rcvbuf)
            )
        if options.sndbuf is not None:
            wanted.append(
                ("SO_SNDBUF", socket.SOL_SOCKET, socket.SO_SNDBUF, options.sndbuf)
            )
        if options.keepalive:
            wanted.append(("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
        if options.tos is not None and family == socket.AF_INET:
            wanted.append(("IP_TOS", socket.IPPROTO_IP, socket.IP_TOS, options.tos))
        if options.tos is not None and family == socket.AF_INET6:
            wanted.append(
                ("IPV6_TCLASS", socket.IPPROTO_IPV6, socket.IPV6_TCLASS, options.tos)
            )
        for name, level, option, value in wanted:
            try:
                sock.setsockopt(level, option, value)
            except OSError as error:
                self._log.critical(
                    "setsockopt({name}, {value}) failed, ignored",
                    nginxLevel="alert",
                    name=name,
                    value=value,
                    errno=error.errno,
                )

    def _bind(
        self,
        sock: socket.socket,
        family: int,
        localAddress: Sockaddr,
        options: DialOptions,
    ) -> None:
        """
        Bind to the local address.

        @raise OSError: it is not ours, or of another family.
        """
        if familyOf(localAddress) != family:
            raise OSError(errno.EAFNOSUPPORT, "")
        if options.transparent and family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
        if options.transparent and family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
        if _LINUX and isinstance(localAddress, tuple) and not localAddress[1]:
            try:
                # The kernel chooses the port when it knows the other side too: then
                # there are 64k per server, not in all.
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            except OSError:
                pass  # an old kernel: only the number of connections suffers
        sock.bind(localAddress)

    def _connected(
        self, sock: socket.socket, sockaddr: Sockaddr, protocol: Any, waiter: Dialing
    ) -> None:
        """
        Hand the connection over.
        """
        transport = SocketTransport(sock, self._reactor, protocol, sockaddr)
        try:
            protocol.makeConnection(transport)
            transport.resumeProducing()
            waiter.connectionReady(protocol)
        except Exception:
            self._log.failure("a connection could not be taken")
            transport.abortConnection()


@implementer(IReadWriteDescriptor)
class Attempt:
    """
    A connection that is being made.
    """

    __slots__ = (
        "_deadline",
        "_dialer",
        "_further",
        "_protocol",
        "_secure",
        "_sockaddr",
        "_socket",
        "_until",
        "_waiter",
    )

    def __init__(
        self,
        dialer: SocketDialer,
        sock: socket.socket,
        sockaddr: Sockaddr,
        protocol: Any,
        waiter: Dialing,
        secure: Secure | None,
    ) -> None:
        self._dialer = dialer
        # None: it is over, and the descriptor may be somebody else's.
        self._socket: socket.socket | None = sock
        self._sockaddr = sockaddr
        self._protocol = protocol
        self._waiter: Dialing | None = waiter
        self._secure = secure
        # Once the socket was handed over: gives up what came after that.
        self._further: Callable[[], None] | None = None

    def start(self, deadlines: Deadlines, timeout: float) -> None:
        """
        Wait for the kernel, C{timeout} seconds at most.
        """
        self._deadline = deadlines.new(self._timedOut)
        self._deadline.set(timeout)
        self._until = self._dialer._reactor.seconds() + timeout
        self._dialer._reactor.addWriter(self)

    def giveUp(self) -> None:
        """
        Close the socket, and tell nobody.
        """
        if self._further is not None:
            further, self._further = self._further, None
            further()
        elif self._socket is not None:
            sock, _ = self._end()
            # Only after this round's events: one may be there for this descriptor.
            self._dialer._reactor.callLater(0, sock.close)

    def _end(self) -> tuple[socket.socket, Dialing]:
        """
        Stop waiting.

        @return: the socket and the waiter, to be told.
        """
        self._deadline.drop()
        self._dialer._reactor.removeWriter(self)
        sock, waiter = self._socket, self._waiter
        assert sock is not None and waiter is not None
        self._socket = self._waiter = None
        return sock, waiter

    def _fail(self, reason: Exception) -> None:
        """
        There will be no connection.
        """
        sock, waiter = self._end()
        sock.close()
        try:
            waiter.connectionFailed(reason)
        except Exception:
            self._dialer._log.failure("connectionFailed failed")

    def _timedOut(self) -> None:
        """
        The deadline's.
        """
        self._fail(ConnectTimedOut())

    def doWrite(self) -> None:
        """
        The kernel has an answer.  Called by the reactor.
        """
        if self._socket is None:
            return
        number = _progress(self._socket, self._sockaddr)
        if not number:
            sock, waiter = self._end()
            if self._secure is not None:
                left = self._until - self._dialer._reactor.seconds()
                self._further = self._secure(
                    sock, self._sockaddr, self._protocol, waiter, max(left, 0.001)
                )
                return
            self._dialer._connected(sock, self._sockaddr, self._protocol, waiter)
        elif number not in _CONNECTING:
            self._fail(
                ConnectFailed(number, "connect", self._sockaddr, immediate=False)
            )

    def doRead(self) -> None:
        """
        Never called: nothing is read before there is a connection.
        """

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor saw an error, or stops.
        """
        if self._socket is None:
            return
        number = _progress(self._socket, self._sockaddr)
        if not number or number in _CONNECTING:
            number = errno.ECONNABORTED
        self._fail(ConnectFailed(number, "connect", self._sockaddr, immediate=False))

    def fileno(self) -> int:
        """
        The descriptor while it is ours, else -1.
        """
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        """
        Called by the reactor for each event.
        """
        return "net"


def _progress(sock: socket.socket, sockaddr: Sockaddr) -> int:
    """
    What has become of a C{connect} under way?

    @return: 0 when connected, C{EALREADY} when there is no answer yet, else the error.
        An event is no proof of either: it may be meant for a descriptor's last owner.
    """
    if _LINUX:
        # Says it all in one call.  Elsewhere it would try to connect once more.
        number = sock.connect_ex(sockaddr)
        return 0 if number == errno.EISCONN else number
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        return number
    try:
        sock.getpeername()
    except OSError:
        return errno.EALREADY
    return 0


def _nothing() -> None:
    """
    Gives up what is over.
    """
