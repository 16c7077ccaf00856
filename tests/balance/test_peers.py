"""
Tests for L{twisted_upstream.balance.peers}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.peer import DOWN, DRAINING, Peer

from .groups import Group, makePeer


class PeerTests(SynchronousTestCase):
    """
    Tests for L{Peer}.
    """

    def test_sidOfAddress(self) -> None:
        """
        Without a route, sticky sessions call a peer by the MD5 of its name.
        """
        self.assertEqual(
            Peer("127.0.0.1:8081", ("127.0.0.1", 8081)).sid,
            b"df2b80dc43705d28db9be6f29fe58da3",
        )
        self.assertEqual(
            Peer("unix:/tmp/backend3", "/tmp/backend3").sid,
            b"57bcb1877f2d90788aa4abbc6634a63b",
        )

    def test_sidOfRoute(self) -> None:
        """
        A route replaces it.
        """
        self.assertEqual(Peer("a", "/a", sid=b"one").sid, b"one")

    def test_serverIsName(self) -> None:
        """
        Where no text of a server line is given, it is the name.
        """
        self.assertEqual(Peer("a:80", ("a", 80)).server, "a:80")
        self.assertEqual(Peer("a:80", ("a", 80), server="b").server, "b")


class PeersTests(SynchronousTestCase):
    """
    Tests for L{Peers}.
    """

    def test_weights(self) -> None:
        """
        The weights are summed, and it is known whether they matter.
        """
        plain = Group(makePeer("a"), makePeer("b")).peers
        self.assertEqual((plain.totalWeight, plain.weighted), (2, False))
        heavy = Group(makePeer("a", weight=5), makePeer("b")).peers
        self.assertEqual((heavy.totalWeight, heavy.weighted), (6, True))

    def test_triesLeaveOutDown(self) -> None:
        """
        Servers that are down or draining are not worth a try; backups are.
        """
        peers = Group(
            makePeer("a"),
            makePeer("b", down=DOWN),
            makePeer("c", down=DRAINING),
            backups=[makePeer("d"), makePeer("e", down=DOWN)],
        ).peers
        self.assertEqual(peers.tries, 2)

    def test_single(self) -> None:
        """
        A group is single when its only server has no backup.
        """
        only = makePeer()
        self.assertIs(Group(only).peers.single, only)
        self.assertIs(Group(only, backups=[]).peers.single, only)
        self.assertIsNone(Group(only, makePeer("b")).peers.single)
        self.assertIsNone(Group().peers.single)

    def test_backupIsNeverSingle(self) -> None:
        """
        Neither a server that has a backup nor a lone backup is single.
        """
        peers = Group(makePeer("a"), backups=[makePeer("b")]).peers
        self.assertIsNone(peers.single)
        assert peers.next is not None
        self.assertIsNone(peers.next.single)

    def test_successor(self) -> None:
        """
        The next generation keeps the group's settings, and the peers that stay keep
        their state.
        """
        stays = makePeer("a")
        old = Group(stays, makePeer("b")).peers
        stays.fails = 1
        new = old.successor([stays, makePeer("c")])
        self.assertEqual([peer.name for peer in new.peers], ["a", "c"])
        self.assertIs(new.peers[0], stays)
        self.assertEqual((new.generation, new.name), (old.generation + 1, "g"))
        self.assertIs(new.unavailable, old.unavailable)
        self.assertEqual(len(old.peers), 2)
