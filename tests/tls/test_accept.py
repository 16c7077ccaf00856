"""
Tests of L{twisted_upstream.tls.accept}.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.tls import SERVER, SocketReactor, TLSClient, socketPair
from tests.wire.test_client_hello import openSSLHello
from twisted_upstream.tls.accept import UNRECOGNIZED_NAME, Accept
from twisted_upstream.tls.context import Context, Settings, serverContext
from twisted_upstream.tls.files import KeyPair
from twisted_upstream.tls.handshake import HandshakeFailed, Turns
from twisted_upstream.wire.proxy_protocol import readProxyHeader

#: The beginning of a hello of 200 bytes.
BEGUN = b"\x16\x03\x01\x00\xcc\x01\x00\x00\xc8\x03\x03"


class Peeked:
    """
    A socket that stays readable while there is anything, whatever it was told of low
    water: as the kernel does when the other side has ended its output.
    """

    def __init__(self, family: int = socket.AF_INET) -> None:
        self.family = family
        self.data = b""
        self.looks = 0

    def recv(self, size: int, flags: int) -> bytes:
        """
        Look at what there is.
        """
        self.looks += 1
        if not self.data:
            raise BlockingIOError(errno.EAGAIN, "would block")
        return self.data[:size]

    def setsockopt(self, level: int, name: int, value: int) -> None:
        """
        It does not keep to that.
        """

    def fileno(self) -> int:
        """
        Some descriptor.
        """
        return 100

    def close(self) -> None:
        """
        That was all.
        """


class WatchingClock(Clock):
    """
    A reactor that asks a readable socket again and again, 1000 times per advance at
    most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        """
        Watch it.
        """
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        """
        Watch it no more.
        """
        self.readers.remove(reader)

    def serve(self) -> None:
        """
        Tell of readable sockets.
        """
        for _ in range(1000):
            if not self.readers:
                return
            self.readers[0].doRead()


class Asked(Accept):
    """
    Remembers what came of it.
    """

    failure: HandshakeFailed | None = None
    asked = 0

    def choose(self) -> None:
        """
        Count, and want nobody.
        """
        self.asked += 1

    def unanswered(self) -> None:
        """
        As wanted.
        """

    def handshakeFailed(self, reason: HandshakeFailed) -> None:
        """
        Keep the reason.
        """
        self.failure = reason


class WaitingTests(SynchronousTestCase):
    """
    Hellos that do not come whole.
    """

    def begin(self, family: int = socket.AF_INET) -> None:
        """
        A client has sent the beginning of a hello.
        """
        self.socket = Peeked(family)
        self.clock = WatchingClock()
        sock: Any = self.socket
        reactor: Any = self.clock
        self.accept = Asked(sock, reactor, Turns(self.clock))
        self.socket.data = BEGUN
        self.accept.receive()

    def test_endedWithin(self) -> None:
        """
        A socket that is readable although nothing more has come is not watched, but
        looked at ever less often.
        """
        for family in (socket.AF_INET, socket.AF_UNIX):
            self.begin(family)
            for _ in range(600):
                self.clock.serve()
                self.clock.advance(0.1)
            self.assertLess(self.socket.looks, 75)
            self.assertGreater(self.socket.looks, 55)
            self.assertIsNone(self.accept.failure)

    def test_completed(self) -> None:
        """
        What comes after a pause is seen within a second; each time more has come, the
        socket is watched again.
        """
        self.begin()
        hello = BEGUN + bytes(198)
        for size in range(20, len(hello), 20):
            self.clock.serve()
            self.assertEqual(self.clock.readers, [])
            self.clock.pump([0.1] * 50)
            self.socket.data = hello[:size]
            self.clock.pump([0.1] * 11)
            self.assertEqual(self.clock.readers, [self.accept])
        self.assertEqual(self.accept.asked, 0)
        self.socket.data = hello
        self.clock.serve()
        self.clock.advance(0)
        self.assertEqual(self.accept.asked, 1)
        self.assertEqual(self.clock.readers, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_given(self) -> None:
        """
        Who gives up waits for nothing.
        """
        self.begin()
        self.clock.serve()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.accept.release()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.clock.readers, [])


