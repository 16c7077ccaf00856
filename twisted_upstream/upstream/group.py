"""
Groups of servers: C{upstream{}} blocks, those that a C{*_pass} implies, and the group
of one that an address known only per request makes.

nginx: C{ngx_http_upstream_add()}, C{ngx_http_upstream_init_round_robin()},
C{ngx_http_upstream_init_request()}
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, make_dataclass
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from .. import plugins
from ..balance.health import HealthRecords
from ..balance.layers import Layer
from ..balance.peers import Peer, Peers, Sockaddr
from ..balance.round_robin import RoundRobin
from ..config.build import Block
from ..config.directive import Where, directive, words
from ..config.syntax import ConfigError, Node
from ..config.values import Template, Variable
from ..interfaces import IBalancer, IBalancerLine, IClient, IKept, IPeerInit
from ..net.sockaddr import HostPort, inetSockaddr, parseAddress, sockaddrName
from .keepalive import KeepaliveCache
from .options import (
    GroupOptions,
    ServerLine,
    StreamGroupOptions,
    UpstreamOptions,
)
from .state import readState
from .zones import Zones

if TYPE_CHECKING:
    from .connection import UpstreamProtocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """
    What groups need of the world.

    @ivar lookUp: addresses of a host name, in order; called while a configuration is
        built, and may block.
    @ivar health: of the servers whose groups share it.
    @ivar wallClock: seconds since 1970.
    """

    clock: IReactorTime
    random: Random
    lookUp: Callable[[str], Sequence[str]]
    wallClock: Callable[[], float]
    health: HealthRecords = field(default_factory=HealthRecords)


_Layer = TypeVar("_Layer", bound=Layer)


class UpstreamGroup:
    """
    A group of servers.

    @ivar host: its name.
    @ivar port: the port that a C{*_pass} must name to mean it; 0: none.
    @ivar explicit: is it an C{upstream{}}?
    @ivar peers: the current generation.
    @ivar initPeer: begins a request: the balancer's own method.
    @ivar cache: idle connections, or C{None}.
    @ivar makePeers: takes a L{ServerLine}, and makes the peers that it stands for, one
        for each address; raises L{ConfigError}.  For groups that are C{explicit}.
    """

    makePeers: Callable[[ServerLine], list[Peer]]

    __slots__ = (
        "_init",
        "_keepaliveRequests",
        "_keepaliveTime",
        "_seconds",
        "cache",
        "explicit",
        "host",
        "initPeer",
        "makePeers",
        "nameBytes",
        "peers",
        "port",
    )

    def __init__(
        self,
        host: str,
        peers: Peers,
        init: IPeerInit,
        *,
        port: int = 0,
        explicit: bool = False,
        cache: KeepaliveCache[UpstreamProtocol] | None = None,
        options: UpstreamOptions | None = None,
    ) -> None:
        self.host = host
        self.nameBytes = peers.nameBytes
        self.port = port
        self.explicit = explicit
        self.cache = cache
        self._init = init
        self._seconds = peers.seconds
        self._keepaliveRequests = 0 if options is None else options.keepaliveRequests
        self._keepaliveTime = 0.0 if options is None else options.keepaliveTime
        self.initPeer = init.initPeer
        self.replacePeers(peers)

    def replacePeers(self, peers: Peers) -> None:
        """
        Membership has changed.  Requests under way keep the generation that they
        began with.
        """
        self.peers = peers
        self._init.initUpstream(peers)

    def layer(self, kind: type[_Layer]) -> _Layer | None:
        """
        The layer of that kind around the method of choosing, if there is one.
        """
        init = self._init
        while isinstance(init, Layer):
            if isinstance(init, kind):
                return init
            init = init.inner
        return None

    @property
    def method(self) -> IPeerInit:
        """
        The method of choosing itself, within all layers.
        """
        init = self._init
        while isinstance(init, Layer):
            init = init.inner
        return init

    def mayKeep(self, connection: UpstreamProtocol) -> bool:
        """
        May C{connection} serve one more request?
        """
        if connection.requests >= self._keepaliveRequests:
            return False
        return self._seconds() - connection.made <= self._keepaliveTime

    def close(self) -> None:
        """
        Close the idle connections.
        """
        if self.cache is not None:
            self.cache.closeAll()


@implementer(IBalancerLine)
class BalancerLine:
    """
    A balancer's directive in C{upstream{}}.
    """

    def __init__(
        self,
        node: Node,
        group: str,
        compile: Callable[[Template | str, Node], Callable[[Any], bytes]],
        surroundings: Surroundings,
        zones: Zones,
        beside: frozenset[str],
        place: str = "http",
    ) -> None:
        """
        @param group: the group's name.
        """
        self.arguments = node.words
        self.beside = beside
        self.place = place
        self.clock = surroundings.clock
        self.wallClock = surroundings.wallClock
        self._node = node
        self._group = group
        self._compile = compile
        self._zones = zones

    def compile(self, text: str) -> Callable[[IClient], bytes]:
        """
        Compile a text with C{$variables}.
        """
        return self._compile(text, self._node)

    def variable(self, name: str) -> Callable[[IClient], bytes]:
        """
        Compile one variable.
        """
        return self._compile(Template(f"${name}", (Variable(name),)), self._node)

    def keep(self, name: str, size: int, kept: IKept) -> None:
        """
        Hand C{kept} from one configuration to the next.
        """
        self._zones.keep(name, size, kept, self._group, self._node)

    def error(self, message: str) -> ConfigError:
        """
        An error at this line.
        """
        return self._node.error(message)


def balancerOptions() -> type[Any]:
    """
    An options class with a field for each balancer that is installed.
    """
    fields = []
    found = plugins.find(IBalancer)
    for name in found:
        where = Where.UPSTREAM
        if found.hint(name, "stream", False):
            where |= Where.STREAM_UPSTREAM
        fields.append(
            (
                name,
                tuple[str, ...],
                directive(
                    name,
                    where,
                    words,
                    arity=(0, None),
                    default=(),
                    doc="A method of choosing a server.",
                ),
            )
        )
    return make_dataclass("BalancerOptions", fields, frozen=True, kw_only=True)


class UpstreamGroups:
    """
    All groups of one configuration.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        compile: Callable[[Template | str, Node], Callable[[Any], bytes]],
        prefix: str = "",
    ) -> None:
        """
        @param compile: makes texts with variables into callables.
        @param prefix: the directory that relative paths of files are under.
        """
        self._surroundings = surroundings
        self._compile = compile
        self._prefix = prefix
        self._states: set[str] = set()
        self._explicit: dict[str, UpstreamGroup] = {}
        self._implicit: dict[tuple[str, int], UpstreamGroup] = {}
        self._balancers = plugins.find(IBalancer)
        self.zones = Zones()
        #: Looks names up while requests wait: takes client, name, and who is told.
        self.resolve: Callable[..., None] | None = None

    def __iter__(self) -> Any:
        yield from self._explicit.values()
        yield from self._implicit.values()

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
            self.zones.declare(zone, zoneSize, "zone", block.nodes("zone")[0])
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
        init, refused = self._balancer(block)
        problems: list[Any] = []
        primary: list[Peer] = []
        backup: list[Peer] = []
        makePeer: Callable[..., Peer] = Peer
        if options.healthScope == "address":
            makePeer = self._surroundings.health.makePeer

        def makePeers(line: ServerLine, place: Node | None = None) -> list[Peer]:
            # Lines that come later stand after everything else.
            names = refused(place)
            for word in line.node.words[1:]:
                if word.partition("=")[0] in names:
                    raise line.node.error(
                        f'balancing method does not support parameter "{word}"'
                    )
            return self._peersOf(line, defaultPort, makePeer)

        for line in lines:
            try:
                made = makePeers(line, state or line.node)
                (backup if line.backup else primary).extend(made)
            except ConfigError as e:
                problems += e.problems
        if problems:
            raise ConfigError(problems)
        if not primary and state is None:
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
            name, peers, init, explicit=True, cache=cache, options=options
        )
        group.makePeers = makePeers
        self._explicit[name.lower()] = group
        return group

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

    def _balancer(
        self, block: Block
    ) -> tuple[IPeerInit, Callable[[Node | None], Collection[str]]]:
        """
        The method of a block with the layers around it, and which parameters a
        C{server} line must not have: lines after a method obey that method.
        """
        lines = block.node.block or ()
        chosen: list[tuple[int, Node, IBalancer]] = []
        # Methods and where they stand: each decides on the lines up to the next one.
        methods: list[tuple[int, IBalancer]] = []
        for index, node in enumerate(lines):
            if node.name in self._balancers:
                try:
                    plugin = self._balancers[node.name]
                except plugins.PluginError as e:
                    raise node.error(str(e)) from None
                if plugin.layer and any(plugin is other for _, _, other in chosen):
                    raise node.error(f'"{node.name}" directive is duplicate')
                if plugin.layer == 0:
                    # nginx would forget what stands before, a "sticky" included.
                    if chosen:
                        node.warning("load balancing method redefined")
                if plugin.layer == 0 or not plugin.backup:
                    methods.append((index, plugin))
                chosen.append((plugin.layer, node, plugin))
        beside = frozenset(node.name for _, node, _ in chosen)
        init: IPeerInit = RoundRobin()
        place = "stream" if block.where is Where.STREAM_UPSTREAM else "http"
        # Of several methods the last one stays; the others are made to be checked.
        for _, node, plugin in sorted(chosen, key=lambda each: each[0]):
            inner = None if plugin.layer == 0 else init
            line = BalancerLine(
                node,
                block.node.words[0],
                self._compile,
                self._surroundings,
                self.zones,
                beside,
                place,
            )
            init = plugin.peerInit(line, inner)
        places = {id(line): index for index, line in enumerate(lines)}

        def refused(line: Node | None) -> Collection[str]:
            end = len(lines) if line is None else places[id(line)]
            before = [plugin for index, plugin in methods if index < end]
            if not before:
                return ()
            # The method's own; a layer after it may refuse backups besides.
            method = next((each for each in reversed(before) if each.layer == 0), None)
            names: frozenset[str] = getattr(method, "refuses", frozenset())
            return names if before[-1].backup else names | {"backup"}

        return init, refused

    def _peersOf(
        self, line: ServerLine, defaultPort: int, makePeer: Callable[..., Peer]
    ) -> list[Peer]:
        try:
            address = parseAddress(line.address, defaultPort)
        except ValueError as e:
            raise line.node.error(f'{e} in upstream "{line.address}"', word=0) from None
        if not address.port and not isinstance(address.sockaddr, str):
            raise line.node.error(f'no port in upstream "{line.address}"', word=0)
        return [
            makePeer(
                sockaddrName(sockaddr),
                sockaddr,
                server=line.address,
                weight=line.weight,
                maxConns=line.maxConns,
                maxFails=line.maxFails,
                failTimeout=line.failTimeout,
                down=line.down,
                sid=line.route.encode("utf-8", "surrogateescape"),
                label=line.label,
                slowStart=line.slowStart,
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
