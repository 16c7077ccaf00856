"""
Tests for L{twisted_upstream.balance.least_time}.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.balance.rules import (
    RuleLeastTime,
    RuleList,
    RuleRequest,
    Somebody,
    compareHistories,
)
from tests.balance.test_load import Line
from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.least_time import (
    LeastTime,
    RandomTwoLeastTime,
    Timing,
    average,
    leastTime,
)
from twisted_upstream.balance.load import randomChoice
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.interfaces import IBalancer, IPeerGetter, IPeerInit
from twisted_upstream.plugins import find


class Timed:
    """
    A group on a clock.
    """

    def __init__(
        self, balancer: IPeerInit, *, failTimeout: int = 10, maxFails: int = 1
    ) -> None:
        self.clock = Clock()
        self.balancer = balancer
        self.peers = Peers(
            "g",
            [
                Peer(name, (name, 80), failTimeout=failTimeout, maxFails=maxFails)
                for name in "ab"
            ],
            seconds=self.clock.seconds,
            random=Random(3),
        )
        balancer.initUpstream(self.peers)

    def begin(self, name: str = "") -> tuple[PeerGetter, Peer]:
        """
        Begin an attempt; at C{name} where given.
        """
        getter: Any = self.balancer.initPeer(Somebody())
        if name:
            getter.hint = next(p.sid for p in self.peers.peers if p.name == name)
        peer = getter.getPeer()
        assert isinstance(peer, Peer)
        return getter, peer

    def attempt(self, name: str, header: float, rest: float = 0.0) -> None:
        """
        A whole attempt that takes so long.
        """
        getter, peer = self.begin(name)
        self.clock.advance(header)
        getter.notifyPeer(peer, "header", header)
        self.clock.advance(rest)
        getter.freePeer(peer, Outcome.OK)

    def picks(self, count: int) -> str:
        """
        The names that so many requests get that end at once, and are not measured.
        """
        names = ""
        for _ in range(count):
            getter, peer = self.begin()
            getter.freePeer(peer, Outcome.NEXT)
            names += peer.name
        return names


class AverageTests(SynchronousTestCase):
    """
    Tests for L{average}.
    """

    def test_average(self) -> None:
        """
        It begins with the first value, and a twentieth of each later one counts.
        """
        self.assertEqual(average(0, 4000), 4000)
        self.assertEqual(average(100, 200), 105)
        self.assertEqual(average(1, 0), 1)
        self.assertEqual(average(10, 0), 10)
        self.assertEqual(average(11, 0), 10)


class EstimateTests(SynchronousTestCase):
    """
    Tests for L{Timing.estimate}.
    """

    def test_clusters(self) -> None:
        """
        Close times are equal, and all very long ones.
        """
        peer, timing = Peer("a", ("a", 80)), Timing()
        for time, expected in (
            (0, 20),
            (19, 20),
            (20, 40),
            (4999, 5000),
            (5000, 5020),
            (5001, 5000),
            (99999, 5000),
        ):
            timing.times["header"] = time
            self.assertEqual(timing.estimate(peer, "header", 0), expected)
            self.assertEqual(timing.estimate(peer, "last_byte", 0), 20)

    def test_conns(self) -> None:
        """
        Who is there already is waited for.
        """
        peer, timing = Peer("a", ("a", 80)), Timing()
        peer.conns = 3
        self.assertEqual(timing.estimate(peer, "header", 0), 80)

    def test_decay(self) -> None:
        """
        A server that is not asked becomes twice as good in each period.
        """
        peer, timing = Peer("a", ("a", 80), failTimeout=10), Timing()
        timing.times["header"] = 4000
        for now, expected in ((10, 4020), (11, 2020), (22, 1020), (10**9, 20)):
            self.assertEqual(timing.estimate(peer, "header", now), expected)


class LeastTimeTests(SynchronousTestCase):
    """
    Tests for L{LeastTime}.
    """

    def test_provides(self) -> None:
        """
        It is what a group needs, and so is what it makes.
        """
        for balancer in (
            LeastTime("header"),
            LeastTime("header", inflight=True),
            RandomTwoLeastTime("header"),
        ):
            verifyObject(IPeerInit, balancer)
            verifyObject(IPeerGetter, Timed(balancer).begin()[0])

    def test_unknown(self) -> None:
        """
        Servers that were not measured yet take turns.
        """
        self.assertEqual(Timed(LeastTime("header")).picks(4), "abab")

    def test_fastest(self) -> None:
        """
        The server with the shorter time gets everything; which time, is configured.
        """
        for what, expected in (("header", "aaaa"), ("last_byte", "bbbb")):
            timed = Timed(LeastTime(what))
            timed.attempt("a", 0.1, 0.4)
            timed.attempt("b", 0.2, 0.1)
            self.assertEqual(timed.picks(4), expected)

    def test_close(self) -> None:
        """
        Times in the same cluster are equal.
        """
        timed = Timed(LeastTime("header"))
        timed.attempt("a", 0.105)
        timed.attempt("b", 0.115)
        self.assertEqual(timed.picks(4), "abab")

    def test_toldLater(self) -> None:
        """
        Who tells of a milestone later says when it was; nobody can have been later
        than now.
        """
        timed = Timed(LeastTime("header"))
        timed.attempt("a", 0.3)
        getter, peer = timed.begin("b")
        timed.clock.advance(5)
        getter.notifyPeer(peer, "header", 0.1)
        getter.freePeer(peer, Outcome.OK)
        self.assertEqual(timed.picks(4), "bbbb")
        getter, peer = timed.begin("b")
        timed.clock.advance(0.1)
        getter.notifyPeer(peer, "header", 60.0)
        getter.freePeer(peer, Outcome.OK)
        self.assertEqual(timed.picks(4), "bbbb")

    def test_failuresDoNotCount(self) -> None:
        """
        A server that fails fast is not a fast one.
        """
        timed = Timed(LeastTime("header"))
        timed.attempt("a", 1.0)
        timed.attempt("b", 1.0)
        for outcome in (Outcome.NEXT, Outcome.FAILED):
            getter, peer = timed.begin("a")
            getter.notifyPeer(peer, "header", 0.0)
            getter.freePeer(peer, outcome)
        # Nor is one that a client leaves before it has answered.
        getter, peer = timed.begin("b")
        getter.freePeer(peer, Outcome.OK)
        timed.peers.peers[0].fails = 0
        self.assertEqual(sorted(timed.picks(4)), ["a", "a", "b", "b"])

    def test_probe(self) -> None:
        """
        Once it is decayed, a slow server is probed once in a period.
        """
        timed = Timed(LeastTime("header"), failTimeout=3)
        timed.clock.advance(100)
        timed.attempt("a", 4.0)
        timed.attempt("b", 0.02)
        self.assertEqual(timed.picks(10), "b" * 10)
        timed.clock.advance(40)
        names = timed.picks(10)
        self.assertEqual(names.count("a"), 1)

    def test_newGeneration(self) -> None:
        """
        Servers that stay keep their times; requests under way are counted.
        """
        timed = Timed(LeastTime("header"))
        timed.attempt("a", 1.0)
        getter, peer = timed.begin("b")
        a, b = timed.peers.peers
        c = Peer("c", ("c", 80))
        timed.peers = timed.peers.successor([a, b, c])
        timed.balancer.initUpstream(timed.peers)
        timed.clock.advance(2.0)
        getter.notifyPeer(peer, "header", 2.0)
        getter.freePeer(peer, Outcome.OK)
        self.assertEqual(timed.picks(3), "ccc")
        c.down = 1
        self.assertEqual(timed.picks(3), "aaa")

    def test_inflight(self) -> None:
        """
        With C{inflight} a server that answers nobody any more is left alone.
        """
        for inflight, expected in ((False, "aaaa"), (True, "bbbb")):
            timed = Timed(LeastTime("header", inflight=inflight))
            timed.attempt("a", 0.1)
            timed.attempt("b", 0.25)
            held = timed.begin("a")
            timed.clock.advance(5)
            # The average of the waiting is renewed when somebody looks.
            self.assertEqual(timed.picks(4), expected)
            held[0].freePeer(held[1], Outcome.OK)

    def test_followsTheRules(self) -> None:
        """
        Each choice and each number is as the rules have it.
        """
        http, stream = ("header",), ("connect", "first_byte")
        for milestones, what in (
            (http, "header"),
            (http, "last_byte"),
            (stream, "connect"),
            (stream, "first_byte"),
        ):
            for inflight in (False, True):
                self.compare(milestones, what, inflight)

    def compare(self, milestones: Sequence[str], what: str, inflight: bool) -> None:
        """
        Compare one configuration with the rules.
        """

        def rule(peers: RuleList, client: Somebody, chance: Random) -> RuleRequest:
            return RuleLeastTime(peers, what, inflight)

        compareHistories(
            self,
            lambda: LeastTime(what, inflight),
            rule,
            count=100,
            milestones=milestones,
        )


class RandomTwoTests(SynchronousTestCase):
    """
    Tests for L{RandomTwoLeastTime}.
    """

    def test_faster(self) -> None:
        """
        Of two servers the faster one is always taken, weight considered.
        """
        timed = Timed(RandomTwoLeastTime("header"))
        timed.attempt("a", 0.1)
        timed.attempt("b", 0.3)
        self.assertEqual(timed.picks(20), "a" * 20)
        timed.peers.peers[1].weight = 5
        self.assertEqual(timed.picks(20), "b" * 20)


class DirectiveTests(SynchronousTestCase):
    """
    The directives.
    """

    def test_found(self) -> None:
        """
        It is a plugin that may have backup servers.
        """
        self.assertIs(find(IBalancer)["least_time"], leastTime)
        self.assertTrue(leastTime.backup)

    def test_arguments(self) -> None:
        """
        What is no argument of nginx's is an error in nginx's words; C{stream} has other
        times than C{http}.
        """
        for arguments, place, message in (
            ((), "http", 'invalid number of arguments in "least_time" directive'),
            (("header", "x"), "http", 'invalid parameter "x"'),
            (("connect",), "http", 'invalid value "connect"'),
            (("header",), "stream", 'invalid value "header"'),
        ):
            line = Line(*arguments, place=place)
            error = self.assertRaises(ConfigError, leastTime.peerInit, line, None)
            self.assertEqual(error.problems[0].message, message)
        for place, times in (
            ("http", ("header", "last_byte")),
            ("stream", ("connect", "first_byte", "last_byte")),
        ):
            for time in times:
                leastTime.peerInit(Line(time, "inflight", place=place), None)
                made = randomChoice.peerInit(
                    Line("two", f"least_time={time}", place=place), None
                )
                self.assertIsInstance(made, RandomTwoLeastTime)
        made = randomChoice.peerInit(Line("two", "least_time"), None)
        self.assertIsInstance(made, RandomTwoLeastTime)
