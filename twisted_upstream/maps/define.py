"""
C{map}, C{geo} and C{split_clients} of one C{http} or C{stream} block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.syntax import ConfigError, Problem
from .computed import Computed
from .geo import Forwarded, Geo, GeoOptions
from .map import Map, MapOptions
from .split_clients import Split, SplitOptions

if TYPE_CHECKING:
    from ..config.build import Block

#: The directives of all of them.
OPTIONS = (MapOptions, GeoOptions, SplitOptions)


def defineMaps(block: Block, build: Any, forwarded: Forwarded | None = None) -> None:
    """
    Define the variables of all of them.

    To be called before anything else of the block is compiled: they may use each other
    and variables that C{set} assigns, whatever the order in the file.

    @param build: the composition at hand: C{compile}, C{variables}, and
        C{compileMatcher(text, node, ignoreCase)}, which compiles a regular expression
        and declares its named groups.
    @param forwarded: what C{proxy} in C{geo} needs; C{None}: there is no such line.
    @raise ConfigError: with what is wrong in any of them.
    """
    made: list[Computed] = []
    made += [Map(node) for node in block.of(MapOptions).maps]
    made += [Geo(node, forwarded) for node in block.of(GeoOptions).geos]
    made += [Split(node) for node in block.of(SplitOptions).splits]
    for each in made:
        build.variables.define(each.name, each.getter())
    problems: list[Problem] = []
    for each in made:
        try:
            each.fill(build)
        except ConfigError as e:
            problems += e.problems
    if problems:
        raise ConfigError(problems)
