"""
Tests for L{twisted_upstream.balance.getter}: servers that fail, and those that are alone.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.peer import DOWN, DRAINING, Outcome

from .groups import Group, makePeer


class FailureTests(SynchronousTestCase):
    """
    Tests for max_fails and fail_timeout.
    """

    def test_disabled(self) -> None:
        """
        After max_fails failures a server gets nothing for fail_timeout seconds.
        """
        group = Group(makePeer("a"), makePeer("b"))
        self.assertEqual(group.attempt(Outcome.FAILED), "a")
        self.assertEqual(group.names(4), "bbbb")
        group.clock.advance(10)
        self.assertEqual(group.names(2), "bb")
        group.clock.advance(1)
        self.assertIn("a", group.names(4))

    def test_wholeSeconds(self) -> None:
        """
        Time is counted in whole seconds, so a server is back 10 to 11 seconds later.
        """
        group = Group(makePeer("a"), makePeer("b"))
        group.clock.advance(0.9)
        group.attempt(Outcome.FAILED)
        group.clock.advance(10)
        self.assertEqual(group.names(2), "bb")
        group.clock.advance(0.1)
        self.assertIn("a", group.names(4))

    def test_zeroTimeout(self) -> None:
        """
        fail_timeout=0 still lasts until the next second.
        """
        group = Group(makePeer("a", failTimeout=0), makePeer("b"))
        group.attempt(Outcome.FAILED)
        self.assertEqual(group.names(3), "bbb")
        group.clock.advance(1)
        self.assertIn("a", group.names(4))

    def test_neverDisabled(self) -> None:
        """
        max_fails=0 lets a server fail for ever.
        """
        group = Group(makePeer("a", maxFails=0), makePeer("b", maxFails=0))
        got = [group.attempt(Outcome.FAILED) for _ in range(4)]
        self.assertEqual(got, ["a", "b", "a", "b"])
        self.assertEqual(group.disabled, [])

    def test_told(self) -> None:
        """
        The failure that disables a server is told; those before are not.
        """
        group = Group(makePeer("a", maxFails=2), makePeer("b", maxFails=2))
        group.attempt(Outcome.FAILED)
        group.attempt(Outcome.FAILED)
        self.assertEqual(group.disabled, [])
        group.attempt(Outcome.FAILED)
        self.assertEqual(group.disabled, ["a"])

    def test_oneProbe(self) -> None:
        """
        When the penalty is over one request is let through, and the others have to
        wait for its success.
        """
        group = Group(makePeer("a"), makePeer("b"))
        group.attempt(Outcome.FAILED)
        group.clock.advance(11)
        getters = [PeerGetter(group.peers) for _ in range(6)]
        got = [getter.getPeer() for getter in getters]
        names = [peer.name for peer in got if peer]
        self.assertEqual(names.count("a"), 1)
        for getter, peer in zip(getters, got, strict=True):
            assert peer is not None
            getter.freePeer(peer, Outcome.OK)
        self.assertEqual(group.names(4).count("a"), 2)

    def test_everybodyIsOut(self) -> None:
        """
        When all servers have their penalty there is none: nothing is reset.
        """
        group = Group(makePeer("a"), makePeer("b"))
        group.attempt(Outcome.FAILED)
        group.attempt(Outcome.FAILED)
        self.assertEqual(group.names(3), "---")

    def test_successEndsPeriod(self) -> None:
        """
        A success forgets failures only in a period that began after them.
        """
        peer = makePeer("a", maxFails=3)
        group = Group(peer, makePeer("b", down=DOWN))
        group.attempt(Outcome.FAILED)
        group.attempt()
        self.assertEqual(peer.fails, 1)
        group.clock.advance(11)
        group.attempt()
        self.assertEqual(peer.fails, 0)

    def test_nextIsNoFailure(self) -> None:
        """
        Asking another server for what this one does not have is no failure of it.
        """
        group = Group(makePeer("a"), makePeer("b"))
        group.attempt(Outcome.NEXT)
        self.assertEqual(group.names(3), "bab")

    def test_everyThirdFails(self) -> None:
        """
        With max_fails=3, a server that fails each third time serves six of thirty
        requests; the others go on to the second server.
        """
        group = Group(makePeer("a", maxFails=3), makePeer("b", maxFails=3))
        served: list[str] = []
        seen = 0
        for _ in range(30):
            getter = PeerGetter(group.peers)
            peer = getter.getPeer()
            assert peer is not None
            if peer.name == "a":
                seen += 1
                if seen % 3 == 0:
                    getter.freePeer(peer, Outcome.FAILED)
                    peer = getter.getPeer()
                    assert peer is not None
            getter.freePeer(peer, Outcome.OK)
            served.append(peer.name)
        self.assertEqual((served.count("a"), served.count("b")), (6, 24))

    def test_connectProvesLive(self) -> None:
        """
        A stream that is connected clears the failures before its session ends.
        """
        peer = makePeer("a")
        group = Group(peer, makePeer("b", down=DOWN))
        group.attempt(Outcome.FAILED)
        group.clock.advance(11)
        getter = PeerGetter(group.peers)
        got = getter.getPeer()
        assert got is peer
        getter.notifyPeer(peer, "header", 0.1)
        self.assertEqual(peer.fails, 1)
        getter.notifyPeer(peer, "connect", 0.1)
        self.assertEqual(peer.fails, 0)


class SingleTests(SynchronousTestCase):
    """
    Tests for groups of one server.
    """

    def test_neverUnavailable(self) -> None:
        """
        A lone server is asked however often it has failed.
        """
        peer = makePeer()
        group = Group(peer)
        for _ in range(5):
            self.assertEqual(group.attempt(Outcome.FAILED), "a")
        self.assertEqual((peer.fails, peer.conns), (0, 0))
        self.assertEqual(group.disabled, [])

    def test_oneTry(self) -> None:
        """
        After one attempt there is no other.
        """
        getter = PeerGetter(Group(makePeer()).peers)
        peer = getter.getPeer()
        assert peer is not None
        self.assertEqual(getter.tries, 1)
        getter.freePeer(peer, Outcome.FAILED)
        self.assertEqual(getter.tries, 0)

    def test_forgiven(self) -> None:
        """
        An attempt that does not count is repeated with the same server.
        """
        getter = PeerGetter(Group(makePeer()).peers)
        peer = getter.getPeer()
        assert peer is not None
        getter.freePeer(peer, Outcome.FAILED)
        getter.forgiveTry()
        self.assertEqual(getter.tries, 1)
        self.assertIs(getter.getPeer(), peer)

    def test_down(self) -> None:
        """
        A lone server that is down is not asked.
        """
        self.assertEqual(Group(makePeer(down=DOWN)).names(1), "-")

    def test_full(self) -> None:
        """
        A lone server at its limit is not asked.
        """
        group = Group(makePeer(maxConns=2))
        getters = [PeerGetter(group.peers) for _ in range(3)]
        got = [getter.getPeer() for getter in getters]
        self.assertEqual([peer is not None for peer in got], [True, True, False])

    def test_drainingOnlyForHint(self) -> None:
        """
        A lone server that drains serves who asks for it, and nobody else.
        """
        peer = makePeer(down=DRAINING)
        group = Group(peer)
        getter = PeerGetter(group.peers)
        self.assertIsNone(getter.getPeer())
        getter.hint = peer.sid
        self.assertIs(getter.getPeer(), peer)
