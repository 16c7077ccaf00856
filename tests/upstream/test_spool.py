"""
Tests for L{twisted_upstream.upstream.spool}.
"""

from __future__ import annotations

import os
import tempfile
from typing import IO

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.upstream.spool import Spool


class SpoolTests(SynchronousTestCase):
    """
    L{Spool}.
    """

    def setUp(self) -> None:
        """
        A spool with a limit of ten bytes.
        """
        self.sent: list[bytes] = []
        self.file: IO[bytes] = tempfile.TemporaryFile(buffering=0)
        self.addCleanup(self.file.close)
        self.spool = Spool(lambda: self.file, 10, self.send)

    def send(self, fd: int, offset: int, count: int) -> None:
        """
        Read the region that is handed on.
        """
        self.sent.append(os.pread(fd, count, offset))

    def test_order(self) -> None:
        """
        What was written is handed on once, in order.
        """
        self.spool.write(b"one")
        self.spool.write(b"two")
        self.assertEqual(self.spool.waiting, 6)
        self.assertTrue(self.spool.sendNext())
        self.assertEqual(self.spool.waiting, 0)
        self.spool.write(b"three")
        self.assertTrue(self.spool.sendNext())
        self.assertFalse(self.spool.sendNext())
        self.assertEqual(b"".join(self.sent), b"onetwothree")

    def test_limit(self) -> None:
        """
        Writing tells when no more may wait; what is too much is kept all the same.
        """
        self.assertTrue(self.spool.write(b"x" * 9))
        self.assertFalse(self.spool.write(b"yz"))
        self.spool.sendNext()
        self.assertEqual(self.sent, [b"x" * 9 + b"yz"])
        self.assertTrue(self.spool.write(b"more"))

    def test_portions(self) -> None:
        """
        A lot is handed on in portions.
        """
        data = bytes(range(256)) * 10000
        self.spool.write(data)
        while self.spool.sendNext():
            pass
        self.assertGreater(len(self.sent), 1)
        self.assertEqual(b"".join(self.sent), data)

    def test_close(self) -> None:
        """
        Closing closes the file.
        """
        self.spool.close()
        self.assertTrue(self.file.closed)
