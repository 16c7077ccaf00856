"""
Tests for L{twisted_upstream.wire.dates}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.wire.dates import formatDate, parseDate


class DateTests(SynchronousTestCase):
    """
    Dates are written in one format and read in three.
    """

    def test_format(self) -> None:
        """
        Days and months are English, the zone is GMT.
        """
        self.assertEqual(formatDate(23349600), b"Mon, 28 Sep 1970 06:00:00 GMT")
        self.assertEqual(formatDate(0), b"Thu, 01 Jan 1970 00:00:00 GMT")

    def test_formats(self) -> None:
        """
        RFC 822, RFC 850 and C's asctime() are read.
        """
        for text in (
            b"Sun, 06 Nov 1994 08:49:37 GMT",
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
        ):
            self.assertEqual(parseDate(text), 784111777, text)

    def test_century(self) -> None:
        """
        A year of two digits is one between 1970 and 2069.
        """
        self.assertEqual(parseDate(b"Friday, 01-Jan-70 00:00:01 GMT"), 1)
        self.assertEqual(
            parseDate(b"Tuesday, 01-Jan-69 00:00:00 GMT"),
            parseDate(b"Tue, 01 Jan 2069 00:00:00 GMT"),
        )

    def test_roundTrip(self) -> None:
        """
        What is written can be read.
        """
        for seconds in (0, 951782400, 2147483647, 4102444800):
            self.assertEqual(parseDate(formatDate(seconds)), seconds)

    def test_invalid(self) -> None:
        """
        Anything else is no date.
        """
        for text in (
            b"",
            b"yesterday",
            b"Sun, 31 Feb 1994 08:49:37 GMT",
            b"Sun, 06 Foo 1994 08:49:37 GMT",
            b"Sun, 06 Nov 1994 24:00:00 GMT",
            b"Sun, 6 Nov 1994 08:49:37 GMT",
        ):
            self.assertIsNone(parseDate(text), text)
