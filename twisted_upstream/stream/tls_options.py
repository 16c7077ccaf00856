"""
TLS and its first message in C{stream}.  Nothing here needs OpenSSL.

nginx: stream/ngx_stream_ssl_module.c, stream/ngx_stream_ssl_preread_module.c,
stream/ngx_stream_proxy_module.c
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config.directive import directive, flag, relocated, seconds
from ..config.syntax import Node
from ..config.values import Template
from ..upstream.tls_options import UpstreamTLSOptions
from .options import STREAM


def _protocolNames(node: Node) -> tuple[bytes, ...]:
    names = tuple(word.encode("utf-8", "surrogateescape") for word in node.words)
    if any(len(name) > 255 for name in names):
        raise node.error("protocol too long")
    return names


def _templates(node: Node) -> tuple[Template, ...]:
    from ..config.values import parseTemplate

    found = tuple(parseTemplate(word) for word in node.words)
    for each in found:
        constant = each.constant
        if constant is not None and len(constant) > 255:
            raise node.error("protocol too long")
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamTLSOptions:
    """
    What only stream has.
    """

    handshakeTimeout: float = directive(
        "ssl_handshake_timeout",
        STREAM,
        seconds,
        default=60.0,
        doc="How long a client's handshake may take.",
    )
    protocolNames: tuple[bytes, ...] = directive(
        "ssl_alpn",
        STREAM,
        _protocolNames,
        arity=(1, None),
        default=(),
        doc="Protocols that a client may choose from (ALPN), the best first.",
        type="text ...",
    )
    preread: bool = directive(
        "ssl_preread",
        STREAM,
        flag,
        default=False,
        doc="Look at what a TLS client asks for, without answering.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamProxyTLSOptions:
    """
    TLS with servers: what only stream has.
    """

    secure: bool = directive(
        "proxy_ssl", STREAM, flag, default=False, doc="Talk TLS with servers."
    )
    protocolNames: tuple[Template, ...] = directive(
        "proxy_ssl_alpn",
        STREAM,
        _templates,
        arity=(1, None),
        default=(),
        doc="Protocols that servers may choose from (ALPN).",
        type="text ...",
    )


#: C{proxy_ssl_*} as http has them.
StreamUpstreamTLSOptions: type[Any] = relocated(UpstreamTLSOptions, STREAM)
