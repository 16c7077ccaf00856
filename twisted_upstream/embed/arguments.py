"""
Arguments of Python calls to directives: there is one set of options, the
configuration's, and one place that checks them.

An argument is named as its directive is, in camelCase and without the dialect's name:
C{readTimeout} is C{proxy_read_timeout}, C{keepaliveTimeout} is C{keepalive_timeout}.
Seconds are numbers, switches C{True} and C{False}; texts are read as in a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ..config.build import Grammar
from ..config.directive import Directive, Where
from ..config.nodes import ConfigError, Node, Source
from ..config.syntax import parse


class ArgumentError(ValueError):
    """
    An argument that cannot be used.  The text begins with its name.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """
    A server of a group; what is C{None} is as nginx has it.

    @ivar address: C{host:port}, C{host}, or C{unix:/path}.
    @ivar weight: its share; 1 if nothing is said.
    @ivar maxConns: attempts under way at most; 0: any number.
    @ivar maxFails: failures that make it unavailable; 0: never; usually 1.
    @ivar failTimeout: whole seconds in which those count, and for which it rests then;
        usually 10.
    @ivar slowStart: seconds until a server that has come back has its whole weight.
    @ivar route: what sticky sessions call it.
    @ivar id: what its operators call it.
    """

    address: str = field(kw_only=False)
    weight: int | None = None
    maxConns: int | None = None
    maxFails: int | None = None
    failTimeout: int | None = None
    slowStart: float | None = None
    route: str | None = None
    id: str | None = None
    backup: bool = False
    down: bool = False
    drain: bool = False

    def words(self) -> tuple[str, ...]:
        """
        The words of its C{server} line.
        """
        words = [self.address]
        for name, value in (
            ("weight", self.weight),
            ("max_conns", self.maxConns),
            ("max_fails", self.maxFails),
            ("fail_timeout", self.failTimeout),
            ("route", self.route),
            ("id", self.id),
        ):
            if value is not None:
                words.append(f"{name}={value}")
        if self.slowStart is not None:
            words.append(f"slow_start={_time(self.slowStart)}")
        for flag in ("backup", "down", "drain"):
            if getattr(self, flag):
                words.append(flag)
        return tuple(words)


def _time(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def camelCase(name: str) -> str:
    """
    C{keepalive_timeout} as an argument is called.
    """
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def serverNode(argument: str, server: str | Server) -> Node:
    """
    The C{server} line of an argument.

    @param argument: its name, for complaints.
    """
    if isinstance(server, Server):
        words = server.words()
    elif isinstance(server, str):
        words = _words(argument, server)
    else:
        raise ArgumentError(f"{argument}: neither a text nor a Server: {server!r}")
    if not words:
        raise ArgumentError(f"{argument}: no address")
    return _node(argument, "server", words)


def _node(argument: str, name: str, words: tuple[str, ...]) -> Node:
    return Node(name, words, path=argument, source=Source(argument, ""))


def _words(argument: str, text: str) -> tuple[str, ...]:
    """
    The words of a text, quoted as in a configuration.
    """
    try:
        nodes = parse(f"x {text};", argument).nodes
    except ConfigError as e:
        raise ArgumentError(f"{argument}: {e.problems[0].message}") from None
    if len(nodes) != 1 or nodes[0].block is not None:
        raise ArgumentError(f"{argument}: more than one directive: {text!r}")
    return nodes[0].words


def textNode(argument: str, text: str) -> Node:
    """
    The directive that a text is, its name the first word: C{hash $key consistent}.
    """
    if not isinstance(text, str) or not (words := _words(argument, text)):
        raise ArgumentError(f"{argument}: not a directive: {text!r}")
    return _node(argument, words[0], words[1:])


def optionNodes(
    grammar: Grammar,
    place: Where,
    names: Iterable[str],
    arguments: Mapping[str, Any],
    prefix: str = "",
) -> list[Node]:
    """
    The directives that arguments stand for.

    @param names: of the directives that may be said, without C{prefix}.
    @raise TypeError: there is no such argument.
    @raise ArgumentError: its value is none that a directive can have.
    """
    known = {camelCase(name): prefix + name for name in names}
    allowed = grammar.at(place)
    nodes = []
    for argument, value in arguments.items():
        name = known.get(argument)
        if name is None or name not in allowed:
            close = get_close_matches(argument, known, 1)
            hint = f"; is it {close[0]}?" if close else ""
            raise TypeError(f"unexpected argument {argument!r}{hint}")
        if value is not None:
            words = _valueWords(argument, allowed[name], value)
            nodes.append(_node(argument, name, words))
    return nodes


def _valueWords(argument: str, directive: Directive, value: Any) -> tuple[str, ...]:
    if value is True or value is False:
        return ("on" if value else "off",)
    if isinstance(value, int | float):
        if directive.unit == "seconds":
            return (_time(value),)
        return (str(value),)
    if isinstance(value, str):
        if directive.arity == (1, 1):
            return (value,)
        return _words(argument, value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(str(each) for each in value)
    raise ArgumentError(f"{argument}: cannot be {value!r}")


@contextmanager
def naming() -> Iterator[None]:
    """
    What goes wrong inside with directives that arguments stand for is told with the
    name of the argument.

    @raise ArgumentError: one is wrong.
    """
    try:
        yield
    except ConfigError as e:
        problem = e.problems[0]
        where = f"{problem.path}: " if problem.path else ""
        raise ArgumentError(f"{where}{problem.message}") from None
