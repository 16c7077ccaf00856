"""
Sessions of clients that C{persist} knows.
"""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.persist import Persist, variables
from twisted_upstream.balance.persist_directive import persist
from twisted_upstream.balance.queue import Queue
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.interfaces import IPeerInit

from .rules import Somebody
from .test_load import Line


class Session:
    """
    A session of a TCP proxy: it asks, connects, and ends.

    @ivar peer: the server it is at.
    """

    def __init__(self, init: IPeerInit, key: bytes, protocol: bytes = b"TCP") -> None:
        self.client = Somebody(key=key)
        self.client.protocol = protocol
        self.getter = init.initPeer(self.client)
        self.peer: Peer | None = None
        self.ask()

    def ask(self) -> None:
        """
        Ask for a server.
        """
        peer = self.getter.getPeer()
        if isinstance(peer, Deferred):
            peer.addCallback(self._got)
        else:
            self._got(peer)

    def _got(self, peer: Peer | None) -> None:
        self.peer = peer

    @property
    def name(self) -> str:
        """
        The name of its server; C{-} if it has none.
        """
        return "-" if self.peer is None else self.peer.name

    def connects(self) -> Session:
        """
        The connection to its server is open.
        """
        assert self.peer is not None
        self.getter.notifyPeer(self.peer, "connect", 0.0)
        return self

    def ends(self, outcome: int = Outcome.OK) -> Session:
        """
        It is over.
        """
        peer, self.peer = self.peer, None
        assert peer is not None
        self.getter.freePeer(peer, outcome)
        return self

    def fails(self) -> Session:
        """
        There is no connection; the next server is asked.
        """
        self.ends(Outcome.FAILED)
        self.ask()
        return self

    def variable(self, name: str) -> bytes | None:
        """
        The value of C{$upstream_persist_NAME}.
        """
        return variables[f"upstream_persist_{name}"](self.client)


class PersistCase(SynchronousTestCase):
    """
    Servers a and b by turns, unless a test says otherwise.
    """

    inner: IPeerInit | None = None

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.a = Peer("a", ("10.0.0.1", 80))
        self.b = Peer("b", ("10.0.0.2", 80))
        self.start()

    def start(
        self,
        *words: str,
        backups: bool = False,
        inner: IPeerInit | None = None,
        queue: int = 0,
    ) -> None:
        """
        Make the group: C{persist KEY words}.
        """
        line = Line("$key", *words)
        line.clock = self.clock
        line.beside = frozenset(("persist", "queue") if queue else ("persist",))
        made = persist.peerInit(line, inner or RoundRobin())
        assert isinstance(made, Persist)
        self.persist = made
        self.table = made.table
        self.init: IPeerInit = made
        if queue:
            self.init = Queue(made, queue, 60.0, self.clock)
        primary, backup = ([self.a], [self.b]) if backups else ([self.a, self.b], [])
        self.peers = Peers(
            "g",
            primary,
            seconds=self.clock.seconds,
            random=Random(1),
            next=Peers("g", backup, seconds=self.clock.seconds, random=Random(1))
            if backup
            else None,
        )
        self.init.initUpstream(self.peers)

    def session(self, key: bytes = b"x", protocol: bytes = b"TCP") -> Session:
        """
        A session begins.
        """
        return Session(self.init, key, protocol)

    def visit(self, key: bytes = b"x") -> str:
        """
        A whole session; the name of its server.
        """
        session = self.session(key).connects()
        name = session.name
        session.ends()
        return name

    def counts(self) -> dict[str, int]:
        """
        The counts that are not 0.
        """
        found = self.table.statistics()
        return {name: count for name, count in found.items() if count}
