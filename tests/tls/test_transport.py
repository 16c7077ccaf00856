"""
Tests of L{twisted_upstream.net.transport} over L{twisted_upstream.tls.socket}: the
other side is OpenSSL on the other end of a pair of sockets.
"""

from __future__ import annotations

import os
import random
import socket
import tempfile
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.net.reactors import RecordingReactor
from tests.support.certificates import issue
from twisted_upstream.net.transport import SocketTransport
from twisted_upstream.tls.context import Settings, serverContext
from twisted_upstream.tls.files import KeyPair
from twisted_upstream.tls.socket import TLSFailed, TLSSocket


@implementer(IProtocol, IHalfCloseableProtocol)
class Protocol:
    """
    Remembers what it is told.
    """

    factory = None

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.events: list[str] = []
        self.reason: Any = None

    @property
    def data(self) -> bytes:
        """
        All that was received.
        """
        return b"".join(self.parts)

    def makeConnection(self, transport: Any) -> None:
        """
        Part of L{IProtocol}, like those that follow.
        """

    def connectionMade(self) -> None:
        """
        Not called.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        Data.
        """
        self.parts.append(data)

    def readConnectionLost(self) -> None:
        """
        The other side's end.
        """
        self.events.append("read")

    def writeConnectionLost(self) -> None:
        """
        Our own.
        """
        self.events.append("write")

    def connectionLost(self, reason: Any = None) -> None:
        """
        The end of all.
        """
        self.events.append("lost")
        self.reason = reason.value


