"""
Tests for L{twisted_upstream.balance.getter}: which servers a request is given.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.peer import DOWN, DRAINING, Outcome, Peer
from twisted_upstream.interfaces import IPeerGetter

from .groups import START, Group, makePeer


class WeightTests(SynchronousTestCase):
    """
    Tests for smooth weighted round robin.
    """

    def test_smooth(self) -> None:
        """
        Weights 5, 1, 1 give a a b a c a a, again and again.
        """
        group = Group(makePeer("a", weight=5), makePeer("b"), makePeer("c"))
        self.assertEqual(group.names(14), "aabacaa" * 2)

    def test_equal(self) -> None:
        """
        Equal servers take turns in the order of the configuration.
        """
        group = Group(makePeer("a"), makePeer("b"), makePeer("c"))
        self.assertEqual(group.names(7), "abcabca")

    def test_failedWeightRecovers(self) -> None:
        """
        A failure takes weight/max_fails off, and each choice gives 1 back.
        """
        peer = makePeer("a", weight=4, maxFails=2)
        group = Group(peer, makePeer("b", weight=4))
        group.attempt(Outcome.FAILED)
        self.assertEqual(peer.effectiveWeight, 2)
        group.attempt()
        self.assertEqual(peer.effectiveWeight, 3)
        group.names(3)
        self.assertEqual(peer.effectiveWeight, 4)

    def test_weightIsNeverNegative(self) -> None:
        """
        However often it fails, a server's weight does not fall below 0.
        """
        peer = makePeer("a", weight=3, maxFails=1)
        group = Group(peer, makePeer("b"))
        getters = [PeerGetter(group.peers) for _ in range(6)]
        held = [(getter, getter.getPeer()) for getter in getters]
        for getter, got in held:
            if got is peer:
                getter.freePeer(got, Outcome.FAILED)
        self.assertEqual(peer.effectiveWeight, 0)


class AttemptTests(SynchronousTestCase):
    """
    Tests for several attempts of one request.
    """

    def test_eachOnce(self) -> None:
        """
        A request asks each server once.
        """
        group = Group(*(makePeer(name, maxFails=0) for name in "abc"))
        getter = PeerGetter(group.peers)
        names = []
        while (peer := getter.getPeer()) is not None:
            names.append(peer.name)
            getter.freePeer(peer, Outcome.FAILED)
        self.assertEqual(sorted(names), ["a", "b", "c"])
        self.assertEqual(getter.tries, 0)

    def test_triesCount(self) -> None:
        """
        There are as many tries as servers, fewer if limited, and never less than 0.
        """
        group = Group(makePeer("a"), makePeer("b"), makePeer("c"))
        getter = PeerGetter(group.peers)
        getter.limitTries(0)
        self.assertEqual(getter.tries, 3)
        getter.limitTries(5)
        self.assertEqual(getter.tries, 3)
        getter.limitTries(1)
        self.assertEqual(getter.tries, 1)
        for expected in (0, 0):
            peer = getter.getPeer()
            assert peer is not None
            getter.freePeer(peer, Outcome.OK)
            self.assertEqual(getter.tries, expected)

    def test_backups(self) -> None:
        """
        Backups are asked when no other server is left.
        """
        group = Group(
            makePeer("a"), makePeer("b"), backups=[makePeer("c"), makePeer("d")]
        )
        getter = PeerGetter(group.peers)
        self.assertEqual(getter.tries, 4)
        names = []
        while (peer := getter.getPeer()) is not None:
            names.append(peer.name)
            getter.freePeer(peer, Outcome.FAILED)
        self.assertEqual(names, ["a", "b", "c", "d"])
        self.assertEqual(getter.tries, 0)

    def test_backupsForGood(self) -> None:
        """
        A request that came to the backups does not go back; the next one begins anew.
        """
        first = makePeer("a", maxConns=1)
        group = Group(first, backups=[makePeer("b"), makePeer("c")])
        holder = PeerGetter(group.peers)
        self.assertIs(holder.getPeer(), first)
        getter = PeerGetter(group.peers)
        backup = getter.getPeer()
        assert backup is not None
        self.assertEqual(backup.name, "b")
        holder.freePeer(first, Outcome.OK)
        getter.freePeer(backup, Outcome.FAILED)
        again = getter.getPeer()
        assert again is not None
        self.assertEqual(again.name, "c")
        self.assertEqual(group.attempt(), "a")

    def test_loneBackupFails(self) -> None:
        """
        A backup becomes unavailable, also when it is the only one.
        """
        group = Group(makePeer("a", down=DOWN), backups=[makePeer("b")])
        self.assertEqual(group.attempt(Outcome.FAILED), "b")
        self.assertEqual(group.names(1), "-")
        self.assertEqual(group.disabled, ["b"])

    def test_maxConns(self) -> None:
        """
        Servers that are full are passed over, backups come last.
        """
        group = Group(
            makePeer("a", maxConns=1),
            makePeer("b", maxConns=2),
            backups=[makePeer("c", maxConns=1)],
        )
        getters = [PeerGetter(group.peers) for _ in range(5)]
        got = [getter.getPeer() for getter in getters]
        self.assertEqual(
            [peer.name if peer else None for peer in got], ["a", "b", "b", "c", None]
        )

    def test_emptyGroup(self) -> None:
        """
        A group without servers has nobody to ask.
        """
        self.assertEqual(Group().names(1), "-")
        self.assertEqual(Group(backups=[makePeer("b")]).names(1), "b")

    def test_oldGenerationGoesOn(self) -> None:
        """
        A request under way is not disturbed by a new generation.
        """
        gone, stays = makePeer("a"), makePeer("b")
        group = Group(gone, stays)
        getter = PeerGetter(group.peers)
        self.assertIs(getter.getPeer(), gone)
        group.peers = group.peers.successor([stays])
        getter.freePeer(gone, Outcome.OK)
        self.assertEqual(gone.conns, 0)
        self.assertEqual(group.names(2), "bb")


class HintTests(SynchronousTestCase):
    """
    Tests for requests that ask for a peer.
    """

    def getHinted(self, group: Group, hint: bytes) -> PeerGetter:
        getter = PeerGetter(group.peers)
        getter.hint = hint
        return getter

    def test_obeyed(self) -> None:
        """
        The peer asked for is chosen.
        """
        last = makePeer("c")
        group = Group(makePeer("a"), makePeer("b"), last)
        for _ in range(5):
            self.assertIs(self.getHinted(group, last.sid).getPeer(), last)

    def test_drainingMayBeAskedFor(self) -> None:
        """
        A draining server serves only requests that ask for it.
        """
        draining = makePeer("b", down=DRAINING)
        group = Group(makePeer("a"), draining)
        self.assertEqual(group.names(3), "aaa")
        self.assertIs(self.getHinted(group, draining.sid).getPeer(), draining)

    def test_notAvailable(self) -> None:
        """
        Unknown, down, failed and full servers may not be asked for.
        """
        down = makePeer("b", down=DOWN | DRAINING)
        failed = makePeer("c")
        full = makePeer("d", maxConns=1)
        group = Group(makePeer("a"), down, failed, full)
        failed.fails, failed.checked = 1, int(START)
        full.conns = 1
        for hint in (b"nobody", down.sid, failed.sid, full.sid):
            peer = self.getHinted(group, hint).getPeer()
            assert peer is not None
            self.assertEqual(peer.name, "a")

    def test_onlyFirstAttempt(self) -> None:
        """
        A server that was tried is not tried again because it is asked for.
        """
        first = makePeer("a", maxFails=0)
        getter = self.getHinted(Group(first, makePeer("b")), first.sid)
        peer = getter.getPeer()
        assert peer is first
        getter.freePeer(peer, Outcome.FAILED)
        again = getter.getPeer()
        assert again is not None
        self.assertEqual(again.name, "b")

    def test_debtIsLimited(self) -> None:
        """
        However many requests ask for one server, the others do not get more than one
        round in advance.
        """
        first = makePeer("a")
        group = Group(first, makePeer("b"), makePeer("c"))
        for _ in range(20):
            self.getHinted(group, first.sid).getPeer()
        self.assertGreaterEqual(first.currentWeight, -3)
        self.assertEqual(group.names(6).count("a"), 2)

    def test_amongBackups(self) -> None:
        """
        A backup may be asked for only when no other server is left.
        """
        wanted = makePeer("d")
        first = makePeer("a")
        group = Group(first, backups=[makePeer("c"), wanted])
        self.assertIs(self.getHinted(group, wanted.sid).getPeer(), first)
        first.down = DOWN
        self.assertIs(self.getHinted(group, wanted.sid).getPeer(), wanted)


class ChooseTests(SynchronousTestCase):
    """
    Tests for L{Peers.getter}.
    """

    def test_provides(self) -> None:
        """
        What it returns is a getter.
        """
        peers = Group(makePeer()).peers
        verifyObject(IPeerGetter, peers.getter(lambda usable: usable[0]))
        verifyObject(IPeerGetter, PeerGetter(peers))

    def test_onlyUsable(self) -> None:
        """
        The function gets the peers that may be chosen, and its choice is used and
        accounted for.
        """
        failed, full = makePeer("c"), makePeer("d", maxConns=1)
        group = Group(
            makePeer("a"), makePeer("b", down=DOWN), failed, full, makePeer("e")
        )
        failed.fails, failed.checked = 1, int(START)
        full.conns = 1
        offered: list[str] = []

        def last(usable: Sequence[Peer]) -> Peer:
            offered.append("".join(peer.name for peer in usable))
            return usable[-1]

        getter = group.peers.getter(last)
        names = []
        while (peer := getter.getPeer()) is not None:
            self.assertEqual(peer.conns, 1)
            names.append(peer.name)
            getter.freePeer(peer, Outcome.FAILED)
            self.assertEqual(peer.conns, 0)
        self.assertEqual(names, ["e", "a"])
        self.assertEqual(offered, ["ae", "a"])

    def test_backups(self) -> None:
        """
        A function that refuses everybody is asked again about the backups.
        """
        backup = makePeer("b")
        group = Group(makePeer("a"), backups=[backup])
        getter = group.peers.getter(
            lambda usable: None if usable[0].name == "a" else usable[0]
        )
        self.assertIs(getter.getPeer(), backup)

    def test_hint(self) -> None:
        """
        A peer that the request asks for goes before the function's choice.
        """
        wanted = makePeer("b")
        getter = Group(makePeer("a"), wanted).peers.getter(lambda usable: usable[0])
        getter.hint = wanted.sid
        self.assertIs(getter.getPeer(), wanted)
