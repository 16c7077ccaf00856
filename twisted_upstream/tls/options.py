"""
The C{ssl_*} directives of servers, in http and in stream.  Nothing here needs OpenSSL.

nginx: http/modules/ngx_http_ssl_module.c, stream/ngx_stream_ssl_module.c
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.build import Block
from ..config.directive import (
    Where,
    directive,
    flag,
    oneOf,
    size,
    text,
    wholeSeconds,
)
from ..config.syntax import Node
from ..config.values import parseSize
from .fields import (
    CacheOptions,
    certificateCacheDirective,
    ciphersDirective,
    commandsDirective,
    crlDirective,
    fileDirective,
    passwordFileDirective,
    protocolsDirective,
    trustedDirective,
    verifyDepthDirective,
)

if TYPE_CHECKING:
    from ..config.zones import Zones

_HTTP = Where.HTTP | Where.SERVER
_STREAM = Where.STREAM | Where.STREAM_SERVER
_BOTH = _HTTP | _STREAM

_PAGE = 4096


def _shared(node: Node, word: str, what: str) -> tuple[str, int]:
    """
    Read C{shared:name:size}.
    """
    kind, _, rest = word.partition(":")
    name, _, value = rest.partition(":")
    wrong = node.error(f'invalid {what} "{word}"')
    if kind != "shared" or not name:
        raise wrong
    try:
        size = parseSize(value)
    except ValueError:
        raise wrong from None
    if size < 8 * _PAGE:
        raise node.error(f'{what} "{word}" is too small')
    return name, size


def declareCaches(block: Block, zones: Zones, place: str) -> None:
    """
    Tell the names of caches that this very block says workers share.

    @param place: C{http} or C{stream}.
    @raise ConfigError: a name is used for something else.
    """
    for name in ("ssl_session_cache", "ssl_ocsp_cache"):
        for node in block.nodes(name):
            for word in node.words:
                if word.startswith("shared:"):
                    zones.declare(*_shared(node, word, ""), f"{place} {name}", node)


def _sessionCache(node: Node) -> str:
    """
    @return: C{off}, C{none}, C{builtin} or C{shared}.
    """
    kind = "none"
    for word in node.words:
        wrong = node.error(f'invalid session cache "{word}"')
        if word in ("off", "none"):
            kind = word
        elif word == "builtin" or word.startswith("builtin:"):
            if word != "builtin" and not word[len("builtin:") :].isdigit():
                raise wrong
            if kind != "shared":
                kind = "builtin"
        elif word.startswith("shared:"):
            _shared(node, word, "session cache")
            kind = "shared"
        else:
            raise wrong
    return kind


def _ocspCache(node: Node) -> str:
    """
    @return: the name of the cache; empty: none.
    """
    word = node.words[0]
    if word == "off":
        return ""
    return _shared(node, word, "OCSP cache")[0]


def _unsupported(node: Node) -> bool:
    """
    OpenSSL can do it, but not through pyOpenSSL.
    """
    if node.words[0] != "off":
        node.warning(f'"{node.name}" is not supported on this platform, ignored')
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class TLSOptions:
    """
    TLS with clients.
    """

    certificates: tuple[str, ...] = directive(
        "ssl_certificate",
        _BOTH,
        text,
        repeat=True,
        default=(),
        doc="A file with a certificate and those that lead to a known one; or data:.",
    )
    keys: tuple[str, ...] = directive(
        "ssl_certificate_key",
        _BOTH,
        text,
        repeat=True,
        default=(),
        doc="A file with the key of a certificate, in the same order; or data:.",
    )
    certificateCache: CacheOptions = certificateCacheDirective(
        "ssl_certificate_cache", _BOTH
    )
    passwordFile: str = passwordFileDirective("ssl_password_file", _BOTH)
    certificateCompression: bool = directive(
        "ssl_certificate_compression",
        _BOTH,
        _unsupported,
        default=False,
        doc="Accepted, and without effect.",
        type="on | off",
    )
    encryptedHello: tuple[bool, ...] = directive(
        "ssl_ech_file",
        _BOTH,
        _unsupported,
        repeat=True,
        default=(),
        doc="Accepted, and without effect.",
        type="file",
    )
    dhParameters: str = fileDirective(
        "ssl_dhparam", _BOTH, "A file with parameters for DHE ciphers."
    )
    groups: str = directive(
        "ssl_ecdh_curve",
        _BOTH,
        text,
        default="auto",
        doc="Groups for the key exchange, separated by colons.",
    )
    protocols: tuple[str, ...] = protocolsDirective("ssl_protocols", _BOTH)
    ciphers: str = ciphersDirective("ssl_ciphers", _BOTH, "HIGH:!aNULL:!MD5")
    preferServer: bool = directive(
        "ssl_prefer_server_ciphers",
        _BOTH,
        flag,
        default=False,
        doc="Choose by our order of ciphers, not by the client's.",
    )
    verifyClient: str = directive(
        "ssl_verify_client",
        _BOTH,
        oneOf("off", "on", "optional", "optional_no_ca"),
        default="off",
        doc="Ask clients for certificates.",
    )
    verifyDepth: int = verifyDepthDirective("ssl_verify_depth", _BOTH, "client")
    clientCertificate: str = fileDirective(
        "ssl_client_certificate",
        _BOTH,
        "A file with trusted certificates; their names are sent to clients.",
    )
    trustedCertificate: str = trustedDirective("ssl_trusted_certificate", _BOTH)
    crl: str = crlDirective("ssl_crl", _BOTH)
    sessionCache: str = directive(
        "ssl_session_cache",
        _BOTH,
        _sessionCache,
        arity=(1, 2),
        default="none",
        doc="Where sessions are kept.",
        type="off | none | [builtin[:size]] [shared:name:size]",
    )
    sessionTickets: bool = directive(
        "ssl_session_tickets",
        _BOTH,
        flag,
        default=True,
        doc="Let clients keep sessions.",
    )
    ticketKeys: tuple[str, ...] = directive(
        "ssl_session_ticket_key",
        _BOTH,
        text,
        repeat=True,
        default=(),
        doc="A file with a key for tickets.  Checked, but the keys are our own.",
    )
    sessionTimeout: float = directive(
        "ssl_session_timeout",
        _BOTH,
        wholeSeconds,
        default=300.0,
        doc="How long a session can be resumed.",
    )
    stapling: bool = directive(
        "ssl_stapling",
        _BOTH,
        flag,
        default=False,
        doc="Send along what the authority says of our certificate: what is in"
        " ssl_stapling_file.  Nothing is fetched.",
    )
    staplingFile: str = fileDirective(
        "ssl_stapling_file", _BOTH, "A file with a response of the authority, in DER."
    )
    ocsp: str = directive(
        "ssl_ocsp",
        _BOTH,
        oneOf("off", "on", "leaf"),
        default="off",
        doc="Ask authorities whether clients' certificates were revoked: each of the"
        " chain, or the client's alone.",
    )
    ocspResponder: str = directive(
        "ssl_ocsp_responder",
        _BOTH,
        text,
        default="",
        doc="The URL to ask instead of those that certificates name.",
    )
    ocspCache: str = directive(
        "ssl_ocsp_cache",
        _BOTH,
        _ocspCache,
        default="",
        doc="Keep what authorities have said, for all servers that use this name.",
        type="off | shared:name:size",
    )
    rejectHandshake: bool = directive(
        "ssl_reject_handshake",
        _BOTH,
        flag,
        default=False,
        doc="Refuse whoever asks for this server.",
    )
    commands: tuple[tuple[str, str], ...] = commandsDirective("ssl_conf_command", _BOTH)


@dataclass(frozen=True, kw_only=True, slots=True)
class TLSFileOptions:
    """
    How files of TLS are read.
    """

    inherits: bool = directive(
        "ssl_object_cache_inheritable",
        Where.MAIN,
        flag,
        default=True,
        doc="At a reload, do not read files again that have not changed.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class HTTPTLSOptions:
    """
    TLS with clients of HTTP.
    """

    bufferSize: int = directive(
        "ssl_buffer_size",
        _HTTP,
        size,
        default=16384,
        doc="How much of a response is encrypted together.",
    )
    earlyData: bool = directive(
        "ssl_early_data",
        _HTTP,
        _unsupported,
        default=False,
        doc="Accepted, and without effect.",
        type="on | off",
    )


def checkCertificates(default: Any, servers: Iterable[Any], line: Node) -> None:
    """
    Can every server of an address answer a handshake?

    @param default: the L{ServerTLS<twisted_upstream.tls.server.ServerTLS>} of the
        default server.
    @param line: the C{listen}.
    @raise ConfigError: one cannot.
    """
    only = default.reject and not default.options.certificates
    for each in servers:
        if each.hasContext or (each is not default and not only):
            continue
        raise line.error(
            'no "ssl_certificate" is defined for the "listen ... ssl" directive in'
            f" {line.path}:{line.line}"
        )


def linesOf(block: Block, name: str) -> tuple[Node, ...]:
    """
    The lines of a directive that count in a block, its own or inherited ones.
    """
    place: Block | None = block
    while place is not None:
        found = place.nodes(name)
        if found:
            return found
        place = place.parent
    return ()


def lineOf(block: Block, name: str) -> Node:
    """
    The last of them, for messages; the block's own where there is none.
    """
    found = linesOf(block, name)
    return found[-1] if found else block.node
