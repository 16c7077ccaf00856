"""
Who may ask for what: C{allow}, C{deny}, C{internal}, C{limit_except}.

nginx: ngx_http_access_module.c, ngx_http_core_limit_except()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config.access import AccessRule, parseAccessRule, verdict
from ...config.directive import HTTP_ANY, Where, directive, nothing, oneOf

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ..request import Request

_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "OPTIONS")
    + ("PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "PATCH")
)


def _methods(node: Node) -> frozenset[bytes]:
    """
    The methods that C{limit_except} does not limit.
    """
    allowed = set()
    for index, word in enumerate(node.words):
        if word.upper() not in _METHODS:
            raise node.error(f'invalid method "{word}"', word=index)
        allowed.add(word.upper().encode())
    if b"GET" in allowed:
        allowed.add(b"HEAD")
    return frozenset(allowed)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessOptions:
    """
    Who may ask.
    """

    rules: tuple[AccessRule, ...] = directive(
        ("allow", "deny"),
        HTTP_ANY | Where.LIMIT_EXCEPT,
        parseAccessRule,
        default=(),
        repeat=True,
        type="address | network | unix: | all",
        doc="Let clients of a network in, or keep them out; the first match decides.",
    )
    satisfy: str = directive(
        "satisfy",
        HTTP_ANY,
        oneOf("all", "any"),
        default="all",
        doc="Must all kinds of access control agree, or is one enough?",
    )
    internal: bool = directive(
        "internal",
        Where.LOCATION,
        nothing,
        default=False,
        doc="Only for internal redirects; clients get 404.",
    )
    allowedMethods: frozenset[bytes] | None = directive(
        "limit_except",
        Where.LOCATION,
        _methods,
        arity=(1, None),
        default=None,
        inherit=False,
        opens=Where.LIMIT_EXCEPT,
        type="method ...",
        doc="Another configuration for all methods but these.",
    )


def compileAccess(block: Block, build: Any) -> Callable[[Request], bool] | None:
    """
    Compile C{allow} and C{deny} of one place.

    @return: C{None} when everybody may; else a phase that answers 403.
    """
    rules = block.of(AccessOptions).rules
    if not rules:
        return None

    def check(request: Request) -> bool:
        if verdict(rules, request.address) is not False or request.isSubrequest:
            return False
        # With "satisfy any" nginx says the same a moment later, as there is no other
        # kind of access control that could have been satisfied.
        request.logError("error", "access forbidden by rule")
        request.failResponse(403)
        return True

    return check


def isInternal(block: Block) -> bool:
    """
    Is a location only for internal redirects?
    """
    return block.of(AccessOptions).internal


def compileLimitExcept(block: Block, build: Any) -> Callable[[bytes], Any] | None:
    """
    Compile C{limit_except} of a location.

    @param build: the composition at hand, with C{locationFor(block)}.
    @return: C{None} when there is none; else a function that takes a method and
        answers the location that applies instead, or C{None}.  It is to be asked when
        a request enters the location.
    """
    allowed = block.of(AccessOptions).allowedMethods
    if allowed is None:
        return None
    inner = next(b for b in block.inner if b.where is Where.LIMIT_EXCEPT)
    location = build.locationFor(inner)

    def choose(method: bytes) -> Any:
        return None if method in allowed else location

    return choose
