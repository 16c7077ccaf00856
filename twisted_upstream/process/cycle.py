"""
From a configuration to what runs: the one place where reactor, sockets, clocks and
chance are chosen.

nginx: C{ngx_init_cycle()}
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from ..balance.health import HealthRecords
from ..config.build import Block
from ..config.syntax import ConfigError, Node, Problem
from ..config.zones import Zones
from ..http.build import HTTPBuild
from ..http.routing import Address, ServedBy
from ..logs.logs import Logs
from ..net.bound import ListenError
from ..net.deadline import Deadlines
from ..net.dialer import DialOptions, SocketDialer
from ..net.sockaddr import Sockaddr, lookUp, parseAddress
from ..stream.build import StreamBuild
from ..stream.routing import StreamAddress
from ..upstream.build import Given
from ..upstream.connection import UpstreamFactory
from ..upstream.options import PassOptions
from ..upstream.resolve import Resolver
from ..upstream.served import Served
from ..upstream.surroundings import Surroundings
from ..variables import Variables
from .configuration import Configuration
from .sockets import ListeningSockets

if TYPE_CHECKING:
    from ..balance.peer import Peer
    from ..upstream.connection import UpstreamProtocol

#: Numbers clients' and servers' connections alike, over all configurations.
_numbers = count(1)
#: Health of servers, over all configurations: a reload makes no server well.
_health = HealthRecords()


class Cycle:
    """
    Everything built from one reading of the configuration.
    """

    def __init__(
        self,
        configuration: Configuration,
        reactor: Any,
        logs: Logs,
        dial: Callable[..., Callable[[], None]] | None = None,
    ) -> None:
        """
        @param dial: opens connections to servers; C{None}: sockets'.
        @raise ConfigError: with everything that cannot be built.
        """
        self._configuration = configuration
        self._reactor = reactor
        self._logs = logs
        self._sockets = ListeningSockets(reactor, logs)
        self._deadlines = Deadlines(reactor)
        self._dialer = SocketDialer(reactor, self._deadlines)
        self._opens = self._dial if dial is None else dial
        self._builds: list[HTTPBuild | StreamBuild] = []
        #: Memory that goes from one cycle to the next, by name.
        self.zones = Zones(configuration.root.node)
        random = Random()
        problems: list[Problem] = []
        for block in configuration.root.inner:
            if block.node.name in ("http", "stream"):
                try:
                    self._builds.append(self._build(block, random))
                except ConfigError as e:
                    problems += e.problems
        problems += self.zones.unsized()
        if problems:
            raise ConfigError(problems)

    def _build(self, block: Block, random: Random) -> HTTPBuild | StreamBuild:
        reactor = self._reactor
        variables = Variables()
        around: dict[str, Any] = {
            "seconds": reactor.seconds,
            "nextNumber": _numbers.__next__,
            "deadlines": self._deadlines,
            "soon": lambda callback: reactor.callLater(0, callback),
            "variables": variables,
            "wallClock": time.time,
        }
        given = Given(
            prefix=self._configuration.prefix,
            directory=os.path.dirname(os.path.abspath(self._configuration.path)),
            logs=self._logs,
            variables=variables,
            surroundings=Surroundings(
                clock=reactor,
                random=random,
                lookUp=lookUp,
                health=_health,
                wallClock=time.time,
                log=self._logs.main.write,
            ),
            factory=UpstreamFactory(
                self._deadlines, reactor.seconds, _numbers.__next__
            ),
            makeResolver=self._makeResolver,
            zones=self.zones,
        )
        build: HTTPBuild | StreamBuild
        if block.node.name == "http":
            build = HTTPBuild(block, given, served=ServedBy(**around), dial=self._opens)
        else:
            build = StreamBuild(
                block,
                given,
                served=Served(**around),
                dialer=self._dialer,
                findTaker=self._sockets.findTaker,
            )
        build.build()
        return build

    @property
    def builds(self) -> Sequence[HTTPBuild | StreamBuild]:
        """
        What was built of each block, in order.
        """
        return self._builds

    def _makeResolver(self, words: Sequence[str], node: Node, timeout: float) -> Any:
        return Resolver(words, node, self._reactor, timeout)

    def _dial(
        self,
        peer: Peer,
        protocol: UpstreamProtocol,
        waiter: Any,
        options: PassOptions,
        local: bytes | None,
        client: Any,
        secure: Callable[..., Any] | None = None,
    ) -> Callable[[], None]:
        """
        Connect to a peer as the options of a C{*_pass} say.
        """
        localAddress: Sockaddr | None = None
        if local:
            text = local.decode("utf-8", "surrogateescape")
            try:
                localAddress = parseAddress(text, 0).sockaddr
            except ValueError:
                localAddress = None
            if localAddress is None:
                client.logError("error", f'invalid local address "{text}"')
        more: dict[str, Any] = {}
        if (
            options.socketKeepalive
            or options.socketReceiveBuffer
            or options.socketSendBuffer
        ):
            more["options"] = DialOptions(
                keepalive=options.socketKeepalive,
                rcvbuf=options.socketReceiveBuffer or None,
                sndbuf=options.socketSendBuffer or None,
            )
        if secure is not None:
            more["secure"] = secure(self._reactor, self._deadlines)
        return self._dialer.dial(
            peer.sockaddr,
            protocol,
            waiter,
            timeout=options.connectTimeout,
            localAddress=localAddress,
            **more,
        )

    # ---- life -----------------------------------------------------------------------

    def open(self, previous: Cycle | None) -> None:
        """
        Make temporary directories and bind what C{previous} does not hand over: all or
        nothing.

        @raise ListenError: an address cannot be listened on.
        @raise ZoneError: what C{previous} remembers belongs to another group.
        """
        # There is one http{} at most, and one stream{}.
        known = [] if previous is None else previous._builds
        pairs = [
            (new.groups, old.groups)
            for new in self._builds
            for old in known
            if type(new) is type(old)
        ]
        if previous is not None:
            self.zones.check(previous.zones)
        for build in self._builds:
            for path in build.tempPaths:
                try:
                    os.makedirs(path, 0o700, exist_ok=True)
                except OSError as e:
                    raise ListenError(
                        f'mkdir() "{path}" failed', e.errno or 0
                    ) from None
        self._sockets.open(
            self._builds, None if previous is None else previous._sockets
        )
        for groups, before in pairs:
            groups.adopt(before)
        if previous is not None:
            self.zones.adopt(previous.zones)
            previous._sockets.handOver(self._sockets)

    def start(self) -> None:
        """
        Begin accepting.
        """
        self._sockets.start()
        for build in self._builds:
            build.groups.start()

    def drain(self) -> Deferred[None]:
        """
        Stop accepting, close what is idle; fires when the last request has ended.
        """
        self._sockets.close()
        done: Deferred[None] = Deferred()
        left = len(self._sockets.factories)

        def emptied() -> None:
            nonlocal left
            left -= 1
            if not left:
                self._closeUpstreams()
                done.callback(None)

        if not left:
            self._closeUpstreams()
            done.callback(None)
        for factory in self._sockets.factories:
            factory.drain(emptied)
        for build in self._builds:
            for group in build.groups:
                group.close()
        return done

    def stop(self) -> None:
        """
        Close everything at once.
        """
        self._sockets.close()
        for factory in self._sockets.factories:
            factory.stop()
        self._closeUpstreams()

    def _closeUpstreams(self) -> None:
        for build in self._builds:
            for group in build.groups:
                group.close()
            build.resolvers.close()
        self.zones.close()
        self._deadlines.stop()

    def reopenLogs(self) -> None:
        """
        Open all log files anew.
        """
        self._logs.reopen()

    @property
    def addresses(self) -> Sequence[tuple[str, Address | StreamAddress]]:
        """
        What is listened on: names and what serves there.
        """
        return self._sockets.addresses
