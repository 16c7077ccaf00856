"""
Tests for L{twisted_upstream.wire.proxy_protocol}.
"""

from __future__ import annotations

import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.wire.proxy_protocol import (
    MAX_HEADER,
    MAX_SHOWN,
    ProxyHeader,
    crc32c,
    readProxyHeader,
    writeProxyHeader1,
    writeProxyHeader2,
)

TCP4 = b"PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n"
REQUEST = b"GET / HTTP/1.0\r\n\r\n"


def binary(rest: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    """
    A header of version 2.

    @param rest: addresses and values.
    """
    fixed = struct.pack("!BBH", command, family, len(rest))
    return b"\r\n\r\n\0\r\nQUIT\n" + fixed + rest


def inet(source: str = "192.0.2.1", destination: str = "192.0.2.2") -> bytes:
    """
    Addresses and ports of IPv4.
    """
    return (
        socket.inet_aton(source)
        + socket.inet_aton(destination)
        + struct.pack("!HH", 123, 5678)
    )


def value(number: int, content: bytes) -> bytes:
    """
    One further value.
    """
    return struct.pack("!BH", number, len(content)) + content


def header(data: bytes) -> ProxyHeader:
    """
    The header that C{data} consists of.
    """
    found = readProxyHeader(data)
    assert found is not None
    made, size = found
    assert made is not None
    assert size == len(data)
    return made


def shown(made: ProxyHeader) -> tuple[object, ...]:
    """
    What a header says of addresses.
    """
    return (
        made.family,
        made.sourceAddress,
        made.sourcePort,
        made.destinationAddress,
        made.destinationPort,
    )


class Version1Tests(SynchronousTestCase):
    """
    The line of text.
    """

    def broken(self, data: bytes, line: str) -> None:
        """
        C{data} is refused, and C{line} goes to the log.
        """
        with self.assertRaises(ValueError) as caught:
            readProxyHeader(data)
        self.assertEqual(str(caught.exception), f'broken header: "{line}"')

    def test_tcp4(self) -> None:
        """
        Addresses and ports are read, and what follows is left alone.
        """
        found = readProxyHeader(TCP4 + REQUEST)
        assert found is not None and found[0] is not None
        self.assertEqual(found[1], len(TCP4))
        self.assertEqual(shown(found[0]), (4, b"192.0.2.1", 123, b"192.0.2.2", 5678))
        self.assertEqual(found[0].tlvs, b"")

    def test_tcp6(self) -> None:
        """
        The text of an address stays as the sender wrote it.
        """
        made = header(b"PROXY TCP6 2001:Db8::1 2001:Db8::2 0 0065535\r\n")
        self.assertEqual(shown(made), (6, b"2001:Db8::1", 0, b"2001:Db8::2", 65535))

    def test_unknown(self) -> None:
        """
        UNKNOWN is valid and tells nothing, whatever stands behind it.
        """
        for line in (
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN 1 2 3 4 5 6\r\n",
            b"PROXY UNKNOWNX\n\xff\r\n",
            b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
        ):
            self.assertEqual(readProxyHeader(line + REQUEST), (None, len(line)))

    def test_inPieces(self) -> None:
        """
        A header that has not come whole is waited for.
        """
        for line in (TCP4, b"PROXY UNKNOWN a\r\n"):
            for size in range(len(line)):
                self.assertIsNone(readProxyHeader(line[:size]))

    def test_broken(self) -> None:
        """
        Anything else is refused; the log shows it to the end of its first line.
        """
        for line in (
            "GET / HTTP/1.0",
            "PROXY TCP5 1.1.1.1 2.2.2.2 1 2",
            "PROXY TCP4 1.1.1.x 2.2.2.2 1 2",
            "PROXY TCP4 1.1.1.1  2.2.2.2 1 2",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536",
            "PROXY TCP4 1.1.1.1 2.2.2.2 65536 1",
            "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 ",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1",
            "proxy TCP4 1.1.1.1 2.2.2.2 1 2",
        ):
            self.broken(f"{line}\r\n".encode() + REQUEST, line)

    def test_brokenEnd(self) -> None:
        """
        A line ends with CR and LF.
        """
        self.broken(TCP4.replace(b"\r\n", b"\n"), TCP4[:-2].decode())
        self.broken(TCP4.replace(b"\r\n", b"\rX\n"), TCP4[:-2].decode())

    def test_otherProtocol(self) -> None:
        """
        Who does not speak the protocol is refused at the first byte that tells.
        """
        self.broken(b"PO", "PO")
        self.broken(b"\x16\x03", "\x16\x03")

    def test_tooLong(self) -> None:
        """
        A line that does not end within the limit is refused, and told in part.
        """
        start = b"PROXY UNKNOWN "
        line = start + b"x" * (MAX_HEADER - len(start))
        self.assertIsNone(readProxyHeader(line[:-1]))
        self.broken(line, line[:MAX_SHOWN].decode())
        self.broken(line + b"\r\n", line[:MAX_SHOWN].decode())


class Version2Tests(SynchronousTestCase):
    """
    The binary header.
    """

    def refused(self, data: bytes, message: str) -> None:
        """
        C{data} is refused with a message.
        """
        with self.assertRaises(ValueError) as caught:
            readProxyHeader(data)
        self.assertEqual(str(caught.exception), message)

    def test_inet(self) -> None:
        """
        Addresses of IPv4 are read, and what follows is left alone.
        """
        data = binary(inet())
        found = readProxyHeader(data + REQUEST)
        assert found is not None and found[0] is not None
        self.assertEqual(found[1], len(data))
        self.assertEqual(shown(found[0]), (4, b"192.0.2.1", 123, b"192.0.2.2", 5678))

    def test_inet6(self) -> None:
        """
        Addresses of IPv6 are printed in their shortest form, with dots where they hold
        one of IPv4.
        """
        for text in (
            "2001:db8::1",
            "::",
            "::1",
            "1::",
            "1:0:2:3:4:5:6:7",
            "1:0:0:2::3",
            "::ffff:192.0.2.1",
            "::ffff:0.0.0.1",
            "::192.0.2.1",
            "::1:2:3",
        ):
            packed = socket.inet_pton(socket.AF_INET6, text)
            made = header(binary(packed + packed + b"\0\1\0\2", family=0x21))
            self.assertEqual(shown(made), (6, text.encode(), 1, text.encode(), 2))

    def test_values(self) -> None:
        """
        What follows the addresses is kept.
        """
        self.assertEqual(header(binary(inet() + b"\1\0\1x")).tlvs, b"\1\0\1x")

    def test_tellsNothing(self) -> None:
        """
        LOCAL, datagrams, and families other than IP are valid and tell nothing.
        """
        for data in (
            binary(b"", command=0x20),
            binary(inet(), command=0x2F),
            binary(b"", family=0x01),
            binary(inet(), family=0x12),
            binary(b"\1\2\3\4", family=0x41),
        ):
            self.assertEqual(readProxyHeader(data + REQUEST), (None, len(data)))

    def test_inPieces(self) -> None:
        """
        A header that has not come whole is waited for.
        """
        data = binary(inet() + value(1, b"h2"))
        for size in range(len(data)):
            self.assertIsNone(readProxyHeader(data[:size]))

    def test_version(self) -> None:
        """
        A binary header of another version is refused.
        """
        self.refused(binary(inet(), command=0x31), "unknown PROXY protocol version: 3")

    def test_tooLarge(self) -> None:
        """
        The length that it announces is refused before it comes.
        """
        longest = MAX_HEADER - 16
        made = header(binary(inet() + bytes(longest - 12)))
        self.assertEqual(len(made.tlvs), longest - 12)
        data = binary(inet() + bytes(longest - 11))
        self.refused(data[:16], "header is too large")

    def test_tooShort(self) -> None:
        """
        A header without room for its addresses is refused.
        """
        self.refused(binary(inet()[:-1]), "header is too short")
        self.refused(binary(inet(), family=0x21), "header is too short")


class ValueTests(SynchronousTestCase):
    """
    The further values, by name.
    """

    def setUp(self) -> None:
        inner = b"".join(
            value(number, content)
            for number, content in (
                (0x21, b"TLSv1.3"),
                (0x22, b"example.com"),
                (0x23, b"AES"),
                (0x24, b"SHA256"),
                (0x25, b"RSA2048"),
            )
        )
        self.ssl = struct.pack("!BI", 1, 0xFFFFFFFE) + inner
        self.header = self.having(
            value(0x01, b"h2"),
            value(0x02, b"host"),
            value(0x03, b"4321"),
            value(0x05, b"id"),
            value(0x20, self.ssl),
            value(0x30, b"ns"),
            value(0xAE, b""),
            value(0xAE, b"second"),
        )

    def having(self, *values: bytes) -> ProxyHeader:
        """
        A header with values.
        """
        return header(binary(inet() + b"".join(values)))

    def refused(self, made: ProxyHeader, name: str, message: str) -> None:
        """
        Asking for a value fails with a message.
        """
        with self.assertRaises(ValueError) as caught:
            made.tlv(name)
        self.assertEqual(str(caught.exception), message)

    def test_names(self) -> None:
        """
        The names that nginx knows.
        """
        for name, expected in {
            "alpn": b"h2",
            "authority": b"host",
            "unique_id": b"id",
            "netns": b"ns",
            "ssl": self.ssl,
            "ssl_version": b"TLSv1.3",
            "ssl_cn": b"example.com",
            "ssl_cipher": b"AES",
            "ssl_sig_alg": b"SHA256",
            "ssl_key_alg": b"RSA2048",
            "ssl_verify": b"4294967294",
        }.items():
            self.assertEqual(self.header.tlv(name), expected)

    def test_numbers(self) -> None:
        """
        Any type by its number in hexadecimal digits, with zeros in front if need be.
        """
        for name, expected in {
            "0x3": b"4321",
            "0x01": b"h2",
            "0x000aE": b"",
            "0x0f": None,
            "0x101": None,
            "ssl_0x21": b"TLSv1.3",
            "ssl_0x1": None,
        }.items():
            self.assertEqual(self.header.tlv(name), expected)

    def test_absent(self) -> None:
        """
        A value that the header does not have is no error.
        """
        made = self.having()
        for name in ("alpn", "ssl", "ssl_verify", "ssl_nonsense", "0xff"):
            self.assertIsNone(made.tlv(name))

    def test_unknownName(self) -> None:
        """
        A name that nobody knows is told.
        """
        for name in ("crc32c", "", "version", "ssl_", "ssl_alpn", "ALPN"):
            self.refused(self.header, name, f'unknown PROXY protocol TLV "{name}"')

    def test_invalidNumber(self) -> None:
        """
        A number that is none, or too large for nginx, is told.
        """
        for name in ("0x", "0xg", "0x+1", "0x1_0", "ssl_0x", "0x8000000000000000"):
            self.refused(self.header, name, f'invalid PROXY protocol TLV "{name}"')

    def test_broken(self) -> None:
        """
        Values that do not fit are told, once they are come to.
        """
        for rest in (b"\2", b"\2\0", b"\2\0\1"):
            made = self.having(value(1, b"h2"), rest)
            self.assertEqual(made.tlv("alpn"), b"h2")
            self.refused(made, "authority", "broken PROXY protocol TLV")

    def test_brokenTLS(self) -> None:
        """
        A value of TLS that is too short to hold others is told.
        """
        made = self.having(value(0x20, b"1234"))
        self.assertEqual(made.tlv("ssl"), b"1234")
        self.refused(made, "ssl_cn", "broken PROXY protocol TLV")


class WriteTests(SynchronousTestCase):
    """
    Headers that we send.
    """

    def test_version1(self) -> None:
        """
        Addresses and ports as text; nothing of a client on a unix socket.
        """
        self.assertEqual(
            writeProxyHeader1(("192.0.2.1", 1), ("192.0.2.2", 65535)),
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65535\r\n",
        )
        self.assertEqual(
            writeProxyHeader1(("::1", 1, 0, 0), ("2001:db8::2", 2, 0, 0)),
            b"PROXY TCP6 ::1 2001:db8::2 1 2\r\n",
        )
        self.assertEqual(writeProxyHeader1("", "/x"), b"PROXY UNKNOWN\r\n")

    def test_version2(self) -> None:
        """
        What we write we can read: both families, a mixture, and further values.
        """
        for source, destination, addresses in (
            (("192.0.2.1", 1), ("192.0.2.2", 2), (b"192.0.2.1", b"192.0.2.2")),
            (("::1", 1, 0, 0), ("::2", 2, 0, 0), (b"::1", b"::2")),
            (("::1", 1, 0, 0), ("1.2.3.4", 2), (b"::1", b"::ffff:1.2.3.4")),
            (
                ("::ffff:1.2.3.5", 1, 0, 0),
                ("::ffff:1.2.3.4", 2, 0, 0),
                (b"1.2.3.5", b"1.2.3.4"),
            ),
        ):
            data = writeProxyHeader2(source, destination, tlvs=[(1, b"h2")])
            found = readProxyHeader(data + b"rest")
            assert found is not None
            header, size = found
            assert header is not None
            self.assertEqual(size, len(data))
            self.assertEqual(
                (header.sourceAddress, header.destinationAddress), addresses
            )
            self.assertEqual((header.sourcePort, header.destinationPort), (1, 2))
            self.assertEqual(header.tlv("alpn"), b"h2")
            checksum = header.tlv("0x03")
            assert checksum is not None
            self.assertEqual(
                crc32c(data[:-4] + bytes(4)), int.from_bytes(checksum, "big")
            )

    def test_local(self) -> None:
        """
        A unix socket on either side: the header tells no addresses.
        """
        data = writeProxyHeader2("", "/x")
        self.assertEqual(data[12:14], b"\x20\x00")
        self.assertEqual(readProxyHeader(data), (None, len(data)))

    def test_checksum(self) -> None:
        """
        The checksum of a text that everybody knows (RFC 3720, B.4 has others).
        """
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
        self.assertEqual(crc32c(bytes(32)), 0x8A9136AA)
