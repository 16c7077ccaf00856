"""
Tests for L{twisted_upstream.net.datagrams}.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor, IReadWriteDescriptor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_upstream.net.bound import ListenError, ListenOptions
from twisted_upstream.net.datagrams import (
    BURST,
    DatagramListener,
    DatagramTransport,
    openDatagrams,
)
from twisted_upstream.net.deadline import Deadlines
from twisted_upstream.net.dialer import SocketDialer
from twisted_upstream.net.sockaddr import Sockaddr

from .reactors import OnAsyncio, OnEPoll, OnPoll, RecordingReactor

Taken = tuple[bytes, Sockaddr, Sockaddr]


class ListenCase(SynchronousTestCase):
    """
    Listeners on a reactor that only records.
    """

    def setUp(self) -> None:
        self.reactor = RecordingReactor()
        self.taken: list[Taken] = []

    def listen(
        self, sockaddr: Sockaddr = ("127.0.0.1", 0), **options: Any
    ) -> DatagramListener:
        """
        A listener that has started and collects what it gets.
        """
        listener = openDatagrams(self.reactor, sockaddr, ListenOptions(**options))
        self.addCleanup(listener.close)
        listener.received = self.take
        listener.start()
        return listener

    def take(
        self, data: bytes, client: Sockaddr, local: Sockaddr, by: DatagramListener
    ) -> None:
        """
        A datagram.
        """
        self.taken.append((data, client, local))

    def client(
        self, sockaddr: Sockaddr, family: int = socket.AF_INET, name: str = "127.0.0.1"
    ) -> socket.socket:
        """
        A client that talks to an address.
        """
        made = socket.socket(family, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        if family != socket.AF_UNIX:
            made.bind((name, 0))
        made.connect(sockaddr)
        made.settimeout(5)
        return made


class ListenerTests(ListenCase):
    """
    Sockets that clients send to.
    """

    def test_interface(self) -> None:
        """
        A reactor can serve it.
        """
        verifyObject(IReadDescriptor, self.listen())

    def test_datagrams(self) -> None:
        """
        Each datagram comes with who has sent it and where to, empty ones too; what is
        sent back reaches the sender.
        """
        listener = self.listen()
        client = self.client(listener.sockaddr)
        client.send(b"one")
        client.send(b"")
        listener.doRead()
        name = client.getsockname()
        self.assertEqual(
            self.taken,
            [(b"one", name, listener.sockaddr), (b"", name, listener.sockaddr)],
        )
        self.assertEqual(listener.send(b"back", name, listener.sockaddr), 0)
        self.assertEqual(client.recv(100), b"back")

    def test_largest(self) -> None:
        """
        The largest datagram comes in one piece.
        """
        listener = self.listen(rcvbuf=400000)
        self.client(listener.sockaddr).send(b"x" * 65507)
        listener.doRead()
        self.assertEqual([len(data) for data, _, _ in self.taken], [65507])

    def test_burst(self) -> None:
        """
        Others have their turn after some datagrams.
        """
        listener = self.listen()
        client = self.client(listener.sockaddr)
        for _ in range(BURST + 3):
            client.send(b"x")
        listener.doRead()
        self.assertEqual(len(self.taken), BURST)
        listener.doRead()
        self.assertEqual(len(self.taken), BURST + 3)

    def test_wildcard(self) -> None:
        """
        A wildcard tells which address a datagram was sent to, and answers from there.
        """
        listener = self.listen(("0.0.0.0", 0))
        port = listener.sockaddr[1]
        client = self.client(("127.0.0.2", port))  # type: ignore[arg-type]  # a number
        client.send(b"x")
        listener.doRead()
        ((_, name, local),) = self.taken
        self.assertEqual(local, ("127.0.0.2", port))
        listener.send(b"y", name, local)
        # It is connected: from elsewhere it would not take anything.
        self.assertEqual(client.recv(100), b"y")

    def test_wildcard6(self) -> None:
        """
        The same with IPv6.
        """
        try:
            listener = self.listen(("::", 0, 0, 0))
        except ListenError:
            raise self.skipTest("there is no IPv6 here") from None
        port = listener.sockaddr[1]
        client = self.client(("::1", port, 0, 0), socket.AF_INET6, "::1")  # type: ignore[arg-type]  # a number
        client.send(b"x")
        listener.doRead()
        ((_, name, local),) = self.taken
        self.assertEqual(local, ("::1", port, 0, 0))
        listener.send(b"y", name, local)
        self.assertEqual(client.recv(100), b"y")

    def test_stopped(self) -> None:
        """
        Whoever stops it gets no more, even within a burst; the rest waits.
        """
        listener = self.listen()
        client = self.client(listener.sockaddr)
        client.send(b"one")
        client.send(b"two")

        def take(*event: Any) -> None:
            self.take(*event)
            listener.stop()

        listener.received = take
        listener.doRead()
        self.assertEqual([data for data, _, _ in self.taken], [b"one"])
        self.assertEqual(self.reactor.readers, set())
        listener.start()
        listener.doRead()
        self.assertEqual([data for data, _, _ in self.taken], [b"one", b"two"])

    def test_failure(self) -> None:
        """
        A datagram that its taker fails with harms no other.
        """
        listener = self.listen()
        client = self.client(listener.sockaddr)

        def take(data: bytes, *rest: Any) -> None:
            self.take(data, *rest)
            if data == b"one":
                raise RuntimeError("bad")

        listener.received = take
        client.send(b"one")
        client.send(b"two")
        listener.doRead()
        self.assertEqual([data for data, _, _ in self.taken], [b"one", b"two"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_cannotSend(self) -> None:
        """
        What cannot be sent is told by its number.
        """
        listener = self.listen()
        client = self.client(listener.sockaddr).getsockname()
        local = listener.sockaddr
        self.assertEqual(listener.send(b"x" * 70000, client, local), errno.EMSGSIZE)
        listener.close()
        self.assertTrue(listener.isClosed)
        self.assertEqual(listener.send(b"x", client, local), errno.EBADF)

    def test_cannotBind(self) -> None:
        """
        An address that is not ours is refused in nginx's words.
        """
        error = self.assertRaises(ListenError, self.listen, ("192.0.2.1", 5353))
        self.assertEqual(
            str(error),
            "bind() to 192.0.2.1:5353 failed (99: Cannot assign requested address)",
        )

    def test_options(self) -> None:
        """
        Options of C{listen} are set.
        """
        handle = self.listen(reuseport=True, rcvbuf=20000, sndbuf=30000).getHandle()
        get = handle.getsockopt
        self.assertTrue(get(socket.SOL_SOCKET, socket.SO_REUSEPORT))
        # Linux doubles them.
        self.assertIn(get(socket.SOL_SOCKET, socket.SO_RCVBUF), (20000, 40000))
        self.assertIn(get(socket.SOL_SOCKET, socket.SO_SNDBUF), (30000, 60000))

    def test_unix(self) -> None:
        """
        A unix socket serves everybody, those without a name too; its file goes with it.
        """
        prefix = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, prefix)
        path = os.path.join(prefix, "u")
        listener = self.listen(path)
        self.client(path, socket.AF_UNIX).send(b"x")
        listener.doRead()
        self.assertEqual(self.taken, [(b"x", "", path)])
        listener.close(unlink=True)
        self.assertFalse(os.path.exists(path))


class Protocol:
    """
    What a connected socket is for.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.failures: list[tuple[str, int]] = []
        self.transport: Any = None
        self.dataReceived: Callable[[bytes], None] = self.heard.append

    def makeConnection(self, transport: DatagramTransport) -> None:
        """
        There is a socket.
        """
        self.transport = transport
        transport.failed = lambda syscall, number: self.failures.append(
            (syscall, number)
        )
        transport.resumeProducing()

    def connectionReady(self, connection: Any) -> None:
        """
        Part of L{IDialWaiter}.
        """

    def connectionFailed(self, reason: Exception) -> None:
        """
        Part of L{IDialWaiter}.
        """
        raise reason


