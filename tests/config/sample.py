"""
A small grammar with a directive of each kind, and configurations in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from twisted_upstream.config.build import Block, Grammar
from twisted_upstream.config.directive import (
    HTTP_ANY,
    InvalidValue,
    Where,
    directive,
    flag,
    nothing,
    number,
    oneOf,
    seconds,
    size,
    template,
    text,
    words,
)
from twisted_upstream.config.syntax import ConfigError, Node, Problem, parse
from twisted_upstream.config.values import Template, parseTemplate


def pair(node: Node) -> tuple[str, str]:
    """
    A converter that has something to say of each of its arguments.
    """
    if node.words[0] == node.words[1]:
        raise node.error("twins", word=1, hint="take another")
    if node.words[0] == "odd":
        raise ValueError("is odd")
    if node.words[0] == "empty":
        raise ValueError
    if node.words[1] == "no":
        raise InvalidValue("no", 'it must be "yes"', "say yes")
    if node.words[0] == "old":
        node.warning("this is old")
    parseTemplate(node.words[1])
    return node.words[0], node.words[1]


def rawLines(node: Node) -> tuple[tuple[str, ...], ...]:
    """
    The lines of a block that nobody else looks at.
    """
    return tuple((line.name, *line.words) for line in node.block or ())


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """
    What has braces.
    """

    pid: str = directive("pid", Where.MAIN, text, default="", doc="")
    http: bool = directive(
        "http", Where.MAIN, nothing, default=False, opens=Where.HTTP, doc=""
    )
    stream: bool = directive(
        "stream", Where.MAIN, nothing, default=False, opens=Where.STREAM, doc=""
    )
    servers: tuple[bool, ...] = directive(
        "server",
        Where.HTTP,
        nothing,
        default=(),
        repeat=True,
        opens=Where.SERVER,
        doc="",
    )
    locations: tuple[str, ...] = directive(
        "location",
        Where.SERVER | Where.LOCATION,
        text,
        default=(),
        repeat=True,
        opens=Where.LOCATION,
        doc="",
    )
    groups: tuple[str, ...] = directive(
        "upstream",
        Where.HTTP,
        text,
        default=(),
        repeat=True,
        opens=Where.UPSTREAM,
        doc="",
    )
    types: tuple[tuple[str, ...], ...] = directive(
        "types",
        HTTP_ANY,
        rawLines,
        arity=(0, 0),
        default=(),
        opens=Where.RAW,
        doc="",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Core:
    """
    Options of all kinds.
    """

    sendfile: bool = directive("sendfile", HTTP_ANY, flag, default=False, doc="")
    keepaliveTimeout: float = directive(
        "keepalive_timeout", HTTP_ANY, seconds, default=75.0, doc=""
    )
    bodySize: int = directive(
        "client_max_body_size", HTTP_ANY, size, default=1 << 20, doc=""
    )
    keepaliveRequests: int = directive(
        "keepalive_requests", HTTP_ANY, number, default=1000, doc=""
    )
    satisfy: str = directive(
        "satisfy", HTTP_ANY, oneOf("all", "any"), default="all", doc=""
    )
    index: tuple[str, ...] = directive("index", HTTP_ANY, words, default=(), doc="")
    root: Template | None = directive("root", HTTP_ANY, template, default=None, doc="")
    headers: tuple[tuple[str, str], ...] = directive(
        "add_header", HTTP_ANY, pair, arity=(2, 2), default=(), repeat=True, doc=""
    )
    rules: tuple[str, ...] = directive(
        ("allow", "deny"),
        HTTP_ANY,
        lambda node: f"{node.name} {node.words[0]}",
        default=(),
        repeat=True,
        doc="",
    )
    internal: bool = directive(
        "internal", Where.LOCATION, nothing, default=False, inherit=False, doc=""
    )
    hidden: tuple[str, ...] = directive(
        "hidden", HTTP_ANY, text, default=(), repeat=True, inherit=False, doc=""
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """
    What C{upstream} has in common with C{http}, by name.
    """

    keepaliveTimeout: float = directive(
        "keepalive_timeout", Where.UPSTREAM, seconds, default=60.0, doc=""
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """
    Options with a prefix, one of which depends on another.
    """

    timeout: float = directive(
        "*_read_timeout", HTTP_ANY, seconds, default=60.0, doc=""
    )
    buffer: int = directive("*_buffer_size", HTTP_ANY, size, default=4096, doc="")
    busy: int = directive("*_busy_size", HTTP_ANY, size, default=0, doc="")

    def merged(self, block: Block) -> Pass:
        if self.busy and self.busy < self.buffer:
            lines = block.nodes("proxy_busy_size") or block.nodes("proxy_buffer_size")
            raise (lines or (block.node,))[0].error("busy must be larger")
        return replace(self, busy=self.busy or 2 * self.buffer)


def grammar() -> Grammar:
    """
    All of the above.
    """
    made = Grammar()
    made.add(Blocks)
    made.add(Core)
    made.add(Group)
    made.add(Pass, "proxy")
    made.add(Pass, "memcached")
    return made


def build(source: str) -> Block:
    """
    The main level of a configuration.
    """
    return grammar().build(parse(source, "x.conf"))


def location(source: str) -> Block:
    """
    The innermost first block of a configuration.
    """
    block = build(source)
    while block.inner:
        block = block.inner[0]
    return block


def problems(source: str, path: str = "x.conf") -> list[Problem]:
    """
    What is wrong with a configuration.
    """
    try:
        grammar().build(parse(source, path))
    except ConfigError as e:
        return list(e.problems)
    return []


def inHTTP(source: str) -> Problem:
    """
    The only thing that is wrong with a line of C{http}.
    """
    (found,) = problems(f"http {{\n{source}\n}}")
    return found
