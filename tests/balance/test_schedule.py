"""
Tests for L{twisted_upstream.balance.schedule}, C{vnswrr} and C{iwrr}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.balance.rules import RuleList, RulePeer, RuleRequest, Somebody
from tests.balance.test_load import Line
from twisted_upstream.balance.iwrr import Interleaved, iwrr
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.schedule import Schedule, Scheduled
from twisted_upstream.balance.vnswrr import VirtualNodes, smoothOrder, vnSwrr
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.interfaces import IBalancer, IPeerInit
from twisted_upstream.plugins import find


class First(Random):
    """
    Chance that always begins with the first server.
    """

    def random(self) -> float:
        return 0.0


class Last(Random):
    """
    Chance that always begins with the last server.
    """

    def random(self) -> float:
        return 0.999


class ScheduleCase(SynchronousTestCase):
    """
    A group of peers C{A}, C{B} and so on, with backups C{a}, C{b}.
    """

    def makePeers(
        self, weights: Sequence[int], chance: Random | None = None, backups: int = 0
    ) -> Peers:
        self.clock = Clock()
        self.clock.advance(1000)

        def make(letters: str, weights: Sequence[int], next: Peers | None) -> Peers:
            return Peers(
                "g",
                [
                    Peer(name, (name, 80), weight=weight)
                    for name, weight in zip(letters, weights, strict=False)
                ],
                seconds=self.clock.seconds,
                random=chance or First(),
                next=next,
            )

        next = make("abc", [1] * backups, None) if backups else None
        return make("ABCDEFGHIJKL", weights, next)

    def picks(self, balancer: Scheduled, count: int, fail: str = "") -> str:
        """
        The names that requests get; those in C{fail} fail once and for all.
        """
        names = ""
        for _ in range(count):
            getter = balancer.initPeer(Somebody())
            while (peer := getter.getPeer()) is not None:
                failed = peer.name in fail
                names += peer.name
                getter.freePeer(peer, Outcome.FAILED if failed else Outcome.OK)
                if not failed:
                    break
            else:
                names += "-"
        return names

    def balancer(
        self, make: Callable[[Peers, Schedule | None], Schedule], peers: Peers
    ) -> Scheduled:
        balancer = Scheduled(make)
        balancer.initUpstream(peers)
        return balancer


class VirtualNodesTests(ScheduleCase):
    """
    Tests for L{VirtualNodes}.
    """

    def make(self, peers: Peers, maxInit: int = 0) -> Scheduled:
        return self.balancer(partial(VirtualNodes, maxInit), peers)

    def test_smoothOrder(self) -> None:
        """
        The order is that of smooth weighted round robin, as the rules have it.
        """
        chance = Random(1)
        for _ in range(50):
            weights = [chance.choice((1, 1, 2, 3, 7)) for _ in range(9)]
            peers = [RulePeer("s", b"", weight, 1, 10, 0, 0) for weight in weights]
            rule = RuleRequest(RuleList(peers, None, False))
            expected = [rule.turn(list(range(9))) for _ in range(100)]
            self.assertEqual(list(islice(smoothOrder(weights), 100)), expected)

    def test_tables(self) -> None:
        """
        Some tables; a group begins behind the entry that chance names.
        """
        for weights, table in {
            (5, 1, 1): "AABACAA",
            (2, 4, 8): "CBCACBC",
            (3, 2, 1): "ABACBA",
        }.items():
            balancer = self.make(self.makePeers(weights))
            picked = self.picks(balancer, 2 * len(table))
            self.assertEqual(picked, (table * 3)[1 : 1 + 2 * len(table)])

    def test_equal(self) -> None:
        """
        Equal servers take turns from the one after chance's.
        """
        balancer = self.make(self.makePeers((1, 1, 1), Last()))
        self.assertEqual(self.picks(balancer, 6), "ABCABC")

    def test_batches(self) -> None:
        """
        However many entries are made at a time, each gets its share, wherever it
        begins.
        """
        for maxInit in (0, 1, 2, 3, 5, 7, 100):
            for chance in (First(), Last(), Random(3)):
                balancer = self.make(self.makePeers((2, 4, 8), chance), maxInit)
                self.picks(balancer, 14)
                counted = Counter(self.picks(balancer, 14))
                self.assertEqual(counted, {"A": 2, "B": 4, "C": 8}, maxInit)

    def test_failed(self) -> None:
        """
        Who is out is passed over, and comes back after its time.
        """
        balancer = self.make(self.makePeers((1, 1, 1)))
        self.assertEqual(self.picks(balancer, 3, fail="C"), "BCAB")
        self.assertEqual(self.picks(balancer, 3), "ABA")
        self.clock.advance(11)
        self.assertIn("C", self.picks(balancer, 3))

    def test_heavyIsOut(self) -> None:
        """
        A server with almost all of the entries may be out.
        """
        balancer = self.make(self.makePeers((100000, 1, 1)))
        self.picks(balancer, 1, fail="A")
        self.assertEqual(set(self.picks(balancer, 9)), {"B"})

    def test_backups(self) -> None:
        """
        Backups have a schedule of their own.
        """
        balancer = self.make(self.makePeers((1, 2), backups=2))
        self.assertEqual(self.picks(balancer, 1, fail="AB"), "ABb")
        self.assertEqual(self.picks(balancer, 3), "aba")

    def test_allOut(self) -> None:
        """
        When all are out there is nobody, and an empty group has nobody.
        """
        balancer = self.make(self.makePeers((1, 2)))
        self.assertEqual(self.picks(balancer, 2, fail="AB"), "AB--")
        self.assertEqual(self.picks(self.make(self.makePeers(())), 1), "-")

    def test_hint(self) -> None:
        """
        Whom a request asks for it gets.
        """
        peers = self.makePeers((1, 1, 1))
        getter = self.make(peers).initPeer(Somebody())
        getter.hint = peers.peers[2].sid
        self.assertIs(getter.getPeer(), peers.peers[2])

    def test_directive(self) -> None:
        """
        C{max_init} is all that it may be told.
        """
        verifyObject(IBalancer, vnSwrr)
        self.assertIs(find(IBalancer)["vnswrr"], vnSwrr)
        verifyObject(IPeerInit, vnSwrr.peerInit(Line("max_init=5"), None))
        for arguments, message in {
            ("max_init=x",): 'invalid parameter "max_init=x"',
            ("max_init",): 'invalid parameter "max_init"',
            ("max=1",): 'invalid parameter "max=1"',
            ("a", "b"): 'invalid number of arguments in "vnswrr" directive',
        }.items():
            error = self.assertRaises(
                ConfigError, vnSwrr.peerInit, Line(*arguments), None
            )
            self.assertEqual(error.problems[0].message, message)


class InterleavedTests(ScheduleCase):
    """
    Tests for L{Interleaved}.
    """

    def make(self, peers: Peers) -> Scheduled:
        return self.balancer(Interleaved, peers)

    def test_orders(self) -> None:
        """
        Some orders, of two cycles.
        """
        for weights, order in {
            (3, 2, 1): "ABCABACBABAA",
            (2, 4, 8): "ABCBCCCABCBCCC",
            (5, 1, 1): "ABCAAAABCAAAAA",
        }.items():
            picked = self.picks(self.make(self.makePeers(weights)), len(order))
            self.assertEqual(picked, order)

    def test_start(self) -> None:
        """
        A group begins somewhere.
        """
        balancer = self.make(self.makePeers((1, 1, 1), Last()))
        self.assertEqual(self.picks(balancer, 4), "CABC")

    def test_outIsPassedOver(self) -> None:
        """
        A server that is out loses its turns, and the others are found behind it.
        """
        balancer = self.make(self.makePeers((100000, 1, 2)))
        self.assertEqual(self.picks(balancer, 1, fail="A"), "AB")
        self.assertEqual(self.picks(balancer, 6), "CCBCCB")

    def test_skippingIsWalking(self) -> None:
        """
        What is skipped leaves the queues as walking through it would.
        """
        chance = Random(5)
        for _ in range(100):
            weights = [chance.randrange(1, 6) for _ in range(4)]
            peers = self.makePeers(weights)
            balancer = self.make(peers)
            walked = Interleaved(peers, None)
            for _ in range(30):
                for peer in peers.peers:
                    peer.down = chance.choice((0, 0, 1))
                if all(peer.down for peer in peers.peers):
                    continue
                expected = peers.peers[walked._next()]
                while expected.down:
                    expected = peers.peers[walked._next()]
                self.assertEqual(self.picks(balancer, 1), expected.name)

    def test_allOut(self) -> None:
        """
        When all are out the backups are asked, and then nobody is left.
        """
        balancer = self.make(self.makePeers((1, 2), backups=1))
        self.assertEqual(self.picks(balancer, 1, fail="AB"), "ABa")
        self.assertEqual(self.picks(balancer, 2, fail="a"), "a--")
        self.assertEqual(self.picks(self.make(self.makePeers(())), 1), "-")

    def test_directive(self) -> None:
        """
        It may be told nothing.
        """
        verifyObject(IBalancer, iwrr)
        verifyObject(IPeerInit, iwrr.peerInit(Line(), None))
        error = self.assertRaises(ConfigError, iwrr.peerInit, Line("max_init=1"), None)
        self.assertEqual(
            error.problems[0].message, 'invalid number of arguments in "iwrr" directive'
        )
