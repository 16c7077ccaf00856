"""
Tests for L{twisted_upstream.http.phases.realip}.
"""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import (
    FakeBuild,
    FakeRequest,
    configure,
    configureWithWarnings,
    messages,
    run,
)
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.phases.realip import (
    RealipOptions,
    compileRealip,
    parseAddress,
)

TRUSTED = "set_real_ip_from 127.0.0.1/32; set_real_ip_from 10.0.1.0/24;"


class RealipTests(SynchronousTestCase):
    """
    Trusted proxies tell the client's address.
    """

    def address(
        self,
        text: str,
        *lines: bytes,
        sender: str = "127.0.0.1",
        build: FakeBuild | None = None,
    ) -> object:
        """
        What the client's address is changed to.
        """
        build = build or FakeBuild()
        phase = compileRealip(configure(text, RealipOptions), build)
        assert phase is not None
        fields = b"".join(b"\r\n" + line for line in lines)
        packed = ip_address(sender).packed if sender else b""
        request = FakeRequest(fields=fields, address=packed, build=build)
        self.assertFalse(run(phase, request))
        return request.done[0][1:] if request.done else None

    def test_field(self) -> None:
        """
        By X-Real-IP, or the field that is named.
        """
        line = b"x-real-ip: 192.0.2.1"
        self.assertEqual(self.address(TRUSTED, line), ("192.0.2.1", 0))
        text = TRUSTED + "real_ip_header X-Mine;"
        self.assertIsNone(self.address(text, line))
        self.assertEqual(
            self.address(text, b"X-Mine: [2001:DB8::1]:80", b"X-Mine: 1.2.3.4"),
            ("2001:db8::1", 80),
        )

    def test_untrusted(self) -> None:
        """
        Others are not believed.
        """
        line = b"X-Real-IP: 192.0.2.1"
        self.assertIsNone(self.address(TRUSTED, line, sender="192.0.2.9"))
        self.assertIsNone(self.address(TRUSTED, line, sender=""))
        self.assertEqual(
            self.address("set_real_ip_from unix:;", line, sender=""), ("192.0.2.1", 0)
        )

    def test_list(self) -> None:
        """
        Of several addresses the last counts.
        """
        text = TRUSTED + "real_ip_header X-Forwarded-For;"
        for lines, expected in (
            ((b"10.0.0.1, 192.0.2.1",), "192.0.2.1"),
            ((b"192.0.2.1, 10.0.1.1, 127.0.0.1",), "127.0.0.1"),
            ((b"192.0.2.1", b"127.0.0.1, 10.0.1.1"), "10.0.1.1"),
            ((b"192.0.2.1, ",), "192.0.2.1"),
        ):
            fields = [b"X-Forwarded-For: " + line for line in lines]
            self.assertEqual(self.address(text, *fields), (expected, 0), lines)

    def test_recursive(self) -> None:
        """
        Or the last that is no trusted proxy.
        """
        text = TRUSTED + "real_ip_header X-Forwarded-For; real_ip_recursive on;"
        for lines, expected in (
            ((b"10.0.1.1, 192.0.2.1, 127.0.0.1",), "192.0.2.1"),
            ((b"10.0.1.1", b"192.0.2.1", b"127.0.0.1"), "192.0.2.1"),
            ((b"10.0.1.1, 127.0.0.1",), "10.0.1.1"),
            ((b"foo, 10.0.1.1",), "10.0.1.1"),
        ):
            fields = [b"X-Forwarded-For: " + line for line in lines]
            self.assertEqual(self.address(text, *fields), (expected, 0), lines)

    def test_nonsense(self) -> None:
        """
        What is no address changes nothing.
        """
        for value in (b"foo", b"", b"1.2.3.4:0", b"1.2.3.4:x", b"[::1", b"unknown"):
            self.assertIsNone(self.address(TRUSTED, b"X-Real-IP: " + value), value)

    def test_proxyProtocol(self) -> None:
        """
        The PROXY protocol may tell it.
        """
        text = TRUSTED + "real_ip_header proxy_protocol;"
        self.assertIsNone(self.told(text, b"", b""))
        self.assertEqual(self.told(text, b"192.0.2.1", b"99"), ("192.0.2.1", 99))
        self.assertEqual(self.told(text, b"::2", b"99"), ("::2", 99))
        self.assertEqual(self.told(text, b"::2", b"0"), ("::2", 0))

    def told(self, text: str, host: bytes, port: bytes) -> object:
        build = FakeBuild()
        build.variables.add(
            {
                "proxy_protocol_addr": lambda request: host,
                "proxy_protocol_port": lambda request: port,
            }
        )
        return self.address(text, build=build)

    def test_once(self) -> None:
        """
        An address that was changed stays.
        """
        phase = compileRealip(configure(TRUSTED, RealipOptions), FakeBuild())
        assert phase is not None
        request = FakeRequest(fields=b"\r\nX-Real-IP: 127.0.0.1")
        run(phase, request)
        run(phase, request)
        self.assertEqual(request.done, [("changeAddress", "127.0.0.1", 0)])

    def test_none(self) -> None:
        """
        Without trusted proxies there is nothing to do.
        """
        self.assertIsNone(compileRealip(configure("", RealipOptions), FakeBuild()))

    def test_name(self) -> None:
        """
        A name stands for its addresses.
        """
        line = b"X-Real-IP: 192.0.2.1"
        text = "set_real_ip_from localhost;"
        self.assertEqual(self.address(text, line), ("192.0.2.1", 0))
        error = self.assertRaises(
            ConfigError, configure, "set_real_ip_from no..host;", RealipOptions
        )
        self.assertEqual(
            messages(error), ['host not found in set_real_ip_from "no..host"']
        )

    def test_warning(self) -> None:
        """
        Bits that do not count are warned of.
        """
        text = "set_real_ip_from 10.0.0.1/8;"
        warnings = configureWithWarnings(text, RealipOptions)[1]
        self.assertEqual(
            [warning.message for warning in warnings],
            ["low address bits of 10.0.0.1/8 are meaningless"],
        )

    def test_parse(self) -> None:
        """
        Addresses with and without a port.
        """
        for text, expected in (
            (b"1.2.3.4", ("1.2.3.4", 0)),
            (b"1.2.3.4:5", ("1.2.3.4", 5)),
            (b"::ffff:1.2.3.4", ("::ffff:1.2.3.4", 0)),
            (b"[::1]", ("::1", 0)),
            (b"[::1]:5", ("::1", 5)),
            (b"[::1]:65536", None),
            (b"1.2.3.4:" + b"9" * 5000, None),
            (b"[::1]x", None),
            (b"fe80::1%eth0", None),
            (b"1.2.3.4\0", None),
            (b"\xe4", None),
        ):
            self.assertEqual(parseAddress(text), expected, text)
