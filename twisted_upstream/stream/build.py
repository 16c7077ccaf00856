"""
From the C{stream} block to what serves it.

nginx: C{ngx_stream_block()}, C{ngx_stream_optimize_servers()}
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ..access_log import AccessLogs
from ..config.directive import Where
from ..config.regex import compileMatcher
from ..config.syntax import ConfigError, Node, Problem
from ..limits.connections import ConnectionLimits
from ..limits.zones import Tables
from ..logs import ErrorLogOptions
from ..maps.define import defineMaps
from ..maps.names import addNames
from ..net.listen import Protocols
from ..net.sockaddr import Sockaddr, sockaddrName
from ..tls.options import checkCertificates
from ..tls.variables import tlsVariables
from ..upstream.group import UpstreamGroups
from ..upstream.proxy_protocol import addProxyProtocolVariables
from ..upstream.resolve import Resolvers
from . import limits
from .access import compileAccess
from .content import StreamContentOptions, compilePass, compileReturn, compileSet
from .limits import compileLimits
from .listen import StreamServerOptions
from .options import StreamOptions
from .proxy import StreamProxy, StreamProxyOptions
from .realip import compileRealip
from .routing import (
    ACCESS,
    LIMITS,
    POST_ACCEPT,
    PREREAD,
    SETS,
    TLS,
    StreamAddress,
    StreamServer,
)
from .tcp import TCPFactory
from .tls_options import StreamProxyTLSOptions, StreamTLSOptions
from .udp import UDPFactory
from .variables import PREREAD_VARIABLES, addVariables, tlsOf

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.regex import Matcher
    from ..config.values import Template
    from ..logs import Logs
    from ..net.dialer import SocketDialer
    from ..net.listen import ListenLine
    from ..tls.build import TLSBuild
    from ..upstream.connection import UpstreamFactory
    from ..upstream.group import Surroundings
    from ..upstream.served import Served
    from ..variables import Value, Variables
    from .upstream_tls import StreamUpstreamTLS


class StreamSocket:
    """
    A listening address and what was said of its socket.
    """

    def __init__(
        self, sockaddr: Sockaddr, address: StreamAddress, isDatagram: bool
    ) -> None:
        self.sockaddr = sockaddr
        self.isDatagram = isDatagram
        self.address = address
        self.line: ListenLine | None = None
        self.protocols = Protocols()
        self.hasDefault = False
        self.servers: dict[StreamServer, Block] = {}
        #: The first line that says C{ssl}.
        self.tls: ListenLine | None = None

    def makeFactory(self, served: Any) -> TCPFactory | UDPFactory:
        """
        What makes the sessions.
        """
        if self.isDatagram:
            return UDPFactory(served, self.address)
        return TCPFactory(served, self.address)


class StreamBuild:
    """
    One C{stream} block being built.

    Phases and contents get it as C{build}: to compile texts, and for the paths and
    the clock.

    @ivar prefix: the directory that relative paths of files are under.
    @ivar seconds: seconds since 1970.
    @ivar sockets: the listening addresses, once built.
    @ivar groups: all groups of servers.
    """

    def __init__(
        self,
        block: Block,
        *,
        prefix: str,
        directory: str,
        logs: Logs,
        served: Served,
        variables: Variables,
        surroundings: Surroundings,
        factory: UpstreamFactory,
        dialer: SocketDialer,
        findTaker: Callable[[Sockaddr], Callable[..., None] | None],
        makeResolver: Callable[[Sequence[str], Node, float], Any],
        tables: Tables | None = None,
    ) -> None:
        """
        @param directory: that of the configuration, which files of TLS are under.
        @param findTaker: who takes the connections of a listening address, for C{pass}.
        @param makeResolver: takes the words and the line of C{resolver}, and its
            time-out in seconds.
        @param tables: what C{limit_conn} counts, over all configurations.
        """
        self._tables = Tables() if tables is None else tables
        self._limits: ConnectionLimits | None = None
        self.block = block
        self.prefix = prefix
        self.seconds: Callable[[], float] = time.time
        self.variables = variables
        self.served = served
        self.sockets: list[StreamSocket] = []
        self.resolvers = Resolvers(makeResolver)
        self.tempPaths: set[str] = set()
        self._logs = logs
        self._factory = factory
        self._dialer = dialer
        self._findTaker = findTaker
        self._accessLogs: AccessLogs | None = None
        self._problems: list[Problem] = []
        self.groups = UpstreamGroups(
            surroundings, self.compile, prefix, self._findResolver
        )
        self._clock = surroundings.clock
        self._tls: TLSBuild | None = None
        self._directory = directory

    # ---- what phases and contents ask -----------------------------------------------

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
        addVariables(self.variables)
        self.variables.add(limits.variables())
        addProxyProtocolVariables(self.variables, lambda session: session.proxied)
        self.variables.add(tlsVariables(tlsOf))
        self.variables.add(PREREAD_VARIABLES)
        with self._collecting():
            defineMaps(self.block, self)
        with self._collecting():
            self._accessLogs = AccessLogs(
                self.block, self._logs, self.variables, self.prefix, combined=False
            )
        with self._collecting():
            self._limits = ConnectionLimits(self.block, self, self._tables, "stream")
        blocks = self.block.inner
        for block in blocks:
            if block.where is Where.STREAM_UPSTREAM:
                with self._collecting():
                    self.groups.defineStream(block)
        addresses: dict[tuple[Sockaddr, bool], StreamSocket] = {}
        for block in blocks:
            if block.where is Where.STREAM_SERVER:
                with self._collecting():
                    self._server(block, addresses)
        for found in addresses.values():
            with self._collecting():
                self._bindTLS(found)
        self.sockets = list(addresses.values())
        for error in self.variables.check():
            self._problems += error.problems
        if self._problems:
            raise ConfigError(self._problems)

    # ---- servers --------------------------------------------------------------------

    def _server(
        self, block: Block, addresses: dict[tuple[Sockaddr, bool], StreamSocket]
    ) -> None:
        options = block.of(StreamServerOptions)
        if not options.listens:
            node = block.node
            raise node.error(
                f'no "listen" is defined for server in {node.path}:{node.line}'
            )
        nodes = block.nodes("server_name")
        names = [
            (
                socket.gethostname().lower() if name.lower() == "$hostname" else name,
                node,
            )
            for node in nodes
            for name in node.words
        ] or [("", block.node)]
        server = StreamServer(
            names[0][0].removeprefix("."),
            block.of(StreamOptions),
            self._logs.errorLog(block.of(ErrorLogOptions).errorLog),
        )
        with self._collecting():
            self._bindResolver(server, block)
        if self._accessLogs is not None:
            with self._collecting():
                server.accessLogs = self._accessLogs.compile(block)
        with self._collecting():
            server.phases[POST_ACCEPT] = compileRealip(block)
        with self._collecting():
            server.phases[SETS] = compileSet(block, self)
        if self._limits is not None:
            with self._collecting():
                server.phases[LIMITS] = compileLimits(
                    block, self._limits, self.served.soon
                )
        with self._collecting():
            server.phases[ACCESS] = compileAccess(block)
        with self._collecting():
            self._bindContent(server, block)
        for line in options.listens:
            for sockaddr in line.sockaddrs:
                found = self._address(sockaddr, line, server, block, addresses)
                with self._collecting():
                    addNames(
                        found.address,
                        names,
                        server,
                        address=found.address.name,
                        compileMatcher=partial(self.compileMatcher, ignoreCase=True),
                    )

    def _address(
        self,
        sockaddr: Sockaddr,
        line: ListenLine,
        server: StreamServer,
        block: Block,
        addresses: dict[tuple[Sockaddr, bool], StreamSocket],
    ) -> StreamSocket:
        """
        nginx: C{ngx_stream_add_addresses()}
        """
        place = (sockaddr, line.udp)
        found = addresses.get(place)
        if found is None:
            address = StreamAddress(sockaddrName(sockaddr), server)
            found = addresses[place] = StreamSocket(sockaddr, address, line.udp)
        name = found.address.name
        if server in found.servers:
            raise line.node.error(f"a duplicate listen {name}")
        found.servers[server] = block
        if line.tls and found.tls is None:
            found.tls = line
        if line.options is not None:
            if found.line is not None:
                raise line.node.error(f"duplicate listen options for {name}")
            found.line = line
        if line.isDefault:
            if found.hasDefault:
                raise line.node.error(f"a duplicate default server for {name}")
            found.hasDefault = True
            found.address.default = server
        found.protocols.add(line, name)
        if line.proxyProtocol:
            found.address.proxyProtocol = True
        return found

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

    def _bindTLS(self, found: StreamSocket) -> None:
        """
        Let an address speak TLS, or listen to it.

        nginx: C{ngx_stream_ssl_init()}
        """
        prereads = [
            server
            for server, block in found.servers.items()
            if block.of(StreamTLSOptions).preread
        ]
        if found.tls is None and not prereads:
            return
        from .gate import StreamAddressTLS, handshakePhase, prereadPhase

        tls = found.address.tls = StreamAddressTLS(self.tls.turns)
        for server in prereads:
            server.phases[PREREAD] = prereadPhase
        if found.tls is None:
            return
        for server, block in found.servers.items():
            options = block.of(StreamTLSOptions)
            server.phases[TLS] = handshakePhase
            tls.handshakeTimeouts[server] = options.handshakeTimeout
            with self._collecting():
                tls.servers[server] = self.tls.server(
                    block, "STREAM", options.protocolNames
                )
        default = tls.servers.get(found.address.default)
        if default is not None:
            checkCertificates(default, tls.servers.values(), found.tls.node)

    def _bindResolver(self, server: StreamServer, block: Block) -> None:
        options = block.of(StreamOptions)
        if options.resolver:
            nodes = block.nodes("resolver") or self.block.nodes("resolver")
            server.resolver = self.resolvers.of(
                options.resolver, options.resolverTimeout, nodes[0]
            )

    def _findResolver(
        self, words: Sequence[str], timeout: float | None, node: Node
    ) -> tuple[Any, float]:
        """
        The resolver of a group that says this; where it says nothing, that of
        C{stream}.
        """
        outer = self.block.of(StreamOptions)
        lines = self.block.nodes("resolver")
        seconds = outer.resolverTimeout if timeout is None else timeout
        if words:
            return self.resolvers.of(words, seconds, node), seconds
        if not lines:
            return None, seconds
        found = self.resolvers.of(outer.resolver, outer.resolverTimeout, lines[0])
        return found, seconds

    def _bindContent(self, server: StreamServer, block: Block) -> None:
        """
        Of several contents the last one serves, as in nginx.
        """
        for node in block.node.block or ():
            if node.name == "proxy_pass":
                server.content = self._proxy(block, node).handle
            elif node.name == "return":
                text = block.of(StreamContentOptions).text
                assert text is not None
                server.content = compileReturn(text, node, self)
            elif node.name == "pass":
                text = block.of(StreamContentOptions).passTo
                assert text is not None
                server.content = compilePass(text, node, self, self._findTaker)

    def _proxy(self, block: Block, node: Node) -> StreamProxy:
        options = block.of(StreamProxyOptions)
        text = options.target
        assert text is not None
        group = None
        constant = text.constant
        if constant is not None:
            group = self.groups.named(
                constant.decode("utf-8", "surrogateescape"), 0, node
            )
        bind = options.bind
        return StreamProxy(
            options,
            group,
            self.groups,
            address=None if group is not None else self.compile(text, node),
            bind=None if bind is None else self.compile(bind.text, node),
            tls=self._upstreamTLS(block, node),
            uploadRate=self._compiled(options.uploadRate, node),
            downloadRate=self._compiled(options.downloadRate, node),
            dialer=self._dialer,
            factory=self._factory,
            seconds=self.served.seconds,
            tcpNodelay=block.of(StreamOptions).tcpNodelay,
        )

    def _upstreamTLS(self, block: Block, node: Node) -> StreamUpstreamTLS | None:
        options = block.of(StreamProxyTLSOptions)
        if not options.secure:
            return None
        from .upstream_tls import StreamUpstreamTLS

        names = tuple(self.compile(name, node) for name in options.protocolNames)
        return StreamUpstreamTLS(block, self.tls, names)

    def _compiled(self, text: Template | None, node: Node) -> Value | None:
        return None if text is None else self.compile(text, node)
