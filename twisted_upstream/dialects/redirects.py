"""
C{proxy_redirect}: rewriting Location and Refresh of responses.

nginx: C{ngx_http_proxy_rewrite_redirect()}, C{ngx_http_proxy_redirect()}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .rewriting import Rewriter, Rule, first, isOff, linesDirective, noSingle, ruleOf

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node


@dataclass(frozen=True)
class PassUrl:
    """
    What C{proxy_redirect default} needs to know of the C{proxy_pass} of a block.

    @ivar url: the text as written; C{None} when it holds variables.
    @ivar hasUri: something follows host and port in it.
    @ivar location: the location's name where it is a prefix, else empty.
    """

    url: str | None
    hasUri: bool
    location: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RedirectOptions:
    """
    The lines as written; they are compiled per location.
    """

    redirects: tuple[Node, ...] = linesDirective(
        "*_redirect",
        "pattern replacement | default | off",
        "Rewrite Location and Refresh of responses: pattern and replacement,"
        ' "default" or "off".',
        inherit=False,
    )


def _defaultRule(info: PassUrl, node: Node, build: Any) -> Rule:
    """
    C{default}: from what C{proxy_pass} says to what the location is called.
    """
    assert info.url is not None
    old, new = (info.url, info.location) if info.hasUri else (info.url + "/", "/")
    # Neither is looked through for variables: they are plain text.
    oldPrefix = old.encode("utf-8", "surrogateescape")
    newPrefix = new.encode("utf-8", "surrogateescape")

    def rule(request: Any, value: bytes) -> bytes | None:
        if not value.startswith(oldPrefix):
            return None
        return newPrefix + value[len(oldPrefix) :]

    return rule


def _explicitDefault(
    block: Block, prefix: str, node: Node, build: Any, info: PassUrl | None
) -> Rule:
    if info is not None and info.url is None:
        raise node.error(
            f'"{prefix}_redirect default" cannot be used with "{prefix}_pass"'
            " directive with variables"
        )
    passes = block.nodes(f"{prefix}_pass")
    order = [id(inner) for inner in block.node.block or ()]
    if info is None or not passes or order.index(id(passes[0])) > order.index(id(node)):
        raise node.error(
            f'"{prefix}_redirect default" should be placed after the'
            f' "{prefix}_pass" directive'
        )
    return _defaultRule(info, node, build)


def _redirectRules(
    block: Block | None,
    prefix: str,
    build: Any,
    passUrl: Callable[[Block], PassUrl | None],
) -> list[Rule]:
    """
    The rules of C{block}, or of the nearest block around it that has any.

    The unwritten C{default} of a block counts as a rule of it: a location inside of
    one with a C{proxy_pass} inherits the outer one's, even beside a C{proxy_pass} of
    its own.  nginx: ngx_http_proxy_merge_loc_conf()
    """
    chain: list[Block] = []
    while block is not None:
        chain.append(block)
        lines = block.of(RedirectOptions, prefix).redirects
        if lines:
            if isOff(lines):
                return []
            break
        block = block.parent
    # From the outside in: the first that has rules, or a default, decides.
    for inner in reversed(chain):
        info = passUrl(inner)
        rules: list[Rule] = []
        for node in inner.of(RedirectOptions, prefix).redirects:
            if node.words == ("default",):
                rules.append(_explicitDefault(inner, prefix, node, build, info))
                continue
            noSingle(node)
            rules.append(ruleOf(node, build))
        if rules:
            return rules
        if info is not None and info.url is not None:
            return [_defaultRule(info, inner.node, build)]
    return []


def compileRedirect(
    block: Block,
    prefix: str,
    build: Any,
    passUrl: Callable[[Block], PassUrl | None],
) -> Callable[[Any], Rewriter] | None:
    """
    Compile C{*_redirect} of one location.

    @param prefix: the dialect's name: C{proxy}.
    @param build: the composition at hand, with C{compile} and C{variables}.
    @param passUrl: tells of C{block} and the blocks around it what their I{own}
        C{*_pass} says; C{None} for a block that has none of its own.
    @return: C{None} when nothing is ever rewritten; else a function that takes the
        request, once, and answers what rewrites the URL of a Location or Refresh.
    @raise ConfigError: a line is wrong.
    """
    rules = tuple(_redirectRules(block, prefix, build, passUrl))
    if not rules:
        return None

    def bind(request: Any) -> Rewriter:
        return lambda value: first(rules, request, value)

    return bind
