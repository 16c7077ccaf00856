"""
Tests for L{twisted_upstream.testing.memory} and L{twisted_upstream.testing.messages}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.testing.memory import MemoryReactor, MemorySocket
from twisted_upstream.testing.messages import MessageReader, answer


class ReactorTests(SynchronousTestCase):
    """
    Tests for L{MemoryReactor}.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactor()

    def test_passes(self) -> None:
        """
        What is due happens at its time, whatever it makes due included.
        """
        found: list[float] = []

        def again() -> None:
            found.append(self.reactor.seconds())
            self.reactor.callLater(0.3, again)

        again()
        self.reactor.passes(1)
        self.assertEqual([round(each, 3) for each in found], [0, 0.3, 0.6, 0.9])
        self.assertEqual(self.reactor.seconds(), 1)

    def test_passesUntil(self) -> None:
        """
        Time stops when it is told to, or when enough has passed.
        """
        found: list[int] = []
        self.reactor.callLater(2, found.append, 1)
        self.assertTrue(self.reactor.passesUntil(lambda: bool(found), 10))
        self.assertEqual(self.reactor.seconds(), 2)
        self.assertFalse(self.reactor.passesUntil(lambda: False, 10))
        self.assertEqual(self.reactor.seconds(), 12)

    def test_spins(self) -> None:
        """
        A moment that does not end is an error.
        """
        socket = MemorySocket(self.reactor, ("a", 1), ("b", 2))
        socket.deliver(b"x")

        class Deaf:
            """
            Never reads.
            """

            def getHandle(self) -> MemorySocket:
                return socket

            def doRead(self) -> None:
                pass

        self.reactor.addReader(Deaf())
        error = self.assertRaises(AssertionError, self.reactor.settle)
        self.assertIn("spins", str(error))


class SocketTests(SynchronousTestCase):
    """
    Tests for L{MemorySocket}.
    """

    def test_watcher(self) -> None:
        """
        Who watches is told once of everything that was sent in one turn.
        """
        reactor = MemoryReactor()
        self.addCleanup(reactor.close)
        socket = MemorySocket(reactor, ("a", 1), ("b", 2))
        found: list[tuple[bytes, bool]] = []
        socket.watcher = lambda: found.append((bytes(socket.outgoing), socket.finished))
        socket.send(b"a")
        socket.send(b"b")
        self.assertEqual(found, [])
        reactor.settle()
        socket.close()
        reactor.settle()
        self.assertEqual(found, [(b"ab", False), (b"ab", True)])


class ReaderTests(SynchronousTestCase):
    """
    Tests for L{MessageReader}.
    """

    def setUp(self) -> None:
        reactor = MemoryReactor()
        self.socket = MemorySocket(reactor, ("a", 1), ("b", 2))
        self.reader = MessageReader(self.socket)

    def test_piecewise(self) -> None:
        """
        A message is there when all of it is, and the next one after it.
        """
        data = answer(b"hello")
        for at in range(len(data)):
            self.assertIsNone(self.reader.next())
            self.socket.outgoing += data[at : at + 1]
        self.socket.outgoing += answer(b"again")
        for body in (b"hello", b"again"):
            found = self.reader.next()
            assert found is not None
            self.assertEqual((found.body, found.complete), (body, True))
        self.assertIsNone(self.reader.next())

    def test_interim(self) -> None:
        """
        Interim responses are left out.
        """
        self.socket.outgoing += b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        self.assertIsNone(self.reader.next())
        self.socket.outgoing += answer(status="404 Not Found")
        found = self.reader.next()
        assert found is not None
        self.assertEqual(found.status, 404)

    def test_cut(self) -> None:
        """
        What will not become whole is there as far as it came.
        """
        self.socket.outgoing += answer(b"hello")[:-2]
        self.assertIsNone(self.reader.next())
        self.socket.finished = True
        found = self.reader.next()
        assert found is not None
        self.assertEqual((found.body, found.complete), (b"hel", False))
