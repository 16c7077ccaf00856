"""
From the blocks of a server to its locations, with all their phases.

nginx: C{ngx_http_init_locations()}, C{ngx_http_core_location()}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..config.directive import Where
from .browsers import compileDisabled
from .content import compileContent
from .filters import Filters
from .location import Location, Locations
from .location_name import modifierOf
from .options import LocationOptions
from .phases.access import compileAccess, compileLimitExcept, isInternal
from .phases.error_page import ErrorPageOptions, compileErrorPages, signature
from .phases.gunzip import compileGunzip
from .phases.gzip import compileGzip
from .phases.headers import compileHeaders, compileTrailers
from .phases.paths import compilePaths
from .phases.realip import compileRealip
from .phases.rewrite import compileRewrite
from .phases.session_sticky import compileSessionSticky
from .phases.ssi import compileSSI
from .phases.try_files import compileTryFiles

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node
    from .build import HTTPBuild


def buildLocations(
    block: Block, build: HTTPBuild
) -> tuple[Locations, dict[str, Location]]:
    """
    The locations of a server, and those with an C{@} by name.
    """
    named: dict[str, Location] = {}
    return _level(block, None, named, build), named


def _level(
    block: Block, outer: str | None, named: dict[str, Location], build: HTTPBuild
) -> Locations:
    """
    @param outer: what names of nested locations begin with; C{None}: with anything.
    """
    level = Locations()
    for inner in block.inner:
        if inner.where is Where.LOCATION:
            with build.collecting():
                _add(inner, level, outer, named, build)
    level.bind()
    return level


def _add(
    block: Block,
    level: Locations,
    outer: str | None,
    named: dict[str, Location],
    build: HTTPBuild,
) -> None:
    node = block.node
    modifier, name = modifierOf(node)
    regex = modifier in ("~", "~*")
    if outer is not None:
        if name.startswith("@") and not regex:
            raise node.error(f'named location "{name}" can be on the server level only')
        if not regex and not name.startswith(outer):
            raise node.error(f'location "{name}" is outside location "{outer}"')
    if regex:
        # Named groups are variables that the inside may use.
        matches = build.compileMatcher(name, node, modifier == "~*")
        location = buildLocation(block, name, build)
        level.addRegex(matches, location)
    else:
        location = buildLocation(block, name, build)
        if name.startswith("@"):
            added = named.setdefault(name, location) is location
        elif modifier == "=":
            added = level.addExact(location)
        else:
            added = level.addPrefix(location, modifier == "^~")
        if not added:
            raise node.error(f'duplicate location "{name}"')
    if any(inner.where is Where.LOCATION for inner in block.inner):
        if modifier == "=":
            raise node.error(
                f'location "{name}" cannot be inside the exact location "{name}"'
            )
        prefix = None if regex or name.startswith("@") else name
        level.addInner(location, _level(block, prefix, named, build))


def buildLocation(block: Block, name: str, build: HTTPBuild) -> Location:
    """
    What applies to some requests: inside of a C{location}, an C{if}, or a C{server}
    but outside of all these.
    """
    options = block.of(LocationOptions)
    location = Location(block, name, options)
    build.made(block, location)
    # What errors are answered with must be there whatever else is wrong.
    location.errorLog = build.errorLog(block)
    location.server = signature(block)
    with build.collecting():
        location.errorPages = compileErrorPages(block, build)
        pages = block.of(ErrorPageOptions).errorPages
        location.errorPageStatuses = frozenset(
            status for line in pages for status in line.statuses
        )
    with build.collecting():
        location.editHead = compileHeaders(block, build)
    with build.collecting():
        location.trailers = compileTrailers(block, build)
    made = [
        compile(block, build) for compile in (compileGunzip, compileSSI, compileGzip)
    ]
    factories = [each for each in made if each is not None]
    if factories:
        location.filters = Filters(factories)
    if build.accessLogs is not None:
        with build.collecting():
            location.accessLogs = build.accessLogs.compile(block)
    with build.collecting():
        location.limitExcept = compileLimitExcept(block, build)
    location.internal = isInternal(block)
    _bindLimits(location, options, block, build)
    with build.collecting():
        paths = compilePaths(block, build)
        location.documentRoot, location.filename = paths.root, paths.path
    with build.collecting():
        location.resolver = build.resolverOf(block)
    phases: list[Callable[[Any], bool] | None] = []
    compilers: list[Callable[[Block, Any], Callable[[Any], bool] | None]] = []
    if block.where is not Where.SERVER:
        compilers += [compileRealip, compileRewrite]
    if build.limits is not None:
        compilers += [build.limits.compileRequests, build.limits.compileConnections]
    compilers += [compileSessionSticky, compileAccess, compileTryFiles]
    for compilePhase in compilers:
        with build.collecting():
            phases.append(compilePhase(block, build))
    location.phases = tuple(phase for phase in phases if phase is not None)
    with build.collecting():
        compileContent(location, block, build)
    return location


def _bindLimits(
    location: Location, options: LocationOptions, block: Block, build: HTTPBuild
) -> None:
    location.disablesKeepalive = compileDisabled(options.keepaliveDisable)
    location.disablesAlways = "safari" in options.keepaliveDisable
    location.bodyTempPath = build.tempPath(options.bodyTempPath[0])
    with build.collecting():
        if options.limitRate is not None:
            location.limitsRate = build.compile(options.limitRate, block.node)
        if options.limitRateAfter is not None:
            location.limitsRateAfter = build.compile(options.limitRateAfter, block.node)
        if options.earlyHints:
            location.earlyHints = _anyTrue(options.earlyHints, block.node, build)


def _anyTrue(
    texts: Sequence[str], node: Node, build: HTTPBuild
) -> Callable[[Any], bool]:
    values = [build.compile(text, node) for text in texts]
    return lambda request: any(value(request) not in (b"", b"0") for value in values)
