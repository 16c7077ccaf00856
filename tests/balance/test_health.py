"""
Tests for L{twisted_upstream.balance.health}.
"""

from __future__ import annotations

import gc
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.health import HealthRecords
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers


class SharedPeerTests(SynchronousTestCase):
    """
    Groups whose peers share the health of their addresses.
    """

    def setUp(self) -> None:
        """
        A clock that is not at 0.
        """
        self.clock = Clock()
        self.clock.advance(1000)
        self.records = HealthRecords()

    def group(self, names: str, maxFails: int = 1, failTimeout: int = 10) -> Peers:
        """
        A group of such peers.
        """
        return Peers(
            "g",
            [
                self.records.makePeer(
                    name, (name, 80), maxFails=maxFails, failTimeout=failTimeout
                )
                for name in names
            ],
            seconds=self.clock.seconds,
            random=Random(1),
        )

    def attempt(self, peers: Peers, outcome: int = Outcome.OK) -> str:
        """
        The server of one attempt that ends so.
        """
        getter = PeerGetter(peers)
        peer = getter.getPeer()
        assert peer is not None
        getter.freePeer(peer, outcome)
        return peer.name

    def picks(self, peers: Peers, count: int = 4) -> set[str]:
        """
        The servers of attempts that neither fail nor succeed at once.
        """
        return {self.attempt(peers, Outcome.NEXT) for _ in range(count)}

    def test_learns(self) -> None:
        """
        A group leaves a server alone that has failed another group.
        """
        one, two = self.group("ab"), self.group("acd")
        self.assertEqual(self.attempt(one, Outcome.FAILED), "a")
        self.assertEqual(self.picks(two), {"c", "d"})
        self.assertTrue(two.peers[0].isDisabled)

    def test_recoverTogether(self) -> None:
        """
        One group's probe is enough; while it is out, the other sends none.
        """
        one, two = self.group("ab"), self.group("ac")
        self.attempt(one, Outcome.FAILED)
        self.clock.advance(11)
        getter = PeerGetter(two)
        peer = getter.getPeer()
        assert peer is not None
        self.assertEqual(peer.name, "a")
        self.assertEqual(self.picks(one), {"b"})
        getter.freePeer(peer, Outcome.OK)
        self.assertEqual(self.picks(one), {"a", "b"})
        self.assertEqual(self.picks(two), {"a", "c"})

    def test_ownMaxFails(self) -> None:
        """
        Failures are added up, and each group has its own idea of how many are too many;
        0: any number is fine.
        """
        one = self.group("ab", maxFails=1)
        two = self.group("ac", maxFails=2)
        none = self.group("ad", maxFails=0)
        self.attempt(one, Outcome.FAILED)
        self.assertEqual(self.picks(one), {"b"})
        self.assertEqual(self.picks(two), {"a", "c"})
        self.attempt(none, Outcome.FAILED)
        self.assertEqual(self.picks(two), {"c"})
        self.assertEqual(self.picks(none), {"a", "d"})

    def test_ownFailTimeout(self) -> None:
        """
        Each group waits as long as it says.
        """
        one = self.group("ab", failTimeout=10)
        two = self.group("ac", failTimeout=30)
        self.attempt(one, Outcome.FAILED)
        self.clock.advance(11)
        self.assertEqual(self.picks(two), {"c"})
        self.assertEqual(self.picks(one), {"a", "b"})

    def test_ownWeightAndConns(self) -> None:
        """
        Weights and attempts under way are each group's.
        """
        one, two = self.group("ab"), self.group("ac")
        self.attempt(one, Outcome.FAILED)
        getter = PeerGetter(one)
        self.assertIsNotNone(getter.getPeer())
        self.assertEqual(one.peers[0].effectiveWeight, 0)
        self.assertEqual(two.peers[0].effectiveWeight, 1)
        self.assertEqual([peer.conns for peer in two.peers], [0, 0])

    def test_alone(self) -> None:
        """
        A lone server is always asked, but others learn of its failures; its success
        does not end their penalty before the time.
        """
        alone, two = self.group("a"), self.group("ac")
        for _ in range(3):
            self.assertEqual(self.attempt(alone, Outcome.FAILED), "a")
        self.assertEqual(self.picks(two), {"c"})
        self.attempt(alone)
        self.assertEqual(self.picks(two), {"c"})
        self.clock.advance(11)
        self.assertEqual(self.picks(two), {"a", "c"})

    def test_othersDoNot(self) -> None:
        """
        Peers that do not share keep to themselves.
        """
        one = self.group("ab")
        own = Peer("a", ("a", 80))
        self.attempt(one, Outcome.FAILED)
        self.assertEqual(own.fails, 0)
        self.assertFalse(own.sharesHealth)

    def test_newPeer(self) -> None:
        """
        A peer that is made later knows what is known: a reload makes nobody well.
        """
        one = self.group("ab")
        self.attempt(one, Outcome.FAILED)
        self.assertEqual(self.picks(self.group("ac")), {"c"})

    def test_forgotten(self) -> None:
        """
        Addresses that nobody has any more are forgotten.
        """
        one = self.group("ab")
        self.assertEqual(len(self.records), 2)
        del one
        gc.collect()
        self.assertEqual(len(self.records), 0)
