"""
Tests for L{twisted_upstream.wire.response1}.
"""

from __future__ import annotations

from typing import Any

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.heads import HeadCase, described
from tests.wire.splits import everySplit
from twisted_upstream.wire.response1 import (
    HTTP1Response,
    InvalidHead,
    NotHTTP,
    parseResponse,
)

LIMIT = 4096

TYPICAL = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: nginx\r\n"
    b"Date: Mon, 20 Nov 2023 10:00:00 GMT\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Content-Length: 1234\r\n"
    b"Connection: keep-alive\r\n"
    b"Last-Modified: Mon, 13 Nov 2023 10:00:00 GMT\r\n"
    b'ETag: "6551f3c0-4d2"\r\n'
    b"Cache-Control: max-age=3600\r\n"
    b"\r\n"
)


def parse(data: bytes) -> HTTP1Response:
    """
    Parse a head that is complete.
    """
    head = parseResponse(data, LIMIT)
    assert head is not None
    return head


def response(
    *lines: bytes, first: bytes = b"HTTP/1.1 200 OK", end: bytes = b"\r\n"
) -> bytes:
    """
    A head of these lines.
    """
    return b"".join(line + end for line in (first, *lines)) + end


class FormTests(HeadCase):
    """
    What a head says.
    """

    def test_typical(self) -> None:
        """
        A head as servers write it is taken apart; nothing is missing from its fields.
        """
        head = parse(TYPICAL + b"body")
        self.assertEqual((head.version, head.status, head.text), (11, 200, b"200 OK"))
        self.assertEqual(head.consumed, len(TYPICAL))
        self.assertEqual(head.fields, TYPICAL[15:-4])
        self.assertEqual(head.contentLength, 1234)
        self.assertFalse(head.chunked or head.close)
        self.assertIsNone(head.protocols)
        self.assertEqual(head.warnings, ())
        self.assertEqual(head.values[b"content-type"], b"text/html; charset=utf-8")
        self.assertEqual(head.values[b"etag"], b'"6551f3c0-4d2"')
        self.assertEqual(len(head.values), 8)

    def test_oneForm(self) -> None:
        """
        However a head is written, the same comes out.
        """
        wanted = described(parse(TYPICAL))
        for writing in [
            TYPICAL.replace(b"\r\n", b"\n"),
            TYPICAL.replace(b"\r\nETag", b"\nETag"),
            TYPICAL.replace(b": ", b":"),
            TYPICAL.replace(b"\r\nDate", b"  \r\nDate"),
            TYPICAL.replace(b"\r\nDate", b"\r\nHTTP/1.1 200 \0\rOK\r\nDate"),
            TYPICAL.replace(b"HTTP/1.1 ", b"HTTP/1.1   "),
        ]:
            found = described(parse(writing))
            self.assertEqual(found.pop("consumed"), len(writing))
            self.assertEqual({**found, "consumed": len(TYPICAL)}, wanted, writing)

    def test_everySplit(self) -> None:
        """
        A head is found when its last byte has come, not before, and whatever follows it
        changes nothing.
        """
        for example in [
            TYPICAL,
            TYPICAL.replace(b"\r\n", b"\n"),
            b"HTTP/1.1 204\r\n\r\n",
            b"HTTP/1.0 200\n\n",
            response(first=b"HTTP/1.1  403.7 Forbidden"),
            response(b"None", b"Empty:", b"a_b.c: d", b"HTTP/1.1 200 OK"),
            response(b"Set-Cookie: a", b"Set-Cookie: b", b"Transfer-Encoding: chunked"),
            response(b"ETag: a", b"ETag: b"),
        ]:
            self.assertWhole(
                lambda data: described(parseResponse(data, LIMIT)), example, b"\r\n\0"
            )

    def test_start(self) -> None:
        """
        Parsing begins where it is told: a response may follow an interim one.
        """
        hints = response(b"Link: </a>", first=b"HTTP/1.1 103 Early Hints")
        for last in (TYPICAL, TYPICAL.replace(b"\r\n", b"\n")):
            data = hints + last
            first = parse(data)
            self.assertEqual((first.status, first.consumed), (103, len(hints)))
            second = parseResponse(data, LIMIT, first.consumed)
            assert second is not None
            self.assertEqual((second.status, second.consumed), (200, len(data)))

    def test_statusLines(self) -> None:
        """
        What follows the version is kept as it is; before 1.1, connections close.
        """
        for line, version, status, text in [
            (b"HTTP/1.1 200 OK", 11, 200, b"200 OK"),
            (b"HTTP/1.1 200", 11, 200, b"200"),
            (b"HTTP/1.1 200 ", 11, 200, b"200 "),
            (b"HTTP/1.0 404 Not  Found ", 10, 404, b"404 Not  Found "),
            (b"HTTP/1.1 403.7 No", 11, 403, b"403.7 No"),
            (b"HTTP/1.1   500 \xc3\xa9", 11, 500, b"500 \xc3\xa9"),
            (b"HTTP/1.1 999 X", 11, 999, b"999 X"),
            (b"HTTP/1.1 012 X", 11, 12, b"012 X"),
            (b"HTTP/1.12 200 OK", 19, 200, b"200 OK"),
            (b"HTTP/2.0 200 OK", 20, 200, b"200 OK"),
        ]:
            head = parse(response(first=line))
            self.assertEqual(
                (head.version, head.status, head.text, head.close),
                (version, status, text, version < 11),
            )

    def test_connection(self) -> None:
        """
        C{close} counts wherever it stands.
        """
        for lines, close in [
            ([b"Connection: close"], True),
            ([b"connection: Close"], True),
            ([b"Connection: x, close"], True),
            ([b"Connection: keep-alive", b"Connection: close"], True),
            ([b"Connection: close", b"Connection: keep-alive"], True),
            ([b"Connection: keep-alive"], False),
        ]:
            for end in (b"\r\n", b"\n"):
                self.assertEqual(parse(response(*lines, end=end)).close, close)

    def test_framing(self) -> None:
        """
        A body's length, or its chunks, are told.
        """
        for end in (b"\r\n", b"\n"):
            head = parse(response(b"CONTENT-LENGTH: 0", end=end))
            self.assertEqual((head.contentLength, head.chunked), (0, False))
            head = parse(response(b"Transfer-Encoding: Chunked", end=end))
            self.assertEqual((head.contentLength, head.chunked), (None, True))
            head = parse(response(end=end))
            self.assertEqual((head.contentLength, head.chunked), (None, False))

    def test_upgrade(self) -> None:
        """
        Upgrade is told.
        """
        for end in (b"\r\n", b"\n"):
            head = parse(
                response(
                    b"upgrade: WebSocket",
                    b"Connection: upgrade",
                    first=b"HTTP/1.1 101 Switching Protocols",
                    end=end,
                )
            )
            self.assertEqual(head.protocols, b"WebSocket")

    def test_names(self) -> None:
        """
        Names are kept however they look; the first value of each is told.
        """
        for end in (b"\r\n", b"\n"):
            head = parse(
                response(
                    b"a_b: 1",
                    b"c.d: 2",
                    b"e\xc3\xa9: 3",
                    b"Set-Cookie: x",
                    b"set-cookie: y",
                    end=end,
                )
            )
            self.assertEqual(
                head.fields,
                b"\r\na_b: 1\r\nc.d: 2\r\ne\xc3\xa9: 3"
                b"\r\nSet-Cookie: x\r\nset-cookie: y",
            )
            self.assertEqual(head.values[b"set-cookie"], b"x")
            self.assertEqual(head.values[b"a_b"], b"1")

    def test_duplicates(self) -> None:
        """
        Of a field that may stand once the first is kept, with a warning.
        """
        for name in [
            b"Status",
            b"Content-Type",
            b"Date",
            b"Last-Modified",
            b"ETag",
            b"Server",
            b"Location",
            b"Refresh",
            b"Expires",
            b"X-Accel-Expires",
            b"X-Accel-Redirect",
            b"X-Accel-Limit-Rate",
        ]:
            lower = name.lower()
            head = parse(response(name + b": a", b"X: y", lower + b": b"))
            self.assertEqual(head.fields, b"\r\n" + name + b": a\r\nX: y")
            self.assertEqual(head.values[lower], b"a")
            self.assertEqual(
                head.warnings,
                (
                    f'upstream sent duplicate header line: "{lower.decode()}: b",'
                    f' previous value: "{name.decode()}: a", ignored',
                ),
            )
        lines = [b"Vary: a", b"Vary: b", b"Cache-Control: a", b"Cache-Control: b"]
        head = parse(response(*lines))
        self.assertEqual(head.warnings, ())
        self.assertEqual(head.fields, b"\r\n" + b"\r\n".join(lines))

    def test_earlyHints(self) -> None:
        """
        Fields of early hints mean nothing yet.
        """
        head = parse(
            response(
                b"Content-Length: x",
                b"Transfer-Encoding: y",
                b"ETag: a",
                b"ETag: b",
                first=b"HTTP/1.1 103 Early Hints",
            )
        )
        self.assertEqual((head.contentLength, head.chunked), (None, False))
        self.assertEqual(head.fields.count(b"ETag"), 2)
        self.assertEqual(head.warnings, ())


