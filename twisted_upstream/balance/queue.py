"""
C{queue}: requests for which no server is available now wait until one is.

nginx: no source; NGINX Plus documents the directive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import implementer

from ..config.values import parseNumber, parseTime
from ..interfaces import IBalancer, IBalancerLine, IClient, IPeerGetter, IPeerInit
from .getter import PeerGetter
from .layers import Layer, LayerGetter
from .peer import DRAINING, Peer
from .peers import Peers

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime


#: Seconds after which a server is looked at that other groups may have found well.
_WHILE = 1


class Queue(Layer):
    """
    The requests of one group that wait, first come, first served.

    A request that has to wait is asked again when a server may have become available:
    an attempt has ended or has proved its server alive, the time for which failures
    make a server unavailable is over, or there is a new generation of peers, as after
    each change of members, of their weights and of who is down.  That happens in a turn
    of its own: who frees a server is in the middle of something else.

    @ivar maxSize: how many may wait.
    @ivar overflows: how many were refused as so many were waiting.
    """

    __slots__ = (
        "_clock",
        "_freed",
        "_peers",
        "_probes",
        "_timeout",
        "_timer",
        "_turn",
        "_unbound",
        "_waiters",
        "maxSize",
        "overflows",
    )

    _peers: Peers
    _probes: tuple[PeerGetter, ...]

    def __init__(
        self, inner: IPeerInit, maxSize: int, timeout: float, clock: IReactorTime
    ) -> None:
        """
        @param timeout: seconds that a request waits at most.
        """
        super().__init__(inner)
        self.maxSize = maxSize
        self.overflows = 0
        self._timeout = timeout
        self._clock = clock
        # In order of arrival.
        self._waiters: dict[QueueGetter, Deferred[Peer | None]] = {}
        # How many of them any server would serve.
        self._unbound = 0
        self._freed: list[Peer] = []
        self._turn: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None

    @property
    def size(self) -> int:
        """
        How many requests are waiting.
        """
        return len(self._waiters)

    @property
    def peers(self) -> Iterator[Peer]:
        """
        All servers of the group, backups included.
        """
        for probe in self._probes:
            yield from probe.peers.peers

    def initUpstream(self, peers: Peers) -> None:
        """
        Membership has changed: servers may have come that somebody waits for.
        """
        super().initUpstream(peers)
        lists = [peers] if peers.next is None else [peers, peers.next]
        self._probes = tuple(PeerGetter(each) for each in lists)
        self._peers = peers
        self.wake()

    def initPeer(self, client: IClient) -> QueueGetter:
        """
        Begin one request.
        """
        return QueueGetter(self, client)

    @property
    def mayPass(self) -> bool:
        """
        May a request ask for a server at once, without overtaking anybody?
        """
        return not self._unbound and self._turn is None

    def join(self, getter: QueueGetter) -> Deferred[Peer | None] | None:
        """
        Let a request wait.

        @return: C{None}: too many do.
        """
        if len(self._waiters) >= self.maxSize:
            self.overflows += 1
            return None

        def cancelled(waiting: Deferred[Peer | None]) -> None:
            if getter in self._waiters:
                self._leave(getter)

        waiting: Deferred[Peer | None] = Deferred(cancelled)
        getter.deadline = self._clock.seconds() + self._timeout
        self._waiters[getter] = waiting
        getter.isUnbound = getter.awaited is None
        self._unbound += getter.isUnbound
        if getter.isUnbound and self._isAnyOpen():
            self.wake()
        if self._timer is None:
            self._setTimer()
        return waiting

    def wake(self) -> None:
        """
        Ask those who wait again, in the clock's next turn: call it when a server may
        have become available in a way that the queue cannot know of.
        """
        if self._waiters and self._turn is None:
            self._turn = self._clock.callLater(0, self._askAll)

    def peerFreed(self, peer: Peer) -> None:
        """
        An attempt has ended.
        """
        if not self._waiters:
            return
        now = int(self._peers.seconds())
        if not peer.down & ~DRAINING and self._probes[0].isOpen(peer, now):
            self._freed.append(peer)
            self.wake()
        elif peer.isDisabled:
            self._setTimer()

    def _isAnyOpen(self) -> bool:
        """
        Is there a server that somebody could have?  Draining ones do not count unless
        an attempt has just ended there: few may have those.
        """
        now = int(self._peers.seconds())
        first = self._probes[0]
        for peer in self._freed:
            if first.isOpen(peer, now):
                return True
        for peer in self.peers:
            if first.isUsable(peer, now):
                return True
        return False

    def _askAll(self) -> None:
        self._turn = None
        # Whoever is served may end at once, and others come: each request is asked
        # once in a turn, and nobody when nothing is left to have.
        for getter in tuple(self._waiters):
            if not self._isAnyOpen():
                break
            if getter in self._waiters and not self._isInVain(getter.awaited):
                self._ask(getter)
        self._freed.clear()
        self._setTimer()

    def _isInVain(self, awaited: Sequence[Peer] | None) -> bool:
        """
        Is who waits for these servers alone asked too early: are they still full?
        """
        if not awaited:
            return False
        members = self._peers.hints
        return all(
            peer.maxConns
            and peer.conns >= peer.maxConns
            and not peer.down
            and peer in members
            for peer in awaited
        )

    def _ask(self, getter: QueueGetter) -> None:
        try:
            peer = getter.ask()
        except Exception as e:
            # The balancer's mistake is to harm this request, not those behind it.
            self._leave(getter).errback(e)
            return
        if peer is not None or getter.isHopeless:
            self._leave(getter).callback(peer)
        else:
            unbound = getter.awaited is None
            self._unbound += unbound - getter.isUnbound
            getter.isUnbound = unbound

    def _leave(self, getter: QueueGetter) -> Deferred[Peer | None]:
        """
        A request does not wait any more.
        """
        self._unbound -= getter.isUnbound
        waiting = self._waiters.pop(getter)
        if not self._waiters:
            self._stop()
        return waiting

    def _stop(self) -> None:
        """
        Nobody waits: there is no time to watch.
        """
        for call in (self._turn, self._timer):
            if call is not None:
                call.cancel()
        self._turn = self._timer = None
        self._freed.clear()

    def _setTimer(self) -> None:
        """
        Come back when the first request has waited too long or a server has rested
        long enough, whichever is first.

        What another group finds out of a server that it shares nobody tells us: that is
        looked at once in a while.
        """
        if not self._waiters:
            return
        due = next(iter(self._waiters)).deadline
        now = int(self._peers.seconds())
        for peer in self.peers:
            if peer.isDisabled and not peer.down:
                end = peer.checked + peer.failTimeout + 1
                if peer.sharesHealth:
                    end = min(end, now + _WHILE)
                if now < end < due:
                    due = end
        timer = self._timer
        if timer is not None:
            if timer.getTime() <= due:
                return
            timer.cancel()
        delay = max(due - self._clock.seconds(), 0.0)
        self._timer = self._clock.callLater(delay, self._timeCame)

    def _timeCame(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        expired = []
        for getter in self._waiters:
            if getter.deadline > now:
                break
            expired.append(getter)
        for getter in expired:
            if getter in self._waiters:
                self._leave(getter).callback(None)
        if self._waiters:
            if self._isAnyOpen():
                self.wake()
            self._setTimer()


class QueueGetter(LayerGetter):
    """
    Waits when no server is available.

    @ivar deadline: while it waits, when that has been too long.
    @ivar isUnbound: while it waits, would it take any server?
    """

    __slots__ = ("_client", "_limit", "_queue", "deadline", "isUnbound")

    deadline: float
    isUnbound: bool

    def __init__(self, queue: Queue, client: IClient) -> None:
        super().__init__(queue.inner.initPeer(client))
        self._queue = queue
        self._client = client
        self._limit = 0

    def getPeer(self) -> Peer | None | Deferred[Peer | None]:
        """
        Choose a peer for the next attempt, or wait for one.

        @return: C{None}: so many wait already, or there is nothing to wait for.
        """
        queue = self._queue
        if queue.mayPass:
            peer = self.inner.getPeer()
            if peer is not None:
                return peer
            if self.isHopeless:
                return None
        return queue.join(self)

    def ask(self) -> Peer | None:
        """
        Try once more.  All begins anew, with the members of today, but for what was
        tried before.
        """
        before = self.inner
        inner = self.inner = self._queue.inner.initPeer(self._client)
        tried = self._triedBy(before)
        if tried:
            inner.tried = tried
        if isinstance(inner, LayerGetter):
            inner.follow(before)
        inner.limitTries(before.tries if tried else self._limit)
        return self.getPeerNow()

    @staticmethod
    def _triedBy(getter: IPeerGetter) -> set[Peer] | None:
        # A stranger's need not know.
        return getattr(getter, "tried", None)

    @property
    def isHopeless(self) -> bool:
        """
        After no peer was found: is there none to wait for either?
        """
        awaited = self.awaited
        if awaited is not None:
            return not awaited
        tried = self._triedBy(self.inner)
        if not tried:
            return False
        return all(peer.down or peer in tried for peer in self._queue.peers)

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        The attempt is over: somebody else may have the peer.
        """
        self.inner.freePeer(peer, outcome)
        self._queue.peerFreed(peer)

    def notifyPeer(self, peer: Peer, milestone: str, elapsed: float) -> None:
        """
        The attempt has come so far.  If that proves the server alive, others may have
        it, too.
        """
        rested = peer.isDisabled
        self.inner.notifyPeer(peer, milestone, elapsed)
        if rested and not peer.isDisabled:
            self._queue.wake()

    def limitTries(self, limit: int) -> None:
        """
        Allow C{limit} attempts at most.
        """
        self._limit = limit
        self.inner.limitTries(limit)


@implementer(IBalancer)
class _QueueDirective:
    """
    C{queue NUMBER [timeout=TIME];}
    """

    directive = "queue"
    layer = 2
    backup = True

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Wrap the balancer of one group.

        @raise ConfigError: the arguments are others than these.
        """
        assert inner is not None
        if not 1 <= len(line.arguments) <= 2:
            raise line.error('invalid number of arguments in "queue" directive')
        size, *rest = line.arguments
        try:
            maxSize = parseNumber(size)
        except ValueError:
            raise line.error(f'invalid value "{size}" in "queue" directive') from None
        timeout = 60.0
        for word in rest:
            name, _, value = word.partition("=")
            try:
                if name != "timeout":
                    raise ValueError
                timeout = parseTime(value)
            except ValueError:
                raise line.error(f'invalid parameter "{word}"') from None
        return Queue(inner, maxSize, timeout, line.clock)


queue = _QueueDirective()
