"""
Tests for L{twisted_upstream.http.phases.conditional}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import FakeRequest, run
from twisted_upstream.http.phases.conditional import (
    Multipart,
    conditional,
    matches,
    parseRanges,
    selectRanges,
    unsatisfied,
)
from twisted_upstream.wire.dates import formatDate
from twisted_upstream.wire.head import ResponseHead

CHANGED = 1_000_000_000


def response(status: int = 200) -> ResponseHead:
    """
    A file of 1000 bytes.
    """
    head = ResponseHead(status, b'\r\nETag: "x-1"', contentLength=1000)
    head.contentType = b"text/plain"
    head.lastModified = formatDate(CHANGED)
    return head


class ConditionalTests(SynchronousTestCase):
    """
    Clients get what they do not have.
    """

    def answer(self, *lines: bytes, status: int = 200, how: str = "exact") -> int:
        """
        The status that a request with these fields is answered with.
        """
        request = FakeRequest(fields=b"".join(b"\r\n" + line for line in lines))
        head = response(status)
        return run(conditional, request, head, how) or head.status

    def test_noneMatch(self) -> None:
        """
        If-None-Match compares weakly.
        """
        for value, status in (
            (b'"x-1"', 304),
            (b'W/"x-1"', 304),
            (b'"a", "b" ,\t"x-1" , "c"', 304),
            (b"*", 304),
            (b'"x"', 200),
            (b'"x-1"0', 200),
            (b"", 200),
        ):
            self.assertEqual(self.answer(b"If-None-Match: " + value), status, value)

    def test_match(self) -> None:
        """
        If-Match compares strongly.
        """
        for value, status in (
            (b'"x-1"', 200),
            (b'"a", "x-1"', 200),
            (b"*", 200),
            (b'W/"x-1"', 412),
            (b'"x"', 412),
        ):
            self.assertEqual(self.answer(b"If-Match: " + value), status, value)

    def test_matchesWithoutETag(self) -> None:
        """
        Without an ETag only the star matches.
        """
        self.assertFalse(matches(b'"a"', None, weak=True))
        self.assertTrue(matches(b"*", None, weak=False))

    def test_weakETag(self) -> None:
        """
        An ETag that is weak itself matches weakly only.
        """
        self.assertTrue(matches(b'"a"', b'W/"a"', weak=True))
        self.assertFalse(matches(b'"a"', b'W/"a"', weak=False))

    def test_modifiedSince(self) -> None:
        """
        If-Modified-Since is compared as the configuration says.
        """
        for seconds, how, status in (
            (0, "exact", 304),
            (1, "exact", 200),
            (-1, "exact", 200),
            (1, "before", 304),
            (0, "before", 304),
            (-1, "before", 200),
            (0, "off", 200),
        ):
            line = b"If-Modified-Since: " + formatDate(CHANGED + seconds)
            self.assertEqual(self.answer(line, how=how), status, (seconds, how))
        self.assertEqual(self.answer(b"If-Modified-Since: never", how="before"), 200)

    def test_both(self) -> None:
        """
        Date and ETag must both be those that the client has.
        """
        same = b"If-Modified-Since: " + formatDate(CHANGED)
        self.assertEqual(self.answer(same, b'If-None-Match: "x-1"'), 304)
        self.assertEqual(self.answer(same, b'If-None-Match: "y"'), 200)

    def test_unmodifiedSince(self) -> None:
        """
        If-Unmodified-Since fails if there was a change since.
        """
        for seconds, status in ((0, 200), (1, 200), (-1, 412)):
            line = b"If-Unmodified-Since: " + formatDate(CHANGED + seconds)
            self.assertEqual(self.answer(line), status, seconds)
        self.assertEqual(self.answer(b"If-Unmodified-Since: now"), 412)

    def test_onlySuccess(self) -> None:
        """
        Other answers than 200 are sent whatever the client has.
        """
        self.assertEqual(self.answer(b'If-Match: "y"', status=404), 404)

    def test_notModified(self) -> None:
        """
        A 304 keeps date and ETag, but has no type and no length.
        """
        request = FakeRequest(fields=b"\r\nIf-None-Match: *")
        head = response()
        head.fields += b"\r\nContent-Encoding: gzip\r\nX: y"
        run(conditional, request, head)
        self.assertEqual(head.fields, b'\r\nETag: "x-1"\r\nX: y')
        self.assertIsNone(head.contentType)
        self.assertIsNone(head.contentLength)
        self.assertEqual(head.lastModified, formatDate(CHANGED))
        self.assertTrue(head.noBody)


class ParseRangesTests(SynchronousTestCase):
    """
    Ranges of a body of 1000 bytes.
    """

    def parse(
        self, value: bytes, most: int = 0x7FFFFFFF
    ) -> list[tuple[int, int]] | None:
        return parseRanges(b"bytes=" + value, 1000, most)

    def test_one(self) -> None:
        """
        From, to, or the last so many.
        """
        for value, start, end in (
            (b"0-8", 0, 9),
            (b"990-", 990, 1000),
            (b"-10", 990, 1000),
            (b"-2000", 0, 1000),
            (b"990-1990", 990, 1000),
            (b" 1 - 2 ", 1, 3),
        ):
            self.assertEqual(self.parse(value), [(start, end)], value)

    def test_several(self) -> None:
        """
        Those that cannot be satisfied are left out.
        """
        self.assertEqual(
            self.parse(b"0-9, -10,100000-, 10-19"), [(0, 10), (990, 1000), (10, 20)]
        )

    def test_notSatisfiable(self) -> None:
        """
        Nothing of the body is asked for, or the value is malformed.
        """
        for value in (
            b"1000-",
            b"5-2",
            b"-0",
            b"alpha",
            b"10-alpha",
            b"10",
            b"10-11 12-",
            b"0-1,",
            b"9999999999999999999999-",
            b"9" * 5000 + b"-",
        ):
            self.assertEqual(self.parse(value), [], value)

    def test_whole(self) -> None:
        """
        Too many, or more than there is: the whole body is sent.
        """
        self.assertIsNone(self.parse(b"0-10001, 0-0"))
        self.assertIsNone(self.parse(b"0-9,-10,10-19", 2))
        self.assertEqual(len(self.parse(b"0-9,-10,10000-", 2) or ()), 2)
        tiny = b",".join(b"%d-%d" % (i, i) for i in range(100))
        self.assertIsNone(self.parse(tiny))

    def test_empty(self) -> None:
        """
        Of nothing, the whole is sent.
        """
        self.assertIsNone(parseRanges(b"bytes=0-", 0))
        self.assertIsNone(parseRanges(b"bytes=-5", 0))


class SelectRangesTests(SynchronousTestCase):
    """
    What a response becomes.
    """

    def select(
        self, *lines: bytes, most: int = 0x7FFFFFFF, status: int = 200
    ) -> tuple[object, ResponseHead, FakeRequest]:
        request = FakeRequest(fields=b"".join(b"\r\n" + line for line in lines))
        head = response(status)
        found = run(selectRanges, request, head, most)
        return found, head, request

    def test_none(self) -> None:
        """
        Who asks for nothing special learns that ranges are possible.
        """
        for line in (b"X: y", b"Range: lines=1-2", b"Range: bytes="):
            found, head, _ = self.select(line)
            self.assertIsNone(found)
            self.assertEqual(head.status, 200)
            self.assertTrue(head.fields.endswith(b"\r\nAccept-Ranges: bytes"))

    def test_one(self) -> None:
        """
        One part says which it is.
        """
        found, head, _ = self.select(b"range: Bytes=10-19")
        self.assertEqual(found, [(10, 20)])
        self.assertEqual((head.status, head.contentLength), (206, 10))
        self.assertTrue(head.fields.endswith(b"\r\nContent-Range: bytes 10-19/1000"))

    def test_notSatisfiable(self) -> None:
        """
        The error tells how much there is.
        """
        found, head, _ = self.select(b"Range: bytes=1000-")
        self.assertEqual(found, [])
        self.assertEqual(unsatisfied(1000), b"\r\nContent-Range: bytes */1000")

    def test_off(self) -> None:
        """
        C{max_ranges 0} and errors know no ranges.
        """
        for how in ({"most": 0}, {"status": 404}):
            found, head, _ = self.select(b"Range: bytes=0-1", **how)
            self.assertIsNone(found)
            self.assertNotIn(b"Ranges", head.fields)

    def test_ifRange(self) -> None:
        """
        A part is sent only if the rest is what the client has.
        """
        for value, part in (
            (b'"x-1"', True),
            (b'"y"', False),
            (b'W/"x-1"', False),
            (formatDate(CHANGED), True),
            (formatDate(CHANGED + 1), False),
            (b"never", False),
        ):
            found, head, _ = self.select(b"Range: bytes=0-1", b"If-Range: " + value)
            self.assertEqual(head.status, 206 if part else 200, value)


class MultipartTests(SynchronousTestCase):
    """
    Several parts in one body.
    """

    def test_parts(self) -> None:
        """
        Each part has a head of its own; the length counts all of it.
        """
        head = response()
        parts = Multipart(head, [(0, 2), (990, 1000)], 7)
        boundary = b"00000000000000000007"
        self.assertEqual(
            parts.parts[1],
            (
                b"\r\n--%b\r\nContent-Type: text/plain\r\n"
                b"Content-Range: bytes 990-999/1000\r\n\r\n" % boundary,
                (990, 1000),
            ),
        )
        self.assertEqual(parts.end, b"\r\n--%b--\r\n" % boundary)
        self.assertEqual(
            head.contentType, b"multipart/byteranges; boundary=" + boundary
        )
        body = b"".join(before + bytes(e - s) for before, (s, e) in parts.parts)
        self.assertEqual(head.contentLength, len(body + parts.end))

    def test_withoutType(self) -> None:
        """
        A body without a type has parts without one.
        """
        head = response()
        head.contentType = None
        self.assertNotIn(b"Content-Type", Multipart(head, [(0, 1)], 1).parts[0][0])
