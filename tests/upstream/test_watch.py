"""
Tests for L{twisted_upstream.upstream.watch}.
"""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.memory import Names
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.config.syntax import Node
from twisted_upstream.testing.simulation import SimulatedClient, balancerOf
from twisted_upstream.upstream.answer import Service
from twisted_upstream.upstream.group import UpstreamGroup
from twisted_upstream.upstream.server_line import ServerLine, parseServer
from twisted_upstream.upstream.surroundings import Surroundings
from twisted_upstream.upstream.watch import WatchedServer

NAME = "x.test"
HTTP = "_http._tcp.x.test"


class WatchCase(SynchronousTestCase):
    """
    A group with a server whose address is known, and others by name.
    """

    def setUp(self) -> None:
        """
        Nothing is known yet.
        """
        self.clock = Clock()
        self.names = Names()
        self.log: list[str] = []
        self.made: list[Peer] = []
        self.group = self.makeGroup()

    def makePeer(self, *args: Any, **options: Any) -> Peer:
        """
        A peer that is remembered.
        """
        peer = Peer(*args, **options)
        self.made.append(peer)
        return peer

    def makeGroup(
        self, *static: str, balancer: str = "", random: Random | None = None
    ) -> UpstreamGroup:
        """
        A group with some static servers.
        """
        random = random or Random(1)
        around = Surroundings(
            clock=self.clock,
            random=random,
            lookUp=lambda name: (),
            wallClock=self.clock.seconds,
        )
        peers = Peers(
            "u",
            [self.makePeer(each, (each.partition(":")[0], 80)) for each in static],
            seconds=self.clock.seconds,
            random=random,
        )
        return UpstreamGroup("u", peers, balancerOf(balancer, around))

    def line(self, text: str) -> ServerLine:
        """
        A C{server} line.
        """
        return parseServer(Node("server", tuple(text.split())))

    def watch(
        self, text: str = f"{NAME}:80 resolve", *, begin: bool = True, **more: Any
    ) -> WatchedServer:
        """
        A line, and what watches its name.
        """
        line = self.line(text)
        name, _, port = line.address.partition(":")
        watched = WatchedServer(
            line,
            name,
            int(port or 0),
            self.group,
            self.names,
            timeout=30.0,
            clock=self.clock,
            log=lambda level, message: self.log.append(f"[{level}] {message}"),
            makePeer=self.makePeer,
            **more,
        )
        if begin:
            watched.start()
            self.clock.advance(0.001)
        return watched

    def members(self) -> list[str]:
        """
        The group's peers.
        """
        return [peer.name for peer in self.group.peers.peers]

    def backups(self) -> list[str]:
        """
        The group's backup servers.
        """
        next = self.group.peers.next
        return [] if next is None else [peer.name for peer in next.peers]

    def answers(self, *found: str | Service, ttl: float = 10.0, code: int = 0) -> None:
        """
        Answer the question for the name, or the service.
        """
        name = HTTP if found and isinstance(found[0], Service) else NAME
        self.names.says(name, *found, code=code, until=self.clock.seconds() + ttl)


