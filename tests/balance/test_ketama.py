"""
Tests for L{twisted_upstream.balance.ketama}.
"""

from __future__ import annotations

from zlib import crc32

from twisted.trial.unittest import SynchronousTestCase

from tests.balance.rules import RulePeer, rulePoints
from twisted_upstream.balance.ketama import Circle
from twisted_upstream.balance.peer import Peer


def makePeer(server: str, weight: int = 1) -> Peer:
    """
    A peer of such a C{server} line.
    """
    return Peer(server, ("10.0.0.1", 80), server=server, weight=weight)


class CircleTests(SynchronousTestCase):
    """
    Tests for L{Circle}.
    """

    def compare(self, peers: list[Peer]) -> None:
        """
        A circle has the points that the rules say.
        """
        circle = Circle(peers)
        rules = rulePoints(
            [RulePeer(peer.server, b"", peer.weight, 1, 10, 0, 0) for peer in peers]
        )
        self.assertEqual(len(circle), len(rules))
        for number, (point, server) in enumerate(rules):
            self.assertEqual(circle.hashes[number], point)
            self.assertEqual({peer.server for peer in circle.at(number)}, {server})

    def test_points(self) -> None:
        """
        The points of some servers.
        """
        for server, expected in {
            "127.0.0.1:8081": [1353366775, 3101462538, 708007374],
            "127.0.0.1:8082": [386582055, 3337737759, 3923017493],
            "unix:/tmp/s": [880684646, 2296925598, 1684526228],
            "backend1": [1364708562, 2888398869, 4149486271],
        }.items():
            self.assertLessEqual(set(expected), set(Circle([makePeer(server)]).hashes))

    def test_oddAddresses(self) -> None:
        """
        Only digits after the last colon are a port.
        """
        for server, text in {
            "[::1]:80": b"[::1]\x0080",
            "[::1]": b"[::1]\0",
            "host:": b"host\0",
            "UNIX:/s:1": b"/s:1\0",
            "host:8x": b"host:8x\0",
        }.items():
            hashes = Circle([makePeer(server)]).hashes
            self.assertIn(crc32(text + bytes(4)), hashes, server)

    def test_fewServers(self) -> None:
        """
        Weights multiply points; what is listed again has none of its own.
        """
        self.compare([makePeer("a:1", 3), makePeer("b:1"), makePeer("a:1")])

    def test_manyServers(self) -> None:
        """
        The points of many servers, made together, are no others.
        """
        self.compare([makePeer(f"10.0.0.{n}:80", 1 + n % 2) for n in range(300)])

    def test_equalPoints(self) -> None:
        """
        Where points are equal, the first server of the configuration has it.
        """
        # Found by search: both have the point 2066454488.
        first, second = makePeer("10.1.2.126:80"), makePeer("10.1.2.145:80")
        for peers in ([first, second], [second, first]):
            circle = Circle(peers)
            self.assertEqual(len(circle), 319)
            owner = circle.at(circle.hashes.index(2066454488))
            self.assertEqual(owner, (peers[0],))
            self.compare(peers)

    def test_end(self) -> None:
        """
        After the last point comes the first.
        """
        circle = Circle([makePeer(f"10.0.0.{n}:80") for n in range(3)])
        key = next(
            b"%d" % n for n in range(100000) if circle.find(b"%d" % n) == len(circle)
        )
        self.assertEqual(circle.at(circle.find(key)), circle.at(0))

    def test_empty(self) -> None:
        """
        Nobody has no points.
        """
        self.assertEqual(len(Circle([])), 0)
