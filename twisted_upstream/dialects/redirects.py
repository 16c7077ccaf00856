"""
Rewriting what a server says of itself: C{proxy_redirect} for Location and Refresh,
C{proxy_cookie_domain}, C{proxy_cookie_path} and C{proxy_cookie_flags} for Set-Cookie.

nginx: ngx_http_proxy_rewrite_redirect(), ngx_http_proxy_rewrite_cookie(),
ngx_http_proxy_redirect(), ngx_http_proxy_cookie_*()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directive import HTTP_ANY, directive
from ..config.regex import Matcher, compileMatcher

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node

#: Takes a value, answers the new one, or C{None} to leave it as it is.
Rewriter = Callable[[bytes], "bytes | None"]
#: One line of the configuration: takes the request and the value.
Rule = Callable[[Any, bytes], "bytes | None"]


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


def _line(node: Node) -> Node:
    # Rules are compiled where variables are known; the line is all there is to keep.
    return node


@dataclass(frozen=True, kw_only=True, slots=True)
class RedirectOptions:
    """
    The lines as written; they are compiled per location.
    """

    redirects: tuple[Node, ...] = directive(
        "*_redirect",
        HTTP_ANY,
        _line,
        arity=(1, 2),
        default=(),
        repeat=True,
        inherit=False,
        type="pattern replacement | default | off",
        doc="Rewrite Location and Refresh of responses: pattern and replacement,"
        ' "default" or "off".',
    )
    cookieDomains: tuple[Node, ...] = directive(
        "*_cookie_domain",
        HTTP_ANY,
        _line,
        arity=(1, 2),
        default=(),
        repeat=True,
        type="pattern replacement | off",
        doc="Rewrite the domain attribute of Set-Cookie.",
    )
    cookiePaths: tuple[Node, ...] = directive(
        "*_cookie_path",
        HTTP_ANY,
        _line,
        arity=(1, 2),
        default=(),
        repeat=True,
        type="pattern replacement | off",
        doc="Rewrite the path attribute of Set-Cookie.",
    )
    cookieFlags: tuple[Node, ...] = directive(
        "*_cookie_flags",
        HTTP_ANY,
        _line,
        arity=(1, 4),
        default=(),
        repeat=True,
        type="cookie flag ... | off",
        doc="Set or clear flags of the cookies that match a name.",
    )


def _isOff(nodes: Sequence[Node]) -> bool:
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


def _noSingle(node: Node) -> None:
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


def _regexRule(match: Matcher, replacement: str, node: Node, build: Any) -> Rule:
    """
    nginx: ngx_http_proxy_rewrite_regex_handler()
    """
    new = build.compile(replacement, node)

    def rule(request: Any, value: bytes) -> bytes | None:
        if not match(request, value):
            return None
        replaced: bytes = new(request)
        return replaced

    return rule


def _domainRule(pattern: str, replacement: str, node: Node, build: Any) -> Rule:
    """
    nginx: ngx_http_proxy_rewrite_domain_handler()
    """
    old = build.compile(pattern.removeprefix("."), node)
    new = build.compile(replacement.removeprefix("."), node)

    def rule(request: Any, value: bytes) -> bytes | None:
        dot = b"." if value.startswith(b".") else b""
        if value[len(dot) :].lower() != old(request).lower():
            return None
        replaced: bytes = dot + new(request)
        return replaced

    return rule


def _rule(node: Node, build: Any) -> Rule:
    """
    PATTERN REPLACEMENT where the pattern is C{~regex}, C{~*regex} or a prefix.
    """
    pattern, replacement = node.words
    if not pattern.startswith("~"):
        return _prefixRule(pattern, replacement, node, build)
    caseless = pattern.startswith("~*")
    match = compileMatcher(pattern[2 if caseless else 1 :], node, build, caseless)
    return _regexRule(match, replacement, node, build)


def _cookieDomain(node: Node, build: Any) -> Rule:
    pattern, replacement = node.words
    if pattern.startswith("~"):
        # The domain is compared without regard to case even here.
        match = compileMatcher(pattern[1:], node, build, ignoreCase=True)
        return _regexRule(match, replacement, node, build)
    return _domainRule(pattern, replacement, node, build)


def _first(rules: Sequence[Rule], request: Any, value: bytes) -> bytes | None:
    for rule in rules:
        replaced = rule(request, value)
        if replaced is not None:
            return replaced
    return None


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
            if _isOff(lines):
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
            _noSingle(node)
            rules.append(_rule(node, build))
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
        request, once, and answers what rewrites a Location's value.  A Refresh goes
        through L{rewriteRefresh}.
    @raise ConfigError: a line is wrong.
    """
    rules = tuple(_redirectRules(block, prefix, build, passUrl))
    if not rules:
        return None

    def bind(request: Any) -> Rewriter:
        return lambda value: _first(rules, request, value)

    return bind


def rewriteRefresh(rewrite: Rewriter, value: bytes) -> bytes | None:
    """
    Rewrite what follows C{url=} in the value of a Refresh.

    nginx: ngx_http_upstream_rewrite_refresh()
    """
    at = value.lower().find(b"url=")
    if at < 0:
        return None
    replaced = rewrite(value[at + 4 :])
    return None if replaced is None else value[: at + 4] + replaced


#: Name and value of one attribute; the value is C{None} when there was no C{=}.
_Attribute = tuple[bytes, "bytes | None"]
_SAMESITE = ("strict", "lax", "none")
_FLAGS = frozenset(
    ("secure", "nosecure", "httponly", "nohttponly", "nosamesite")
    + tuple(f"samesite={mode}" for mode in _SAMESITE)
)


