"""
Tests of L{twisted_upstream.tls.handshake}.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.net.reactors import OnLeanEPoll
from tests.support.tls import SERVER, TLSClient, socketPair
from twisted_upstream.net.transport import SocketTransport
from twisted_upstream.tls.context import Settings, serverContext
from twisted_upstream.tls.files import KeyPair
from twisted_upstream.tls.handshake import Handshake, HandshakeFailed, Turns
from twisted_upstream.tls.socket import TLSSocket


class TurnsTests(SynchronousTestCase):
    """
    L{Turns}.
    """

    def test_limit(self) -> None:
        """
        So many at once, the others one turn later each, in order.
        """
        clock = Clock()
        turns = Turns(clock, 2)
        done: list[int] = []
        for number in range(5):
            turns.take(partial(done.append, number))
        self.assertEqual(done, [0, 1])
        clock.calls.pop(0).func()
        self.assertEqual(done, [0, 1, 2, 3])
        clock.calls.pop(0).func()
        self.assertEqual(done, [0, 1, 2, 3, 4])

    def test_idle(self) -> None:
        """
        Nothing is left to be called when nobody wants a turn.
        """
        clock = Clock()
        turns = Turns(clock, 2)
        for _ in range(3):
            turns.take(lambda: None)
        for _ in range(3):
            clock.advance(0)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """
        A step that wants another one does not keep the others from theirs.
        """
        clock = Clock()
        turns = Turns(clock, 1)
        done: list[str] = []

        def greedy() -> None:
            done.append("greedy")
            if len(done) < 6:
                turns.take(greedy)

        turns.take(greedy)
        turns.take(partial(done.append, "other"))
        for _ in range(3):
            clock.calls.pop(0).func()
        self.assertIn("other", done[:3])

    def test_pause(self) -> None:
        """
        When all else had its time there is a new share, without a delayed call.
        """
        clock = Clock()
        turns = Turns(clock, 1)
        done: list[int] = []
        for number in range(3):
            turns.take(partial(done.append, number))
            clock.rightNow += 0.001
        self.assertEqual(done, [0, 1, 2])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_longStep(self) -> None:
        """
        The time of the steps themselves is not everything else's.
        """
        clock = Clock()
        turns = Turns(clock, 2)
        done: list[int] = []

        def step(number: int) -> None:
            clock.rightNow += 0.01
            done.append(number)

        for number in range(4):
            turns.take(partial(step, number))
        self.assertEqual(done, [0, 1])

    def test_broken(self) -> None:
        """
        A step that fails is not the others' loss.
        """
        clock = Clock()
        turns = Turns(clock, 1)
        done: list[int] = []

        def fail() -> None:
            raise ValueError("a step")

        for step in (lambda: None, fail, partial(done.append, 1)):
            turns.take(step)
        self.assertRaises(ValueError, clock.advance, 0)
        clock.advance(0)
        self.assertEqual(done, [1])


class Server(Handshake):
    """
    Hands over to a transport, or keeps the socket.
    """

    handsOver = True
    transport: SocketTransport | None = None
    keeps = False

    def __init__(self, sock: socket.socket, reactor: Any) -> None:
        super().__init__(sock, reactor, Turns(reactor))
        self.data = b""

    def handshakeDone(self, sock: socket.socket, connection: SSL.Connection) -> None:
        """
        Part of L{Handshake}, as C{handshakeFailed}.
        """
        protocol: Any = self
        self.transport = SocketTransport.overTLS(
            TLSSocket(sock, connection), self._reactor, protocol
        )
        if not self.keeps:
            self.handOver(self.transport)

    def handshakeFailed(self, reason: HandshakeFailed) -> None:
        raise AssertionError(reason)

    def dataReceived(self, data: bytes) -> None:
        """
        The transport's protocol.
        """
        self.data += data


class HandOverTests(OnLeanEPoll, SynchronousTestCase):
    """
    From a handshake to its transport, on the reactor of our processes.
    """

    def meet(self, *, keeps: bool) -> Server:
        """
        Shake hands, and send something after that.
        """
        reactor = self.reactor
        ours, theirs = socketPair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        key = crypto.PKey.from_cryptography_key(SERVER.key)
        pair = KeyPair("c", (SERVER.der,), "k", SERVER.keyPem, key)
        server = Server(ours, reactor)
        server.keeps = keeps
        connection = SSL.Connection(serverContext(Settings(pairs=(pair,))).ssl, ours)
        connection.set_accept_state()

        def settle() -> None:
            for _ in range(3):
                reactor.runUntilCurrent()
                reactor.doPoll(0)

        client = TLSClient(theirs, settle)
        server.begin(connection)
        client.shakesHands()
        client.says(b"more")
        self.assertIsNotNone(server.transport)
        return server

    def readers(self) -> set[object]:
        """
        Who reads, the reactor itself aside.
        """
        return set(self.reactor.getReaders()) - set(self.reactor._internalReaders)

    def test_replaced(self) -> None:
        """
        The transport reads in the handshake's place, and can leave.
        """
        server = self.meet(keeps=False)
        self.assertEqual(server.data, b"more")
        self.assertEqual(self.readers(), {server.transport})
        assert server.transport is not None
        server.transport.abortConnection()
        self.assertEqual(self.readers(), set())

    def test_kept(self) -> None:
        """
        Nobody reads where it is not handed over at once; later it is.
        """
        server = self.meet(keeps=True)
        self.assertEqual(self.readers(), set())
        self.assertEqual(server.data, b"")
        assert server.transport is not None
        server.handOver(server.transport)
        self.reactor.doPoll(0)
        self.assertEqual(server.data, b"more")
        server.transport.abortConnection()
