"""
Tests for L{twisted_upstream.balance.persist}: the remembered server is full.
"""

from __future__ import annotations

from .persisting import PersistCase, Session


class FullTests(PersistCase):
    """
    The remembered server has C{max_conns} attempts.
    """

    def meets(self, *words: str) -> tuple[Session, Session]:
        """
        Two sessions at once of a client whose server takes one.
        """
        self.start(*words)
        self.a.maxConns = 1
        return self.session().connects(), self.session()

    def test_move(self) -> None:
        """
        The client moves, and later connections follow it.
        """
        first, second = self.meets()
        second.connects()
        self.assertEqual((first.name, second.name), ("a", "b"))
        self.assertEqual(second.variable("status"), b"moved")
        first.ends()
        third = self.session()
        self.assertEqual(third.name, "b")
        third.ends()
        second.ends()
        self.assertEqual(
            self.counts(), {"entries": 1, "misses": 1, "moved": 1, "hits": 1}
        )

    def test_spill(self) -> None:
        """
        The client goes elsewhere this once.
        """
        first, second = self.meets("on_full=spill")
        second.connects()
        self.assertEqual(second.name, "b")
        self.assertEqual(second.variable("status"), b"spilled")
        first.ends()
        self.assertEqual(self.visit(), "a")
        second.ends()

    def test_reject(self) -> None:
        """
        The session is refused, and the client stays.
        """
        first, second = self.meets("on_full=reject")
        self.assertIsNone(second.peer)
        first.ends()
        self.assertEqual(self.visit(), "a")
        self.assertEqual(self.counts()["rejected"], 1)

    def wait(self, *words: str) -> tuple[Session, Session]:
        """
        As C{meets}, with a queue.
        """
        self.start(*words, queue=3)
        self.a.maxConns = 1
        return self.session().connects(), self.session()

    def test_wait(self) -> None:
        """
        The session waits for the very server, whoever else is free; others do not wait
        for it.
        """
        first, second = self.wait("on_full=wait")
        other = self.session(b"y").connects()
        self.assertEqual(other.name, "b")
        other.ends()
        self.clock.advance(1)
        self.assertIsNone(second.peer)
        first.ends()
        self.clock.advance(0)
        self.assertEqual(second.name, "a")
        self.assertEqual(second.variable("status"), b"hit")
        second.ends()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waitTimeout(self) -> None:
        """
        Who has waited too long is refused.
        """
        first, second = self.wait("on_full=wait")
        second.peer = self.b
        self.clock.advance(60)
        self.assertIsNone(second.peer)
        first.ends()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waitRemoved(self) -> None:
        """
        Who waits for a server that is removed goes elsewhere.
        """
        first, second = self.wait("on_full=wait")
        self.init.initUpstream(self.peers.successor([self.b]))
        self.clock.advance(0)
        self.assertEqual(second.name, "b")
        first.ends()
        second.ends()

    def test_rejectInQueue(self) -> None:
        """
        Who is refused does not wait.
        """
        first, second = self.wait("on_full=reject")
        self.assertIsNone(second.peer)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        first.ends()

    def test_moveInQueue(self) -> None:
        """
        Who may move waits for anybody.
        """
        first, second = self.wait()
        second.connects().ends()
        self.b.maxConns = 1
        third, fourth = self.session(b"x").connects(), self.session(b"x")
        self.assertEqual((third.name, fourth.name), ("b", "-"))
        first.ends()
        self.clock.advance(0)
        self.assertEqual(fourth.name, "a")
        third.ends()
        fourth.ends()

    def test_expiredInQueue(self) -> None:
        """
        Who was forgotten before it had to wait is told so afterwards.
        """
        self.start("timeout=60s", queue=3)
        self.visit(b"x")
        self.clock.advance(60)
        self.a.maxConns = self.b.maxConns = 1
        first, second = self.session(b"y"), self.session(b"z")
        third = self.session(b"x")
        first.ends()
        self.clock.advance(0)
        self.assertEqual(third.variable("status"), b"expired")
        second.ends()
        third.ends()

    def test_allFull(self) -> None:
        """
        When nobody has room, the client's place is not touched.
        """
        first, second = self.meets()
        second.connects()
        first.ends()
        self.b.maxConns = self.a.maxConns = 1
        blocker = self.session(b"y")
        self.assertEqual((second.name, blocker.name), ("b", "a"))
        self.assertIsNone(self.session().peer)
        second.ends()
        blocker.ends()
        self.assertEqual(self.visit(), "b")
