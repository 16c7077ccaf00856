"""
Tests for L{twisted_upstream.logs}.
"""

from __future__ import annotations

import errno
import gzip
import os
import re
import socket
import tempfile
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twisted_upstream.config.build import Grammar
from twisted_upstream.config.syntax import ConfigError, parse
from twisted_upstream.interfaces import ILogTarget
from twisted_upstream.logs import (
    LEVELS,
    AccessLogFile,
    Console,
    ErrorLog,
    ErrorLogLine,
    ErrorLogOptions,
    LogFile,
    LogOpenError,
    Logs,
    TimeStamp,
)
from twisted_upstream.net.syslog import SyslogServer

WHEN = 1_800_000_000.5


@implementer(ILogTarget)
class Lines:
    """
    Remembers what it was given.
    """

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes, level: int) -> None:
        """
        Remember it.
        """
        self.lines.append(line)


def folderFor(case: SynchronousTestCase) -> Path:
    """
    An empty folder that is removed after the test.
    """
    folder = tempfile.TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return Path(folder.name)


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


class ErrorLogOptionsTests(SynchronousTestCase):
    """
    C{error_log}.
    """

    def lines(self, text: str) -> tuple[ErrorLogLine, ...]:
        """
        What a main level means.
        """
        grammar = Grammar()
        grammar.add(ErrorLogOptions)
        return grammar.build(parse(text, "x.conf")).of(ErrorLogOptions).errorLog

    def message(self, text: str) -> str:
        """
        What is wrong with a main level.
        """
        return str(self.assertRaises(ConfigError, self.lines, text))

    def test_defaultLevel(self) -> None:
        """
        Without a level, C{error} and worse are logged.
        """
        self.assertEqual(self.lines("error_log a;"), (ErrorLogLine("a", "error"),))

    def test_several(self) -> None:
        """
        Several lines of one level all count.
        """
        self.assertEqual(
            self.lines("error_log a info; error_log stderr debug;"),
            (ErrorLogLine("a", "info"), ErrorLogLine("stderr", "debug")),
        )

    def test_debugAreas(self) -> None:
        """
        The words for areas of debugging mean C{debug}.
        """
        self.assertEqual(
            self.lines("error_log a debug_http debug_event;"),
            (ErrorLogLine("a", "debug"),),
        )

    def test_mistakes(self) -> None:
        """
        Wrong, doubled and mixed levels get nginx's messages.
        """
        for text, message in (
            ("error_log a loud;", 'invalid log level "loud" in x.conf:1'),
            (
                "error_log syslog:tag=a;",
                "no syslog server specified in x.conf:1",
            ),
            ("error_log a info warn;", 'duplicate log level "warn" in x.conf:1'),
            (
                "error_log a info debug_http;",
                'invalid log level "debug_http" in x.conf:1',
            ),
            (
                "error_log memory:32k;",
                "nginx was built without debug support in x.conf:1",
            ),
        ):
            self.assertEqual(self.message(text), message)


class ErrorLogTests(SynchronousTestCase):
    """
    L{ErrorLog}.
    """

    def setUp(self) -> None:
        """
        A log at C{info} on a stopped clock.
        """
        self.target = Lines()
        self.log = ErrorLog([(self.target, LEVELS["info"])], TimeStamp(lambda: WHEN))

    def written(self) -> str:
        """
        The only line, without time and process.
        """
        (line,) = self.target.lines
        found = re.fullmatch(
            r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[\w+\]) (\d+)#\d+: (.*)\n", line.decode()
        )
        assert found is not None, line
        self.assertEqual(int(found[2]), os.getpid())
        return f"{found[1]} {found[3]}"

    def test_plain(self) -> None:
        """
        A line has time, level, process and thread.
        """
        self.log.write("notice", "hello")
        self.assertEqual(self.written(), "[notice] hello")

    def test_whole(self) -> None:
        """
        Connection, system error and context stand where nginx has them.
        """
        self.log.write(
            "error",
            "connect() failed",
            errno.ECONNREFUSED,
            7,
            " while connecting to upstream, client: 127.0.0.1",
        )
        self.assertEqual(
            self.written(),
            "[error] *7 connect() failed (111: Connection refused)"
            " while connecting to upstream, client: 127.0.0.1",
        )

    def test_levels(self) -> None:
        """
        What is less severe than the level is not written.
        """
        self.log.write("debug", "noise")
        self.assertEqual(self.target.lines, [])
        self.assertTrue(self.log.enabled("info"))
        self.assertFalse(self.log.enabled("debug"))

    def test_targetsHaveLevels(self) -> None:
        """
        Each target has a level of its own; the log's is the most verbose.
        """
        quiet = Lines()
        log = ErrorLog([(self.target, LEVELS["debug"]), (quiet, LEVELS["error"])])
        log.write("info", "hello")
        self.assertEqual((len(self.target.lines), len(quiet.lines)), (1, 0))
        self.assertTrue(log.enabled("debug"))

    def test_longLine(self) -> None:
        """
        A long message is cut so that the system's error is still there.
        """
        self.log.write("error", "x" * 5000, errno.ENOENT)
        line = self.target.lines[0]
        self.assertLessEqual(len(line), 2048)
        self.assertTrue(line.endswith(b"xxx... (2: No such file or directory)\n"))

    def test_oneLine(self) -> None:
        """
        A line feed in a message cannot begin a line of its own.
        """
        self.log.write("error", "a\nb\x00c\td\u00e9\udcff")
        self.assertIn(b": a\\x0ab\\x00c\td\xc3\xa9\xff\n", self.target.lines[0])

    def test_console(self) -> None:
        """
        While a process starts, warnings and worse are said on standard error too.
        """
        said: list[str] = []
        console = Console(said.append)
        log = ErrorLog([(self.target, LEVELS["emerg"])], console=console)
        log.write("notice", "hello")
        log.write("warn", "careful")
        log.write("emerg", "over", errno.ENOENT)
        self.assertEqual(
            said,
            [
                "nginx: [warn] careful\n",
                "nginx: [emerg] over (2: No such file or directory)\n",
            ],
        )
        console.active = False
        log.write("emerg", "quiet")
        self.assertEqual(len(said), 2)


class TimeStampTests(SynchronousTestCase):
    """
    L{TimeStamp}.
    """

    def test_follows(self) -> None:
        """
        The text changes with the second.
        """
        now = [WHEN]
        stamp = TimeStamp(lambda: now[0])
        first = stamp.now()
        self.assertRegex(first, r"^2027/01/1[45] \d\d:\d\d:\d\d$")
        now[0] += 0.2
        self.assertIs(stamp.now(), first)
        now[0] += 1.0
        self.assertNotEqual(stamp.now(), first)


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
