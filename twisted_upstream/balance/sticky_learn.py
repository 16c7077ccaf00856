"""
C{sticky learn}: sessions that servers give to their clients, and which server each
belongs to.

nginx: C{ngx_http_upstream_sticky_learn()}, C{ngx_http_upstream_sticky_learn_peer()},
C{ngx_http_upstream_sticky_sess_expire()}
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import md5
from typing import TYPE_CHECKING

from twisted.logger import Logger
from zope.interface import implementer

from ..config.values import parseSize, parseTime
from ..interfaces import IBalancerLine, IClient, IKept, IPeerGetter, IPeerInit
from .layers import Layer, LayerGetter
from .peer import Outcome, Peer

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

_PAGE = 4096

#: What nginx's memory allocator needs of a zone before the first session: its own head,
#: a page for the trees, one for a text; then for each page; and sessions in a page.
_HEAD, _USED, _PER_PAGE, _EACH = 704, 2, _PAGE + 24, 16

Value = Callable[[IClient], bytes]


def capacity(size: int) -> int:
    """
    How many sessions fit into a zone of C{size} bytes, as nginx lays them out.
    """
    return ((size - _HEAD) // _PER_PAGE - _USED) * _EACH


@implementer(IKept)
class Sessions:
    """
    The sessions of one group.

    Ids are stored as digests: a client cannot fill the memory with long ones.
    """

    _log = Logger()

    def __init__(
        self, name: str, limit: int, timeout: float, clock: IReactorTime
    ) -> None:
        """
        @param name: of the zone.
        @param limit: how many sessions there may be.
        @param timeout: seconds after which a session that is not used is forgotten.
        """
        self._name = name
        self._limit = limit
        self._timeout = timeout
        self._clock = clock
        # Digest to sid and time of the last use, that used last at the end.
        self._sessions: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._timer: IDelayedCall | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, key: bytes) -> bytes | None:
        """
        The C{sid} of a session's server.  Old sessions count until the timer has come.
        """
        found = self._sessions.get(_digest(key))
        return None if found is None else found[0]

    def learn(self, key: bytes, sid: bytes, create: bool) -> None:
        """
        A session was used at a server.

        @param create: may it be a new one?
        """
        digest = _digest(key)
        sessions = self._sessions
        if digest in sessions:
            sessions.move_to_end(digest)
        elif not create:
            return
        elif len(sessions) >= self._limit:
            self._log.warn(
                "could not allocate node in sticky session zone"
                ' "{zone}", expiring least recently used session',
                zone=self._name,
            )
            sessions.popitem(last=False)
            self._expire()
        sessions[digest] = (sid, self._clock.seconds())
        if self._timer is None and not self._closed:
            self._arm()

    def _expire(self) -> None:
        sessions = self._sessions
        end = self._clock.seconds() - self._timeout
        while sessions:
            digest, (_, last) = next(iter(sessions.items()))
            if last > end:
                break
            del sessions[digest]

    def _arm(self) -> None:
        """
        Let the timer come when the oldest session is to be forgotten.
        """
        _, last = next(iter(self._sessions.values()))
        wait = last + self._timeout - self._clock.seconds()
        self._timer = self._clock.callLater(max(0.0, wait), self._timerCame)

    def _timerCame(self) -> None:
        self._timer = None
        self._expire()
        if self._sessions and not self._closed:
            self._arm()

    def adopt(self, previous: Sessions) -> None:
        """
        Share the sessions of the configuration before.
        """
        self._sessions = previous._sessions
        self._timerCame()

    def close(self) -> None:
        """
        Stop the timer.  The sessions may belong to the next configuration, too.
        """
        self._closed = True
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


def _digest(key: bytes) -> bytes:
    return md5(key, usedforsecurity=False).digest()


class LearnGetter(LayerGetter):
    """
    Asks for the server of the client's session, and remembers which one it was.
    """

    __slots__ = ("_client", "_id", "_layer")

    def __init__(
        self, inner: IPeerGetter, client: IClient, layer: StickyLearn, id: bytes
    ) -> None:
        super().__init__(inner)
        self._client = client
        self._layer = layer
        self._id = id

    def getPeer(self) -> Peer | None | Deferred[Peer | None]:
        """
        Choose a peer: that of the session, if there is one and nobody outside asks for
        another.
        """
        inner = self.inner
        if not self._id or inner.hint is not None:
            return inner.getPeer()
        # Every attempt anew: the session may have moved.
        inner.hint = self._layer.sessions.find(self._id)
        peer = inner.getPeer()
        inner.hint = None
        return peer

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        The attempt is over; a server that answered has the session.
        """
        if outcome == Outcome.OK and not self._layer.byHeader:
            self._learn(peer)
        self.inner.freePeer(peer, outcome)

    def notifyPeer(self, peer: Peer, milestone: str, elapsed: float) -> None:
        """
        The response's head has come.
        """
        if milestone == "header" and self._layer.byHeader:
            self._learn(peer)
        self.inner.notifyPeer(peer, milestone, elapsed)

    def _learn(self, peer: Peer) -> None:
        layer = self._layer
        key = firstOf(layer.creates, self._client)
        if key:
            layer.sessions.learn(key, peer.sid, True)
        elif self._id:
            layer.sessions.learn(self._id, peer.sid, False)


