"""
Tests for L{twisted_upstream.net.dialer}.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_upstream.net.deadline import Deadlines
from twisted_upstream.net.dialer import (
    ConnectFailed,
    ConnectTimedOut,
    DialOptions,
    SocketDialer,
)
from twisted_upstream.net.sockaddr import Sockaddr, familyOf
from twisted_upstream.net.transport import SocketTransport

from .reactors import OnAsyncio, OnEPoll, OnPoll, RecordingReactor
from .transports import Recorder


def fillQueue(case: Any, listener: socket.socket) -> list[socket.socket]:
    """
    Let C{listener} listen, and take all the places there are in its queue.

    @return: the sockets that have them; closed after the test.
    """
    listener.listen(0)
    held: list[socket.socket] = []
    while True:
        client = socket.socket()
        case.addCleanup(client.close)
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
        if client.connect_ex(listener.getsockname()) == errno.EALREADY:
            # This one waits: it would take the place that is tested.
            client.close()
            return held
        held.append(client)


class Waiter:
    """
    Remembers what it is told.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connectionReady(self, connection: Any) -> None:
        """
        There is a connection.
        """
        self.told.append(connection)

    def connectionFailed(self, reason: Exception) -> None:
        """
        There is none.
        """
        self.told.append(reason)


class DialCase(SynchronousTestCase):
    """
    A dialer on a reactor that only records, and a server.
    """

    def setUp(self) -> None:
        self.reactor = RecordingReactor()
        self.deadlines = Deadlines(self.reactor)
        self.dialer = SocketDialer(self.reactor, self.deadlines)
        self.waiter = Waiter()
        self.protocol = Recorder()

    def server(self, sockaddr: Sockaddr = ("127.0.0.1", 0)) -> socket.socket:
        """
        A listening socket.
        """
        server = socket.socket(familyOf(sockaddr))
        self.addCleanup(server.close)
        server.bind(sockaddr)
        server.listen(1)
        return server

    def dial(self, sockaddr: Sockaddr, **arguments: Any) -> Any:
        """
        Dial and remember.
        """
        arguments.setdefault("timeout", 3)
        return self.dialer.dial(sockaddr, self.protocol, self.waiter, **arguments)

    def failure(self) -> ConnectFailed:
        """
        The one failure that was told.
        """
        [reason] = self.waiter.told
        assert isinstance(reason, ConnectFailed)
        return reason


