"""
Tests for L{twisted_upstream.http.phases.ssi_text}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.http.phases.ssi_text import (
    MOST_TEXT,
    Invalid,
    Shared,
    evaluate,
    formatTime,
    holds,
)


def asking(**values: bytes) -> Any:
    """
    A request whose C{$host} is known.
    """
    found = {"host": lambda request: b"example.com"}
    served = SimpleNamespace(find=found.get)
    connection = SimpleNamespace(factory=SimpleNamespace(served=served))
    return SimpleNamespace(values=values, connection=connection)


class TextTests(SynchronousTestCase):
    """
    Texts and conditions.
    """

    def setUp(self) -> None:
        self.shared = Shared()
        self.shared.variables[b"v"] = b"value"
        self.request = asking(mine=b"assigned")

    def test_evaluate(self) -> None:
        """
        Variables of SSI, then those of the request; what is escaped stays.
        """
        for text, expected in (
            (b"plain", b"plain"),
            (b"$v-${V}x", b"value-valuex"),
            (b"$host $mine $none.", b"example.com assigned ."),
            (rb"\$v \\ \' \" \x \ ", b"$v \\ ' \" \\x \\ "),
            (b"end\\", b"end"),
        ):
            self.assertEqual(evaluate(self.shared, self.request, text), expected)

    def test_invalid(self) -> None:
        """
        What follows a dollar must be a name.
        """
        for text, message in (
            (b"a$", 'invalid variable name in "a$"'),
            (b"${", 'invalid variable name in "${"'),
            (b"$-", 'invalid variable name in "$-"'),
            (b"${}", 'invalid variable name in "${}"'),
            (b"${v", 'the closing bracket in "v" variable is missing'),
            (b"${v x}", 'the closing bracket in "v" variable is missing'),
        ):
            error = self.assertRaises(
                Invalid, evaluate, self.shared, self.request, text
            )
            self.assertEqual(str(error), message)

    def test_bounded(self) -> None:
        """
        Values that grow by themselves do so up to a limit.
        """
        shared = self.shared
        shared.assign(b"v", b"x" * MOST_TEXT)
        self.assertRaises(Invalid, evaluate, shared, self.request, b"$v$v")
        self.assertRaises(Invalid, shared.assign, b"w", b"x")
        shared.assign(b"v", b"y")
        shared.assign(b"w", b"x")
        self.assertEqual(evaluate(shared, self.request, b"$v$w"), b"yx")

    def test_holds(self) -> None:
        """
        Conditions: something there, equal or not, a regular expression.
        """
        for text, expected in (
            (b"$v", True),
            (b"$none", False),
            (b"$v = value", True),
            (b"$v=other", False),
            (b"$v != other", True),
            (b"ABC = abc", True),
            (b"$v = /^VAL/", False),
            (b"$v = /^val(?P<Rest>.*)/", True),
            (b"$v != /^val/", False),
            (rb"$v = \/x", False),
            (b"", False),
        ):
            self.assertEqual(holds(self.shared, self.request, text), expected, text)
        for text in (b"$v ? x", b"$v = /x", b"$v = /(/"):
            self.assertRaises(Invalid, holds, self.shared, self.request, text)

    def test_captures(self) -> None:
        """
        What an expression found has numbers, and names where it says so.
        """
        self.assertTrue(
            holds(self.shared, self.request, b"$v = /^(.)(?P<Rest>.*)(x)?/")
        )
        text = b"$0|$1|$rest|$3|$4"
        self.assertEqual(evaluate(self.shared, self.request, text), b"value|v|alue||")

    def test_time(self) -> None:
        """
        C{strftime}, but for seconds since 1970, and what is GMT says so.
        """
        for form, expected in (
            (b"%s", b"86399"),
            (b"%Y-%m-%d %H:%M:%S %Z %%Z", b"1970-01-01 23:59:59 GMT %Z"),
            (b"", None),
        ):
            self.assertEqual(formatTime(form, 86399.9, True), expected)
