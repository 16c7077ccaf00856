"""
Listening addresses while a block is built: what the C{listen} lines of its servers say
of each.

nginx: C{ngx_http_add_addresses()}, C{ngx_stream_add_addresses()}
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..config.directive import Where, directive, words
from ..net.listen import ListenLine, Protocols

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node
    from ..net.sockaddr import Sockaddr

#: A virtual server.
S = TypeVar("S")


def listenDirective(where: Where, parse: Callable[[Node], ListenLine]) -> Any:
    """
    The field of C{listen}.
    """
    return directive(
        "listen",
        where,
        parse,
        arity=(1, None),
        repeat=True,
        default=(),
        doc="An address, and options of its socket.",
    )


def serverNameDirective(where: Where) -> Any:
    """
    The field of C{server_name}.
    """
    return directive(
        "server_name",
        where,
        words,
        arity=(1, None),
        repeat=True,
        default=(),
        doc="Names: exact, *.name, name.*, .name or ~expression.",
    )


def namesOf(block: Block) -> list[tuple[str, Node]]:
    """
    The names of a server, each with its line.
    """
    return [
        (socket.gethostname().lower() if name.lower() == "$hostname" else name, node)
        for node in block.nodes("server_name")
        for name in node.words
    ]


class ListeningAddress(Generic[S]):
    """
    A listening address and what was said of its socket.

    @ivar address: what chooses among its servers.
    @ivar line: the one with options of the socket.
    @ivar servers: who is served there, and the block of each.
    @ivar tls: the first line that says C{ssl}.
    """

    def __init__(self, sockaddr: Sockaddr, address: Any, isDatagram: bool) -> None:
        self.sockaddr = sockaddr
        self.address = address
        self.isDatagram = isDatagram
        self.line: ListenLine | None = None
        self.servers: dict[S, Block] = {}
        self.tls: ListenLine | None = None
        self._hasDefault = False
        self._protocols = Protocols()

    def add(self, line: ListenLine, server: S, block: Block) -> None:
        """
        One more line that names this address.

        @raise ConfigError: it contradicts another one.
        """
        name = self.address.name
        if server in self.servers:
            raise line.node.error(f"a duplicate listen {name}")
        self.servers[server] = block
        if line.tls and self.tls is None:
            self.tls = line
        if line.options is not None:
            if self.line is not None:
                raise line.node.error(f"duplicate listen options for {name}")
            self.line = line
        if line.isDefault:
            if self._hasDefault:
                raise line.node.error(f"a duplicate default server for {name}")
            self._hasDefault = True
            self.makeDefault(server, block)
        self._protocols.add(line, name)
        if line.proxyProtocol:
            self.expectProxyHeaders()

    def makeDefault(self, server: S, block: Block) -> None:
        """
        Clients that name no other server get this one.
        """
        self.address.default = server

    def expectProxyHeaders(self) -> None:
        """
        Connections begin with a PROXY header.
        """
        self.address.proxyProtocol = True

    def makeFactory(self, served: Any) -> Any:
        """
        What makes the protocols of its connections, or sessions.
        """
        raise NotImplementedError
