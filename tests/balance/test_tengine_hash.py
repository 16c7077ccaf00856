"""
Tests for L{twisted_upstream.balance.tengine_hash}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.balance.rules import Somebody
from tests.balance.test_load import Line
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.tengine_hash import (
    MOST_PLACES,
    Ring,
    TengineHash,
    consistentHash,
    murmur2,
)
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.interfaces import IBalancer, IPeerGetter, IPeerInit


class TengineHashTests(SynchronousTestCase):
    """
    Tests for L{TengineHash}.
    """

    def makePeers(self, labels: Sequence[str] = ("", "", ""), **options: Any) -> Peers:
        self.clock = Clock()
        self.clock.advance(1000)
        self.disabled: list[str] = []
        return Peers(
            "g",
            [
                Peer(f"127.0.0.1:{port}", ("127.0.0.1", port), label=label, **options)
                for port, label in enumerate(labels, 8081)
            ],
            seconds=self.clock.seconds,
            random=Random(1),
            unavailable=lambda peer: self.disabled.append(peer.name),
        )

    def makeBalancer(self, peers: Peers) -> TengineHash:
        balancer = TengineHash(lambda client: client.variable("key"))
        balancer.initUpstream(peers)
        return balancer

    def attempt(self, balancer: TengineHash, key: bytes, outcome: int = 0) -> int:
        """
        The port that a request gets; 0 for none.
        """
        getter = balancer.initPeer(Somebody(key=key))
        peer = getter.getPeer()
        if peer is None:
            return 0
        assert isinstance(peer, Peer)
        getter.freePeer(peer, outcome)
        return int(peer.name[-4:])

    def test_provides(self) -> None:
        """
        It is what a group needs, and so is what it makes.
        """
        balancer = self.makeBalancer(self.makePeers())
        verifyObject(IPeerInit, balancer)
        verifyObject(IPeerGetter, balancer.initPeer(Somebody(key=b"k")))

    def test_murmur2(self) -> None:
        """
        The hashes of some texts.
        """
        for text, expected in {
            b"": 0,
            b"a": 2456313694,
            b"abc": 324500635,
            b"abcd": 646393889,
            b"/index.html": 2054314365,
            b"127.0.0.1:8081": 2711525940,
        }.items():
            self.assertEqual(murmur2(text), expected)

    def test_ring(self) -> None:
        """
        Each place is the hash of a number made of the server's identity.
        """
        peers = self.makePeers(["7", "65536", "x"], weight=2)
        ring = Ring(peers.peers)
        identities = (7, murmur2(b"127.0.0.1:8082"), murmur2(b"127.0.0.1:8083"))
        expected = sorted(
            (murmur2((identity * 4096 + n & 0xFFFFFFFF).to_bytes(4, "little")), owner)
            for owner, identity in enumerate(identities)
            for n in range(320)
        )
        self.assertEqual(list(zip(ring.hashes, ring.owners, strict=True)), expected)

    def test_heaviest(self) -> None:
        """
        There is a limit to what a weight can be good for.
        """
        self.assertEqual(
            len(Ring(self.makePeers([""], weight=200).peers).hashes), 16384
        )
        self.assertEqual(MOST_PLACES, 16384)

    def test_vectors(self) -> None:
        """
        Where some keys go.
        """
        balancer = self.makeBalancer(self.makePeers())
        for key, port in {
            b"/": 8081,
            b"/a": 8082,
            b"/b": 8082,
            b"/c": 8083,
            b"/index.html": 8083,
            b"/3": 8083,
        }.items():
            self.assertEqual(self.attempt(balancer, key), port)
        spread = Counter(self.attempt(balancer, b"/%d" % n) for n in range(3000))
        self.assertEqual(spread, {8081: 871, 8082: 999, 8083: 1130})

    def test_vectorsById(self) -> None:
        """
        The same with C{id}s, which outlive addresses.
        """
        balancer = self.makeBalancer(self.makePeers("123"))
        for key, port in {
            b"/": 8083,
            b"/a": 8083,
            b"/b": 8082,
            b"/c": 8081,
            b"/index.html": 8082,
        }.items():
            self.assertEqual(self.attempt(balancer, key), port)
        spread = Counter(self.attempt(balancer, b"/%d" % n) for n in range(3000))
        self.assertEqual(spread, {8081: 1018, 8082: 989, 8083: 993})

    def test_failures(self) -> None:
        """
        A server is out after more than C{max_fails} failures, for C{fail_timeout}; a
        success in between forgives none.
        """
        balancer = self.makeBalancer(self.makePeers(failTimeout=5))
        self.assertEqual(self.attempt(balancer, b"/", Outcome.FAILED), 8081)
        self.assertEqual(self.attempt(balancer, b"/"), 8081)
        self.assertEqual(self.disabled, [])
        self.assertEqual(self.attempt(balancer, b"/", Outcome.FAILED), 8081)
        self.assertEqual(self.disabled, ["127.0.0.1:8081"])
        self.assertNotEqual(self.attempt(balancer, b"/"), 8081)
        self.clock.advance(5)
        self.assertEqual(self.attempt(balancer, b"/"), 8081)

    def test_onlyItsKeysMove(self) -> None:
        """
        When a server is out, the keys of others stay.
        """
        peers = self.makePeers(maxFails=0)
        balancer = self.makeBalancer(peers)
        keys = [b"/%d" % n for n in range(300)]
        before = {key: self.attempt(balancer, key) for key in keys}
        self.assertEqual(self.attempt(balancer, b"/", Outcome.FAILED), 8081)
        for key in keys:
            after = self.attempt(balancer, key)
            if before[key] == 8081:
                self.assertIn(after, (8082, 8083))
            else:
                self.assertEqual(after, before[key])

    def test_retry(self) -> None:
        """
        Another attempt goes to another server, until all have been tried.
        """
        balancer = self.makeBalancer(self.makePeers())
        getter = balancer.initPeer(Somebody(key=b"k"))
        self.assertEqual(getter.tries, 3)
        names = set()
        for _ in range(3):
            peer = getter.getPeer()
            assert isinstance(peer, Peer)
            names.add(peer.name)
            getter.freePeer(peer, Outcome.FAILED)
        self.assertEqual(len(names), 3)
        self.assertIsNone(getter.getPeer())
        self.assertEqual(getter.tries, 0)

    def test_down(self) -> None:
        """
        A server that is down stays so; where all are, there is nobody.
        """
        peers = self.makePeers(failTimeout=1)
        balancer = self.makeBalancer(peers)
        peers.peers[0].down = 1
        for _ in range(3):
            self.assertIn(self.attempt(balancer, b"/"), (8082, 8083))
            self.clock.advance(2)
        for peer in peers.peers:
            peer.down = 1
        self.assertEqual(self.attempt(balancer, b"/"), 0)
        self.assertEqual(self.attempt(self.makeBalancer(self.makePeers([])), b"k"), 0)

    def test_hint(self) -> None:
        """
        Whom a request asks for it gets, unless it is out.
        """
        peers = self.makePeers()
        balancer = self.makeBalancer(peers)
        wanted = peers.peers[1]
        getter = balancer.initPeer(Somebody(key=b"/"))
        getter.hint = wanted.sid
        self.assertIs(getter.getPeer(), wanted)
        wanted.down = 1
        getter = balancer.initPeer(Somebody(key=b"/"))
        getter.hint = wanted.sid
        self.assertIs(getter.getPeer(), peers.peers[0])

    def test_change(self) -> None:
        """
        A new generation knows who is out.
        """
        peers = self.makePeers(maxFails=0)
        balancer = self.makeBalancer(peers)
        self.attempt(balancer, b"/", Outcome.FAILED)
        self.attempt(balancer, b"/")
        balancer.initUpstream(peers.successor(peers.peers[:2]))
        self.assertEqual(self.attempt(balancer, b"/"), 8082)

    def test_directive(self) -> None:
        """
        It takes one argument.
        """
        verifyObject(IBalancer, consistentHash)
        verifyObject(IPeerInit, consistentHash.peerInit(Line("$uri"), None))
        for arguments in ((), ("a", "b")):
            error = self.assertRaises(
                ConfigError, consistentHash.peerInit, Line(*arguments), None
            )
            self.assertEqual(
                error.problems[0].message,
                'invalid number of arguments in "consistent_hash" directive',
            )
