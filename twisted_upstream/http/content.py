"""
What answers a location's requests: a server that they are passed to, or files.

nginx: the C{handler} of C{ngx_http_core_loc_conf_t}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import plugins
from ..config.directive import Where
from .location import Location
from .location_name import modifierOf
from .phases import select
from .phases.static import compileStatic

if TYPE_CHECKING:
    from ..config.build import Block
    from ..upstream.group import UpstreamGroup
    from ..upstream.passing import Passing
    from ..variables import Value
    from .build import HTTPBuild


def compileContent(location: Location, block: Block, build: HTTPBuild) -> None:
    """
    Find out what answers.

    @raise ConfigError: it is wrong.
    """
    content = select.compileSelect(block, build)
    if content is not None:
        location.content = content
        return
    for name in build.dialects:
        try:
            build.passOf(block, name)
        except LookupError:
            continue
        location.content = _passing(block, name, build)
        text = block.of(build.passOptions[name], name).target
        named = location.name
        if text is not None and named.endswith("/") and block.where == Where.LOCATION:
            modifier, _ = modifierOf(block.node)
            location.autoRedirect = modifier not in ("~", "~*")
        return
    location.content = compileStatic(block, build)


def _passing(block: Block, name: str, build: HTTPBuild) -> Callable[[Any], None]:
    text, node, _ = build.passOf(block, name)
    try:
        dialect: Any = build.dialects[name]
    except plugins.PluginError as e:
        raise node.error(str(e)) from None
    options = block.of(build.passOptions[name], name)
    factory = dialect.exchangeFactory(block, build)
    group: UpstreamGroup | None = None
    target: Value | None = None
    constant = text.constant
    if constant is None:
        target = build.compile(text, node)
    else:
        try:
            authority, port = dialect.authority(constant)
        except ValueError as e:
            raise node.error(str(e)) from None
        group = build.groups.named(
            authority.decode("utf-8", "surrogateescape"), port, node
        )
    path = options.tempPath[0] if options.tempPath else f"{name}_temp"
    passing = build.passing(
        options,
        factory,
        group,
        target=target,
        bind=build.compileIfAny(options.bind, block.node),
        limitRate=build.compileIfAny(options.limitRate, block.node),
        tempPath=build.tempPath(path) if options.maxTempFileSize else None,
        tls=build.tlsOf(dialect, text, block, name),
        account=dialect.account(block),
    )
    if dialect.methods is None:
        return passing.handle
    return _only(dialect.methods, passing)


def _only(methods: frozenset[bytes], passing: Passing) -> Callable[[Any], None]:
    """
    Content for requests with some methods, without their bodies; others are not
    allowed.
    """
    handle = passing.handle

    def content(request: Any) -> None:
        if request.method not in methods:
            request.failResponse(405)
        elif request.body is None:
            handle(request)
        else:
            passing.handleBodiless(request)

    return content
