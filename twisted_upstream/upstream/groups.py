"""
All groups of servers: C{upstream{}} blocks, those that a C{*_pass} implies, and the
group of one that an address known only per request makes.

nginx: C{ngx_http_upstream_add()}, C{ngx_http_upstream_init_round_robin()},
C{ngx_http_upstream_init_request()}
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .. import plugins
from ..balance.peer import Peer, Sockaddr
from ..balance.peers import Peers
from ..balance.round_robin import RoundRobin
from ..config.build import Block
from ..config.directive import Where
from ..config.syntax import ConfigError, Node
from ..config.values import Template
from ..config.zones import Zones
from ..interfaces import IBalancer
from ..net.sockaddr import HostPort, inetSockaddr, parseAddress, sockaddrName
from .balancing import BalancerLine, Balancing
from .group import UpstreamGroup
from .group_options import GroupOptions, StreamGroupOptions, UpstreamOptions
from .keepalive import KeepaliveCache
from .server_line import ServerLine
from .state import readState
from .surroundings import FindResolver, Surroundings, noResolver
from .watch import FIRST, WatchedServer

if TYPE_CHECKING:
    from .connection import UpstreamProtocol


class UpstreamGroups:
    """
    All groups of one configuration.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        compile: Callable[[Template | str, Node], Callable[[Any], bytes]],
        prefix: str = "",
        findResolver: FindResolver = noResolver,
        zones: Zones | None = None,
    ) -> None:
        """
        @param zones: those of all features.
        @param compile: makes texts with variables into callables.
        @param findResolver: takes what an C{upstream{}} says, C{()} and C{None} where
            it says nothing, and its line.
        @param prefix: the directory that relative paths of files are under.
        """
        self._surroundings = surroundings
        self._compile = compile
        self._prefix = prefix
        self._findResolver = findResolver
        self._states: set[str] = set()
        self._explicit: dict[str, UpstreamGroup] = {}
        self._implicit: dict[tuple[str, int], UpstreamGroup] = {}
        self._balancers = plugins.find(IBalancer)
        self._zones = Zones() if zones is None else zones
        #: Looks names up while requests wait: takes client, name, and who is told.
        self.resolve: Callable[..., None] | None = None

    def __iter__(self) -> Iterator[UpstreamGroup]:
        yield from self._explicit.values()
        yield from self._implicit.values()

    def start(self) -> None:
        """
        Begin to watch the names of servers.
        """
        watched = [each for group in self._explicit.values() for each in group.watched]
        for number, each in enumerate(watched, 1):
            each.start(number * FIRST)

    def adopt(self, previous: UpstreamGroups) -> None:
        """
        Go on with the addresses that C{previous} has found: those of the same name in
        a group of the same name and zone.
        """
        for name, group in self._explicit.items():
            old = previous._explicit.get(name)
            if old is None or old.zone != group.zone:
                continue
            for each in group.watched:
                for other in old.watched:
                    if each.follows(other):
                        each.adopt(other)
                        break

    def define(self, block: Block, defaultPort: int) -> UpstreamGroup:
        """
        Make the group of an C{upstream{}} block.

        @raise ConfigError: with everything that is wrong in it.
        """
        return self._define(block, block.of(GroupOptions), defaultPort, keeps=True)

    def defineStream(self, block: Block) -> UpstreamGroup:
        """
        The same in C{stream}: no port is the default, no connection is kept.
        """
        return self._define(block, block.of(StreamGroupOptions), 0, keeps=False)

    def _define(
        self,
        block: Block,
        members: GroupOptions | StreamGroupOptions,
        defaultPort: int,
        *,
        keeps: bool,
    ) -> UpstreamGroup:
        """
        @param keeps: are idle connections kept?
        """
        options = block.of(UpstreamOptions)
        zone, zoneSize = options.zone
        if zone:
            use = "http zone" if keeps else "stream zone"
            self._zones.declare(zone, zoneSize, use, block.nodes("zone")[0])
        name = block.node.words[0]
        if name.lower() in self._explicit:
            raise block.node.error(f'duplicate upstream "{name}"')
        lines: Sequence[ServerLine] = members.servers
        state: Node | None = None
        if members.state:
            [state] = block.nodes("state")
            path = os.path.join(self._prefix, members.state)
            lines = self._stateOf(block, state, path, options)
        elif not lines:
            raise block.node.error("no servers are inside upstream")
        place = "stream" if block.where is Where.STREAM_UPSTREAM else "http"

        def lineOf(node: Node, beside: frozenset[str]) -> BalancerLine:
            return BalancerLine(
                node,
                name,
                self._compile,
                self._surroundings,
                self._zones,
                beside,
                place,
            )

        balancing = Balancing(block, self._balancers, lineOf)
        problems: list[Any] = []
        primary: list[Peer] = []
        backup: list[Peer] = []
        watched: list[tuple[ServerLine, HostPort]] = []
        makePeer: Callable[..., Peer] = Peer
        if options.healthScope == "address":
            makePeer = self._surroundings.health.makePeer

        def checked(line: ServerLine, node: Node | None) -> HostPort:
            refused = balancing.refused(node)
            for word in line.node.words[1:]:
                if word.partition("=")[0] in refused:
                    raise line.node.error(
                        f'balancing method does not support parameter "{word}"'
                    )
            return line.hostPort(defaultPort)

        def makePeers(line: ServerLine) -> list[Peer]:
            # Lines that come later stand after everything else.
            address = checked(line, None)
            if line.resolve and address.sockaddr is None:
                raise line.node.error(
                    f'the name "{line.address}" cannot be watched: its server comes'
                    " too late"
                )
            return self._peersOf(line, address, makePeer)

        for line in lines:
            try:
                address = checked(line, state or line.node)
                if line.resolve and address.sockaddr is None:
                    watched.append((line, address))
                    continue
                made = self._peersOf(line, address, makePeer)
                (backup if line.backup else primary).extend(made)
            except ConfigError as e:
                problems += e.problems
        if problems:
            raise ConfigError(problems)
        isEmpty = not primary and all(line.backup for line, _ in watched)
        if isEmpty and state is None:
            raise block.node.error(f'no servers in upstream "{name}"')
        peers = self._generation(name, primary, backup)
        cache: KeepaliveCache[UpstreamProtocol] | None = None
        size, local = options.keepalive
        if keeps and size:
            cache = KeepaliveCache(
                size,
                timeout=options.keepaliveTimeout,
                clock=self._surroundings.clock,
                local=local,
            )
        group = UpstreamGroup(
            name, peers, balancing.init, explicit=True, cache=cache, options=options
        )
        group.makePeers = makePeers
        if watched:
            names, timeout = self._resolverOf(block, options)
            group.watched = [
                WatchedServer(
                    line,
                    address.host,
                    address.port,
                    group,
                    names,
                    timeout=timeout,
                    clock=self._surroundings.clock,
                    log=self._surroundings.log,
                    makePeer=makePeer,
                    mayBackUp=balancing.mayBackUp,
                )
                for line, address in watched
            ]
        self._explicit[name.lower()] = group
        return group

    def _resolverOf(self, block: Block, options: UpstreamOptions) -> tuple[Any, float]:
        """
        What finds the names of servers, and how long that may take.
        """
        name = block.node.words[0]
        if not options.zone[0]:
            raise block.node.error(
                f'resolving names at run time requires upstream "{name}" to be in'
                " shared memory"
            )
        lines = block.nodes("resolver")
        names, timeout = self._findResolver(
            options.resolver, options.resolverTimeout, lines[0] if lines else block.node
        )
        if names is None:
            raise block.node.error(
                f'no resolver defined to resolve names at run time in upstream "{name}"'
            )
        return names, timeout

    def _stateOf(
        self, block: Block, node: Node, path: str, options: UpstreamOptions
    ) -> Sequence[ServerLine]:
        name = block.node.words[0]
        others = block.nodes("server")
        if others:
            raise others[0].error(
                '"server" directive cannot be used together with "state"'
            )
        if not options.zone[0]:
            raise node.error(
                f'"state" requires upstream "{name}" to be in shared memory'
            )
        if path in self._states:
            raise node.error(f'"{path}" is the state of another upstream', word=0)
        self._states.add(path)
        return readState(path, node)

    def _peersOf(
        self, line: ServerLine, address: HostPort, makePeer: Callable[..., Peer]
    ) -> list[Peer]:
        return [
            makePeer(
                sockaddrName(sockaddr),
                sockaddr,
                **line.peerOptions(),
            )
            for sockaddr in self._sockaddrs(address, line.node, line.address)
        ]

    def _sockaddrs(self, address: HostPort, node: Node, text: str) -> list[Sockaddr]:
        if address.sockaddr is not None:
            return [address.sockaddr]
        try:
            hosts = self._surroundings.lookUp(address.host)
        except (OSError, UnicodeError):
            raise node.error(f'host not found in upstream "{text}"') from None
        return [inetSockaddr(host, address.port) for host in hosts]

    def _generation(
        self, name: str, primary: Sequence[Peer], backup: Sequence[Peer]
    ) -> Peers:
        around = self._surroundings

        def make(peers: Sequence[Peer], next: Peers | None) -> Peers:
            return Peers(
                name,
                peers,
                seconds=around.clock.seconds,
                random=around.random,
                next=next,
            )

        return make(primary, make(backup, None) if backup else None)

    def explicit(self, name: str) -> UpstreamGroup | None:
        """
        The group of C{upstream NAME}, if there is one.
        """
        return self._explicit.get(name.lower())

    def named(self, text: str, defaultPort: int, node: Node) -> UpstreamGroup:
        """
        The group that a constant C{host[:port]} means; an implicit one is made where
        there is none yet.

        @raise ConfigError: the address is wrong, or its host is unknown.
        """
        try:
            address = parseAddress(text, defaultPort)
        except ValueError as e:
            raise node.error(f'{e} in upstream "{text}"') from None
        name = text if text[:5].lower() == "unix:" else address.host
        group = self._explicit.get(name.lower())
        if group is not None:
            if address.portGiven:
                raise node.error(f'upstream "{name}" may not have port {address.port}')
            return group
        if not address.port and not isinstance(address.sockaddr, str):
            raise node.error(f'no port in upstream "{text}"')
        key = (name.lower(), address.port)
        implicit = self._implicit.get(key)
        if implicit is None:
            sockaddrs = self._sockaddrs(address, node, text)
            implicit = self._implicit[key] = self._make(
                name, address.port, sockaddrs, text
            )
        return implicit

    def _make(
        self, name: str, port: int, sockaddrs: Sequence[Sockaddr], server: str
    ) -> UpstreamGroup:
        peers = [Peer(sockaddrName(each), each, server=server) for each in sockaddrs]
        return UpstreamGroup(
            name, self._generation(name, peers, ()), RoundRobin(), port=port
        )

    def find(
        self,
        text: bytes,
        defaultPort: int,
        client: Any,
        found: Callable[[UpstreamGroup], None],
    ) -> None:
        """
        The group that C{host[:port]} of one request means: one that there is, a
        literal address, or a name that the resolver knows.

        @param client: is failed (500, 502) where there is none.
        """
        word = text.decode("utf-8", "surrogateescape")
        try:
            address = parseAddress(word, defaultPort)
        except ValueError as e:
            client.logError("error", f'{e} in upstream "{word}"')
            client.failResponse(500)
            return
        isUnix = isinstance(address.sockaddr, str)
        name = word if isUnix else address.host
        group = self._explicit.get(name.lower())
        if group is None or address.portGiven:
            group = self._implicit.get((name.lower(), address.port))
        if group is not None:
            found(group)
            return
        if not address.port and not isUnix:
            client.logError("error", f'no port in upstream "{name}"')
            client.failResponse(500)
            return
        if address.sockaddr is not None:
            found(self._make(name, address.port, [address.sockaddr], word))
            return
        resolver = client.location.resolver
        if resolver is None:
            client.logError("error", f"no resolver defined to resolve {address.host}")
            client.failResponse(502)
            return

        def resolved(hosts: Sequence[str]) -> None:
            client.waiting = None
            found(
                self._make(
                    name,
                    address.port,
                    [inetSockaddr(host, address.port) for host in hosts],
                    word,
                )
            )

        def failed(message: str) -> None:
            client.waiting = None
            client.logError("error", message)
            client.failResponse(502)

        client.waiting = resolver.resolve(address.host, resolved, failed)
