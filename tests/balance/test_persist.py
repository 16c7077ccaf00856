"""
Tests for L{twisted_upstream.balance.persist}.
"""

from __future__ import annotations

from random import Random

from zope.interface.verify import verifyObject

from twisted_upstream.balance.hashing import ConsistentHash
from twisted_upstream.balance.load import LeastConn
from twisted_upstream.balance.peer import DOWN, DRAINING, Peer
from twisted_upstream.balance.persist import Persist
from twisted_upstream.balance.persist_table import Table
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.interfaces import IKept, IPeerGetter, IPeerInit

from .persisting import PersistCase, Session


class StayTests(PersistCase):
    """
    Who has come once comes again.
    """

    def test_interfaces(self) -> None:
        """
        The layer provides what the driver asks for.
        """
        verifyObject(IPeerInit, self.persist)
        verifyObject(IPeerGetter, self.session().getter)

    def test_affinity(self) -> None:
        """
        Connections of one address go to one server, those of another to the other.
        """
        self.assertEqual([self.visit(b"x") for _ in range(5)], ["a"] * 5)
        self.assertEqual([self.visit(b"y") for _ in range(5)], ["b"] * 5)
        self.assertEqual(self.counts(), {"entries": 2, "misses": 2, "hits": 8})

    def test_noKey(self) -> None:
        """
        Who has no key is balanced as ever.
        """
        self.assertEqual([self.visit(b"") for _ in range(4)], ["a", "b", "a", "b"])
        self.assertEqual(self.counts(), {})

    def test_longKey(self) -> None:
        """
        A long key takes no more memory than a short one.
        """
        self.visit(b"x" * 64)
        session = self.session(b"x" * 65)
        self.assertEqual(len(session.getter.key), 32)  # type: ignore[attr-defined]
        session.ends()

    def test_leastConn(self) -> None:
        """
        The first choice is the method's; later ones are not, however busy the server.
        """
        self.start(inner=LeastConn())
        self.a.conns = 1
        self.assertEqual(self.visit(b"x"), "b")
        self.b.conns = 5
        self.assertEqual(self.visit(b"x"), "b")
        self.assertEqual(self.visit(b"y"), "a")

    def test_variables(self) -> None:
        """
        $upstream_persist_status, _key and _age.
        """
        session = self.session().connects()
        self.clock.advance(1.5)
        names = ("status", "key", "age")
        found = [session.variable(name) for name in names]
        self.assertEqual(found, [b"miss", b"x", b"1.500"])
        session.ends()
        self.clock.advance(2)
        session = self.session()
        found = [session.variable(name) for name in names]
        self.assertEqual(found, [b"hit", b"x", b"3.500"])
        session.ends()
        session = self.session(b"")
        self.assertEqual([session.variable(name) for name in names], [None] * 3)

    def test_otherNeighbours(self) -> None:
        """
        Membership changes move no client whose server has stayed, also under a
        consistent hash.
        """
        self.start(inner=ConsistentHash(lambda client: client.variable("key")))
        keys = [b"%d" % n for n in range(20)]
        before = [self.visit(key) for key in keys]
        more = [Peer(f"n{n}", (f"10.0.1.{n}", 80)) for n in range(8)]
        self.init.initUpstream(self.peers.successor([self.a, self.b, *more]))
        self.assertEqual([self.visit(key) for key in keys], before)


