"""
Tests for L{twisted_upstream.balance.bounded}.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import ceil
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.balance.rules import Somebody
from twisted_upstream.balance.bounded import BoundedHash, parseFactor
from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.hashing import ConsistentHash
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.interfaces import IClient, IPeerInit


def keyOf(client: IClient) -> bytes:
    """
    The key of L{Somebody}.
    """
    return client.variable("key")


class BoundedHashTests(SynchronousTestCase):
    """
    Tests for L{BoundedHash}.
    """

    def makePeers(self, *weights: int) -> Peers:
        return Peers(
            "g",
            [
                Peer(f"10.0.0.{n}:80", ("10.0.0.1", n), weight=weight)
                for n, weight in enumerate(weights)
            ],
            seconds=Clock().seconds,
            random=Random(1),
        )

    def makeBalancer(self, peers: Peers, factor: str = "1.25") -> BoundedHash:
        balancer = BoundedHash(keyOf, parseFactor(factor))
        balancer.initUpstream(peers)
        return balancer

    def hold(
        self, balancer: IPeerInit, key: bytes, count: int
    ) -> list[tuple[PeerGetter, Peer]]:
        """
        Begin so many attempts.
        """
        held = []
        for _ in range(count):
            getter = balancer.initPeer(Somebody(key=key))
            peer = getter.getPeer()
            assert isinstance(getter, PeerGetter) and isinstance(peer, Peer)
            held.append((getter, peer))
        return held

    def test_provides(self) -> None:
        """
        It is what a group needs.
        """
        verifyObject(IPeerInit, self.makeBalancer(self.makePeers(1, 1)))

    def test_factor(self) -> None:
        """
        The factor is a decimal of at least 1.
        """
        self.assertEqual(parseFactor("1"), 1)
        self.assertEqual(parseFactor("1.25"), Fraction(5, 4))
        for wrong in ("", "0.99", "x", "1e3", "-2", "1.", ".5", "1/1", "inf"):
            self.assertRaises(ValueError, parseFactor, wrong)

    def test_idle(self) -> None:
        """
        Without load, keys go where they go by C{hash KEY consistent}.
        """
        peers = self.makePeers(1, 1, 2)
        plain = ConsistentHash(keyOf)
        plain.initUpstream(peers)
        balancer = self.makeBalancer(peers)
        for number in range(50):
            found = []
            for each in (plain, balancer):
                ((getter, peer),) = self.hold(each, b"%d" % number, 1)
                getter.freePeer(peer, Outcome.OK)
                found.append(peer)
            self.assertIs(found[0], found[1])

    def test_bound(self) -> None:
        """
        However popular a key is, no server has more than the factor times its share.
        """
        for weights in ((1, 1, 1), (1, 2, 5), (1,) * 70):
            for factor in ("1", "1.25", "2"):
                peers = self.makePeers(*weights)
                balancer = self.makeBalancer(peers, factor)
                total = sum(weights)
                for active in range(1, 61):
                    self.hold(balancer, b"popular", 1)
                    for peer in peers.peers:
                        share = parseFactor(factor) * active * peer.weight / total
                        self.assertLessEqual(peer.conns, ceil(share))

    def test_freed(self) -> None:
        """
        When the load is gone, the key is back where it belongs.
        """
        peers = self.makePeers(1, 1, 1)
        balancer = self.makeBalancer(peers)
        held = self.hold(balancer, b"k", 12)
        self.assertEqual(set(Counter(peer for _, peer in held)), set(peers.peers))
        for getter, peer in held:
            getter.freePeer(peer, Outcome.OK)
        ((_, peer),) = self.hold(balancer, b"k", 1)
        self.assertIs(peer, held[0][1])

    def test_othersOut(self) -> None:
        """
        Where the servers that are left cannot keep the bound, they share evenly.
        """
        peers = self.makePeers(1, 1, 1, 1)
        peers.peers[0].down = peers.peers[1].down = 1
        self.hold(self.makeBalancer(peers, "1"), b"k", 20)
        self.assertEqual([peer.conns for peer in peers.peers], [0, 0, 10, 10])

    def test_noneUsable(self) -> None:
        """
        Where no server is left there is none to give.
        """
        peers = self.makePeers(1, 1)
        for peer in peers.peers:
            peer.down = 1
        balancer = self.makeBalancer(peers)
        self.assertIsNone(balancer.initPeer(Somebody(key=b"k")).getPeer())

    def test_retry(self) -> None:
        """
        Another attempt goes to another server.
        """
        balancer = self.makeBalancer(self.makePeers(1, 1))
        ((getter, peer),) = self.hold(balancer, b"k", 1)
        getter.freePeer(peer, Outcome.FAILED)
        second = getter.getPeer()
        self.assertIsNotNone(second)
        self.assertIsNot(second, peer)
