"""
Tests for L{twisted_upstream.balance.hashing}.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.balance.rules import (
    RuleConsistent,
    RuleHash,
    RuleIpHash,
    RuleList,
    Somebody,
    compareHistories,
    rulePoints,
)
from tests.balance.test_load import Line
from twisted_upstream.balance.bounded import BoundedHash
from twisted_upstream.balance.hashing import (
    ConsistentHash,
    Hash,
    IpHash,
    hashKey,
    ipHash,
)
from twisted_upstream.balance.ketama import Circle
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.interfaces import IBalancer, IClient, IPeerGetter, IPeerInit
from twisted_upstream.plugins import find

LOCAL = b"\x7f\0\0\1"


def keyOf(client: IClient) -> bytes:
    """
    The key of a test's client.
    """
    return client.variable("key")


def makePeers(count: int, *, backups: int = 0, **options: Any) -> Peers:
    """
    Peers C{127.0.0.1:8081} and following; backups come after them.
    """
    clock = Clock()

    def make(numbers: Sequence[int], next: Peers | None) -> Peers:
        return Peers(
            "g",
            [
                Peer(f"127.0.0.1:{each}", ("127.0.0.1", each), **options)
                for each in numbers
            ],
            seconds=clock.seconds,
            random=Random(1),
            next=next,
        )

    last = range(8081 + count, 8081 + count + backups)
    return make(range(8081, 8081 + count), make(last, None) if backups else None)


class HashingTestCase(SynchronousTestCase):
    """
    A test looks at the attempts of one request.
    """

    def attempts(
        self, balancer: IPeerInit, peers: Peers, client: Somebody, count: int = 1
    ) -> list[int]:
        """
        The last digits of the ports that one request is sent to; 0: nowhere.
        """
        balancer.initUpstream(peers)
        getter = balancer.initPeer(client)
        found: list[int] = []
        for _ in range(count):
            peer = getter.getPeer()
            if peer is None:
                found.append(0)
                continue
            assert isinstance(peer, Peer)
            found.append(int(peer.name[-1]))
            getter.freePeer(peer, Outcome.NEXT)
        return found


class HashTests(HashingTestCase):
    """
    Tests for L{Hash}.
    """

    def test_provides(self) -> None:
        """
        It is what a group needs, and so is what it makes.
        """
        for balancer in (Hash(keyOf), ConsistentHash(keyOf), IpHash()):
            verifyObject(IPeerInit, balancer)
            balancer.initUpstream(makePeers(2))
            verifyObject(IPeerGetter, balancer.initPeer(Somebody()))

    def test_vector(self) -> None:
        """
        C{foo} over three servers begins with 3187, 10068, 12200: the second, the
        first, and the third after another draw.
        """
        found = self.attempts(Hash(keyOf), makePeers(3), Somebody(key=b"foo"), 4)
        self.assertEqual(found, [2, 1, 3, 0])
        wide = self.attempts(Hash(keyOf), makePeers(9), Somebody(key=b"foo"), 3)
        draws = (3187, 10068, 12200)
        self.assertEqual(wide, [draw % 9 + 1 for draw in draws])

    def test_weights(self) -> None:
        """
        A server is as wide as its weight.
        """
        peers = makePeers(2)
        heavy = Peer("127.0.0.1:8083", ("127.0.0.1", 8083), weight=3186)
        mixed = peers.successor([heavy, *peers.peers])
        # 3187 of 3188.
        found = self.attempts(Hash(keyOf), mixed, Somebody(key=b"foo"))
        self.assertEqual(found, [2])

    def test_emptyKey(self) -> None:
        """
        Requests without a key take turns.
        """
        for balancer in (Hash(keyOf), ConsistentHash(keyOf)):
            peers = makePeers(3)
            found = [self.attempts(balancer, peers, Somebody())[0] for _ in range(6)]
            self.assertEqual(found, [1, 2, 3, 1, 2, 3])

    def test_missesLeadToTurns(self) -> None:
        """
        A request that draws only unusable servers takes turns, then gets a backup.
        """
        for balancer in (Hash(keyOf), ConsistentHash(keyOf), IpHash()):
            peers = makePeers(2, backups=1, down=1)
            assert peers.next is not None
            peers.next.peers[0].down = 0
            found = self.attempts(balancer, peers, Somebody(LOCAL, b"k"))
            self.assertEqual(found, [3])

    def test_lone(self) -> None:
        """
        With one server there is nothing to choose.
        """
        for balancer in (Hash(keyOf), ConsistentHash(keyOf), IpHash()):
            found = self.attempts(balancer, makePeers(1), Somebody(LOCAL, b"k"))
            self.assertEqual(found, [1])

    def test_hint(self) -> None:
        """
        A request may ask for a server.
        """
        for balancer in (Hash(keyOf), ConsistentHash(keyOf), IpHash()):
            for index in range(3):
                peers = makePeers(3)
                balancer.initUpstream(peers)
                getter: Any = balancer.initPeer(Somebody(LOCAL, b"k"))
                getter.hint = peers.peers[index].sid
                self.assertIs(getter.getPeer(), peers.peers[index])

    def test_followsTheRules(self) -> None:
        """
        Each choice and each number is as the rules have it.
        """
        compareHistories(
            self,
            lambda: Hash(keyOf),
            lambda rule, client, _: RuleHash(rule, client.key),
        )


class ConsistentHashTests(HashingTestCase):
    """
    Tests for L{ConsistentHash}.
    """

    def test_vectors(self) -> None:
        """
        C{foo}, C{bar} and C{1} over three servers.
        """
        peers = makePeers(3)
        circle = Circle(peers.peers)
        self.assertEqual((len(circle), circle.find(b"foo")), (480, 268))
        for key, expected in ((b"foo", 1), (b"bar", 3), (b"1", 1)):
            balancer = ConsistentHash(keyOf)
            found = self.attempts(balancer, peers, Somebody(key=key))
            self.assertEqual(found, [expected])

    def test_fewMove(self) -> None:
        """
        Without one of four servers only its own keys go elsewhere.
        """
        peers = makePeers(4)
        fewer = peers.successor(peers.peers[:3])
        balancer = ConsistentHash(keyOf)
        for number in range(200):
            client = Somebody(key=b"%d" % number)
            before = self.attempts(balancer, peers, client)
            if before != [4]:
                self.assertEqual(self.attempts(balancer, fewer, client), before)

    def test_addressesOfOneName(self) -> None:
        """
        The addresses of one name share its points and take turns.
        """
        peers = makePeers(3, server="name:80")
        balancer = ConsistentHash(keyOf)
        self.assertEqual(len(Circle(peers.peers)), 160)
        client = Somebody(key=b"same")
        found = [self.attempts(balancer, peers, client)[0] for _ in range(4)]
        self.assertEqual(found, [1, 2, 3, 1])

    def test_empty(self) -> None:
        """
        A group without servers gives nobody, not even its backups.
        """
        client = Somebody(key=b"k")
        found = self.attempts(ConsistentHash(keyOf), makePeers(0, backups=2), client)
        self.assertEqual(found, [0])

    def test_followsTheRules(self) -> None:
        """
        Each choice and each number is as the rules have it.
        """
        # All requests of a history have the same list and the same points.
        points: dict[RuleList, list[tuple[int, str]]] = {}

        def rule(list: RuleList, client: Somebody, _: Random) -> RuleConsistent:
            if list not in points:
                points[list] = rulePoints(list.peers)
            return RuleConsistent(list, points[list], client.key)

        compareHistories(self, lambda: ConsistentHash(keyOf), rule, 100)


class IpHashTests(HashingTestCase):
    """
    Tests for L{IpHash}.
    """

    def test_vectors(self) -> None:
        """
        The draws of some addresses, seen through the sizes of the groups.
        """
        for address, draw in (
            (LOCAL, 4040),
            (b"\x7f\0\0\xff", 4040),
            (b"\x0a\1\2\3", 2680),
            (bytes(15) + b"\1", 5945),
        ):
            for count in (2, 3, 5, 7):
                found = self.attempts(IpHash(), makePeers(count), Somebody(address))
                self.assertEqual(found, [draw % count + 1], (address, count))

    def test_next(self) -> None:
        """
        The second draw goes on from the first: 4040, 5510.
        """
        found = self.attempts(IpHash(), makePeers(9), Somebody(LOCAL), 2)
        self.assertEqual(found, [4040 % 9 + 1, 5510 % 9 + 1])

    def test_unix(self) -> None:
        """
        Clients of unix sockets count as 0.0.0.
        """
        unix = self.attempts(IpHash(), makePeers(7), Somebody(b""))
        zero = self.attempts(IpHash(), makePeers(7), Somebody(bytes(4)))
        self.assertEqual(unix, zero)

    def test_followsTheRules(self) -> None:
        """
        Each choice and each number is as the rules have it.
        """
        compareHistories(
            self, IpHash, lambda rule, client, _: RuleIpHash(rule, client.address)
        )


class DirectiveTests(SynchronousTestCase):
    """
    The directives.
    """

    def test_found(self) -> None:
        """
        They are plugins that go without backup servers.
        """
        plugins = find(IBalancer)
        self.assertIs(plugins["hash"], hashKey)
        self.assertIs(plugins["ip_hash"], ipHash)
        for balancer in (hashKey, ipHash):
            self.assertEqual((balancer.layer, balancer.backup), (0, False))

    def test_arguments(self) -> None:
        """
        What is no argument of nginx's is an error in nginx's words.
        """
        count = 'invalid number of arguments in "{}" directive'
        for balancer, arguments, message in (
            (hashKey, (), count.format("hash")),
            (hashKey, ("k", "consistent", "x"), count.format("hash")),
            (hashKey, ("k", "consistently"), 'invalid parameter "consistently"'),
            (hashKey, ("k", "bounded=0.9"), 'invalid parameter "bounded=0.9"'),
            (hashKey, ("k", "x", "bounded=2"), 'invalid parameter "x"'),
            (hashKey, ("k", "bounded=2", "consistent"), count.format("hash")),
            (ipHash, ("x",), count.format("ip_hash")),
        ):
            line = Line(*arguments)
            error = self.assertRaises(ConfigError, balancer.peerInit, line, None)
            self.assertEqual(error.problems[0].message, message)

    def test_made(self) -> None:
        """
        C{consistent} makes the difference.
        """
        self.assertIsInstance(hashKey.peerInit(Line("k"), None), Hash)
        made = hashKey.peerInit(Line("k", "consistent"), None)
        self.assertIsInstance(made, ConsistentHash)
        for line in (Line("k", "bounded=1.5"), Line("k", "consistent", "bounded=1.5")):
            self.assertIsInstance(hashKey.peerInit(line, None), BoundedHash)
        self.assertIsInstance(ipHash.peerInit(Line(), None), IpHash)