class DialTests(DialCase):
    """
    Servers on this machine: the outcome is known at once.
    """

    def checkConnected(self, server: socket.socket) -> socket.socket:
        """
        The protocol is connected to C{server}.

        @return: the server's end.
        """
        self.assertEqual(self.waiter.told, [self.protocol])
        sock, _ = server.accept()
        self.addCleanup(sock.close)
        transport: Any = self.protocol.transport
        self.addCleanup(transport.getHandle().close)
        self.assertIsInstance(transport, SocketTransport)
        self.assertEqual(self.reactor.readers, {transport})
        self.assertEqual(self.reactor.writers, set())
        transport.write(b"hello")
        self.assertEqual(sock.recv(5), b"hello")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        return sock

    def test_inet(self) -> None:
        """
        A TCP connection is ready, reads, and sends without delay.
        """
        server = self.server()
        giveUp = self.dial(server.getsockname())
        peer = self.checkConnected(server)
        giveUp()
        transport: Any = self.protocol.transport
        self.assertTrue(transport.getTcpNoDelay())
        self.assertEqual(transport.peerName, server.getsockname())
        self.assertEqual(transport.hostName, peer.getpeername())
        self.assertFalse(os.get_inheritable(transport.fileno()))

    def test_inet6(self) -> None:
        """
        So does one over IPv6.
        """
        server = self.server(("::1", 0, 0, 0))
        self.dial(server.getsockname())
        self.checkConnected(server)

    def test_unix(self) -> None:
        """
        So does one to a unix socket.
        """
        server = self.server(self.mktemp()[-90:])
        self.dial(server.getsockname())
        self.checkConnected(server)

    def test_refused(self) -> None:
        """
        Nobody listens: the text is nginx's for a connection that was tried.
        """
        server = self.server()
        sockaddr = server.getsockname()
        server.close()
        self.dial(sockaddr)
        reason = self.failure()
        self.assertEqual(str(reason), "connect() failed (111: Connection refused)")
        self.assertEqual(
            (reason.errno, reason.syscall, reason.immediate, reason.level),
            (errno.ECONNREFUSED, "connect", False, "error"),
        )
        self.assertEqual(self.reactor.getWriters(), [])

    def test_unixMissing(self) -> None:
        """
        Where the very call fails, the text has the address.
        """
        self.dial("/nonexistent/socket")
        reason = self.failure()
        self.assertEqual(
            str(reason),
            "connect() to unix:/nonexistent/socket failed"
            " (2: No such file or directory)",
        )
        self.assertEqual((reason.immediate, reason.level), (True, "crit"))

    def test_unixQueueFull(self) -> None:
        """
        A unix server that does not accept is a failure, as in nginx.
        """
        server = self.server(self.mktemp()[-90:])
        clients: list[Any] = []
        while not any(isinstance(told, Exception) for told in self.waiter.told):
            self.dial(server.getsockname())
            clients.append(self.protocol.transport)
        self.assertEqual(self.waiter.told[-1].errno, errno.EAGAIN)
        for client in set(clients):
            client.abortConnection()
        self.reactor.turn()

    def test_pathTooLong(self) -> None:
        """
        A path that is too long for the kernel is an ordinary failure.
        """
        self.dial("/tmp/" + "x" * 200)
        self.assertEqual(self.failure().errno, errno.EINVAL)

    def test_localAddress(self) -> None:
        """
        A connection can come from a given address.
        """
        server = self.server()
        self.dial(server.getsockname(), localAddress=("127.0.0.7", 0))
        peer = self.checkConnected(server)
        self.assertEqual(peer.getpeername()[0], "127.0.0.7")

    def test_bindFails(self) -> None:
        """
        A local address that is not ours, or of another family, is our own trouble.
        """
        server = self.server()
        self.dial(server.getsockname(), localAddress=("192.0.2.1", 0))
        reason = self.failure()
        self.assertEqual(
            str(reason), "bind(192.0.2.1) failed (99: Cannot assign requested address)"
        )
        self.assertEqual((reason.syscall, reason.level), ("bind", "crit"))
        self.waiter.told.clear()
        self.dial(server.getsockname(), localAddress=("::1", 0, 0, 0))
        self.assertEqual(self.failure().errno, errno.EAFNOSUPPORT)

    def test_options(self) -> None:
        """
        The options reach the socket.
        """
        server = self.server()
        options = DialOptions(
            keepalive=True, rcvbuf=50_000, sndbuf=60_000, noDelay=False, tos=16
        )
        self.dial(server.getsockname(), options=options)
        self.checkConnected(server)
        transport: Any = self.protocol.transport
        sock = transport.getHandle()
        self.assertTrue(transport.getTcpKeepAlive())
        self.assertFalse(transport.getTcpNoDelay())
        self.assertEqual(sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS), 16)
        self.assertGreaterEqual(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), 60_000
        )

    def test_waiterFails(self) -> None:
        """
        A waiter that raises is logged, and the connection ended.
        """

        def fail(connection: object) -> None:
            raise ZeroDivisionError

        self.waiter.connectionReady = fail  # type: ignore[method-assign]
        self.dial(self.server().getsockname())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.reactor.turn()
        self.assertEqual(self.protocol.events, ["lost"])