class Recorder(Accept):
    """
    Remembers what it was told.

    @ivar chosen: what C{choose} answers, or what it does.
    """

    chosen: Context | int | None | Callable[[], None] = None

    def __init__(self, sock: socket.socket, reactor: Any, turns: Turns) -> None:
        super().__init__(sock, reactor, turns)
        self.events: list[str] = []
        self.sockets: list[socket.socket] = []

    def proxied(self, header: Any) -> None:
        """
        Part of L{Accept}, as all that follow.
        """
        self.events.append(f"proxied {header.sourceAddress.decode()}")
        super().proxied(header)

    def plainReceived(self, sock: socket.socket) -> None:
        self.events.append("plain")
        self.sockets.append(sock)

    def choose(self) -> Context | int | None:
        name = None if self.hello is None else self.hello.serverName
        self.events.append(f"choose {name!r}")
        if callable(self.chosen):
            self.chosen()
            return None
        return self.chosen

    def unanswered(self) -> None:
        self.events.append("unanswered")

    def rejected(self, alert: int) -> None:
        self.events.append(f"rejected {alert}")

    def handshakeDone(self, sock: socket.socket, connection: SSL.Connection) -> None:
        self.events.append("done")
        self.sockets.append(sock)

    def handshakeFailed(self, reason: HandshakeFailed) -> None:
        self.events.append(str(reason))


