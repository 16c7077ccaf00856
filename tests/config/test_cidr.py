"""
Tests for L{twisted_upstream.config.cidr}.
"""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.cidr import inAny, parseNetwork, unmapped


def packed(text: str) -> bytes:
    return ip_address(text).packed


class NetworkTests(SynchronousTestCase):
    """
    Networks contain addresses of their own family.
    """

    def contains(self, network: str, address: str) -> bool:
        return parseNetwork(network)[0].contains(packed(address))

    def test_inet(self) -> None:
        """
        IPv4 networks and single addresses.
        """
        self.assertTrue(self.contains("192.0.2.0/24", "192.0.2.200"))
        self.assertFalse(self.contains("192.0.2.0/24", "192.0.3.1"))
        self.assertTrue(self.contains("192.0.2.1", "192.0.2.1"))
        self.assertFalse(self.contains("192.0.2.1", "192.0.2.2"))
        self.assertTrue(self.contains("0.0.0.0/0", "255.1.2.3"))
        self.assertFalse(self.contains("0.0.0.0/0", "::1"))

    def test_inet6(self) -> None:
        """
        IPv6 networks and single addresses.
        """
        self.assertTrue(self.contains("2001:db8::/33", "2001:db8:7fff::1"))
        self.assertFalse(self.contains("2001:db8::/33", "2001:db8:8000::1"))
        self.assertTrue(self.contains("::1", "::1"))
        self.assertFalse(self.contains("::/0", "127.0.0.1"))

    def test_unix(self) -> None:
        """
        C{unix:} stands for all unix sockets, and for nothing else.
        """
        unix = parseNetwork("unix:")[0]
        self.assertTrue(unix.contains(b""))
        self.assertFalse(unix.contains(packed("127.0.0.1")))

    def test_meaningless(self) -> None:
        """
        Bits below the mask are told, and do not count.
        """
        network, meaningless = parseNetwork("192.0.2.1/24")
        self.assertTrue(meaningless)
        self.assertTrue(network.contains(packed("192.0.2.99")))
        self.assertFalse(parseNetwork("192.0.2.0/24")[1])

    def test_invalid(self) -> None:
        """
        Anything else is refused.
        """
        for text in ("", "x", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/x", "::/129"):
            self.assertRaises(ValueError, parseNetwork, text)
        self.assertRaises(ValueError, parseNetwork, "1.2.3.4/255.255.255.0")

    def test_mapped(self) -> None:
        """
        An IPv4 address in an IPv6 one is an IPv4 address.
        """
        self.assertEqual(unmapped(packed("::ffff:192.0.2.1")), packed("192.0.2.1"))
        self.assertEqual(unmapped(packed("::1")), packed("::1"))
        self.assertEqual(unmapped(b"unix:/tmp/a.sock"), b"")
        network = parseNetwork("192.0.2.0/24")[0]
        self.assertTrue(inAny((network,), packed("::ffff:192.0.2.1")))
        self.assertFalse(inAny((), packed("::1")))
