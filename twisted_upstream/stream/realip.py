"""
The client's real address, told by the PROXY header of a trusted proxy.

nginx: C{ngx_stream_realip_module.c}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.cidr import Network, inAny
from ..config.directive import directive
from ..net.sockaddr import parseLiteral
from ..net.trusted import trustedNetworks
from .options import STREAM

if TYPE_CHECKING:
    from ..config.build import Block
    from .routing import Phase
    from .session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamRealipOptions:
    """
    Whom to believe.
    """

    trusted: tuple[tuple[Network, ...], ...] = directive(
        "set_real_ip_from",
        STREAM,
        trustedNetworks,
        default=(),
        repeat=True,
        type="address | network | unix: | name",
        doc="Proxies that are believed when their PROXY header tells a client's"
        " address.",
    )


def compileRealip(block: Block) -> Phase | None:
    """
    Compile C{set_real_ip_from} of one server.

    @return: C{None} when nobody is trusted.
    """
    lines = block.of(StreamRealipOptions).trusted
    trusted = tuple(network for line in lines for network in line)
    if not trusted:
        return None

    def believe(session: Session) -> bool:
        header = session.proxied
        if header is not None and inAny(trusted, session.address):
            literal = parseLiteral(header.sourceAddress.decode("latin-1"))
            if literal is not None:
                session.changeAddress(literal, header.sourcePort)
        return False

    return believe
