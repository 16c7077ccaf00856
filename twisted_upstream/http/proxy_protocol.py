"""
The variables of the PROXY header that a connection began with.

nginx: C{ngx_http_variable_proxy_protocol_addr()} and what follows it in
C{ngx_http_variables.c}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..variables import Getter
    from ..wire.proxy_protocol import ProxyHeader

#: Names of variables that L{tlvVariable} makes begin with this.
TLV_PREFIX = "proxy_protocol_tlv_"


def _addr(request: Any) -> bytes | None:
    header: ProxyHeader | None = request.connection.proxied
    return None if header is None else header.sourceAddress


def _serverAddr(request: Any) -> bytes | None:
    header: ProxyHeader | None = request.connection.proxied
    return None if header is None else header.destinationAddress


def _port(request: Any) -> bytes | None:
    header: ProxyHeader | None = request.connection.proxied
    if header is None:
        return None
    # Port 0 is a value without text.
    return b"%d" % header.sourcePort if header.sourcePort else b""


def _serverPort(request: Any) -> bytes | None:
    header: ProxyHeader | None = request.connection.proxied
    if header is None:
        return None
    return b"%d" % header.destinationPort if header.destinationPort else b""


def variables() -> dict[str, Getter]:
    """
    The variables with fixed names; without a header they have no value.
    """
    return {
        "proxy_protocol_addr": _addr,
        "proxy_protocol_port": _port,
        "proxy_protocol_server_addr": _serverAddr,
        "proxy_protocol_server_port": _serverPort,
    }


def tlvVariable(name: str) -> Getter:
    """
    The getter of C{$proxy_protocol_tlv_NAME}.

    A name that nobody knows is no mistake of the configuration: as in nginx each use
    is logged.
    """

    def get(request: Any) -> bytes | None:
        header: ProxyHeader | None = request.connection.proxied
        if header is None:
            return None
        try:
            return header.tlv(name)
        except ValueError as e:
            request.logError("error", str(e))
            return None

    return get