class MembersTests(WatchCase):
    """
    Addresses come and go.
    """

    def test_come(self) -> None:
        """
        They are appended, as the line says.
        """
        self.group = self.makeGroup("10.0.0.9:80")
        self.watch(f"{NAME}:81 resolve weight=3 max_conns=4 max_fails=5 down route=r")
        self.answers("10.0.0.1", "::1")
        self.assertEqual(self.members(), ["10.0.0.9:80", "10.0.0.1:81", "[::1]:81"])
        peer = self.group.peers.peers[1]
        self.assertEqual(
            (peer.weight, peer.maxConns, peer.maxFails, peer.down, peer.sid),
            (3, 4, 5, 1, b"r"),
        )
        self.assertEqual((peer.server, peer.host), (f"{NAME}:81", NAME))
        self.assertEqual(
            self.log, [f'[info] upstream "u": {NAME} +10.0.0.1:81 +[::1]:81']
        )

    def test_stay(self) -> None:
        """
        In whatever order, they stay the same peers of the same generation.
        """
        self.watch()
        self.answers("10.0.0.1", "10.0.0.2")
        before = self.group.peers
        self.clock.advance(11)
        self.answers("10.0.0.2", "10.0.0.1")
        self.assertIs(self.group.peers, before)

    def test_change(self) -> None:
        """
        Those that stay keep their place and what is known of them.
        """
        self.watch()
        self.answers("10.0.0.1", "10.0.0.2", "10.0.0.3")
        kept = self.group.peers.peers[1]
        kept.fails = 1
        self.clock.advance(11)
        self.answers("10.0.0.4", "10.0.0.2")
        self.assertEqual(self.members(), ["10.0.0.2:80", "10.0.0.4:80"])
        self.assertIs(self.group.peers.peers[0], kept)
        self.assertEqual(self.group.peers.generation, 2)

    def test_equal(self) -> None:
        """
        Two equal addresses are two peers; one may leave.
        """
        self.watch()
        self.answers("10.0.0.1", "10.0.0.1")
        first, _ = self.group.peers.peers
        self.clock.advance(11)
        self.answers("10.0.0.1")
        self.assertEqual(self.group.peers.peers, (first,))

    def test_backup(self) -> None:
        """
        A backup's addresses are backups; the last one takes the list with it.
        """
        self.group = self.makeGroup("10.0.0.9:80", balancer="queue 1;")
        self.watch(f"{NAME}:80 resolve backup")
        self.assertIsNotNone(self.group.peers.single)
        for addresses in (("10.0.0.1", "10.0.0.2"), ("10.0.0.2",), (), ("10.0.0.3",)):
            self.answers(*addresses, code=0 if addresses else 3)
            self.assertEqual(self.members(), ["10.0.0.9:80"])
            self.assertEqual(self.backups(), [f"{each}:80" for each in addresses])
            self.assertEqual(self.group.peers.single is None, bool(addresses))
            self.clock.advance(11)

    def test_twoLines(self) -> None:
        """
        One line's answers never touch another one's peers.
        """
        self.watch()
        self.answers("10.0.0.1")
        [first] = self.group.peers.peers
        self.watch("y.test:80 resolve")
        self.names.says("y.test", "10.0.0.1", until=9)
        self.assertEqual(self.members(), ["10.0.0.1:80"] * 2)
        self.clock.advance(9.999)
        self.names.says("y.test", code=3, until=99)
        self.assertEqual(self.group.peers.peers, (first,))


class FailureTests(WatchCase):
    """
    Names that are not found.
    """

    def test_gone(self) -> None:
        """
        A name that does not exist, or has no addresses, has no peers.
        """
        for code in (3, 0):
            self.setUp()
            self.watch()
            self.answers("10.0.0.1")
            self.clock.advance(11)
            self.answers(code=code)
            self.assertEqual(self.members(), [])
            self.assertEqual(
                self.log[1:],
                [
                    f"[error] {NAME} could not be resolved (3: Host not found)",
                    f'[info] upstream "u": {NAME} -10.0.0.1:80',
                ],
            )

    def test_trouble(self) -> None:
        """
        When the name servers fail, all stays as it is; they are asked again after the
        time-out.
        """
        self.watch()
        self.answers("10.0.0.1")
        for code, text in ((2, "Server failure"), (110, "Operation timed out")):
            self.clock.pump([11, 19])
            self.answers(code=code)
            self.assertEqual(
                self.log[-1], f"[error] {NAME} could not be resolved ({code}: {text})"
            )
        self.assertEqual(self.members(), ["10.0.0.1:80"])
        self.clock.advance(29.9)
        self.assertFalse(self.names.looked)
        self.clock.advance(0.2)
        self.assertTrue(self.names.looked)


class TimeTests(WatchCase):
    """
    When names are asked for.
    """

    def test_again(self) -> None:
        """
        A second after the answer has grown old; an answer that is old at once is good
        for a second.
        """
        self.watch()
        for ttl, seconds in ((15, 16), (0, 1), (-1, 1)):
            self.answers("10.0.0.1", ttl=ttl)
            self.clock.advance(seconds - 0.01)
            self.assertFalse(self.names.looked)
            self.clock.advance(0.01)
            self.assertTrue(self.names.looked)

    def test_close(self) -> None:
        """
        Neither a timer nor a question is left.
        """
        for step in range(3):
            watched = self.watch(begin=step > 0)
            if step == 0:
                watched.start()
            if step == 2:
                self.answers("10.0.0.1")
            watched.close()
            watched.close()
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertEqual(sum(map(len, self.names.looked.values())), 0)

    def test_brokenGroup(self) -> None:
        """
        A balancer that fails on new peers does not end the watching.
        """
        self.watch()

        class Broken:
            host = "u"

            def change(self, *peers: object) -> None:
                raise RuntimeError

        watched = WatchedServer(
            self.line(f"{NAME}:80 resolve"),
            NAME,
            80,
            Broken(),
            self.names,
            timeout=30.0,
            clock=self.clock,
            log=lambda level, message: None,
        )
        watched.start()
        self.names.looked.clear()
        self.clock.advance(0.001)
        self.assertRaises(RuntimeError, self.answers, "10.0.0.1")
        self.clock.advance(11)
        self.assertTrue(self.names.looked)


