"""
Tests for L{twisted_upstream.logs.error_log}.
"""

from __future__ import annotations

import errno
import os
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.logs.places import WHEN, Lines
from twisted_upstream.config.build import Grammar
from twisted_upstream.config.syntax import ConfigError, parse
from twisted_upstream.logs.error_log import (
    LEVELS,
    Console,
    ErrorLog,
    ErrorLogLine,
    ErrorLogOptions,
    TimeStamp,
)


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
