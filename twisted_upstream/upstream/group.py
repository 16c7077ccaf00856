"""
Groups of servers: C{upstream{}} blocks, those that a C{*_pass} implies, and the group
of one that an address known only per request makes.

nginx: C{ngx_http_upstream_add()}, C{ngx_http_upstream_init_round_robin()},
C{ngx_http_upstream_init_request()}
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, make_dataclass
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from .. import plugins
from ..balance.health import HealthRecords
from ..balance.layers import Layer
from ..balance.peer import Peer, Sockaddr
from ..balance.peers import Peers
from ..balance.round_robin import RoundRobin
from ..config.build import Block
from ..config.directive import Where, directive, words
from ..config.syntax import ConfigError, Node
from ..config.values import Template, Variable
from ..config.zones import Zones
from ..interfaces import IBalancer, IBalancerLine, IClient, IKept, IPeerInit
from ..net.sockaddr import HostPort, inetSockaddr, parseAddress, sockaddrName
from .keepalive import KeepaliveCache
from .options import GroupOptions, ServerLine, StreamGroupOptions, UpstreamOptions
from .state import readState
from .watch import FIRST, WatchedServer

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
    @ivar log: the main error log: takes level and message.
    """

    clock: IReactorTime
    random: Random
    lookUp: Callable[[str], Sequence[str]]
    wallClock: Callable[[], float]
    health: HealthRecords = field(default_factory=HealthRecords)
    log: Callable[[str, str], object] = lambda level, message: None


#: Takes words and time-out of C{resolver} lines, and the line; gives what finds names,
#: or C{None}, and the time-out.
FindResolver = Callable[[Sequence[str], float | None, Node], tuple[Any, float]]


def _noResolver(
    words: Sequence[str], timeout: float | None, node: Node
) -> tuple[Any, float]:
    return None, 0.0


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
    @ivar gone: attempts at servers that have left since.
    @ivar zone: the name of its memory.
    @ivar watched: servers whose names are watched.
    """

    makePeers: Callable[[ServerLine], list[Peer]]

    __slots__ = (
        "_init",
        "_keepaliveRequests",
        "_keepaliveTime",
        "_seconds",
        "cache",
        "explicit",
        "gone",
        "host",
        "initPeer",
        "makePeers",
        "nameBytes",
        "peers",
        "port",
        "watched",
        "zone",
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
        self.zone = "" if options is None else options.zone[0]
        self.watched: list[WatchedServer] = []
        self.gone = 0
        self.initPeer = init.initPeer
        self.replacePeers(peers)

    def replacePeers(self, peers: Peers) -> None:
        """
        Membership has changed.  Requests under way keep the generation that they
        began with.
        """
        self.peers = peers
        self._init.initUpstream(peers)

    def change(
        self, gone: Iterable[Peer], come: Iterable[Peer], backup: Iterable[Peer]
    ) -> None:
        """
        Some peers leave, others come.

        @param come: new ones, appended to the others.
        @param backup: new ones, appended to the backup servers.
        """
        left = set(gone)
        primary, spare = self.members()
        self.setMembers(
            [*(peer for peer in primary if peer not in left), *come],
            [*(peer for peer in spare if peer not in left), *backup],
        )

    def members(self) -> tuple[Sequence[Peer], Sequence[Peer]]:
        """
        The peers of now, and the backup servers.
        """
        peers = self.peers
        return peers.peers, () if peers.next is None else peers.next.peers

    def setMembers(self, primary: Iterable[Peer], backup: Iterable[Peer]) -> None:
        """
        Make a new generation.  Idle connections to addresses that leave are closed.
        """
        old = self.peers
        before = {peer for peers in self.members() for peer in peers}
        spare = tuple(backup)
        next: Peers | None = None
        if spare:
            next = old.next
            next = old.beside(spare) if next is None else next.successor(spare)
        self.replacePeers(old.successor(primary, next))
        after = {peer for peers in self.members() for peer in peers}
        left = before - after
        self.gone += sum(peer.requests for peer in left)
        if self.cache is not None:
            addresses = {peer.sockaddr for peer in after}
            for sockaddr in {peer.sockaddr for peer in left} - addresses:
                self.cache.dropAddress(sockaddr)

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

    def mayKeep(self, connection: UpstreamProtocol, peer: Peer) -> bool:
        """
        May C{connection} to C{peer} serve one more request?
        """
        if peer not in self.peers.hints:
            # It has left the group meanwhile.
            return False
        if connection.requests >= self._keepaliveRequests:
            return False
        return self._seconds() - connection.made <= self._keepaliveTime

    def close(self) -> None:
        """
        Close the idle connections, and watch names no longer.
        """
        for each in self.watched:
            each.close()
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
        use = f"{self.place} {self._node.name}"
        self._zones.keep(name, size, use, kept, self._node, group=self._group)

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
        findResolver: FindResolver = _noResolver,
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

    def __iter__(self) -> Any:
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
        init, refused, mayBackUp = self._balancer(block)
        problems: list[Any] = []
        primary: list[Peer] = []
        backup: list[Peer] = []
        watched: list[tuple[ServerLine, HostPort]] = []
        makePeer: Callable[..., Peer] = Peer
        if options.healthScope == "address":
            makePeer = self._surroundings.health.makePeer

        def checked(line: ServerLine, place: Node | None) -> HostPort:
            names = refused(place)
            for word in line.node.words[1:]:
                if word.partition("=")[0] in names:
                    raise line.node.error(
                        f'balancing method does not support parameter "{word}"'
                    )
            return self._addressOf(line, defaultPort)

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
            name, peers, init, explicit=True, cache=cache, options=options
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
                    mayBackUp=mayBackUp,
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

    def _balancer(
        self, block: Block
    ) -> tuple[IPeerInit, Callable[[Node | None], Collection[str]], bool]:
        """
        The method of a block with the layers around it; which parameters a C{server}
        line must not have: lines after a method obey that method; and whether the
        group can have backup servers.
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
                self._zones,
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

        return init, refused, all(plugin.backup for _, plugin in methods[-1:])

    def _addressOf(self, line: ServerLine, defaultPort: int) -> HostPort:
        """
        What a C{server} line names.
        """

        def wrong(message: str) -> ConfigError:
            return line.node.error(message, word=0)

        if line.service and not line.resolve:
            raise wrong(
                f'service upstream "{line.address}" requires "resolve" parameter'
            )
        try:
            address = parseAddress(line.address, defaultPort)
        except ValueError as e:
            raise wrong(f'{e} in upstream "{line.address}"') from None
        if line.service:
            if address.portGiven:
                raise wrong(f'service upstream "{line.address}" may not have port')
            if address.sockaddr is not None:
                raise wrong(f'service upstream "{line.address}" requires domain name')
        elif not address.port and not isinstance(address.sockaddr, str):
            raise wrong(f'no port in upstream "{line.address}"')
        return address

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
