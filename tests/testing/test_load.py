"""
Tests for L{twisted_upstream.testing.load}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.testing import Delay, Load, Status, World

CONF = """
http {
    upstream app { server a.example weight=3; server b.example; }
    server { location / { proxy_pass http://app; } }
}
"""


class LoadTests(SynchronousTestCase):
    """
    Tests for L{Load}.
    """

    def setUp(self) -> None:
        self.world = World(CONF)
        self.addCleanup(self.world.close)

    def test_figures(self) -> None:
        """
        Statuses, attempts, shares and times are counted.
        """
        self.world.server("b.example").inject(Delay(0.5))
        load = self.world.many(rate=20, seconds=20)
        total = len(load.answers)
        self.assertEqual(load.statuses, {200: total})
        self.assertEqual(load.attempts.total(), total)
        self.assertApproximates(load.shares["a.example"], 0.75, 0.01)
        self.assertEqual(load.failures, [])
        self.assertEqual(load.percentile(70), 0.0)
        self.assertEqual((load.percentile(80), load.slowest), (0.5, 0.5))
        self.assertEqual(
            repr(load), f"<Load {total} x 200; 0 failed, {load.slowest:.3f}s>"
        )

    def test_assertions(self) -> None:
        """
        They pass when it is so, and say what is so when it is not.
        """
        load = self.world.many(rate=20, seconds=5)
        load.assertNoFailures().assertWithin(0.0)
        load.assertShares({"a.example": 0.75, "b.example": 0.25})
        for wrong in (
            {"a.example": 1.0},
            {"a.example": 0.5, "b.example": 0.5},
            {"a.example": 0.75, "b.example": 0.25, "c.example": 0.1},
        ):
            error = self.assertRaises(AssertionError, load.assertShares, wrong)
            self.assertRegex(str(error), r"a.example 0.7\d+, b.example 0.2")

    def test_failures(self) -> None:
        """
        The first failure is shown.
        """
        self.world.server("a.example").inject(Status(500))
        load = self.world.many(rate=20, seconds=5)
        error = self.assertRaises(AssertionError, load.assertNoFailures)
        self.assertRegex(
            str(error), r"\A\d+ of \d+ failed, the first: <Answer 500 .*a.example=500"
        )

    def test_late(self) -> None:
        """
        Answers that come late are found, all or the slowest part of them.
        """
        self.world.server("b.example").inject(Delay(0.5))
        load = self.world.many(rate=20, seconds=5)
        load.assertWithin(0.1, part=70)
        error = self.assertRaises(AssertionError, load.assertWithin, 0.1)
        self.assertIn("100% took up to 0.500 s", str(error))

    def test_nothing(self) -> None:
        """
        No requests at all have figures, too.
        """
        load = Load([])
        self.assertEqual((load.slowest, load.percentile(99)), (0.0, 0.0))
        self.assertEqual((load.shares, load.failures), ({}, []))
        load.assertNoFailures().assertShares({})

    def test_between(self) -> None:
        """
        A part of the time can be looked at.
        """
        load = self.world.many(rate=20, seconds=10)
        part = load.between(2, 4)
        self.assertTrue(all(2 <= each.begun < 4 for each in part.answers))
        self.assertLess(0, len(part.answers))
        self.assertLess(len(part.answers), len(load.answers))
