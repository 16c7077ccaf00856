"""
Tests for L{twisted_upstream.net.sendqueue}.
"""

from __future__ import annotations

import errno
import socket
import tempfile

from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.net.sendqueue import FileRegion, SendQueue, TransportFailed


class SendQueueTests(SynchronousTestCase):
    """
    Tests for L{SendQueue}.
    """

    def setUp(self) -> None:
        ours, self.peer = socket.socketpair()
        ours.setblocking(False)
        self.addCleanup(ours.close)
        self.addCleanup(self.peer.close)
        self.queue = SendQueue(ours)

    def receive(self, count: int) -> bytes:
        """
        Let the queue send and the peer read, in turns.
        """
        got = bytearray()
        sent = 0
        while len(got) < count:
            sent += self.queue.send()
            got += self.peer.recv(10_000)
        self.assertEqual(sent, count)
        return bytes(got)

    def test_everythingInOrder(self) -> None:
        """
        Buffers, views and parts of files leave in the order they came, however little
        the kernel takes at once.
        """
        content = bytes(range(256)) * 1000
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.flush()
            pieces: list[bytes | memoryview] = [b"%d;" % n * 99 for n in range(200)]
            expected = b"".join(pieces) + content[5:200_000] + b"end" + content[:9]
            for piece in pieces:
                self.queue.add(memoryview(piece))
            self.queue.add(FileRegion(file.fileno(), 5, 200_000 - 5))
            self.queue.add(b"end")
            self.queue.add(FileRegion(file.fileno(), 0, 9))
            self.assertEqual(self.queue.size, len(expected))
            self.assertEqual(self.receive(len(expected)), expected)
        self.assertEqual(self.queue.size, 0)
        self.assertEqual(self.queue.send(), 0)

    def test_full(self) -> None:
        """
        When the kernel takes no more, the rest stays.
        """
        self.queue.add(b"x" * 5_000_000)
        sent = self.queue.send()
        self.assertEqual(sent + self.queue.size, 5_000_000)
        self.assertEqual(self.queue.send(), 0)

    def test_fails(self) -> None:
        """
        An error of the connection names its system call.
        """
        self.peer.close()
        self.queue.add(b"a")
        error = self.assertRaises(TransportFailed, self.queue.send)
        self.assertEqual((error.errno, error.syscall), (errno.EPIPE, "send"))
        self.assertIsInstance(error, ConnectionLost)

    def test_fileFails(self) -> None:
        """
        So does one of a file.
        """
        self.queue.add(FileRegion(-1, 0, 10))
        error = self.assertRaises(TransportFailed, self.queue.send)
        self.assertEqual((error.errno, error.syscall), (errno.EBADF, "sendfile"))
