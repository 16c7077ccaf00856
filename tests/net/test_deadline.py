"""
Tests for L{twisted_upstream.net.deadline}.
"""

from __future__ import annotations

import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.net.deadline import Deadline, Deadlines


class DeadlineTests(SynchronousTestCase):
    """
    Tests for L{Deadline}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock)
        self.fired: list[tuple[str, float]] = []

    def make(self, name: str = "a") -> Deadline:
        """
        A deadline that records when it expires.
        """
        return self.deadlines.new(
            lambda: self.fired.append((name, self.clock.seconds()))
        )

    def test_expires(self) -> None:
        """
        A deadline expires once, when its time is over.
        """
        deadline = self.make()
        deadline.set(2)
        self.assertTrue(deadline.active)
        self.clock.pump([1.5, 0.5, 5])
        self.assertEqual(self.fired, [("a", 2)])
        self.assertFalse(deadline.active)

    def test_moved(self) -> None:
        """
        A deadline that is set again expires after the new time, later or earlier.
        """
        deadline = self.make()
        deadline.set(2)
        self.clock.advance(1)
        deadline.set(2)
        self.clock.advance(1)
        self.assertEqual(self.fired, [])
        deadline.set(0.5)
        self.clock.pump([0.5, 5])
        self.assertEqual(self.fired, [("a", 2.5)])

    def test_cleared(self) -> None:
        """
        A cleared deadline does not expire, and can be set again.
        """
        deadline = self.make()
        deadline.set(2)
        deadline.clear()
        self.assertFalse(deadline.active)
        self.clock.advance(1)
        deadline.set(5)
        self.clock.pump([1, 3.75, 0.25])
        self.assertEqual(self.fired, [("a", 6)])

    def test_order(self) -> None:
        """
        Several expire in the order of their times, those of one time as they were set.
        """
        for name, seconds in (("c", 3), ("a", 1), ("b", 1)):
            self.make(name).set(seconds)
        self.clock.advance(3)
        self.assertEqual([name for name, _ in self.fired], ["a", "b", "c"])

    def test_oneDelayedCall(self) -> None:
        """
        However many deadlines there are, the reactor has one delayed call, and none
        when nothing is set any more.
        """
        for seconds in (5, 3, 8, 1):
            self.make().set(seconds)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(4)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(4)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.fired), 4)

    def test_secondsOnce(self) -> None:
        """
        Setting asks for the time once.
        """
        asked = []

        class Watch(Clock):
            def seconds(self) -> float:
                asked.append(1)
                return super().seconds()

        deadline = Deadlines(Watch()).new(self.fail)
        deadline.set(1)
        del asked[:]
        deadline.set(2)
        self.assertEqual(len(asked), 1)

    def test_setWhileExpiring(self) -> None:
        """
        A callback can set its own deadline again, even to 0 seconds: that is another
        round of the reactor's.
        """
        rounds = []

        def again() -> None:
            rounds.append(len(self.clock.getDelayedCalls()))
            if len(rounds) < 3:
                deadline.set(0)

        deadline = self.deadlines.new(again)
        deadline.set(1)
        self.clock.advance(1)
        self.assertEqual(rounds, [0, 0, 0])
        self.assertFalse(deadline.active)

    def test_clearsAnother(self) -> None:
        """
        A callback can clear or move a deadline whose time is over as well.
        """

        def change() -> None:
            second.clear()
            third.set(2)

        first = self.deadlines.new(change)
        second, third = self.make("second"), self.make("third")
        for deadline in (first, second, third):
            deadline.set(1)
        self.clock.advance(1)
        self.assertEqual(self.fired, [])
        self.clock.pump([1, 1])
        self.assertEqual(self.fired, [("third", 3)])

    def test_failing(self) -> None:
        """
        A callback that raises is logged, and the others have their turn.
        """
        self.deadlines.new(lambda: 1 // 0).set(1)  # type: ignore[arg-type]
        self.make().set(1)
        self.clock.advance(1)
        self.assertEqual(self.fired, [("a", 1)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_noGarbage(self) -> None:
        """
        Deadlines that were cleared are forgotten long before their time.
        """
        alive = []
        for _ in range(1000):
            deadline = self.make()
            deadline.set(3600)
            deadline.clear()
            alive.append(weakref.ref(deadline.expired))
            del deadline
        gc.collect()
        self.assertLess(sum(ref() is not None for ref in alive), 200)

    def test_compactingKeepsTheRest(self) -> None:
        """
        Forgetting cleared ones loses no other, and cleared ones still work.
        """
        kept = [self.make(str(number)) for number in range(500)]
        cleared = [self.make("cleared") for _ in range(500)]
        for one, other in zip(kept, cleared, strict=True):
            one.set(10)
            other.set(5)
            other.clear()
        cleared[0].set(7)
        self.clock.pump([5, 2, 3])
        self.assertEqual(self.fired[0], ("cleared", 7))
        self.assertEqual(len(self.fired), 501)

    def test_drop(self) -> None:
        """
        A dropped deadline keeps its owner alive no more, though its time is not over.
        """

        class Owner:
            def expired(self) -> None:
                """
                Never called.
                """

        owner = Owner()
        gone = weakref.ref(owner)
        deadline = self.deadlines.new(owner.expired)
        deadline.set(60)
        deadline.drop()
        del owner
        gc.collect()
        self.assertIsNone(gone())
        self.clock.advance(60)

    def test_stop(self) -> None:
        """
        After C{stop} nothing expires and the reactor is clean; a new time works.
        """
        deadline = self.make()
        deadline.set(1)
        self.deadlines.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(2)
        deadline.set(1)
        self.clock.advance(1)
        self.assertEqual(self.fired, [("a", 3)])

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 4), st.sampled_from(("set", "clear")), st.integers(0, 9)
            ),
            max_size=80,
        )
    )
    def test_asSimple(self, steps: list[tuple[int, str, int]]) -> None:
        """
        Whatever is set and cleared, each expires exactly when a simple list of times
        says.
        """
        clock = Clock()
        deadlines = Deadlines(clock)
        fired: list[tuple[int, float]] = []
        expected: list[tuple[int, float]] = []
        due: dict[int, float] = {}
        made = [
            deadlines.new(lambda number=number: fired.append((number, clock.seconds())))  # type: ignore[misc]
            for number in range(5)
        ]

        def tick() -> None:
            clock.advance(1)
            now = clock.seconds()
            over = [number for number, when in due.items() if when <= now]
            expected.extend((number, now) for number in over)
            for number in over:
                del due[number]

        for number, action, seconds in steps:
            if action == "set":
                made[number].set(seconds + 0.5)
                due[number] = clock.seconds() + seconds + 0.5
            else:
                made[number].clear()
                due.pop(number, None)
            tick()
        for _ in range(12):
            tick()
        self.assertEqual(sorted(fired), sorted(expected))
