"""
From the C{http} block to what serves it: the composition of servers and locations.

nginx: C{ngx_http_block()}, C{ngx_http_init_locations()},
C{ngx_http_optimize_servers()}
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import plugins
from ..access_log import AccessLogs
from ..config.build import Block
from ..config.directive import Where
from ..config.regex import compileMatcher
from ..config.syntax import ConfigError, Node, Problem
from ..config.values import Template
from ..interfaces import IDialect
from ..limits.zones import Tables
from ..logs import ErrorLogOptions
from ..maps.names import addNames
from ..net.listen import ListenLine, Protocols
from ..net.sockaddr import Sockaddr, inetSockaddr, sockaddrName
from ..tls.options import HTTPTLSOptions, checkCertificates
from ..tls.variables import tlsVariables
from ..upstream.fetch import Fetcher
from ..upstream.group import UpstreamGroup, UpstreamGroups
from ..upstream.options import IGNORABLE, PassOptions, passOptionsOf
from ..upstream.passing import Passing
from ..upstream.proxy_protocol import addProxyProtocolVariables
from ..upstream.resolve import Resolvers
from ..upstream.tls_options import LateTLS, hasTLSOptions
from ..upstream.variables import addVariables as addUpstreamVariables
from ..variables import Value, Variables
from ..wire.http1 import HeadLimits
from ..wire.proxy_protocol import readProxyHeader
from .browsers import compileDisabled
from .factory import HTTPServerFactory
from .filters import Filters
from .listen import ServerOptions, defaultPort
from .location import Location, Locations
from .options import ConnectionOptions, LocationOptions
from .phases import limits, select
from .phases.access import compileAccess, compileLimitExcept, isInternal
from .phases.error_page import ErrorPageOptions, compileErrorPages, signature
from .phases.gunzip import compileGunzip
from .phases.gzip import compileGzip
from .phases.headers import compileHeaders, compileTrailers
from .phases.paths import compilePaths
from .phases.realip import compileRealip, forwardedFor
from .phases.rewrite import compileRewrite
from .phases.session_sticky import compileSessionSticky
from .phases.ssi import compileSSI
from .phases.static import compileStatic
from .phases.try_files import compileTryFiles
from .routing import Address, ServedBy, Server
from .variables import addVariables

if TYPE_CHECKING:
    from ..config.regex import Matcher
    from ..logs import Logs
    from ..tls.build import TLSBuild
    from ..upstream.connection import UpstreamFactory
    from ..upstream.group import Surroundings
    from ..upstream.picks import Picks
    from ..upstream.tls import UpstreamTLS


class Socket:
    """
    A listening address and what was said of its socket.
    """

    isDatagram = False

    def __init__(self, sockaddr: Sockaddr, address: Address) -> None:
        self.sockaddr = sockaddr
        self.address = address
        self.line: ListenLine | None = None
        self.protocols = Protocols()
        #: Who is served there.
        self.servers: dict[Server, Block] = {}
        #: The first line that says C{ssl}.
        self.tls: ListenLine | None = None

    def makeFactory(self, served: Any) -> HTTPServerFactory:
        """
        What makes the protocols of its connections.
        """
        return HTTPServerFactory(served, self.address)


class HTTPBuild:
    """
    One C{http} block being built.

    Phases and dialects get it as C{build}: to compile texts, to find the location of an
    inner block, and for the paths and the clock.

    @ivar prefix: the directory that relative paths of files are under.
    @ivar seconds: seconds since 1970.
    @ivar sockets: the listening addresses, once built.
    @ivar groups: all groups of servers.
    @ivar picks: servers chosen for others, by group in lower case.
    """

    def __init__(
        self,
        block: Block,
        *,
        prefix: str,
        directory: str,
        logs: Logs,
        served: ServedBy,
        variables: Variables,
        surroundings: Surroundings,
        factory: UpstreamFactory,
        dial: Callable[..., Callable[[], None]],
        makeResolver: Callable[[Sequence[str], Node, float], Any],
        tables: Tables | None = None,
    ) -> None:
        """
        @param directory: that of the configuration, which files of TLS are under.
        @param dial: opens connections to servers.
        @param tables: what C{limit_conn} and C{limit_req} have counted so far.
        @param makeResolver: takes the words and the line of C{resolver}, and its
            time-out in seconds.
        """
        self.block = block
        self.prefix = prefix
        self.seconds: Callable[[], float] = time.time
        self.variables = variables
        self.served = served
        self.sockets: list[Socket] = []
        self.resolvers = Resolvers(makeResolver)
        self.tempPaths: set[str] = set()
        self.picks: dict[str, Picks] = {}
        self._logs = logs
        self._factory = factory
        self._dial = dial
        self._tables = Tables() if tables is None else tables
        self._limits: limits.Limits | None = None
        self._problems: list[Problem] = []
        self._accessLogs: AccessLogs | None = None
        self._made: dict[Block, Location] = {}
        self._dialects = plugins.find(IDialect)
        self._passOptions = {
            name: passOptionsOf(self._dialects, name) for name in self._dialects
        }
        self.groups = UpstreamGroups(
            surroundings, self.compile, prefix, self._findResolver
        )
        self._clock = surroundings.clock
        self._directory = directory
        self._tls: TLSBuild | None = None

    @property
    def tls(self) -> TLSBuild:
        """
        What all TLS of a configuration shares.  OpenSSL is imported with it: only who
        uses it asks.
        """
        if self._tls is None:
            from ..tls.build import TLSBuild

            self._tls = TLSBuild(self.block, self._directory, self._clock, self.compile)
        return self._tls

    @property
    def locations(self) -> Iterable[Location]:
        """
        All locations, and what stands for one: servers, C{if} and C{limit_except}.
        """
        return self._made.values()

    # ---- what phases and dialects ask -----------------------------------------------

    def compile(self, text: Template | str, node: Node) -> Value:
        """
        Compile a text with variables.
        """
        return self.variables.compile(text, node)

    def compileMatcher(
        self, text: str, node: Node, ignoreCase: bool = False
    ) -> Matcher:
        """
        Compile a regular expression; its named groups become variables.
        """
        return compileMatcher(text, node, self, ignoreCase)

    def locationFor(self, block: Block) -> Location:
        """
        The location that the inside of an C{if} or C{limit_except} makes.
        """
        found = self._made.get(block)
        if found is None:
            outer = self.outer(block)
            name = "" if outer is None else _nameOf(outer)
            found = self._location(block, name)
        return found

    def passOf(self, block: Block, name: str) -> tuple[Template, Node, Block]:
        """
        The C{*_pass} that counts in a block: its own, or inside of an C{if} or a
        C{limit_except} that of the location around it.

        @return: the text, its line, and the block that it stands in.
        """
        place: Block | None = block
        while place is not None:
            text = place.of(self._passOptions[name], name).target
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
            self._logs.errorLog(self.block.of(ErrorLogOptions).errorLog),
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
        return self._passingTo(
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
        dialect: Any = self._dialects[name]
        if text.constant is None:
            raise node.error("responses in memory need a server that is known")
        authority, port = dialect.authority(text.constant)
        return self.fetcher(
            authority.decode("utf-8", "surrogateescape"),
            dialect.exchangeFactory(block, self),
            node,
            block.of(self._passOptions[name], name),
            port,
            self._tlsOf(dialect, text, block, name),
            dialect.account(block),
        )

    def passedBy(self, block: Block) -> str:
        """
        The dialect whose C{*_pass} stands in a block itself; empty: none.
        """
        for name, options in self._passOptions.items():
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

    # ---- all of it ------------------------------------------------------------------

    @contextmanager
    def _collecting(self) -> Iterator[None]:
        """
        Go on after a mistake, to find the others.
        """
        try:
            yield
        except ConfigError as e:
            self._problems += [p for p in e.problems if p not in self._problems]

    def build(self) -> None:
        """
        Build everything.

        @raise ConfigError: with every mistake there is.
        """
        from ..maps.define import defineMaps

        variables = self.variables
        addVariables(variables)
        addUpstreamVariables(variables)
        addProxyProtocolVariables(variables, lambda request: request.connection.proxied)
        variables.add(limits.variables())
        variables.add(select.variables())
        variables.add(tlsVariables(lambda request: request.connection.tls))
        for name in self._dialects:
            with self._collecting():
                self._dialectVariables(name)
        with self._collecting():
            defineMaps(self.block, self, forwardedFor)
        with self._collecting():
            self._accessLogs = AccessLogs(
                self.block, self._logs, variables, self.prefix, combined=True
            )
        with self._collecting():
            self._limits = limits.Limits(self.block, self, self._tables)
        blocks = self.block.inner
        for block in blocks:
            if block.where is Where.UPSTREAM:
                with self._collecting():
                    self.groups.define(block, 80)
        addresses: dict[Sockaddr, Socket] = {}
        for block in blocks:
            if block.where is Where.SERVER:
                with self._collecting():
                    self._server(block, addresses)
        for each in addresses.values():
            if each.tls is not None:
                with self._collecting():
                    self._bindTLS(each)
        self.sockets = list(addresses.values())
        for error in variables.check():
            self._problems += error.problems
        if self._problems:
            raise ConfigError(self._problems)

    def _dialectVariables(self, name: str) -> None:
        try:
            dialect: Any = self._dialects[name]
        except plugins.PluginError:
            # It is complained of where it is used.
            return
        variables = getattr(dialect, "variables", None)
        if variables is not None:
            self.variables.add(variables())

    # ---- servers --------------------------------------------------------------------

    def _server(self, block: Block, addresses: dict[Sockaddr, Socket]) -> None:
        options = block.of(ServerOptions)
        names = [
            socket.gethostname().lower() if name == "$hostname" else name
            for line in options.names
            for name in line
        ]
        root = self._location(block, "")
        locations = self._locations(block)
        name = names[0].removeprefix(".") if names else ""
        server = Server(name, root, locations)
        server.named = self._named
        server.mergeSlashes = block.of(ConnectionOptions).mergeSlashes
        server.postRead = compileRealip(block, self)
        with self._collecting():
            server.rewrite = compileRewrite(block, self)
        lines = options.listens
        if not lines:
            sockaddr = inetSockaddr("0.0.0.0", defaultPort())
            lines = (ListenLine(node=block.node, sockaddrs=(sockaddr,)),)
        seen: set[Sockaddr] = set()
        said = [(name, block.nodes("server_name")[0]) for name in names]
        for line in lines:
            for sockaddr in line.sockaddrs:
                if sockaddr in seen:
                    raise line.node.error(f"a duplicate listen {line.node.words[0]}")
                seen.add(sockaddr)
                address = self._address(sockaddr, line, server, block, addresses)
                addNames(
                    address,
                    said,
                    server,
                    address=address.name,
                    compileMatcher=partial(self.compileMatcher, ignoreCase=True),
                )

    def _address(
        self,
        sockaddr: Sockaddr,
        line: ListenLine,
        server: Server,
        block: Block,
        addresses: dict[Sockaddr, Socket],
    ) -> Address:
        found = addresses.get(sockaddr)
        if found is None:
            name = sockaddrName(sockaddr)
            connection = block.of(ConnectionOptions)
            found = Socket(
                sockaddr,
                Address(name, server, _limits(connection), connection.headerTimeout),
            )
            found.isDefault = line.isDefault  # type: ignore[attr-defined]
            addresses[sockaddr] = found
        elif line.isDefault:
            if found.isDefault:  # type: ignore[attr-defined]
                raise line.node.error(
                    f"a duplicate default server for {line.node.words[0]}"
                )
            connection = block.of(ConnectionOptions)
            found.isDefault = True  # type: ignore[attr-defined]
            found.address.default = server
            found.address.limits = _limits(connection)
            found.address.headerTimeout = connection.headerTimeout
        if line.options is not None:
            if found.line is not None:
                raise line.node.error(
                    f"duplicate listen options for {line.node.words[0]}"
                )
            found.line = line
        found.protocols.add(line, found.address.name)
        if line.proxyProtocol:
            found.address.proxyProtocol = readProxyHeader
        found.servers[server] = block
        if line.tls and found.tls is None:
            found.tls = line
        return found.address

    def _bindTLS(self, found: Socket) -> None:
        """
        Let an address speak TLS.

        nginx: ngx_http_ssl_init()
        """
        from .tls import HTTPTLS, AddressTLS

        assert found.tls is not None
        address = found.address
        tls = address.tls = AddressTLS(self.tls.turns)
        for server, block in found.servers.items():
            with self._collecting():
                made = self.tls.server(
                    block, "HTTP", (b"http/1.1", b"http/1.0", b"http/0.9")
                )
                tls.servers[server] = HTTPTLS(made, block.of(HTTPTLSOptions).bufferSize)
        default = tls.servers.get(address.default)
        if default is None:
            return
        checkCertificates(
            default.tls, [each.tls for each in tls.servers.values()], found.tls.node
        )

    # ---- locations ------------------------------------------------------------------

    _named: dict[str, Location]

    def _locations(self, block: Block) -> Locations:
        """
        The locations of a server.
        """
        self._named = {}
        return self._level(block, None)

    def _level(self, block: Block, outer: str | None) -> Locations:
        level = Locations()
        for inner in block.inner:
            if inner.where is Where.LOCATION:
                with self._collecting():
                    self._addLocation(inner, level, outer)
        level.bind()
        return level

    def _addLocation(self, block: Block, level: Locations, outer: str | None) -> None:
        node = block.node
        modifier, name = _modifier(node)
        regex = modifier in ("~", "~*")
        if outer is not None:
            if name.startswith("@") and not regex:
                raise node.error(
                    f'named location "{name}" can be on the server level only'
                )
            if not regex and not name.startswith(outer):
                raise node.error(f'location "{name}" is outside location "{outer}"')
        if regex:
            # Named groups are variables that the inside may use.
            matches = self.compileMatcher(name, node, modifier == "~*")
            location = self._location(block, name)
            level.addRegex(matches, location)
        else:
            location = self._location(block, name)
            if name.startswith("@"):
                added = self._named.setdefault(name, location) is location
            elif modifier == "=":
                added = level.addExact(location)
            else:
                added = level.addPrefix(location, modifier == "^~")
            if not added:
                raise node.error(f'duplicate location "{name}"')
        if any(inner.where is Where.LOCATION for inner in block.inner):
            if modifier == "=":
                raise node.error(
                    f'location "{name}" cannot be inside the exact location "{name}"'
                )
            prefix = None if regex or name.startswith("@") else name
            level.addInner(location, self._level(block, prefix))

    def _location(self, block: Block, name: str) -> Location:
        options = block.of(LocationOptions)
        location = Location(block, name, options)
        self._made[block] = location
        # What errors are answered with must be there whatever else is wrong.
        location.errorLog = self._logs.errorLog(block.of(ErrorLogOptions).errorLog)
        location.server = signature(block)
        with self._collecting():
            location.errorPages = compileErrorPages(block, self)
            pages = block.of(ErrorPageOptions).errorPages
            location.errorPageStatuses = frozenset(
                status for line in pages for status in line.statuses
            )
        with self._collecting():
            location.editHead = compileHeaders(block, self)
        with self._collecting():
            location.trailers = compileTrailers(block, self)
        made = [
            compile(block, self) for compile in (compileGunzip, compileSSI, compileGzip)
        ]
        factories = [each for each in made if each is not None]
        if factories:
            location.filters = Filters(factories)
        if self._accessLogs is not None:
            with self._collecting():
                location.accessLogs = self._accessLogs.compile(block)
        with self._collecting():
            location.limitExcept = compileLimitExcept(block, self)
        location.internal = isInternal(block)
        self._bindLimits(location, options, block)
        with self._collecting():
            paths = compilePaths(block, self)
            location.documentRoot, location.filename = paths.root, paths.path
        with self._collecting():
            self._bindResolver(location, options, block)
        phases: list[Callable[[Any], bool] | None] = []
        compilers: list[Callable[[Block, Any], Callable[[Any], bool] | None]] = []
        if block.where is not Where.SERVER:
            compilers += [compileRealip, compileRewrite]
        if self._limits is not None:
            compilers += [self._limits.compileRequests, self._limits.compileConnections]
        compilers += [compileSessionSticky, compileAccess, compileTryFiles]
        for compilePhase in compilers:
            with self._collecting():
                phases.append(compilePhase(block, self))
        location.phases = tuple(phase for phase in phases if phase is not None)
        with self._collecting():
            self._bindContent(location, block)
        return location

    def _bindLimits(
        self, location: Location, options: LocationOptions, block: Block
    ) -> None:
        location.disablesKeepalive = compileDisabled(options.keepaliveDisable)
        location.disablesAlways = "safari" in options.keepaliveDisable
        location.bodyTempPath = self._tempPath(options.bodyTempPath[0])
        with self._collecting():
            if options.limitRate is not None:
                location.limitsRate = self.compile(options.limitRate, block.node)
            if options.limitRateAfter is not None:
                location.limitsRateAfter = self.compile(
                    options.limitRateAfter, block.node
                )
            if options.earlyHints:
                location.earlyHints = self._anyTrue(options.earlyHints, block.node)

    def _anyTrue(self, texts: Sequence[str], node: Node) -> Callable[[Any], bool]:
        values = [self.compile(text, node) for text in texts]
        return lambda request: any(
            value(request) not in (b"", b"0") for value in values
        )

    def _bindResolver(
        self, location: Location, options: LocationOptions, block: Block
    ) -> None:
        if not options.resolver:
            return
        place: Block | None = block
        while place is not None and not place.nodes("resolver"):
            place = place.parent
        node = block.node if place is None else place.nodes("resolver")[0]
        location.resolver = self.resolvers.of(
            options.resolver, options.resolverTimeout, node
        )

    def _findResolver(
        self, words: Sequence[str], timeout: float | None, node: Node
    ) -> tuple[Any, float]:
        """
        The resolver of a group that says this; where it says nothing, that of
        C{http}.
        """
        outer = self.block.of(LocationOptions)
        lines = self.block.nodes("resolver")
        seconds = outer.resolverTimeout if timeout is None else timeout
        if words:
            return self.resolvers.of(words, seconds, node), seconds
        if not lines:
            return None, seconds
        found = self.resolvers.of(outer.resolver, outer.resolverTimeout, lines[0])
        return found, seconds

    def _tempPath(self, path: str) -> str:
        full = os.path.join(self.prefix, path)
        self.tempPaths.add(full)
        return full

    # ---- content --------------------------------------------------------------------

    def _bindContent(self, location: Location, block: Block) -> None:
        content = select.compileSelect(block, self)
        if content is not None:
            location.content = content
            return
        for name in self._dialects:
            try:
                self.passOf(block, name)
            except LookupError:
                continue
            location.content = self._passing(block, name)
            text = block.of(self._passOptions[name], name).target
            named = location.name
            if (
                text is not None
                and named.endswith("/")
                and block.where == Where.LOCATION
            ):
                modifier, _ = _modifier(block.node)
                location.autoRedirect = modifier not in ("~", "~*")
            return
        location.content = compileStatic(block, self)

    def _passing(self, block: Block, name: str) -> Callable[[Any], None]:
        text, node, _ = self.passOf(block, name)
        try:
            dialect: Any = self._dialects[name]
        except plugins.PluginError as e:
            raise node.error(str(e)) from None
        options = block.of(self._passOptions[name], name)
        factory = dialect.exchangeFactory(block, self)
        group: UpstreamGroup | None = None
        target: Value | None = None
        constant = text.constant
        if constant is None:
            target = self.compile(text, node)
        else:
            try:
                authority, port = dialect.authority(constant)
            except ValueError as e:
                raise node.error(str(e)) from None
            group = self.groups.named(
                authority.decode("utf-8", "surrogateescape"), port, node
            )
        path = options.tempPath[0] if options.tempPath else f"{name}_temp"
        passing = self._passingTo(
            options,
            factory,
            group,
            target=target,
            bind=self._compiled(options.bind, block),
            limitRate=self._compiled(options.limitRate, block),
            tempPath=self._tempPath(path) if options.maxTempFileSize else None,
            tls=self._tlsOf(dialect, text, block, name),
            account=dialect.account(block),
        )
        if dialect.methods is None:
            return passing.handle
        return _only(dialect.methods, passing)

    def _tlsOf(
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

    def _passingTo(
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
        return Passing(
            options,
            exchangeFactory,
            group,
            self.groups,
            dial=self._dial,
            factory=self._factory,
            deadlines=self.served.deadlines,
            seconds=self.served.seconds,
            target=target,
            bind=bind,
            limitRate=limitRate,
            tempPath=tempPath,
            tls=tls,
            account=account,
        )

    def _compiled(self, text: Template | None, block: Block) -> Value | None:
        return None if text is None else self.compile(text, block.node)


def _only(methods: frozenset[bytes], passing: Passing) -> Callable[[Any], None]:
    """
    Content for requests with some methods, without their bodies; others are not
    allowed.
    """
    handle = passing.handle

    def content(request: Any) -> None:
        if request.method not in methods:
            request.failResponse(405)
        elif request.body is None:
            handle(request)
        else:
            passing.handleBodiless(request)

    return content


def _limits(options: ConnectionOptions) -> HeadLimits:
    count, each = options.largeBuffers
    return HeadLimits(
        headerBufferSize=options.headerBufferSize,
        largeBufferCount=count,
        largeBufferSize=each,
        maxHeaders=options.maxHeaders,
        ignoreInvalidHeaders=options.ignoreInvalidHeaders,
        underscoresInHeaders=options.underscoresInHeaders,
        mergeSlashes=options.mergeSlashes,
    )


def _modifier(node: Node) -> tuple[str, str]:
    """
    The modifier and the name of a C{location}.

    @raise ConfigError: the modifier is unknown.
    """
    words = node.words
    if len(words) == 2:
        if words[0] not in ("=", "~", "~*", "^~"):
            raise node.error(f'invalid location modifier "{words[0]}"', word=0)
        return words[0], words[1]
    for modifier in ("=", "^~", "~*", "~"):
        if words[0].startswith(modifier):
            return modifier, words[0].removeprefix(modifier)
    return "", words[0]


def _nameOf(block: Block) -> str:
    """
    The name of the location that C{block} is, or is inside of.
    """
    place: Block | None = block
    while place is not None and place.where is not Where.LOCATION:
        place = place.parent
    return "" if place is None else _modifier(place.node)[1]
