"""
Tests for L{twisted_upstream.http.routing}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.http.routing import Address


class AddressTests(SynchronousTestCase):
    """
    L{Address}: names of servers.
    """

    def address(self, *names: str) -> Address:
        """
        An address whose servers are their names.
        """
        default: Any = "default"
        address = Address("127.0.0.1:80", default)
        for name in names:
            server: Any = name
            address.addName(name, server)
        return address

    def finds(self, address: Address, host: bytes | None, expected: str) -> None:
        """
        The server for C{host} is this one.
        """
        self.assertEqual(address.find(host, None), expected, host)

    def test_order(self) -> None:
        """
        Exact before leading wildcard, longest wildcards first, then trailing ones.
        """
        address = self.address("*.b.c", "*.c", "a.b.c", "a.*", "a.b.*")
        self.finds(address, b"a.b.c", "a.b.c")
        self.finds(address, b"x.b.c", "*.b.c")
        self.finds(address, b"x.y.b.c", "*.b.c")
        self.finds(address, b"x.c", "*.c")
        self.finds(address, b"a.x", "a.*")
        self.finds(address, b"a.b.x", "a.b.*")
        self.finds(address, b"b", "default")
        self.finds(address, None, "default")

    def test_dot(self) -> None:
        """
        A leading dot means the name itself, too; a star does not.
        """
        address = self.address(".a.b", "*.c.d")
        self.finds(address, b"a.b", ".a.b")
        self.finds(address, b"x.a.b", ".a.b")
        self.finds(address, b"c.d", "default")
        self.finds(address, b"xa.b", "default")

    def test_case(self) -> None:
        """
        Names are of any case in the configuration.
        """
        self.finds(self.address("A.Example"), b"a.example", "A.Example")

    def test_taken(self) -> None:
        """
        The first server with a name keeps it.
        """
        address = self.address("a")
        other: Any = "other"
        self.assertFalse(address.addName("a", other))
        self.assertTrue(address.addName("b", other))
        self.finds(address, b"a", "a")

    def test_regexLast(self) -> None:
        """
        Expressions are asked last, in order.
        """
        address = self.address("a")
        first: Any = "first"
        second: Any = "second"
        address.addRegex(lambda request, host: host.startswith(b"x"), first)
        address.addRegex(lambda request, host: True, second)
        self.finds(address, b"a", "a")
        self.finds(address, b"xy", "first")
        self.finds(address, b"y", "second")
