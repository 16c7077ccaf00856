"""
Tests for L{twisted_upstream.upstream.attempt}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.upstream.attempt import Attempt, joined, milliseconds


class JoinedTests(SynchronousTestCase):
    """
    L{joined}.
    """

    def test_none(self) -> None:
        """
        A request that asked no server has no value.
        """
        self.assertIsNone(joined([], lambda each: each.peer))

    def test_separators(self) -> None:
        """
        Attempts are joined by commas, passings by colons.
        """
        a, b, c = (Attempt(name, 0.0) for name in (b"a", b"b", b"c"))
        self.assertEqual(joined([a], lambda each: each.peer), b"a")
        self.assertEqual(joined([a, b, None, c], lambda each: each.peer), b"a, b : c")


class MillisecondsTests(SynchronousTestCase):
    """
    L{milliseconds}.
    """

    def test_times(self) -> None:
        """
        Three decimals, or a dash for what never was.
        """
        self.assertEqual(milliseconds(1.23456), b"1.235")
        self.assertEqual(milliseconds(0.0), b"0.000")
        self.assertEqual(milliseconds(-1.0), b"-")
