"""
Tests for L{twisted_upstream.wire.body}.
"""

from __future__ import annotations

from typing import Any

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.wire.splits import decodeInPieces, outcome
from twisted_upstream.interfaces import IInputFilter
from twisted_upstream.wire.body import (
    LAST_CHUNK,
    Chunked,
    InvalidBody,
    Length,
    Trailed,
    UntilClose,
    encodeChunk,
    encodeLastChunk,
)

CLIENT = "client sent invalid chunked body"
SERVER = "upstream sent invalid chunked response"


class LengthTests(SynchronousTestCase):
    """
    Tests for L{Length}.
    """

    def test_everySplit(self) -> None:
        """
        The body ends after so many bytes; what follows is kept apart.
        """
        data = b"hello, world"
        for size in range(1, len(data) + 1):
            decoder = Length(5)
            self.assertEqual(decodeInPieces(decoder, data, size), b"hello")
            self.assertEqual((decoder.remaining, decoder.excess), (0, b", world"))

    def test_remaining(self) -> None:
        """
        What is missing is told.
        """
        decoder = Length(5)
        verifyObject(IInputFilter, decoder)
        self.assertEqual(decoder.inputFilter(b"hel"), b"hel")
        self.assertEqual((decoder.remaining, decoder.excess), (2, b""))
        self.assertEqual(Length(0).remaining, 0)

    def test_notCopied(self) -> None:
        """
        A piece that is all body is handed on, not copied.
        """
        data = b"x" * 1000
        self.assertIs(Length(1000).inputFilter(data), data)
        self.assertIs(UntilClose().inputFilter(data), data)


class UntilCloseTests(SynchronousTestCase):
    """
    Tests for L{UntilClose}.
    """

    def test_all(self) -> None:
        """
        All is body, and nobody knows when it ends.
        """
        decoder = UntilClose()
        verifyObject(IInputFilter, decoder)
        self.assertEqual(decodeInPieces(decoder, b"hello", 2), b"hello")
        self.assertIsNone(decoder.remaining)
        self.assertEqual(decoder.excess, b"")


class TrailedTests(SynchronousTestCase):
    """
    Tests for L{Trailed}.
    """

    def test_everySplit(self) -> None:
        """
        The trailer is no part of the body; what follows it is kept apart.
        """
        data = b"hello\r\nEND\r\nmore"
        for size in range(1, len(data) + 1):
            decoder = Trailed(5, b"\r\nEND\r\n")
            verifyObject(IInputFilter, decoder)
            self.assertEqual(decodeInPieces(decoder, data, size), b"hello")
            self.assertEqual((decoder.remaining, decoder.excess), (0, b"more"))
            self.assertTrue(decoder.valid)

    def test_remaining(self) -> None:
        """
        The trailer's bytes count as missing.
        """
        decoder = Trailed(2, b"END")
        for byte, remaining in [(b"a", 4), (b"b", 3), (b"E", 2), (b"N", 1), (b"D", 0)]:
            decoder.inputFilter(byte)
            self.assertEqual(decoder.remaining, remaining)

    def test_wrongTrailer(self) -> None:
        """
        After a wrong trailer the body is complete and the connection is of no use.
        """
        for data in (b"helloXEND", b"hello\r\nENX\r\n", b"hello\r\r\n"):
            for size in range(1, len(data) + 1):
                decoder = Trailed(5, b"\r\nEND\r\n")
                self.assertEqual(decodeInPieces(decoder, data, size), b"hello")
                self.assertEqual(decoder.remaining, 0)
                self.assertFalse(decoder.valid)
                self.assertNotEqual(decoder.excess, b"")

    def test_empty(self) -> None:
        """
        There may be no body, or no trailer.
        """
        decoder = Trailed(0, b"END")
        self.assertEqual(decodeInPieces(decoder, b"END", 2), b"")
        self.assertEqual((decoder.remaining, decoder.valid), (0, True))
        decoder = Trailed(2, b"")
        self.assertEqual(decodeInPieces(decoder, b"abc", 2), b"ab")
        self.assertEqual((decoder.excess, decoder.valid), (b"c", True))


