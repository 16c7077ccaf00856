"""
Tests for L{twisted_upstream.balance.ewma}.
"""

from __future__ import annotations

from math import exp

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.balance.test_least_time import Timed
from tests.balance.test_load import Line
from twisted_upstream.balance.ewma import Cost, RandomTwoEwma
from twisted_upstream.balance.load import randomChoice
from twisted_upstream.balance.peer import Outcome
from twisted_upstream.interfaces import IPeerGetter, IPeerInit


class CostTests(SynchronousTestCase):
    """
    Tests for L{Cost}.
    """

    def test_peak(self) -> None:
        """
        A longer answer counts at once.
        """
        cost = Cost()
        cost.answered(0.1, 5.0)
        cost.answered(3.0, 5.1)
        self.assertEqual(cost.now(5.1), 3.0)

    def test_average(self) -> None:
        """
        A shorter one counts the more, the longer nothing was heard.
        """
        cost = Cost()
        cost.answered(3.0, 5.0)
        cost.answered(1.0, 15.0)
        w = exp(-1)
        self.assertAlmostEqual(cost.now(15.0), 3 * w + 1 - w)

    def test_sinks(self) -> None:
        """
        Without answers it sinks, but not while the clock is set back.
        """
        cost = Cost()
        cost.answered(3.0, 5.0)
        self.assertAlmostEqual(cost.now(25.0), 3 * exp(-2))
        self.assertEqual(cost.now(4.0), 3.0)
        cost.answered(0.0, 1e9)
        self.assertEqual(cost.now(1e9), 0.0)
        cost.answered(0.0, 1e9)
        self.assertEqual(cost.now(1e9), 0.0)


class RandomTwoEwmaTests(SynchronousTestCase):
    """
    Tests for L{RandomTwoEwma}.
    """

    def test_provides(self) -> None:
        """
        It is what a group needs, and so is what it makes.
        """
        balancer = randomChoice.peerInit(Line("two", "least_time=ewma"), None)
        self.assertIsInstance(balancer, RandomTwoEwma)
        verifyObject(IPeerInit, balancer)
        verifyObject(IPeerGetter, Timed(balancer).begin()[0])

    def test_oneSlowAnswer(self) -> None:
        """
        One slow answer is enough to be avoided, and time heals.
        """
        timed = Timed(RandomTwoEwma())
        for name in "aabb":
            timed.attempt(name, 0.01)
        timed.attempt("a", 1.0)
        timed.attempt("b", 0.01)
        self.assertEqual(timed.picks(20), "b" * 20)
        timed.clock.advance(200)
        self.assertEqual(set(timed.picks(40)), {"a", "b"})

    def test_busy(self) -> None:
        """
        A faster server is not asked more than it is faster.
        """
        timed = Timed(RandomTwoEwma())
        timed.attempt("a", 0.1)
        timed.attempt("b", 0.25)
        names = "".join(timed.begin()[1].name for _ in range(7))
        self.assertEqual(sorted(names), list("aaaaabb"))

    def test_weight(self) -> None:
        """
        Load is divided by the weight.
        """
        timed = Timed(RandomTwoEwma())
        timed.attempt("a", 0.1)
        timed.attempt("b", 0.25)
        timed.peers.peers[1].weight = 3
        self.assertEqual(timed.picks(20), "b" * 20)

    def test_failures(self) -> None:
        """
        A slow failure counts, a fast one is no fast answer.
        """
        timed = Timed(RandomTwoEwma(), maxFails=0)
        timed.attempt("a", 0.1)
        timed.attempt("b", 0.2)
        for took, expected in ((0.0, "a" * 9), (5.0, "b" * 9)):
            getter, peer = timed.begin("a")
            timed.clock.advance(took)
            getter.freePeer(peer, Outcome.FAILED)
            self.assertEqual(timed.picks(9), expected)

    def test_connecting(self) -> None:
        """
        That a connection opens is no answer.
        """
        timed = Timed(RandomTwoEwma())
        timed.attempt("a", 0.1)
        timed.attempt("b", 0.1)
        getter, peer = timed.begin("a")
        getter.notifyPeer(peer, "connect", 9.0)
        getter.freePeer(peer, Outcome.OK)
        self.assertEqual(timed.picks(20), "a" * 20)
