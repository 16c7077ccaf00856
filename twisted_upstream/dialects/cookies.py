"""
C{proxy_cookie_domain}, C{proxy_cookie_path} and C{proxy_cookie_flags}: rewriting
Set-Cookie of responses.

nginx: C{ngx_http_proxy_rewrite_cookie()}, C{ngx_http_proxy_cookie_domain()},
C{ngx_http_proxy_cookie_path()}, C{ngx_http_proxy_cookie_flags()}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.regex import compileMatcher
from .rewriting import (
    Rewriter,
    Rule,
    first,
    isOff,
    linesDirective,
    noSingle,
    regexRule,
    ruleOf,
)

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node


@dataclass(frozen=True, kw_only=True, slots=True)
class CookieOptions:
    """
    The lines as written; they are compiled per location.
    """

    cookieDomains: tuple[Node, ...] = linesDirective(
        "*_cookie_domain",
        "pattern replacement | off",
        "Rewrite the domain attribute of Set-Cookie.",
    )
    cookiePaths: tuple[Node, ...] = linesDirective(
        "*_cookie_path",
        "pattern replacement | off",
        "Rewrite the path attribute of Set-Cookie.",
    )
    cookieFlags: tuple[Node, ...] = linesDirective(
        "*_cookie_flags",
        "cookie flag ... | off",
        "Set or clear flags of the cookies that match a name.",
        words=4,
    )


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


def _cookieDomain(node: Node, build: Any) -> Rule:
    pattern, replacement = node.words
    if pattern.startswith("~"):
        # The domain is compared without regard to case even here.
        match = compileMatcher(pattern[1:], node, build, ignoreCase=True)
        return regexRule(match, replacement, node, build)
    return _domainRule(pattern, replacement, node, build)


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
            replaced = first(rules, request, said)
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
    if isOff(nodes):
        return ()
    for node in nodes:
        noSingle(node)
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
    options = block.of(CookieOptions, prefix)
    domains = _cookieRules(options.cookieDomains, build, _cookieDomain)
    paths = _cookieRules(options.cookiePaths, build, ruleOf)
    flags: tuple[_FlagRule, ...] = ()
    if not isOff(options.cookieFlags):
        for node in options.cookieFlags:
            noSingle(node)
        flags = tuple(_flagRule(node, build) for node in options.cookieFlags)
    if not (domains or paths or flags):
        return None
    return _Cookies(domains, paths, flags).bind
