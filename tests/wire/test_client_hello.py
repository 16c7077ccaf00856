"""
Tests of L{twisted_upstream.wire.client_hello}.
"""

from __future__ import annotations

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.splits import everySplit
from twisted_upstream.wire.client_hello import (
    ClientHello,
    ClientHelloParser,
    NotClientHello,
)


def openSSLHello(name: bytes = b"", protocols: tuple[bytes, ...] = ()) -> bytes:
    """
    What OpenSSL says first.
    """
    connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    connection.set_connect_state()
    if name:
        connection.set_tlsext_host_name(name)
    if protocols:
        connection.set_alpn_protos(list(protocols))
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        pass
    return connection.bio_read(65536)


def vector(size: int, data: bytes) -> bytes:
    """
    C{data} behind its length.
    """
    return len(data).to_bytes(size, "big") + data


def extension(kind: int, data: bytes) -> bytes:
    """
    One extension.
    """
    return kind.to_bytes(2, "big") + vector(2, data)


def message(extensions: bytes | None, version: bytes = b"\3\3") -> bytes:
    """
    A hello without its record.
    """
    body = version + bytes(32) + b"\0" + vector(2, b"\x13\x01\x00\x2f") + b"\1\0"
    if extensions is not None:
        body += vector(2, extensions)
    return b"\1" + vector(3, body)


def records(data: bytes, size: int = 16384) -> bytes:
    """
    A message in records of some size.
    """
    return b"".join(
        b"\x16\3\1" + vector(2, data[at : at + size])
        for at in range(0, len(data), size)
    )


def parse(data: bytes) -> ClientHello | None:
    """
    Parse all at once.
    """
    return ClientHelloParser().parse(data)


def facts(hello: ClientHello | None) -> object:
    """
    What can be compared.
    """
    if hello is None:
        return None
    return (
        hello.protocolName,
        hello.serverName,
        hello.protocols,
        hello.ciphers,
        hello.groups,
        hello.signatureAlgorithms,
    )


class GoodTests(SynchronousTestCase):
    """
    Hellos that are understood.
    """

    def test_openSSL(self) -> None:
        """
        OpenSSL's own, with name and protocols.
        """
        hello = parse(openSSLHello(b"a.example", (b"h2", b"http/1.1")))
        assert hello is not None
        self.assertEqual(hello.serverName, b"a.example")
        self.assertEqual(hello.protocols, (b"h2", b"http/1.1"))
        self.assertEqual(hello.protocolName, "TLSv1.3")
        self.assertIn(b"\x13\x01", hello.ciphers)
        self.assertIn(0x1D, hello.groups)
        self.assertIn(0x0403, hello.signatureAlgorithms)

    def test_everySplit(self) -> None:
        """
        However it comes, it is understood with its last byte, in a new parser or in
        the one that has seen its beginning.
        """
        data = openSSLHello(b"a.example")
        found = list(everySplit(lambda part: facts(parse(part)), data))
        self.assertEqual([count for count, _ in found], [len(data)])
        parser = ClientHelloParser()
        for count in range(len(data)):
            self.assertIsNone(parser.parse(data[:count]))
        self.assertEqual(facts(parser.parse(data)), found[0][1])

    def test_records(self) -> None:
        """
        It may be spread over records, in the middle of the name, too.
        """
        name = vector(2, b"\0" + vector(2, b"a.example"))
        whole = message(extension(0, name))
        for size in (1, 2, 7, len(whole) - 1, len(whole)):
            hello = parse(records(whole, size))
            assert hello is not None
            self.assertEqual(hello.serverName, b"a.example")

    def test_versions(self) -> None:
        """
        The version of the message counts, unless there is TLS 1.3's extension.
        """
        for version, name in (
            (b"\3\0", "SSLv3"),
            (b"\3\1", "TLSv1"),
            (b"\3\2", "TLSv1.1"),
            (b"\3\3", "TLSv1.2"),
            (b"\3\5", ""),
        ):
            hello = parse(records(message(b"", version)))
            assert hello is not None
            self.assertEqual(hello.protocolName, name)
        hello = parse(records(message(extension(43, b"\2\3\4"))))
        assert hello is not None
        self.assertEqual(hello.protocolName, "TLSv1.3")

    def test_old(self) -> None:
        """
        Without extensions, and in the form of SSL 2.
        """
        hello = parse(records(message(None)))
        assert hello is not None
        self.assertIsNone(hello.serverName)
        hello = parse(b"\x80\x2e\1\3\1" + bytes(20))
        assert hello is not None
        self.assertEqual(hello.protocolName, "TLSv1")


class BadTests(SynchronousTestCase):
    """
    What is no hello.
    """

    def test_otherProtocols(self) -> None:
        """
        Known by the first bytes.
        """
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"G",
            b"\x16\2\1\0\5hello",
            b"\x16\2",
            b"\x17\3\1\0\5hello",
            b"\x16\3\1\0\5\2\0\0\1x",
            b"\x80\x2e\2\3\1",
        ):
            self.assertRaises(NotClientHello, parse, data)

    def test_lengths(self) -> None:
        """
        A length that exceeds what is around it, wherever it is.
        """
        name = vector(2, b"\0" + vector(2, b"a.example"))
        whole = message(extension(0, name) + extension(16, vector(2, vector(1, b"h2"))))
        # Every byte that is a length is one too much.
        refused = 0
        for at in range(4, len(whole)):
            changed = bytearray(whole)
            if changed[at] == 255:
                continue
            changed[at] += 1
            try:
                parse(records(bytes(changed)))
            except NotClientHello:
                refused += 1
        self.assertGreater(refused, 8)

    def test_kinds(self) -> None:
        """
        Names of unknown kinds, and protocols without names.
        """
        for extensions in (
            extension(0, vector(2, b"\1" + vector(2, b"x"))),
            extension(16, vector(2, b"\0")),
            extension(16, vector(2, b"\2h")),
            extension(0, b"\0\5\0\0\\9"),
        ):
            self.assertRaises(NotClientHello, parse, records(message(extensions)))

    def test_arbitraryBytes(self) -> None:
        """
        Nothing but the one exception, whatever is cut, changed or doubled.
        """
        whole = openSSLHello(b"a.example", (b"h2",))
        for at in range(0, len(whole), 3):
            for value in (0, 1, 127, 255):
                data = whole[:at] + bytes((value,)) + whole[at + 1 :]
                try:
                    parse(data)
                except NotClientHello:
                    pass

    def test_tinyRecords(self) -> None:
        """
        Records of one byte cost one look each.
        """
        whole = records(message(extension(21, bytes(5000))), 1)
        parser = ClientHelloParser()
        looks = 0
        for count in range(0, len(whole) + 1, 6):
            before = parser._at
            parser.parse(whole[:count])
            looks += parser._at != before
        self.assertEqual(looks, len(whole) // 6)
