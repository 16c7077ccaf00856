"""
What C{upstream{}} may be told, in C{http} and in C{stream}.

nginx: the C{ngx_command_t} tables of C{ngx_http_upstream.c} and of
C{ngx_http_upstream_keepalive_module.c}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..config.directive import Where, directive, number, oneOf, seconds, text, words
from ..config.syntax import Node
from ..config.values import parseSize
from .server_line import ServerLine, parseServer, parseStreamServer

#: The least that a zone holds, bytes.
_LEAST_ZONE = 8 * 4096


def _keepalive(node: Node) -> tuple[int, bool]:
    if not node.words[0].isdigit():
        raise node.error(
            f'invalid value "{node.words[0]}" in "keepalive" directive', word=0
        )
    if len(node.words) == 2 and node.words[1] != "local":
        raise node.error(f'invalid parameter "{node.words[1]}"', word=1)
    return int(node.words[0]), len(node.words) == 2


def _zone(node: Node) -> tuple[str, int]:
    name = node.words[0]
    if not name:
        raise node.error(f'invalid zone name "{name}"', word=0)
    if len(node.words) == 1:
        return name, 0
    try:
        found = parseSize(node.words[1])
    except ValueError:
        raise node.error(f'invalid zone size "{node.words[1]}"', word=1) from None
    if found < _LEAST_ZONE:
        raise node.error(f'zone "{name}" is too small', word=1)
    return name, found


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamOptions:
    """
    What stands in C{upstream{}} besides servers and balancers.
    """

    keepalive: tuple[int, bool] = directive(
        "keepalive",
        Where.UPSTREAM,
        _keepalive,
        arity=(1, 2),
        default=(32, True),
        doc="How many idle connections are kept; C{local}: not shared by locations.",
    )
    keepaliveRequests: int = directive(
        "keepalive_requests",
        Where.UPSTREAM,
        number,
        default=1000,
        doc="How many requests one connection to a server may serve.",
    )
    keepaliveTime: float = directive(
        "keepalive_time",
        Where.UPSTREAM,
        seconds,
        default=3600.0,
        unit="seconds",
        doc="How old a connection to a server may be to be kept once more.",
    )
    keepaliveTimeout: float = directive(
        "keepalive_timeout",
        Where.UPSTREAM,
        seconds,
        default=60.0,
        unit="seconds",
        doc="How long an idle connection to a server is kept.",
    )
    healthScope: str = directive(
        "health_scope",
        Where.UPSTREAM | Where.STREAM_UPSTREAM,
        oneOf("group", "address"),
        default="group",
        doc="Who learns from a server's failures: this group, or all groups, of C{http}"
        " and C{stream}, that say C{address} and have a server with the same address."
        " C{max_fails} and C{fail_timeout} stay those of each group. What is known"
        " outlives a reload.",
        origin="ours",
    )
    resolver: tuple[str, ...] = directive(
        "resolver",
        Where.UPSTREAM | Where.STREAM_UPSTREAM,
        words,
        arity=(1, None),
        default=(),
        doc="Name servers for the names of servers with C{resolve}; by default those"
        " of C{http} or C{stream}.",
    )
    resolverTimeout: float | None = directive(
        "resolver_timeout",
        Where.UPSTREAM | Where.STREAM_UPSTREAM,
        seconds,
        default=None,
        unit="seconds",
        doc="How long looking up the name of a server with C{resolve} may take; by"
        " default as C{http} or C{stream} say.",
    )
    zone: tuple[str, int] = directive(
        "zone",
        Where.UPSTREAM | Where.STREAM_UPSTREAM,
        _zone,
        arity=(1, 2),
        default=("", 0),
        doc="Name and size of the memory that workers share. Accepted and checked, but"
        " without effect: one process serves, and it knows its groups anyway.",
    )


def _groups(where: Where, opens: Where) -> Any:
    return directive(
        "upstream",
        where,
        text,
        repeat=True,
        default=(),
        opens=opens,
        doc="A group of servers.",
    )


def _servers(where: Where, parse: Callable[[Node], ServerLine], doc: str) -> Any:
    return directive(
        "server",
        where,
        parse,
        arity=(1, None),
        repeat=True,
        inherit=False,
        default=(),
        doc=doc,
    )


def _state(where: Where) -> Any:
    return directive(
        "state",
        where,
        text,
        inherit=False,
        default="",
        doc="A file with the group's C{server} lines, instead of such lines here. It"
        " need not exist: a group may be empty then. It needs a C{zone}.",
        origin="plus",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupOptions:
    """
    C{upstream{}} itself, and its C{server} lines.
    """

    groups: tuple[str, ...] = _groups(Where.HTTP, Where.UPSTREAM)
    servers: tuple[ServerLine, ...] = _servers(
        Where.UPSTREAM,
        parseServer,
        "A server of the group: address and parameters, which are `weight=number`,"
        " `max_conns=number`, `max_fails=number`, `fail_timeout=time`, `backup`,"
        " `down`, `drain`, `route=string`, `slow_start=time` (a server that comes back"
        " gets its weight little by little in that time), `id=string` (of Tengine),"
        " `resolve` (the name is watched while requests are served), `service=name`"
        " (the name stands for that service: its `SRV` records are watched).",
    )
    state: str = _state(Where.UPSTREAM)


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamGroupOptions:
    """
    C{upstream{}} of C{stream}, and its C{server} lines.
    """

    groups: tuple[str, ...] = _groups(Where.STREAM, Where.STREAM_UPSTREAM)
    servers: tuple[ServerLine, ...] = _servers(
        Where.STREAM_UPSTREAM,
        parseStreamServer,
        "A server of the group: address and parameters.",
    )
    state: str = _state(Where.STREAM_UPSTREAM)
