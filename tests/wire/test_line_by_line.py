"""
Tests for L{twisted_upstream.wire.line_by_line}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.heads import BROWSER, LIMITS, described, request
from tests.wire.splits import everySplit, outcome
from twisted_upstream.wire.http1 import BadRequest, HeadLimits, parseRequest
from twisted_upstream.wire.line_by_line import readHead

#: nginx's defaults, smaller.
SMALL = HeadLimits(headerBufferSize=64, largeBufferCount=2, largeBufferSize=128)


class SameTests(SynchronousTestCase):
    """
    Line by line, the same is found as at once.
    """

    def assertSame(self, data: bytes) -> None:
        """
        Both ways lead to the same.
        """
        self.assertEqual(
            outcome(lambda: described(readHead(data, LIMITS, 0))),
            outcome(lambda: described(parseRequest(data, LIMITS))),
        )

    def test_examples(self) -> None:
        """
        Heads of all kinds.
        """
        for data in [
            BROWSER,
            BROWSER[:-1],
            request(first=b"POST /a%20b/../c?d HTTP/1.0"),
            request(first=b"GET /?a#b HTTP/1.1"),
            request(b"Content-Length: 5", b"Expect: 100-Continue"),
            request(b"Transfer-Encoding: chunked", b"Upgrade: A", b"Upgrade: B"),
            request(b"Connection: close", b"Connection: Keep-Alive, Foo"),
            request(b"If-Match: a", b"If-None-Match: b", b"Authorization: c"),
            request(host=b"Host: A.b.:80"),
            request(b"Cost: a", b"Cost: b", b"Iost: c"),
        ]:
            self.assertSame(data)

    @given(
        st.sampled_from([b"GET", b"POST", b"TRACE", b"CONNECT"]),
        st.sampled_from(
            [b"/", b"/a.b?c", b"/./%41", b"/%", b"/..", b"a:1", b"/?#", b""]
        ),
        st.sampled_from([b"1.0", b"1.1", b"1.2", b"2.0"]),
        st.lists(
            st.sampled_from(
                [
                    b"Host: a",
                    b"Host: A:1",
                    b"Host: ?",
                    b"Connection: close",
                    b"connection: keep-Alive",
                    b"Content-Length: 1",
                    b"content-length: x",
                    b"Transfer-Encoding: chunked",
                    b"Transfer-Encoding: gzip",
                    b"Expect: 100-continue",
                    b"Upgrade: h2c",
                    b"If-Match: x",
                    b"Content-Range: x",
                    b"Proxy-Authorization: x",
                    b"Cookie: x",
                    b"X: y\nHost: b",
                    b"X: y\nZ: z",
                    b"x_y: z",
                    b"X: \0",
                    b"X: \r",
                ]
            ),
            max_size=5,
        ),
    )
    def test_combinations(
        self, method: bytes, target: bytes, version: bytes, lines: list[bytes]
    ) -> None:
        """
        Fields in every combination, good and bad.
        """
        first = method + b" " + target + b" HTTP/" + version
        self.assertSame(request(*lines, first=first, host=None))


class LimitTests(SynchronousTestCase):
    """
    Heads that do not fit into nginx's buffers.
    """

    def assertRefused(
        self, status: int, data: bytes, limits: HeadLimits = SMALL
    ) -> BadRequest:
        """
        C{data} is refused, and every part of it is too, or needs more.
        """
        e: BadRequest = self.assertRaises(BadRequest, parseRequest, data, limits)
        self.assertEqual(e.status, status)
        for count, found in everySplit(
            lambda part: described(parseRequest(part, limits)), data
        ):
            self.assertEqual(found[0], BadRequest, data[:count])
        return e

    def accepted(self, data: bytes, limits: HeadLimits = SMALL) -> Any:
        """
        C{data} is a head, however it comes.
        """
        found = list(
            everySplit(lambda part: described(parseRequest(part, limits)), data)
        )
        self.assertEqual([count for count, _ in found], [len(data)])
        return found[0][1]

    def test_longRequestLine(self) -> None:
        """
        A request line fits into a large buffer, with its end.
        """
        frame = len(b"GET / HTTP/1.1\r\n")
        for end, extra in ((b"\r\n", 0), (b"\n", 1)):
            path = b"/" + b"x" * (128 - frame + extra)
            self.accepted(request(first=b"GET " + path + b" HTTP/1.1", end=end))
            e = self.assertRefused(
                414, request(first=b"GET " + path + b"x HTTP/1.1", end=end)
            )
            self.assertEqual(e.reason, "client sent too long URI")
            self.assertTrue(e.requestLine.startswith(b"GET /xxx"))
        self.assertRefused(414, b"G" * 128)

    def test_longField(self) -> None:
        """
        A field fits into a large buffer, with its end.
        """
        value = b"x" * (128 - len(b"X: \r\n"))
        self.accepted(request(b"X: " + value))
        e = self.assertRefused(494, request(b"X: " + value + b"x"))
        self.assertTrue(e.reason.startswith('client sent too long header line: "X: xx'))
        assert e.head is not None
        self.assertEqual((e.head.host, e.head.fields), (b"a", b"\r\nHost: a"))

    def test_buffers(self) -> None:
        """
        There are so many large buffers, and lines fill them one after the other.
        """
        line = b"X: " + b"x" * 95
        # The first buffer has the request line and Host; each line takes a large one.
        self.accepted(request(line))
        self.accepted(request(line, line))
        self.assertRefused(494, request(line, line, line))
        # Short lines follow a long one into its buffer.
        self.accepted(request(line, b"Y: y", line, b"Y: y"))
        short = [b"Y: y"] * 40
        self.assertRefused(494, request(*short, line, line))

    def test_noLargeBuffers(self) -> None:
        """
        Without large buffers all must fit into the first.
        """
        limits = HeadLimits(headerBufferSize=64, largeBufferCount=0)
        data = request(b"X: " + b"x" * 32)
        self.assertEqual(len(data), 64)
        self.accepted(data, limits)
        self.assertRefused(494, request(b"X: " + b"x" * 33), limits)

    def test_smallerLargeBuffers(self) -> None:
        """
        Large buffers may be smaller than the first one, which then takes longer lines.
        """
        limits = HeadLimits(
            headerBufferSize=128, largeBufferCount=2, largeBufferSize=64
        )
        self.accepted(request(b"X: " + b"x" * 80), limits)
        self.assertRefused(494, request(b"X: " + b"x" * 120), limits)

    def test_bodyDoesNotCount(self) -> None:
        """
        What follows a head is no part of it.
        """
        for end in (b"\r\n", b"\n"):
            data = request(b"Content-Length: 1000", end=end)
            head = parseRequest(data + b"x" * 1000, SMALL)
            assert head is not None
            self.assertEqual(head.consumed, len(data))
        old = parseRequest(b"GET /\r\n" + b"x" * 1000, SMALL)
        assert old is not None
        self.assertEqual(old.version, 9)

    def test_tooMany(self) -> None:
        """
        C{max_headers} counts what is not dropped.
        """
        limits = HeadLimits(maxHeaders=5)
        for end in (b"\r\n", b"\n"):
            self.accepted(request(*[b"X: y"] * 4, end=end), limits)
            self.accepted(request(*[b"X: y", b"x_y: z"] * 4, end=end), limits)
            e = self.assertRefused(494, request(*[b"X: y"] * 5, end=end), limits)
            self.assertEqual(e.reason, "client sent too many header lines")
            self.assertRefused(
                494,
                request(*[b"X: y", b"x_y: z"] * 5, end=end),
                limits,
            )
            self.assertRefused(494, request(*[b"X: y"] * 5, end=end)[:-1], limits)
        limits = HeadLimits(maxHeaders=5, underscoresInHeaders=True)
        self.assertRefused(494, request(*[b"X: y", b"x_y: z"] * 4), limits)

    def test_faultBeforeLimit(self) -> None:
        """
        What is wrong is refused for that, if it comes before the limit.
        """
        self.assertRefused(400, request(b"X: \0" + b"x" * 200))
        self.assertRefused(494, request(b"X: " + b"x" * 200 + b"\0"))
        self.assertRefused(400, request(first=b"GET /\0" + b"x" * 200))
        self.assertRefused(414, request(first=b"GET /" + b"x" * 200 + b"\0"))

    def test_defaults(self) -> None:
        """
        nginx's defaults: lines up to 8k, four of them.
        """
        line = b"X: " + b"x" * (8192 - 5)
        # The empty line needs room, too.
        whole = [line, line, line, line[:-2]]
        self.assertIsNotNone(parseRequest(request(*whole), LIMITS))
        self.assertRaises(BadRequest, parseRequest, request(*[line] * 5), LIMITS)
        self.assertRaises(BadRequest, parseRequest, request(line + b"x"), LIMITS)
