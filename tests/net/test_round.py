"""
Tests for L{twisted_upstream.net.round} and those who take part in it.
"""

from __future__ import annotations

import errno
import socket
import tempfile
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.net.ending import CLOSING_TIMEOUT
from twisted_upstream.net.round import MOST, ROUND
from twisted_upstream.net.sendqueue import TransportFailed
from twisted_upstream.net.splice import Pipes
from twisted_upstream.net.transport import SocketTransport

from .reactors import OnLeanEPoll, RecordingReactor
from .transports import Recorder, Stranger, TransportCase, drain


class RoundTests(TransportCase):
    """
    Writes while the reactor serves several events.
    """

    def setUp(self) -> None:
        super().setUp()
        ROUND.begin()
        self.addCleanup(ROUND.end)

    def test_together(self) -> None:
        """
        Small writes leave when the round ends, as one.
        """
        self.transport.write(b"a")
        self.transport.write(cast("bytes", memoryview(b"b")))
        self.transport.writeSequence([b"c", b"d"])
        self.assertEqual((self.transport.pending, self.transport.bytesSent), (0, 2 + 2))
        before = self.reactor.changes
        ROUND.end()
        self.assertEqual(drain(self.peer), b"abcd")
        self.assertEqual((self.transport.pending, self.transport.bytesSent), (0, 4))
        self.assertEqual(self.reactor.changes, before)

    def test_nextRound(self) -> None:
        """
        After the round a write is sent at once, and a later round begins empty.
        """
        self.transport.write(b"a")
        ROUND.end()
        self.transport.write(b"b")
        self.assertEqual(drain(self.peer), b"ab")
        ROUND.begin()
        self.assertEqual(ROUND.waiting, [])

    def test_many(self) -> None:
        """
        Not too many connections wait for each other.
        """
        peers = []
        for number in range(MOST + 1):
            ours, peer = socket.socketpair()
            ours.setblocking(False)
            self.addCleanup(ours.close)
            self.addCleanup(peer.close)
            peers.append(peer)
            SocketTransport(ours, RecordingReactor()).write(b"%d" % number)
        got = [drain(peer) for peer in peers]
        self.assertEqual(got[:MOST], [b"%d" % number for number in range(MOST)])
        self.assertEqual(got[MOST], b"")
        ROUND.end()
        self.assertEqual(drain(peers[MOST]), b"%d" % MOST)

    def test_large(self) -> None:
        """
        A large write does not wait, and takes along what waits.
        """
        large = b"x" * 20_000
        self.transport.write(b"a")
        self.transport.write(large)
        self.assertEqual(drain(self.peer), b"a" + large)
        self.transport.write(b"b")
        self.transport.write(b"y" * 16_000)
        self.transport.write(b"y" * 16_000)
        ROUND.end()
        self.assertEqual(drain(self.peer), b"b" + b"y" * 32_000)
        self.assertEqual(self.transport.bytesSent, 1 + 20_000 + 1 + 32_000)

    def test_behindWhatWaits(self) -> None:
        """
        What the kernel does not take keeps its place before later writes.
        """
        written = self.fill()
        assert ROUND.waiting is not None
        waiting = len(ROUND.waiting)
        self.transport.write(b"more")
        self.assertEqual(len(ROUND.waiting), waiting)
        self.assertEqual(self.flush(), written + b"more")

    def test_kernelIsFull(self) -> None:
        """
        What the kernel does not take at the end of the round is kept and counted.
        """
        piece = b"z" * 16_000
        written = 0
        while not self.transport.pending:
            self.transport.write(piece)
            written += len(piece)
            ROUND.end()
            ROUND.begin()
        transport = self.transport
        self.assertEqual(transport.pending + transport.bytesSent, written)
        self.assertIn(transport, self.reactor.writers)
        drained: list[int] = []
        transport.drained = lambda: drained.append(transport.pending)
        self.assertEqual(len(self.flush()), written)
        self.assertEqual((drained, transport.bytesSent), ([0], written))

    def test_files(self) -> None:
        """
        Files and pipes keep their place after what waits.
        """
        with tempfile.TemporaryFile() as file:
            file.write(b"file")
            file.flush()
            self.transport.write(b"a")
            self.transport.sendFile(file.fileno(), 0, 4)
        self.assertEqual(drain(self.peer), b"afile")
        self.transport.write(b"b")
        pipe = Pipes().take()
        if pipe is not None:
            source, theirs = socket.socketpair()
            self.addCleanup(source.close)
            self.addCleanup(theirs.close)
            theirs.send(b"pipe")
            source.setblocking(False)
            pipe.receiveFrom(source)
            pipe.receive(100)
            self.transport.sendPipe(pipe)
            self.assertEqual(drain(self.peer), b"bpipe")
            pipe.release()

    def test_closing(self) -> None:
        """
        What waits is sent before the connection or our output ends.
        """
        self.transport.write(b"last")
        self.transport.loseConnection()
        self.assertEqual(drain(self.peer), b"last")
        self.reactor.turn()
        self.assertEqual(self.protocol.events, ["lost"])

    def test_endingOutput(self) -> None:
        """
        The same when only our output ends.
        """
        self.transport.write(b"last")
        self.transport.loseWriteConnection()
        self.assertEqual(drain(self.peer), b"last")
        self.transport.doWrite()
        self.assertEqual(self.peer.recv(1), b"")

    def test_released(self) -> None:
        """
        Whoever takes the socket over finds everything sent.
        """
        self.transport.write(b"last")
        self.transport.release()
        self.assertEqual(drain(self.peer), b"last")

    def test_aborted(self) -> None:
        """
        Aborting drops what waits.
        """
        self.transport.write(b"never")
        self.transport.abortConnection()
        ROUND.end()
        self.reactor.turn()
        self.assertEqual(drain(self.peer), b"")
        self.assertEqual(self.protocol.events, ["lost"])

    def test_lost(self) -> None:
        """
        A connection whose other side ends still gets what waits, if it can.
        """
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        self.addCleanup(peer.close)
        transport = SocketTransport(ours, self.reactor, Stranger())
        transport.resumeProducing()
        peer.shutdown(socket.SHUT_WR)
        transport.write(b"last")
        transport.doRead()
        self.assertEqual(drain(peer), b"last")

    def test_errorIsToldLater(self) -> None:
        """
        A write that fails at the end of the round is told by the reactor's next call,
        and counts no bytes.
        """
        self.transport.pauseProducing()
        self.transport.write(b"a")
        self.peer.close()
        ROUND.end()
        self.assertEqual(self.protocol.events, [])
        self.assertEqual(self.transport.bytesSent, 0)
        self.transport.doWrite()
        reason = self.protocol.reason
        assert isinstance(reason, TransportFailed)
        self.assertEqual((reason.errno, reason.syscall), (errno.EPIPE, "send"))

    def test_pullProducer(self) -> None:
        """
        The reactor's call for more comes after what waits.
        """
        self.transport.write(b"a")
        self.transport.doWrite()
        self.transport.write(b"b")
        ROUND.end()
        self.assertEqual(drain(self.peer), b"ab")