class RefusedTests(SynchronousTestCase):
    """
    What cannot be used, as a whole and as soon as it is seen.
    """

    def assertRefused(
        self,
        kind: type[Exception],
        data: bytes,
        message: str | None = None,
        limit: int = LIMIT,
    ) -> None:
        """
        C{data} is refused, and every part of it is too, or needs more.
        """
        e = self.assertRaises(kind, parseResponse, data, limit)
        if message is not None:
            self.assertEqual(str(e), message)
        for count, found in everySplit(
            lambda part: described(parseResponse(part, limit)), data
        ):
            self.assertIs(found[0], kind, data[:count])

    def test_notHTTP(self) -> None:
        """
        A first line that is no status line makes all of it a body.
        """
        for line in [
            b"hello",
            b"",
            b" HTTP/1.1 200 OK",
            b"http/1.1 200 OK",
            b"HTTP 200 OK",
            b"HTTP/0.9 200 OK",
            b"HTTP/x.1 200 OK",
            b"HTTP/1 200 OK",
            b"HTTP/1.x 200 OK",
            b"HTTP/1234.1 200 OK",
            b"HTTP/1.1234 200 OK",
            b"HTTP/1.1\t200 OK",
            b"HTTP/1.1200 OK",
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 2 00 OK",
            b"HTTP/1.1 x OK",
            b"HTTP/1.1 200\tOK",
            b"HTTP/1.1 200OK",
            b"HTTP/1.1 200 O\rK",
            b"HTTP/1.1 200\rOK",
            b"HTTP/1.1",
            b"ICY 200 OK",
        ]:
            for end in (b"\r\n", b"\n"):
                self.assertRefused(
                    NotHTTP,
                    response(b"A: b", first=line, end=end),
                    "upstream sent no valid HTTP/1.0 header",
                )

    def test_fields(self) -> None:
        """
        Lines that are no fields, with the words that nginx has for them.
        """
        for line, shown in [
            (b" folded: x", r"\x20"),
            (b"Name : x", r"Name\x20"),
            (b"Na\0me: x", r"Na\x00"),
            (b"Na\x7fme: x", r"Na\x7f"),
            (b": x", r"\x3a"),
            (b"Name: x\0y", r"Name: x\x00"),
            (b"Name: x\ry", r"Name: x\x0d"),
            (b"HTTP: x\ry", r"HTTP: x\x0d"),
            (b"\ry", r"\x0d"),
        ]:
            for end in (b"\r\n", b"\n"):
                self.assertRefused(
                    InvalidHead,
                    response(b"A: b", line, end=end),
                    f'upstream sent invalid header: "{shown}..."',
                )

    def test_framing(self) -> None:
        """
        What tells a body's length must do so once, and be understood.
        """
        length = b"Content-Length: 5"
        coding = b"Transfer-Encoding: chunked"
        both = (
            'upstream sent "Content-Length" and "Transfer-Encoding" headers'
            " at the same time"
        )
        twice = 'upstream sent duplicate header line: "{}", previous value: "{}"'
        for lines, message in [
            ((length, coding), both),
            ((coding, length), both),
            ((length, length), twice.format(length.decode(), length.decode())),
            ((coding, coding), twice.format(coding.decode(), coding.decode())),
            (
                (length, b"content-length: 6"),
                twice.format("content-length: 6", length.decode()),
            ),
            (
                (b"Transfer-Encoding: gzip",),
                'upstream sent unknown "Transfer-Encoding": "gzip"',
            ),
            (
                (b"Content-Length: foo",),
                'upstream sent invalid "Content-Length" header: "Content-Length: foo"',
            ),
        ]:
            for end in (b"\r\n", b"\n"):
                data = response(*lines, end=end)
                e = self.assertRaises(InvalidHead, parseResponse, data, LIMIT)
                self.assertEqual(str(e), message)
        for value in (b"", b"-1", b"+1", b"1 1", b"9223372036854775808", b"\xb2"):
            self.assertRefused(InvalidHead, response(b"Content-Length: " + value))
        for value in (b"", b"chunked, chunked", b"chunked\t", b"identity"):
            self.assertRefused(InvalidHead, response(b"Transfer-Encoding: " + value))

    def test_bareLFInValue(self) -> None:
        """
        A bare LF ends a line, also between two CRLFs.
        """
        head = parse(response(b"X: y\nContent-Length: 7", b"Z: z"))
        self.assertEqual(head.contentLength, 7)
        self.assertEqual(head.fields, b"\r\nX: y\r\nContent-Length: 7\r\nZ: z")
        self.assertRefused(InvalidHead, response(b"X: y\n z"))

    def test_earlyHints(self) -> None:
        """
        HTTP/1.0 has no early hints.
        """
        for end in (b"\r\n", b"\n"):
            self.assertRefused(
                InvalidHead,
                response(b"A: b", first=b"HTTP/1.0 103 Early Hints", end=end),
                "upstream sent HTTP/1.0 response with early hints",
            )

    def test_limit(self) -> None:
        """
        A head that fills its buffer and is not complete is too big; what follows a head
        does not count.
        """
        for end in (b"\r\n", b"\n"):
            data = response(b"A: b", end=end)
            head = parseResponse(data + b"x" * 100, len(data))
            assert head is not None
            self.assertEqual(head.consumed, len(data))
            for limit in (0, 1, 15, 20, len(data) - 1):
                self.assertRefused(
                    InvalidHead, data, "upstream sent too big header", limit
                )
        self.assertRefused(NotHTTP, b"x" * 100, limit=10)


