"""
Tests for L{twisted_upstream.wire.http1}.
"""

from __future__ import annotations

from typing import Any

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.splits import everySplit, outcome
from twisted_upstream.wire.http1 import (
    BadRequest,
    HeadLimits,
    RequestHead,
    parseRequest,
)

LIMITS = HeadLimits()

BROWSER = (
    b"GET /api/v1/items?page=2&size=50 HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0)\r\n"
    b"Accept: text/html,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Connection: keep-alive\r\n"
    b"\r\n"
)


def described(head: RequestHead | None) -> Any:
    """
    Everything a head says, comparable.
    """
    if head is None:
        return None
    return {name: getattr(head, name) for name in RequestHead.__slots__}


def parse(data: bytes, limits: HeadLimits = LIMITS) -> RequestHead:
    """
    Parse a head that is complete.
    """
    head = parseRequest(data, limits)
    assert head is not None
    return head


def request(
    *lines: bytes,
    first: bytes = b"GET / HTTP/1.1",
    host: bytes | None = b"Host: a",
    end: bytes = b"\r\n",
) -> bytes:
    """
    A head of these lines.
    """
    whole = [first, *([] if host is None else [host]), *lines]
    return b"".join(line + end for line in whole) + end


class FormTests(SynchronousTestCase):
    """
    What a head says.
    """

    def test_browser(self) -> None:
        """
        A head as browsers write it is taken apart.
        """
        head = parse(BROWSER)
        self.assertEqual(head.method, b"GET")
        self.assertEqual(head.requestLine, b"GET /api/v1/items?page=2&size=50 HTTP/1.1")
        self.assertEqual(head.target, b"/api/v1/items?page=2&size=50")
        self.assertEqual(head.path, head.target)
        self.assertEqual(head.uri, b"/api/v1/items")
        self.assertEqual(head.args, b"page=2&size=50")
        self.assertEqual(head.version, 11)
        self.assertEqual(head.protocol, b"HTTP/1.1")
        self.assertEqual(head.consumed, len(BROWSER))
        self.assertEqual((head.host, head.port), (b"www.example.com", b""))
        self.assertTrue(head.fields.startswith(b"\r\nHost: www.example.com\r\nUser-"))
        self.assertTrue(head.fields.endswith(b"\r\nConnection: keep-alive"))
        self.assertTrue(head.keepalive)
        self.assertTrue(head.validUnparsed)
        self.assertIsNone(head.contentLength)
        self.assertFalse(head.chunked or head.expectContinue or head.quotedUri)

    def test_oneForm(self) -> None:
        """
        However a head is written, the same comes out: line ends, empty lines before it,
        spaces around values.
        """
        wanted = described(parse(BROWSER))
        writings = [
            BROWSER.replace(b"\r\n", b"\n"),
            BROWSER.replace(b"\r\nAccept", b"\nAccept"),
            b"\r\n\n\r\n" + BROWSER,
            BROWSER.replace(b": ", b":"),
            BROWSER.replace(b": ", b":   "),
            BROWSER.replace(b"\r\nUser", b"  \r\nUser"),
            BROWSER.replace(b"deflate, br\r\n", b"deflate, br\r\r\n"),
        ]
        for writing in writings:
            found = described(parse(writing))
            self.assertEqual(found.pop("consumed"), len(writing))
            self.assertEqual({**found, "consumed": len(BROWSER)}, wanted, writing)

    def test_start(self) -> None:
        """
        Parsing begins where it is told; positions count from the beginning of the data.
        """
        data = b"12345" + BROWSER + BROWSER
        first = parseRequest(data, LIMITS, 5)
        assert first is not None
        self.assertEqual(first.consumed, 5 + len(BROWSER))
        second = parseRequest(data, LIMITS, first.consumed)
        assert second is not None
        self.assertEqual(second.consumed, len(data))
        odd = b"12345\r\n" + BROWSER.replace(b"\r\n", b"\n") + b"more"
        third = parseRequest(odd, LIMITS, 5)
        assert third is not None
        self.assertEqual(third.consumed, len(odd) - 4)

    def test_everySplit(self) -> None:
        """
        A head is found when its last byte has come, not before, and whatever follows it
        changes nothing.
        """
        examples = [
            BROWSER,
            BROWSER.replace(b"\r\n", b"\n"),
            b"\r\n" + BROWSER,
            request(b"X-A:  v ", b"Empty:", b"None", b"bad_name: x", b"b\xc3\xa9: y"),
            request(b"Content-Length: 5"),
            request(b"Transfer-Encoding: chunked", b"Expect: 100-continue"),
            request(first=b"GET http://[::1]:80?a HTTP/1.0", host=None),
            request(first=b"POST /%41/../b//c?d#e HTTP/1.1  "),
            b"GET /old\r\n",
            b"GET /old\n",
            b"GET http://a/old\n",
        ]
        for example in examples:
            wanted = described(parse(example))
            found = list(
                everySplit(
                    lambda data: described(parseRequest(data, LIMITS)), example + b"GET"
                )
            )
            self.assertEqual(
                [count for count, _ in found],
                list(range(len(example), len(example) + 4)),
                example,
            )
            for _, head in found:
                self.assertEqual(head, wanted)

    def test_targets(self) -> None:
        """
        A target may be a path, or a whole URI; paths are decoded and normalised.
        """
        for target, path, uri, args, quoted in [
            (b"/", b"/", b"/", b"", False),
            (b"/?", b"/?", b"/", b"", False),
            (b"/a.b/c?d=/../%41?#e", b"/a.b/c?d=/../%41?#e", b"/a.b/c", b"d=/../%41?", False),
            (b"/a%20b", b"/a%20b", b"/a b", b"", True),
            (b"/a/./b/../c", b"/a/./b/../c", b"/a/c", b"", False),
            (b"//a", b"//a", b"/a", b"", False),
            (b"/a#%20", b"/a#%20", b"/a", b"", False),
            (b"/\xc3\xa9", b"/\xc3\xa9", b"/\xc3\xa9", b"", False),
            (b"http://h/x?y", b"/x?y", b"/x", b"y", False),
            (b"HTTPS+x.-://h/x%20", b"/x%20", b"/x ", b"", True),
            (b"http://h", b"/", b"/", b"", False),
            (b"http://h?y#z", b"?y#z", b"/", b"y", False),
        ]:  # fmt: skip
            head = parse(request(first=b"GET " + target + b" HTTP/1.1"))
            self.assertEqual(
                (head.target, head.path, head.uri, head.args, head.quotedUri),
                (target, path, uri, args, quoted),
            )
            self.assertEqual(head.validUnparsed, path.startswith(b"/"))

    def test_mergeSlashes(self) -> None:
        """
        C{merge_slashes off} keeps them.
        """
        limits = HeadLimits(mergeSlashes=False)
        head = parse(request(first=b"GET //a HTTP/1.1"), limits)
        self.assertEqual(head.uri, b"//a")

    def test_versions(self) -> None:
        """
        What is newer than 1.1 is treated as 1.1; HTTP/0.9 has no fields and takes one
        request.
        """
        for text, version in [(b"1.0", 10), (b"1.1", 11), (b"1.12", 11), (b"1.00", 10)]:
            head = parse(request(first=b"GET / HTTP/" + text))
            self.assertEqual(head.version, version)
            self.assertEqual(head.protocol, b"HTTP/" + text)
            self.assertEqual(head.keepalive, version == 11)
        old = parse(b"GET /x?y\r\nHost: a\r\n\r\n")
        self.assertEqual((old.version, old.uri, old.args), (9, b"/x", b"y"))
        self.assertEqual((old.fields, old.consumed), (b"", 10))
        self.assertEqual((old.protocol, old.keepalive), (b"", False))

    def test_host(self) -> None:
        """
        The name asked for is in lower case, without port and last dot; the target's
        wins over the field's.
        """
        for target, field, host, port in [
            (b"/", b"Host: A.Example.:8080", b"a.example", b"8080"),
            (b"/", b"Host: [::1]:80", b"[::1]", b"80"),
            (b"http://B:81/", b"Host: a:80", b"b", b"81"),
            (b"http://B", b"Host: a:80", b"b", b""),
        ]:
            head = parse(request(first=b"GET " + target + b" HTTP/1.1", host=field))
            self.assertEqual((head.host, head.port), (host, port))
            self.assertEqual(head.hostField, field[6:])
        self.assertIsNone(parse(b"GET / HTTP/1.0\r\n\r\n").host)
        self.assertIsNone(parse(b"GET / HTTP/1.0\r\n\r\n").hostField)

    def test_hostsAreRemembered(self) -> None:
        """
        Not more hosts are remembered than fit.
        """
        limits = HeadLimits()
        for number in range(3000):
            parse(request(host=b"Host: h%d" % number), limits)
        parse(request(host=b"Host: " + b"h" * 1000), limits)
        self.assertNotIn(b"h" * 1000, limits.hosts)
        self.assertLess(len(limits.hosts), 1100)

    def test_connection(self) -> None:
        """
        Connection says whether the client comes back, wherever the word stands in it;
        the last field that says something counts.
        """
        for version, lines, keepalive in [
            (b"1.1", [], True),
            (b"1.0", [], False),
            (b"1.1", [b"Connection: close"], False),
            (b"1.1", [b"connection: Close"], False),
            (b"1.1", [b"Connection: te, close"], False),
            (b"1.0", [b"Connection: Keep-Alive"], True),
            (b"1.0", [b"Connection: keep-alive, close"], False),
            (b"1.1", [b"Connection: upgrade"], True),
            (b"1.1", [b"Connection: close", b"Connection: keep-alive"], True),
            (b"1.1", [b"Connection: keep-alive", b"Connection: close"], False),
            (b"1.1", [b"Connection: close", b"Connection: te"], False),
        ]:
            for end in (b"\r\n", b"\n"):
                first = b"GET / HTTP/" + version
                head = parse(request(*lines, first=first, end=end))
                self.assertEqual(head.keepalive, keepalive, (version, lines))
                self.assertEqual(
                    head.connection, lines[0].split(b": ")[1] if lines else None
                )

    def test_framing(self) -> None:
        """
        A body's length, or its chunks, are told.
        """
        for end in (b"\r\n", b"\n"):
            head = parse(request(b"content-length: 0042", end=end))
            self.assertEqual((head.contentLength, head.chunked), (42, False))
            head = parse(request(b"Transfer-Encoding: CHUNKED", end=end))
            self.assertEqual((head.contentLength, head.chunked), (None, True))
            head = parse(request(b"Content-Length: 9223372036854775807", end=end))
            self.assertEqual(head.contentLength, (1 << 63) - 1)

    def test_expect(self) -> None:
        """
        Only HTTP/1.1 waits for a word, and only one word is known.
        """
        for end in (b"\r\n", b"\n"):
            for first, value, expected in [
                (b"POST / HTTP/1.1", b"100-continue", True),
                (b"POST / HTTP/1.1", b"100-Continue", True),
                (b"POST / HTTP/1.0", b"100-continue", False),
                (b"POST / HTTP/1.1", b"something", False),
            ]:
                head = parse(request(b"Expect: " + value, first=first, end=end))
                self.assertEqual(head.expectContinue, expected)

    def test_upgrade(self) -> None:
        """
        The first Upgrade is told as it was written.
        """
        for end in (b"\r\n", b"\n"):
            head = parse(request(b"Upgrade: WebSocket", b"upgrade: x", end=end))
            self.assertEqual(head.upgrade, b"WebSocket")

    def test_dropped(self) -> None:
        """
        Fields with unusual names are dropped and told, or kept, as configured.
        """
        lines = [b"a_b: 1", b"c.d:2", b"e\xc3\xa9: 3", b"f: 4"]
        head = parse(request(*lines))
        self.assertEqual(head.fields, b"\r\nHost: a\r\nf: 4")
        self.assertEqual(head.ignored, (b"a_b: 1", b"c.d: 2", b"e\xc3\xa9: 3"))
        head = parse(request(*lines), HeadLimits(underscoresInHeaders=True))
        self.assertEqual(head.fields, b"\r\nHost: a\r\na_b: 1\r\nf: 4")
        for underscores in (False, True):
            limits = HeadLimits(
                ignoreInvalidHeaders=False, underscoresInHeaders=underscores
            )
            head = parse(request(*lines), limits)
            self.assertEqual(
                head.fields,
                b"\r\nHost: a\r\na_b: 1\r\nc.d: 2\r\ne\xc3\xa9: 3\r\nf: 4",
            )
            self.assertEqual(head.ignored, ())

    def test_values(self) -> None:
        """
        A value keeps whatever it has inside; it may be empty, or its colon missing.
        """
        head = parse(request(b"A: b\tc\x01\x7f\xff:  d ", b"E:", b"F"))
        self.assertEqual(
            head.fields, b"\r\nHost: a\r\nA: b\tc\x01\x7f\xff:  d\r\nE: \r\nF: "
        )


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


