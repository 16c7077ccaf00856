"""
A client's first bytes on a TLS address: PROXY header, hello, handshake.

nginx: http/ngx_http_request.c (ngx_http_ssl_handshake), stream/ngx_stream_ssl_module.c
"""

from __future__ import annotations

import errno
import select
import socket as sockets
import sys
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL

from ..wire.client_hello import ClientHello, ClientHelloParser, NotClientHello
from .handshake import Handshake, HandshakeFailed

if TYPE_CHECKING:
    from ..net.transport import Reactor
    from .context import Context
    from .handshake import Turns

_PEEK = 16 * 1024
#: OpenSSL would refuse a longer one.
_MOST_HELLO = 64 * 1024
#: Seconds until a socket is looked at again that cannot tell when more has come; twice
#: as many each time, up to the second number.
_AGAIN = 0.05
_SELDOM = 1.0

#: Linux alone can tell of an end that data comes before; PyPy does not know the name.
_ENDED = getattr(select, "POLLRDHUP", 0x2000) if sys.platform == "linux" else 0

#: Alerts by name.
UNRECOGNIZED_NAME = 112
INTERNAL_ERROR = 80
NO_APPLICATION_PROTOCOL = 120


def hasEnded(sock: sockets.socket) -> bool:
    """
    Will no more come than what the kernel has?  What is left in the kernel hides an
    end.

    @return: false also where the system cannot tell.
    """
    poll = select.poll()
    poll.register(sock, _ENDED)
    return any(event & (_ENDED | select.POLLHUP) for _, event in poll.poll(0))


class Accept(Handshake):
    """
    A connection on its way to a server.

    Its hello is looked at before OpenSSL sees it: what it asks for decides about the
    context, that is about everything.  Until then all stays in the kernel.
    """

    #: Is something to be said to who speaks no TLS?
    takesPlain = True
    #: Reads a PROXY header; C{None}: there is none.
    proxyProtocol: Any = None

    def __init__(self, sock: sockets.socket, reactor: Reactor, turns: Turns) -> None:
        super().__init__(sock, reactor, turns)
        self._parser = ClientHelloParser()
        self._timer: Any = None
        self._low = 1
        self._had = 0
        self._again = _AGAIN
        self.hello: ClientHello | None = None

    # ---- for subclasses -------------------------------------------------------------

    def proxied(self, header: Any) -> None:
        """
        A PROXY header has come.
        """
        self.receive()

    def plainReceived(self, sock: sockets.socket) -> None:
        """
        It is no TLS at all.  What came is still with the kernel.
        """
        raise NotImplementedError

    def choose(self) -> Context | int | None:
        """
        Who answers C{hello}?

        @return: a context; the number of an alert; C{None}: nobody, without a word.
        """
        raise NotImplementedError

    def rejected(self, alert: int) -> None:
        """
        An alert was sent, and the socket is closed.
        """
        raise NotImplementedError

    def unanswered(self) -> None:
        """
        Nobody could answer, and the socket is closed.
        """
        raise NotImplementedError

    # ---- the way --------------------------------------------------------------------

    def receive(self) -> None:
        """
        Look at what there is.
        """
        sock = self._socket
        if sock is None:
            return
        try:
            data = sock.recv(_PEEK, sockets.MSG_PEEK)
            if len(data) == _PEEK:
                data = sock.recv(_MOST_HELLO, sockets.MSG_PEEK)
        except BlockingIOError:
            self._watch(True, False)
            return
        except OSError as e:
            self.fail(
                HandshakeFailed("peer closed connection in SSL handshake", e.errno or 0)
            )
            return
        if self.proxyProtocol is not None:
            self._proxyReceived(sock, data)
        else:
            self.seen(sock, data)

    def seen(self, sock: sockets.socket, data: bytes) -> None:
        """
        There is C{data}, and the kernel keeps it.
        """
        if not data:
            self.fail(HandshakeFailed("client closed connection"))
        elif self.takesPlain and not data[0] & 0x80 and data[0] != 0x16:
            self._wait(1)
            self.plainReceived(self.release())
        else:
            self._helloReceived(sock, data)

    def _proxyReceived(self, sock: sockets.socket, data: bytes) -> None:
        if not data:
            self.fail(HandshakeFailed("client closed connection"))
            return
        try:
            found = self.proxyProtocol(data)
        except ValueError as e:
            self.fail(HandshakeFailed(str(e)))
            return
        if found is None:
            if hasEnded(sock):
                self.fail(HandshakeFailed("client closed connection"))
            else:
                self._more(sock, data)
            return
        header, size = found
        sock.recv(size)
        self._wait(1)
        self.proxyProtocol = None
        self.proxied(header)

    def _helloReceived(self, sock: sockets.socket, data: bytes) -> None:
        try:
            self.hello = self._parser.parse(data)
        except NotClientHello:
            # OpenSSL knows the alert for it.
            pass
        else:
            if self.hello is None and len(data) < _MOST_HELLO:
                if hasEnded(sock):
                    self.fail(
                        HandshakeFailed("peer closed connection in SSL handshake")
                    )
                else:
                    self._more(sock, data)
                return
        self._wait(1)
        chosen = self.choose()
        if self._socket is None:
            return
        if chosen is None:
            self.stop()
            self.unanswered()
        elif isinstance(chosen, int):
            self._reject(sock, data, chosen)
        else:
            context = chosen.answering(self.hello, self._reactor.seconds())
            connection = SSL.Connection(context, sock)
            connection.set_accept_state()
            self.begin(connection)

    def _reject(self, sock: sockets.socket, data: bytes, alert: int) -> None:
        try:
            # What is not read would make the kernel throw the alert away.
            sock.recv(len(data))
            sock.send(b"\x15\x03\x03\x00\x02\x02" + bytes((alert,)))
        except OSError:
            pass  # it will never know
        self.stop()
        self.rejected(alert)

    # ---- waiting for more -----------------------------------------------------------

    def _more(self, sock: sockets.socket, data: bytes) -> None:
        """
        Wait until there is more than C{data}, which the kernel still has.
        """
        size = len(data)
        if size != self._had:
            self._had = size
            self._again = _AGAIN
            self._wait(size + 1)
            if self._low > 1:
                self._watch(True, False)
                return
        # It cannot tell, or does not keep to it, as when the client has ended its
        # output: watched on, it would be readable all the time.
        self._watch(False, False)
        self._timer = self._reactor.callLater(self._again, self._lookAgain)
        self._again = min(2 * self._again, _SELDOM)

    def _lookAgain(self) -> None:
        self._timer = None
        self.receive()

    def _wait(self, size: int) -> None:
        """
        Let the kernel tell when there are C{size} bytes.
        """
        sock = self._socket
        assert sock is not None
        if size == self._low:
            return
        self._low = 1
        if sock.family == sockets.AF_UNIX:
            return
        try:
            sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVLOWAT, size)
        except OSError as e:
            if e.errno not in (errno.ENOPROTOOPT, errno.EINVAL):
                raise
            return
        self._low = size

    def release(self) -> sockets.socket:
        """
        Give the socket up.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return super().release()

    def doRead(self) -> None:
        """
        There is something to read.
        """
        if self._ssl is None:
            self.receive()
        elif self._socket is not None:
            self._turn()
