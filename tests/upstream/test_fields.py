"""
Tests for L{twisted_upstream.upstream.fields}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.upstream.fields import hider, rewrite, values

BLOCK = b"\r\nA: 1\r\nServer: mine\r\nX-Secret: s\r\nB: 2\r\nContent-Length: 5"


class HiderTests(SynchronousTestCase):
    """
    L{hider}.
    """

    def test_default(self) -> None:
        """
        What nginx hides is hidden, and what the client's side makes itself.
        """
        self.assertEqual(hider((), ())(b"", BLOCK), b"\r\nA: 1\r\nX-Secret: s\r\nB: 2")

    def test_more(self) -> None:
        """
        More may be hidden, in any case of letters.
        """
        hide = hider((b"x-secret",), ())
        self.assertEqual(hide(b"", b"\r\nX-SECRET: s\r\nA: 1"), b"\r\nA: 1")

    def test_shown(self) -> None:
        """
        What is to be passed is not hidden, but never the framing.
        """
        hide = hider((b"b",), (b"server", b"b", b"content-length"))
        self.assertEqual(
            hide(b"", BLOCK), b"\r\nA: 1\r\nServer: mine\r\nX-Secret: s\r\nB: 2"
        )

    def test_wholeNames(self) -> None:
        """
        A name that begins or ends like a hidden one is another.
        """
        block = b"\r\nServer-Timing: a\r\nX-Server: b\r\nDates: c"
        self.assertEqual(hider((), ())(b"", block), block)

    def test_literal(self) -> None:
        """
        A name is not an expression.
        """
        self.assertEqual(hider((b"a.b",), ())(b"", b"\r\naxb: 1"), b"\r\naxb: 1")


class RewriteTests(SynchronousTestCase):
    """
    L{rewrite}.
    """

    def test_location(self) -> None:
        """
        A rewritten Location that lacks a host is taken out, to get one.
        """
        block = b"\r\nA: 1\r\nLocation: http://u/x\r\nB: 2"
        self.assertEqual(
            rewrite(block, lambda value: b"/x", None, True),
            (b"\r\nA: 1\r\nB: 2", b"/x"),
        )
        self.assertEqual(
            rewrite(block, lambda value: b"/x", None, False),
            (b"\r\nA: 1\r\nLocation: /x\r\nB: 2", None),
        )

    def test_untouched(self) -> None:
        """
        What nobody rewrites stays as it is, to the letter.
        """
        block = b"\r\nlOcation: y\r\nRefresh: 3; url=z\r\nSet-Cookie: a=b"
        unchanged = rewrite(block, lambda value: None, lambda value: None, True)
        self.assertEqual(unchanged, (block, None))
        self.assertEqual(rewrite(block, None, None, True), (block, None))

    def test_refresh(self) -> None:
        """
        Of Refresh the URL is rewritten: what follows C{url=}.
        """

        def rewriteUrl(value: bytes) -> bytes | None:
            return b"/new" if value == b"http://b/" else None

        for value, expected in (
            (b"7; url=http://b/", b"7; url=/new"),
            (b"7; URL=http://b/", b"7; URL=/new"),
            (b"7; url=http://c/", b"7; url=http://c/"),
            (b"7; http://b/", b"7; http://b/"),
        ):
            self.assertEqual(
                rewrite(b"\r\nRefresh: " + value, rewriteUrl, None, True),
                (b"\r\nRefresh: " + expected, None),
            )
        self.assertEqual(
            rewrite(
                b"\r\nRefresh: 3; URL=http://u/", lambda v: b"[%b]" % v, None, True
            ),
            (b"\r\nRefresh: 3; URL=[http://u/]", None),
        )

    def test_cookies(self) -> None:
        """
        Each cookie is rewritten by itself.
        """
        block = b"\r\nSet-Cookie: a\r\nset-cookie: b"
        self.assertEqual(
            rewrite(block, None, lambda value: value * 2, True),
            (b"\r\nSet-Cookie: aa\r\nset-cookie: bb", None),
        )


class ValuesTests(SynchronousTestCase):
    """
    L{values}.
    """

    def test_all(self) -> None:
        """
        All values of a name, in any case, in order.
        """
        block = b"\r\nA: 1\r\nB: 2\r\na: 3"
        self.assertEqual(values(block, b"A"), [b"1", b"3"])
        self.assertEqual(values(block, b"none"), [])
        self.assertEqual(values(b"", b"A"), [])
