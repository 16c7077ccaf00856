"""
Fields of options that TLS with clients and TLS with servers have in common.  Nothing
here needs OpenSSL.

nginx: http/modules/ngx_http_ssl_module.c, http/modules/ngx_http_proxy_module.c
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config.directive import InvalidValue, Where, directive, number, text
from ..config.syntax import Node
from ..config.values import parseNumber, parseTime

_PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def _protocols(node: Node) -> tuple[str, ...]:
    """
    Versions of TLS.
    """
    known = {each.lower(): each for each in _PROTOCOLS}
    found: list[str] = []
    for word in node.words:
        name = known.get(word.lower())
        if name is None:
            raise InvalidValue(word, "")
        if name in found:
            node.warning(f'duplicate value "{word}"')
        else:
            found.append(name)
    return tuple(found)


def _command(node: Node) -> tuple[str, str]:
    """
    A command for OpenSSL and its value.
    """
    return node.words[0], node.words[1]


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """
    C{*_certificate_cache}.

    @ivar most: certificates and keys that are kept; 0: none.
    @ivar inactive: seconds after which an unused one may go.
    @ivar valid: seconds after which its file is looked at again.
    """

    most: int = 0
    inactive: float = 10.0
    valid: float = 60.0


def _certificateCache(node: Node) -> CacheOptions:
    """
    C{off}, or C{max=N [inactive=time] [valid=time]}.
    """
    most = 0
    inactive, valid = 10.0, 60.0
    for index, word in enumerate(node.words):
        name, _, value = word.partition("=")
        with node.parameter(index):
            if word == "off" and len(node.words) == 1:
                return CacheOptions()
            if name == "max":
                most = parseNumber(value)
                if not most:
                    raise ValueError
            elif name == "inactive":
                inactive = parseTime(value, milliseconds=False)
            elif name == "valid":
                valid = parseTime(value, milliseconds=False)
            else:
                raise ValueError
    if not most:
        raise node.error(f'"{node.name}" must have the "max" parameter')
    return CacheOptions(most, inactive, valid)


def fileDirective(name: str, where: Where, doc: str) -> Any:
    """
    The name of a file; empty: there is none.
    """
    return directive(name, where, text, default="", doc=doc)


def passwordFileDirective(name: str, where: Where) -> Any:
    """
    C{*ssl_password_file}.
    """
    doc = "A file with pass phrases of keys, one on each line."
    return fileDirective(name, where, doc)


def trustedDirective(name: str, where: Where) -> Any:
    """
    C{*ssl_trusted_certificate}.
    """
    return fileDirective(name, where, "A file with trusted certificates.")


def crlDirective(name: str, where: Where) -> Any:
    """
    C{*ssl_crl}.
    """
    return fileDirective(name, where, "A file with lists of revoked certificates.")


def verifyDepthDirective(name: str, where: Where, whose: str) -> Any:
    """
    C{*ssl_verify_depth}.
    """
    return directive(
        name,
        where,
        number,
        default=1,
        doc=f"How many certificates may stand between the {whose}'s and a trusted one.",
    )


def certificateCacheDirective(name: str, where: Where) -> Any:
    """
    C{*ssl_certificate_cache}.
    """
    return directive(
        name,
        where,
        _certificateCache,
        arity=(1, 3),
        default=CacheOptions(),
        doc="Keep certificates whose names have variables.",
        type="off | max=number [inactive=time] [valid=time]",
    )


def protocolsDirective(name: str, where: Where) -> Any:
    """
    C{*ssl_protocols}.
    """
    return directive(
        name,
        where,
        _protocols,
        arity=(1, None),
        default=("TLSv1.2", "TLSv1.3"),
        doc="Versions of TLS.",
        type=" | ".join(_PROTOCOLS) + " ...",
    )


def ciphersDirective(name: str, where: Where, default: str) -> Any:
    """
    C{*ssl_ciphers}.
    """
    doc = "Ciphers of TLS up to 1.2, as OpenSSL writes them."
    return directive(name, where, text, default=default, doc=doc)


def commandsDirective(name: str, where: Where) -> Any:
    """
    C{*ssl_conf_command}.
    """
    return directive(
        name,
        where,
        _command,
        arity=(2, 2),
        repeat=True,
        default=(),
        doc="A command for OpenSSL itself.",
        type="name value",
    )
