"""
Tests for L{twisted_upstream.http.filters}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.taker import Taker
from twisted_upstream.http.filters import BodyFilter, BrokenBody, Chain, Filters
from twisted_upstream.wire.head import ResponseHead


class Upper(BodyFilter):
    """
    Makes letters large, one at a time; cannot bear digits.
    """

    __slots__ = ()

    def step(self, data: bytes) -> bytes:
        """
        One letter.
        """
        if data[:1].isdigit():
            raise BrokenBody("a digit")
        if data[1:]:
            self.putBack(data[1:])
        return data[:1].upper()

    def pause(self) -> bytes:
        """
        A full stop.
        """
        return b"."

    def finish(self) -> bytes:
        """
        The end.
        """
        return b"!"


class FilterTests(SynchronousTestCase):
    """
    L{BodyFilter}.
    """

    def test_ends(self) -> None:
        """
        What comes out goes on, and what the end was.
        """
        taker = Taker()
        body = Upper(taker, 100)
        body.putBody(b"ab")
        body.putEnd()
        self.assertEqual(b"".join(taker.out), b"AB.!")
        self.assertTrue(taker.ended)
        taker = Taker()
        body = Upper(taker, 100)
        body.putBody(b"ab")
        body.putCut()
        self.assertEqual(b"".join(taker.out), b"AB..")
        self.assertTrue(taker.cut)

    def test_broken(self) -> None:
        """
        What cannot be filtered is told and cut; the rest is ignored.
        """
        taker = Taker()
        body = Upper(taker, 100)
        body.putBody(b"a1b")
        body.putEnd()
        self.assertEqual(taker.logged, ["a digit"])
        self.assertEqual(taker.out, [b"A"])
        self.assertTrue(taker.cut and not taker.ended)

    def test_badFile(self) -> None:
        """
        A file that cannot be read cuts the response.
        """
        taker = Taker()
        body = Upper(taker, 100)
        body.putRegion(-1, 0, 10)
        self.assertTrue(taker.cut)
        self.assertIn("pread() failed (9: ", taker.logged[0])

    def test_holdsUp(self) -> None:
        """
        A taker that has enough holds up the whole row, from the last to the first.
        """
        taker = Taker(room=False)
        first, second = Upper(taker, 100), Upper(taker, 100)
        first.next = second
        told: list[int] = []
        first.putBody(b"abc")
        self.assertEqual(taker.out, [b"A", b"."])
        self.assertFalse(first.canPut(10**9))
        first.whenPut(lambda: told.append(1))
        out = b""
        while taker.callback is not None:
            out += b"".join(taker.out)
            taker.out.clear()
            callback, taker.callback = taker.callback, None
            callback()
        self.assertEqual(out + b"".join(taker.out), b"A.B.C...")
        self.assertEqual(told, [1])
        self.assertFalse(first.waiting or second.waiting)


class ChainTests(SynchronousTestCase):
    """
    L{Chain} and L{Filters}.
    """

    def test_first(self) -> None:
        """
        What comes out at once leaves with the head, the rest goes to the reply.
        """
        taker = Taker()
        chain = Chain(taker, [Upper(taker, 100), Upper(taker, 100)])
        chain.start(b"head ", b"ab", False)
        self.assertEqual(taker.out, [b"head A.B..."])
        chain.first.putBody(b"c")
        self.assertEqual(b"".join(taker.out), b"head A.B...C...")
        chain.stop()
        chain.first.putBody(b"d")
        self.assertEqual(b"".join(taker.out), b"head A.B...C...")

    def test_late(self) -> None:
        """
        The head waits for the first that comes out, unless nothing may wait.
        """
        taker = Taker()
        chain = Chain(taker, [Upper(taker, 100)])
        chain.start(b"head ", b"", False)
        self.assertEqual(taker.out, [])
        chain.first.putBody(b"a")
        self.assertEqual(taker.out, [b"head A", b"."])
        taker = Taker()
        taker.flushes = True
        Chain(taker, [Upper(taker, 100)]).start(b"head ", b"", False)
        self.assertEqual(taker.out, [b"head "])

    def test_whole(self) -> None:
        """
        A whole body may come out at once.
        """
        taker = Taker()
        Chain(taker, [Upper(taker, 100)]).start(b"head ", b"ab", True)
        self.assertEqual(taker.out, [b"head AB.!"])
        self.assertTrue(taker.ended)

    def test_large(self) -> None:
        """
        What is more than may wait comes out when the first part has gone.
        """
        taker = Taker()
        Chain(taker, [Upper(taker, 2)]).start(b"head ", b"abcdef", True)
        self.assertEqual(taker.out, [b"head ABC"])
        callback = taker.callback
        self.assertIsNotNone(callback)
        callback()
        self.assertEqual(b"".join(taker.out), b"head ABCDEF!")
        self.assertTrue(taker.ended)

    def test_cut(self) -> None:
        """
        What breaks at once is cut after what came out before.
        """
        taker = Taker()
        Chain(taker, [Upper(taker, 100)]).start(b"head ", b"a1", True)
        self.assertEqual(taker.out, [b"head A"])
        self.assertTrue(taker.cut and not taker.ended)

    def test_filters(self) -> None:
        """
        Where no filter wants a response, there is no row of them.
        """

        class Factory:
            def applies(self, request: object, head: ResponseHead) -> bool:
                return head.status == 200

            def begin(self, request: object, head: ResponseHead) -> BodyFilter | None:
                return Upper(request, 1) if head.status == 200 else None

        filters = Filters([Factory()])
        self.assertTrue(filters.apply(Taker(), ResponseHead(200)))
        self.assertFalse(filters.apply(Taker(), ResponseHead(201)))
        self.assertIsNotNone(filters.begin(Taker(), ResponseHead(200)))
        self.assertIsNone(filters.begin(Taker(), ResponseHead(201)))
