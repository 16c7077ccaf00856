"""
Tests for L{twisted_upstream.net.sending}, with pairs of sockets whose events the tests
deliver.
"""

from __future__ import annotations

import errno
import tempfile

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableDescriptor,
    IPullProducer,
    IPushProducer,
    IReadWriteDescriptor,
    ITCPTransport,
)
from zope.interface import implementer
from zope.interface.verify import verifyObject

from twisted_upstream.net.sending import HIGH_WATER
from twisted_upstream.net.sendqueue import TransportFailed
from twisted_upstream.net.transport import (
    READ_SIZE,
    SocketTransport,
)

from .transports import (
    TransportCase,
    drain,
)


class WriteTests(TransportCase):
    """
    Writing.
    """

    def test_interfaces(self) -> None:
        """
        A transport is what Twisted's protocols and reactors expect.
        """
        for interface in (
            ITCPTransport,
            IReadWriteDescriptor,
            IHalfCloseableDescriptor,
            IPushProducer,
            IConsumer,
        ):
            verifyObject(interface, self.transport)

    def test_atOnce(self) -> None:
        """
        A write is sent before it returns, and the reactor is not troubled.
        """
        before = self.reactor.changes
        self.transport.write(b"hello")
        self.assertEqual(drain(self.peer), b"hello")
        self.assertEqual(self.transport.pending, 0)
        self.assertEqual(self.transport.bytesSent, 5)
        self.assertEqual(self.reactor.changes, before)

    def test_pending(self) -> None:
        """
        What the kernel does not take is counted, kept, and sent in order later.
        """
        written = self.fill()
        self.assertIn(self.transport, self.reactor.writers)
        self.assertEqual(
            self.transport.pending + self.transport.bytesSent, len(written)
        )
        self.transport.write(b"and")
        self.transport.writeSequence([b" ", b"more"])
        self.assertEqual(self.flush(), written + b"and more")
        self.assertEqual(self.transport.pending, 0)
        self.assertEqual(self.transport.bytesSent, len(written) + 8)
        self.assertNotIn(self.transport, self.reactor.writers)

    def test_drained(self) -> None:
        """
        C{drained} is called once all is sent, not for what is sent at once.
        """
        calls: list[int] = []
        self.transport.drained = lambda: calls.append(self.transport.pending)
        self.transport.write(b"hello")
        self.assertEqual(calls, [])
        self.fill()
        self.assertEqual(calls, [])
        self.flush()
        self.assertEqual(calls, [0])

    def test_drainedWritesMore(self) -> None:
        """
        C{drained} can write again.
        """
        written = self.fill()
        rest = [b"1", b"2"]

        def more() -> None:
            if rest:
                self.transport.write(rest.pop(0))
                written2.append(self.fill() if len(rest) == 1 else b"")

        written2: list[bytes] = []
        self.transport.drained = more
        self.assertEqual(self.flush(), written + b"1" + written2[0] + b"2")

    def test_sequence(self) -> None:
        """
        A sequence is sent whole, however it is cut.
        """
        self.transport.writeSequence([b"a", b"", b"bc"])
        self.assertEqual(drain(self.peer), b"abc")
        pieces = [bytes([number % 251]) * 9001 for number in range(60)]
        self.transport.writeSequence(pieces)
        self.assertEqual(self.flush(), b"".join(pieces))
        many = [b"%d," % number for number in range(3000)]
        self.transport.writeSequence(many)
        self.assertEqual(self.flush(), b"".join(many))

    def test_errorIsToldLater(self) -> None:
        """
        A failing write calls nobody back; the reactor's next call does.
        """
        self.transport.pauseProducing()
        self.peer.close()
        self.transport.write(b"a")
        self.transport.write(b"b")
        self.assertEqual(self.protocol.events, [])
        self.assertIn(self.transport, self.reactor.writers)
        self.transport.doWrite()
        self.assertEqual(self.protocol.events, ["lost"])
        reason = self.protocol.reason
        assert isinstance(reason, TransportFailed)
        self.assertEqual((reason.errno, reason.syscall), (errno.EPIPE, "send"))
        self.assertEqual(str(reason), "send() failed (32: Broken pipe)")
        self.assertEqual(self.reactor.getWriters() + self.reactor.getReaders(), [])

    def test_lastWordsAreRead(self) -> None:
        """
        What the peer said before it went is delivered although writing failed.
        """
        self.peer.sendall(b"x" * 3 * READ_SIZE)
        self.peer.close()
        self.transport.write(b"a")
        self.transport.doWrite()
        self.assertEqual(self.protocol.data, b"x" * 3 * READ_SIZE)
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIsInstance(self.protocol.reason, TransportFailed)

    def test_endAfterFailedWrite(self) -> None:
        """
        An end of input after a failed write is an error, not a clean end.
        """
        self.peer.close()
        self.transport.write(b"a")
        self.transport.doRead()
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIsInstance(self.protocol.reason, ConnectionLost)

    def test_afterClose(self) -> None:
        """
        Writing after closing is ignored.
        """
        self.transport.loseConnection()
        self.transport.write(b"a")
        self.transport.writeSequence([b"b"])
        self.transport.sendFile(0, 0, 10)
        self.reactor.turn()
        self.transport.write(b"a")
        self.assertEqual(drain(self.peer), b"")
        self.assertEqual(self.transport.pending, 0)


