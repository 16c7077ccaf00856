"""
Tests for L{twisted_upstream.wire.fastcgi}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.wire.fastcgi import (
    END_REQUEST,
    STDERR,
    STDOUT,
    InvalidRecord,
    RecordReader,
    beginRequest,
    encodeBody,
    encodePair,
    encodeParams,
    record,
)


def readAll(data: bytes, size: int) -> list[tuple[int, bytes]]:
    """
    Read records that come in pieces: kinds, and their content put together.
    """
    reader = RecordReader()
    found: list[tuple[int, bytes]] = []
    open = False
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        position = 0
        while True:
            position = reader.next(piece, position)
            if position < 0:
                break
            content = piece[reader.begin : reader.end]
            if open:
                found[-1] = (found[-1][0], found[-1][1] + content)
            else:
                found.append((reader.kind, content))
            open = reader.left > 0
    return found


class EncodeTests(SynchronousTestCase):
    """
    What servers are sent.
    """

    def test_begin(self) -> None:
        """
        A request begins with its role and whether the connection stays.
        """
        self.assertEqual(beginRequest(False).hex(), "01010001000800000001000000000000")
        self.assertEqual(beginRequest(True).hex(), "01010001000800000001010000000000")

    def test_pair(self) -> None:
        """
        Lengths have one byte, or four from 128 on.
        """
        self.assertEqual(encodePair(b"A", b"bc"), b"\1\2Abc")
        self.assertEqual(encodePair(b"A", b"b" * 127)[:2], b"\1\x7f")
        self.assertEqual(encodePair(b"A", b"b" * 128)[:5], b"\1\x80\0\0\x80")
        self.assertEqual(encodePair(b"A" * 300, b"")[:5], b"\x80\0\1\x2c\0")

    def test_params(self) -> None:
        """
        Parameters are padded to eight bytes and ended by an empty record.
        """
        self.assertEqual(
            encodeParams(b"12345"),
            b"\1\4\0\1\0\5\3\x00" + b"12345" + bytes(3) + b"\1\4\0\1" + bytes(4),
        )

    def test_body(self) -> None:
        """
        A body is cut into records; its end is an empty one.
        """
        self.assertEqual(encodeBody(b"", True), b"\1\5\0\1\0\0\0\0")
        self.assertEqual(encodeBody(b"", False), b"")
        whole = encodeBody(b"x" * 70000, True)
        sizes = []
        while whole:
            self.assertEqual(whole[:4], b"\1\5\0\1")
            size = int.from_bytes(whole[4:6], "big")
            sizes.append(size)
            whole = whole[8 + size + whole[6] :]
        self.assertEqual(sizes, [32768, 32768, 4464, 0])


class RecordReaderTests(SynchronousTestCase):
    """
    L{RecordReader}.
    """

    def test_pieces(self) -> None:
        """
        Records are the same however they are cut.
        """
        data = (
            record(STDERR, b"oh")
            + record(STDOUT, b"hello, world")
            + record(STDOUT, b"")
            + record(END_REQUEST, bytes(8))
        )
        expected = [
            (STDERR, b"oh"),
            (STDOUT, b"hello, world"),
            (STDOUT, b""),
            (END_REQUEST, bytes(8)),
        ]
        for size in range(1, len(data) + 1):
            self.assertEqual(readAll(data, size), expected, size)

    def test_giveBack(self) -> None:
        """
        What was read may be read again.
        """
        data = record(STDOUT, b"headbody") + record(END_REQUEST, bytes(8))
        reader = RecordReader()
        position = reader.next(data, 0)
        reader.giveBack(4)
        position = reader.next(data, position - 4)
        self.assertEqual(data[reader.begin : reader.end], b"body")
        reader.next(data, position)
        self.assertEqual(reader.kind, END_REQUEST)

    def test_invalid(self) -> None:
        """
        Anything else is refused at the first byte that shows it.
        """
        for head, message in (
            (b"\2", "unsupported FastCGI protocol version: 2"),
            (b"\1\1", "invalid FastCGI record type: 1"),
            (b"\1\6\1", "unexpected FastCGI request id high byte: 1"),
            (b"\1\6\0\2", "unexpected FastCGI request id low byte: 2"),
        ):
            reader = RecordReader()
            for at in range(len(head) - 1):
                self.assertEqual(reader.next(head[at : at + 1], 0), -1)
            error = self.assertRaises(InvalidRecord, reader.next, head[-1:], 0)
            self.assertIn(message, str(error))

    @given(
        st.lists(
            st.tuples(
                st.sampled_from((STDOUT, STDERR, END_REQUEST)), st.binary(max_size=40)
            ),
            max_size=6,
        ),
        st.integers(1, 30),
    )
    def test_anyRecords(self, records: list[tuple[int, bytes]], size: int) -> None:
        """
        Whatever was encoded is read again.
        """
        data = b"".join(record(*each) for each in records)
        self.assertEqual(readAll(data, size), records)

    @given(st.binary(max_size=80), st.integers(1, 9))
    def test_anything(self, data: bytes, size: int) -> None:
        """
        Whatever comes is records, a beginning of some, or refused.
        """
        try:
            readAll(data, size)
        except InvalidRecord:
            pass
