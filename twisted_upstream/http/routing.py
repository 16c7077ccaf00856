"""
From an accepted connection to a server: listening addresses and the names of virtual
servers.

nginx: C{ngx_http_init_connection()}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..maps.names import ServerNames
from ..upstream.served import Served
from ..wire.dates import formatDate

if TYPE_CHECKING:
    from ..wire.http1 import HeadLimits
    from .location import Location, Locations


class Server:
    """
    A virtual server.

    @ivar name: its first name.
    @ivar root: what applies outside of its locations.
    @ivar named: C{location @name} by name, with the C{@}.
    @ivar rewrite: its C{rewrite} phase, or C{None}.
    @ivar postRead: what happens to each request first, or C{None}.
    @ivar limits: of requests' heads on connections that are this server's until a
        request names another: as the default one, or by SNI.
    @ivar headerTimeout: seconds that such a head may take.
    """

    def __init__(
        self,
        name: str,
        root: Location,
        locations: Locations,
        limits: HeadLimits,
        headerTimeout: float,
    ) -> None:
        self.name = name
        self.root = root
        self.locations = locations
        self.named: dict[str, Location] = {}
        self.rewrite: Callable[[Any], bool] | None = None
        self.postRead: Callable[[Any], bool] | None = None
        self.mergeSlashes = True
        self.limits = limits
        self.headerTimeout = headerTimeout


class Address(ServerNames[Server]):
    """
    A listening address and its servers.

    @ivar name: as in logs: C{127.0.0.1:80}.
    @ivar proxyProtocol: reads the PROXY header before the first request: takes the
        bytes so far, answers what it says and its size, or C{None} for "more"; C{None}
        where there is none.
    @ivar tls: an L{AddressTLS<twisted_upstream.http.tls.AddressTLS>}, or C{None}.
    """

    def __init__(self, name: str, default: Server) -> None:
        super().__init__(default)
        self.name = name
        self.proxyProtocol: Any = None
        self.tls: Any = None


class ServedBy(Served):
    """
    What all listening addresses of one configuration share.
    """

    _second = -1
    _date = b""

    def date(self) -> bytes:
        """
        The Date of a response that is sent now.
        """
        second = int(self.wallClock())
        if second != self._second:
            self._second = second
            self._date = formatDate(second)
        return self._date