class FailTests(PersistCase):
    """
    The remembered server is of no use.
    """

    def test_nextInSession(self) -> None:
        """
        A client whose server refuses goes on to another in the same session, and has
        moved once that one is connected.
        """
        self.visit()
        session = self.session()
        self.assertEqual(session.name, "a")
        session.fails()
        self.assertEqual((session.name, self.a.fails), ("b", 1))
        self.assertIs(self.table.peek(b"x").peer, self.a)  # type: ignore[union-attr]
        session.connects()
        self.assertIs(self.table.peek(b"x").peer, self.b)  # type: ignore[union-attr]
        self.assertEqual(session.variable("status"), b"moved")
        session.ends()
        self.assertEqual(self.counts(), {"entries": 1, "misses": 1, "moved": 1})

    def test_select(self) -> None:
        """
        commit=select: the choice counts at once.
        """
        self.start("commit=select")
        session = self.session()
        self.assertIs(self.table.peek(b"x").peer, self.a)  # type: ignore[union-attr]
        session.fails()
        self.assertIs(self.table.peek(b"x").peer, self.b)  # type: ignore[union-attr]
        session.ends()

    def test_firstByte(self) -> None:
        """
        commit=first_byte: connecting is not enough.
        """
        self.start("commit=first_byte")
        session = self.session().connects()
        self.assertEqual(len(self.table), 0)
        assert session.peer is not None
        session.getter.notifyPeer(session.peer, "first_byte", 0.1)
        self.assertEqual(len(self.table), 1)
        session.ends()

    def test_header(self) -> None:
        """
        HTTP tells of the head alone, which proves all.
        """
        for commit in ("connect", "first_byte"):
            self.start(f"commit={commit}")
            session = self.session()
            assert session.peer is not None
            session.getter.notifyPeer(session.peer, "header", 0.1)
            self.assertEqual(len(self.table), 1)
            session.ends()

    def test_noReturn(self) -> None:
        """
        When the first server is back, the client remains where it is.
        """
        self.test_nextInSession()
        self.clock.advance(30)
        self.assertEqual(self.visit(), "b")

    def test_backup(self) -> None:
        """
        Clients remain with a backup server, too; with failback=on they do not.
        """
        for words, name in (((), "b"), (("failback=on",), "a")):
            self.start(*words, backups=True)
            self.visit()
            self.session().fails().connects().ends()
            self.assertEqual(self.visit(), "b")
            self.clock.advance(30)
            self.assertEqual(self.visit(), name)
            self.a.fails = 0

    def test_kinds(self) -> None:
        """
        Down, draining, or resting after failures: draining servers keep their clients.
        """
        for down, fails, name in ((DOWN, 0, "b"), (DRAINING, 0, "a"), (0, 1, "b")):
            self.setUp()
            self.assertEqual(self.visit(), "a")
            self.a.down, self.a.fails = down, fails
            self.a.checked = int(self.clock.seconds())
            self.assertEqual(self.visit(), name)

    def test_drained(self) -> None:
        """
        A draining server gets no new clients.
        """
        self.a.down = DRAINING
        self.assertEqual({self.visit(b"%d" % n) for n in range(5)}, {"b"})

    def test_spillAndReject(self) -> None:
        """
        on_fail=spill leaves the client's place, on_fail=reject refuses it meanwhile.
        """
        for action, name in (("spill", "b"), ("reject", "-")):
            self.setUp()
            self.start(f"on_fail={action}")
            self.assertEqual(self.visit(), "a")
            self.a.down = DOWN
            session = self.session()
            self.assertEqual(session.name, name)
            if session.peer is not None:
                session.connects().ends()
            self.a.down = 0
            self.assertEqual(self.visit(), "a")

    def test_notAgainInSession(self) -> None:
        """
        A server that failed is not asked twice in a session, though it never rests.
        """
        self.a.maxFails = self.b.maxFails = 0
        self.visit()
        session = self.session().fails()
        self.assertEqual(session.name, "b")
        session.fails()
        self.assertIsNone(session.peer)


