"""
From the C{stream} block to what serves it.

nginx: C{ngx_stream_block()}, C{ngx_stream_optimize_servers()}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config.directive import Where
from ..limits.connections import ConnectionLimits
from ..net.sockaddr import Sockaddr, sockaddrName
from ..tls.variables import tlsVariables
from ..upstream.build import BlockBuild, Given
from ..upstream.listening import ListeningAddress, namesOf
from ..upstream.proxy_protocol import addProxyProtocolVariables
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
    from ..config.syntax import Node
    from ..net.dialer import SocketDialer
    from ..net.listen import ListenLine
    from ..upstream.served import Served
    from .upstream_tls import StreamUpstreamTLS


class StreamSocket(ListeningAddress[StreamServer]):
    """
    A listening address of stream.
    """

    address: StreamAddress

    def makeFactory(self, served: Served) -> TCPFactory | UDPFactory:
        """
        What makes the sessions.
        """
        if self.isDatagram:
            return UDPFactory(served, self.address)
        return TCPFactory(served, self.address)


class StreamBuild(BlockBuild[StreamSocket]):
    """
    One C{stream} block being built.
    """

    groupPlace = Where.STREAM_UPSTREAM
    serverPlace = Where.STREAM_SERVER

    def __init__(
        self,
        block: Block,
        given: Given,
        *,
        served: Served,
        dialer: SocketDialer,
        findTaker: Callable[[Sockaddr], Callable[..., None] | None],
    ) -> None:
        """
        @param findTaker: who takes the connections of a listening address, for C{pass}.
        """
        super().__init__(block, given)
        self.served = served
        self._dialer = dialer
        self._findTaker = findTaker
        self._limits: ConnectionLimits | None = None

    def defineVariables(self) -> None:
        """
        Those of sessions and of their phases.
        """
        addVariables(self.variables)
        self.variables.add(limits.variables())
        addProxyProtocolVariables(self.variables, lambda session: session.proxied)
        self.variables.add(tlsVariables(tlsOf))
        self.variables.add(PREREAD_VARIABLES)

    def defineLimits(self) -> None:
        """
        Make the zones of C{limit_conn}.
        """
        self._limits = ConnectionLimits(self.block, self, "stream")

    def defineGroup(self, block: Block) -> None:
        """
        Make a group of servers.
        """
        self.groups.defineStream(block)

    def defineServer(self, block: Block) -> None:
        """
        Make a virtual server.
        """
        options = block.of(StreamServerOptions)
        if not options.listens:
            node = block.node
            raise node.error(
                f'no "listen" is defined for server in {node.path}:{node.line}'
            )
        names = namesOf(block) or [("", block.node)]
        server = StreamServer(
            names[0][0].removeprefix("."),
            block.of(StreamOptions),
            self.errorLog(block),
        )
        with self.collecting():
            server.resolver = self.resolverOf(block)
        if self.accessLogs is not None:
            with self.collecting():
                server.accessLogs = self.accessLogs.compile(block)
        with self.collecting():
            server.phases[POST_ACCEPT] = compileRealip(block)
        with self.collecting():
            server.phases[SETS] = compileSet(block, self)
        if self._limits is not None:
            with self.collecting():
                server.phases[LIMITS] = compileLimits(
                    block, self._limits, self.served.soon
                )
        with self.collecting():
            server.phases[ACCESS] = compileAccess(block)
        with self.collecting():
            self._bindContent(server, block)

        def make(sockaddr: Sockaddr, line: ListenLine) -> StreamSocket:
            address = StreamAddress(sockaddrName(sockaddr), server)
            return StreamSocket(sockaddr, address, line.udp)

        self.listen(server, block, options.listens, names, make)

    def bindTLS(self, found: StreamSocket) -> None:
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
            server.phases[TLS] = handshakePhase
            tls.handshakeTimeouts[server] = block.of(StreamTLSOptions).handshakeTimeout
        tls.servers.update(
            self.serversTLS(
                found,
                "STREAM",
                lambda block: block.of(StreamTLSOptions).protocolNames,
            )
        )

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
            uploadRate=self.compileIfAny(options.uploadRate, node),
            downloadRate=self.compileIfAny(options.downloadRate, node),
            dialer=self._dialer,
            factory=self.factory,
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
