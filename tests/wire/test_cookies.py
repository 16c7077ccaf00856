"""
Tests for L{twisted_upstream.wire.cookies}.
"""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.wire.cookies import cookieEditor, cookieFinder


class FinderTests(SynchronousTestCase):
    """
    L{cookieFinder}.
    """

    def find(self, *cookies: bytes, name: bytes = b"sid") -> bytes | None:
        """
        Look through a request with these Cookie fields.
        """
        fields = b"\r\nHost: sid=host" + b"".join(b"\r\nCookie: " + c for c in cookies)
        return cookieFinder(name)(fields + b"\r\nX-Cookie: sid=no")

    def test_found(self) -> None:
        """
        The first cookie of that name counts, in any case, with blanks around.
        """
        for cookies, expected in (
            ((b"sid=1",), b"1"),
            ((b"a=b; sid=1; sid=2",), b"1"),
            ((b"a=b;SID = 1;c",), b"1"),
            ((b"a=b", b"sid=1", b"sid=2"), b"1"),
            ((b"sid=",), b""),
            ((b"sid=a=b,c d",), b"a=b,c d"),
            ((b"  sid=\xff\xfe",), b"\xff\xfe"),
        ):
            self.assertEqual(self.find(*cookies), expected, cookies)

    def test_notFound(self) -> None:
        """
        Names are whole names.
        """
        for value in (b"xsid=1", b"sidx=1", b"sid", b"a=sid=1", b"a sid=1", b"", b";"):
            self.assertIsNone(self.find(value), value)

    def test_oddNames(self) -> None:
        """
        What is special to expressions is nothing special.
        """
        self.assertEqual(self.find(b"s.d(=1", name=b"s.d("), b"1")
        self.assertIsNone(self.find(b"sid=1", name=b"s.d"))

    def test_linear(self) -> None:
        """
        No cookie makes the search long.
        """
        begun = time.perf_counter()
        for piece in (b" ", b";", b"; ", b"sid ", b"; sid", b"sid;", b"=", b"a"):
            self.assertIsNone(self.find(piece * 100_000 + b"x"), piece)
        # Squares of these lengths would take minutes.
        self.assertLess(time.perf_counter() - begun, 5)


class EditorTests(SynchronousTestCase):
    """
    L{cookieEditor}.
    """

    def edit(self, cookie: bytes, new: bytes | None) -> bytes:
        """
        The Cookie fields after the value of C{sid} is made C{new}.
        """
        fields = b"\r\nA: b\r\nCookie: " + cookie + b"\r\nC: d"
        found = cookieEditor(b"sid")(fields, lambda value: new)
        self.assertTrue(found.startswith(b"\r\nA: b"), found)
        self.assertTrue(found.endswith(b"\r\nC: d"), found)
        return found[6:-6]

    def test_replaced(self) -> None:
        """
        The value is another, all else stays.
        """
        for cookie, expected in (
            (b"sid=1", b"sid=new"),
            (b"a=b; sid = 1;c=d; sid=2", b"a=b; sid = new;c=d; sid=2"),
            (b"SID=1", b"SID=1"),
            (b"xsid=1; a", b"xsid=1; a"),
        ):
            self.assertEqual(self.edit(cookie, b"new"), b"\r\nCookie: " + expected)

    def test_cut(self) -> None:
        """
        The cookie is gone with its separator, and an empty field with it.
        """
        for cookie, expected in (
            (b"a=b; sid=1; c=d", b"\r\nCookie: a=b; c=d"),
            (b"sid=1; c=d", b"\r\nCookie: c=d"),
            (b"a=b; sid=1", b"\r\nCookie: a=b"),
            (b"sid=1", b""),
            (b"sid=1;", b""),
        ):
            self.assertEqual(self.edit(cookie, None), expected)

    def test_told(self) -> None:
        """
        The value is told, of the first of several fields.
        """
        told = []

        def change(value: bytes) -> bytes | None:
            told.append(value)
            return None

        fields = b"\r\nCookie: a=b\r\ncookie: sid=1\r\nCookie: sid=2"
        self.assertEqual(
            cookieEditor(b"sid")(fields, change), b"\r\nCookie: a=b\r\nCookie: sid=2"
        )
        self.assertEqual(told, [b"1"])