class AcceptTests(SynchronousTestCase):
    """
    L{Accept}.
    """

    def setUp(self) -> None:
        """
        A context, and nobody yet.
        """
        key = crypto.PKey.from_cryptography_key(SERVER.key)
        pair = KeyPair("c", (SERVER.der,), "k", SERVER.keyPem, key)
        self.context = serverContext(Settings(pairs=(pair,)))
        self.reactor = SocketReactor()

    def meet(
        self, chosen: Any = None, *, isInet: bool = False, **said: Any
    ) -> tuple[Recorder, TLSClient]:
        """
        A client connects.
        """
        ours, theirs = socketPair(isInet)
        self.ours = ours
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        accept = Recorder(ours, self.reactor, Turns(self.reactor))
        accept.chosen = self.context if chosen is None else chosen
        return accept, TLSClient(theirs, self.reactor.settle, **said)

    def isOver(self) -> None:
        """
        Nobody watches, and nothing is waited for.
        """
        self.reactor.settle()
        self.assertEqual(self.reactor.getReaders() + self.reactor.getWriters(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_done(self) -> None:
        """
        In either version the socket is handed over, open, and nobody watches it.
        """
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            accept, client = self.meet(version=version)
            accept.receive()
            client.shakesHands()
            self.assertEqual(accept.events, ["choose b'good.example'", "done"])
            self.assertEqual(accept.sockets, [self.ours])
            self.assertEqual(accept.fileno(), -1)
            self.isOver()
            self.assertGreaterEqual(self.ours.fileno(), 0)

    def test_pieces(self) -> None:
        """
        A hello may come in pieces, over a socket of either family.
        """
        for isInet in (False, True):
            accept, client = self.meet(isInet=isInet)
            hello = client.step()
            accept.receive()
            for at in range(0, len(hello), 40):
                self.assertEqual(accept.events, [])
                client.sends(hello[at : at + 40])
                # A unix socket is looked at again after a while.
                self.reactor.passes(0.1)
            for _ in range(1000):
                # TCP's arrive when the kernel has the time.
                client.shakesHands()
                if "done" in accept.events:
                    break
            self.assertEqual(accept.events, ["choose b'good.example'", "done"])
            self.isOver()

    def test_lowWater(self) -> None:
        """
        The kernel tells of half a hello once, and behaves as before when it is whole.
        """
        accept, client = self.meet(isInet=True)
        hello = client.step()
        client.sends(hello[:100])
        while len(self.ours.recv(200, socket.MSG_PEEK)) < 100:
            pass
        accept.receive()
        option = (socket.SOL_SOCKET, socket.SO_RCVLOWAT)
        self.assertEqual(self.ours.getsockopt(*option), 101)
        client.sends(hello[100:])
        while not accept.events:
            accept.receive()
        self.assertEqual(self.ours.getsockopt(*option), 1)
        accept.stop()
        self.isOver()

    def test_waitEnds(self) -> None:
        """
        Who stops while half a hello is there is not called again.
        """
        accept, client = self.meet()
        client.sends(client.step()[:50])
        accept.receive()
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        accept.stop()
        self.isOver()
        self.assertEqual(self.ours.fileno(), -1)
        self.assertEqual(accept.events, [])
        accept.receive()
        accept.doRead()
        self.assertEqual(accept.events, [])

    def test_tooLong(self) -> None:
        """
        A hello that does not end is refused before it is long.
        """
        accept, client = self.meet(isInet=True)
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        client.socket.setblocking(True)
        accept.receive()
        # One message in many records.
        client.socket.sendall(
            (b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(16380))
            + (b"\x16\x03\x01\x40\x00" + bytes(16384)) * 4
        )
        for _ in range(1000):
            self.reactor.settle()
            if len(accept.events) > 1:
                break
        self.assertEqual(accept.events[0], "choose None")
        self.assertIn("SSL_do_handshake() failed", accept.events[1])
        self.isOver()

    def test_plain(self) -> None:
        """
        Who speaks no TLS is handed over with all that was said.
        """
        accept, client = self.meet()
        client.sends(b"GET / HTTP/1.0\r\n\r\n")
        accept.receive()
        self.assertEqual(accept.events, ["plain"])
        self.assertEqual(accept.sockets[0].recv(3), b"GET")
        self.isOver()

    def test_plainRefused(self) -> None:
        """
        Where nothing is said to such a client, it is an error of TLS.
        """
        accept, client = self.meet()
        accept.takesPlain = False
        client.sends(b"GET / HTTP/1.0\r\n\r\n")
        accept.receive()
        self.assertEqual(accept.events[0], "choose None")
        self.assertIn("SSL_do_handshake() failed (SSL: ", accept.events[1])
        self.assertTrue(client.isClosed())
        self.isOver()

    def test_garbage(self) -> None:
        """
        What only begins like a hello gets an alert.
        """
        for data in (
            b"\x16\x03\x01\x00\x05hello",
            b"\x16\x03\x01\x00\x04\x02\0\0\0",
            b"\x16\x02" + bytes(20),
            b"\x17" + openSSLHello()[1:],
        ):
            accept, client = self.meet()
            accept.takesPlain = False
            client.sends(data)
            accept.receive()
            answer = client.raw()
            # Of an unknown version nothing can be said in any.
            self.assertEqual(answer[:1], b"" if data[1] == 2 else b"\x15", data)
            self.assertEqual(accept.events[0], "choose None")
            self.assertIn("SSL_do_handshake() failed", accept.events[1])
            self.assertEqual(len(accept.events), 2)
            self.isOver()

    def test_reject(self) -> None:
        """
        An alert instead of a handshake reaches the client, although it has said more
        than anybody reads.
        """
        accept, client = self.meet(UNRECOGNIZED_NAME)
        client.sends(client.step() + b"more")
        accept.receive()
        client.step()
        self.assertIn("unrecognized name", client.error)
        self.assertTrue(client.isClosed())
        self.assertEqual(accept.events[1:], ["rejected 112"])
        self.isOver()

    def test_nobody(self) -> None:
        """
        Nobody answers: the connection is closed without a word.
        """
        accept, client = self.meet(lambda: None)
        client.sends(client.step())
        accept.receive()
        self.assertTrue(client.isClosed())
        self.assertEqual(accept.events[1:], ["unanswered"])
        self.isOver()

    def test_stopsWhileChoosing(self) -> None:
        """
        Who chooses may end the connection.
        """
        accept, client = self.meet()
        accept.chosen = accept.stop
        client.sends(client.step())
        accept.receive()
        self.assertTrue(client.isClosed())
        self.isOver()

    def test_closed(self) -> None:
        """
        A client that goes, at any time, ends it.
        """
        for isInet in (False, True):
            for count in (0, 50, 10000):
                accept, client = self.meet(isInet=isInet)
                accept.receive()
                client.sends(client.step()[:count])
                client.socket.shutdown(socket.SHUT_WR)
                for _ in range(1000):
                    self.reactor.passes(0.2)
                    if self.ours.fileno() < 0:
                        break
                expected = "peer closed connection in SSL handshake"
                if not count:
                    expected = "client closed connection"
                self.assertEqual(accept.events[-1], expected, (isInet, count))
                self.isOver()

    def test_reset(self) -> None:
        """
        An error of the socket is told as the system tells it.
        """
        accept, client = self.meet(isInet=True)
        accept.receive()
        linger = b"\1\0\0\0\0\0\0\0"
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.closes()
        for _ in range(1000):
            self.reactor.settle()
            if accept.events:
                break
        self.assertEqual(
            accept.events,
            ["peer closed connection in SSL handshake (104: Connection reset by peer)"],
        )
        self.isOver()

    def test_proxyHeader(self) -> None:
        """
        A PROXY header before the hello is read, and no more than that.
        """
        accept, client = self.meet()
        accept.proxyProtocol = readProxyHeader
        header = b"PROXY TCP4 192.0.2.9 192.0.2.1 5 6\r\n"
        accept.receive()
        client.sends(header[:20])
        self.reactor.passes(0.1)
        self.assertEqual(accept.events, [])
        client.sends(header[20:] + client.step())
        self.reactor.passes(0.1)
        client.shakesHands()
        self.assertEqual(
            accept.events, ["proxied 192.0.2.9", "choose b'good.example'", "done"]
        )
        self.isOver()

    def test_brokenProxyHeader(self) -> None:
        """
        Something else in its place ends the connection, as does a client that goes.
        """
        for data in (b"GET / HTTP/1.0\r\n\r\n", b"PROXY ", b""):
            accept, client = self.meet()
            accept.proxyProtocol = readProxyHeader
            accept.receive()
            client.sends(data)
            client.closes()
            self.reactor.passes(0.2)
            self.assertEqual(len(accept.events), 1, data)
            self.assertEqual(self.ours.fileno(), -1)
            self.isOver()
