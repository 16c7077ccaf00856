"""
What C{map}, C{geo} and C{split_clients} have in common: a block that gives a variable
its value.

nginx: C{ngx_http_map_block()}, C{ngx_http_geo_block()},
C{ngx_conf_split_clients_block()}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.directive import Arity, Where, directive
from ..variables import remembered

if TYPE_CHECKING:
    from ..config.syntax import Node
    from ..variables import Getter


def blockDirective(
    name: str, firstVariable: int, doc: str, *, arity: Arity = (2, 2), type: str = ""
) -> Any:
    """
    The field with all blocks of a kind.  Values are compiled where variables are known:
    the blocks are all there is to keep.

    @param firstVariable: which argument names a variable, as all after it do.
    """

    def convert(node: Node) -> Node:
        for index, word in enumerate(node.words):
            if index >= firstVariable and not word.startswith("$"):
                raise node.error(f'invalid variable name "{word}"', word=index)
        return node

    return directive(
        name,
        Where.HTTP | Where.STREAM,
        convert,
        arity=arity,
        default=(),
        repeat=True,
        opens=Where.RAW,
        type=type,
        doc=doc,
    )


def wordBytes(word: str) -> bytes:
    """
    A word as it stands in the file.
    """
    return word.encode("utf-8", "surrogateescape")


class Computed:
    """
    One block: defined at once, filled when all variables are known.

    @ivar name: the variable's.
    @ivar node: the block.
    @ivar flags: the lines that are one word.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name = node.words[-1][1:]
        self.flags = {line.name for line in node.block or () if not line.words}

    def getter(self) -> Getter:
        """
        The variable's getter; where it is not C{volatile}, the value is kept in
        C{request.values}.
        """
        if "volatile" in self.flags:
            return self.evaluate
        return remembered(self.name, self.evaluate)

    def evaluate(self, request: Any) -> bytes:
        """
        The value for a request or a session.
        """
        raise NotImplementedError

    def fill(self, build: Any) -> None:
        """
        Take the lines.

        @raise ConfigError: one of them is wrong.
        """
        raise NotImplementedError
