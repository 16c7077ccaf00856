"""
Tests for L{twisted_upstream.http.phases.media_types}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import configureWithWarnings
from twisted_upstream.http.phases.gzip import GzipOptions
from twisted_upstream.http.phases.media_types import compileTypes


class TypeTests(SynchronousTestCase):
    """
    Content types.
    """

    def test_types(self) -> None:
        """
        The case does not count, nor does a charset; other parameters do.
        """
        matches = compileTypes((("text/plain",), ("a/b",)))
        for value, expected in (
            (b"text/html", True),
            (b"Text/Plain", True),
            (b"a/b; charset=x", True),
            (b"a/b;CHARSET=x", True),
            (b"a/b; version=1", False),
            (b"a/c", False),
            (None, False),
        ):
            self.assertEqual(matches(value), expected, value)
        self.assertTrue(compileTypes((("*",),))(None))

    def test_twice(self) -> None:
        """
        A type that is there already is told.
        """
        block, warnings = configureWithWarnings(
            "gzip_types A/b text/html;", GzipOptions
        )
        self.assertEqual(block.of(GzipOptions).types, (("a/b", "text/html"),))
        self.assertEqual(
            [each.message for each in warnings], ['duplicate MIME type "text/html"']
        )
