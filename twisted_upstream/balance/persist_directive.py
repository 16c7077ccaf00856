"""
The line C{persist KEY …;}: its words, and what is made of them.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from zope.interface import implementer

from ..config.values import parseNumber, parseSize, parseTime
from ..interfaces import IBalancer, IBalancerLine, IPeerInit
from .persist import MILESTONES, MOVE, REJECT, SPILL, WAIT, Persist
from .persist_table import Table


def network(binary: bool, four: int, six: int) -> Callable[[bytes], bytes]:
    """
    Compile what makes the address of a network of a client's; what is no address stays
    as it is.

    @param binary: are the addresses 4 or 16 bytes, and not text?
    @param four: how many bits count of IPv4; C{six}: of IPv6.
    """
    sizes = {4: (0xFFFFFFFF << (32 - four)), 6: (2**128 - 1) << (128 - six)}

    def mask(key: bytes) -> bytes:
        try:
            address = ip_address(key if binary else key.decode())
        except ValueError:
            return key
        number = int(address) & sizes[address.version]
        return b"%d/%x" % (address.version, number)

    return mask


_CHOICES = {
    "on_full": (MOVE, SPILL, WAIT, REJECT),
    "on_fail": (MOVE, SPILL, REJECT),
    "commit": tuple(MILESTONES),
    "failback": ("on", "off"),
}


#: What an entry of a zone may take, everything counted.
_ENTRY = 256
_LEAST_ZONE = 32 * 1024


@implementer(IBalancer)
class _PersistDirective:
    """
    C{persist KEY [zone=NAME:SIZE] [size=N] [timeout=TIME] [lifetime=TIME]
    [on_full=move|spill|wait|reject] [on_fail=move|spill|reject]
    [commit=select|connect|first_byte] [failback=on|off] [mask=N[,M]];}
    """

    directive = "persist"
    layer = 1
    backup = True

    def peerInit(self, line: IBalancerLine, inner: IPeerInit | None) -> IPeerInit:
        """
        Wrap the balancer of one group.

        @raise ConfigError: the arguments are others than these.
        """
        assert inner is not None
        if not line.arguments:
            raise line.error('invalid number of arguments in "persist" directive')
        text, *words = line.arguments
        key = line.compile(text)
        given: dict[str, Any] = {}
        for word in words:
            name, _, value = word.partition("=")
            try:
                if name in given:
                    raise ValueError
                given[name] = _parse(name, value)
            except ValueError:
                raise line.error(f'invalid parameter "{word}"') from None
        if given.get("on_full") == WAIT and "queue" not in line.beside:
            raise line.error('"on_full=wait" requires "queue" in the same upstream')
        for other in ("sticky", "session_sticky"):
            if other in line.beside:
                raise line.error(f'"persist" cannot be used together with "{other}"')
        zone, bytes = given.get("zone", ("", 0))
        size = given.get("size", bytes // _ENTRY if bytes else 10000)
        table = Table(
            line.clock.seconds,
            size=size,
            timeout=given.get("timeout", 600.0),
            lifetime=given.get("lifetime", 0.0),
            key=text,
        )
        if zone:
            line.keep(zone, bytes, table)
        mask = None
        if "mask" in given:
            mask = network(text == "$binary_remote_addr", *given["mask"])
        return Persist(
            inner,
            key,
            table,
            onFull=given.get("on_full", MOVE),
            onFail=given.get("on_fail", MOVE),
            commit=given.get("commit", "connect"),
            failback=given.get("failback") == "on",
            mask=mask,
        )


def _parse(name: str, value: str) -> object:
    """
    The value of one parameter.

    @raise ValueError: it has none, or there is no such parameter.
    """
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            raise ValueError
        return value
    if name in ("timeout", "lifetime"):
        return parseTime(value)
    if name == "size":
        if not parseNumber(value):
            raise ValueError
        return parseNumber(value)
    if name == "zone":
        zone, colon, size = value.partition(":")
        if not zone or (colon and parseSize(size) < _LEAST_ZONE):
            raise ValueError
        return zone, parseSize(size) if colon else 0
    if name == "mask":
        four, comma, six = value.partition(",")
        bits = parseNumber(four), parseNumber(six) if comma else 128
        if bits[0] > 32 or bits[1] > 128:
            raise ValueError
        return bits
    raise ValueError


persist = _PersistDirective()
