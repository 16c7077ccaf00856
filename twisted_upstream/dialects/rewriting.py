"""
Lines of the configuration that say how a value of a server's response is rewritten, by
a pattern and a replacement.

nginx: C{ngx_http_proxy_rewrite_complex_handler()},
C{ngx_http_proxy_rewrite_regex_handler()}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..config.directive import HTTP_ANY, directive
from ..config.regex import Matcher, compileMatcher

if TYPE_CHECKING:
    from ..config.syntax import Node

#: Takes a value, answers the new one, or C{None} to leave it as it is.
Rewriter = Callable[[bytes], "bytes | None"]
#: One line of the configuration: takes the request and the value.
Rule = Callable[[Any, bytes], "bytes | None"]


def linesDirective(
    name: str, type: str, doc: str, *, words: int = 2, inherit: bool = True
) -> Any:
    """
    The field of a directive whose lines are compiled where variables are known: each is
    kept as it was written.

    @param words: how many it has at most.
    """

    def line(node: Node) -> Node:
        return node

    return directive(
        name,
        HTTP_ANY,
        line,
        arity=(1, words),
        default=(),
        repeat=True,
        inherit=inherit,
        type=type,
        doc=doc,
    )


def isOff(nodes: Sequence[Node]) -> bool:
    """
    Are these lines the single word C{off}?

    @raise ConfigError: C{off} stands beside other lines.
    """
    for index, node in enumerate(nodes):
        if node.words == ("off",):
            if len(nodes) > 1:
                raise nodes[max(index, 1)].error(
                    f'"{node.name}" directive is duplicate'
                )
            return True
    return False


def noSingle(node: Node) -> None:
    """
    Refuse a line of a single word; C{off} was looked for before.

    @raise ConfigError: it is one.
    """
    if len(node.words) == 1:
        raise node.error(f'invalid parameter "{node.words[0]}"')


def _prefixRule(pattern: str, replacement: str, node: Node, build: Any) -> Rule:
    """
    nginx: ngx_http_proxy_rewrite_complex_handler()
    """
    old = build.compile(pattern, node)
    new = build.compile(replacement, node)

    def rule(request: Any, value: bytes) -> bytes | None:
        prefix: bytes = old(request)
        if not value.startswith(prefix):
            return None
        replaced: bytes = new(request) + value[len(prefix) :]
        return replaced

    return rule


def regexRule(match: Matcher, replacement: str, node: Node, build: Any) -> Rule:
    """
    What matches becomes C{replacement}.

    nginx: ngx_http_proxy_rewrite_regex_handler()
    """
    new = build.compile(replacement, node)

    def rule(request: Any, value: bytes) -> bytes | None:
        if not match(request, value):
            return None
        replaced: bytes = new(request)
        return replaced

    return rule


def ruleOf(node: Node, build: Any) -> Rule:
    """
    PATTERN REPLACEMENT where the pattern is C{~regex}, C{~*regex} or a prefix.
    """
    pattern, replacement = node.words
    if not pattern.startswith("~"):
        return _prefixRule(pattern, replacement, node, build)
    caseless = pattern.startswith("~*")
    match = compileMatcher(pattern[2 if caseless else 1 :], node, build, caseless)
    return regexRule(match, replacement, node, build)


def first(rules: Sequence[Rule], request: Any, value: bytes) -> bytes | None:
    """
    What the first rule that matches makes of C{value}; C{None}: none does.
    """
    for rule in rules:
        replaced = rule(request, value)
        if replaced is not None:
            return replaced
    return None
