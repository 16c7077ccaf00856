"""
The client's real address, told by a proxy that is trusted.

nginx: ngx_http_realip_module.c, ngx_http_get_forwarded_addr()
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from ...config.cidr import Network, inAny
from ...config.directive import HTTP_ANY, directive, flag, text
from ...net.sockaddr import parseLiteral
from ...net.trusted import trustedNetworks
from ...wire.fields import firstValue

if TYPE_CHECKING:
    from ...config.build import Block
    from ..request import Request


_port = re.compile(r"0*[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class RealipOptions:
    """
    Whom to believe, and which field.
    """

    trusted: tuple[tuple[Network, ...], ...] = directive(
        "set_real_ip_from",
        HTTP_ANY,
        trustedNetworks,
        default=(),
        repeat=True,
        type="address | network | unix:",
        doc="Proxies that are believed when they tell a client's address.",
    )
    source: str = directive(
        "real_ip_header",
        HTTP_ANY,
        text,
        default="X-Real-IP",
        doc="The field that tells a client's address, or proxy_protocol.",
    )
    recursive: bool = directive(
        "real_ip_recursive",
        HTTP_ANY,
        flag,
        default=False,
        doc="Go on to earlier addresses while they are trusted proxies.",
    )


def parseAddress(text: bytes) -> tuple[str, int] | None:
    """
    An address with or without a port.

    @return: host and port, 0 if there is none; C{None}: it is no address.

    nginx: ngx_parse_addr_port()
    """
    word = text.decode("latin-1")
    host, port = word, "0"
    if word.startswith("["):
        host, bracket, rest = word[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest[1:] if rest else "0"
    elif word.count(":") == 1:
        host, _, port = word.partition(":")
    if not _port.fullmatch(port) or int(port) > 65535:
        return None
    if port == "0" and host != word and not word.endswith("]"):
        return None
    literal = parseLiteral(host)
    return None if literal is None else (literal, int(port))


def forwardedAddress(
    address: bytes, value: bytes, trusted: tuple[Network, ...], recursive: bool
) -> tuple[str, int] | None:
    """
    Follow a list of addresses from its end.

    @param address: who sent the request, in network order.
    @param value: addresses, separated by commas or spaces.
    @param recursive: go on while the address found is trusted itself.
    @return: host and port; C{None}: the sender is who it is.
    """
    found: tuple[str, int] | None = None
    for word in reversed(re.split(rb"[ ,]+", value.strip(b" ,"))):
        if not inAny(trusted, address):
            break
        parsed = parseAddress(word)
        if parsed is None:
            break
        found = parsed
        if not recursive:
            break
        address = ip_address(parsed[0]).packed
    return found


def forwardedFor(
    request: Any, address: bytes, trusted: tuple[Network, ...], recursive: bool
) -> bytes:
    """
    The client's address by C{X-Forwarded-For}, in network order.

    @param address: where the list of addresses goes on.

    nginx: ngx_http_get_forwarded_addr() as geo calls it
    """
    value: bytes = request.variable("http_x_forwarded_for")
    found = forwardedAddress(address, value, trusted, recursive) if value else None
    return address if found is None else ip_address(found[0]).packed


#: Where a client's address is told: takes a request, answers the value.
_Source = Callable[[Any], "bytes | None"]


def _fromProxyProtocol(request: Any) -> bytes | None:
    host: bytes = request.variable("proxy_protocol_addr")
    if not host:
        return None
    port: bytes = request.variable("proxy_protocol_port")
    if not port or port == b"0":
        return host
    return (b"[%b]:%b" if b":" in host else b"%b:%b") % (host, port)


def _sourceOf(name: str) -> _Source:
    if name == "proxy_protocol":
        return _fromProxyProtocol
    if name == "X-Forwarded-For":
        # All of its lines count, as one list.
        return lambda request: request.variable("http_x_forwarded_for") or None
    field = name.encode("utf-8", "surrogateescape")
    return lambda request: firstValue(request.head.fields, field)


def compileRealip(block: Block, build: Any) -> Callable[[Request], bool] | None:
    """
    Compile C{set_real_ip_from} and what goes with it of one place.

    @return: C{None} when nobody is trusted; else a phase, to be run when a request was
        read and again when its location was found.  It never answers; it may call
        C{request.changeAddress(host, port)}, once per request.
    """
    options = block.of(RealipOptions)
    trusted = tuple(network for line in options.trusted for network in line)
    if not trusted:
        return None
    source = _sourceOf(options.source)
    recursive = options.recursive

    def believe(request: Request) -> bool:
        if request.realPeer is not None:
            return False
        value = source(request)
        if value is None:
            return False
        found = forwardedAddress(request.address, value, trusted, recursive)
        if found is not None:
            request.changeAddress(*found)
        return False

    return believe
