"""
A socket that encrypts.

It looks like a socket to L{SocketTransport
<twisted_upstream.net.transport.SocketTransport>}, which therefore is the transport of
TLS connections, too.  OpenSSL reads and writes the descriptor itself: no bytes are
copied between buffers, and a record goes out when it is made.

nginx: event/ngx_event_openssl.c (ngx_ssl_recv, ngx_ssl_write, ngx_ssl_shutdown)
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..net.sendqueue import TransportFailed
from . import openssl
from .openssl import RECORD

if TYPE_CHECKING:
    import socket as sockets

    from OpenSSL import SSL

#: One event must not keep the others waiting: so many bytes, then the next.
_MOST_AT_ONCE = 1024 * 1024
#: So many bytes of several buffers are copied together.
_MOST_JOINED = 64 * 1024
_SHUT_WR = 1

_read = openssl.read
_write = openssl.write
_buffer = openssl.inputBuffer
_unpack = openssl.unpack
_fromBuffer = openssl.fromBuffer


class TLSFailed(TransportFailed):
    """
    A connection ended by an error of TLS.

    @ivar message: nginx's words, without the system's reason.
    """

    def __init__(self, number: int, syscall: str, detail: str) -> None:
        super().__init__(number, syscall)
        self.message = f"{syscall}() failed"
        if detail:
            self.message += f" (SSL: {detail})"

    def __str__(self) -> str:
        if self.errno:
            return f"{self.message} ({self.errno}: {os.strerror(self.errno)})"
        return self.message


class TLSSocketError(OSError):
    """
    How the transport learns of it.

    @ivar failure: what it tells others.
    """

    def __init__(self, failure: TLSFailed) -> None:
        super().__init__(failure.errno, failure.message)
        self.failure = failure


class TLSSocket:
    """
    A connected, non-blocking socket after its handshake.

    @ivar connection: pyOpenSSL's.
    @ivar ssl: OpenSSL's.
    @ivar ended: the other side has ended its output.
    @ivar truncated: it did so without saying so: what came may be incomplete.
    @ivar silent: close without a word.
    @ivar firstRead: called once when the first data is there; by then the tickets for
        a later connection have arrived.
    """

    __slots__ = (
        "_failed",
        "_record",
        "_said",
        "_socket",
        "connection",
        "ended",
        "firstRead",
        "silent",
        "ssl",
        "truncated",
    )

    def __init__(
        self,
        sock: sockets.socket,
        connection: SSL.Connection,
        recordSize: int = RECORD,
    ) -> None:
        """
        @param connection: made with C{sock}.
        @param recordSize: bytes that one record carries at most.
        """
        self._socket = sock
        self.connection = connection
        self.ssl: Any = openssl.raw(connection)
        self._record = min(recordSize, RECORD)
        self._failed = False
        self._said = False
        self.ended = False
        self.truncated = False
        self.silent = False
        self.firstRead: Callable[[], None] | None = None

    # ---- reading --------------------------------------------------------------------

    def recv(self, size: int, flags: int = 0) -> bytes:
        """
        What has arrived: one record, or as many as C{size} asks for.

        @return: may be more than C{size} bytes, but then no more than a record: nothing
            stays where the reactor does not see it.  Empty: the end.
        @raise OSError: as a socket does.
        """
        if flags:
            return self._peek(flags)
        count = _read(self.ssl, _buffer, RECORD)
        if count <= 0:
            return self._nothingRead(count)
        if self.firstRead is not None:
            self._firstRead()
        data: bytes = _unpack(_buffer, count)
        if count < RECORD or size <= RECORD:
            return data
        return self._readMore(data, size)

    def _readMore(self, data: bytes, size: int) -> bytes:
        """
        There is a lot: go on until there is no more, or enough.
        """
        parts = [data]
        left = size - RECORD
        while left > 0:
            count = _read(self.ssl, _buffer, RECORD)
            if count <= 0:
                # What is wrong, if anything, is found again by the next call.
                if openssl.getError(self.ssl, count) != openssl.WANT_READ:
                    self._later(count)
                break
            parts.append(_unpack(_buffer, count))
            left -= count
        return b"".join(parts)

    def _later(self, count: int) -> None:
        """
        An end or an error behind data.  OpenSSL says the same once more when asked.
        """
        if openssl.complaint().truncated:
            self.truncated = True

    def _peek(self, flags: int) -> bytes:
        """
        Is there anything?  What it is stays with the kernel, so that the reactor sees
        it again.
        """
        data = self._socket.recv(1, flags)
        if not data:
            self.ended = self.truncated = True
        return data

    def _nothingRead(self, count: int) -> bytes:
        error = openssl.getError(self.ssl, count)
        if error == openssl.WANT_READ:
            raise BlockingIOError(errno.EAGAIN, "")
        if error == openssl.ZERO_RETURN:
            self.ended = True
            return b""
        number = openssl.errno()
        complaint = openssl.complaint()
        if complaint.truncated or (
            error == openssl.SYSCALL and not number and not complaint.text
        ):
            self.ended = self.truncated = self._failed = True
            return b""
        if self.truncated:
            self.ended = True
            return b""
        self._failed = True
        if error != openssl.SYSCALL:
            number = 0
        raise TLSSocketError(TLSFailed(number, "SSL_read", complaint.text))

    def _firstRead(self) -> None:
        told, self.firstRead = self.firstRead, None
        if told is not None:
            told()

    # ---- writing --------------------------------------------------------------------

    def send(self, data: bytes | memoryview) -> int:
        """
        Encrypt and send.

        OpenSSL makes a record and keeps what the kernel does not take of it; the next
        call must then offer the same bytes first, as L{SendQueue
        <twisted_upstream.net.sendqueue.SendQueue>} does.

        @return: how many bytes are on their way.
        @raise OSError: as a socket does.
        """
        size = len(data)
        if size > self._record:
            return self._sendRecords(memoryview(data))
        if not size:
            return 0
        # Bytes are taken as they are; making a pointer of them costs a third of a call.
        count: int = _write(
            self.ssl, data if type(data) is bytes else _fromBuffer(data), size
        )
        if count > 0:
            return count
        raise self._notWritten(count)

    def _sendRecords(self, data: memoryview) -> int:
        record = self._record
        most = min(len(data), _MOST_AT_ONCE)
        sent = 0
        while sent < most:
            part = data[sent : sent + record]
            count = _write(self.ssl, _fromBuffer(part), len(part))
            if count <= 0:
                error = self._notWritten(count)
                if not sent:
                    raise error
                # The next call finds an error again.
                break
            sent += count
        return sent

    def sendmsg(self, buffers: Sequence[bytes | memoryview]) -> int:
        """
        The same for several buffers: small ones share a record.
        """
        size = count = 0
        for data in buffers:
            size += len(data)
            count += 1
            if size >= _MOST_JOINED:
                break
        if count == 1:
            return self.send(buffers[0])
        return self.send(b"".join(buffers[:count]))

    def _notWritten(self, count: int) -> OSError:
        error = openssl.getError(self.ssl, count)
        if error == openssl.WANT_WRITE:
            return BlockingIOError(errno.EAGAIN, "")
        number = openssl.errno() if error == openssl.SYSCALL else 0
        detail = openssl.complaint().text
        self._failed = True
        return TLSSocketError(TLSFailed(number, "SSL_write", detail))

    # ---- the end --------------------------------------------------------------------

    def sayEnd(self) -> None:
        """
        Say that no more comes, once: nothing may be sent after that.
        """
        if not (self._said or self._failed or self.silent or self.ended):
            self._said = True
            openssl.sendCloseNotify(self.ssl)

    def shutdown(self, how: int) -> None:
        """
        End our output; the other side may go on.
        """
        if how == _SHUT_WR:
            self.sayEnd()
        self._socket.shutdown(how)

    def close(self) -> None:
        """
        Say so, and close; nobody waits for an answer.
        """
        if self._socket.fileno() < 0:
            return
        self.sayEnd()
        if not self._failed or self.truncated:
            openssl.forget(self.ssl)
        self._socket.close()

    # ---- what the socket itself is asked --------------------------------------------

    def fileno(self) -> int:
        """
        The descriptor, -1 once closed.
        """
        return self._socket.fileno()

    def getsockopt(self, level: int, option: int) -> int:
        """
        Ask the kernel.
        """
        return self._socket.getsockopt(level, option)

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """
        Tell the kernel.
        """
        self._socket.setsockopt(level, option, value)

    def getpeername(self) -> Any:
        """
        The other side's address.
        """
        return self._socket.getpeername()

    def getsockname(self) -> Any:
        """
        Our own.
        """
        return self._socket.getsockname()
