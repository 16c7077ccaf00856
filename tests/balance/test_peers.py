"""
Tests for L{twisted_upstream.balance.peers}.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.peer import DOWN, DRAINING, Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.interfaces import IPeerGetter

#: Any time that is not 0, so that "never" and "now" differ.
START = 1000.0


def makePeer(name: str = "a", **options: Any) -> Peer:
    """
    A peer whose address does not matter.
    """
    return Peer(name, (name, 80), **options)


class Group:
    """
    Peers on a clock, with a list of those that were disabled.
    """

    def __init__(self, *peers: Peer, backups: Sequence[Peer] | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.disabled: list[str] = []
        next = None if backups is None else self.make("g", backups, None)
        self.peers = self.make("g", peers, next)

    def make(self, name: str, peers: Sequence[Peer], next: Peers | None) -> Peers:
        return Peers(
            name,
            peers,
            seconds=self.clock.seconds,
            random=Random(1),
            next=next,
            unavailable=lambda peer: self.disabled.append(peer.name),
        )

    def attempt(self, outcome: int = Outcome.OK) -> str | None:
        """
        One request of one attempt; the name of its peer.
        """
        getter = PeerGetter(self.peers)
        peer = getter.getPeer()
        if peer is None:
            return None
        getter.freePeer(peer, outcome)
        return peer.name

    def names(self, count: int) -> str:
        """
        The names that C{count} requests get; C{-} for none.
        """
        return "".join(self.attempt() or "-" for _ in range(count))


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