class ServiceTests(WatchCase):
    """
    C{service=}.
    """

    def serves(self, *services: Service, **hosts: str) -> None:
        """
        Answer for the service and its hosts.
        """
        self.answers(*services)
        for host, address in hosts.items():
            self.names.says(f"{host}.test", address, until=self.clock.seconds() + 10)

    def test_records(self) -> None:
        """
        Ports, weights and names are those of the records; what is less preferred is a
        backup.
        """
        self.watch(f"{NAME} resolve service=http")
        self.serves(
            Service(1, 5, 81, "a.test"),
            Service(2, 6, 82, "b.test"),
            a="10.0.0.1",
            b="10.0.0.2",
        )
        self.assertEqual(self.members(), ["10.0.0.1:81"])
        self.assertEqual(self.backups(), ["10.0.0.2:82"])
        [peer] = self.group.peers.peers
        self.assertEqual((peer.weight, peer.server), (5, "a.test"))

    def test_weight(self) -> None:
        """
        Another weight makes another peer, unless the line says the weight.
        """
        for more, weights in (("", [5, 6]), (" weight=2", [2, 2])):
            self.group = self.makeGroup()
            self.watch(f"{NAME} resolve service=http{more}")
            peers: list[Peer] = []
            for weight in (5, 6):
                self.serves(Service(1, weight, 81, "a.test"), a="10.0.0.1")
                peers += self.group.peers.peers
                self.clock.advance(11)
            self.assertEqual([peer.weight for peer in peers], weights)
            self.assertEqual(len(set(peers)), len(set(weights)))
            self.names.looked.clear()

    def test_noBackups(self) -> None:
        """
        Where there can be no other backups, what is less preferred is not used.
        """
        for text, more in ((" backup", {}), ("", {"mayBackUp": False})):
            self.group = self.makeGroup("10.0.0.9:80")
            self.watch(f"{NAME} resolve service=http{text}", **more)
            self.serves(
                Service(1, 5, 81, "a.test"),
                Service(2, 6, 82, "b.test"),
                a="10.0.0.1",
                b="10.0.0.2",
            )
            self.assertEqual(
                sorted(self.members() + self.backups()), ["10.0.0.1:81", "10.0.0.9:80"]
            )
            self.assertEqual(self.backups(), ["10.0.0.1:81"] if text else [])

    def test_priority(self) -> None:
        """
        Who is preferred now is no backup any more.
        """
        self.watch(f"{NAME} resolve service=http")
        for first, second in ((1, 2), (2, 1)):
            self.serves(
                Service(first, 1, 81, "a.test"),
                Service(second, 1, 82, "b.test"),
                a="10.0.0.1",
                b="10.0.0.2",
            )
            self.clock.advance(11)
        self.assertEqual(self.members(), ["10.0.0.2:82"])
        self.assertEqual(self.backups(), ["10.0.0.1:81"])

    def test_failures(self) -> None:
        """
        What is wrong with the service and its hosts is logged.
        """
        self.watch(f"{NAME} resolve service=http")
        self.answers(Service(1, 5, 81, "a.test"))
        self.names.says("a.test", code=2)
        self.assertEqual(
            self.log,
            [
                "[error] a.test could not be resolved (2: Server failure) while"
                f" resolving service http of {NAME}",
                f"[error] service http of {NAME} could not be resolved (2: Server"
                " failure)",
            ],
        )


