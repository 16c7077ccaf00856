"""
Tests for L{twisted_upstream.http.pace}.
"""

from __future__ import annotations

import os
import tempfile
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.http.pace import Pace
from twisted_upstream.net.deadline import Deadlines


class Reply:
    """
    Writes down what is sent, and when.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.sent: list[tuple[float, bytes]] = []
        self.heads = b""
        self.connection: Any = SimpleNamespace(
            transport=SimpleNamespace(pending=0, write=self.writeHead)
        )

    def writeHead(self, data: bytes) -> None:
        """
        Bytes of the head.
        """
        self.heads += data

    def writeBody(self, data: bytes) -> None:
        """
        Bytes.
        """
        self.sent.append((self._clock.seconds(), data))

    def writeRegion(self, fd: int, offset: int, count: int) -> None:
        """
        A part of a file.
        """
        self.writeBody(os.pread(fd, count, offset))

    def data(self) -> bytes:
        """
        All of it.
        """
        return b"".join(data for _, data in self.sent)


class PaceTests(SynchronousTestCase):
    """
    L{Pace}.
    """

    def setUp(self) -> None:
        """
        A clock and who sends.
        """
        self.clock = Clock()
        self.reply = Reply(self.clock)

    def pace(self, rate: int, after: int = 0) -> Pace:
        """
        A pace.
        """
        return Pace(self.reply, rate, after, self.clock.seconds, Deadlines(self.clock))

    def test_neverFaster(self) -> None:
        """
        At no time is more sent than the rate allows, counted in whole seconds from the
        one that it began in; and all is sent in the end, in order.
        """
        data = bytes(range(256)) * 40
        pace = self.pace(1000)
        pace.add(data[:5000])
        pace.add(data[5000:])
        for _ in range(200):
            self.assertLessEqual(
                len(self.reply.data()), 1000 * (int(self.clock.seconds()) + 1)
            )
            self.clock.advance(0.1)
        self.assertEqual(self.reply.data(), data)
        self.assertEqual(pace.waiting, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_head(self) -> None:
        """
        The head counts, and is not framed as the body is.
        """
        pace = self.pace(100)
        pace.begin(b"h" * 250, b"b" * 100)
        self.assertEqual((len(self.reply.heads), self.reply.data()), (100, b""))
        self.clock.pump([0.1] * 50)
        self.assertEqual(self.reply.heads, b"h" * 250)
        self.assertEqual(self.reply.data(), b"b" * 100)
        self.assertGreater(self.reply.sent[-1][0], 2.0)

    def test_notMuchSlower(self) -> None:
        """
        The rate is used.
        """
        pace = self.pace(1000)
        pace.add(b"x" * 10000)
        self.clock.pump([0.1] * 115)
        self.assertEqual(len(self.reply.data()), 10000)

    def test_after(self) -> None:
        """
        So many bytes are not limited.
        """
        pace = self.pace(1000, 5000)
        pace.add(b"x" * 10000)
        self.assertGreaterEqual(len(self.reply.data()), 5000)
        self.assertLessEqual(len(self.reply.data()), 6000)

    def test_regions(self) -> None:
        """
        Parts of files and bytes stay in order.
        """
        with tempfile.TemporaryFile(buffering=0) as file:
            file.write(b"0123456789" * 300)
            pace = self.pace(700)
            pace.add(b"<" * 500)
            pace.addRegion(file.fileno(), 10, 2000)
            pace.add(b">")
            self.clock.pump([0.1] * 100)
        self.assertEqual(self.reply.data(), b"<" * 500 + b"0123456789" * 200 + b">")

    def test_drained(self) -> None:
        """
        Who waits for the end is told once.
        """
        pace = self.pace(1000)
        pace.add(b"x" * 2500)
        told: list[float] = []
        pace.drained = lambda: told.append(self.clock.seconds())
        self.clock.pump([0.1] * 100)
        self.assertEqual(len(told), 1)
        self.assertGreater(told[0], 1.0)

    def test_slowNetwork(self) -> None:
        """
        While the network owes something, nothing is added to it.
        """
        pace = self.pace(1000)
        self.reply.connection.transport.pending = 1
        pace.add(b"x" * 100)
        self.clock.pump([0.1] * 50)
        self.assertEqual(self.reply.data(), b"")
        self.reply.connection.transport.pending = 0
        self.clock.pump([0.1] * 2)
        self.assertEqual(len(self.reply.data()), 100)

    def test_stop(self) -> None:
        """
        What waits can be forgotten.
        """
        pace = self.pace(1000)
        pace.add(b"x" * 5000)
        pace.stop()
        sent = len(self.reply.data())
        self.clock.pump([1.0] * 10)
        self.assertEqual(len(self.reply.data()), sent)
        self.assertEqual(self.clock.getDelayedCalls(), [])
