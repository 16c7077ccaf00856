"""
C{resolver}: the name servers for names that are known only while clients are served.

nginx: C{ngx_http_core_resolver()}, C{ngx_stream_core_resolver()}
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.directive import Where, directive, seconds, words

_PLACES = Where.HTTP_ANY | Where.STREAM | Where.STREAM_SERVER


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolverOptions:
    """
    Who is asked for addresses of names.
    """

    resolver: tuple[str, ...] = directive(
        "resolver",
        _PLACES,
        words,
        arity=(1, None),
        default=(),
        doc="Name servers for names that are known only per request or session.",
    )
    resolverTimeout: float = directive(
        "resolver_timeout",
        _PLACES,
        seconds,
        default=30.0,
        doc="How long looking a name up may take.",
    )
