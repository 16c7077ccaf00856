"""
Sockets for datagrams: one that all clients send to, and one for each session to a
server.

nginx: C{ngx_event_recvmsg()}, C{ngx_udp_unix_sendmsg_chain()}, C{ngx_udp_unix_recv()}
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReadDescriptor, IReadWriteDescriptor
from zope.interface import implementer

from .bound import BoundSocket, ListenOptions, bindSocket
from .connected import ConnectedSocket
from .sockaddr import Sockaddr

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from .transport import Reactor

#: No datagram is larger.
MAX_DATAGRAM = 65535
#: How many are read before others have their turn.
BURST = 32
#: Errors that are the other side's, or the way's to it.
REMOTE_ERRORS = frozenset(
    (
        errno.ECONNRESET,
        errno.EPIPE,
        errno.ENOTCONN,
        errno.ETIMEDOUT,
        errno.ECONNREFUSED,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
    )
)

# Every datagram is read here first, and copied in its true size.
_buffer = bytearray(MAX_DATAGRAM)
_view = memoryview(_buffer)
_buffers = [_buffer]

# Python's socket module does not name the first two everywhere.
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
_IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", 49)
_IPV6_PKTINFO = getattr(socket, "IPV6_PKTINFO", 50)
# struct in_pktinfo: index of the interface, address to send from, address sent to.
_pktInfo = struct.Struct("=I4s4s")
# struct in6_pktinfo: address, index of the interface.
_pktInfo6 = struct.Struct("=16sI")
_CONTROL_SIZE = socket.CMSG_SPACE(_pktInfo6.size)
_ANY = bytes(4)


def openDatagrams(
    reactor: Reactor, sockaddr: Sockaddr, options: ListenOptions
) -> DatagramListener:
    """
    Open a socket for clients' datagrams; they wait until L{DatagramListener.start}.

    @raise ListenError: C{bind() to 127.0.0.1:53 failed (98: Address already in use)}.
    """
    sock = bindSocket(sockaddr, socket.SOCK_DGRAM, options)
    listener = DatagramListener(reactor, sock)
    listener.configure(options)
    return listener


@implementer(IReadDescriptor)
class DatagramListener(BoundSocket):
    """
    A socket that all clients of an address send to.

    @ivar received: called with each datagram, its sender, the address it was sent to,
        and this.  A new configuration replaces it; the socket stays.
    """

    def __init__(self, reactor: Reactor, sock: socket.socket) -> None:
        super().__init__(sock, reactor)
        self.received: Callable[[bytes, Sockaddr, Sockaddr, DatagramListener], None] = (
            _ignored
        )
        self._isWildcard = self.sockaddr[:1] in (("0.0.0.0",), ("::",))
        if self._isWildcard and self._family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        elif self._isWildcard:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    @property
    def isClosed(self) -> bool:
        """
        Can nothing be sent any more?
        """
        return self._socket.fileno() < 0

    def doRead(self) -> None:
        """
        Read what is there.  Called by the reactor.
        """
        for _ in range(BURST):
            # Whoever gets a datagram may stop this.
            if not self._started:
                return
            local = self.sockaddr
            try:
                if self._isWildcard:
                    size, control, flags, client = self._socket.recvmsg_into(
                        _buffers, _CONTROL_SIZE
                    )
                    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                        self._log.critical(
                            "recvmsg() truncated data", nginxLevel="alert"
                        )
                        continue
                    local = self._sentTo(control)
                else:
                    size, client = self._socket.recvfrom_into(_buffer)
            except BlockingIOError:
                return
            except OSError as error:
                self._log.critical(
                    "recvmsg() failed", nginxLevel="alert", errno=error.errno
                )
                return
            try:
                # A unix client without a name has no address.
                self.received(_view[:size].tobytes(), client or "", local, self)
            except Exception:
                self._log.failure("a datagram could not be taken")

    def _sentTo(self, control: list[tuple[int, int, bytes]]) -> Sockaddr:
        """
        The address that a datagram was sent to.

        nginx: C{ngx_get_srcaddr_cmsg()}
        """
        assert isinstance(self.sockaddr, tuple)
        port = self.sockaddr[1]
        for level, kind, data in control:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                address = _pktInfo.unpack_from(data)[2]
                return (socket.inet_ntop(socket.AF_INET, address), port)
            if level == socket.IPPROTO_IPV6 and kind == _IPV6_PKTINFO:
                address = _pktInfo6.unpack_from(data)[0]
                return (socket.inet_ntop(socket.AF_INET6, address), port, 0, 0)
        return self.sockaddr

    def send(self, datagram: bytes, client: Sockaddr, local: Sockaddr) -> int:
        """
        Send a datagram.

        @param local: the address to send from.
        @return: 0, or the error's number.
        """
        try:
            if self._isWildcard:
                self._socket.sendmsg([datagram], [_source(local)], 0, client)
            else:
                self._socket.sendto(datagram, client)
        except OSError as error:
            return error.errno or errno.EINVAL
        return 0

    def getHandle(self) -> socket.socket:
        """
        The socket, for options.
        """
        return self._socket


def _source(local: Sockaddr) -> tuple[int, int, bytes]:
    """
    What makes the kernel send from C{local}.

    nginx: C{ngx_set_srcaddr_cmsg()}
    """
    if len(local) == 4:
        address = socket.inet_pton(socket.AF_INET6, local[0])
        return (socket.IPPROTO_IPV6, _IPV6_PKTINFO, _pktInfo6.pack(address, 0))
    address = socket.inet_aton(local[0])
    return (socket.IPPROTO_IP, _IP_PKTINFO, _pktInfo.pack(0, address, _ANY))


def _ignored(
    datagram: bytes, client: Sockaddr, local: Sockaddr, listener: DatagramListener
) -> None:
    """
    What happens to datagrams before somebody takes them.
    """


@implementer(IReadWriteDescriptor)
class DatagramTransport(ConnectedSocket):
    """
    A connected socket: datagrams to and from one server.

    An error is not its end: the next datagram may get through.

    @ivar protocol: its C{dataReceived} takes each datagram.
    @ivar failed: called with the name of a system call that failed, and the error's
        number.
    @ivar drained: called when nothing waits any more.
    @ivar bytesReceived: bytes that came.
    @ivar bytesSent: bytes that went.
    """

    __slots__ = (
        "_isReading",
        "_reactor",
        "_waiting",
        "_waitingBytes",
        "bytesReceived",
        "bytesSent",
        "drained",
        "failed",
        "protocol",
    )

    def __init__(
        self, sock: socket.socket, reactor: Reactor, protocol: Any, peerName: Sockaddr
    ) -> None:
        """
        @param sock: connected, and does not block.
        """
        super().__init__(sock, peerName)
        self._reactor = reactor
        self.protocol = protocol
        self.failed: Callable[[str, int], None] = _unheard
        self.drained: Callable[[], None] | None = None
        self.bytesReceived = 0
        self.bytesSent = 0
        self._isReading = False
        self._waiting: deque[bytes] = deque()
        self._waitingBytes = 0

    # ---- what the owner does --------------------------------------------------------

    def write(self, datagram: bytes) -> None:
        """
        Send a datagram, now or when the kernel has room.
        """
        if not self._waiting:
            try:
                self.bytesSent += self._socket.send(datagram)
            except BlockingIOError:
                self._reactor.addWriter(self)
            except OSError as error:
                self.failed("sendmsg", error.errno or errno.EINVAL)
                return
            else:
                return
        self._waiting.append(datagram)
        self._waitingBytes += len(datagram)

    @property
    def pending(self) -> int:
        """
        How many datagrams wait for the kernel.
        """
        return len(self._waiting)

    @property
    def pendingBytes(self) -> int:
        """
        How many bytes they have.
        """
        return self._waitingBytes

    def pauseProducing(self) -> None:
        """
        Read no more for now.
        """
        if self._isReading:
            self._isReading = False
            self._reactor.removeReader(self)

    def resumeProducing(self) -> None:
        """
        Read.
        """
        if not self._isReading and self._socket.fileno() >= 0:
            self._isReading = True
            self._reactor.addReader(self)

    def loseConnection(self) -> None:
        """
        Close the socket.  What still waits is dropped.
        """
        self.pauseProducing()
        if self._waiting:
            self._waiting.clear()
            self._waitingBytes = 0
            self._reactor.removeWriter(self)
        self.failed = _unheard
        self.drained = None
        # Its number must not be reused while this round's events are handled.
        self._reactor.callLater(0, self._socket.close)

    abortConnection = loseConnection

    # ---- what the reactor does ------------------------------------------------------

    def doRead(self) -> None:
        """
        Read what is there.
        """
        receive = self._socket.recv_into
        protocol = self.protocol
        for _ in range(BURST):
            # Whoever gets a datagram may pause or close this.
            if not self._isReading:
                return
            try:
                size = receive(_buffer)
            except BlockingIOError:
                return
            except OSError as error:
                self.failed("recv", error.errno or errno.EINVAL)
                return
            self.bytesReceived += size
            protocol.dataReceived(_view[:size].tobytes())

    def doWrite(self) -> None:
        """
        The kernel has room.
        """
        waiting = self._waiting
        while waiting:
            try:
                self.bytesSent += self._socket.send(waiting[0])
            except BlockingIOError:
                return
            except OSError as error:
                self.failed("sendmsg", error.errno or errno.EINVAL)
                if not waiting:
                    return
            self._waitingBytes -= len(waiting.popleft())
        self._reactor.removeWriter(self)
        if self.drained is not None:
            self.drained()

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor takes an error that comes without a datagram for the end.
        """
        if self._isReading:
            self._reactor.addReader(self)
        if self._waiting:
            self._reactor.addWriter(self)
        if self.failed is not _unheard:
            number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                self.failed("recv", number)

    def fileno(self) -> int:
        """
        The descriptor; -1 once closed.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        Called by the reactor for each event.
        """
        return "net"


def _unheard(syscall: str, number: int) -> None:
    """
    Whom nobody has told whom to tell of errors, or who has closed.
    """
