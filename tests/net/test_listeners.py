"""
Tests for L{twisted_upstream.net.listeners}.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_upstream.net.bound import BACKLOG, ListenError, ListenOptions
from twisted_upstream.net.listeners import EXHAUSTED_DELAY, Listener, Listeners
from twisted_upstream.net.sockaddr import Sockaddr, familyOf

from .reactors import OnAsyncio, OnEPoll, OnPoll, RecordingReactor


class ListenCase(SynchronousTestCase):
    """
    Listeners on a reactor that only records.
    """

    def setUp(self) -> None:
        self.reactor = RecordingReactor()
        self.listeners = Listeners(self.reactor)
        self.taken: list[tuple[socket.socket, Sockaddr]] = []

    def listen(self, sockaddr: Sockaddr = ("127.0.0.1", 0), **options: Any) -> Listener:
        """
        A listener that has started and collects what it accepts.
        """
        listener = self.listeners.open(sockaddr, ListenOptions(**options))
        self.addCleanup(listener.close)
        listener.accepted = self.take
        listener.start()
        return listener

    def take(self, sock: socket.socket, peerName: Sockaddr) -> None:
        """
        An accepted connection.
        """
        self.addCleanup(sock.close)
        self.taken.append((sock, peerName))

    def client(self, listener: Listener) -> socket.socket:
        """
        A connection to C{listener}.
        """
        client = socket.socket(familyOf(listener.sockaddr))
        self.addCleanup(client.close)
        client.connect(listener.sockaddr)
        return client

    def option(self, listener: Listener, level: int, name: int) -> int:
        """
        An option of the listening socket.
        """
        with socket.socket(fileno=os.dup(listener.fileno())) as sock:
            return sock.getsockopt(level, name)


class AcceptTests(ListenCase):
    """
    Accepting.
    """

    def test_interface(self) -> None:
        """
        A listener is what reactors expect.
        """
        verifyObject(IReadDescriptor, self.listen())

    def test_accepts(self) -> None:
        """
        Connections are handed over non-blocking, without delay, with the peer's address.
        """
        listener = self.listen()
        client = self.client(listener)
        listener.doRead()
        [(sock, peerName)] = self.taken
        self.assertEqual(peerName, client.getsockname())
        self.assertFalse(sock.getblocking())
        self.assertTrue(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertFalse(os.get_inheritable(sock.fileno()))

    def test_nobodyThere(self) -> None:
        """
        An event without a connection is harmless.
        """
        self.listen().doRead()
        self.assertEqual(self.taken, [])

    def test_burst(self) -> None:
        """
        More clients than nginx has room for wait until they are accepted.
        """
        limit = Path("/proc/sys/net/core/somaxconn")
        room = min(BACKLOG, int(limit.read_text()) if limit.exists() else 0)
        if room < 600 or resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1000:
            raise SkipTest("this system does not let so many connections wait")
        listener = self.listen()
        for _ in range(600):
            client = socket.socket()
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(listener.sockaddr)
            # Raises for who is not connected.
            client.getpeername()

    def test_limit(self) -> None:
        """
        One connection is accepted at a wake-up, unless more are allowed.
        """
        listener = self.listen()
        for _ in range(5):
            self.client(listener)
        listener.doRead()
        self.assertEqual(len(self.taken), 1)
        self.listeners.acceptLimit = 10
        listener.doRead()
        self.assertEqual(len(self.taken), 5)

    def test_replaced(self) -> None:
        """
        Another can take the connections, without a new socket.
        """
        listener = self.listen()
        self.client(listener)
        other: list[socket.socket] = []
        listener.accepted = lambda sock, peerName: other.append(sock)
        listener.doRead()
        self.assertEqual((len(other), self.taken), (1, []))
        other[0].close()

    def test_failing(self) -> None:
        """
        An exception of who takes a connection is logged, and closes only that one.
        """
        listener = self.listen()

        def fail(sock: socket.socket, peerName: Sockaddr) -> None:
            raise ZeroDivisionError

        listener.accepted = fail
        client = self.client(listener)
        listener.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(client.recv(1), b"")
        self.assertIn(listener, self.reactor.readers)

    def test_stopped(self) -> None:
        """
        While stopped, connections wait, and are accepted after starting again.
        """
        listener = self.listen()
        self.listeners.stopAll()
        self.assertEqual(self.reactor.getReaders(), [])
        self.client(listener)
        listener.doRead()
        self.assertEqual(self.taken, [])
        listener.start()
        listener.doRead()
        self.assertEqual(len(self.taken), 1)

    def test_noDescriptors(self) -> None:
        """
        When descriptors run out, nobody accepts for half a second and clients wait.
        """
        first, second = self.listen(), self.listen()
        self.client(first)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            first.doRead()
            self.reactor.advance(EXHAUSTED_DELAY)
            self.assertEqual(self.reactor.readers, {first, second})
            first.doRead()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(self.reactor.getReaders(), [])
        self.client(second)
        second.doRead()
        late = self.listen()
        self.assertEqual(self.taken, [])
        self.reactor.advance(EXHAUSTED_DELAY)
        self.assertEqual(self.reactor.readers, {first, second, late})
        first.doRead()
        second.doRead()
        self.assertEqual(len(self.taken), 2)

    def test_closedWhileExhausted(self) -> None:
        """
        Closing the last one leaves no delayed call behind.
        """
        listener = self.listen()
        self.client(listener)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            listener.doRead()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        listener.close()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class OpenTests(ListenCase):
    """
    Opening, adopting and closing.
    """

    def test_inUse(self) -> None:
        """
        An address that is in use is refused with nginx's words.
        """
        listener = self.listen()
        error = self.assertRaises(ListenError, self.listeners.open, listener.sockaddr)
        self.assertEqual(
            str(error),
            f"bind() to {listener.name} failed (98: Address already in use)",
        )
        self.assertEqual(error.errno, errno.EADDRINUSE)

    def test_notOurs(self) -> None:
        """
        An address of another machine is refused.
        """
        error = self.assertRaises(ListenError, self.listeners.open, ("192.0.2.1", 80))
        self.assertEqual(error.errno, errno.EADDRNOTAVAIL)
        self.assertEqual(error.message, "bind() to 192.0.2.1:80 failed")

    def test_reuseport(self) -> None:
        """
        With C{reuseport} an address can be opened several times, also when the first
        socket got the option later.
        """
        first = self.listen()
        first.configure(ListenOptions(reuseport=True))
        second = self.listeners.open(first.sockaddr, ListenOptions(reuseport=True))
        self.addCleanup(second.close)
        self.assertEqual(second.sockaddr, first.sockaddr)

    def test_unix(self) -> None:
        """
        Everybody may connect to a unix socket; its file is deleted only when asked.
        """
        path = self.mktemp()[-90:]
        listener = self.listen(path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o666)
        self.client(listener)
        listener.doRead()
        self.assertEqual(self.taken[0][1], "")
        listener.close()
        self.assertTrue(os.path.exists(path))
        error = self.assertRaises(ListenError, self.listeners.open, path)
        self.assertEqual(
            str(error), f"bind() to unix:{path} failed (98: Address already in use)"
        )
        os.unlink(path)
        again = self.listeners.open(path)
        again.close(unlink=True)
        again.close(unlink=True)
        self.assertFalse(os.path.exists(path))

    def test_unixPathTooLong(self) -> None:
        """
        A path that is too long is refused like every other.
        """
        self.assertRaises(ListenError, self.listeners.open, "/tmp/" + "x" * 200)

    def test_ipv6(self) -> None:
        """
        An IPv6 wildcard leaves the same port of IPv4 to others, unless told otherwise.
        """
        one = self.listen(("::", 0, 0, 0))
        port: Any = one.sockaddr[1]
        other = self.listen(("0.0.0.0", port))
        self.assertEqual(other.name, f"0.0.0.0:{port}")
        both = self.listen(("::", 0, 0, 0), ipv6only=False)
        self.assertRaises(
            ListenError, self.listeners.open, ("0.0.0.0", both.sockaddr[1])
        )

    def test_options(self) -> None:
        """
        The options of C{listen} reach the socket, at once or with a reload.
        """
        listener = self.listen()
        listener.configure(
            ListenOptions(
                rcvbuf=50_000,
                sndbuf=60_000,
                soKeepalive=True,
                keepaliveIdle=11,
                keepaliveInterval=12,
                keepaliveCount=3,
                deferred=True,
                fastopen=7,
            )
        )
        tcp = socket.IPPROTO_TCP
        self.assertTrue(self.option(listener, socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        self.assertGreaterEqual(
            self.option(listener, socket.SOL_SOCKET, socket.SO_RCVBUF), 50_000
        )
        self.assertEqual(self.option(listener, tcp, socket.TCP_KEEPIDLE), 11)
        self.assertEqual(self.option(listener, tcp, socket.TCP_KEEPINTVL), 12)
        self.assertEqual(self.option(listener, tcp, socket.TCP_KEEPCNT), 3)
        # Missing from some interpreters' socket module.
        fastopen = getattr(socket, "TCP_FASTOPEN", 23)
        self.assertEqual(self.option(listener, tcp, fastopen), 7)
        self.assertGreater(self.option(listener, tcp, socket.TCP_DEFER_ACCEPT), 0)
        listener.configure(ListenOptions())
        self.assertEqual(self.option(listener, tcp, socket.TCP_DEFER_ACCEPT), 0)
        self.assertEqual(self.option(listener, tcp, socket.TCP_KEEPIDLE), 11)

    def test_adopted(self) -> None:
        """
        An inherited socket goes on with what waits in it; closing it does not end the
        other's.
        """
        original = self.listen()
        self.client(original)
        adopted = self.listeners.adopt(os.dup(original.fileno()))
        self.assertEqual(adopted.sockaddr, original.sockaddr)
        self.assertFalse(os.get_inheritable(adopted.fileno()))
        adopted.accepted = self.take
        adopted.start()
        adopted.doRead()
        self.assertEqual(len(self.taken), 1)
        adopted.close()
        self.client(original)
        original.doRead()
        self.assertEqual(len(self.taken), 2)

    def test_adoptsOnlySockets(self) -> None:
        """
        What is no stream socket is refused, and stays open.
        """
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        self.assertRaises(ListenError, self.listeners.adopt, reading)
        with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            self.assertRaises(ListenError, self.listeners.adopt, datagrams.fileno())
            datagrams.getsockname()

    def test_reactorStops(self) -> None:
        """
        When the reactor disconnects everybody the socket is closed.
        """
        listener = self.listen()
        listener.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(listener.fileno(), -1)
        listener.close()


class LiveTests:
    """
    On a real reactor, given by C{OnEPoll} and its likes.
    """

    def test_accepts(self: Any) -> None:
        """
        The reactor wakes a listener for each connection.
        """
        listeners = Listeners(self.reactor)
        listener = listeners.open(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        taken: list[socket.socket] = []
        listener.accepted = lambda sock, peerName: taken.append(sock)
        listener.start()
        address: Any = listener.sockaddr
        clients = [socket.create_connection(address) for _ in range(5)]
        self.spin(lambda: len(taken) == 5)
        listener.close()
        self.reactor.iterate(0)
        for sock in taken + clients:
            sock.close()


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
