"""
Tests for L{twisted_upstream.upstream.retry}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.peer import Outcome
from twisted_upstream.upstream import retry
from twisted_upstream.upstream.retry import (
    ERROR,
    HTTP_403,
    HTTP_404,
    HTTP_429,
    HTTP_500,
    HTTP_502,
    HTTP_503,
    HTTP_504,
    INVALID_HEADER,
    NO_LIVE,
    NON_IDEMPOTENT,
    OFF,
    TIMEOUT,
    UnknownCondition,
    mayRetryStatus,
    nextUpstream,
    outcomeOf,
    parseConditions,
    statusOf,
)

EVERYTHING = parseConditions([word for word in retry.HTTP_WORDS if word != "off"])


class ParseTests(SynchronousTestCase):
    """
    Tests for L{parseConditions}.
    """

    def test_sum(self) -> None:
        """
        Each word enables its condition; order, case and repetition do not matter.
        """
        self.assertEqual(parseConditions(["error", "timeout"]), ERROR | TIMEOUT)
        self.assertEqual(
            parseConditions(["HTTP_404", "Error", "error"]), HTTP_404 | ERROR
        )

    def test_offWins(self) -> None:
        """
        C{off} turns off whatever stands beside it.
        """
        for words in (["off"], ["off", "error"], ["error", "off", "http_500"]):
            self.assertEqual(parseConditions(words), OFF)

    def test_unknown(self) -> None:
        """
        Another word is an error that tells which.
        """
        error = self.assertRaises(
            UnknownCondition, parseConditions, ["error", "http_418"]
        )
        self.assertEqual((str(error), error.index), ('invalid value "http_418"', 1))

    def test_otherNames(self) -> None:
        """
        A dialect may have names of its own.
        """
        self.assertEqual(
            parseConditions(["invalid_response", "not_found"], retry.MEMCACHED_WORDS),
            INVALID_HEADER | HTTP_404,
        )
        self.assertRaises(
            UnknownCondition, parseConditions, ["http_404"], retry.MEMCACHED_WORDS
        )

    def test_cgi(self) -> None:
        """
        FastCGI, uwsgi and SCGI know all but two of HTTP's.
        """
        for word, known in (("http_503", True), ("http_502", False)):
            self.assertEqual(word in retry.CGI_WORDS, known)

    def test_combined(self) -> None:
        """
        Several lines add up; off in one of them turns off all.
        """
        self.assertEqual(retry.combined((ERROR, HTTP_404)), ERROR | HTTP_404)
        self.assertEqual(retry.combined((ERROR, OFF)), OFF)


class MeaningTests(SynchronousTestCase):
    """
    Tests for L{statusOf} and L{outcomeOf}.
    """

    def test_status(self) -> None:
        """
        The client gets 504 for a timeout, the server's own status, or 502.
        """
        expected = {
            ERROR: 502,
            TIMEOUT: 504,
            INVALID_HEADER: 502,
            HTTP_500: 500,
            HTTP_502: 502,
            HTTP_503: 503,
            HTTP_504: 504,
            HTTP_403: 403,
            HTTP_404: 404,
            HTTP_429: 429,
            NO_LIVE: 502,
        }
        self.assertEqual({key: statusOf(key) for key in expected}, expected)

    def test_outcome(self) -> None:
        """
        Only 403 and 404 are no failures of the server.
        """
        self.assertEqual(outcomeOf(HTTP_403), Outcome.NEXT)
        self.assertEqual(outcomeOf(HTTP_404), Outcome.NEXT)
        for failure in (ERROR, TIMEOUT, INVALID_HEADER, HTTP_500, HTTP_429):
            self.assertEqual(outcomeOf(failure), Outcome.FAILED)


class NextUpstreamTests(SynchronousTestCase):
    """
    Tests for L{nextUpstream}.
    """

    def ask(self, failure: int = ERROR, enabled: int = ERROR, **changes: Any) -> bool:
        facts: dict[str, Any] = {
            "tries": 1,
            "method": b"GET",
            "sent": True,
            "unbuffered": False,
            "elapsed": 0.0,
            "timeout": 0.0,
        }
        return nextUpstream(failure, enabled, **(facts | changes))

    def test_enabled(self) -> None:
        """
        Another server is asked for enabled conditions only.
        """
        self.assertTrue(self.ask(TIMEOUT, ERROR | TIMEOUT))
        self.assertFalse(self.ask(INVALID_HEADER, ERROR | TIMEOUT))
        self.assertFalse(self.ask(ERROR, OFF))

    def test_noLive(self) -> None:
        """
        When no server could be asked there is no point in asking again.
        """
        self.assertFalse(self.ask(NO_LIVE, EVERYTHING))

    def test_noTriesLeft(self) -> None:
        """
        Nobody is asked when no try is left.
        """
        self.assertFalse(self.ask(tries=0))

    def test_nonIdempotent(self) -> None:
        """
        A POST, LOCK or PATCH is sent twice only if that is enabled.
        """
        for method in (b"POST", b"LOCK", b"PATCH"):
            self.assertFalse(self.ask(method=method))
            self.assertTrue(self.ask(enabled=ERROR | NON_IDEMPOTENT, method=method))
        for method in (b"PUT", b"DELETE", b"HEAD", b"post"):
            self.assertTrue(self.ask(method=method))

    def test_notSent(self) -> None:
        """
        What was not sent yet may be sent elsewhere, whatever it is.
        """
        self.assertTrue(self.ask(method=b"POST", sent=False))
        self.assertTrue(self.ask(unbuffered=True, sent=False))

    def test_unbuffered(self) -> None:
        """
        A body that was passed on as it came cannot be sent again.
        """
        self.assertFalse(self.ask(EVERYTHING, EVERYTHING, unbuffered=True))

    def test_timeout(self) -> None:
        """
        Nobody is asked after the time limit; 0 is no limit.
        """
        self.assertTrue(self.ask(timeout=3.8, elapsed=3.79))
        self.assertFalse(self.ask(timeout=3.8, elapsed=3.8))
        self.assertTrue(self.ask(timeout=0, elapsed=1000))


class MayRetryStatusTests(SynchronousTestCase):
    """
    Tests for L{mayRetryStatus}.
    """

    def ask(self, status: int, enabled: int = EVERYTHING, **changes: Any) -> int:
        facts: dict[str, Any] = {
            "tries": 2,
            "method": b"GET",
            "sent": True,
            "unbuffered": False,
            "elapsed": 0.0,
            "timeout": 0.0,
        }
        return mayRetryStatus(status, enabled, **(facts | changes))

    def test_whichStatuses(self) -> None:
        """
        Seven statuses may send a request elsewhere, each as its own condition.
        """
        retried = {status for status in range(100, 600) if self.ask(status)}
        self.assertEqual(retried, {403, 404, 429, 500, 502, 503, 504})
        self.assertEqual(self.ask(404), HTTP_404)
        self.assertEqual(self.ask(503), HTTP_503)

    def test_enabled(self) -> None:
        """
        A status that is not enabled is passed on.
        """
        self.assertEqual(self.ask(500, HTTP_404), 0)
        self.assertEqual(self.ask(404, HTTP_404), HTTP_404)

    def test_lastServer(self) -> None:
        """
        The response of the last server is passed on as it is.
        """
        self.assertEqual(self.ask(404, tries=1), 0)
        self.assertEqual(self.ask(404, tries=0), 0)

    def test_sameRules(self) -> None:
        """
        Methods, bodies and time count as for failures.
        """
        self.assertEqual(self.ask(404, HTTP_404, method=b"POST"), 0)
        self.assertEqual(
            self.ask(404, HTTP_404 | NON_IDEMPOTENT, method=b"POST"), HTTP_404
        )
        self.assertEqual(self.ask(404, unbuffered=True), 0)
        self.assertEqual(self.ask(404, timeout=1, elapsed=1), 0)
