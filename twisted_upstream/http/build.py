"""
From the C{http} block to what serves it.

nginx: C{ngx_http_block()}, C{ngx_http_optimize_servers()}
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import plugins
from ..config.directive import Where
from ..interfaces import IDialect
from ..net.listen import ListenLine
from ..net.sockaddr import Sockaddr, inetSockaddr, sockaddrName
from ..tls.options import HTTPTLSOptions
from ..tls.variables import tlsVariables
from ..upstream.build import BlockBuild, Given
from ..upstream.fetch import Fetcher
from ..upstream.listening import namesOf
from ..upstream.options import IGNORABLE, PassOptions, passOptionsOf
from ..upstream.passing import Passing
from ..upstream.proxy_protocol import addProxyProtocolVariables
from ..upstream.tls_options import LateTLS, hasTLSOptions
from ..upstream.variables import addVariables as addUpstreamVariables
from .build_location import buildLocation, buildLocations
from .listen import ServerOptions, Socket, defaultPort, headLimits
from .location_name import nameOf
from .options import ConnectionOptions, LocationOptions
from .phases import limits, select
from .phases.realip import compileRealip, forwardedFor
from .phases.rewrite import compileRewrite
from .routing import Address, ServedBy, Server
from .variables import addVariables

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node
    from ..config.values import Template
    from ..upstream.group import UpstreamGroup
    from ..upstream.picks import Picks
    from ..upstream.tls import UpstreamTLS
    from ..variables import Value
    from .location import Location


class HTTPBuild(BlockBuild[Socket]):
    """
    One C{http} block being built.

    Phases and dialects get it as C{build}, to find the location of an inner block and
    ways to servers, too.

    @ivar limits: compiles C{limit_req} and C{limit_conn}; C{None}: they are wrong.
    @ivar dialects: the protocols that requests can be passed in, by name.
    @ivar passOptions: the class of the options that each has in common with others.
    @ivar picks: servers chosen for others, by group in lower case.
    """

    groupPlace = Where.UPSTREAM
    serverPlace = Where.SERVER
    logsByDefault = True
    forwarded = staticmethod(forwardedFor)

    def __init__(
        self,
        block: Block,
        given: Given,
        *,
        served: ServedBy,
        dial: Callable[..., Callable[[], None]],
    ) -> None:
        """
        @param dial: opens connections to servers.
        """
        super().__init__(block, given)
        self.served = served
        self.limits: limits.Limits | None = None
        self.picks: dict[str, Picks] = {}
        self.dialects = plugins.find(IDialect)
        self.passOptions = {
            name: passOptionsOf(self.dialects, name) for name in self.dialects
        }
        self._dial = dial
        self._made: dict[Block, Location] = {}

    @property
    def locations(self) -> Iterable[Location]:
        """
        All locations, and what stands for one: servers, C{if} and C{limit_except}.
        """
        return self._made.values()

    # ---- what phases and dialects ask -----------------------------------------------

    def made(self, block: Block, location: Location) -> None:
        """
        C{block} is served by this location from now on.
        """
        self._made[block] = location

    def locationFor(self, block: Block) -> Location:
        """
        The location that the inside of an C{if} or C{limit_except} makes.
        """
        found = self._made.get(block)
        if found is None:
            outer = self.outer(block)
            name = "" if outer is None else nameOf(outer)
            found = buildLocation(block, name, self)
        return found

    def passOf(self, block: Block, name: str) -> tuple[Template, Node, Block]:
        """
        The C{*_pass} that counts in a block: its own, or inside of an C{if} or a
        C{limit_except} that of the location around it.

        @return: the text, its line, and the block that it stands in.
        """
        place: Block | None = block
        while place is not None:
            text = place.of(self.passOptions[name], name).target
            if text is not None:
                return text, place.nodes(f"{name}_pass")[0], place
            place = self.outer(place)
        raise LookupError(name)

    def fetcher(
        self,
        target: str,
        exchangeFactory: Callable[[Any], Any],
        node: Node,
        options: PassOptions | None = None,
        defaultPort: int = 0,
        tls: UpstreamTLS | LateTLS | None = None,
        account: Hashable = None,
    ) -> Fetcher:
        """
        What asks a group for responses that are wanted in memory.

        @param target: the group, or C{host[:port]}.
        @param exchangeFactory: makes the exchange of one request: the protocol.
        @param node: the line that needs it, for errors; the block that it stands in is
            the http block.
        @param options: time-outs, retries and so on.
        @raise ConfigError: there is no such group or host.
        """
        passing = self.passingAside(
            self.groups.named(target, defaultPort, node),
            exchangeFactory,
            options or PassOptions(),
            tls=tls,
            account=account,
        )
        return Fetcher(
            passing,
            self.block.of(LocationOptions).subrequestOutputBufferSize,
            self.errorLog(self.block),
        )

    def passingAside(
        self,
        group: UpstreamGroup,
        exchangeFactory: Callable[[Any], Any],
        options: PassOptions,
        *,
        bind: Value | None = None,
        tls: UpstreamTLS | LateTLS | None = None,
        account: Hashable = None,
    ) -> Passing:
        """
        A way to a group for requests that are not clients' of ours: what the server
        says of passing its response on is not obeyed.
        """
        ignored = frozenset(name.lower().encode() for name in IGNORABLE)
        return self.passing(
            replace(options, ignoreHeaders=ignored, forceRanges=False),
            exchangeFactory,
            group,
            bind=bind,
            tls=tls,
            account=account,
        )

    def tlsLike(self, block: Block, name: str) -> LateTLS:
        """
        What makes connections secure as a location says for a dialect, once the first
        one has to be.
        """
        return LateTLS(lambda: self._upstreamTLS(block, name))

    def fetcherLike(self, block: Block, name: str) -> Fetcher:
        """
        The same for the constant C{*_pass} of a location, with all its options.
        """
        text, node, _ = self.passOf(block, name)
        dialect: Any = self.dialects[name]
        if text.constant is None:
            raise node.error("responses in memory need a server that is known")
        authority, port = dialect.authority(text.constant)
        return self.fetcher(
            authority.decode("utf-8", "surrogateescape"),
            dialect.exchangeFactory(block, self),
            node,
            block.of(self.passOptions[name], name),
            port,
            self.tlsOf(dialect, text, block, name),
            dialect.account(block),
        )

    def passedBy(self, block: Block) -> str:
        """
        The dialect whose C{*_pass} stands in a block itself; empty: none.
        """
        for name, options in self.passOptions.items():
            if block.of(options, name).target is not None:
                return name
        return ""

    @staticmethod
    def outer(block: Block) -> Block | None:
        """
        What the inside of an C{if} or C{limit_except} is in; C{None} for others.
        """
        inner = Where.IF | Where.LIMIT_EXCEPT
        return block.parent if block.where & inner else None

    def tlsOf(
        self, dialect: Any, text: Template, block: Block, name: str
    ) -> UpstreamTLS | LateTLS | None:
        """
        What makes connections of a C{*_pass} secure, if they may have to be.
        """
        mayBeSecure = getattr(dialect, "mayBeSecure", None)
        secure = False if mayBeSecure is None else mayBeSecure(text.text)
        if secure is False:
            return None
        tls = self.tlsLike(block, name)
        return tls.get() if secure or hasTLSOptions(block, name) else tls

    def _upstreamTLS(self, block: Block, name: str) -> UpstreamTLS:
        from ..upstream.tls import UpstreamTLS

        return UpstreamTLS(block, name, self.tls)

    def passing(
        self,
        options: PassOptions,
        exchangeFactory: Callable[[Any], Any],
        group: UpstreamGroup | None,
        *,
        target: Value | None = None,
        bind: Value | None = None,
        limitRate: Value | None = None,
        tempPath: str | None = None,
        tls: UpstreamTLS | LateTLS | None = None,
        account: Hashable = None,
    ) -> Passing:
        """
        A way to a group.

        @param group: C{None}: where C{target}, taken for each request, leads.
        @param account: whose idle connections may be used.
        """
        return Passing(
            options,
            exchangeFactory,
            group,
            self.groups,
            dial=self._dial,
            factory=self.factory,
            deadlines=self.served.deadlines,
            seconds=self.served.seconds,
            target=target,
            bind=bind,
            limitRate=limitRate,
            tempPath=tempPath,
            tls=tls,
            account=account,
        )

    # ---- all of it ------------------------------------------------------------------

    def defineVariables(self) -> None:
        """
        Those of requests, of phases and of dialects.
        """
        variables = self.variables
        addVariables(variables)
        addUpstreamVariables(variables)
        addProxyProtocolVariables(variables, lambda request: request.connection.proxied)
        variables.add(limits.variables())
        variables.add(select.variables())
        variables.add(tlsVariables(lambda request: request.connection.tls))
        for name in self.dialects:
            with self.collecting():
                self._dialectVariables(name)

    def _dialectVariables(self, name: str) -> None:
        try:
            dialect: Any = self.dialects[name]
        except plugins.PluginError:
            # It is complained of where it is used.
            return
        variables = getattr(dialect, "variables", None)
        if variables is not None:
            self.variables.add(variables())

    def defineLimits(self) -> None:
        """
        Make the zones of C{limit_conn} and C{limit_req}.
        """
        self.limits = limits.Limits(self.block, self)

    def defineGroup(self, block: Block) -> None:
        """
        Make a group of servers.
        """
        self.groups.define(block, 80)

    def defineServer(self, block: Block) -> None:
        """
        Make a virtual server and its locations.
        """
        names = namesOf(block)
        root = buildLocation(block, "", self)
        locations, named = buildLocations(block, self)
        name = names[0][0].removeprefix(".") if names else ""
        connection = block.of(ConnectionOptions)
        server = Server(
            name, root, locations, headLimits(connection), connection.headerTimeout
        )
        server.named = named
        server.mergeSlashes = connection.mergeSlashes
        server.postRead = compileRealip(block, self)
        with self.collecting():
            server.rewrite = compileRewrite(block, self)
        lines = block.of(ServerOptions).listens
        if not lines:
            sockaddr = inetSockaddr("0.0.0.0", defaultPort())
            lines = (ListenLine(node=block.node, sockaddrs=(sockaddr,)),)

        def make(sockaddr: Sockaddr, line: ListenLine) -> Socket:
            address = Address(sockaddrName(sockaddr), server)
            return Socket(sockaddr, address, isDatagram=False)

        self.listen(server, block, lines, names, make)

    def bindTLS(self, found: Socket) -> None:
        """
        Let an address speak TLS, if it has to.

        nginx: ngx_http_ssl_init()
        """
        if found.tls is None:
            return
        from .tls import HTTPTLS, AddressTLS

        protocols = (b"http/1.1", b"http/1.0", b"http/0.9")
        tls = found.address.tls = AddressTLS(self.tls.turns)
        for server, made in self.serversTLS(
            found, "HTTP", lambda block: protocols
        ).items():
            size = found.servers[server].of(HTTPTLSOptions).bufferSize
            tls.servers[server] = HTTPTLS(made, size)
