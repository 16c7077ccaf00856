"""
Tests for L{twisted_upstream.balance.round_robin}, and a comparison of thousands of
random histories with the rules as they are written down.
"""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from tests.balance.rules import RuleRequest, Somebody, compareHistories
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.balance.turns import LARGE
from twisted_upstream.interfaces import IPeerInit


class RoundRobinTests(SynchronousTestCase):
    """
    Tests for L{RoundRobin}.
    """

    def makePeers(self, names: str) -> Peers:
        return Peers(
            "g",
            [Peer(name, (name, 80)) for name in names],
            seconds=Clock().seconds,
            random=Random(1),
        )

    def test_provides(self) -> None:
        """
        It is what a group needs.
        """
        verifyClass(IPeerInit, RoundRobin)
        verifyObject(IPeerInit, RoundRobin())

    def test_turns(self) -> None:
        """
        Each request gets the next server.
        """
        balancer = RoundRobin()
        balancer.initUpstream(self.makePeers("abc"))
        names = ""
        for _ in range(6):
            getter = balancer.initPeer(Somebody())
            peer = getter.getPeer()
            assert peer is not None
            getter.freePeer(peer, Outcome.OK)
            names += peer.name
        self.assertEqual(names, "abcabc")

    def test_newGeneration(self) -> None:
        """
        Requests that begin after a change see the new servers, the others do not.
        """
        balancer = RoundRobin()
        balancer.initUpstream(self.makePeers("a"))
        before = balancer.initPeer(Somebody())
        balancer.initUpstream(self.makePeers("b"))
        old, new = before.getPeer(), balancer.initPeer(Somebody()).getPeer()
        assert old is not None and new is not None
        self.assertEqual((old.name, new.name), ("a", "b"))


class HistoryTests(SynchronousTestCase):
    """
    The getter does what the rules say.
    """

    def test_followsTheRules(self) -> None:
        """
        Whatever requests, failures and pauses come, each choice and each number is as
        the rules have it, and no peer is held in the end.
        """
        compareHistories(
            self, RoundRobin, lambda rule, client, chance: RuleRequest(rule), 400
        )

    def test_largeGroups(self) -> None:
        """
        So it is in groups large enough to be looked after otherwise.
        """
        compareHistories(
            self,
            RoundRobin,
            lambda rule, client, chance: RuleRequest(rule),
            sizes=(LARGE, LARGE + 1, 40),
        )