class TransportTests:
    """
    Sockets to servers, on one real reactor.
    """

    reactor: Any
    spin: Any
    addCleanup: Any
    assertEqual: Any
    assertTrue: Any
    assertRaises: Any

    def server(self) -> socket.socket:
        """
        A server.
        """
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.bind(("127.0.0.1", 0))
        made.settimeout(5)
        return made

    def dial(self, sockaddr: Sockaddr, **more: Any) -> Protocol:
        """
        A socket to a server.
        """
        protocol = Protocol()
        dialer = SocketDialer(self.reactor, Deadlines(self.reactor))
        dialer.dial(sockaddr, protocol, protocol, timeout=5, datagrams=True, **more)

        def close() -> None:
            protocol.transport.loseConnection()
            self.reactor.iterate(0)

        self.addCleanup(close)
        return protocol

    def test_bothWays(self) -> None:
        """
        Datagrams go both ways and are counted, empty ones too; strangers are not heard.
        """
        server = self.server()
        protocol = self.dial(server.getsockname())
        verifyObject(IReadWriteDescriptor, protocol.transport)
        protocol.transport.write(b"ask")
        protocol.transport.write(b"")
        data, name = server.recvfrom(100)
        self.assertEqual((data, name), (b"ask", protocol.transport.hostName))
        self.assertEqual(server.recvfrom(100)[0], b"")
        self.server().sendto(b"hello, I am your server", name)
        server.sendto(b"", name)
        server.sendto(b"answer", name)
        self.spin(lambda: len(protocol.heard) == 2)
        self.assertEqual(protocol.heard, [b"", b"answer"])
        self.assertEqual(protocol.transport.bytesSent, 3)
        self.assertEqual(protocol.transport.bytesReceived, 6)

    def test_refused(self) -> None:
        """
        Nobody listens: that is told, and is not the end.
        """
        server = self.server()
        name = server.getsockname()
        server.close()
        protocol = self.dial(name)
        for _ in range(2):
            protocol.transport.write(b"x")
            self.spin(lambda: protocol.failures)
            self.assertEqual(protocol.failures, [("recv", errno.ECONNREFUSED)])
            protocol.failures.clear()
        back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(back.close)
        back.bind(name)
        protocol.transport.write(b"there?")
        back.sendto(b"now", back.recvfrom(100)[1])
        self.spin(lambda: protocol.heard)
        self.assertEqual(protocol.heard, [b"now"])

    def test_refusedWhilePaused(self) -> None:
        """
        An error that nobody has read is told by the next datagram that is sent.
        """
        server = self.server()
        name = server.getsockname()
        server.close()
        protocol = self.dial(name)
        protocol.transport.pauseProducing()
        protocol.transport.write(b"x")
        protocol.transport.write(b"y")
        self.assertEqual(protocol.failures, [("sendmsg", errno.ECONNREFUSED)])

    def test_paused(self) -> None:
        """
        Who has paused is not told more, not even within a burst.
        """
        server = self.server()
        protocol = self.dial(server.getsockname())

        def received(data: bytes) -> None:
            protocol.heard.append(data)
            protocol.transport.pauseProducing()

        protocol.dataReceived = received
        for data in (b"1", b"2"):
            server.sendto(data, protocol.transport.hostName)
        self.spin(lambda: protocol.heard)
        self.reactor.iterate(0.01)
        self.assertEqual(protocol.heard, [b"1"])
        protocol.transport.resumeProducing()
        self.spin(lambda: len(protocol.heard) == 2)

    def test_closed(self) -> None:
        """
        Who has closed is not told more, and the descriptor is gone soon.
        """
        server = self.server()
        protocol = self.dial(server.getsockname())

        def received(data: bytes) -> None:
            protocol.heard.append(data)
            protocol.transport.loseConnection()

        protocol.dataReceived = received
        for data in (b"1", b"2"):
            server.sendto(data, protocol.transport.hostName)
        self.spin(lambda: protocol.transport.fileno() < 0)
        self.assertEqual(protocol.heard, [b"1"])

    def test_queue(self) -> None:
        """
        What the kernel does not take waits, in order.
        """
        prefix = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, prefix)
        path = os.path.join(prefix, "u")
        # Unlike UDP's, a unix socket has a queue that fills up.
        server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        server.bind(path)
        server.settimeout(5)
        transport = self.dial(path).transport
        drained: list[bool] = []
        transport.drained = lambda: drained.append(True)
        sent = 0
        while transport.pending < 3:
            transport.write(b"%d" % sent)
            sent += 1
        self.assertEqual(transport.pendingBytes, sum(map(len, transport._waiting)))
        heard: list[bytes] = []
        while len(heard) < sent:
            self.reactor.iterate(0)
            heard.append(server.recv(100))
        self.assertEqual(heard, [b"%d" % n for n in range(sent)])
        self.assertEqual((transport.pending, transport.pendingBytes), (0, 0))
        self.assertEqual(drained, [True])

    def test_local(self) -> None:
        """
        Several sockets may come from one port, to different servers.
        """
        place = self.server()
        local = place.getsockname()
        place.close()
        for _ in range(2):
            server = self.server()
            protocol = self.dial(server.getsockname(), localAddress=local)
            protocol.transport.write(b"x")
            self.assertEqual(server.recvfrom(100)[1], local)


class EPollTests(OnEPoll, TransportTests, SynchronousTestCase):
    """
    On epoll(7).
    """


class PollTests(OnPoll, TransportTests, SynchronousTestCase):
    """
    On poll(2).
    """


class AsyncioTests(OnAsyncio, TransportTests, SynchronousTestCase):
    """
    On asyncio.
    """
