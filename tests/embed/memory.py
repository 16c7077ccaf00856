"""
Groups whose servers tests play.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.conversation import Server, whole
from tests.support.memory import LogLines, MemoryDialer, MemoryReactor, WatchedDeadlines
from twisted_upstream.embed import Upstream

A, B = "127.0.0.1:8001", "127.0.0.1:8002"


class MemoryCase(SynchronousTestCase):
    """
    A clock, and servers in memory.
    """

    def setUp(self) -> None:
        """
        Nobody is connected.
        """
        self.reactor = MemoryReactor()
        self.addCleanup(self.reactor.close)
        self.dialer = MemoryDialer(self.reactor, WatchedDeadlines(self.reactor))
        self.made: list[Upstream] = []
        self.addCleanup(self._check)
        #: What servers of conversations look for.
        self.cut = whole
        self.case = self
        self.log = LogLines()

    def make(self, *servers: str, **options: Any) -> Upstream:
        """
        A group.  When the test ends it is closed, and nothing must be left.
        """

        class InMemory(Upstream):
            dial = staticmethod(self.dialer.dial)

        upstream = InMemory(self.reactor, *(servers or (A, B)), **options)
        self.made.append(upstream)
        return upstream

    def _check(self) -> None:
        for upstream in self.made:
            self.reactor.settle()
            upstream.close()
            self.reactor.settle()
            self.assertEqual(upstream.status.active, 0)
            self.assertEqual(upstream.status.idle, 0)
        self.dialer.deadlines.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])

    def settle(self) -> None:
        """
        Turn until nothing happens any more.
        """
        self.reactor.settle()

    def server(self) -> Server:
        """
        The next server that was connected to.
        """
        self.reactor.settle()
        return Server(self, self.dialer.accepted.popleft())  # type: ignore[arg-type]

    def passes(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.reactor.passes(seconds)
