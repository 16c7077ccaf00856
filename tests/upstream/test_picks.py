"""
Tests for L{twisted_upstream.upstream.picks}.
"""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.peer import Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.interfaces import IKept
from twisted_upstream.net.deadline import Deadlines
from twisted_upstream.upstream.picks import Picks


class PicksTests(SynchronousTestCase):
    """
    Tests for L{Picks}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.deadlines = Deadlines(self.clock)
        self.picks = self.make()
        self.lost: list[None] = []
        self.peer = Peer("10.0.0.1:80", ("10.0.0.1", 80))
        other = Peer("10.0.0.2:80", ("10.0.0.2", 80), down=1)
        self.peers = Peers(
            "u", [self.peer, other], seconds=self.clock.seconds, random=Random(1)
        )

    def make(self) -> Picks:
        """
        Picks of another configuration.
        """
        return Picks(self.deadlines, self.clock.seconds)

    def pick(self, picks: Picks | None = None, timeout: float = 10.0) -> bytes:
        """
        Choose the server.
        """
        getter = PeerGetter(self.peers)
        peer = getter.getPeer()
        assert peer is self.peer
        return (picks or self.picks).add(
            getter, peer, timeout, lambda: self.lost.append(None)
        )

    def test_interface(self) -> None:
        """
        Picks are kept over a reload.
        """
        verifyObject(IKept, self.picks)

    def test_ok(self) -> None:
        """
        A report frees the server, once.
        """
        token = self.pick()
        self.assertEqual((self.peer.conns, self.picks.size), (1, 1))
        self.assertTrue(self.picks.report(token, False, None))
        self.assertEqual((self.peer.conns, self.picks.size), (0, 0))
        self.assertFalse(self.picks.report(token, False, None))
        self.assertEqual((self.peer.conns, self.peer.fails), (0, 0))
        self.clock.advance(20)
        self.assertEqual(self.lost, [])

    def test_failed(self) -> None:
        """
        A failure counts as one.
        """
        self.assertTrue(self.picks.report(self.pick(), True, None))
        self.assertEqual((self.peer.conns, self.peer.fails), (0, 1))

    def test_lost(self) -> None:
        """
        What nobody reports is freed in time, and is no failure.
        """
        token = self.pick(timeout=5)
        late = self.pick(timeout=20)
        self.clock.advance(5)
        self.assertEqual((self.peer.conns, self.lost), (1, [None]))
        self.assertFalse(self.picks.report(token, True, None))
        self.assertEqual(self.peer.fails, 0)
        self.assertTrue(self.picks.report(late, False, None))

    def test_tokens(self) -> None:
        """
        Tokens are long, all different, and fit a URL.
        """
        tokens = {self.pick() for _ in range(100)}
        self.assertEqual(len(tokens), 100)
        for token in tokens:
            self.assertRegex(token, rb"\A[\w-]{24}\Z")
        self.picks.close()

    def test_adopt(self) -> None:
        """
        After a reload the new configuration takes reports of old picks; picks that the
        old one still makes are there, too, and time goes on.
        """
        token, forgotten = self.pick(), self.pick()
        self.clock.advance(6)
        new = self.make()
        new.adopt(self.picks)
        later = self.pick()
        self.assertEqual((self.picks.size, new.size), (0, 3))
        self.assertTrue(new.report(token, False, None))
        self.assertTrue(self.picks.report(later, False, None))
        self.picks.close()
        self.assertEqual(self.peer.conns, 1)
        self.clock.advance(4)
        self.assertEqual((self.peer.conns, self.lost), (0, [None]))
        self.assertFalse(new.report(forgotten, False, None))

    def test_close(self) -> None:
        """
        In the end everything is freed, and no timer is left.
        """
        self.pick()
        self.pick()
        self.picks.close()
        self.assertEqual((self.peer.conns, self.picks.size), (0, 0))
        self.clock.advance(100)
        self.assertEqual(self.lost, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