class WaitTests(DialCase):
    """
    A server that does not answer at once: its queue is full.
    """

    def setUp(self) -> None:
        super().setUp()
        self.full = self.server()
        self.held = fillQueue(self, self.full)

    def start(self) -> Any:
        """
        Dial, and find the attempt in the reactor.
        """
        self.giveUp = self.dial(self.full.getsockname())
        self.assertEqual(self.waiter.told, [])
        [attempt] = self.reactor.writers
        return attempt

    def test_interface(self) -> None:
        """
        An attempt is what reactors expect.
        """
        verifyObject(IReadWriteDescriptor, self.start())
        self.giveUp()
        self.reactor.turn()

    def test_timeout(self) -> None:
        """
        It fails after the given time.
        """
        self.start()
        self.reactor.advance(2.9)
        self.assertEqual(self.waiter.told, [])
        self.reactor.advance(0.2)
        [reason] = self.waiter.told
        self.assertIsInstance(reason, ConnectTimedOut)
        self.assertEqual(str(reason), "upstream timed out (110: Connection timed out)")
        self.assertEqual(self.reactor.getWriters(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_giveUp(self) -> None:
        """
        Who gives up is not told, and nothing stays behind.
        """
        attempt = self.start()
        self.giveUp()
        self.giveUp()
        self.assertEqual(self.reactor.getWriters(), [])
        self.reactor.turn()
        attempt.doWrite()
        attempt.connectionLost(Failure(ConnectionLost()))
        self.reactor.advance(10)
        self.assertEqual(self.waiter.told, [])
        self.assertEqual(attempt.fileno(), -1)

    def test_stray(self) -> None:
        """
        An event that is not meant for it changes nothing.
        """
        attempt = self.start()
        attempt.doWrite()
        attempt.doRead()
        self.assertEqual(self.waiter.told, [])
        self.assertEqual(self.reactor.getWriters(), [attempt])
        self.giveUp()
        self.reactor.turn()

    def test_reactorStops(self) -> None:
        """
        When the reactor disconnects everybody the attempt has failed.
        """
        attempt = self.start()
        attempt.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.failure().errno, errno.ECONNABORTED)


class LiveTests:
    """
    On a real reactor, given by C{OnEPoll} and its likes.
    """

    def start(self: Any) -> None:
        """
        Dial a server whose queue is full.
        """
        self.full = socket.socket()
        self.addCleanup(self.full.close)
        self.full.bind(("127.0.0.1", 0))
        self.held = fillQueue(self, self.full)
        self.protocol = Recorder()
        self.waiter = Waiter()
        self.deadlines = Deadlines(self.reactor)
        SocketDialer(self.reactor, self.deadlines).dial(
            self.full.getsockname(), self.protocol, self.waiter, timeout=5
        )

    def test_answersLater(self: Any) -> None:
        """
        The waiter is told when the server accepts at last.
        """
        self.start()
        self.reactor.iterate(0)
        self.assertEqual(self.waiter.told, [])
        # The kernel has to send its SYN once more, a second after the first.
        for _ in self.held:
            self.full.accept()[0].close()
        self.spin(lambda: self.waiter.told)
        self.assertEqual(self.waiter.told, [self.protocol])
        peer, _ = self.full.accept()
        peer.send(b"hello")
        self.spin(lambda: self.protocol.data == b"hello")
        peer.close()
        self.spin(lambda: "read" in self.protocol.events)
        self.protocol.transport.loseConnection()
        self.spin(lambda: "lost" in self.protocol.events)

    def test_refusedLater(self: Any) -> None:
        """
        The waiter is told when the server goes away meanwhile.
        """
        self.start()
        self.full.close()
        self.spin(lambda: self.waiter.told)
        [reason] = self.waiter.told
        self.assertEqual(reason.errno, errno.ECONNREFUSED)
        self.assertEqual(reason.message, "connect() failed")


class EPollTests(OnEPoll, LiveTests, SynchronousTestCase):
    """
    L{LiveTests} on epoll(7).
    """


class PollTests(OnPoll, LiveTests, SynchronousTestCase):
    """
    L{LiveTests} on poll(2).
    """


class AsyncioTests(OnAsyncio, LiveTests, SynchronousTestCase):
    """
    L{LiveTests} on asyncio.
    """