class OracleTests(SynchronousTestCase):
    """
    Whatever comes, and what h11 makes of it.
    """

    @given(st.binary(max_size=200))
    def test_garbage(self, data: bytes) -> None:
        """
        Any bytes are a head, no head, or refused; more bytes do not change a verdict.
        """
        self.checkGarbage(data)

    @given(
        st.lists(
            st.sampled_from(
                [
                    b"GET / HTTP/1.1",
                    b"\r\n",
                    b"\n",
                    b"\r",
                    b"Host: a",
                    b"X:",
                    b" ",
                    b"\t",
                    b"\0",
                    b":",
                    b"Content-Length: 1",
                    b"Transfer-Encoding: chunked",
                    b"/",
                    b"%",
                    b"..",
                    b"HTTP/",
                    b"_",
                    b"\xff",
                ]
            ),
            max_size=20,
        )
    )
    def test_likelyGarbage(self, pieces: list[bytes]) -> None:
        """
        The same for bytes that have something of a head.
        """
        self.checkGarbage(b"".join(pieces))
        self.checkGarbage(request(b"".join(pieces)))

    def checkGarbage(self, data: bytes) -> None:
        """
        Any part of C{data} is judged as the whole, or not judged yet.
        """

        def judge(part: bytes) -> Any:
            try:
                return described(parseRequest(part, LIMITS))
            except BadRequest as e:
                return e.status

        verdict = None
        for count in range(len(data) + 1):
            found = judge(data[:count])
            if verdict is not None:
                self.assertEqual(found, verdict)
            verdict = found
            if isinstance(found, dict):
                # One form behind it: nobody else has to think of other line ends.
                fields = found["fields"]
                self.assertEqual(fields.count(b"\r\n"), fields.count(b"\n"))
                self.assertEqual(fields.count(b"\r\n"), fields.count(b"\r"))
                self.assertNotIn(b"\0", fields)

    @given(
        st.integers(0, len(BROWSER) - 1),
        st.integers(0, 3),
        st.one_of(
            st.binary(min_size=1, max_size=2),
            st.sampled_from(
                [b"\n", b"\r", b"\nHost: b", b"\nContent-Length: 7", b"\rX: y"]
            ),
        ),
    )
    def test_changed(self, position: int, dropped: int, inserted: bytes) -> None:
        """
        The same for a good head with something changed.
        """
        self.checkGarbage(BROWSER[:position] + inserted + BROWSER[position + dropped :])

    names = st.from_regex(r"\A[A-Za-z0-9-]{1,12}\Z").map(str.encode)
    values = st.from_regex(r"\A(?:[!-~](?:[ -~]{0,20}[!-~])?)?\Z").map(str.encode)

    @given(
        st.from_regex(r"\A[A-Z]{1,8}\Z").map(str.encode),
        st.from_regex(r"\A/[A-Za-z0-9/_~-]{0,20}(?:\?[!-~]{0,10})?\Z").map(str.encode),
        st.lists(st.tuples(names, values), max_size=8),
        st.sampled_from([b"", b"Content-Length: 12\r\n"]),
        st.sampled_from([b": ", b":", b":  "]),
    )
    def test_likeH11(
        self,
        method: bytes,
        target: bytes,
        fields: list[tuple[bytes, bytes]],
        framing: bytes,
        colon: bytes,
    ) -> None:
        """
        What is a proper request for h11 is the same request here.
        """
        known = {b"host", b"content-length", b"transfer-encoding", b"expect"}
        # h11 refuses some of what nginx has no opinion of, and the other way round.
        unlike = known | {b"te", b"connection", b"proxy-authorization"}
        fields = [field for field in fields if field[0].lower() not in unlike]
        data = (
            b"%b %b HTTP/1.1\r\nHost: a\r\n%b" % (method, target, framing)
            + b"".join(name + colon + value + b"\r\n" for name, value in fields)
            + b"\r\n"
        )
        oracle = h11.Connection(h11.SERVER)
        oracle.receive_data(data)
        wanted = oracle.next_event()
        assert isinstance(wanted, h11.Request)
        found = outcome(lambda: parseRequest(data, LIMITS))
        names = [name.lower() for name, _ in fields]
        if method in (b"TRACE", b"CONNECT") or len(set(names)) < len(names):
            # Methods that are not served, fields that may stand once.
            return
        self.assertEqual((found.method, found.target), (wanted.method, wanted.target))
        lines = [line.partition(b": ") for line in found.fields.split(b"\r\n")[1:]]
        self.assertEqual(
            [(name.lower(), value) for name, _, value in lines], list(wanted.headers)
        )
        self.assertEqual(found.contentLength, 12 if framing else None)
