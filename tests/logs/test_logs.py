"""
Tests for L{twisted_upstream.logs.logs}.
"""

from __future__ import annotations

import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.logs.error_log import ErrorLogLine
from twisted_upstream.logs.files import LogOpenError
from twisted_upstream.logs.logs import Logs
from twisted_upstream.net.syslog import SyslogServer

from .places import Lines, folderFor


class LogsTests(SynchronousTestCase):
    """
    L{Logs}.
    """

    def setUp(self) -> None:
        """
        A folder as prefix.
        """
        self.folder = folderFor(self)
        self.clock = Clock()

    def logs(self, *lines: ErrorLogLine, default: str = "logs/error.log") -> Logs:
        """
        Logs of a configuration with these lines in its main level.
        """
        logs = Logs(self.clock, str(self.folder), lines, default=default)
        self.addCleanup(logs.close)
        return logs

    def read(self, name: str) -> str:
        """
        The text of a log.
        """
        return (self.folder / name).read_text()

    def test_default(self) -> None:
        """
        Without C{error_log} errors go to the file of C{-e}, whose directory C{logs}
        is made.
        """
        logs = self.logs()
        logs.open()
        logs.main.write("warn", "little")
        logs.main.write("error", "much")
        text = self.read("logs/error.log")
        self.assertIn("much", text)
        self.assertNotIn("little", text)

    def test_stderrNeedsFile(self) -> None:
        """
        Beside C{stderr} alone, the file of C{-e} gets errors.
        """
        logs = self.logs(ErrorLogLine("stderr", "crit"), default="e.log")
        logs.open()
        logs.main.write("error", "much")
        self.assertIn("much", self.read("e.log"))
        self.assertTrue(logs.usesStderr)

    def test_syslog(self) -> None:
        """
        Lines go to syslog, too; the file of C{-e} is there beside it.
        """
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(str(self.folder / "s"))
        receiver.setblocking(False)
        server = SyslogServer(str(self.folder / "s"))
        logs = self.logs(ErrorLogLine("syslog:", "info", server), default="e.log")
        logs.main.write("info", "too early")
        logs.open()
        logs.main.write("info", "little")
        logs.main.write("error", "much")
        self.assertRegex(receiver.recv(999), rb"^<190>.* nginx: .* \[info\] .* little$")
        self.assertRegex(receiver.recv(999), rb"^<187>.* nginx: .* \[error\] .* much$")
        self.assertNotIn("little", self.read("e.log"))
        logs.close()
        logs.main.write("error", "too late")
        self.assertRaises(BlockingIOError, receiver.recv, 999)

    def test_syslogFails(self) -> None:
        """
        What goes wrong with syslog is said once to the main log's other targets.
        """
        server = SyslogServer(str(self.folder / "nobody"))
        logs = self.logs(
            ErrorLogLine("syslog:", "info", server), ErrorLogLine("a.log", "info")
        )
        logs.open()
        logs.main.write("error", "much")
        self.assertRegex(
            self.read("a.log"),
            r"^.* \[alert\] .*: connect\(\) failed \(2: .*\) while logging to syslog,"
            rf" server: unix:{self.folder}/nobody\n.*much\n$",
        )

    def test_innerReplaces(self) -> None:
        """
        Lines of an inner level replace those of the main level; a level without any
        has the main log.
        """
        main = ErrorLogLine("main.log", "info")
        logs = self.logs(main)
        inner = logs.errorLog([ErrorLogLine("inner.log", "info")])
        self.assertIs(logs.errorLog([main]), logs.main)
        self.assertIs(logs.errorLog([]), logs.main)
        logs.open()
        inner.write("info", "hello")
        self.assertIn("hello", self.read("inner.log"))
        self.assertEqual(self.read("main.log"), "")

    def test_sharedFile(self) -> None:
        """
        One path is one file, however it is written and whoever writes it.
        """
        logs = self.logs(ErrorLogLine("a.log", "info"))
        log = logs.accessLog(str(self.folder / "a.log"))
        self.assertIs(log, logs.accessLog("a.log"))
        self.assertEqual(list(logs.paths), [str(self.folder / "a.log")])
        logs.open()
        self.assertEqual(len(logs.descriptors), 1)

    def test_conflict(self) -> None:
        """
        One access log has one buffer.
        """
        logs = self.logs()
        logs.accessLog("a.log", 100)
        error = self.assertRaises(ValueError, logs.accessLog, "a.log", 200)
        self.assertEqual(
            str(error),
            f'access_log "{self.folder}/a.log" already defined with'
            " conflicting parameters",
        )

    def test_allOrNothing(self) -> None:
        """
        If one file cannot be opened, none stays open.
        """
        logs = self.logs(ErrorLogLine("a.log", "info"))
        logs.accessLog("missing/b.log")
        error = self.assertRaises(LogOpenError, logs.open)
        self.assertIn('missing/b.log" failed (2: No such', str(error))
        self.assertEqual(list(logs.descriptors), [])

    def test_reopenWritesBuffers(self) -> None:
        """
        What waited in a buffer goes into the old file.
        """
        logs = self.logs()
        log = logs.accessLog("a.log", 100)
        logs.open()
        log.write(b"old\n")
        (self.folder / "a.log").rename(self.folder / "a.log.1")
        logs.reopen()
        log.write(b"new\n")
        logs.close()
        self.assertEqual(self.read("a.log.1"), "old\n")
        self.assertEqual(self.read("a.log"), "new\n")

    def test_reopenFails(self) -> None:
        """
        A file that cannot be opened anew is complained about in the error log.
        """
        (self.folder / "sub").mkdir()
        logs = self.logs(ErrorLogLine("error.log", "info"))
        log = logs.accessLog("sub/a.log")
        logs.open()
        (self.folder / "sub").rename(self.folder / "bus")
        logs.reopen()
        log.write(b"hello\n")
        self.assertIn("[emerg]", self.read("error.log"))
        self.assertEqual(self.read("bus/a.log"), "hello\n")

    def test_target(self) -> None:
        """
        Under C{twistd} its log stands in for that of the main level, but not for
        those of inner levels.
        """
        target = Lines()
        main = ErrorLogLine("main.log", "error")
        logs = Logs(self.clock, str(self.folder), [main], target=target)
        self.assertIs(logs.errorLog([main]), logs.main)
        inner = logs.errorLog([ErrorLogLine("inner.log", "info")])
        logs.open()
        self.addCleanup(logs.close)
        logs.main.write("notice", "hello")
        inner.write("info", "inside")
        self.assertEqual(len(target.lines), 1)
        self.assertIn("inside", self.read("inner.log"))
        self.assertFalse((self.folder / "main.log").exists())