def firstOf(values: Sequence[Value], client: IClient) -> bytes:
    """
    The first value that is not empty, if any.
    """
    for value in values:
        found = value(client)
        if found:
            return found
    return b""


class StickyLearn(Layer):
    """
    Requests of one session go to one server.

    @ivar sessions: those known.
    @ivar creates: what a new session's id is.
    @ivar byHeader: is a session known once the response's head has come, or when the
        response has ended?
    """

    __slots__ = ("_lookUps", "byHeader", "creates", "sessions")

    def __init__(
        self,
        inner: IPeerInit,
        sessions: Sessions,
        *,
        creates: Sequence[Value],
        lookUps: Sequence[Value],
        byHeader: bool = False,
    ) -> None:
        """
        @param lookUps: what the id of a request's session is.
        """
        super().__init__(inner)
        self.sessions = sessions
        self.creates = tuple(creates)
        self._lookUps = tuple(lookUps)
        self.byHeader = byHeader

    def initPeer(self, client: IClient) -> LearnGetter:
        """
        Begin one request.
        """
        inner = self.inner.initPeer(client)
        return LearnGetter(inner, client, self, firstOf(self._lookUps, client))


def learnLayer(
    line: IBalancerLine, arguments: Sequence[str], inner: IPeerInit
) -> IPeerInit:
    """
    Wrap the balancer of one group as C{sticky learn …} says.

    @param arguments: what comes after C{learn}.
    @raise ConfigError: the arguments are wrong.
    """

    def wrong(text: str) -> Exception:
        return line.error(f'"sticky" directive {text}')

    variables: dict[str, list[Value]] = {"lookup": [], "create": []}
    zone: tuple[str, int] | None = None
    timeout: float | None = None
    byHeader = False
    for word in arguments:
        key, given, value = word.partition("=")
        if given and key == "zone":
            if zone is not None:
                raise wrong("duplicate zone")
            try:
                zone = _zone(value)
            except ValueError as e:
                raise wrong(str(e)) from None
        elif given and key == "timeout":
            if timeout is not None:
                raise wrong("duplicate timeout")
            try:
                timeout = parseTime(value)
            except ValueError:
                timeout = 0.0
            if not timeout:
                raise wrong("invalid timeout")
        elif given and key in variables:
            if not value.startswith("$"):
                raise wrong(f'missing variable in the "{key}" parameter')
            variables[key].append(line.variable(value[1:]))
        elif word == "header":
            byHeader = True
        else:
            raise line.error(f'unknown parameter "{word}"')
    for key, found in variables.items():
        if not found:
            raise wrong(f'"{key}" parameter is not specified')
    if zone is None:
        raise wrong('"zone" parameter is not specified')
    name, size = zone
    sessions = Sessions(name, capacity(size), timeout or 600.0, line.clock)
    line.keep(name, size, sessions)
    return StickyLearn(
        inner,
        sessions,
        creates=variables["create"],
        lookUps=variables["lookup"],
        byHeader=byHeader,
    )


def _zone(text: str) -> tuple[str, int]:
    """
    C{NAME:SIZE}.
    """
    name, given, digits = text.partition(":")
    if not given:
        raise ValueError("zone size is not specified")
    if not name:
        raise ValueError("zone name is not specified")
    try:
        size = parseSize(digits)
    except ValueError:
        raise ValueError("invalid zone size") from None
    if size < 8 * _PAGE:
        raise ValueError("zone is too small")
    return name, size
