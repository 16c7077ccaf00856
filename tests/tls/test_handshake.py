"""
Tests of L{twisted_upstream.tls.handshake}.
"""

from __future__ import annotations

from functools import partial

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.tls.handshake import Turns


class TurnsTests(SynchronousTestCase):
    """
    L{Turns}.
    """

    def test_limit(self) -> None:
        """
        So many at once, the others one turn later each, in order.
        """
        clock = Clock()
        turns = Turns(clock, 2)
        done: list[int] = []
        for number in range(5):
            turns.take(partial(done.append, number))
        self.assertEqual(done, [0, 1])
        clock.calls.pop(0).func()
        self.assertEqual(done, [0, 1, 2, 3])
        clock.calls.pop(0).func()
        self.assertEqual(done, [0, 1, 2, 3, 4])

    def test_idle(self) -> None:
        """
        Nothing is left to be called when nobody wants a turn.
        """
        clock = Clock()
        turns = Turns(clock, 2)
        for _ in range(3):
            turns.take(lambda: None)
        for _ in range(3):
            clock.advance(0)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """
        A step that wants another one does not keep the others from theirs.
        """
        clock = Clock()
        turns = Turns(clock, 1)
        done: list[str] = []

        def greedy() -> None:
            done.append("greedy")
            if len(done) < 6:
                turns.take(greedy)

        turns.take(greedy)
        turns.take(partial(done.append, "other"))
        for _ in range(3):
            clock.calls.pop(0).func()
        self.assertIn("other", done[:3])