@dataclass(frozen=True, slots=True)
class _FlagRule:
    """
    One line of C{*_cookie_flags}.
    """

    matches: Callable[[Any, bytes], bool]
    flags: tuple[Callable[[Any], bytes], ...]

    def evaluate(self, request: Any) -> frozenset[str]:
        """
        The flags asked for; words that are none (of a variable) do not count.
        """
        said = {flag(request).lower().decode("latin-1") for flag in self.flags}
        return frozenset(said & _FLAGS)


def _flagRule(node: Node, build: Any) -> _FlagRule:
    name = node.words[0]
    flags = tuple(build.compile(word, node) for word in node.words[1:])
    if name.startswith("~"):
        return _FlagRule(compileMatcher(name[1:], node, build, ignoreCase=True), flags)
    expected = build.compile(name, node)

    def equals(request: Any, cookie: bytes) -> bool:
        return bool(expected(request).lower() == cookie.lower())

    return _FlagRule(equals, flags)


def parseCookie(value: bytes) -> list[_Attribute]:
    """
    Split the value of a Set-Cookie into its attributes, spaces trimmed.

    nginx: ngx_http_proxy_parse_cookie()
    """
    attributes: list[_Attribute] = []
    for part in value.split(b";"):
        name, equals, said = part.strip(b" ").partition(b"=")
        attributes.append((name.rstrip(b" "), said.strip(b" ") if equals else None))
    return attributes


def _editFlags(attributes: list[_Attribute], wanted: frozenset[str]) -> None:
    """
    Keep, drop, change and append flags.

    nginx: ngx_http_proxy_edit_cookie_flags()
    """
    missing = set(wanted)
    mode = next((m for m in _SAMESITE if f"samesite={m}" in wanted), None)
    kept = attributes[:1]
    for name, value in attributes[1:]:
        known = name.lower().decode("latin-1")
        if known in ("secure", "httponly"):
            if known in missing:
                missing.discard(known)
            elif f"no{known}" in wanted:
                continue
        elif known == "samesite":
            if mode is not None and f"samesite={mode}" in missing:
                missing.discard(f"samesite={mode}")
                if value is None or value.lower() != mode.encode():
                    name, value = b"SameSite", mode.capitalize().encode()
            elif "nosamesite" in wanted:
                continue
        kept.append((name, value))
    if "secure" in missing:
        kept.append((b"Secure", None))
    if "httponly" in missing:
        kept.append((b"HttpOnly", None))
    if mode is not None and f"samesite={mode}" in missing:
        kept.append((b"SameSite", mode.capitalize().encode()))
    attributes[:] = kept


class _Cookies:
    """
    The cookie rules of one location.
    """

    __slots__ = ("_domains", "_flags", "_paths")

    def __init__(
        self,
        domains: Sequence[Rule],
        paths: Sequence[Rule],
        flags: Sequence[_FlagRule],
    ) -> None:
        self._domains = domains
        self._paths = paths
        self._flags = flags

    def bind(self, request: Any) -> Rewriter:
        return lambda value: self.rewrite(request, value)

    def rewrite(self, request: Any, value: bytes) -> bytes | None:
        attributes = parseCookie(value)
        if attributes[0][1] is None:
            return None
        changed = False
        for index, (name, said) in enumerate(attributes):
            if index == 0 or said is None:
                continue
            lower = name.lower()
            rules: Sequence[Rule] = ()
            if lower == b"domain":
                rules = self._domains
            elif lower == b"path":
                rules = self._paths
            replaced = _first(rules, request, said)
            if replaced is not None:
                attributes[index] = (name, replaced)
                changed = True
        wanted = self._wanted(request, attributes[0][0])
        if wanted:
            _editFlags(attributes, wanted)
            changed = True
        if not changed:
            return None
        return b"; ".join(
            name if said is None else b"%b=%b" % (name, said)
            for name, said in attributes
        )

    def _wanted(self, request: Any, cookie: bytes) -> frozenset[str]:
        for rule in self._flags:
            if rule.matches(request, cookie):
                return rule.evaluate(request)
        return frozenset()


def _cookieRules(
    nodes: Sequence[Node], build: Any, make: Callable[[Node, Any], Rule]
) -> tuple[Rule, ...]:
    if _isOff(nodes):
        return ()
    for node in nodes:
        _noSingle(node)
    return tuple(make(node, build) for node in nodes)


def compileCookies(
    block: Block, prefix: str, build: Any
) -> Callable[[Any], Rewriter] | None:
    """
    Compile C{*_cookie_domain}, C{*_cookie_path} and C{*_cookie_flags} of one location.

    @return: C{None} when cookies are left alone; else a function that takes the
        request, once, and answers what rewrites the value of a Set-Cookie.
    @raise ConfigError: a line is wrong.
    """
    options = block.of(RedirectOptions, prefix)
    domains = _cookieRules(options.cookieDomains, build, _cookieDomain)
    paths = _cookieRules(options.cookiePaths, build, _rule)
    flags: tuple[_FlagRule, ...] = ()
    if not _isOff(options.cookieFlags):
        for node in options.cookieFlags:
            _noSingle(node)
        flags = tuple(_flagRule(node, build) for node in options.cookieFlags)
    if not (domains or paths or flags):
        return None
    return _Cookies(domains, paths, flags).bind
