"""
Tests for L{twisted_upstream.logs.files}.
"""

from __future__ import annotations

import errno
import gzip

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.logs.places import folderFor
from twisted_upstream.logs.files import AccessLogFile, LogFile, LogOpenError


class FullDisk(LogFile):
    """
    A file without room.
    """

    tries = 0

    def append(self, data: bytes) -> None:
        """
        Refuse.
        """
        self.tries += 1
        raise OSError(errno.ENOSPC, "No space left on device")


class AccessLogFileTests(SynchronousTestCase):
    """
    L{AccessLogFile}.
    """

    def setUp(self) -> None:
        """
        A file and a clock.
        """
        self.clock = Clock()
        self.path = folderFor(self) / "access.log"
        self.file = LogFile(str(self.path))
        self.file.open()
        self.addCleanup(self.file.close)
        self.complaints: list[str] = []

    def log(
        self, size: int = 0, flush: float | None = None, gzipLevel: int = 0
    ) -> AccessLogFile:
        """
        A log into the file.
        """
        return AccessLogFile(
            self.file,
            self.clock,
            lambda level, text, number: self.complaints.append(text),
            size,
            flush,
            gzipLevel,
        )

    def test_atOnce(self) -> None:
        """
        Without a buffer a line is in the file when it has been written.
        """
        log = self.log()
        log.write(b"one\n")
        self.assertEqual(self.path.read_bytes(), b"one\n")

    def test_buffer(self) -> None:
        """
        A buffer is written when the next line does not fit.
        """
        log = self.log(10)
        log.write(b"first\n")
        log.write(b"abc\n")
        self.assertEqual(self.path.read_bytes(), b"")
        log.write(b"x\n")
        self.assertEqual(self.path.read_bytes(), b"first\nabc\n")

    def test_longerThanBuffer(self) -> None:
        """
        A line longer than the buffer is written directly, after what was waiting.
        """
        log = self.log(10)
        log.write(b"first\n")
        log.write(b"a very long line\n")
        self.assertEqual(self.path.read_bytes(), b"first\na very long line\n")

    def test_flush(self) -> None:
        """
        The time starts with the first line in the buffer; then all of it is written.
        """
        log = self.log(100, 2.0)
        log.write(b"one\n")
        self.clock.advance(1.5)
        log.write(b"two\n")
        self.assertEqual(self.path.read_bytes(), b"")
        self.clock.advance(0.5)
        self.assertEqual(self.path.read_bytes(), b"one\ntwo\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_flushNow(self) -> None:
        """
        Writing the buffer early leaves no timer behind.
        """
        log = self.log(100, 2.0)
        log.write(b"one\n")
        log.flushNow()
        self.assertEqual(self.path.read_bytes(), b"one\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_gzip(self) -> None:
        """
        Each flush is a complete compressed member.
        """
        log = self.log(100, None, 1)
        log.write(b"one\n")
        log.flushNow()
        self.assertEqual(gzip.decompress(self.path.read_bytes()), b"one\n")
        log.write(b"two\n")
        log.flushNow()
        self.assertEqual(gzip.decompress(self.path.read_bytes()), b"one\ntwo\n")

    def test_fullDisk(self) -> None:
        """
        A disk that is full is complained about once a minute, and stops nobody.
        """
        full = FullDisk("/full")
        log = AccessLogFile(
            full, self.clock, lambda level, text, number: self.complaints.append(text)
        )
        for _ in range(3):
            log.write(b"one\n")
            self.clock.advance(25)
        self.assertEqual(self.complaints, ['write() to "/full" failed'])
        self.clock.advance(1)
        log.write(b"one\n")
        self.assertEqual(len(self.complaints), 2)


class LogFileTests(SynchronousTestCase):
    """
    L{LogFile}.
    """

    def test_reopen(self) -> None:
        """
        After a rotation lines go into a new file of the old name.
        """
        path = folderFor(self) / "error.log"
        file = LogFile(str(path))
        file.open()
        self.addCleanup(file.close)
        file.write(b"old\n")
        path.rename(path.with_suffix(".1"))
        file.write(b"still old\n")
        file.reopen()
        file.write(b"new\n")
        self.assertEqual(path.with_suffix(".1").read_bytes(), b"old\nstill old\n")
        self.assertEqual(path.read_bytes(), b"new\n")

    def test_reopenFails(self) -> None:
        """
        If the new file cannot be opened the old one stays in use.
        """
        folder = folderFor(self) / "logs"
        folder.mkdir()
        file = LogFile(str(folder / "error.log"))
        file.open()
        self.addCleanup(file.close)
        moved = folder.rename(folder.with_name("moved"))
        self.assertRaises(LogOpenError, file.reopen)
        file.write(b"old\n")
        self.assertEqual((moved / "error.log").read_bytes(), b"old\n")

    def test_notFound(self) -> None:
        """
        A file that cannot be opened gets nginx's message.
        """
        error = self.assertRaises(LogOpenError, LogFile("/no/such/file").open)
        self.assertEqual(
            str(error),
            'open() "/no/such/file" failed (2: No such file or directory)',
        )
