"""
Tests for L{twisted_upstream.balance.turns}; that all picks are those of the rules is
tested with L{twisted_upstream.balance.round_robin}.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.balance.rules import Somebody
from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.least_time import LeastTime
from twisted_upstream.balance.load import LeastConn
from twisted_upstream.balance.peer import DOWN, Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.turns import LARGE


def makePeers(clock: Clock, *peers: Peer) -> Peers:
    """
    A group of these.
    """
    return Peers("g", peers, seconds=clock.seconds, random=Random(1))


def makePeer(name: str, **options: Any) -> Peer:
    """
    A peer whose address does not matter.
    """
    return Peer(name, (name, 80), **options)


def attempt(peers: Peers, outcome: int = Outcome.OK) -> str:
    """
    One request of one attempt; the name of its peer.
    """
    getter = PeerGetter(peers)
    peer = getter.getPeer()
    assert peer is not None
    getter.freePeer(peer, outcome)
    return peer.name


class LargeGroupTests(SynchronousTestCase):
    """
    Tests for L{Turns}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.all = [makePeer(f"{n:02}") for n in range(LARGE)]
        self.peers = makePeers(self.clock, *self.all)

    def test_inOrder(self) -> None:
        """
        Equal servers take turns in the order of the configuration.
        """
        names = [attempt(self.peers) for _ in range(2 * LARGE)]
        self.assertEqual(names, [peer.name for peer in self.all] * 2)

    def test_currentWeight(self) -> None:
        """
        The values can be read at any time, and this changes nothing.
        """
        for _ in range(3):
            attempt(self.peers)
        self.peers.settle()
        values = [peer.currentWeight for peer in self.all]
        self.assertEqual(values, [3 - LARGE] * 3 + [3] * (LARGE - 3))
        self.assertEqual(attempt(self.peers), "03")

    def test_takenDown(self) -> None:
        """
        A server that is taken down gets nothing more until it is back.
        """
        attempt(self.peers)
        down = self.all[1]
        self.peers.touch(down)
        down.down = DOWN
        names = [attempt(self.peers) for _ in range(2 * LARGE)]
        self.assertNotIn("01", names)
        self.peers.touch(down)
        down.down = 0
        names = [attempt(self.peers) for _ in range(LARGE)]
        self.assertIn("01", names)

    def test_generations(self) -> None:
        """
        Requests of an old generation and of the new one see each other's picks.
        """
        old = self.peers
        attempt(old)
        new = old.successor([*self.all[:-1], makePeer("new")])
        names = [attempt(each) for each in (new, old, new, new, old)]
        self.assertEqual(names, ["01", "02", "03", "04", "05"])

    def test_shrinks(self) -> None:
        """
        So it is when the new generation is too small to need it, and grows again.
        """
        attempt(self.peers)
        small = self.peers.successor(self.all[:3])
        names = [attempt(each) for each in (small, self.peers, small)]
        # 00 has paid for a turn among many, 01 for one among three.
        self.assertEqual(names, ["01", "02", "01"])
        large = small.successor(self.all)
        chosen = [attempt(each) for each in (large, small, large, self.peers)]
        self.assertEqual(chosen, ["03", "01", "04", "05"])

    def test_generationsBefore(self) -> None:
        """
        A request that is several small generations old sees the picks of a large one.
        """
        small = makePeers(self.clock, *self.all[:3])
        between = small.successor(self.all[:2])
        large = between.successor(self.all)
        names = [attempt(each) for each in (large, large, small, large)]
        self.assertEqual(names, ["00", "01", "02", "03"])

    def test_obsoleteKeys(self) -> None:
        """
        What is left in heaps of servers that come and go is bounded.
        """
        turns = self.peers.turns
        assert turns is not None
        for _ in range(500):
            getter = PeerGetter(self.peers)
            getter.hint = self.all[5].sid
            peer = getter.getPeer()
            assert peer is not None
            getter.freePeer(peer, Outcome.OK)
            attempt(self.peers)
        sizes = [len(heap) for heap in turns._heaps.values()]
        self.assertLessEqual(sum(sizes), 3 * LARGE)


class SlowStartTests(SynchronousTestCase):
    """
    A server that comes back gets more from second to second.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.slow = makePeer("s", slowStart=10.0, failTimeout=1)
        self.other = makePeer("o")
        self.peers = makePeers(self.clock, self.slow, self.other)

    def comeBack(self) -> None:
        """
        It fails, and after its time another attempt succeeds.
        """
        while attempt(self.peers, Outcome.OK) != "o":
            pass
        self.assertEqual(attempt(self.peers, Outcome.FAILED), "s")
        self.clock.advance(2)
        for _ in range(5):
            if attempt(self.peers) == "s":
                return
        self.fail("it was not asked again")

    def share(self, count: int = 100) -> int:
        """
        How many of so many requests it gets.
        """
        return Counter(attempt(self.peers) for _ in range(count))["s"]

    def test_start(self) -> None:
        """
        At the start of the process nothing warms up.
        """
        self.assertEqual(self.share(), 50)

    def test_ramp(self) -> None:
        """
        Its share grows with the time since it has come back.
        """
        self.comeBack()
        self.assertLessEqual(self.share(), 1)
        self.clock.advance(5)
        self.assertAlmostEqual(self.share(), 33, delta=1)
        self.clock.advance(4)
        self.assertAlmostEqual(self.share(), 47, delta=1)
        self.clock.advance(1)
        self.assertAlmostEqual(self.share(), 50, delta=1)
        self.assertIsNone(self.slow.warmingSince)

    def test_failureEndsIt(self) -> None:
        """
        A failure on the way ends it.
        """
        self.comeBack()
        self.assertIsNotNone(self.slow.warmingSince)
        getter = PeerGetter(self.peers)
        getter.hint = self.slow.sid
        self.assertIs(getter.getPeer(), self.slow)
        getter.freePeer(self.slow, Outcome.FAILED)
        self.assertIsNone(self.slow.warmingSince)

    def test_lone(self) -> None:
        """
        A lone server does not warm up.
        """
        peers = makePeers(self.clock, self.slow)
        self.assertEqual(peers.scale, 1)
        peers.cameBack(self.slow)
        self.assertIsNone(self.slow.warmingSince)

    def test_clockSetBack(self) -> None:
        """
        Whatever the clock does, it weighs something.
        """
        self.slow.warmingSince = 2000.0
        self.assertEqual(self.slow.warmed(1, 1000.0), 1)
        self.assertEqual(self.slow.warmed(2, 2005.0), 1000)
        self.assertEqual(self.slow.warmed(2, 2010.0), 2000)

    def test_leastLoaded(self) -> None:
        """
        C{least_conn} and C{least_time} compare with the weight so far, and equals take
        turns by it.
        """
        for balancer in (LeastConn(), LeastTime("header")):
            for peer in self.peers.peers:
                peer.conns = peer.currentWeight = 0
            balancer.initUpstream(self.peers)
            self.slow.warmingSince = self.clock.seconds() - 2.5
            for _ in range(10):
                self.assertIsNotNone(balancer.initPeer(Somebody()).getPeer())
            # With a quarter of the weight, a fifth of the attempts.
            self.assertEqual((self.slow.conns, self.other.conns), (2, 8))

    def test_change(self) -> None:
        """
        A generation without such servers goes on where the last one was.
        """
        attempt(self.peers)
        self.peers.settle()
        self.assertEqual(self.slow.currentWeight, -1000)
        new = self.peers.successor([self.other, makePeer("n")])
        self.assertEqual((new.scale, self.other.currentWeight), (1, 1))
