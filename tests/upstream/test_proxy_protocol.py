"""
Tests for L{twisted_upstream.upstream.proxy_protocol}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.upstream.proxy_protocol import addProxyProtocolVariables
from twisted_upstream.variables import Variables
from twisted_upstream.wire.proxy_protocol import ProxyHeader


class FakeConnection:
    """
    A connection that may have begun with a header.
    """

    def __init__(self, proxied: ProxyHeader | None) -> None:
        self.proxied = proxied


class FakeRequest:
    """
    A request that keeps what it logs.
    """

    def __init__(self, proxied: ProxyHeader | None) -> None:
        self.connection = FakeConnection(proxied)
        self.values: dict[str, bytes] = {}
        self.logged: list[tuple[str, str]] = []

    def logError(self, level: str, message: str) -> None:
        self.logged.append((level, message))


class VariableTests(SynchronousTestCase):
    """
    C{$proxy_protocol_*}.
    """

    def setUp(self) -> None:
        self.variables = Variables()
        addProxyProtocolVariables(self.variables, lambda r: r.connection.proxied)
        header = ProxyHeader(4, (b"192.0.2.1", 123), (b"192.0.2.2", 0), b"\1\0\2h2")
        self.request = FakeRequest(header)

    def get(self, name: str) -> bytes | None:
        """
        A variable's value.
        """
        return self.variables.getter(name)(self.request)

    def test_header(self) -> None:
        """
        Addresses and ports of both sides; port 0 is empty.
        """
        self.assertEqual(self.get("proxy_protocol_addr"), b"192.0.2.1")
        self.assertEqual(self.get("proxy_protocol_port"), b"123")
        self.assertEqual(self.get("proxy_protocol_server_addr"), b"192.0.2.2")
        self.assertEqual(self.get("proxy_protocol_server_port"), b"")

    def test_noHeader(self) -> None:
        """
        Without a header they have no value, and nothing is logged.
        """
        self.request = FakeRequest(None)
        for name in ("addr", "port", "server_addr", "tlv_alpn", "tlv_nonsense"):
            self.assertIsNone(self.get(f"proxy_protocol_{name}"))
        self.assertEqual(self.request.logged, [])

    def test_values(self) -> None:
        """
        Further values by name and number; one that is absent has no value.
        """
        self.assertEqual(self.get("proxy_protocol_tlv_alpn"), b"h2")
        self.assertEqual(self.get("proxy_protocol_tlv_0x01"), b"h2")
        self.assertIsNone(self.get("proxy_protocol_tlv_ssl_cn"))
        self.assertEqual(self.request.logged, [])

    def test_wrong(self) -> None:
        """
        A name that nobody knows has no value and is logged.
        """
        self.assertIsNone(self.get("proxy_protocol_tlv_nonsense"))
        self.assertEqual(
            self.request.logged,
            [("error", 'unknown PROXY protocol TLV "nonsense"')],
        )
