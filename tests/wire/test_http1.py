"""
Tests for L{twisted_upstream.wire.http1}: what heads say.
"""

from __future__ import annotations

from tests.wire.heads import BROWSER, LIMITS, HeadCase, described, parse, request
from twisted_upstream.wire.http1 import HeadLimits, parseRequest


class FormTests(HeadCase):
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
            self.assertWhole(
                lambda data: described(parseRequest(data, LIMITS)), example, b"GET"
            )

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
