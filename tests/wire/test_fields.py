"""
Tests for L{twisted_upstream.wire.fields}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.splits import everySplit
from twisted_upstream.wire.fields import (
    InvalidField,
    firstValue,
    joinFields,
    parseLength,
    readFields,
)


class ReadTests(SynchronousTestCase):
    """
    Tests for L{readFields}.
    """

    def test_lines(self) -> None:
        """
        Lines end with LF, whatever CRs are before it; spaces around values are no part
        of them, tabs are.
        """
        data = b"a: b\r\nC:d\ne:   f g  \r\r\nh:\r\ni: \ni\r\nj: \tk\t\r\n\r\nmore"
        self.assertEqual(
            readFields(data, 0),
            (
                [
                    (b"a", b"b"),
                    (b"C", b"d"),
                    (b"e", b"f g"),
                    (b"h", b""),
                    (b"i", b""),
                    (b"i", b""),
                    (b"j", b"\tk\t"),
                ],
                len(data) - 4,
            ),
        )

    def test_none(self) -> None:
        """
        There may be no field at all.
        """
        self.assertEqual(readFields(b"\r\n", 0), ([], 2))
        self.assertEqual(readFields(b"x\n\n", 2), ([], 3))
        self.assertIsNone(readFields(b"", 0))

    def test_everySplit(self) -> None:
        """
        More is needed up to the end of the empty line.
        """
        for data in (b"a: b\r\nc\r\n\r\n", b"a: b\nc\n\n", b"HTTP/1.1 200\0\r\n\r\n"):

            def parse(part: bytes) -> Any:
                return readFields(part, 0, fromServer=True)

            self.assertEqual(
                [count for count, _ in everySplit(parse, data)], [len(data)]
            )

    def test_statusLineAgain(self) -> None:
        """
        A status line among a server's fields is skipped; a client must not send one.
        """
        data = b"a: b\r\nHTTP/1.1 200\0\rOK\r\nc: d\r\n\r\n"
        self.assertEqual(
            readFields(data, 0, fromServer=True),
            ([(b"a", b"b"), (b"c", b"d")], len(data)),
        )
        self.assertRaises(InvalidField, readFields, data, 0)

    def test_invalid(self) -> None:
        """
        The message shows the line up to the byte that is wrong; where the line begins
        is told.
        """
        for line, shown in [
            (b" a", r"\x20"),
            (b":", r"\x3a"),
            (b"a b: c", r"a\x20"),
            (b"a: b\0", r"a: b\x00"),
            (b"a: b  \rc", r"a: b\x20"),
            (b"a\rb", r"a\x0d"),
            (b"\rb", r"\x0d"),
            (b"\xff \xff", "\udcff\\x20"),
        ]:
            e = self.assertRaises(InvalidField, readFields, b"x: y\n" + line, 0)
            self.assertEqual(e.shown, shown + "...")
            self.assertEqual(e.begin, 5)


class BlockTests(SynchronousTestCase):
    """
    Tests for what works on canonical blocks.
    """

    def test_join(self) -> None:
        """
        Each field has the CRLF before it.
        """
        self.assertEqual(joinFields([]), b"")
        self.assertEqual(joinFields([(b"A", b"b"), (b"c", b"")]), b"\r\nA: b\r\nc: ")

    @given(
        st.lists(
            st.tuples(
                st.from_regex(rb"\A[!-9;-~\x80-\xff]{1,9}\Z"),
                st.from_regex(rb"\A(?:[!-~](?:[ -~]{0,9}[!-~])?)?\Z"),
            )
        )
    )
    def test_roundTrip(self, fields: list[tuple[bytes, bytes]]) -> None:
        """
        A block is read back as it was.
        """
        block = joinFields(fields)
        data = block[2:] + b"\r\n\r\n" if block else b"\r\n"
        self.assertEqual(readFields(data, 0), (fields, len(data)))

    def test_firstValue(self) -> None:
        """
        A field is found by its whole name in any case.
        """
        block = b"\r\nX-Host: a\r\nHOST: b: c\r\nhost: d\r\nEmpty: "
        self.assertEqual(firstValue(block, b"Host"), b"b: c")
        self.assertEqual(firstValue(block, b"empty"), b"")
        self.assertIsNone(firstValue(block, b"X"))
        self.assertIsNone(firstValue(block, b"h.st"))


class LengthTests(SynchronousTestCase):
    """
    Tests for L{parseLength}.
    """

    def test_numbers(self) -> None:
        """
        Digits are a number, up to the largest file.
        """
        for value, length in [
            (b"0", 0),
            (b"0012", 12),
            (b"9223372036854775807", (1 << 63) - 1),
            (b"0" * 5000, 0),
            (b"0" * 5000 + b"7", 7),
        ]:
            self.assertEqual(parseLength(value), length)

    def test_others(self) -> None:
        """
        Nothing else is.
        """
        for value in [
            b"",
            b"+1",
            b"-1",
            b" 1",
            b"1_0",
            b"0x1",
            b"1.0",
            b"\xb2",
            b"9223372036854775808",
            b"1" + b"0" * 5000,
        ]:
            self.assertIsNone(parseLength(value))
