"""
Tests for L{twisted_upstream.balance.sticky_learn}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEvent,
    globalLogPublisher,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from twisted_upstream.balance.peer import DRAINING, Outcome
from twisted_upstream.balance.sticky import sticky
from twisted_upstream.balance.sticky_learn import Sessions, capacity
from twisted_upstream.interfaces import IKept, IPeerGetter, IPeerInit

from .sticking import Browser, StickingCase

LEARN = "learn create=$made lookup=$had zone=z:32k"


class SessionsTests(SynchronousTestCase):
    """
    The table itself.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.sessions = Sessions("z", 3, 10.0, self.clock)

    def test_interface(self) -> None:
        """
        It can be handed on.
        """
        verifyObject(IKept, self.sessions)

    def test_learns(self) -> None:
        """
        A session is known, moved and refreshed.
        """
        self.assertIsNone(self.sessions.find(b"s"))
        self.sessions.learn(b"s", b"a", create=True)
        self.assertEqual(self.sessions.find(b"s"), b"a")
        self.assertIsNone(self.sessions.find(b"S"))
        self.sessions.learn(b"s", b"b", create=False)
        self.assertEqual(self.sessions.find(b"s"), b"b")
        self.sessions.learn(b"t", b"b", create=False)
        self.assertIsNone(self.sessions.find(b"t"))
        self.assertEqual(len(self.sessions), 1)

    def test_expires(self) -> None:
        """
        Sessions are forgotten by one timer, each that long after its last use.
        """
        self.sessions.learn(b"s", b"a", create=True)
        self.clock.advance(4)
        self.sessions.learn(b"t", b"a", create=True)
        self.clock.advance(4)
        self.sessions.learn(b"s", b"a", create=False)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(2)
        self.assertEqual(len(self.sessions), 2)
        self.clock.advance(4)
        self.assertIsNone(self.sessions.find(b"t"))
        self.assertEqual(self.sessions.find(b"s"), b"a")
        self.clock.advance(4)
        self.assertEqual(len(self.sessions), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.sessions.learn(b"u", b"a", create=True)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_full(self) -> None:
        """
        A full table forgets the session used least recently, and says so.
        """
        found: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event.get("log_level") is LogLevel.warn:
                found.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        for key in (b"1", b"2", b"3"):
            self.sessions.learn(key, b"a", create=True)
        self.sessions.learn(b"1", b"a", create=False)
        self.assertEqual(found, [])
        self.sessions.learn(b"4", b"b", create=True)
        sids = [self.sessions.find(key) for key in (b"1", b"2", b"3", b"4")]
        self.assertEqual(sids, [b"a", None, b"a", b"b"])
        self.assertEqual(
            found,
            [
                'could not allocate node in sticky session zone "z", expiring least'
                " recently used session"
            ],
        )

    def test_longKeys(self) -> None:
        """
        A long id takes no more room than a short one.
        """
        self.sessions.learn(b"k" * 1_000_000, b"a", create=True)
        self.assertEqual(self.sessions.find(b"k" * 1_000_000), b"a")
        self.assertEqual([len(key) for key in self.sessions._sessions], [16])

    def test_handedOn(self) -> None:
        """
        Both configurations know what either learns, until the old one ends; no timer
        is left when both have.
        """
        self.sessions.learn(b"s", b"a", create=True)
        self.clock.advance(2)
        new = Sessions("z", 3, 5.0, self.clock)
        new.adopt(self.sessions)
        self.assertEqual(new.find(b"s"), b"a")
        self.sessions.learn(b"t", b"b", create=True)
        self.assertEqual(new.find(b"t"), b"b")
        self.sessions.close()
        self.sessions.learn(b"u", b"b", create=True)
        self.assertEqual(new.find(b"u"), b"b")
        # The new configuration's time-out.
        self.clock.advance(3)
        self.assertIsNone(new.find(b"s"))
        self.assertEqual(len(new), 2)
        self.clock.advance(2)
        self.assertEqual(len(new), 0)
        new.learn(b"v", b"a", create=True)
        new.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_adoptsOld(self) -> None:
        """
        Sessions older than the new time-out are forgotten at once.
        """
        self.sessions.learn(b"s", b"a", create=True)
        self.clock.advance(8)
        new = Sessions("z", 3, 5.0, self.clock)
        new.adopt(self.sessions)
        self.assertEqual(len(new), 0)
        self.sessions.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_capacity(self) -> None:
        """
        As many sessions fit into a zone as nginx has room for.
        """
        self.assertEqual(capacity(32 * 1024), 80)
        self.assertEqual(capacity(1024 * 1024), 4032)


class LearnTests(StickingCase):
    """
    C{sticky learn}.
    """

    directive = sticky

    def sessions(self) -> Sessions:
        """
        The table of the group made last.
        """
        kept = self.line.kept["z"][1]
        assert isinstance(kept, Sessions)
        return kept

    def test_interfaces(self) -> None:
        """
        What is made provides what the driver asks for.
        """
        init = self.make(LEARN)
        verifyObject(IPeerInit, init)
        verifyObject(IPeerGetter, init.initPeer(Browser()))
        self.assertEqual(self.line.kept["z"][0], 32768)

    def test_refused(self) -> None:
        """
        Each mistake is told in nginx's words.
        """
        about = '"sticky" directive '
        some = "create=$a lookup=$b"
        for text, expected in (
            ("create=$a zone=z:1m", about + '"lookup" parameter is not specified'),
            ("lookup=$a zone=z:1m", about + '"create" parameter is not specified'),
            (some, about + '"zone" parameter is not specified'),
            (
                "create=a lookup=$b",
                about + 'missing variable in the "create" parameter',
            ),
            ("lookup=", about + 'missing variable in the "lookup" parameter'),
            (f"{some} zone=z", about + "zone size is not specified"),
            (f"{some} zone=:1m", about + "zone name is not specified"),
            (f"{some} zone=z:", about + "invalid zone size"),
            (f"{some} zone=z:1x", about + "invalid zone size"),
            (f"{some} zone=z:31k", about + "zone is too small"),
            (f"{some} zone=z:1m zone=y:1m", about + "duplicate zone"),
            (f"{some} zone=z:1m timeout=0", about + "invalid timeout"),
            (f"{some} zone=z:1m timeout=x", about + "invalid timeout"),
            (f"{some} zone=z:1m timeout=1 timeout=1", about + "duplicate timeout"),
            (f"{some} zone=z:1m headers", 'unknown parameter "headers"'),
            (f"{some} zone=z:1m header=1", 'unknown parameter "header=1"'),
        ):
            self.refuses(f"learn {text}", expected)

    def test_learns(self) -> None:
        """
        What a server calls a session goes to that server when a client says it.
        """
        init = self.make(LEARN)
        self.assertEqual(self.ask(init, Browser({"made": b"s"})), "a")
        for _ in range(3):
            self.assertEqual(self.ask(init, Browser({"had": b"s"})), "a")
        self.assertEqual(self.ask(init, Browser({"had": b"other"})), "b")
        self.assertEqual(len(self.sessions()), 1)

    def test_hostile(self) -> None:
        """
        Sessions that nobody made are none, whatever they are called.
        """
        for value in (b"", b"\xff", b"s" * 100_000, b"a"):
            self.assertEqual(self.ask(self.make(LEARN), Browser({"had": value})), "a")
            self.assertEqual(len(self.sessions()), 0)

    def test_onlySuccess(self) -> None:
        """
        Servers that failed, or were passed over, teach nothing.
        """
        init = self.make(LEARN)
        for outcome in (Outcome.FAILED, Outcome.NEXT):
            self.ask(init, Browser({"made": b"s"}), outcome)
        self.assertEqual(len(self.sessions()), 0)

    def test_moves(self) -> None:
        """
        A session goes where it was answered last, without being created again.
        """
        init = self.make(LEARN, "ab")
        self.ask(init, Browser({"made": b"s"}))
        getter = init.initPeer(Browser({"had": b"s"}))
        self.assertEqual(self.take(getter), "a")
        getter.freePeer(self.peer("a"), Outcome.NEXT)
        self.assertEqual(self.take(getter), "b")
        getter.freePeer(self.peer("b"), Outcome.OK)
        self.assertEqual(self.ask(init, Browser({"had": b"s"})), "b")

    def test_byHeader(self) -> None:
        """
        With C{header}, a session is known before its first response has ended, and the
        end teaches nothing.
        """
        for text, learned in ((LEARN, (0, 0, 1)), (f"{LEARN} header", (0, 1, 0))):
            init = self.make(text)
            client = Browser({"made": b"s"})
            getter = init.initPeer(client)
            counts = []
            name = self.take(getter)
            counts.append(len(self.sessions()))
            getter.notifyPeer(self.peer(name), "connect", 0.1)
            getter.notifyPeer(self.peer(name), "header", 0.1)
            counts.append(len(self.sessions()))
            client.values["made"] = b"t"
            self.sessions()._sessions.clear()
            getter.freePeer(self.peer(name), Outcome.OK)
            counts.append(len(self.sessions()))
            self.assertEqual(tuple(counts), learned)
            self.sessions().close()

    def test_timeout(self) -> None:
        """
        C{timeout}, by default ten minutes.
        """
        for text, seconds in ((LEARN, 600.0), (f"{LEARN} timeout=1500ms", 1.5)):
            self.ask(self.make(text), Browser({"made": b"s"}))
            sessions = self.sessions()
            self.clock.advance(seconds - 0.01)
            self.assertEqual(len(sessions), 1)
            self.clock.advance(0.02)
            self.assertEqual(len(sessions), 0)

    def test_others(self) -> None:
        """
        Who asks from outside for another server is obeyed.
        """
        init = self.make(LEARN)
        self.ask(init, Browser({"made": b"s"}))
        getter = init.initPeer(Browser({"had": b"s"}))
        getter.hint = b"c"
        self.assertEqual(self.take(getter), "c")

    def test_draining(self) -> None:
        """
        A draining server keeps its sessions.
        """
        init = self.make(LEARN)
        self.ask(init, Browser({"made": b"s"}))
        self.peer("a").down = DRAINING
        self.assertEqual(self.ask(init, Browser({"had": b"s"})), "a")
        self.assertEqual(self.ask(init, Browser()), "b")