class MemoryTests(PersistCase):
    """
    What is remembered, and for how long.
    """

    def test_timeout(self) -> None:
        """
        Who was away for too long is a new client; an open session is not away.
        """
        self.start("timeout=60s")
        self.visit()
        self.clock.advance(59)
        self.assertEqual(self.visit(), "a")
        self.clock.advance(60)
        session = self.session()
        self.assertEqual((session.name, session.variable("status")), ("b", b"expired"))
        session.connects()
        self.clock.advance(3600)
        self.assertEqual(self.visit(), "b")
        self.clock.advance(3600)
        session.ends()
        self.clock.advance(59)
        self.assertEqual(self.visit(), "b")
        self.assertEqual(self.counts()["expired"], 1)

    def test_lifetime(self) -> None:
        """
        lifetime= ends also what is in use.
        """
        self.start("lifetime=100s", "timeout=0")
        session = self.session().connects()
        self.clock.advance(100)
        self.assertEqual(self.visit(), "b")
        session.ends()
        self.assertEqual(self.visit(), "b")

    def test_size(self) -> None:
        """
        When there are too many, the one that has been idle longest goes; those in use
        go last.
        """
        self.start("size=2")
        first = self.session(b"x").connects()
        self.visit(b"y")
        self.visit(b"z")
        known = [key for key in (b"x", b"y", b"z") if self.table.peek(key)]
        self.assertEqual(known, [b"x", b"z"])
        second = self.session(b"z").connects()
        self.visit(b"y")
        known = [key for key in (b"x", b"y", b"z") if self.table.peek(key)]
        self.assertEqual(known, [b"y", b"z"])
        first.ends()
        second.ends()
        self.assertEqual(self.counts()["evicted"], 2)
        self.assertEqual(len(self.table), 2)

    def test_removed(self) -> None:
        """
        A server that is removed loses its clients; one that has its address gets them.
        """
        self.visit()
        new = Peer("a", ("10.0.0.1", 80))
        self.init.initUpstream(self.peers.successor([self.b, new]))
        session = self.session().connects()
        self.assertIs(session.peer, new)
        self.init.initUpstream(self.peers.successor([self.b]))
        self.assertEqual(self.visit(), "b")
        session.ends()
        self.init.initUpstream(self.peers.successor([self.a, self.b]))
        self.assertEqual(self.visit(), "b")
        self.assertEqual(self.a.conns + self.b.conns + new.conns, 0)

    def test_sameTime(self) -> None:
        """
        Of two sessions that begin at the same time the first one to connect decides.
        """
        first, second = self.session(), self.session()
        self.assertEqual((first.name, second.name), ("a", "b"))
        first.connects()
        second.connects()
        self.assertIs(self.table.peek(b"x").peer, self.a)  # type: ignore[union-attr]
        first.ends()
        second.ends()
        self.assertEqual(self.table.peek(b"x").active, 0)  # type: ignore[union-attr]

    def test_sameTimeButDown(self) -> None:
        """
        The second decides if the first one's server has gone down since.
        """
        first, second = self.session(), self.session()
        first.connects()
        self.a.down = DOWN
        second.connects()
        self.assertIs(self.table.peek(b"x").peer, self.b)  # type: ignore[union-attr]
        first.ends()
        second.ends()

    def test_datagrams(self) -> None:
        """
        Datagrams prove nothing: the choice counts at once, also for other ports of the
        same address.
        """
        first = self.session(protocol=b"UDP")
        second = self.session(protocol=b"UDP")
        self.assertEqual((first.name, second.name), ("a", "a"))
        first.ends()
        second.ends()

    def test_adopt(self) -> None:
        """
        A table goes on with what an earlier one knew, if the keys mean the same.
        """
        self.visit()
        for key, entries in (("$key", 1), ("$other", 0)):
            table = Table(self.clock.seconds, key=key)
            table.adopt(self.table)
            self.assertEqual(len(table), entries)

    def test_kept(self) -> None:
        """
        A table can be handed from one configuration to the next, and ends with it.
        """
        verifyObject(IKept, self.table)
        self.visit()
        self.table.close()
        self.assertEqual(len(self.table), 0)

    def test_shared(self) -> None:
        """
        Two balancers with one table see one mapping.
        """
        other = Persist(RoundRobin(), lambda client: b"x", self.table)
        other.initUpstream(self.peers)
        self.visit()
        session = Session(other, b"")
        self.assertEqual(session.name, "a")
        session.ends()

    def test_accounts(self) -> None:
        """
        After sessions that fail, wait and overlap at random, nothing is counted any
        more.
        """
        random = Random(5)
        for words, queue in (
            ((), 0),
            (("on_full=spill", "on_fail=spill", "size=3"), 0),
            (("on_full=reject", "on_fail=reject", "commit=select"), 0),
            (("on_full=wait", "failback=on"), 4),
        ):
            self.a.maxConns, self.b.maxConns = 2, 3
            self.start(*words, queue=queue, backups=queue > 0)
            sessions: list[Session] = []
            for _ in range(400):
                self.clock.advance(random.choice((0, 0, 0.5, 7)))
                self.assertLessEqual(self.a.conns, 2)
                self.assertLessEqual(self.b.conns, 3)
                if random.random() < 0.5:
                    sessions.append(self.session(b"%d" % random.randrange(5)))
                    continue
                open = [each for each in sessions if each.peer is not None]
                if not open:
                    continue
                session = random.choice(open)
                step = random.randrange(4)
                if step == 0:
                    session.fails()
                elif step == 1:
                    session.connects()
                else:
                    session.ends()
                    sessions.remove(session)
            while any(each.peer is not None for each in sessions):
                for each in sessions:
                    if each.peer is not None:
                        each.ends()
                self.clock.advance(61)
            self.assertEqual((self.a.conns, self.b.conns), (0, 0))
            for entries in (self.table._busy, self.table._idle):
                self.assertEqual(sum(each.active for each in entries.values()), 0)
            self.clock.advance(61)
            self.assertEqual(self.clock.getDelayedCalls(), [])
