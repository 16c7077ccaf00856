"""
Pipes between sockets.
"""

from __future__ import annotations

import os
import socket
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.net.sendqueue import SendQueue
from twisted_upstream.net.splice import Pipe, Pipes, available


def _pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        one = socket.create_connection(listening.getsockname())
        other, _ = listening.accept()
    one.setblocking(False)
    other.setblocking(False)
    return one, other


@skipUnless(available(), "splice(2) is not to be had here")
class PipeTests(SynchronousTestCase):
    """
    One pipe, from one connection to another.
    """

    def setUp(self) -> None:
        self.pipes = Pipes(2, 1)
        self.client, self.source = _pair()
        self.sink, self.server = _pair()
        for sock in (self.client, self.source, self.sink, self.server):
            self.addCleanup(sock.close)
        self.addCleanup(self.pipes.close)

    def take(self) -> Pipe:
        """
        A pipe that reads the source.
        """
        pipe = self.pipes.take()
        assert pipe is not None
        pipe.receiveFrom(self.source)
        return pipe

    def test_through(self) -> None:
        """
        Bytes come out as they went in, and the length is what is inside.
        """
        pipe = self.take()
        self.client.send(b"hello")
        self.assertIs(pipe.receive(100), pipe)
        self.assertEqual(len(pipe), 5)
        self.assertEqual(pipe.sendTo(self.sink), 5)
        self.assertFalse(pipe)
        self.assertEqual(self.server.recv(100), b"hello")
        pipe.release()

    def test_exactly(self) -> None:
        """
        No more is taken than was asked for.
        """
        pipe = self.take()
        self.client.send(b"hello world")
        self.assertEqual(len(pipe.receive(5)), 5)
        self.assertEqual(self.source.recv(100), b" world")
        pipe.sendTo(self.sink)
        pipe.release()

    def test_nothing(self) -> None:
        """
        Nothing to read is an error as with recv, the end an empty pipe.
        """
        pipe = self.take()
        self.assertRaises(BlockingIOError, pipe.receive, 100)
        self.client.shutdown(socket.SHUT_WR)
        self.assertFalse(pipe.receive(100))
        pipe.release()

    def test_sinkGone(self) -> None:
        """
        A sink whose output has ended is an error as with send, and a pipe that still
        holds something is not used again.
        """
        pipe = self.take()
        self.client.send(b"hello")
        pipe.receive(100)
        self.sink.shutdown(socket.SHUT_WR)
        self.assertRaises(BrokenPipeError, pipe.sendTo, self.sink)
        pipe.release()
        self.assertEqual(self.pipes.open, 0)

    def test_limit(self) -> None:
        """
        There are so many pipes and no more; those given back are used again, and few
        of them are kept.
        """
        one, two = self.take(), self.take()
        self.assertIsNone(self.pipes.take())
        two.release()
        self.assertIs(self.take(), two)
        one.release()
        two.release()
        self.assertEqual(self.pipes.open, 1)

    def test_descriptors(self) -> None:
        """
        Closing closes both ends.
        """
        before = set(os.listdir("/proc/self/fd"))
        self.take().release()
        self.assertEqual(self.pipes.open, 1)
        self.pipes.close()
        self.assertEqual(self.pipes.open, 0)
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)

    def test_queued(self) -> None:
        """
        A queue keeps the order of buffers and pipes, and lets go of a pipe when it is
        sent.
        """
        pipe = self.take()
        self.client.send(b"two ")
        pipe.receive(100)
        queue = SendQueue(self.sink)
        for item in (b"one ", pipe, b"three"):
            queue.add(item)
        pipe.release()
        self.assertEqual(queue.size, 13)
        self.assertEqual(queue.send(), 13)
        self.assertEqual(queue.size, 0)
        self.assertEqual(self.server.recv(100), b"one two three")

    def test_queueDropped(self) -> None:
        """
        A queue that is dropped closes a pipe that still holds something.
        """
        pipe = self.take()
        self.client.send(b"two ")
        pipe.receive(100)
        queue = SendQueue(self.sink)
        queue.add(pipe)
        pipe.release()
        self.assertEqual(self.pipes.open, 1)
        queue.drop()
        self.assertEqual(self.pipes.open, 0)
