"""
Tests for L{twisted_upstream.balance.queue}.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from twisted_upstream.balance.getter import PeerGetter
from twisted_upstream.balance.hashing import ConsistentHash, Hash, IpHash
from twisted_upstream.balance.health import HealthRecords
from twisted_upstream.balance.load import LeastConn, RandomChoice
from twisted_upstream.balance.peer import DOWN, DRAINING, Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.persist import Persist
from twisted_upstream.balance.persist_table import Table
from twisted_upstream.balance.queue import Queue, QueueGetter, queue
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.interfaces import IClient, IPeerGetter, IPeerInit

from .rules import Somebody
from .test_load import Line


class Request:
    """
    A request of which the test is the driver.

    @ivar told: what it was told in the end: a peer, or that there is none.
    @ivar isWaiting: is it waiting?
    """

    def __init__(self, init: Queue, key: bytes = b"", hint: bytes = b"") -> None:
        self.getter = init.initPeer(Somebody(address=key[:3] or b"abc", key=key))
        if hint:
            self.getter.hint = hint
        self.told: Peer | None = None
        self.isWaiting = False
        self.ask()

    def ask(self) -> None:
        """
        Ask for a server.
        """
        found = self.getter.getPeer()
        if isinstance(found, Deferred):
            self.isWaiting = True
            self.waiting = found
            found.addCallbacks(self._got, self._failed)
        else:
            self.told = found

    def _got(self, peer: Peer | None) -> None:
        self.isWaiting = False
        self.told = peer

    def _failed(self, reason: object) -> None:
        self.isWaiting = False
        self.reason = reason

    def ends(self, outcome: int = Outcome.OK) -> None:
        """
        The attempt is over.
        """
        peer, self.told = self.told, None
        assert peer is not None
        self.getter.freePeer(peer, outcome)


class QueueCase(SynchronousTestCase):
    """
    A group of one peer that takes one request, unless a test says otherwise.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.start([Peer("a", ("10.0.0.1", 80), maxConns=1)])

    def start(
        self,
        peers: Sequence[Peer],
        backups: Sequence[Peer] = (),
        *,
        size: int = 3,
        inner: IPeerInit | None = None,
    ) -> None:
        """
        Make the group.
        """
        seconds, random = self.clock.seconds, Random(1)
        next = Peers("g", backups, seconds=seconds, random=random) if backups else None
        self.queue = Queue(inner or RoundRobin(), size, 60.0, self.clock)
        self.peers = Peers("g", peers, seconds=seconds, random=random, next=next)
        self.queue.initUpstream(self.peers)

    def request(self) -> Request:
        """
        A request comes.
        """
        return Request(self.queue)

    def isQuiet(self) -> None:
        """
        Nobody waits, and no timer runs.
        """
        self.assertEqual(self.queue.size, 0)
        self.assertEqual(self.queue._unbound, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class QueueTests(QueueCase):
    """
    Who waits, and for what.
    """

    def test_interfaces(self) -> None:
        """
        The layer provides what the driver asks for.
        """
        verifyObject(IPeerInit, self.queue)
        verifyObject(IPeerGetter, self.queue.initPeer(Somebody()))

    def test_atOnce(self) -> None:
        """
        Who need not wait does not; no timer is made.
        """
        request = self.request()
        self.assertIs(request.told, self.peers.peers[0])
        request.ends()
        self.isQuiet()

    def test_notOvertaken(self) -> None:
        """
        Between an end and the turn in which those who wait are asked, whoever comes
        has to go to the end of the queue.
        """
        first, second = self.request(), self.request()
        first.ends()
        third = self.request()
        self.assertTrue(third.isWaiting)
        self.clock.advance(0)
        self.assertIsNotNone(second.told)
        self.assertTrue(third.isWaiting)
        second.ends()
        self.clock.advance(0)
        third.ends()
        self.isQuiet()

    def test_full(self) -> None:
        """
        One too many is refused and counted.
        """
        requests = [self.request() for _ in range(5)]
        self.assertEqual([each.isWaiting for each in requests], [False, *[True] * 3, 0])
        queue = self.queue
        self.assertEqual((queue.size, queue.maxSize, queue.overflows), (3, 3, 1))
        for each in requests[1:4]:
            each.waiting.cancel()
        self.isQuiet()

    def test_cancel(self) -> None:
        """
        Cancelled in any order, also when its turn has come: the next one is served.
        """
        first, second, third = (self.request() for _ in range(3))
        first.ends()
        second.waiting.cancel()
        self.assertIsInstance(second.reason.value, CancelledError)  # type: ignore[attr-defined]
        self.clock.advance(0)
        self.assertIsNotNone(third.told)
        third.ends()
        self.isQuiet()

    def test_timeouts(self) -> None:
        """
        Each waits its own time.
        """
        first, second = self.request(), self.request()
        self.clock.advance(30)
        third = self.request()
        self.clock.advance(29.9)
        self.assertTrue(second.isWaiting)
        self.clock.advance(0.2)
        self.assertFalse(second.isWaiting)
        self.assertTrue(third.isWaiting)
        self.clock.advance(30)
        self.assertFalse(third.isWaiting)
        self.assertEqual((second.told, third.told), (None, None))
        first.ends()
        self.isQuiet()

    def test_penalty(self) -> None:
        """
        One timer ends the rest of the server that is ready first; it proves itself on
        one request, and all others go on when it has.
        """
        a = Peer("a", ("a", 80), failTimeout=10)
        b = Peer("b", ("b", 80), failTimeout=5)
        self.start([a, b])
        for peer in (a, b):
            peer.fails, peer.checked = 1, 1000
        requests = [self.request() for _ in range(3)]
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(5.9)
        self.assertEqual([each.isWaiting for each in requests], [True] * 3)
        self.clock.pump([0.1, 0])
        self.assertEqual([each.told for each in requests], [b, None, None])
        requests[0].ends()
        self.clock.advance(0)
        self.assertEqual([each.told for each in requests], [None, b, b])
        requests[1].ends()
        requests[2].ends()
        self.isQuiet()

    def test_penaltyAgain(self) -> None:
        """
        A server that fails its proof rests once more.
        """
        a = Peer("a", ("a", 80), failTimeout=5)
        b = Peer("b", ("b", 80), down=DOWN)
        self.start([a, b])
        a.fails, a.checked = 1, 1000
        first, second = self.request(), self.request()
        self.clock.pump([6, 0])
        first.ends(Outcome.FAILED)
        self.clock.pump([5.9, 0])
        self.assertTrue(second.isWaiting)
        self.clock.pump([0.2, 0])
        self.assertIs(second.told, a)
        second.ends()
        self.isQuiet()

    def test_proved(self) -> None:
        """
        A session that is connected proves its server alive: nobody has to wait for its
        end, nor for the end of the rest.
        """
        a = Peer("a", ("a", 80), failTimeout=5)
        b = Peer("b", ("b", 80), down=DOWN)
        self.start([a, b])
        a.fails, a.checked = 1, 1000
        first, second = self.request(), self.request()
        self.clock.pump([6, 0])
        self.assertIs(first.told, a)
        self.assertTrue(second.isWaiting)
        first.getter.notifyPeer(a, "connect", 0.0)
        self.clock.advance(0)
        self.assertIs(second.told, a)
        first.ends()
        second.ends()
        self.isQuiet()

    def test_provedElsewhere(self) -> None:
        """
        Another group that shares what is known of a server finds it well: who waits
        here has it at once, or nearly so.
        """
        records = HealthRecords()
        here, there = (
            records.makePeer("a", ("a", 80), failTimeout=seconds) for seconds in (30, 2)
        )
        self.start([here, Peer("b", ("b", 80), down=DOWN)])
        other = Peers(
            "h",
            [there, Peer("c", ("c", 80), down=DOWN)],
            seconds=self.clock.seconds,
            random=Random(1),
        )
        here.fails, here.checked = 1, 1000
        request = self.request()
        self.clock.pump([1] * 3)
        getter = PeerGetter(other)
        self.assertIs(getter.getPeer(), there)
        self.clock.pump([1] * 5)
        self.assertTrue(request.isWaiting)
        getter.freePeer(there, Outcome.OK)
        self.clock.pump([1, 0])
        self.assertIs(request.told, here)
        request.ends()
        self.isQuiet()

    def test_membership(self) -> None:
        """
        Whoever waits chooses among the servers of today; limits stay.
        """
        first = self.request()
        getter = self.queue.initPeer(Somebody())
        getter.limitTries(2)
        waiting = getter.getPeer()
        assert isinstance(waiting, Deferred)
        new = [Peer(name, (name, 80)) for name in "bcd"]
        self.queue.initUpstream(self.peers.successor(new))
        self.clock.advance(0)
        peer = self.successResultOf(waiting)
        assert peer is not None
        self.assertIn(peer, new)
        self.assertEqual(getter.tries, 2)
        getter.freePeer(peer, Outcome.OK)
        first.ends()
        self.isQuiet()

    def test_empty(self) -> None:
        """
        Who comes to a group without servers waits for one, too.
        """
        self.start([])
        request = self.request()
        self.assertTrue(request.isWaiting)
        peer = Peer("a", ("a", 80))
        self.queue.initUpstream(self.peers.successor([peer]))
        self.clock.advance(0)
        self.assertIs(request.told, peer)
        request.ends()
        self.isQuiet()

    def test_wake(self) -> None:
        """
        The queue is told of what it cannot know of.
        """
        self.start([Peer(name, (name, 80), down=DOWN) for name in "ab"])
        request = self.request()
        self.peers.peers[1].down = 0
        self.queue.wake()
        self.clock.advance(0)
        self.assertIs(request.told, self.peers.peers[1])
        request.ends()
        self.isQuiet()

    def test_backups(self) -> None:
        """
        Whoever waits while primaries and backups are full takes what is free first,
        primaries before backups.
        """
        a, b = (Peer(name, (name, 80), maxConns=1) for name in "ab")
        self.start([a], [b])
        first, second, third, fourth = (self.request() for _ in range(4))
        self.assertEqual((first.told, second.told), (a, b))
        second.ends()
        first.ends()
        self.clock.advance(0)
        self.assertEqual((third.told, fourth.told), (a, b))
        third.ends()
        fourth.ends()
        self.isQuiet()

    def test_retry(self) -> None:
        """
        A request that has failed at one server waits for another: others that are
        served meanwhile do not make it ask the same one again.
        """
        a = Peer("a", ("a", 80), maxFails=0, maxConns=1)
        b = Peer("b", ("b", 80), maxConns=1)
        self.start([a, b])
        first, second = self.request(), self.request()
        self.assertEqual((first.told, second.told), (a, b))
        first.ends(Outcome.FAILED)
        first.ask()
        self.assertTrue(first.isWaiting)
        self.clock.advance(1)
        self.assertTrue(first.isWaiting)
        second.ends()
        self.clock.advance(0)
        self.assertIs(first.told, b)
        first.ends(Outcome.FAILED)
        first.ask()
        self.assertEqual((first.told, first.isWaiting), (None, False))
        self.assertEqual(first.getter.tries, 0)
        self.isQuiet()

    def test_draining(self) -> None:
        """
        A request that asks for a draining server waits for it as well.
        """
        a = Peer("a", ("a", 80), maxConns=1, down=DRAINING, sid=b"A")
        b = Peer("b", ("b", 80), maxConns=1)
        self.start([a, b])
        first, second = Request(self.queue, hint=b"A"), Request(self.queue)
        self.assertEqual((first.told, second.told), (a, b))
        third, fourth = Request(self.queue), Request(self.queue, hint=b"A")
        first.ends()
        self.clock.advance(0)
        self.assertTrue(third.isWaiting)
        self.assertTrue(fourth.isWaiting or fourth.told is a)
        second.ends()
        self.clock.advance(0)
        self.assertIs(third.told, b)
        for each in (third, fourth):
            if each.told is not None:
                each.ends()
        self.clock.advance(61)
        self.isQuiet()

    def test_brokenBalancer(self) -> None:
        """
        A balancer that raises harms the request it does it for, and no other.
        """

        class Broken(RoundRobin):
            def initPeer(self, client: IClient) -> PeerGetter:
                if broken and client.variable("") == b"x":
                    raise RuntimeError("broken")
                return super().initPeer(client)

        broken = False
        self.start([Peer("a", ("a", 80), maxConns=1)], inner=Broken())
        first, second, third = (Request(self.queue, key) for key in (b"a", b"x", b"b"))
        broken = True
        first.ends()
        self.clock.advance(0)
        self.assertIn("broken", str(second.reason))
        self.assertIsNotNone(third.told)
        third.ends()
        self.isQuiet()

    def test_stranger(self) -> None:
        """
        A balancer of others, which knows nothing of what was tried, can be waited for.
        """

        class Getter:
            """
            One peer, one request.
            """

            __slots__ = ("_peer", "tries")

            def __init__(self, peer: Peer) -> None:
                self._peer = peer
                self.tries = 1

            def getPeer(self) -> Peer | None:
                if self._peer.conns:
                    return None
                self._peer.conns = 1
                return self._peer

            def freePeer(self, peer: Peer, outcome: int) -> None:
                peer.conns = 0

            def limitTries(self, limit: int) -> None:
                """
                There is one.
                """

            def forgiveTry(self) -> None:
                """
                There is one.
                """

            def notifyPeer(self, peer: Peer, milestone: str, elapsed: float) -> None:
                """
                Nothing is learned.
                """

        @implementer(IPeerInit)
        class Init:
            """
            Of others.
            """

            def initUpstream(self, peers: Peers) -> None:
                self.peer = peers.peers[0]

            def initPeer(self, client: IClient) -> Any:
                return Getter(self.peer)

        self.start([Peer("a", ("a", 80), maxConns=1)], inner=Init())
        first, second = self.request(), self.request()
        first.ends()
        self.clock.advance(0)
        self.assertIsNotNone(second.told)
        second.ends(Outcome.FAILED)
        self.isQuiet()


class InterleavingTests(QueueCase):
    """
    Requests that come, end, fail and leave at random.
    """

    def run1(self, seed: int, inner: IPeerInit, persist: bool) -> None:
        """
        One history.
        """
        random = Random(seed)
        self.setUp()
        peers = [
            Peer(
                name,
                (name, 80),
                maxConns=random.choice((1, 2, 3)),
                maxFails=random.choice((0, 1, 2)),
                failTimeout=random.choice((0, 3, 10)),
                weight=random.choice((1, 1, 2)),
            )
            for name in "abcd"[: random.randrange(1, 5)]
        ]
        backups = [Peer("z", ("z", 80), maxConns=1)] if random.random() < 0.4 else []
        if persist:
            table = Table(self.clock.seconds)
            choices = ("move", "spill", "wait")
            inner = Persist(
                inner,
                lambda client: client.variable("key"),
                table,
                onFull=random.choice(choices),
                onFail=random.choice(choices[:2]),
                commit="select",
            )
        self.start(peers, backups, size=random.randrange(1, 8), inner=inner)
        # A server that has to prove itself, or one that failed this request, is
        # there for some and not for others: then order is not that of arrival alone.
        isStrict = not persist and all(not peer.maxFails for peer in peers)
        everybody: list[Request] = []
        waiting: list[Request] = []
        retried: set[Request] = set()

        def check() -> None:
            for peer in (*peers, *backups):
                self.assertLessEqual(0, peer.conns)
                self.assertTrue(not peer.maxConns or peer.conns <= peer.maxConns)
            self.assertLessEqual(self.queue.size, self.queue.maxSize)
            served = [each for each in waiting if not each.isWaiting]
            if isStrict:
                fresh = [each for each in waiting if each not in retried]
                done = [each for each in fresh if not each.isWaiting]
                left = [each for each in done if each in gone]
                ahead = [each for each in fresh if each not in left]
                count = len(done) - len(left)
                self.assertEqual(
                    [each.isWaiting for each in ahead[:count]], [False] * count
                )
            for each in served:
                waiting.remove(each)

        gone: set[Request] = set()
        for _ in range(60):
            gone.clear()
            step = random.random()
            busy = [each for each in everybody if each.told is not None]
            if step < 0.5:
                request = Request(self.queue, b"%d" % random.randrange(6))
                everybody.append(request)
                if request.isWaiting:
                    waiting.append(request)
            elif step < 0.8 and busy:
                request = random.choice(busy)
                outcome = random.choice((Outcome.OK, Outcome.OK, Outcome.FAILED))
                request.ends(outcome)
                if outcome == Outcome.FAILED and request.getter.tries > 0:
                    retried.add(request)
                    request.ask()
                    if request.isWaiting:
                        waiting.append(request)
            elif step < 0.9 and waiting:
                request = random.choice(waiting)
                gone.add(request)
                request.waiting.cancel()
            pause = random.choice((None, None, 0, 0, 0.3, 2))
            if pause is not None:
                self.clock.advance(pause)
            for each in waiting:
                if self.clock.seconds() >= each.getter.deadline and not each.isWaiting:
                    gone.add(each)
            check()
        while any(each.told is not None for each in everybody):
            for each in everybody:
                if each.told is not None:
                    each.ends()
            self.clock.advance(0)
        self.clock.advance(61)
        self.clock.advance(0)
        for each in everybody:
            if each.told is not None:
                each.ends()
        self.clock.advance(0)
        self.assertEqual(
            [peer.conns for peer in (*peers, *backups)],
            [0] * (len(peers) + len(backups)),
        )
        self.isQuiet()

    def test_interleavings(self) -> None:
        """
        200 histories for each method, half of them with C{persist} within: no limit is
        passed, nobody is overtaken, nothing is left over.
        """
        for seed in range(200):
            for inner in (
                RoundRobin(),
                LeastConn(),
                RandomChoice(),
                RandomChoice(two=True),
                Hash(lambda client: client.variable("key")),
                ConsistentHash(lambda client: client.variable("key")),
                IpHash(),
            ):
                self.run1(seed, inner, persist=seed % 2 == 1)

    def test_fair(self) -> None:
        """
        Those who wait are served in order, by whatever server is free.
        """
        peers = [Peer(name, (name, 80), maxConns=2) for name in "abc"]
        self.start(peers, size=500)
        random = Random(3)
        requests = [self.request() for _ in range(300)]
        order: list[int] = []
        while len(order) < 300:
            busy = [n for n, each in enumerate(requests) if each.told is not None]
            self.assertEqual(len(busy), min(6, 300 - len(order)))
            served = max(busy)
            self.assertFalse(any(each.isWaiting for each in requests[: served + 1]))
            number = random.choice(busy)
            requests[number].ends()
            order.append(number)
            self.clock.advance(0)
        self.isQuiet()


class DirectiveTests(SynchronousTestCase):
    """
    C{queue} as it is written.
    """

    def test_right(self) -> None:
        """
        A number, and a time of 60 seconds if it is not said.
        """
        for words, size, timeout in (
            (("5",), 5, 60.0),
            (("7", "timeout=1m30s"), 7, 90.0),
            (("0", "timeout=500ms"), 0, 0.5),
        ):
            made = queue.peerInit(Line(*words), RoundRobin())
            assert isinstance(made, Queue)
            self.assertEqual((made.maxSize, made._timeout), (size, timeout))

    def test_wrong(self) -> None:
        """
        What cannot be meant is refused.
        """
        for words, message in (
            ((), 'invalid number of arguments in "queue" directive'),
            (("1", "timeout=1s", "x"), "invalid number of arguments"),
            (("x",), 'invalid value "x" in "queue" directive'),
            (("-1",), 'invalid value "-1" in "queue" directive'),
            (("1", "timeout=x"), 'invalid parameter "timeout=x"'),
            (("1", "time=1"), 'invalid parameter "time=1"'),
        ):
            error = self.assertRaises(
                ConfigError, queue.peerInit, Line(*words), RoundRobin()
            )
            self.assertIn(message, str(error))

    def test_getter(self) -> None:
        """
        Every request of the group goes through the queue.
        """
        made = queue.peerInit(Line("1"), RoundRobin())
        made.initUpstream(Peers("g", [], seconds=Clock().seconds, random=Random(1)))
        self.assertIsInstance(made.initPeer(Somebody()), QueueGetter)
