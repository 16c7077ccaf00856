"""
The header of the PROXY protocol, versions 1 and 2, which a balancer in front of us
sends before anything else: who the client really is.  And the one that we send.

nginx: C{ngx_proxy_protocol_read()}, C{ngx_proxy_protocol_v2_read()},
C{ngx_proxy_protocol_get_tlv()}, C{ngx_proxy_protocol_write()},
C{ngx_proxy_protocol_v2_write()} in C{core/ngx_proxy_protocol.c}
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Any

#: Bytes of the longest header, of either version.
MAX_HEADER = 4096
#: Bytes of a broken one that are told: the most that a line of nginx's log has.
MAX_SHOWN = 2048

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
#: Bytes of version 2 in front of the addresses: signature, command, family, length.
_FIXED = 16

_STARTS1 = (b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN")
_UNKNOWN1 = b"PROXY UNKNOWN"
# An address is not parsed: nginx takes any mixture of these characters, even none.
_line1 = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]*) ([0-9A-Fa-f:.]*)"
    rb" 0*([0-9]{1,5}) 0*([0-9]{1,5})\r\n"
)
_end = re.compile(rb"[\r\n]")
_hex = re.compile(r"[0-9A-Fa-f]+")

_PROXY = 1
_STREAM = 1
#: The family's number in version 2: IP version, bytes of an address.
_FAMILIES = {1: (4, 4), 2: (6, 16)}

_SSL = 0x20
_TYPES = {
    "alpn": 0x01,
    "authority": 0x02,
    "unique_id": 0x05,
    "ssl": _SSL,
    "netns": 0x30,
}
_SSL_TYPES = {
    "version": 0x21,
    "cn": 0x22,
    "cipher": 0x23,
    "sig_alg": 0x24,
    "key_alg": 0x25,
}
#: Bytes in the value of C{ssl} before its own values: flags, result of verification.
_SSL_FIXED = 5
_MAX_INT = 2**63 - 1


class ProxyHeader:
    """
    What a header tells.

    @ivar sourceAddress: the client's address, as text.
    @ivar destinationAddress: the address that the client has connected to, as text.
    @ivar sourcePort: the client's port, 0-65535.
    @ivar destinationPort: the port that the client has connected to, 0-65535.
    @ivar tlvs: the further values of version 2, as they came.
    @ivar family: the version of IP: 4 or 6.
    """

    __slots__ = (
        "destinationAddress",
        "destinationPort",
        "family",
        "sourceAddress",
        "sourcePort",
        "tlvs",
    )

    def __init__(
        self,
        family: int,
        source: tuple[bytes, int],
        destination: tuple[bytes, int],
        tlvs: bytes = b"",
    ) -> None:
        """
        @param source: address and port.
        @param destination: address and port.
        """
        self.family = family
        self.sourceAddress, self.sourcePort = source
        self.destinationAddress, self.destinationPort = destination
        self.tlvs = tlvs

    def tlv(self, name: str) -> bytes | None:
        """
        One of the further values, as C{$proxy_protocol_tlv_NAME} has it.

        @param name: C{alpn}, C{authority}, C{unique_id}, C{ssl}, C{netns}; C{ssl_}
            with C{version}, C{cn}, C{cipher}, C{sig_alg}, C{key_alg}, C{verify}; or a
            type like C{0xea}, also behind C{ssl_}.
        @return: C{None}: the header has no such value.
        @raise ValueError: the values are broken, or nobody knows the name; with the
            text for the log.
        @note: nginx: C{ngx_proxy_protocol_get_tlv()}
        """
        tlvs = self.tlvs
        types = _TYPES
        word = name
        if name.startswith("ssl_"):
            ssl = _find(tlvs, _SSL)
            if ssl is None:
                return None
            if len(ssl) < _SSL_FIXED:
                raise ValueError("broken PROXY protocol TLV")
            word = name[4:]
            if word == "verify":
                return b"%d" % int.from_bytes(ssl[1:_SSL_FIXED], "big")
            tlvs = ssl[_SSL_FIXED:]
            types = _SSL_TYPES
        if word.startswith("0x"):
            digits = word[2:]
            if _hex.fullmatch(digits) is None or int(digits, 16) > _MAX_INT:
                raise ValueError(f'invalid PROXY protocol TLV "{name}"')
            return _find(tlvs, int(digits, 16))
        number = types.get(word)
        if number is None:
            raise ValueError(f'unknown PROXY protocol TLV "{name}"')
        return _find(tlvs, number)


def _find(tlvs: bytes, wanted: int) -> bytes | None:
    """
    The first value of a type.  What follows it is not looked at.

    nginx: C{ngx_proxy_protocol_lookup_tlv()}
    """
    position = 0
    size = len(tlvs)
    while position < size:
        start = position + 3
        end = start + int.from_bytes(tlvs[position + 1 : start], "big")
        if start > size or end > size:
            raise ValueError("broken PROXY protocol TLV")
        if tlvs[position] == wanted:
            return tlvs[start:end]
        position = end
    return None


def readProxyHeader(data: bytes) -> tuple[ProxyHeader | None, int] | None:
    """
    Read the header at the start of C{data}.

    nginx gives up when its first read has not got all of it; we wait for the rest.

    @return: the header, and how many bytes it has; C{None}: there must come more.
        Instead of the header C{None}: it is valid but tells nothing (C{UNKNOWN},
        C{LOCAL}, not TCP), and the client is who it seems.
    @raise ValueError: that is no header; with the text for the log.
    """
    if data.startswith(_SIGNATURE[: len(data)]):
        return _read2(data) if len(data) >= _FIXED else None
    return _read1(data)


def _read1(data: bytes) -> tuple[ProxyHeader | None, int] | None:
    """
    Version 1: a line of text.
    """
    found = _line1.match(data, 0, MAX_HEADER)
    if found is not None:
        version, source, destination, sourcePort, destinationPort = found.groups()
        ports = int(sourcePort), int(destinationPort)
        if max(ports) > 65535:
            raise _broken(data)
        header = ProxyHeader(int(version), (source, ports[0]), (destination, ports[1]))
        return header, found.end()
    if data.startswith(_UNKNOWN1):
        # Whatever stands behind it, to the end of the line, is to be ignored.
        end = data.find(b"\r\n", len(_UNKNOWN1), MAX_HEADER)
        if end >= 0:
            return None, end + 2
    elif b"\n" in data:
        raise _broken(data)
    # Nobody waits for the end of a line that begins wrong.
    if len(data) >= MAX_HEADER or not any(
        data.startswith(start[: len(data)]) for start in _STARTS1
    ):
        raise _broken(data)
    return None


def _broken(data: bytes) -> ValueError:
    """
    Why a header of version 1 is refused.
    """
    # More of it would not fit into a line of the log.
    data = data[:MAX_SHOWN]
    end = _end.search(data)
    line = data[: end.start()] if end is not None else data
    return ValueError(f'broken header: "{line.decode("utf-8", "surrogateescape")}"')


def _read2(data: bytes) -> tuple[ProxyHeader | None, int] | None:
    """
    Version 2: binary.

    @param data: at least the fixed part.
    """
    command = data[12]
    if command >> 4 != 2:
        raise ValueError(f"unknown PROXY protocol version: {command >> 4}")
    end = _FIXED + int.from_bytes(data[14:_FIXED], "big")
    if end > MAX_HEADER:
        raise ValueError("header is too large")
    if len(data) < end:
        return None
    family = _FAMILIES.get(data[13] >> 4)
    if command & 15 != _PROXY or data[13] & 15 != _STREAM or family is None:
        return None, end
    version, size = family
    ports = _FIXED + 2 * size
    tlvs = ports + 4
    if tlvs > end:
        # nginx closes the connection without a word.
        raise ValueError("header is too short")
    text = _inet if version == 4 else _inet6
    header = ProxyHeader(
        version,
        (
            text(data[_FIXED : _FIXED + size]),
            int.from_bytes(data[ports : ports + 2], "big"),
        ),
        (
            text(data[_FIXED + size : ports]),
            int.from_bytes(data[ports + 2 : tlvs], "big"),
        ),
        data[tlvs:end],
    )
    return header, end


def _inet(packed: bytes) -> bytes:
    return b"%d.%d.%d.%d" % tuple(packed)


def _inet6(packed: bytes) -> bytes:
    """
    The text of an IPv6 address.  nginx: C{ngx_inet6_ntop()}
    """
    # Python's own way to print addresses that hold one of IPv4 differs by release.
    if packed.startswith(b"\0\0\0\0\0\0\0\0\0\0\xff\xff"):
        return b"::ffff:" + _inet(packed[12:])
    if not any(packed[:12]) and (
        any(packed[12:14]) or (packed[14] != 0 and packed[15] != 1)
    ):
        return b"::" + _inet(packed[12:])
    return str(IPv6Address(packed)).encode("ascii")


# ---- writing -------------------------------------------------------------------------

_CRC32C = 0x03
_DATAGRAM = 2


def writeProxyHeader1(source: Any, destination: Any) -> bytes:
    """
    A header of version 1.

    @param source: the client's address: host and port first, or a path.
    @param destination: the address that it has connected to, likewise.
    """
    if not isinstance(source, tuple):
        return b"PROXY UNKNOWN\r\n"
    version = 6 if ":" in source[0] else 4
    if isinstance(destination, tuple):
        host, port = destination[:2]
    else:
        host, port = f"unix:{destination}", 0
    text = f"PROXY TCP{version} {source[0]} {host} {source[1]} {port}\r\n"
    return text.encode("utf-8", "surrogateescape")


def writeProxyHeader2(
    source: Any,
    destination: Any,
    *,
    isDatagram: bool = False,
    tlvs: Iterable[tuple[int, bytes]] = (),
) -> bytes:
    """
    A header of version 2, with a checksum.

    Where one of the addresses is that of a unix socket, it tells nothing else.

    @param tlvs: further values: type and value.
    """
    family = transport = 0
    addresses = b""
    if isinstance(source, tuple) and isinstance(destination, tuple):
        transport = _DATAGRAM if isDatagram else _STREAM
        family, addresses = _packed(source, destination)
    rest = addresses + b"".join(
        b"%c%b%b" % (type, len(value).to_bytes(2, "big"), value) for type, value in tlvs
    )
    fixed = b"%b%c%c%b" % (
        _SIGNATURE,
        0x21 if family else 0x20,
        family << 4 | transport,
        (len(rest) + 7).to_bytes(2, "big"),
    )
    header = fixed + rest + b"%c\0\4" % _CRC32C
    return header + crc32c(header + b"\0\0\0\0").to_bytes(4, "big")


def _packed(source: Any, destination: Any) -> tuple[int, bytes]:
    """
    The family's number, and the addresses: both of one family, the smaller one if both
    fit.
    """
    hosts = [ip_address(each[0].partition("%")[0]) for each in (source, destination)]
    packed = [host.packed for host in hosts]
    if all(isinstance(host, IPv6Address) for host in hosts):
        if all(each.startswith(_MAPPED) for each in packed):
            packed = [each[12:] for each in packed]
    elif any(isinstance(host, IPv6Address) for host in hosts):
        packed = [each if len(each) == 16 else _MAPPED + each for each in packed]
    ports = [each[1].to_bytes(2, "big") for each in (source, destination)]
    family = 1 if len(packed[0]) == 4 else 2
    return family, b"".join(packed + ports)


_MAPPED = bytes(10) + b"\xff\xff"


def _table() -> tuple[int, ...]:
    entries = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


_crcTable = _table()


def crc32c(data: bytes) -> int:
    """
    The checksum of version 2 (RFC 3309, appendix A).
    """
    value = 0xFFFFFFFF
    table = _crcTable
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF
