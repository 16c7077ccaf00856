"""
Tests for L{twisted_upstream.balance.load}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.balance.rules import (
    RuleLeastConn,
    RuleRandom,
    RuleRandomTwo,
    Somebody,
    compareHistories,
)
from twisted_upstream.balance.load import (
    LeastConn,
    RandomChoice,
    leastConn,
    randomChoice,
)
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.config.nodes import ConfigError, Problem
from twisted_upstream.interfaces import (
    IBalancer,
    IBalancerLine,
    IClient,
    IKept,
    IPeerGetter,
    IPeerInit,
)
from twisted_upstream.plugins import find


@implementer(IBalancerLine)
class Line:
    """
    A directive's arguments.
    """

    def __init__(self, *arguments: str, place: str = "http") -> None:
        self.arguments: Sequence[str] = arguments
        self.place = place
        self.clock = Clock()
        self.wallClock = self.clock.seconds
        self.beside: frozenset[str] = frozenset()

    def compile(self, text: str) -> Callable[[IClient], bytes]:
        return lambda client: client.variable(text)

    def variable(self, name: str) -> Callable[[IClient], bytes]:
        return lambda client: client.variable(name)

    def keep(self, name: str, size: int, kept: IKept) -> None:
        """
        Nothing is handed on.
        """

    def error(self, message: str) -> ConfigError:
        return ConfigError([Problem(level="emerg", message=message, path="f", line=1)])


def makePeers(weights: Sequence[int], backups: int = 0) -> Peers:
    """
    A group of peers C{a}, C{b} and so on, with backups C{A}, C{B}.
    """
    clock, chance = Clock(), Random(7)

    def make(letters: str, weights: Sequence[int], next: Peers | None) -> Peers:
        return Peers(
            "g",
            [
                Peer(name, (name, 80), weight=weight)
                for name, weight in zip(letters, weights, strict=False)
            ],
            seconds=clock.seconds,
            random=chance,
            next=next,
        )

    next = make("ABCDEFG", [1] * backups, None) if backups else None
    return make("abcdefg", weights, next)


def picks(balancer: IPeerInit, count: int, *, hold: bool) -> str:
    """
    The names that C{count} requests get; each ends at once unless held.
    """
    names = ""
    for _ in range(count):
        getter = balancer.initPeer(Somebody())
        peer = getter.getPeer()
        assert isinstance(peer, Peer)
        names += peer.name
        if not hold:
            getter.freePeer(peer, Outcome.OK)
    return names


class LeastConnTests(SynchronousTestCase):
    """
    Tests for L{LeastConn}.
    """

    def makeBalancer(self, peers: Peers) -> LeastConn:
        balancer = LeastConn()
        balancer.initUpstream(peers)
        return balancer

    def test_provides(self) -> None:
        """
        It is what a group needs, and so is what it makes.
        """
        balancer = self.makeBalancer(makePeers([1]))
        verifyObject(IPeerInit, balancer)
        verifyObject(IPeerGetter, balancer.initPeer(Somebody()))

    def test_idle(self) -> None:
        """
        Servers without attempts take turns by weight.
        """
        balancer = self.makeBalancer(makePeers([5, 1, 1]))
        self.assertEqual(picks(balancer, 7, hold=False), "aabacaa")

    def test_fewestForWeight(self) -> None:
        """
        Held attempts spread by weight.
        """
        balancer = self.makeBalancer(makePeers([3, 1]))
        self.assertEqual(Counter(picks(balancer, 8, hold=True)), {"a": 6, "b": 2})

    def test_busyOneIsLeftAlone(self) -> None:
        """
        A server that is slow gets no more until the others are as busy.
        """
        peers = makePeers([1, 1, 1])
        peers.peers[1].conns = 2
        balancer = self.makeBalancer(peers)
        names = picks(balancer, 4, hold=True)
        self.assertEqual(Counter(names), {"a": 2, "c": 2})

    def test_hint(self) -> None:
        """
        The server that is asked for, however busy, and no weight changes.
        """
        peers = makePeers([1, 1])
        peers.peers[1].conns = 9
        getter = self.makeBalancer(peers).initPeer(Somebody())
        getter.hint = peers.peers[1].sid
        self.assertIs(getter.getPeer(), peers.peers[1])
        self.assertEqual([peer.currentWeight for peer in peers.peers], [0, 0])

    def test_backup(self) -> None:
        """
        Backup servers are chosen by the same method.
        """
        peers = makePeers([1, 1], backups=2)
        assert peers.next is not None
        for peer in peers.peers:
            peer.down = 1
        peers.next.peers[0].conns = 1
        self.assertEqual(picks(self.makeBalancer(peers), 1, hold=True), "B")

    def test_followsTheRules(self) -> None:
        """
        Each choice and each number is as the rules have it.
        """
        compareHistories(self, LeastConn, lambda rule, client, _: RuleLeastConn(rule))


class RandomTests(SynchronousTestCase):
    """
    Tests for L{RandomChoice}.
    """

    def makeBalancer(self, peers: Peers, *, two: bool = False) -> RandomChoice:
        balancer = RandomChoice(two=two)
        balancer.initUpstream(peers)
        return balancer

    def test_provides(self) -> None:
        """
        It is what a group needs, and so is what it makes.
        """
        for two in (False, True):
            balancer = self.makeBalancer(makePeers([1, 1]), two=two)
            verifyObject(IPeerInit, balancer)
            verifyObject(IPeerGetter, balancer.initPeer(Somebody()))

    def test_shares(self) -> None:
        """
        Shares are those of the weights.
        """
        names = picks(self.makeBalancer(makePeers([1, 3])), 4000, hold=False)
        self.assertAlmostEqual(names.count("b") / 4000, 0.75, 1)

    def test_twoPrefersTheIdle(self) -> None:
        """
        Of two servers C{two} always takes the less busy one.
        """
        peers = makePeers([1, 1])
        peers.peers[0].conns = 100
        names = picks(self.makeBalancer(peers, two=True), 50, hold=True)
        # Only a request whose 21 draws all hit the same server takes turns.
        self.assertEqual(names, "b" * 50)

    def test_missesLeadToTurns(self) -> None:
        """
        When chance finds nothing, round robin looks at all; and at the backups.
        """
        for two in (False, True):
            peers = makePeers([1, 1], backups=1)
            for peer in peers.peers:
                peer.down = 1
            balancer = self.makeBalancer(peers, two=two)
            self.assertEqual(picks(balancer, 2, hold=False), "AA")

    def test_followsTheRules(self) -> None:
        """
        Each choice and each number is as the rules have it, with the same chance.
        """
        compareHistories(
            self, RandomChoice, lambda rule, client, chance: RuleRandom(rule, chance)
        )
        compareHistories(
            self,
            lambda: RandomChoice(two=True),
            lambda rule, client, chance: RuleRandomTwo(rule, chance),
        )


class DirectiveTests(SynchronousTestCase):
    """
    The directives.
    """

    def test_found(self) -> None:
        """
        They are plugins; backup servers go with C{least_conn} only.
        """
        plugins = find(IBalancer)
        self.assertIs(plugins["least_conn"], leastConn)
        self.assertIs(plugins["random"], randomChoice)
        self.assertEqual((leastConn.layer, randomChoice.layer), (0, 0))
        self.assertEqual((leastConn.backup, randomChoice.backup), (True, False))

    def test_arguments(self) -> None:
        """
        What is no argument of nginx's is an error in nginx's words.
        """
        verifyObject(IBalancerLine, Line())
        for balancer, arguments, message in (
            (
                leastConn,
                ("x",),
                'invalid number of arguments in "least_conn" directive',
            ),
            (
                randomChoice,
                ("two", "least_conn", "x"),
                'invalid number of arguments in "random" directive',
            ),
            (randomChoice, ("three",), 'invalid parameter "three"'),
            (randomChoice, ("two", "least"), 'invalid parameter "least"'),
            (
                randomChoice,
                ("two", "least_time=connect"),
                'invalid parameter "least_time=connect"',
            ),
            (
                randomChoice,
                ("two", "least_time="),
                'invalid parameter "least_time="',
            ),
            (
                randomChoice,
                ("two", "least_conn=ewma"),
                'invalid parameter "least_conn=ewma"',
            ),
        ):
            line = Line(*arguments)
            error = self.assertRaises(ConfigError, balancer.peerInit, line, None)
            self.assertEqual(error.problems[0].message, message)

    def test_two(self) -> None:
        """
        C{random two} means C{random two least_conn}.
        """
        for arguments, two in (
            ((), False),
            (("two",), True),
            (("two", "least_conn"), True),
        ):
            made = randomChoice.peerInit(Line(*arguments), None)
            made.initUpstream(makePeers([1, 1]))
            name = type(made.initPeer(Somebody())).__name__
            self.assertEqual(name == "RandomTwoGetter", two)
        made = leastConn.peerInit(Line(), None)
        self.assertIsInstance(made, LeastConn)
