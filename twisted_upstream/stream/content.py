"""
What a server does with its sessions instead of proxying them, and before: C{return},
C{pass}, C{set}.

nginx: C{ngx_stream_return_module.c}, C{ngx_stream_pass_module.c},
C{ngx_stream_set_module.c}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directive import Where, directive, template
from ..config.values import Template
from ..net.sockaddr import parseAddress

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node
    from ..net.sockaddr import Sockaddr
    from .routing import Phase
    from .session import Session

#: How often a connection may be passed on.  nginx: NGX_STREAM_PASS_MAX_PASSES
MAX_PASSES = 10


def _set(node: Node) -> Node:
    name = node.words[0]
    if not name.startswith("$"):
        raise node.error(f'invalid variable name "{name}"', word=0)
    return node


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamContentOptions:
    """
    Contents, and variables.
    """

    text: Template | None = directive(
        "return",
        Where.STREAM_SERVER,
        template,
        default=None,
        inherit=False,
        doc="Send this text, then close.",
    )
    passTo: Template | None = directive(
        "pass",
        Where.STREAM_SERVER,
        template,
        default=None,
        inherit=False,
        doc="Hand connections to another listening address, as if they had been"
        " accepted there.",
    )
    variables: tuple[Node, ...] = directive(
        "set",
        Where.STREAM_SERVER,
        _set,
        arity=(2, 2),
        repeat=True,
        inherit=False,
        default=(),
        type="$variable value",
        doc="Give a variable a value.",
    )


def compileSet(block: Block, build: Any) -> Phase | None:
    """
    Compile the C{set} lines of one server.
    """
    commands = [
        (build.variables.setter(node.words[0][1:], node), node)
        for node in block.of(StreamContentOptions).variables
    ]
    if not commands:
        return None
    compiled = [
        (setter, build.compile(node.words[1], node)) for setter, node in commands
    ]

    def assign(session: Session) -> bool:
        for setter, value in compiled:
            setter(session, value(session))
        return False

    return assign


def compileReturn(text: Template, node: Node, build: Any) -> Callable[[Session], None]:
    """
    Compile C{return}.
    """
    value = build.compile(text, node)

    def answer(session: Session) -> None:
        session.action = "returning text"
        session.sendText(value(session))

    return answer


def compilePass(
    text: Template,
    node: Node,
    build: Any,
    find: Callable[[Sockaddr], Callable[..., None] | None],
) -> Callable[[Session], None]:
    """
    Compile C{pass}.

    @param find: who takes the connections of a listening address.
    """
    value = build.compile(text, node)
    fixed: Sockaddr | None = None
    if text.constant is not None:
        fixed = _fixed(text.text, node)

    def handOn(session: Session) -> None:
        session.action = "passing connection to port"
        sockaddr = fixed
        if sockaddr is None:
            word = value(session).decode("utf-8", "surrogateescape")
            try:
                sockaddr = _sockaddr(word)
            except ValueError as e:
                session.logError("error", f'{e} in pass "{word}"')
                session.finalize(500)
                return
        session.passOn(sockaddr, find)

    return handOn


def _fixed(word: str, node: Node) -> Sockaddr:
    try:
        return _sockaddr(word)
    except ValueError as e:
        message = str(e)
        if message.startswith("no ") and message != "no host":
            raise node.error(f'"pass" directive has {message}') from None
        raise node.error(
            f'{message} in "{word}" of the "pass" directive', word=0
        ) from None


def _sockaddr(word: str) -> Sockaddr:
    """
    The address that C{pass} means.

    @raise ValueError: with nginx's words.
    """
    address = parseAddress(word, 0)
    if address.sockaddr is None:
        raise ValueError("no addresses")
    if not address.portGiven and isinstance(address.sockaddr, tuple):
        raise ValueError("no port")
    return address.sockaddr
