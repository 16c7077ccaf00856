"""
Tests for L{twisted_upstream.wire.cgi}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.splits import everySplit
from twisted_upstream.wire.cgi import parseResponse
from twisted_upstream.wire.response1 import InvalidHead

HEAD = b"Status: 404 Not here\r\nContent-Type: a/b\r\nX: 1\r\nX: 2\r\n\r\n"


class ParseResponseTests(SynchronousTestCase):
    """
    L{parseResponse}.
    """

    def test_everySplit(self) -> None:
        """
        A head is found as soon as it is whole, and nothing after it is looked at.
        """
        data = HEAD + b"body"
        found = dict(everySplit(lambda part: parseResponse(part, 4096), data))
        self.assertEqual(sorted(found), list(range(len(HEAD), len(data) + 1)))
        for response in found.values():
            self.assertEqual(response.status, 404)
            self.assertEqual(response.text, b"404 Not here")
            self.assertEqual(response.consumed, len(HEAD))
            self.assertEqual(
                response.fields,
                b"\r\nStatus: 404 Not here\r\nContent-Type: a/b\r\nX: 1\r\nX: 2",
            )
            self.assertTrue(response.close)

    def test_status(self) -> None:
        """
        Without Status it is 200, or 302 where there is a Location.
        """
        for head, status, text in (
            (b"X: 1\n\n", 200, b"200 OK"),
            (b"Location: /a\r\n\r\n", 302, b"302 Moved Temporarily"),
            (b"Location: /a\nStatus: 201 Made\n\n", 201, b"201 Made"),
            (b"Status: 204\n\n", 204, b""),
            (b"\r\n", 200, b"200 OK"),
        ):
            response = parseResponse(head, 4096)
            assert response is not None
            self.assertEqual((response.status, response.text), (status, text), head)

    def test_statusLine(self) -> None:
        """
        Where it may come, a status line counts; a field beside it does not.
        """
        data = b"HTTP/1.1 403 No\r\nStatus: 200 OK\r\n\r\n"
        found = dict(
            everySplit(lambda part: parseResponse(part, 4096, statusLine=True), data)
        )
        self.assertEqual(list(found), [len(data)])
        self.assertEqual(found[len(data)].status, 403)
        self.assertEqual(found[len(data)].text, b"403 No")
        plain = parseResponse(b"Header: 1\r\n\r\n", 4096, statusLine=True)
        assert plain is not None
        self.assertEqual(plain.status, 200)

    def test_invalid(self) -> None:
        """
        Nonsense, contradictions and too much of it are refused.
        """
        for head, message in (
            (b"Status: none\r\n\r\n", 'upstream sent invalid status "none"'),
            (b"Status: 20\r\n\r\n", 'upstream sent invalid status "20"'),
            (b"a b\x01: c\r\n", "upstream sent invalid header"),
            (
                b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
                "upstream sent duplicate header line",
            ),
            (b"Content-Length: x\r\n\r\n", 'invalid "Content-Length"'),
            (b"X: " + b"y" * 64, "upstream sent too big header"),
        ):
            error = self.assertRaises(InvalidHead, parseResponse, head, 64)
            self.assertIn(message, str(error))

    @given(st.binary(max_size=200), st.booleans())
    def test_anything(self, data: bytes, statusLine: bool) -> None:
        """
        Whatever comes is a head, not yet one, or refused.
        """
        try:
            response = parseResponse(data, 128, statusLine=statusLine)
        except InvalidHead:
            return
        if response is not None:
            self.assertLessEqual(response.consumed, len(data))
            self.assertEqual(data[response.consumed - 1 : response.consumed], b"\n")
