"""
One C{server} line of C{upstream{}}: what stands in it, of C{http} and of C{stream}.

nginx: C{ngx_http_upstream_server()}, C{ngx_stream_upstream_server()}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config.syntax import ConfigError, Node
from ..config.values import parseTime
from ..net.sockaddr import HostPort, parseAddress


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLine:
    """
    One C{server} line of a group.

    @ivar failTimeout: whole seconds.
    @ivar down: nginx's bits: 1 down, 8 draining.
    @ivar label: Tengine's C{id=}.
    @ivar slowStart: seconds.
    @ivar resolve: is the address a name that is watched?
    @ivar service: what is served there; empty: the name stands for addresses.
    """

    node: Node
    address: str
    weight: int = 1
    maxConns: int = 0
    maxFails: int = 1
    failTimeout: int = 10
    backup: bool = False
    down: int = 0
    route: str = ""
    label: str = ""
    slowStart: float = 0.0
    resolve: bool = False
    service: str = ""

    def peerOptions(self) -> dict[str, Any]:
        """
        What L{Peer} is made with.
        """
        return {
            "server": self.address,
            "weight": self.weight,
            "maxConns": self.maxConns,
            "maxFails": self.maxFails,
            "failTimeout": self.failTimeout,
            "down": self.down,
            "sid": self.route.encode("utf-8", "surrogateescape"),
            "label": self.label,
            "slowStart": self.slowStart,
        }

    def hostPort(self, defaultPort: int) -> HostPort:
        """
        What it names.

        @raise ConfigError: that is no address, or none for a server of that kind.
        """

        def wrong(message: str) -> ConfigError:
            return self.node.error(message, word=0)

        if self.service and not self.resolve:
            raise wrong(
                f'service upstream "{self.address}" requires "resolve" parameter'
            )
        try:
            address = parseAddress(self.address, defaultPort)
        except ValueError as e:
            raise wrong(f'{e} in upstream "{self.address}"') from None
        if self.service:
            if address.portGiven:
                raise wrong(f'service upstream "{self.address}" may not have port')
            if address.sockaddr is not None:
                raise wrong(f'service upstream "{self.address}" requires domain name')
        elif not address.port and not isinstance(address.sockaddr, str):
            raise wrong(f'no port in upstream "{self.address}"')
        return address


def parseServer(node: Node) -> ServerLine:
    """
    Read one C{server} line.

    @raise ConfigError: a parameter is wrong.
    """
    values: dict[str, int] = {"weight": 1, "max_conns": 0, "max_fails": 1}
    failTimeout, backup, down, route, label = 10, False, 0, "", ""
    slowStart, resolve, service = 0.0, False, ""
    for index, word in enumerate(node.words[1:], 1):
        name, given, value = word.partition("=")
        wrong = node.error(f'invalid parameter "{word}"', word=index)
        if given and name in values:
            if not (value.isascii() and value.isdigit()):
                raise wrong
            values[name] = int(value)
            if name == "weight" and values[name] == 0:
                raise wrong
        elif given and name == "fail_timeout":
            try:
                failTimeout = int(parseTime(value, milliseconds=False))
            except ValueError:
                raise wrong from None
        elif word == "backup":
            backup = True
        elif word == "down":
            down |= 1
        elif word == "drain":
            down |= 8
        elif given and name == "route":
            if not value:
                raise node.error("route is empty", word=index)
            if len(value) > 32:
                raise node.error("route is longer than 32", word=index)
            route = value
        elif name == "id" and value:
            label = value
        elif given and name == "slow_start":
            try:
                slowStart = parseTime(value)
            except ValueError:
                raise wrong from None
        elif word == "resolve":
            resolve = True
        elif given and name == "service":
            if not value:
                raise node.error("service is empty", word=index)
            service = value
        else:
            raise wrong
    return ServerLine(
        node=node,
        address=node.words[0],
        weight=values["weight"],
        maxConns=values["max_conns"],
        maxFails=values["max_fails"],
        failTimeout=failTimeout,
        backup=backup,
        down=down,
        route=route,
        label=label,
        slowStart=slowStart,
        resolve=resolve,
        service=service,
    )


def parseStreamServer(node: Node) -> ServerLine:
    """
    Read one C{server} line of a group in C{stream}.

    @raise ConfigError: a parameter is wrong.

    nginx: C{ngx_stream_upstream_server()}
    """
    for index, word in enumerate(node.words[1:], 1):
        if word == "drain" or word.startswith("route="):
            raise node.error(f'invalid parameter "{word}"', word=index)
    return parseServer(node)