class TransportTests(SynchronousTestCase):
    """
    A server's side of a connection.
    """

    version = SSL.TLS1_3_VERSION

    def setUp(self) -> None:
        """
        Both sides after their handshake.
        """
        issued = issue("a.example")
        key = crypto.PKey.from_cryptography_key(issued.key)
        pair = KeyPair("c", (issued.der,), "k", issued.keyPem, key)
        context = serverContext(Settings(pairs=(pair,)))
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
            self.addCleanup(each.close)
        server = SSL.Connection(context.ssl, ours)
        server.set_accept_state()
        clientContext = SSL.Context(SSL.TLS_CLIENT_METHOD)
        clientContext.set_max_proto_version(self.version)
        self.client = SSL.Connection(clientContext, theirs)
        self.client.set_connect_state()
        done: set[SSL.Connection] = set()
        while len(done) < 2:
            for side in (self.client, server):
                try:
                    side.do_handshake()
                    done.add(side)
                except SSL.WantReadError:
                    pass
        self.theirs = theirs
        self.reactor = RecordingReactor()
        self.protocol = Protocol()
        self.socket = TLSSocket(ours, server)
        self.transport = SocketTransport.overTLS(
            self.socket, self.reactor, self.protocol
        )
        self.transport.resumeProducing()

    def turn(self) -> None:
        """
        Let the reactor go round once.
        """
        for each in list(self.reactor.readers):
            each.doRead()
        for each in list(self.reactor.writers):
            each.doWrite()
        self.reactor.turn()

    def read(self) -> bytes:
        """
        What the client gets now.
        """
        parts = []
        while True:
            try:
                parts.append(self.client.recv(65536))
            except (SSL.WantReadError, SSL.ZeroReturnError, SSL.SysCallError):
                return b"".join(parts)

    def test_both(self) -> None:
        """
        Both sides read what the other one writes, at once.
        """
        self.client.send(b"hello")
        self.turn()
        self.assertEqual(self.protocol.data, b"hello")
        self.transport.write(b"good ")
        self.transport.writeSequence([b"b", b"y", b"e"])
        self.assertEqual(self.read(), b"good bye")
        self.assertEqual(self.transport.bytesReceived, 5)
        self.assertEqual(self.transport.bytesSent, 8)

    def test_large(self) -> None:
        """
        Many records are read by few events.
        """
        data = os.urandom(100_000)
        at = 0
        while at < len(data):
            try:
                at += self.client.send(data[at : at + 16384])
            except SSL.WantWriteError:
                self.turn()
        for _ in range(12):
            self.turn()
        self.assertEqual(self.protocol.data, data)
        self.assertLess(len(self.protocol.parts), 7)

    def test_slowReader(self) -> None:
        """
        What the other side does not take yet waits, and comes in order whatever is
        written meanwhile, from buffers and from files.
        """
        chance = random.Random(6)
        drained: list[int] = []
        self.transport.drained = lambda: drained.append(1)
        expected = got = b""
        with tempfile.TemporaryFile() as file:
            content = os.urandom(300_000)
            file.write(content)
            file.flush()
            for _ in range(60):
                kind = chance.randrange(4)
                if kind == 0:
                    data = os.urandom(chance.choice((1, 100, 5000, 16384, 70_000)))
                    self.transport.write(data)
                    expected += data
                elif kind == 1:
                    several = [os.urandom(chance.randrange(20_000)) for _ in range(4)]
                    self.transport.writeSequence(several)
                    expected += b"".join(several)
                elif kind == 2:
                    at = chance.randrange(200_000)
                    size = chance.randrange(1, 90_000)
                    self.transport.sendFile(file.fileno(), at, size)
                    expected += content[at : at + size]
                else:
                    got += self.read()
                    self.turn()
            self.assertTrue(drained or self.transport.pending)
            for _ in range(400):
                got += self.read()
                self.turn()
        self.assertEqual(len(got), len(expected))
        self.assertEqual(got, expected)
        self.assertEqual(self.transport.pending, 0)
        self.assertEqual(self.transport.bytesSent, len(expected))

    def test_pause(self) -> None:
        """
        While nobody reads, data stays where it is; the end is noticed.
        """
        self.transport.pauseProducing()
        self.client.send(b"hello")
        self.turn()
        self.assertEqual(self.protocol.data, b"")
        self.transport.resumeProducing()
        self.turn()
        self.assertEqual(self.protocol.data, b"hello")

    def test_close(self) -> None:
        """
        We say that we go, after what was written.
        """
        self.transport.write(b"bye")
        self.transport.loseConnection()
        self.turn()
        self.assertEqual(self.client.recv(10), b"bye")
        self.assertRaises(SSL.ZeroReturnError, self.client.recv, 10)
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertEqual(self.transport.fileno(), -1)

    def test_abort(self) -> None:
        """
        We go without a word.
        """
        self.transport.abortConnection()
        self.turn()
        self.assertRaises(SSL.SysCallError, self.client.recv, 10)

    def test_halfClose(self) -> None:
        """
        Our end is said, and the other side can go on.
        """
        self.transport.loseWriteConnection()
        self.turn()
        self.assertRaises(SSL.ZeroReturnError, self.client.recv, 10)
        self.client.send(b"more")
        self.turn()
        self.assertEqual(self.protocol.data, b"more")
        self.assertEqual(self.protocol.events, ["write"])
        self.client.shutdown()
        self.turn()
        self.turn()
        self.assertEqual(self.protocol.events, ["write", "read", "lost"])

    def test_halfCloseAtOnce(self) -> None:
        """
        Our end is said before the reactor goes round: the other side might say its own
        first, and then would never hear ours.
        """
        self.transport.write(b"x")
        self.transport.loseWriteConnection()
        self.assertEqual(self.client.recv(10), b"x")
        self.assertRaises(SSL.ZeroReturnError, self.client.recv, 10)
        self.assertEqual(self.protocol.events, [])
        self.turn()
        self.assertEqual(self.protocol.events, ["write"])

    def test_end(self) -> None:
        """
        The other side's end is one, and we can still answer.
        """
        self.client.send(b"hello")
        self.client.shutdown()
        self.turn()
        self.turn()
        self.assertEqual(self.protocol.events, ["read"])
        self.assertFalse(self.transport.truncated)
        self.transport.write(b"answer")
        self.transport.loseConnection()
        self.turn()
        self.assertEqual(self.protocol.events, ["read", "lost"])

    def test_truncated(self) -> None:
        """
        An end that nobody announced is one, too, but it is known for what it is.
        """
        for size in (0, 1, 100_000):
            with self.subTest(size=size):
                self.setUp()
                if size:
                    self.client.send(bytes(min(size, 16384)))
                self.theirs.shutdown(socket.SHUT_WR)
                for _ in range(4):
                    self.turn()
                self.assertEqual(self.protocol.events[:1], ["read"])
                self.assertTrue(self.transport.truncated)

    def test_garbage(self) -> None:
        """
        What is not encrypted ends the connection.
        """
        self.theirs.send(b"GET / HTTP/1.1\r\n\r\n")
        self.turn()
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIsInstance(self.protocol.reason, TLSFailed)
        self.assertIn("SSL_read() failed (SSL: error:", str(self.protocol.reason))

    def test_tampered(self) -> None:
        """
        A record that was changed on its way ends the connection, and nothing of it is
        delivered.
        """
        self.theirs.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.turn()
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertEqual(self.protocol.data, b"")


class OldTransportTests(TransportTests):
    """
    The same with TLS 1.2.
    """

    version = SSL.TLS1_2_VERSION

    def test_renegotiation(self) -> None:
        """
        No second handshake: the client is told, and the connection lives.
        """
        self.client.renegotiate()
        try:
            self.client.do_handshake()
        except SSL.WantReadError:
            pass
        self.turn()
        self.assertEqual(self.protocol.events, [])
        self.assertRaises(SSL.Error, self.client.do_handshake)
