"""
Tests for L{twisted_upstream.process.observer}.
"""

from __future__ import annotations

import errno

from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.logs.places import Lines
from twisted_upstream.logs.error_log import LEVELS, ErrorLog
from twisted_upstream.process.observer import (
    ErrorLogObserver,
    LoggerTarget,
    compactFailure,
)


def failure() -> Failure:
    """
    A failure with two calls in its traceback.
    """

    def inner() -> None:
        raise ValueError("of no use")

    try:
        inner()
    except ValueError:
        return Failure()
    raise AssertionError


class ErrorLogObserverTests(SynchronousTestCase):
    """
    L{ErrorLogObserver}.
    """

    def setUp(self) -> None:
        """
        An error log at C{info}.
        """
        self.target = Lines()
        log = ErrorLog([(self.target, LEVELS["info"])])
        observer = ErrorLogObserver(lambda: log)
        self.log = Logger("twisted_upstream.test", observer=observer)
        self.stranger = Logger("twisted.internet", observer=observer)

    def texts(self) -> list[str]:
        """
        The lines without time and process.
        """
        return [
            line.decode().split(" ", 2)[2].replace("\n", "")
            for line in self.target.lines
        ]

    def only(self) -> str:
        """
        Level and message of the only line.
        """
        (text,) = self.texts()
        level, _, rest = text.split(" ", 2)
        return f"{level} {rest}"

    def test_context(self) -> None:
        """
        Fields of an event become nginx's context, in nginx's order.
        """
        self.log.error(
            "{what} timed out",
            what="upstream",
            errno=errno.ETIMEDOUT,
            connection=3,
            action="reading response header from upstream",
            upstream=b"http://127.0.0.1:1/",
            client="127.0.0.1",
        )
        self.assertEqual(
            self.only(),
            "[error] *3 upstream timed out (110: Connection timed out) while reading"
            " response header from upstream, client: 127.0.0.1,"
            ' upstream: "http://127.0.0.1:1/"',
        )

    def test_level(self) -> None:
        """
        The field C{nginxLevel} names a level that Twisted has not.
        """
        self.log.info("hello", nginxLevel="notice")
        self.assertEqual(self.only(), "[notice] hello")

    def test_failure(self) -> None:
        """
        A failure is one line with its traceback, and never an alert.
        """
        self.log.failure("while testing", failure())
        text = self.only()
        self.assertTrue(
            text.startswith("[crit] while testing: ValueError: of no use (")
        )
        self.assertRegex(
            text,
            r"\(process/test_observer.py:\d+ in inner"
            r" < process/test_observer.py:\d+ in failure\)$",
        )

    def test_gossip(self) -> None:
        """
        What Twisted says for information is debugging here; its warnings count.
        """
        self.stranger.info("Starting factory")
        self.stranger.warn("careful")
        self.assertEqual(self.only(), "[warn] careful")


class CompactFailureTests(SynchronousTestCase):
    """
    L{compactFailure}.
    """

    def test_noTraceback(self) -> None:
        """
        A failure that was never raised has just its message.
        """
        text = compactFailure(Failure(ValueError("of no use")))
        self.assertEqual(text, "ValueError: of no use")

    def test_limit(self) -> None:
        """
        Of a deep traceback the innermost calls are told.
        """
        self.assertEqual(compactFailure(failure(), 1).count(" in "), 1)


class LoggerTargetTests(SynchronousTestCase):
    """
    L{LoggerTarget}.
    """

    def test_emits(self) -> None:
        """
        A line becomes an event without the time, which C{twistd} adds itself.
        """
        events: list[LogEvent] = []

        @implementer(ILogObserver)
        def observer(event: LogEvent) -> None:
            events.append(event)

        target = LoggerTarget(Logger("x", observer=observer))
        ErrorLog([(target, LEVELS["info"])]).write("warn", "{careful}")
        (event,) = events
        self.assertEqual(event["log_level"].name, "warn")
        self.assertRegex(event["text"], r"^\[warn\] \d+#\d+: \{careful\}$")