class AdoptTests(WatchCase):
    """
    A reload.
    """

    def test_adopt(self) -> None:
        """
        Addresses go over, everything else is as the new line says; the name is asked
        for when the answer has grown old.
        """
        old = self.watch()
        self.answers("10.0.0.1", ttl=10)
        self.group.peers.peers[0].fails = 1
        self.clock.advance(4)
        self.group = self.makeGroup("10.0.0.9:80")
        new = self.watch(f"{NAME}:81 resolve weight=2", begin=False)
        self.assertTrue(new.follows(old))
        new.adopt(old)
        old.close()
        self.assertEqual(self.members(), ["10.0.0.9:80", "10.0.0.1:81"])
        peer = self.group.peers.peers[1]
        self.assertEqual((peer.weight, peer.fails), (2, 0))
        new.start()
        self.clock.advance(5.9)
        self.assertFalse(self.names.looked)
        self.clock.advance(0.1)
        self.assertTrue(self.names.looked)
        self.answers("10.0.0.1")
        self.assertIs(self.group.peers.peers[1], peer)

    def test_service(self) -> None:
        """
        Of a service, ports and backups go over.
        """
        old = self.watch(f"{NAME} resolve service=http")
        self.answers(Service(1, 5, 81, "a.test"), Service(2, 6, 82, "a.test"))
        self.names.says("a.test", "10.0.0.1")
        self.group = self.makeGroup()
        self.watch(f"{NAME} resolve service=http", begin=False).adopt(old)
        self.assertEqual(self.members(), ["10.0.0.1:81"])
        self.assertEqual(self.backups(), ["10.0.0.1:82"])

    def test_others(self) -> None:
        """
        Lines follow those with the same name, service and role.
        """
        old = self.watch(begin=False)
        for text in (
            "y.test:80 resolve",
            f"{NAME} resolve service=http",
            f"{NAME}:80 resolve backup",
        ):
            self.assertFalse(self.watch(text, begin=False).follows(old))


class InterleavingTests(WatchCase):
    """
    Membership changes while requests are under way.
    """

    BALANCERS = (
        "",
        "least_conn;",
        "ip_hash;",
        "hash $k;",
        "hash $k consistent;",
        "random;",
        "random two least_conn;",
        "queue 5;",
        "vnswrr;",
        "iwrr;",
    )

    def test_random(self) -> None:
        """
        Whatever happens in whatever order: a request gets a server that is there, or
        none, and in the end no server has a request.
        """
        for seed in range(200):
            balancer = self.BALANCERS[seed % len(self.BALANCERS)]
            self.setUp()
            self.interleave(Random(seed), balancer)
            left = {peer.name: peer.conns for peer in self.made if peer.conns}
            self.assertEqual(left, {}, (seed, balancer))

    def interleave(self, random: Random, balancer: str) -> None:
        """
        Sixty random steps, then all requests end.
        """
        static = ["10.0.9.9:80"] if random.random() < 0.5 else []
        self.group = self.makeGroup(*static, balancer=balancer, random=random)
        lines = [self.watch(f"{NAME}:{port} resolve max_conns=3") for port in (80, 81)]
        addresses = [f"10.0.0.{number}" for number in range(6)]
        busy: list[tuple[Any, Peer]] = []
        waiting: list[Deferred[Any]] = []

        def asks(getter: Any) -> None:
            there = set(self.group.peers.hints.values())
            peer = getter.getPeer()
            if isinstance(peer, Deferred):
                waiting.append(peer)
                peer.addCallback(got, getter)
            elif peer is not None:
                self.assertTrue(peer in there or getter in old)
                busy.append((getter, peer))

        def got(peer: Peer | None, getter: Any) -> None:
            if peer is not None:
                self.assertIn(peer, self.group.peers.hints)
                busy.append((getter, peer))

        old: set[Any] = set()
        for _ in range(60):
            step = random.random()
            if step < 0.4:
                asks(
                    self.group.initPeer(
                        SimulatedClient(random.randbytes(4), random.randbytes(4))
                    )
                )
            elif step < 0.8 and busy:
                getter, peer = busy.pop(random.randrange(len(busy)))
                getter.freePeer(peer, random.choice((Outcome.OK, Outcome.FAILED)))
                if random.random() < 0.5 and getter.tries:
                    old.add(getter)
                    asks(getter)
            else:
                self.clock.advance(random.choice((0.5, 12)))
                for name, _ in list(self.names.looked):
                    found = random.sample(addresses, random.randrange(4))
                    code = 0 if found else random.choice((0, 2, 3))
                    until = self.clock.seconds() + random.randrange(5)
                    self.names.says(name, *found, code=code, until=until)
        for each in waiting:
            each.addErrback(lambda failure: failure.trap(CancelledError))
            each.cancel()
        while busy:
            getter, peer = busy.pop()
            getter.freePeer(peer, Outcome.OK)
            self.clock.advance(0)
        for line in lines:
            line.close()
        self.assertEqual(self.clock.getDelayedCalls(), [], balancer)
