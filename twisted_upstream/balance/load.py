"""
Methods that look at how busy the servers are, and chance: C{least_conn} and C{random}.

nginx: C{ngx_http_upstream_get_least_conn_peer()},
C{ngx_http_upstream_get_random_peer()}, C{ngx_http_upstream_get_random2_peer()}; the
same functions of C{stream}.
"""

from __future__ import annotations

from zope.interface import implementer

from ..interfaces import IBalancer, IBalancerLine, IClient, IPeerInit
from .draw import MOST_MISSES, DrawingGetter, Drawn, Ranges
from .getter import PeerGetter, takeTurns
from .levels import Levels
from .peer import Peer
from .peers import Peers
from .plain import PlainDirective
from .warming import leastLoaded


class LeastConnGetter(PeerGetter):
    """
    Chooses the peer with the fewest attempts under way for its weight.  Equals take
    turns among themselves.
    """

    __slots__ = ()

    def pick(self, now: int) -> Peer | None:
        """
        The peer that the request asks for, or the least busy.
        """
        if self.hint is not None:
            hinted = self.hinted(now)
            if hinted is not None:
                # Unlike in round robin, the weights do not learn of it.
                self._touch(hinted)
                return hinted
        if self.peers.turns is not None:
            turns = self._turns()
            if turns is not None:
                return turns.pick(self, now)
        tried = self.tried
        best: Peer | None = None
        # Those before the first least busy one were busier.
        equals: list[Peer] = []
        for peer in self.peers.peers:
            if peer.down or (tried is not None and peer in tried):
                continue
            if (
                peer.fails
                and 0 < peer.maxFails <= peer.fails
                and now - peer.checked <= peer.failTimeout
            ):
                continue
            conns = peer.conns
            if peer.maxConns and conns >= peer.maxConns:
                continue
            if best is None:
                best = peer
                equals.append(peer)
                continue
            # conns / weight of each, without fractions.
            mine = conns * best.weight
            least = best.conns * peer.weight
            if mine < least:
                best = peer
                equals = [peer]
            elif mine == least:
                equals.append(peer)
        return takeTurns(equals) if len(equals) > 1 else best

    def _turns(self) -> Levels | None:
        """
        What chooses in the place of the loop, if anything does; if not, all values are
        written out for it.
        """
        peers = self.peers
        turns = peers.turns
        if isinstance(turns, Levels):
            return turns
        newest = None if peers.newest is None else peers.newest[0]
        if newest is not None and newest is not peers and newest.turns is not None:
            newest.turns.settle(drop=True)
        return None

    def freePeer(self, peer: Peer, outcome: int) -> None:
        """
        The attempt is over: the peer is less busy.
        """
        super().freePeer(peer, outcome)
        self._touch(peer)

    def _touch(self, peer: Peer) -> None:
        peers: Peers | None = self.peers
        while peers is not None:
            # A group that is small, and always was, need not know.
            if peers.turns is not None or peers.newest is not None:
                peers.touch(peer)
            peers = peers.next


class WarmingLeastConnGetter(LeastConnGetter):
    """
    The same where servers may warm up: a server that does weighs less.
    """

    __slots__ = ()

    def pick(self, now: int) -> Peer | None:
        """
        The peer that the request asks for, or the least busy.
        """
        if self.hint is not None:
            hinted = self.hinted(now)
            if hinted is not None:
                return hinted
        return leastLoaded(
            self.usable(now), lambda peer: peer.conns, self.peers.seconds()
        )


@implementer(IPeerInit)
class LeastConn:
    """
    C{least_conn}: the least busy server.
    """

    __slots__ = ("_getter", "_peers")

    _getter: type[LeastConnGetter]
    _peers: Peers

    def initUpstream(self, peers: Peers) -> None:
        """
        Take a generation of peers.
        """
        self._peers = peers
        mayWarm = peers.scale != 1 or (peers.next is not None and peers.next.scale != 1)
        self._getter = WarmingLeastConnGetter if mayWarm else LeastConnGetter
        if not mayWarm:
            for each in (peers, peers.next):
                if each is not None and Levels.suit(each):
                    each.turns = Levels(each)

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.
        """
        return self._getter(self._peers)


class RandomGetter(DrawingGetter):
    """
    Any peer, as often as its weight says.
    """

    __slots__ = ()

    _ranges: Ranges

    def draw(self) -> Peer:
        """
        A peer by chance.
        """
        ranges = self._ranges
        return ranges.at(int(self.peers.random.random() * ranges.total))


class RandomTwoGetter(RandomGetter):
    """
    The less busy of two different peers that chance names: almost as even as
    C{least_conn}, without looking at all of them and without everybody running to the
    same one.
    """

    __slots__ = ()

    def choose(self, now: int) -> Peer | None:
        """
        Draw two usable peers; the second is taken when they are equally busy.
        """
        first: Peer | None = None
        while self.misses <= MOST_MISSES:
            peer = self.draw()
            if peer is first or not self.isUsable(peer, now):
                self.misses += 1
            elif first is None:
                first = peer
            elif self.isWorse(peer, first, now):
                return first
            else:
                return peer
        return None

    def isWorse(self, peer: Peer, first: Peer, now: int) -> bool:
        """
        Shall C{first}, drawn before C{peer}, be taken?

        @param now: whole seconds.
        """
        return peer.conns * first.weight > first.conns * peer.weight


@implementer(IPeerInit)
class RandomChoice(Drawn):
    """
    C{random}: a server by chance, or the better of two.
    """

    __slots__ = ("_getter",)

    def __init__(self, two: bool = False) -> None:
        """
        @param two: draw two and take the less busy.
        """
        self._getter = RandomTwoGetter if two else RandomGetter

    def initPeer(self, client: IClient) -> PeerGetter:
        """
        Begin one request.
        """
        return self._getter(self._peers, self._ranges)


@implementer(IBalancer)
class _RandomDirective:
    """
    C{random [two [METHOD]];}  METHOD is C{least_conn}, C{least_time[=TIME]} or
    C{least_time=ewma}.
    """

    directive = "random"
    layer = 0
    backup = False
    refuses = frozenset({"slow_start"})

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Make the balancer of one group.

        @raise ConfigError: the arguments are others than these.
        """
        arguments = line.arguments
        if len(arguments) > 2:
            raise line.error('invalid number of arguments in "random" directive')
        if arguments and arguments[0] != "two":
            raise line.error(f'invalid parameter "{arguments[0]}"')
        if len(arguments) < 2 or arguments[1] == "least_conn":
            return RandomChoice(two=bool(arguments))
        # They are made of what is in this module.
        from . import ewma, least_time

        method, _, time = arguments[1].partition("=")
        if arguments[1] == "least_time=ewma":
            return ewma.RandomTwoEwma()
        times = least_time.TIMES[line.place]
        time = time or times[0]
        if method != "least_time" or time not in times or arguments[1][-1] == "=":
            raise line.error(f'invalid parameter "{arguments[1]}"')
        return least_time.RandomTwoLeastTime(time)


leastConn = PlainDirective("least_conn", LeastConn)
randomChoice = _RandomDirective()
