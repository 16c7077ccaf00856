"""
The variables of the PROXY header that a connection began with.

nginx: C{ngx_http_variable_proxy_protocol_addr()} and what follows it in
C{ngx_http_variables.c}; the same functions of C{stream}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..variables import Getter, Variables
    from ..wire.proxy_protocol import ProxyHeader

#: Names of variables that L{tlvVariable} makes begin with this.
TLV_PREFIX = "proxy_protocol_tlv_"

#: Finds the header of a request or session, C{None} if there is none.
HeaderOf = Callable[[Any], "ProxyHeader | None"]


def _portText(port: int) -> bytes:
    # Port 0 is a value without text.
    return b"%d" % port if port else b""


def variables(headerOf: HeaderOf) -> dict[str, Getter]:
    """
    The variables with fixed names; without a header they have no value.
    """

    def getter(value: Callable[[ProxyHeader], bytes]) -> Getter:
        def get(client: Any) -> bytes | None:
            header = headerOf(client)
            return None if header is None else value(header)

        return get

    return {
        "proxy_protocol_addr": getter(lambda h: h.sourceAddress),
        "proxy_protocol_port": getter(lambda h: _portText(h.sourcePort)),
        "proxy_protocol_server_addr": getter(lambda h: h.destinationAddress),
        "proxy_protocol_server_port": getter(lambda h: _portText(h.destinationPort)),
    }


def tlvVariable(name: str, headerOf: HeaderOf) -> Getter:
    """
    The getter of C{$proxy_protocol_tlv_NAME}.

    A name that nobody knows is no mistake of the configuration: as in nginx each use
    is logged.
    """

    def get(client: Any) -> bytes | None:
        header = headerOf(client)
        if header is None:
            return None
        try:
            return header.tlv(name)
        except ValueError as e:
            client.logError("error", str(e))
            return None

    return get


def addProxyProtocolVariables(table: Variables, headerOf: HeaderOf) -> None:
    """
    Add them all to a table.
    """
    table.add(variables(headerOf))
    table.addPrefix(TLV_PREFIX, lambda name: tlvVariable(name, headerOf))
