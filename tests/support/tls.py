"""
TLS between a client that a test plays, OpenSSL's, and what is tested: on pairs of
sockets, on a clock.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto

from tests.support.certificates import Issued, authority, issue
from twisted_upstream.testing.memory import MemoryReactor

ROOT = authority()
SERVER = issue("good.example", ROOT)
OTHER = issue("other.example", ROOT)
CLIENT = issue("somebody", ROOT)


def writeFiles(folder: Path) -> None:
    """
    Put all certificates, and their keys, into C{folder}.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, issued in (("root", ROOT), ("server", SERVER), ("other", OTHER)):
        (folder / f"{name}.crt").write_bytes(issued.pem)
        (folder / f"{name}.key").write_bytes(issued.keyPem)


class _Kernel:
    """
    What the kernel says of a descriptor.
    """

    def __init__(self, descriptor: Any) -> None:
        self._descriptor = descriptor

    @property
    def readable(self) -> bool:
        """
        Would C{recv} return?
        """
        return self._poll(select.POLLIN)

    @property
    def writable(self) -> bool:
        """
        Would C{send} take anything?
        """
        return self._poll(select.POLLOUT)

    def _poll(self, event: int) -> bool:
        number = self._descriptor.fileno()
        if number < 0:
            raise AssertionError(f"watched while closed: {self._descriptor!r}")
        poll = select.poll()
        poll.register(number, event)
        return bool(poll.poll(0))


class SocketReactor(MemoryReactor):
    """
    The same where some sockets are real.
    """

    def addReader(self, reader: Any) -> None:
        """
        Part of C{IReactorFDSet}, as all that follow.
        """
        self._readers[reader] = self._kernelOf(reader)

    def addWriter(self, writer: Any) -> None:
        self._writers[writer] = self._kernelOf(writer)

    @staticmethod
    def _kernelOf(descriptor: Any) -> Any:
        getHandle = getattr(descriptor, "getHandle", None)
        handle = None if getHandle is None else getHandle()
        return handle if hasattr(handle, "readable") else _Kernel(descriptor)


def socketPair(isInet: bool = False) -> tuple[socket.socket, socket.socket]:
    """
    Both ends of a connection, which do not block.

    @param isInet: of TCP over loopback.
    """
    if isInet:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
            theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


class TLSClient:
    """
    The client's end.

    @ivar socket: it.
    @ivar data: what it has received, decrypted.
    @ivar error: OpenSSL's words, should there be an error.
    @ivar ended: did the other side say that no more comes?
    """

    def __init__(
        self,
        sock: socket.socket,
        settle: Callable[[], None],
        *,
        name: bytes = b"good.example",
        version: int | None = None,
        certificate: Issued | None = None,
    ) -> None:
        """
        @param settle: lets the other side do whatever it can.
        @param name: for SNI; empty: none.
        @param version: the only one.
        @param certificate: our own.
        """
        self.socket = sock
        self._settle = settle
        self.data = b""
        self.error = ""
        self.ended = False
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if version is not None:
            context.set_min_proto_version(version)
            context.set_max_proto_version(version)
        if certificate is not None:
            context.use_certificate(
                crypto.X509.from_cryptography(certificate.certificate)
            )
            context.use_privatekey(crypto.PKey.from_cryptography_key(certificate.key))
        self.ssl = SSL.Connection(context, None)
        if name:
            self.ssl.set_tlsext_host_name(name)
        self.ssl.set_connect_state()

    def step(self) -> bytes:
        """
        Take what has come, and do one step of the handshake.

        @return: what is to be sent, and was not.
        """
        self._receive()
        try:
            self.ssl.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error as e:
            self.error = str(e)
        return self._output()

    def shakesHands(self) -> None:
        """
        Shake hands, as far as the other side does.
        """
        for _ in range(4):
            self.sends(self.step())

    def sends(self, data: bytes) -> None:
        """
        Send C{data} as it is.
        """
        if data:
            try:
                self.socket.sendall(data)
            except OSError:
                pass  # the other side is gone
        self._settle()

    def says(self, data: bytes) -> None:
        """
        Send C{data} encrypted.
        """
        self.ssl.send(data)
        self.sends(self._output())

    def hears(self) -> bytes:
        """
        All that was received until now, decrypted.
        """
        self._settle()
        self._receive()
        while True:
            try:
                self.data += self.ssl.recv(65536)
            except SSL.ZeroReturnError:
                self.ended = True
                break
            except SSL.WantReadError:
                break
            except SSL.Error as e:
                self.error = str(e)
                break
        return self.data

    def raw(self) -> bytes:
        """
        All that is there, as it is.
        """
        self._settle()
        found = b""
        while True:
            try:
                data = self.socket.recv(65536)
            except OSError:
                return found
            if not data:
                return found
            found += data

    def isClosed(self) -> bool:
        """
        Has the other side closed the connection?
        """
        self._settle()
        try:
            while self.socket.recv(65536):
                pass
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def closes(self) -> None:
        """
        Close the connection without a word.
        """
        self.socket.close()
        self._settle()

    def _receive(self) -> None:
        try:
            while data := self.socket.recv(65536):
                self.ssl.bio_write(data)
        except OSError:
            pass  # that was all

    def _output(self) -> bytes:
        try:
            return self.ssl.bio_read(1 << 20)
        except SSL.WantReadError:
            return b""