class OracleTests(HeadCase):
    """
    Whatever comes, and what h11 makes of it.
    """

    @given(st.binary(max_size=200))
    def test_garbage(self, data: bytes) -> None:
        """
        Any bytes are a head, no head, or refused; more bytes do not change a verdict.
        """
        self.checkGarbage(data)
        self.checkGarbage(b"HTTP/1.1 200 OK\r\n" + data)

    @given(
        st.integers(0, len(TYPICAL) - 1),
        st.integers(0, 3),
        st.one_of(
            st.binary(min_size=1, max_size=2),
            st.sampled_from([b"\n", b"\r", b"\nETag: b", b"\nContent-Length: 7", b"_"]),
        ),
    )
    def test_changed(self, position: int, dropped: int, inserted: bytes) -> None:
        """
        The same for a good head with something changed.
        """
        self.checkGarbage(TYPICAL[:position] + inserted + TYPICAL[position + dropped :])

    def checkGarbage(self, data: bytes) -> None:
        """
        Any part of C{data} is judged as the whole, or not judged yet.
        """

        def judge(part: bytes) -> Any:
            try:
                return described(parseResponse(part, LIMIT))
            except (InvalidHead, NotHTTP) as e:
                return type(e)

        self.assertSteady(judge, data)

    names = st.from_regex(r"\A[A-Za-z0-9_-]{1,12}\Z").map(str.encode)
    values = st.from_regex(r"\A(?:[!-~](?:[ -~]{0,20}[!-~])?)?\Z").map(str.encode)

    @given(
        st.integers(200, 999),
        st.from_regex(r"\A[A-Za-z ]{0,10}\Z").map(str.encode),
        st.lists(st.tuples(names, values), max_size=8),
        st.sampled_from([b"", b"Content-Length: 12\r\n"]),
        st.sampled_from([b"\r\n", b"\n"]),
    )
    def test_likeH11(
        self,
        status: int,
        reason: bytes,
        fields: list[tuple[bytes, bytes]],
        framing: bytes,
        end: bytes,
    ) -> None:
        """
        What is a proper response for h11 is the same response here.
        """
        unlike = {b"content-length", b"transfer-encoding", b"connection"}
        fields = [field for field in fields if field[0].lower() not in unlike]
        data = (
            b"HTTP/1.1 %d %b\r\n%b" % (status, reason, framing)
            + b"".join(name + b": " + value + b"\r\n" for name, value in fields)
            + b"\r\n"
        ).replace(b"\r\n", end)
        oracle = h11.Connection(h11.CLIENT)
        oracle.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        oracle.send(h11.EndOfMessage())
        oracle.receive_data(data)
        wanted = oracle.next_event()
        assert isinstance(wanted, h11.Response)
        head = parse(data)
        self.assertEqual(head.status, wanted.status_code)
        self.assertEqual(head.text, b"%d %b" % (status, reason))
        if not head.warnings:
            lines = [line.partition(b": ") for line in head.fields.split(b"\r\n")[1:]]
            self.assertEqual(
                [(name.lower(), value) for name, _, value in lines],
                list(wanted.headers),
            )
        self.assertEqual(head.contentLength, 12 if framing else None)
