"""
Joined connections over real sockets: the same through a pipe as by copying.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from tests.net.reactors import OnAsyncio, OnEPoll, OnPoll, RealReactors
from twisted_upstream.net.deadline import Deadlines
from twisted_upstream.net.splice import Pipes, available
from twisted_upstream.net.transport import SocketTransport
from twisted_upstream.upstream.connection import UpstreamProtocol
from twisted_upstream.upstream.relay import End, Relay

_BULK = 6 << 20


def _socketPair() -> tuple[socket.socket, socket.socket]:
    """
    Two ends of one TCP connection, non-blocking.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = socket.create_connection(listening.getsockname())
        other, _ = listening.accept()
    for end in (one, other):
        end.setblocking(False)
    return one, other


class Far:
    """
    A client or server at the other end of a joined connection.

    @ivar received: what it has read.
    @ivar ended: did it see the end of its input?
    @ivar reset: did it see a reset?
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.received = 0
        self.digest = hashlib.sha256()
        self.tail = b""
        self.ended = self.reset = False
        self.unsent = memoryview(b"")

    def turn(self, reading: bool = True) -> None:
        """
        Send and read what is possible now.
        """
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent[: 1 << 20]) :]
        except BlockingIOError:
            pass
        except OSError:
            self.reset = True
        try:
            while reading and not (self.ended or self.reset):
                data = self.socket.recv(1 << 20)
                self.received += len(data)
                self.digest.update(data)
                self.tail = (self.tail + data)[-100:]
                self.ended = not data
        except BlockingIOError:
            pass
        except OSError:
            self.reset = True


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class RelayCases(RealReactors):
    """
    What a relay does on either path.

    @cvar piped: may there be pipes?
    """

    piped = False
    case: Any
    relay: Any

    def setUp(self) -> None:
        super().setUp()
        self.pipes = Pipes(4 if self.piped else 0)
        self.deadlines = Deadlines(self.reactor)
        self.ends: list[End] = []

    def tearDown(self) -> None:
        self.relay.stop()
        for connection in (self.near, self.nearServer):
            connection.close()
        for far in (self.client, self.server):
            far.socket.close()
        self.reactor.iterate(0)
        self.reactor.iterate(0)
        assert self.pipes.open <= 4
        self.pipes.close()
        assert self.pipes.open == 0, "a pipe was lost"
        self.deadlines.stop()
        super().tearDown()

    def join(
        self,
        *,
        halfClose: bool = False,
        timeout: float = 60.0,
        rates: tuple[int, int] = (0, 0),
        firstByte: Callable[[], None] | None = None,
        early: bytes = b"",
    ) -> None:
        """
        A client and a server, with a relay between them.
        """
        connections = []
        fars = []
        for _ in range(2):
            near, far = _socketPair()
            connection = UpstreamProtocol(self.deadlines.new(lambda: None), 0.0, 0)
            transport = SocketTransport(near, self.reactor, connection)
            connection.makeConnection(transport)
            connections.append(connection)
            fars.append(Far(far))
        self.near, self.nearServer = connections
        self.client, self.server = fars
        self.relay = Relay(
            self.near,
            self.nearServer,
            bufferSize=16384,
            timeout=timeout,
            halfClose=halfClose,
            done=self.ends.append,
            firstByte=firstByte,
            pipes=self.pipes,
        )
        if rates != (0, 0):
            seconds = self.reactor.seconds
            self.relay.limitRates(*rates, seconds(), seconds, self.deadlines)
        self.relay.begin(early)

    def until(self, condition: Callable[[], object], reading: bool = True) -> None:
        """
        Let everybody work until C{condition} is true.
        """

        def turn() -> object:
            self.client.turn(reading)
            self.server.turn(reading)
            return condition()

        self.spin(turn)

    def stall(self) -> None:
        """
        Let the server send until the client, which does not read, takes no more.
        """
        before = -1
        for _ in range(2000):
            self.server.turn(False)
            self.reactor.iterate(0.001)
            received = self.nearServer.transport.bytesReceived
            if received == before and self.near.transport.pending:
                return
            before = received
        self.case.fail("the client takes everything")

    def clientHas(self, size: int) -> bool:
        """
        Did the client receive so much?
        """
        return self.client.received == size

    def usesPipe(self) -> bool:
        """
        Does any direction move through a pipe now?
        """
        return bool(self.relay._up._input or self.relay._down._input)

    def test_bulkBothWays(self) -> None:
        """
        Much data in both directions at once arrives whole, and is counted.
        """
        random = Random(1)
        self.join()
        up, down = random.randbytes(_BULK), random.randbytes(_BULK + 12345)
        self.client.unsent, self.server.unsent = memoryview(up), memoryview(down)
        both = len(up) + len(down)
        self.until(lambda: self.server.received + self.client.received == both)
        self.case.assertEqual(self.pipes.open > 0, self.piped)
        self.case.assertEqual(self.server.digest.digest(), hashlib.sha256(up).digest())
        self.case.assertEqual(
            self.client.digest.digest(), hashlib.sha256(down).digest()
        )
        client, server = self.near.transport, self.nearServer.transport
        self.case.assertEqual(client.bytesReceived, len(up))
        self.case.assertEqual(server.bytesSent, len(up))
        self.case.assertEqual(server.bytesReceived, len(down))
        self.case.assertEqual(client.bytesSent, len(down))
        self.case.assertEqual(self.ends, [])

    def test_smallAfterBulk(self) -> None:
        """
        After a bulk transfer small packets go on, and no pipe is kept for them.
        """
        self.join()
        self.server.unsent = memoryview(bytes(_BULK))
        self.until(lambda: self.client.received == _BULK)
        for size in (_BULK + 5, _BULK + 10, _BULK + 15):
            self.server.unsent = memoryview(b"small")
            self.until(partial(self.clientHas, size))
        self.case.assertEqual(self.client.tail[-15:], b"small" * 3)
        self.case.assertFalse(self.usesPipe())

    def test_early(self) -> None:
        """
        What the client said before is passed on first.
        """
        self.join(early=b"early ")
        self.client.unsent = memoryview(b"late")
        self.until(lambda: self.server.received == 10)
        self.case.assertEqual(self.server.tail, b"early late")

    def test_endFlushes(self) -> None:
        """
        Without half-close the end of one side is the end, after its data is delivered.
        """
        self.join()
        self.server.unsent = memoryview(bytes(_BULK))
        self.until(lambda: not self.server.unsent)
        self.server.socket.shutdown(socket.SHUT_WR)
        self.until(lambda: self.ends)
        self.case.assertEqual(self.ends, [End.SERVER])
        self.until(lambda: self.client.received == _BULK)

    def test_clientEnds(self) -> None:
        """
        The same from the client's side.
        """
        self.join()
        self.client.socket.shutdown(socket.SHUT_WR)
        self.until(lambda: self.ends)
        self.case.assertEqual(self.ends, [End.CLIENT])

    def test_halfClose(self) -> None:
        """
        With half-close an end is passed on, and the other direction goes on.
        """
        self.join(halfClose=True)
        self.client.unsent = memoryview(bytes(_BULK))
        self.until(lambda: not self.client.unsent)
        self.client.socket.shutdown(socket.SHUT_WR)
        self.until(lambda: self.server.ended)
        self.case.assertEqual(self.server.received, _BULK)
        self.case.assertEqual(self.ends, [])
        self.server.unsent = memoryview(bytes(_BULK))
        self.until(lambda: not self.server.unsent)
        self.server.socket.shutdown(socket.SHUT_WR)
        self.until(lambda: self.client.ended)
        self.case.assertEqual(self.client.received, _BULK)
        self.until(lambda: self.ends)
        self.case.assertEqual(self.ends, [End.SERVER])

    def test_lostAfterHalfClose(self) -> None:
        """
        A side that is lost after it has ended its output ends the session.
        """
        self.join(halfClose=True)
        self.server.socket.shutdown(socket.SHUT_WR)
        self.until(lambda: self.client.ended)
        self.server.socket.close()

        def over() -> object:
            # The first byte makes the kernel notice, a later one us.
            self.client.unsent = memoryview(b"x")
            return self.ends

        self.until(over)

    def test_slowReader(self) -> None:
        """
        A sender is held back while the receiver reads nothing: little waits here.
        """
        self.join()
        self.server.unsent = memoryview(bytes(40 << 20))
        self.stall()
        self.case.assertGreater(len(self.server.unsent), 0)
        limit = (1 << 20) if self.piped else (272 << 10)
        self.case.assertLessEqual(self.near.transport.pending, limit)
        self.until(lambda: self.client.received == 40 << 20)

    def test_abort(self) -> None:
        """
        A receiver that goes in the middle ends the session; nothing is left open.
        """
        before = _descriptors() if sys.platform == "linux" else 0
        self.join()
        self.server.unsent = memoryview(bytes(40 << 20))
        self.until(lambda: self.client.received > 2 << 20)
        for _ in range(20):
            self.server.turn(False)
            self.reactor.iterate(0)
        self.client.socket.close()
        self.client.ended = True
        self.spin(lambda: self.ends)
        self.case.assertEqual(self.ends, [End.CLIENT])
        self.near.close()
        self.nearServer.close()
        self.server.socket.close()
        self.reactor.iterate(0)
        self.reactor.iterate(0)
        self.pipes.close()
        self.case.assertEqual(self.pipes.open, 0)
        if before:
            self.case.assertLessEqual(_descriptors(), before)

    def test_stopWhileWaiting(self) -> None:
        """
        A relay that is stopped while data waits for a slow receiver leaves nothing.
        """
        self.join()
        self.server.unsent = memoryview(bytes(40 << 20))
        self.until(lambda: self.client.received > 2 << 20)
        self.stall()
        self.case.assertGreater(self.near.transport.pending, 0)
        self.relay.stop()
        self.near.close()
        self.nearServer.close()
        self.reactor.iterate(0)
        self.pipes.close()
        self.case.assertEqual(self.pipes.open, 0)
        self.case.assertEqual(self.ends, [])

    def test_flushAfterStop(self) -> None:
        """
        What already waits is still sent if its connection is closed in peace.
        """
        self.join()
        size = 40 << 20
        self.server.unsent = memoryview(bytes(size))
        self.until(lambda: self.client.received > 2 << 20)
        self.stall()
        transport = self.near.transport
        whole = transport.bytesSent + transport.pending
        self.relay.stop()
        transport.loseConnection()
        self.until(lambda: self.client.ended)
        self.case.assertEqual(self.client.received, whole)

    def test_timeout(self) -> None:
        """
        Silence on both sides ends it.
        """
        self.join(timeout=0.05)
        self.until(lambda: self.ends)
        self.case.assertEqual(self.ends, [End.TIMEOUT])

    def test_timeoutWithoutProgress(self) -> None:
        """
        So does a receiver that takes nothing any more.
        """
        self.join(timeout=0.1)
        self.server.unsent = memoryview(bytes(40 << 20))
        self.until(lambda: self.ends, reading=False)
        self.case.assertEqual(self.ends, [End.TIMEOUT])

    def test_firstByte(self) -> None:
        """
        The server's first word is told once, before it is passed on.
        """
        told: list[int] = []
        self.join(firstByte=lambda: told.append(self.near.transport.bytesSent))
        self.server.unsent = memoryview(b"one")
        self.until(lambda: self.client.received == 3)
        self.server.unsent = memoryview(b"two")
        self.until(lambda: self.client.received == 6)
        self.case.assertEqual(told, [0])

    def test_firstByteIsTheEnd(self) -> None:
        """
        An end without a word counts as one.
        """
        told: list[int] = []
        self.join(firstByte=lambda: told.append(1))
        self.server.socket.close()
        self.server.ended = True
        self.until(lambda: self.ends)
        self.case.assertEqual(told, [1])

    def test_rate(self) -> None:
        """
        A direction that is limited takes no more than so much per second; the
        other one is not, and all arrives.
        """
        rate = 4 << 20
        self.join(rates=(0, rate))
        self.server.unsent = self.client.unsent = memoryview(bytes(_BULK))
        start = self.reactor.seconds()
        self.until(lambda: self.server.received == _BULK)
        self.case.assertLess(self.client.received, _BULK)
        self.until(lambda: self.client.received == _BULK)
        took = self.reactor.seconds() - start
        self.case.assertGreater(took, 0.4)

    def test_stopWhileAsleep(self) -> None:
        """
        A relay that is stopped while a direction sleeps leaves no time-out behind.
        """
        self.join(rates=(100, 0))
        self.client.unsent = memoryview(bytes(30))
        self.until(lambda: self.server.received == 30)
        self.case.assertFalse(self.nearServer.deadline.active)
        self.relay.stop()
        self.case.assertFalse(self.nearServer.deadline.active)

    def test_sleepHasNoTimeout(self) -> None:
        """
        While a direction sleeps for its rate, the time-out does not run.
        """
        self.join(rates=(100, 0), timeout=0.05)
        self.client.unsent = memoryview(bytes(30))
        self.until(lambda: self.server.received == 30)
        start = self.reactor.seconds()
        self.until(lambda: self.ends)
        self.case.assertGreater(self.reactor.seconds() - start, 0.3)


class _Case(SynchronousTestCase):
    @property
    def case(self) -> Any:
        """
        For the assertions of the mixed-in behaviours.
        """
        return self


class CopyingEPollTests(OnEPoll, RelayCases, _Case):
    """
    By copying, on epoll(7).
    """


class CopyingPollTests(OnPoll, RelayCases, _Case):
    """
    By copying, on poll(2).
    """


class CopyingAsyncioTests(OnAsyncio, RelayCases, _Case):
    """
    By copying, on asyncio.
    """


_PIPES = skipUnless(available(), "splice(2) is not to be had here")


@_PIPES
class PipeEPollTests(OnEPoll, RelayCases, _Case):
    """
    Through pipes, on epoll(7).
    """

    piped = True


@_PIPES
class PipePollTests(OnPoll, RelayCases, _Case):
    """
    Through pipes, on poll(2).
    """

    piped = True


@_PIPES
class PipeAsyncioTests(OnAsyncio, RelayCases, _Case):
    """
    Through pipes, on asyncio.
    """

    piped = True
