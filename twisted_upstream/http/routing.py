"""
From an accepted connection to a server: listening addresses and the names of virtual
servers.

nginx: C{ngx_http_find_virtual_server()}, C{ngx_http_server_names()}
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..wire.dates import formatDate

if TYPE_CHECKING:
    from ..config.regex import Matcher
    from ..net.deadline import Deadlines
    from ..variables import Getter, Variables
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
    """

    def __init__(self, name: str, root: Location, locations: Locations) -> None:
        self.name = name
        self.root = root
        self.locations = locations
        self.named: dict[str, Location] = {}
        self.rewrite: Callable[[Any], bool] | None = None
        self.postRead: Callable[[Any], bool] | None = None
        self.mergeSlashes = True


class Address:
    """
    A listening address and its servers.

    @ivar name: as in logs: C{127.0.0.1:80}.
    @ivar default: the server of requests that name no other.
    @ivar limits: of requests' heads.
    @ivar headerTimeout: seconds that a head may take.
    @ivar proxyProtocol: reads the PROXY header before the first request: takes the
        bytes so far, answers what it says and its size, or C{None} for "more"; C{None}
        where there is none.
    @ivar tls: an L{AddressTLS<twisted_upstream.http.tls.AddressTLS>}, or C{None}.
    """

    def __init__(
        self, name: str, default: Server, limits: HeadLimits, headerTimeout: float
    ) -> None:
        self.name = name
        self.default = default
        self.limits = limits
        self.headerTimeout = headerTimeout
        self.proxyProtocol: Any = None
        self.tls: Any = None
        self._exact: dict[bytes, Server] = {}
        self._suffixes: dict[bytes, Server] = {}
        self._prefixes: dict[bytes, Server] = {}
        self._regexes: list[tuple[Matcher, Server]] = []
        self._only = True

    def addName(self, name: str, server: Server) -> bool:
        """
        A name of C{server}: exact, C{*.name}, C{name.*} or C{.name}.

        @return: C{False}: it is taken; the first one counts.
        """
        self._only = False
        key = name.lower().encode("utf-8", "surrogateescape")
        if key.startswith(b"*."):
            return self._suffixes.setdefault(key[1:], server) is server
        if key.startswith(b"."):
            self._suffixes.setdefault(key, server)
            return self._exact.setdefault(key[1:], server) is server
        if key.endswith(b".*"):
            return self._prefixes.setdefault(key[:-1], server) is server
        return self._exact.setdefault(key, server) is server

    def addRegex(self, matches: Matcher, server: Server) -> None:
        """
        A regular expression for names of C{server}.
        """
        self._only = False
        self._regexes.append((matches, server))

    def find(self, host: bytes | None, request: Any) -> Server:
        """
        The server for C{host}, which is lower case and has no port.
        """
        if self._only:
            return self.default
        return self.lookUp(host or b"", request) or self.default

    def lookUp(self, host: bytes, request: Any) -> Server | None:
        """
        The same; C{None}: no server has that name.
        """
        found = self._exact.get(host)
        if found is not None:
            return found
        if self._suffixes:
            at = host.find(b".")
            while at >= 0:
                found = self._suffixes.get(host[at:])
                if found is not None and at > 0:
                    return found
                at = host.find(b".", at + 1)
        if self._prefixes:
            at = host.rfind(b".")
            while at >= 0:
                found = self._prefixes.get(host[: at + 1])
                if found is not None:
                    return found
                at = host.rfind(b".", 0, at)
        for matches, server in self._regexes:
            if matches(request, host):
                return server
        return None


class ServedBy:
    """
    What all listening addresses of one configuration share.

    @ivar seconds: the current time, for durations.
    @ivar wallClock: seconds since 1970.
    @ivar nextNumber: numbers connections.
    @ivar soon: calls a function from the reactor's next turn.
    """

    def __init__(
        self,
        *,
        seconds: Callable[[], float],
        nextNumber: Callable[[], int],
        deadlines: Deadlines,
        soon: Callable[[Callable[[], None]], object],
        variables: Variables,
        wallClock: Callable[[], float] = time.time,
    ) -> None:
        self.seconds = seconds
        self.nextNumber = nextNumber
        self.deadlines = deadlines
        self.soon = soon
        self.wallClock = wallClock
        self._variables = variables
        self._getters: dict[str, Getter] = {}
        self._second = -1
        self._date = b""

    def getter(self, name: str) -> Getter:
        """
        The getter of a variable.
        """
        found = self._getters.get(name)
        if found is None:
            found = self._getters[name] = self._variables.getter(name)
        return found

    def date(self) -> bytes:
        """
        The Date of a response that is sent now.
        """
        second = int(self.wallClock())
        if second != self._second:
            self._second = second
            self._date = formatDate(second)
        return self._date
