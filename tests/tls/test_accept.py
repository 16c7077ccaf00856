"""
Tests for L{twisted_upstream.tls.accept}.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.tls.accept import Accept
from twisted_upstream.tls.handshake import HandshakeFailed, Turns

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
