"""
Tests for L{twisted_upstream.wire.http1}: requests that repeat the fields of the request
before them.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.conversation import ConversationCase, answer, proxy
from tests.wire.heads import BROWSER, LIMITS, described, parse, request
from tests.wire.splits import outcome
from twisted_upstream.wire.http1 import (
    BadRequest,
    HeadLimits,
    RequestHead,
    parseRequest,
)

_SMALL = HeadLimits(headerBufferSize=64, largeBufferCount=2, largeBufferSize=128)

_LINES = st.builds(
    b"%b %b HTTP/%b".__mod__,
    st.tuples(
        st.sampled_from([b"GET", b"HEAD", b"POST", b"TRACE", b"CONNECT", b"get", b""]),
        st.sampled_from(
            [
                *(b"/", b"/a.b?c", b"/./%41", b"/%", b"/..", b"a:1", b"", b"/x" * 40),
                *(
                    b"http://b/",
                    b"http://b:81/c?d",
                    b"//e",
                    b"/a b",
                    b"/a\rb",
                    b"/a\nb",
                ),
            ]
        ),
        st.sampled_from([b"1.0", b"1.1", b"1.2", b"2.0"]),
    ),
)
_FIELDS = st.lists(
    st.sampled_from(
        [
            *(b"Host: a", b"host: b.c:80", b"Host: a", b"A: b", b"Cookie: c=d"),
            *(b"Connection: close", b"Connection: keep-alive", b"Upgrade: WebSocket"),
            *(b"Content-Length: 5", b"Content-Length: 0", b"Expect: 100-continue"),
            *(
                b"Transfer-Encoding: chunked",
                b"X_Y: z",
                b"Empty:",
                b"Odd:  x",
                b"L: a\nb",
            ),
        ]
    ),
    max_size=5,
).map(lambda lines: b"".join(b"\r\n" + line for line in lines) + b"\r\n\r\n")


def _read(data: bytes, limits: HeadLimits) -> RequestHead | None:
    try:
        return parseRequest(data, limits)
    except BadRequest:
        return None


class RepeatedFieldsTests(SynchronousTestCase):
    """
    Whatever came before, a request means what it means alone.
    """

    def assertSame(
        self, first: bytes, second: bytes, limits: HeadLimits = LIMITS
    ) -> None:
        """
        C{second} is read after C{first} as it is without.
        """
        last = _read(first, limits)
        if last is None:
            return
        self.assertEqual(
            outcome(lambda: described(parseRequest(second, limits, 0, last))),
            outcome(lambda: described(parseRequest(second, limits))),
            (first, second),
        )

    def test_everySplit(self) -> None:
        """
        A head is found when its last byte has come, and ends there.
        """
        second = BROWSER.replace(b"/api", b"/other/api")
        for end in range(len(second) + 1):
            self.assertSame(BROWSER, second[:end])
        for behind in (b"x", b"\r\n", b"\r\n\r\n", second, BROWSER):
            self.assertSame(BROWSER, second + behind)
            self.assertSame(BROWSER, behind + second)
        for ending in (b"abcd", b"\r\nA:", b"\r\n\r", b"\n\r\n\r"):
            self.assertSame(BROWSER, second[:-4] + ending)

    def test_version(self) -> None:
        """
        What fields mean depends on the version.
        """
        for line in (b"A: b", b"Connection: close", b"Transfer-Encoding: chunked"):
            newer = request(line)
            older = request(line, first=b"GET / HTTP/1.0")
            self.assertSame(newer, older)
            self.assertSame(older, newer)

    def test_hostOfTheTarget(self) -> None:
        """
        The host of a target is that of its request alone.
        """
        first = request(first=b"GET http://other/ HTTP/1.1")
        second = request(first=b"GET / HTTP/1.1")
        self.assertEqual(parse(first).host, b"other")
        again = parseRequest(second, LIMITS, 0, parse(first))
        assert again is not None
        self.assertEqual(again.host, b"a")
        self.assertSame(second, first)

    @given(_LINES, _FIELDS, _LINES, _FIELDS, st.sampled_from([b"", b"x", b"\r\n"]))
    def test_sameAsAlone(
        self,
        firstLine: bytes,
        fields: bytes,
        secondLine: bytes,
        others: bytes,
        behind: bytes,
    ) -> None:
        """
        Fields that are the same, or nearly so, behind any request line.
        """
        for limits in (LIMITS, _SMALL):
            first = firstLine + fields
            self.assertSame(first, secondLine + fields + behind, limits)
            self.assertSame(first, secondLine + others + behind, limits)
            self.assertSame(first, secondLine + others[:-4] + fields, limits)
            self.assertSame(first, secondLine + fields[:-4] + others, limits)
            self.assertSame(first, secondLine + fields[2:], limits)


class ConnectionTests(ConversationCase):
    """
    Requests on one connection.
    """

    def test_inTurn(self) -> None:
        """
        Fields repeated, changed and repeated again: each request is passed on with its
        own.
        """
        talk = self.talk(proxy())
        client = talk.client()
        server = None
        for number, field in enumerate([b"A: 1", b"A: 1", b"A: 2", b"A: 2", b"B: 3"]):
            client.sends(b"GET /%d HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % (number, field))
            server = server or talk.server()
            head = server.raw()
            self.assertTrue(head.startswith(b"GET /%d " % number), head)
            self.assertIn(b"\r\n" + field + b"\r\n", head)
            server.sends(answer(b"hello"))
            client.hears(200, b"hello")
