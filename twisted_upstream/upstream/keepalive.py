"""
Idle connections to the servers of one group, kept for later requests.

Pure: the connections are anything with C{close()}, the clock is given.
nginx: C{ngx_http_upstream_get_keepalive_peer()},
C{ngx_http_upstream_free_keepalive_peer()}
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from ..balance.peer import Sockaddr

    #: Address and identity: what a connection was verified for (the TLS name and
    #: settings), or C{None}.
    Key: TypeAlias = tuple[Sockaddr, Hashable]

#: nginx counts time in milliseconds: what is due within one is due now.
_RESOLUTION = 0.001


class Closable(Hashable, Protocol):
    """
    All that is asked of a connection; it is told apart from others by identity.
    """

    def close(self) -> None:
        """
        Close it, without a word to the cache.
        """


C = TypeVar("C", bound=Closable)


class KeepaliveCache(Generic[C]):
    """
    Idle connections, found by key.

    Who puts a connection here must call L{drop} when anything arrives on it (data, its
    end, an error): the server has then closed it, or is not to be trusted.  Limits of
    age and number of requests are checked by who puts.

    @note: nginx looks for the address alone.  Here a connection that was verified for
        one TLS name is not given to a request for another.
    """

    def __init__(
        self,
        size: int,
        *,
        timeout: float,
        clock: IReactorTime,
        local: bool = False,
    ) -> None:
        """
        @param size: how many connections are kept, at least 1.
        @param timeout: seconds until an idle connection is closed.
        @param local: give a connection only to whom has the tag it was put with.
        """
        self._size = size
        self._timeout = timeout
        self._clock = clock
        self._local = local
        #: Of each key, the connections in the order they were put.  Never empty ones:
        #: keys may come from requests, and would pile up.
        self._byKey: dict[Hashable, dict[C, None]] = {}
        #: All of them in the order they were put, which is also the order in which
        #: they run out of time.
        self._idle: OrderedDict[C, tuple[Hashable, Sockaddr, float]] = OrderedDict()
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._idle)

    def take(self, key: Key, tag: Hashable = None) -> C | None:
        """
        A connection for a new request, the one put last; it is out of the cache then.
        """
        place: Hashable = (key, tag) if self._local else key
        found = self._byKey.get(place)
        if found is None:
            return None
        connection, _ = found.popitem()
        if not found:
            del self._byKey[place]
        del self._idle[connection]
        return connection

    def put(self, key: Key, connection: C, tag: Hashable = None) -> None:
        """
        Keep C{connection}.  When the cache is full, the one that has been idle longest
        is closed.
        """
        place: Hashable = (key, tag) if self._local else key
        if len(self._idle) >= self._size:
            self._close(next(iter(self._idle)))
        found = self._byKey.get(place)
        if found is None:
            self._byKey[place] = {connection: None}
        else:
            found[connection] = None
        self._idle[connection] = (place, key[0], self._clock.seconds())
        if self._timer is None:
            self._timer = self._clock.callLater(self._timeout, self._expire)

    def drop(self, connection: C) -> None:
        """
        Close C{connection}, if it is here.
        """
        if connection in self._idle:
            self._close(connection)

    def dropAddress(self, sockaddr: Sockaddr) -> None:
        """
        Close every idle connection to C{sockaddr}; busy ones end by themselves.

        @note: called when an address leaves the group.  nginx lets them time out.
        """
        gone = [c for c, (_, address, _) in self._idle.items() if address == sockaddr]
        for connection in gone:
            self.drop(connection)

    def closeAll(self) -> None:
        """
        Close every connection and stop the timer.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._idle:
            self._close(next(iter(self._idle)))

    def _close(self, connection: C) -> None:
        place, _, _ = self._idle.pop(connection)
        found = self._byKey[place]
        del found[connection]
        if not found:
            del self._byKey[place]
        # Last: closing may call back.
        connection.close()

    def _expire(self) -> None:
        # One timer for all, set for the one that was oldest when it was set.  Taking
        # a connection leaves the timer alone: here it finds out.
        self._timer = None
        latest = self._clock.seconds() - self._timeout + _RESOLUTION
        while self._idle:
            connection = next(iter(self._idle))
            since = self._idle[connection][2]
            if since > latest:
                break
            self._close(connection)
        if self._idle and self._timer is None:
            since = next(iter(self._idle.values()))[2]
            self._timer = self._clock.callLater(
                max(since + self._timeout - self._clock.seconds(), 0.0), self._expire
            )
