"""
Addresses and networks as C{allow}, C{deny} and C{set_real_ip_from} write them.

nginx: ngx_ptocidr(), ngx_cidr_match()
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_MAPPED = bytes(10) + b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Network:
    """
    A network, or all unix sockets.

    @ivar size: bytes of an address: 4, 16, or 0 for unix sockets.
    @ivar number: the network's address.
    @ivar mask: which bits of an address are compared.
    """

    size: int
    number: int = 0
    mask: int = 0

    def contains(self, address: bytes) -> bool:
        """
        Is C{address}, in network order and not mapped, in this network?
        """
        return (
            len(address) == self.size
            and int.from_bytes(address, "big") & self.mask == self.number
        )


def parseNetwork(text: str) -> tuple[Network, bool]:
    """
    Parse C{192.0.2.0/24}, C{2001:db8::/32}, an address or C{unix:}.

    @return: and whether bits below the mask were set, which nginx warns of.
    @raise ValueError: C{text} is none of these.
    """
    if text == "unix:":
        return Network(0), False
    address, slash, bits = text.partition("/")
    if slash and not (bits.isascii() and bits.isdigit()):
        raise ValueError(f'invalid parameter "{text}"')
    network: IPv4Network | IPv6Network
    if ":" in address:
        network = IPv6Network((IPv6Address(address), int(bits or "128")), strict=False)
        given = int(IPv6Address(address))
    else:
        network = IPv4Network((IPv4Address(address), int(bits or "32")), strict=False)
        given = int(IPv4Address(address))
    number = int(network.network_address)
    size = 4 if network.version == 4 else 16
    return Network(size, number, int(network.netmask)), given != number


def unmapped(address: bytes) -> bytes:
    """
    An IPv4 address that came in an IPv6 one, as itself; that of a unix socket, which
    C{$binary_remote_addr} tells as text, as nothing.
    """
    if address.startswith(b"unix:"):
        return b""
    return address[12:] if address.startswith(_MAPPED) else address


def inAny(networks: Iterable[Network], address: bytes) -> bool:
    """
    Is C{address} (in network order) in any of C{networks}?
    """
    address = unmapped(address)
    return any(network.contains(address) for network in networks)