class FileTests(TransportCase):
    """
    Sending files.
    """

    def setUp(self) -> None:
        super().setUp()
        self.content = bytes(range(250)) * 10000
        self.file = tempfile.TemporaryFile()
        self.addCleanup(self.file.close)
        self.file.write(self.content)
        self.file.flush()

    def test_inOrder(self) -> None:
        """
        A part of a file is sent in order with what is written before and after.
        """
        written = self.fill()
        self.transport.sendFile(self.file.fileno(), 7, 1_000_000)
        self.transport.write(b"after")
        self.transport.sendFile(self.file.fileno(), 0, 3)
        self.assertEqual(
            self.transport.pending + self.transport.bytesSent,
            len(written) + 1_000_008,
        )
        expected = written + self.content[7:1_000_007] + b"after" + self.content[:3]
        self.assertEqual(self.flush(), expected)
        self.assertEqual(self.transport.bytesSent, len(expected))
        self.assertEqual(self.transport.pending, 0)

    def test_atOnce(self) -> None:
        """
        A small part goes at once.
        """
        self.transport.sendFile(self.file.fileno(), 10, 100)
        self.assertEqual(drain(self.peer), self.content[10:110])
        self.assertEqual(self.transport.pending, 0)

    def test_drained(self) -> None:
        """
        C{drained} is called when the file is sent.
        """
        calls: list[int] = []
        self.transport.drained = lambda: calls.append(1)
        self.transport.sendFile(self.file.fileno(), 0, 2_000_000)
        self.assertGreater(self.transport.pending, 0)
        self.assertEqual(self.flush(), self.content[:2_000_000])
        self.assertEqual(calls, [1])

    def test_truncated(self) -> None:
        """
        A file that is shorter than promised ends the connection with an error.
        """
        self.transport.sendFile(self.file.fileno(), 0, len(self.content) + 1)
        self.flush()
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertIn("truncated", str(self.protocol.reason))

    def test_withoutSendfile(self) -> None:
        """
        What sendfile(2) refuses, as a file that only can be read, is copied.
        """
        with open("/proc/self/maps", "rb") as special:
            self.transport.sendFile(special.fileno(), 0, 100)
            self.assertEqual(len(self.flush()), 100)


@implementer(IPushProducer)
class Pusher:
    """
    A push producer that remembers what it is told.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


@implementer(IPullProducer)
class Puller:
    """
    A pull producer that writes some pieces.
    """

    def __init__(self, transport: SocketTransport, pieces: list[bytes]) -> None:
        self.transport = transport
        self.pieces = pieces

    def resumeProducing(self) -> None:
        if self.pieces:
            self.transport.write(self.pieces.pop(0))
        else:
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        self.pieces.clear()


class ProducerTests(TransportCase):
    """
    Twisted's producers.
    """

    def test_push(self) -> None:
        """
        A push producer is paused above the high water mark and resumed when all is
        sent.
        """
        producer = Pusher()
        self.transport.registerProducer(producer, True)
        written = self.fill()
        self.transport.write(b"x" * HIGH_WATER)
        self.transport.write(b"x")
        self.assertEqual(producer.calls, ["pause"])
        self.assertEqual(self.flush(), written + b"x" * (HIGH_WATER + 1))
        self.assertEqual(producer.calls, ["pause", "resume"])

    def test_registeredWhenFull(self) -> None:
        """
        A push producer that comes when too much waits is paused at once.
        """
        self.fill()
        self.transport.write(b"x" * HIGH_WATER)
        producer = Pusher()
        self.transport.registerProducer(producer, True)
        self.assertEqual(producer.calls, ["pause"])

    def test_pull(self) -> None:
        """
        A pull producer is asked for each next piece when the last one is sent.
        """
        pieces = [b"a" * 10, b"b" * 1_000_000, b"c"]
        expected = b"".join(pieces)
        self.transport.registerProducer(Puller(self.transport, pieces), False)
        self.assertEqual(self.flush(), expected)
        self.transport.write(b"d")
        self.assertEqual(drain(self.peer), b"d")

    def test_closeWaitsForProducer(self) -> None:
        """
        Closing waits until the producer has finished.
        """
        producer = Pusher()
        self.transport.registerProducer(producer, True)
        self.transport.loseConnection()
        self.transport.write(b"last")
        self.flush()
        self.reactor.turn()
        self.assertEqual(self.protocol.events, [])
        self.transport.unregisterProducer()
        self.flush()
        self.assertEqual(self.protocol.events, ["lost"])

    def test_pullClose(self) -> None:
        """
        A pull producer finishes after C{loseConnection}.
        """
        pieces = [b"a", b"b" * 1_000_000, b"c"]
        expected = b"".join(pieces)
        self.transport.registerProducer(Puller(self.transport, pieces), False)
        self.transport.loseConnection()
        self.assertEqual(self.flush(), expected)
        self.assertEqual(self.protocol.events, ["lost"])

    def test_stopped(self) -> None:
        """
        A producer is stopped when the connection is lost, and refused afterwards.
        """
        producer, late = Pusher(), Pusher()
        self.transport.registerProducer(producer, True)
        self.transport.abortConnection()
        self.reactor.turn()
        self.transport.registerProducer(late, True)
        self.assertEqual((producer.calls, late.calls), (["stop"], ["stop"]))

    def test_onlyOne(self) -> None:
        """
        There is one producer at a time.
        """
        self.transport.registerProducer(Pusher(), True)
        self.assertRaises(RuntimeError, self.transport.registerProducer, Pusher(), True)
