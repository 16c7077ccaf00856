"""
Tests for L{twisted_upstream.net.sockaddr}.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.net.sockaddr import (
    addressText,
    binaryAddress,
    familyOf,
    parseAddress,
    parseLiteral,
    sockaddrName,
)


class NameTests(SynchronousTestCase):
    """
    Addresses as nginx prints them.
    """

    def test_inet(self) -> None:
        """
        An IPv4 address is printed with its port, as text of the client without.
        """
        self.assertEqual(sockaddrName(("127.0.0.1", 80)), "127.0.0.1:80")
        self.assertEqual(addressText(("127.0.0.1", 80)), "127.0.0.1")

    def test_inet6(self) -> None:
        """
        An IPv6 address is in brackets only where a port follows.
        """
        self.assertEqual(sockaddrName(("::1", 80, 0, 0)), "[::1]:80")
        self.assertEqual(addressText(("::1", 80, 0, 0)), "::1")

    def test_unix(self) -> None:
        """
        A unix socket is printed with its path; clients have none, abstract names
        neither.
        """
        self.assertEqual(sockaddrName("/tmp/s"), "unix:/tmp/s")
        self.assertEqual(sockaddrName(""), "unix:")
        self.assertEqual(addressText(""), "unix:")
        self.assertEqual(sockaddrName(b"\0name"), "unix:")

    def test_binary(self) -> None:
        """
        The binary form is 4 bytes, 16 bytes, or for unix the text.
        """
        self.assertEqual(binaryAddress(("127.0.0.1", 80)), b"\x7f\0\0\1")
        self.assertEqual(binaryAddress(("::1", 80, 0, 0)), b"\0" * 15 + b"\1")
        self.assertEqual(binaryAddress(""), b"unix:")

    def test_family(self) -> None:
        """
        The shape tells the family, also for an IPv6 address without scope.
        """
        self.assertEqual(familyOf(("127.0.0.1", 80)), socket.AF_INET)
        self.assertEqual(familyOf(("::1", 80, 0, 0)), socket.AF_INET6)
        self.assertEqual(familyOf(("::1", 80)), socket.AF_INET6)
        self.assertEqual(familyOf("/tmp/s"), socket.AF_UNIX)


class ParseTests(SynchronousTestCase):
    """
    Addresses as the user writes them.
    """

    def assertInvalid(self, text: str, message: str, *, listen: bool = False) -> None:
        """
        Parsing C{text} fails with nginx's C{message}.
        """
        error = self.assertRaises(ValueError, parseAddress, text, 80, listen=listen)
        self.assertEqual(str(error), message)

    def test_inet(self) -> None:
        """
        An IPv4 address may have a port; else the default holds.
        """
        self.assertEqual(
            parseAddress("1.2.3.4:8080", 80),
            ("1.2.3.4", ("1.2.3.4", 8080), 8080, 8080, True),
        )
        self.assertEqual(
            parseAddress("1.2.3.4", 80), ("1.2.3.4", ("1.2.3.4", 80), 80, 80, False)
        )

    def test_leadingZeros(self) -> None:
        """
        Numbers with leading zeros are decimal, as nginx reads them.
        """
        self.assertEqual(parseLiteral("127.000.0.010"), "127.0.0.10")

    def test_notLiteral(self) -> None:
        """
        What looks like an address and is none is a name.
        """
        for text in ("1.2.3", "1.2.3.256", "1.2.3.4.5", "a.b", "1.2.3.٤", ":", "g::1"):
            self.assertIsNone(parseLiteral(text))

    def test_name(self) -> None:
        """
        A name has a port, and no address yet.
        """
        parsed = parseAddress("backend:8080", 80)
        self.assertEqual(parsed, ("backend", None, 8080, 8080, True))
        self.assertEqual(parsed.sockaddrs, ())

    def test_inet6(self) -> None:
        """
        An IPv6 address is in brackets and is normalised.
        """
        self.assertEqual(
            parseAddress("[0:0::1]:8080", 80),
            ("::1", ("::1", 8080, 0, 0), 8080, 8080, True),
        )
        self.assertEqual(parseAddress("[::]", 80).sockaddr, ("::", 80, 0, 0))

    def test_unix(self) -> None:
        """
        A unix address is a path.
        """
        parsed = parseAddress("unix:/tmp/s", 80)
        self.assertEqual(parsed.sockaddr, "/tmp/s")
        self.assertEqual(parsed.sockaddrs, ("/tmp/s",))

    def test_wildcard(self) -> None:
        """
        C{*} and a lone port are every IPv4 address, where we listen.
        """
        for text in ("*:8080", "8080"):
            self.assertEqual(
                parseAddress(text, 80, listen=True).sockaddr, ("0.0.0.0", 8080)
            )
        self.assertEqual(parseAddress("*", 80, listen=True).sockaddr, ("0.0.0.0", 80))
        self.assertIsNone(parseAddress("8080", 80).sockaddr)

    def test_range(self) -> None:
        """
        A range of ports is one address per port, where we listen.
        """
        for text in ("127.0.0.1:80-82", "[::1]:80-82", "80-82"):
            addresses = parseAddress(text, 80, listen=True).sockaddrs
            self.assertEqual([address[1] for address in addresses], [80, 81, 82])

    def test_invalid(self) -> None:
        """
        Mistakes are named with nginx's words.
        """
        self.assertInvalid("1.2.3.4:0", "invalid port")
        self.assertInvalid("1.2.3.4:65536", "invalid port")
        self.assertInvalid("1.2.3.4:", "invalid port")
        self.assertInvalid("1.2.3.4:80-81", "invalid port")
        self.assertInvalid("1.2.3.4:81-80", "invalid port range", listen=True)
        self.assertInvalid("1.2.3.4:81-", "invalid port", listen=True)
        self.assertInvalid("70000", "invalid port", listen=True)
        self.assertInvalid(":80", "no host")
        self.assertInvalid("", "no host")
        self.assertInvalid("a/b", "invalid host")
        self.assertInvalid("[::1", "invalid host")
        self.assertInvalid("[::1]80", "invalid host")
        self.assertInvalid("[]:80", "no host")
        self.assertInvalid("[1.2.3.4]:80", "invalid IPv6 address")
        self.assertInvalid("unix:", "no path in the unix domain socket")
        self.assertInvalid(
            "unix:/" + "x" * 107, "too long path in the unix domain socket"
        )
