"""
Tests for L{twisted_upstream.upstream.keepalive}.
"""

from __future__ import annotations

from collections.abc import Hashable
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.peer import Sockaddr
from twisted_upstream.upstream.keepalive import KeepaliveCache

A: tuple[Sockaddr, Hashable] = (("127.0.0.1", 8081), None)
B: tuple[Sockaddr, Hashable] = (("127.0.0.1", 8082), None)
SECURE: tuple[Sockaddr, Hashable] = (("127.0.0.1", 8081), "example.org")


class Idle:
    """
    A connection that knows whether it was closed.
    """

    closed = 0

    def close(self) -> None:
        self.closed += 1


class KeepaliveCacheTests(SynchronousTestCase):
    """
    Tests for L{KeepaliveCache}.
    """

    def setUp(self) -> None:
        self.clock = Clock()

    def makeCache(self, size: int = 4, local: bool = False) -> KeepaliveCache[Idle]:
        return KeepaliveCache(size, timeout=60, clock=self.clock, local=local)

    def test_nothingThere(self) -> None:
        """
        An empty cache has no connection.
        """
        self.assertIsNone(self.makeCache().take(A))

    def test_takenOnce(self) -> None:
        """
        A connection that was taken is nobody else's, and is not closed.
        """
        cache, connection = self.makeCache(), Idle()
        cache.put(A, connection)
        self.assertEqual(len(cache), 1)
        self.assertIs(cache.take(A), connection)
        self.assertIsNone(cache.take(A))
        self.assertEqual((len(cache), connection.closed), (0, 0))

    def test_latestFirst(self) -> None:
        """
        Of several connections the one put last is taken.
        """
        cache, first, second = self.makeCache(), Idle(), Idle()
        cache.put(A, first)
        cache.put(A, second)
        self.assertIs(cache.take(A), second)
        self.assertIs(cache.take(A), first)

    def test_addressMatters(self) -> None:
        """
        A connection to another address is not taken.
        """
        cache = self.makeCache()
        cache.put(A, Idle())
        self.assertIsNone(cache.take(B))

    def test_identityMatters(self) -> None:
        """
        A connection to the same address under another TLS name is not taken.
        """
        cache = self.makeCache()
        cache.put(SECURE, Idle())
        self.assertIsNone(cache.take(A))

    def test_local(self) -> None:
        """
        In local mode a connection is taken only by whom it was put for.
        """
        cache, connection = self.makeCache(local=True), Idle()
        cache.put(A, connection, "here")
        self.assertIsNone(cache.take(A, "there"))
        self.assertIs(cache.take(A, "here"), connection)

    def test_shared(self) -> None:
        """
        Otherwise it does not matter who put it.
        """
        cache, connection = self.makeCache(), Idle()
        cache.put(A, connection, "here")
        self.assertIs(cache.take(A, "there"), connection)

    def test_oldestGoesFirst(self) -> None:
        """
        When the cache is full, the connection that was idle longest is closed, whatever
        its address.
        """
        cache, first, second, third = self.makeCache(2), Idle(), Idle(), Idle()
        cache.put(A, first)
        cache.put(B, second)
        cache.put(B, third)
        self.assertEqual((first.closed, second.closed, third.closed), (1, 0, 0))
        self.assertEqual(len(cache), 2)
        self.assertIsNone(cache.take(A))

    def test_useIsNotAge(self) -> None:
        """
        A connection that was used in between is not the oldest.
        """
        cache, first, second = self.makeCache(2), Idle(), Idle()
        cache.put(A, first)
        cache.put(A, second)
        cache.put(B, cache.take(A) or Idle())
        cache.take(A)
        cache.put(A, first)
        cache.put(A, Idle())
        self.assertEqual((first.closed, second.closed), (0, 1))

    def test_drop(self) -> None:
        """
        A connection that the server closed while it was idle is closed and gone.
        """
        cache, first, second = self.makeCache(), Idle(), Idle()
        cache.put(A, first)
        cache.put(A, second)
        cache.drop(first)
        self.assertEqual((first.closed, len(cache)), (1, 1))
        self.assertIs(cache.take(A), second)
        self.assertIsNone(cache.take(A))

    def test_dropStranger(self) -> None:
        """
        A connection that is not idle is left alone.
        """
        cache, connection = self.makeCache(), Idle()
        cache.drop(connection)
        cache.put(A, connection)
        cache.take(A)
        cache.drop(connection)
        self.assertEqual(connection.closed, 0)

    def test_dropAddress(self) -> None:
        """
        When an address is dropped its connections are closed under every name and for
        everybody, others stay.
        """
        cache = self.makeCache(local=True)
        gone, secure, stays = Idle(), Idle(), Idle()
        cache.put(A, gone, 1)
        cache.put(SECURE, secure, 2)
        cache.put(B, stays, 1)
        cache.dropAddress(A[0])
        self.assertEqual((gone.closed, secure.closed, stays.closed), (1, 1, 0))
        self.assertEqual(len(cache), 1)

    def test_timeout(self) -> None:
        """
        A connection is closed when it has been idle for the timeout.
        """
        cache, connection = self.makeCache(), Idle()
        cache.put(A, connection)
        self.clock.advance(59.99)
        self.assertEqual(connection.closed, 0)
        self.clock.advance(0.01)
        self.assertEqual((connection.closed, len(cache)), (1, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_eachItsTime(self) -> None:
        """
        Each connection has the whole timeout, counted from when it was put last.
        """
        cache, first, second, third = self.makeCache(), Idle(), Idle(), Idle()
        cache.put(A, first)
        self.clock.advance(20)
        cache.put(B, second)
        self.clock.advance(20)
        cache.put(A, third)
        cache.take(A)
        cache.take(A)
        cache.put(A, first)
        self.clock.advance(39)
        self.assertEqual((first.closed, second.closed), (0, 0))
        self.clock.advance(1)
        self.assertEqual((first.closed, second.closed), (0, 1))
        self.clock.advance(20)
        self.assertEqual((first.closed, third.closed), (1, 0))

    def test_oneTimer(self) -> None:
        """
        However many connections there are, there is one timer.
        """
        cache = self.makeCache(100)
        for index in range(100):
            cache.put((("a", index), None), Idle())
            self.clock.advance(0.1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_oddTimes(self) -> None:
        """
        Times that no float holds exactly neither keep a connection nor spin.
        """
        cache: KeepaliveCache[Idle] = KeepaliveCache(9, timeout=0.1, clock=self.clock)
        self.clock.advance(1_700_000_000.3)
        connections = [Idle() for _ in range(5)]
        for connection in connections:
            cache.put(A, connection)
            self.clock.advance(0.0123)
        for _ in range(20):
            self.clock.advance(0.0123)
        self.assertEqual([connection.closed for connection in connections], [1] * 5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closeAll(self) -> None:
        """
        All connections can be closed at once; no timer is left.
        """
        cache, first, second = self.makeCache(), Idle(), Idle()
        cache.put(A, first)
        cache.put(B, second)
        cache.closeAll()
        self.assertEqual((first.closed, second.closed, len(cache)), (1, 1, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closingMayCallBack(self) -> None:
        """
        A connection that tells the cache of its own closing is closed once.
        """
        cache = self.makeCache()

        class Talkative(Idle):
            def close(self) -> None:
                super().close()
                cache.drop(self)

        connections = [Talkative() for _ in range(3)]
        for connection in connections:
            cache.put(A, connection)
        cache.drop(connections[0])
        self.clock.advance(60)
        self.assertEqual([connection.closed for connection in connections], [1] * 3)

    def test_againstPlainList(self) -> None:
        """
        After any history it holds what a plain list would, in the same order.
        """
        chance = Random(7)
        for local in (False, True):
            cache = self.makeCache(5, local)
            # Latest first, as nginx has it: key, tag, connection, since when.
            plain: list[tuple[object, int, Idle, float]] = []
            for _ in range(3000):
                key, tag = chance.choice((A, B, SECURE)), chance.randrange(2)
                kind = chance.random()
                if kind < 0.5:
                    connection = Idle()
                    cache.put(key, connection, tag)
                    plain.insert(0, (key, tag, connection, self.clock.seconds()))
                    del plain[5:]
                elif kind < 0.8:
                    match = (
                        item
                        for item in plain
                        if item[0] == key and not (local and item[1] != tag)
                    )
                    expected = next(match, None)
                    taken = cache.take(key, tag)
                    self.assertIs(taken, expected[2] if expected else None)
                    if expected:
                        plain.remove(expected)
                elif kind < 0.9 and plain:
                    item = chance.choice(plain)
                    cache.drop(item[2])
                    plain.remove(item)
                else:
                    self.clock.advance(chance.choice((1, 7, 30)))
                    now = self.clock.seconds()
                    plain = [item for item in plain if now - item[3] < 60]
                self.assertEqual(len(cache), len(plain))
            cache.closeAll()
