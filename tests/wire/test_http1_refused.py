"""
Tests for L{twisted_upstream.wire.http1}: what it refuses.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.heads import LIMITS, described, parse, request
from tests.wire.splits import everySplit
from twisted_upstream.wire.http1 import BadRequest, HeadLimits, parseRequest


class RefusedTests(SynchronousTestCase):
    """
    What is refused, as a whole and as soon as it is seen.
    """

    def assertRefused(
        self,
        status: int,
        data: bytes,
        reason: str | None = None,
        limits: HeadLimits = LIMITS,
    ) -> BadRequest:
        """
        C{data} is refused, and every part of it is too, or needs more.
        """
        e: BadRequest = self.assertRaises(BadRequest, parseRequest, data, limits)
        self.assertEqual((e.status, data), (status, data))
        if reason is not None:
            self.assertEqual(e.reason, reason)
        for count, found in everySplit(
            lambda part: described(parseRequest(part, limits)), data
        ):
            self.assertEqual(found[0], BadRequest, data[:count])
        return e

    def test_requestLine(self) -> None:
        """
        Lines that are no request lines.
        """
        for line in [
            b"GET",
            b" GET / HTTP/1.1",
            b"get / HTTP/1.1",
            b"G/T / HTTP/1.1",
            b"G3T / HTTP/1.1",
            b"\x16\x03\x01\x02\x00\x01",
            b"GET\t/ HTTP/1.1",
            b"GET  HTTP/1.1",
            b"GET ?a HTTP/1.1",
            b"GET * HTTP/1.1",
            b"GET a HTTP/1.1",
            b"GET / / HTTP/1.1",
            b"GET / HTTP/1.1 x",
            b"GET / HTTP/1.1\r\r",
            b"GET /\r HTTP/1.1",
            b"GET /\0 HTTP/1.1",
            b"GET /a\tb HTTP/1.1",
            b"GET /a\x7f HTTP/1.1",
            b"GET /?a\x01 HTTP/1.1",
            b"GET / http/1.1",
            b"GET / HTTP/1",
            b"GET / HTTP/1.",
            b"GET / HTTP/0.9",
            b"GET / HTTP/.1",
            b"GET / HTTP/1.x",
            b"GET / HTTP/1.1234",
            b"GET / HTTP/x.1",
            b"POST /old",
            b"GET http:/a HTTP/1.1",
            b"GET http//a HTTP/1.1",
            b"GET http://a_b/ HTTP/1.1",
            b"GET http://a@b/ HTTP/1.1",
            b"GET http://a:b/ HTTP/1.1",
            b"GET http://[::1/ HTTP/1.1",
            b"GET http://[::1]a/ HTTP/1.1",
            b"GET http:///a HTTP/1.1",
            b"GET http://a..b/ HTTP/1.1",
            b"GET http://a:65536/ HTTP/1.1",
            b"GET /% HTTP/1.1",
            b"GET /%4 HTTP/1.1",
            b"GET /%zz HTTP/1.1",
            b"GET /%00 HTTP/1.1",
            b"GET /.. HTTP/1.1",
            b"GET /%2e%2e/a HTTP/1.1",
            b"CONNECT / HTTP/1.1",
            b"CONNECT a HTTP/1.1",
            b"CONNECT a: HTTP/1.1",
            b"CONNECT a:80",
        ]:
            e = self.assertRefused(400, request(first=line))
            self.assertEqual(e.requestLine, line.split(b"\r")[0])
            self.assertRefused(400, request(first=line, end=b"\n"))

    def test_newVersion(self) -> None:
        """
        HTTP/2 and later are refused with a status of their own.
        """
        for version in (b"2.0", b"3", b"9.9", b"10.0", b"11"):
            self.assertRefused(
                505,
                request(first=b"GET / HTTP/" + version),
                "client sent invalid version",
            )
        self.assertRefused(505, b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n")

    def test_fields(self) -> None:
        """
        Lines that are no fields, with the words that nginx has for them.
        """
        for line, shown in [
            (b" folded: x", r"\x20"),
            (b"\tfolded: x", r"\x09"),
            (b"Name : x", r"Name\x20"),
            (b"Na\tme: x", r"Na\x09"),
            (b"Na\0me: x", r"Na\x00"),
            (b"Na\x7fme: x", r"Na\x7f"),
            (b": x", r"\x3a"),
            (b"Name: x\0y", r"Name: x\x00"),
            (b"Name:\0", r"Name:\x00"),
            (b"Name: x\ry", r"Name: x\x0d"),
            (b"Name: x \ry", r"Name: x\x20"),
            (b"Name\ry", r"Name\x0d"),
            (b"\ry", r"\x0d"),
            (b"\r\r", r"\x0d"),
        ]:
            reason = f'client sent invalid header line: "{shown}..."'
            for end in (b"\r\n", b"\n"):
                e = self.assertRefused(400, request(line, b"More: x", end=end), reason)
                assert e.head is not None
                self.assertEqual(e.head.fields, b"\r\nHost: a")
                self.assertEqual(e.head.host, b"a")

    def test_host(self) -> None:
        """
        Hosts: missing, wrong, several.
        """
        self.assertRefused(
            400,
            request(host=None),
            'client sent HTTP/1.1 request without "Host" header',
        )
        self.assertRefused(400, request(first=b"GET http://a HTTP/1.1", host=None))
        for value in (b"", b".", b"a..b", b"a b", b"a/b", b"a:x", b"[::1", b"a\x01"):
            self.assertRefused(
                400, request(host=b"Host: " + value), "client sent invalid host header"
            )
        for first in (b"GET / HTTP/1.0", b"GET / HTTP/1.1", b"GET http://b HTTP/1.1"):
            self.assertRefused(
                400,
                request(b"host: A", first=first),
                'client sent duplicate host header: "host: A",'
                ' previous value: "Host: a"',
            )

    def test_duplicates(self) -> None:
        """
        Fields that may stand once; others may stand as often as they like.
        """
        for name in [
            b"If-Modified-Since",
            b"If-Unmodified-Since",
            b"If-Match",
            b"If-None-Match",
            b"If-Range",
            b"Content-Range",
            b"Content-Length",
            b"Transfer-Encoding",
            b"Expect",
            b"Authorization",
            b"Proxy-Authorization",
        ]:
            line = name + b": 0"
            text = name.decode()
            self.assertRefused(
                400,
                request(line, b"X: y", line.lower()),
                f'client sent duplicate header line: "{text.lower()}: 0",'
                f' previous value: "{text}: 0"',
            )
        head = parse(request(b"Cookie: a", b"Cookie: b", b"Accept: c", b"accept: d"))
        self.assertEqual(
            head.fields,
            b"\r\nHost: a\r\nCookie: a\r\nCookie: b\r\nAccept: c\r\naccept: d",
        )

    def test_length(self) -> None:
        """
        Lengths that are no numbers.
        """
        for value in [
            b"",
            b"x",
            b"+3",
            b"-3",
            b"3x",
            b"3 3",
            b"3,3",
            b"3, 3",
            b"3.0",
            b"0x3",
            b"1_0",
            b"\t3",
            b"\xb2",
            b"9223372036854775808",
            b"9" * 5000,
        ]:
            for end in (b"\r\n", b"\n"):
                self.assertRaises(
                    BadRequest,
                    parseRequest,
                    request(b"Content-Length: " + value, end=end),
                    LIMITS,
                )
            if len(value) < 100:
                self.assertRefused(
                    400,
                    request(b"Content-Length: " + value),
                    'client sent invalid "Content-Length" header',
                )

    def test_coding(self) -> None:
        """
        The one coding there is, spelled in no other way.
        """
        for value in [
            b"",
            b"xchunked",
            b"chunkedx",
            b"chunked,",
            b"chunked, chunked",
            b"gzip, chunked",
            b"chunked, identity",
            b"identity",
            b"\tchunked",
            b"chunked\t",
            b"\x0bchunked",
            b'"chunked"',
            b"chunked;q=1",
        ]:
            for end in (b"\r\n", b"\n"):
                line = b"Transfer-Encoding: " + value
                self.assertRefused(
                    501,
                    request(line, end=end),
                    f'client sent unknown "Transfer-Encoding": "{value.decode()}"',
                )
                self.assertRefused(
                    400,
                    request(line, first=b"GET / HTTP/1.0", end=end),
                    'client sent HTTP/1.0 request with "Transfer-Encoding" header',
                )

    def test_smuggling(self) -> None:
        """
        Nothing gets through that another server may read differently.
        """
        length = b"Content-Length: 6"
        coding = b"Transfer-Encoding: chunked"
        both = (
            'client sent "Content-Length" and "Transfer-Encoding" headers'
            " at the same time"
        )
        for end in (b"\r\n", b"\n"):
            self.assertRefused(400, request(length, coding, end=end), both)
            self.assertRefused(400, request(coding, length, end=end), both)
        for lines in [
            (length, length),
            (length, b"content-length: 7"),
            (length, b"Content-Length : 7"),
            (length, b" Content-Length: 7"),
            (length, b"X: y\rContent-Length: 7"),
            (length, b"X: y\0\r\nContent-Length: 7"),
            (coding, coding),
            (coding, b"Transfer-Encoding: identity"),
            (length, b"Transfer-Encoding : chunked"),
            (length, b"Transfer-Encoding\t: chunked"),
            (length, b"Transfer-Encoding\0: chunked"),
            (length, b"Transfer-Encoding\x0b: chunked"),
            (length, b"\x0bTransfer-Encoding: chunked"),
            (length, b"X: y", b" Transfer-Encoding: chunked"),
            (length, b"X: y\r Transfer-Encoding: chunked"),
            (length, b"Transfer-Encoding: \0chunked"),
            (b"Host : b",),
        ]:
            self.assertRefused(400, request(*lines))
        # What is dropped is not passed on either.
        head = parse(request(length, b"Transfer_Encoding: chunked"))
        self.assertNotIn(b"chunked", head.fields)
        head = parse(request(length, b"Transfer\x80Encoding: chunked"))
        self.assertNotIn(b"chunked", head.fields)

    def test_bareLFInValue(self) -> None:
        """
        A bare LF ends a line, also between two CRLFs: what follows it counts.
        """
        head = parse(request(b"X: y\nContent-Length: 7", b"Z: z"))
        self.assertEqual(head.contentLength, 7)
        self.assertEqual(
            head.fields, b"\r\nHost: a\r\nX: y\r\nContent-Length: 7\r\nZ: z"
        )
        self.assertRefused(400, request(b"X: y\nHost: b"))
        self.assertRefused(400, request(b"X: y\n folded"))

    def test_methods(self) -> None:
        """
        TRACE is never served; CONNECT only where it is allowed, without a body.
        """
        self.assertRefused(
            405, request(first=b"TRACE / HTTP/1.1"), "client sent TRACE method"
        )
        connect = b"CONNECT a:80 HTTP/1.1"
        self.assertRefused(405, request(first=connect), "client sent CONNECT method")
        limits = HeadLimits(allowConnect=True)
        head = parse(request(first=connect), limits)
        self.assertEqual((head.host, head.port, head.uri), (b"a", b"80", b"/"))
        self.assertEqual((head.target, head.keepalive), (b"a:80", False))
        self.assertRefused(405, request(first=b"CONNECT a:80 HTTP/1.0"), limits=limits)
        for line in (b"Content-Length: 1", b"Transfer-Encoding: chunked"):
            self.assertRefused(
                400,
                request(line, first=connect),
                "client sent CONNECT request with body",
                limits,
            )

    def test_head(self) -> None:
        """
        The refusal tells what is known of the request.
        """
        e = self.assertRefused(501, request(b"Transfer-Encoding: x"))
        assert e.head is not None
        self.assertEqual((e.head.method, e.head.uri), (b"GET", b"/"))
        self.assertEqual(e.head.host, b"a")
        self.assertEqual(e.requestLine, b"GET / HTTP/1.1")
        self.assertIsNone(self.assertRefused(400, b"GET\r\n").head)