class ChunkedTests(SynchronousTestCase):
    """
    Tests for L{Chunked}.
    """

    def assertDecodes(
        self, data: bytes, body: bytes, excess: bytes = b"", **options: Any
    ) -> Chunked:
        """
        C{data} is this body, in whatever pieces it comes.
        """
        for size in range(1, len(data) + 1):
            decoder = Chunked(**options)
            self.assertEqual(decodeInPieces(decoder, data, size), body, (data, size))
            self.assertEqual((decoder.remaining, decoder.excess), (0, excess), size)
        return decoder

    def assertInvalid(self, data: bytes, message: str = SERVER, **options: Any) -> None:
        """
        C{data} is refused, in whatever pieces it comes.
        """
        for size in range(1, len(data) + 1):
            decoder = Chunked(**options)
            e = self.assertRaises(InvalidBody, decodeInPieces, decoder, data, size)
            self.assertEqual(str(e), message, (data, size))

    def test_chunks(self) -> None:
        """
        Chunks are put together; what follows the last one is kept apart.
        """
        verifyObject(IInputFilter, Chunked())
        for data, body in [
            (b"0\r\n\r\n", b""),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n", b"helloworld!"),
            (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
            (b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
            (b"00000000000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"5;x=y\r\nhello\r\n0;z\r\n\r\n", b"hello"),
            (b"5 \r\nhello\r\n0 \r\n\r\n", b"hello"),
            (b"5\t;\0x\r\nhello\r\n0\t\r\n\r\n", b"hello"),
            (b"4\r\n0\r\n\r\r\n0\r\n\r\n", b"0\r\n\r"),
            (b"0\r\nX: y\r\n\r\n", b""),
            (b"0\r\nX\r\n: \0y\r\n z\r\n\r\n", b""),
        ]:
            self.assertDecodes(data, body)
            self.assertDecodes(data + b"GET / ", body, b"GET / ")

    def test_invalid(self) -> None:
        """
        What is no chunk is refused, with the words that nginx has for it.
        """
        for data in [
            b"\r\n",
            b"\n",
            b" 5\r\nhello\r\n",
            b"+5\r\nhello\r\n",
            b"-5\r\nhello\r\n",
            b"0x5\r\nhello\r\n",
            b"5x\r\nhello\r\n",
            b"g\r\n",
            b"5\nhello\r\n",
            b"5\rhello\r\n",
            b"5;x\nhello\r\n",
            b"5;x\rhello\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"5\r\nhello\rX0\r\n\r\n",
            b"5\r\nhello\r\n\r\n",
            b"0\n",
            b"0x\r\n\r\n",
            b"0\rX",
            b"0;x\n\r\n",
            b"0\r\n\n",
            b"0\r\n\rX",
            b"0\r\nX: y\n\r\n",
            b"0\r\nX: y\rZ\r\n\r\n",
            b"800000000000000\r\n",
            b"7fffffffffffffff\r\n",
            b"ffffffffffffffff\r\n",
            b"10000000000000000\r\n",
            b"00fffffffffffffff1\r\n",
        ]:
            self.assertInvalid(data + b"more")
            self.assertInvalid(data + b"more", CLIENT, fromClient=True)

    def test_largest(self) -> None:
        """
        The largest chunk that nginx takes is begun.
        """
        decoder = Chunked()
        self.assertEqual(decoder.inputFilter(b"7ffffffffffffff\r\nabc"), b"abc")
        self.assertEqual(decoder.remaining, (1 << 59) - 1 - 3 + 7)

    def test_remaining(self) -> None:
        """
        What is missing at least is told, and never is 0 before the end.
        """
        data = b"5;x\r\nhello\r\n3\r\nabc\r\n0;y\r\nX: y\r\n\r\n"
        decoder = Chunked()
        self.assertEqual(decoder.remaining, 5)
        for position in range(len(data)):
            missing = len(data) - position
            self.assertTrue(0 < decoder.remaining <= missing, position)
            decoder.inputFilter(data[position : position + 1])
        self.assertEqual(decoder.remaining, 0)

    def test_notCopied(self) -> None:
        """
        A piece that is all body is handed on, not copied.
        """
        decoder = Chunked()
        decoder.inputFilter(b"ffff\r\n")
        data = b"x" * 1000
        self.assertIs(decoder.inputFilter(data), data)

    def test_keepsNothing(self) -> None:
        """
        Sizes, extensions and trailers without end are not kept.
        """
        for begin, endless in [
            (b"", b"0"),
            (b"5;", b"x"),
            (b"0;", b"x"),
            (b"0\r\n", b"X"),
            (b"0\r\n", b"X: y\r\n"),
        ]:
            decoder = Chunked()
            decoder.inputFilter(begin)
            for _ in range(100):
                self.assertEqual(decoder.inputFilter(endless * 1000), b"")
            kept = sum(
                len(value)
                for name in Chunked.__slots__
                if isinstance(value := getattr(decoder, name), bytes)
            )
            self.assertEqual(kept, 0)
            self.assertLess(decoder.remaining, 20)

    def test_trailers(self) -> None:
        """
        Trailers are collected if wanted, as a canonical block.
        """
        for data, trailers in [
            (b"5\r\nhello\r\n0\r\n\r\n", b""),
            (b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", b"\r\nX: y"),
            (b"5\r\nhello\r\n0;z\r\nX:y \nZ\r\n\n", b"\r\nX: y\r\nZ: "),
            (b"5\r\nhello\r\n0\r\nHTTP/1.1 200 OK\r\na_b: c\r\n\r\n", b"\r\na_b: c"),
        ]:
            for excess in (b"", b"more"):
                decoder = self.assertDecodes(
                    data + excess, b"hello", excess, trailerLimit=100
                )
                self.assertEqual(decoder.trailers, trailers)

    def test_badTrailers(self) -> None:
        """
        Trailers that are collected must be fields.
        """
        for line, shown in [
            (b" X: y", r"\x20"),
            (b": y", r"\x3a"),
            (b"X: \0y", r"X: \x00"),
            (b"X: y\rz", r"X: y\x0d"),
        ]:
            self.assertInvalid(
                b"0\r\nA: b\r\n" + line + b"\r\n\r\n",
                f'upstream sent invalid trailer: "{shown}..."',
                trailerLimit=100,
            )

    def test_trailerLimit(self) -> None:
        """
        Collected trailers must fit into a buffer, with the empty line after them.
        """
        lines = b"X: y\r\n\r\n"
        self.assertDecodes(
            b"0\r\n" + lines + b"more", b"", b"more", trailerLimit=len(lines)
        )
        for limit in range(len(lines)):
            self.assertInvalid(
                b"0\r\n" + lines, "upstream sent too big trailers", trailerLimit=limit
            )

    @given(
        st.lists(st.binary(min_size=1, max_size=40), max_size=6),
        st.lists(st.integers(1, 50), min_size=1),
    )
    def test_roundTrip(self, chunks: list[bytes], sizes: list[int]) -> None:
        """
        What is encoded comes back, however it is cut; h11 reads it alike.
        """
        data = b"".join([encodeChunk(chunk) for chunk in chunks]) + LAST_CHUNK
        decoder = Chunked(fromClient=True)
        oracle = h11.Connection(h11.SERVER)
        oracle.receive_data(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        self.assertIsInstance(oracle.next_event(), h11.Request)
        found = b""
        wanted = b""
        rest = data + b"next"
        index = 0
        while rest:
            size = sizes[index % len(sizes)]
            piece, rest = rest[:size], rest[size:]
            found += decoder.inputFilter(piece)
            oracle.receive_data(piece)
            while isinstance(event := oracle.next_event(), h11.Data):
                wanted += event.data
            index += 1
        self.assertEqual(found, b"".join(chunks))
        self.assertEqual(found, wanted)
        self.assertEqual(decoder.excess, b"next")
        self.assertEqual(oracle.trailing_data[0][-4:], b"next")

    @given(
        st.lists(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from([b"\r\n", b"0", b"3", b"abc", b";", b"X: y", b"\n"]),
            ),
            max_size=20,
        ),
        st.booleans(),
    )
    def test_garbage(self, pieces: list[bytes], collect: bool) -> None:
        """
        Any bytes are a body, a part of one, or refused, however they are cut.
        """
        data = b"".join(pieces)

        def decode(size: int) -> Any:
            decoder = Chunked(trailerLimit=50 if collect else None)
            body = decodeInPieces(decoder, data, size)
            return body, decoder.excess, decoder.trailers, decoder.remaining

        verdict = outcome(lambda: decode(len(data) + 1))
        if isinstance(verdict[0], type):
            self.assertIs(verdict[0], InvalidBody)
        for size in (1, 2, 3, 7):
            self.assertEqual(outcome(lambda size=size: decode(size)), verdict)  # type: ignore[misc]


class EncodeTests(SynchronousTestCase):
    """
    Tests for L{encodeChunk} and L{encodeLastChunk}.
    """

    def test_chunk(self) -> None:
        """
        The size is written in hexadecimal; no data is no chunk.
        """
        self.assertEqual(encodeChunk(b"x" * 26), b"1a\r\n" + b"x" * 26 + b"\r\n")
        self.assertEqual(encodeChunk(b""), b"")

    def test_last(self) -> None:
        """
        Trailers stand between the last chunk and the end.
        """
        self.assertEqual(encodeLastChunk(b""), LAST_CHUNK)
        self.assertEqual(
            encodeLastChunk(b"\r\nX: y\r\nZ: z"), b"0\r\nX: y\r\nZ: z\r\n\r\n"
        )