class ClosingTests(TransportCase):
    """
    Connections that are to close when all is sent.
    """

    def test_noProgress(self) -> None:
        """
        A peer that takes nothing for so long loses the rest.
        """
        self.fill()
        self.transport.loseConnection()
        self.reactor.advance(CLOSING_TIMEOUT - 1)
        self.assertEqual(self.protocol.events, [])
        self.reactor.advance(1)
        self.reactor.turn()
        self.assertEqual(self.protocol.events, ["lost"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_progress(self) -> None:
        """
        A slow peer gets everything.
        """
        self.transport.write(b"x" * 10_000_000)
        self.transport.loseConnection()
        got = 0
        while "lost" not in self.protocol.events:
            got += len(drain(self.peer))
            self.transport.doWrite()
            self.reactor.advance(CLOSING_TIMEOUT)
        self.assertEqual(got + len(drain(self.peer)), 10_000_000)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class Answering(Recorder):
    """
    Answers each packet at once.

    @ivar early: what its client had got right after the answer was written.
    """

    def __init__(self, peer: socket.socket) -> None:
        super().__init__()
        self.peer = peer
        self.early = b""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        assert self.transport is not None
        self.transport.write(data.upper())
        self.early += drain(self.peer)


class ReactorTests(OnLeanEPoll, SynchronousTestCase):
    """
    The reactor's rounds.
    """

    def ask(self, count: int) -> list[Answering]:
        """
        Let so many clients send something, and the reactor run one round.
        """
        protocols = []
        for _ in range(count):
            ours, peer = socket.socketpair()
            ours.setblocking(False)
            self.addCleanup(peer.close)
            protocol = Answering(peer)
            transport = SocketTransport(ours, self.reactor, protocol)
            protocol.makeConnection(transport)
            transport.resumeProducing()
            peer.send(b"hello")
            protocols.append(protocol)
        self.reactor.iterate(0.01)
        return protocols

    def test_several(self) -> None:
        """
        Answers to several clients leave when all have been read.
        """
        for protocol in self.ask(3):
            self.assertEqual(protocol.data, b"hello")
            self.assertEqual((protocol.early, drain(protocol.peer)), (b"", b"HELLO"))

    def test_one(self) -> None:
        """
        An answer to the only one leaves at once.
        """
        (protocol,) = self.ask(1)
        self.assertEqual(protocol.early, b"HELLO")

    def test_failure(self) -> None:
        """
        A protocol that fails does not keep the others' answers back.
        """
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        self.addCleanup(peer.close)
        failing = Recorder()
        failing.dataReceived = lambda data: 1 // 0  # type: ignore[method-assign,assignment]
        transport = SocketTransport(ours, self.reactor, failing)
        transport.resumeProducing()
        peer.send(b"x")
        for protocol in self.ask(2):
            self.assertEqual(drain(protocol.peer), b"HELLO")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsNone(ROUND.waiting)
