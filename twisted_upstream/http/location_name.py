"""
How a C{location} is written: its modifier and its name.

nginx: C{ngx_http_core_location()}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.directive import Where

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node


def modifierOf(node: Node) -> tuple[str, str]:
    """
    The modifier and the name of a C{location}.

    @raise ConfigError: the modifier is unknown.
    """
    words = node.words
    if len(words) == 2:
        if words[0] not in ("=", "~", "~*", "^~"):
            raise node.error(f'invalid location modifier "{words[0]}"', word=0)
        return words[0], words[1]
    for modifier in ("=", "^~", "~*", "~"):
        if words[0].startswith(modifier):
            return modifier, words[0].removeprefix(modifier)
    return "", words[0]


def nameOf(block: Block) -> str:
    """
    The name of the location that C{block} is, or is inside of.
    """
    place: Block | None = block
    while place is not None and place.where is not Where.LOCATION:
        place = place.parent
    return "" if place is None else modifierOf(place.node)[1]
