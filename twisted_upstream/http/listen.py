"""
C{listen} and C{server_name}.

nginx: C{ngx_http_core_listen()}, C{ngx_http_core_server_name()}
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..config.directive import Where, directive, words
from ..config.syntax import Node
from ..config.values import parseSize, parseTime
from ..net.listeners import ListenOptions
from ..net.sockaddr import Sockaddr, parseAddress


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenLine:
    """
    One C{listen}.

    @ivar sockaddrs: several for a range of ports, or a name.
    @ivar isDefault: C{default_server}.
    @ivar proxyProtocol: connections begin with a PROXY header.
    @ivar tls: C{ssl}.
    @ivar options: of the socket; C{None}: none was written.
    """

    node: Node
    sockaddrs: tuple[Sockaddr, ...]
    isDefault: bool = False
    proxyProtocol: bool = False
    tls: bool = False
    options: ListenOptions | None = None


_UNSUPPORTED = {
    "http2": "ngx_http_v2_module",
    "quic": "ngx_http_v3_module",
}


#: Parameters that nginx calls by name when their value is wrong.
_NAMED = frozenset(("backlog", "fastopen", "rcvbuf", "sndbuf"))


def defaultPort() -> int:
    """
    Where servers without C{listen} are found.
    """
    return 80 if os.geteuid() == 0 else 8000


def parseListen(node: Node) -> ListenLine:
    """
    Read one line.

    @raise ConfigError: a parameter is wrong.
    """
    text = node.words[0]
    try:
        address = parseAddress(text, 80, listen=True)
    except ValueError as e:
        raise node.error(f'{e} in "{text}" of the "listen" directive', word=0) from None
    sockaddrs = address.sockaddrs
    if not sockaddrs:
        import socket

        try:
            found = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError):
            raise node.error(
                f'host not found in "{text}" of the "listen" directive', word=0
            ) from None
        sockaddrs = tuple(dict.fromkeys(each[4] for each in found))  # type: ignore[misc]
    said: dict[str, object] = {}
    isDefault = proxyProtocol = tls = False
    for index, word in enumerate(node.words[1:], 1):
        name, given, value = word.partition("=")
        try:
            if word in ("default_server", "default"):
                isDefault = True
            elif word == "proxy_protocol":
                proxyProtocol = True
            elif word == "ssl":
                tls = True
            elif word == "bind":
                said.setdefault("backlog", 511)
            elif word == "reuseport":
                said["reuseport"] = True
            elif word == "deferred":
                said["deferred"] = True
            elif given and name == "backlog":
                said["backlog"] = _positive(value)
            elif given and name == "fastopen":
                said["fastopen"] = _positive(value)
            elif given and name in ("rcvbuf", "sndbuf"):
                said[name] = parseSize(value)
            elif given and name == "ipv6only" and value in ("on", "off"):
                said["ipv6only"] = value == "on"
            elif given and name == "so_keepalive":
                _keepalive(value, said)
            elif word in _UNSUPPORTED:
                raise node.error(
                    f'the "{word}" parameter requires {_UNSUPPORTED[word]}', word=index
                )
            else:
                raise ValueError
        except ValueError:
            what = name if given and name in _NAMED else "parameter"
            raise node.error(f'invalid {what} "{word}"', word=index) from None
    return ListenLine(
        node=node,
        sockaddrs=sockaddrs,
        isDefault=isDefault,
        proxyProtocol=proxyProtocol,
        tls=tls,
        options=ListenOptions(**said) if said else None,  # type: ignore[arg-type]
    )


def _positive(word: str) -> int:
    if not word.isdigit() or int(word) == 0:
        raise ValueError
    return int(word)


def _keepalive(value: str, said: dict[str, object]) -> None:
    """
    C{on}, C{off}, or C{[idle]:[interval]:[count]}.
    """
    if value in ("on", "off"):
        said["soKeepalive"] = value == "on"
        return
    idle, interval, count = value.split(":")
    if not (idle or interval or count):
        raise ValueError
    said["soKeepalive"] = True
    if idle:
        said["keepaliveIdle"] = int(parseTime(idle, milliseconds=False))
    if interval:
        said["keepaliveInterval"] = int(parseTime(interval, milliseconds=False))
    if count:
        said["keepaliveCount"] = _positive(count)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions:
    """
    Where a server is found.
    """

    listens: tuple[ListenLine, ...] = directive(
        "listen",
        Where.SERVER,
        parseListen,
        arity=(1, None),
        repeat=True,
        default=(),
        doc="An address, and options of its socket.",
    )
    names: tuple[tuple[str, ...], ...] = directive(
        "server_name",
        Where.SERVER,
        words,
        arity=(1, None),
        repeat=True,
        default=(),
        doc="Names: exact, *.name, name.*, .name or ~expression.",
    )
