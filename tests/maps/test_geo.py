"""
Tests for L{twisted_upstream.maps.geo}.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import (
    FakeBuild,
    FakeRequest,
    configureWithWarnings,
    messages,
)
from twisted_upstream.config.cidr import Network
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.phases.realip import forwardedFor
from twisted_upstream.maps.define import defineMaps
from twisted_upstream.maps.geo import GeoOptions


class GeoTests(SynchronousTestCase):
    """
    A variable has a value by an address.
    """

    warned: list[str]

    def define(self, lines: str, words: str = "$x", *, http: bool = True) -> FakeBuild:
        build = FakeBuild()
        text = f"geo {words} {{ {lines} }}"
        block, warnings = configureWithWarnings(text, GeoOptions)
        defineMaps(block, build, forwardedFor if http else None)
        self.warned = [each.message for each in warnings]
        return build

    def value(self, build: FakeBuild, address: str, fields: bytes = b"") -> bytes:
        """
        What C{$x} is for a client; C{""} is one of a unix socket.
        """
        packed = ip_address(address).packed if address else b""
        request = FakeRequest(build=build, address=packed, fields=fields)
        return request.variable("x")

    def check(self, lines: str, expected: dict[str, bytes]) -> None:
        build = self.define(lines)
        self.assertEqual(
            {address: self.value(build, address) for address in expected}, expected
        )

    def test_networks(self) -> None:
        """
        The smallest network counts; mapped addresses are those of IPv4.
        """
        self.check(
            "10.0.0.0/8 a; 10.1.0.0/16 b; 10.1.2.3 c; 10.1.255.0/24 d; 2001:db8::/32 e;"
            " ::1 f;",
            {
                "10.0.0.0": b"a",
                "10.255.255.255": b"a",
                "10.1.0.0": b"b",
                "10.1.2.3": b"c",
                "10.1.2.4": b"b",
                "10.1.255.255": b"d",
                "10.2.0.0": b"a",
                "11.0.0.0": b"",
                "9.255.255.255": b"",
                "::ffff:10.1.2.3": b"c",
                "2001:db8::1": b"e",
                "2001:db9::1": b"",
                "::1": b"f",
            },
        )

    def test_default(self) -> None:
        """
        C{default} is for all others; unix sockets count as 255.255.255.255.
        """
        lines = "default d; 10.0.0.0/8 a;"
        self.check(lines, {"10.0.0.1": b"a", "1.1.1.1": b"d", "::1": b"d", "": b"d"})
        self.check("default d; 255.255.255.255 none;", {"": b"none", "::1": b"d"})

    def test_randomNetworks(self) -> None:
        """
        Looking up is the same as looking through all networks.
        """
        chance = Random(5)
        for version, bits, base in ((4, 32, "10.0.0.0"), (6, 128, "2001:db8::")):
            first = int(ip_address(base))
            networks: dict[IPv4Network | IPv6Network, bytes] = {}
            for number in range(300):
                length = chance.randrange(bits - 12, bits + 1)
                start = ip_address(first + chance.randrange(4096))
                network = ip_network(f"{start}/{length}", strict=False)
                networks.setdefault(network, b"%d" % number)
            lines = " ".join(f"{n} {v.decode()};" for n, v in networks.items())
            build = self.define(lines)
            for offset in range(-1, 4097, 7):
                address = ip_address(first + offset)
                inside = [n for n in networks if address in n]
                best = max(inside, key=lambda n: n.prefixlen, default=None)
                expected = b"" if best is None else networks[best]
                self.assertEqual(self.value(build, str(address)), expected, version)

    def test_delete(self) -> None:
        """
        Networks and pieces of ranges can be deleted.
        """
        self.check(
            "10.0.0.0/8 a; 10.1.0.0/16 b; delete 10.1.0.0/16;", {"10.1.0.1": b"a"}
        )
        self.check(
            "ranges; 10.0.0.0-10.2.255.255 a; delete 10.1.0.0-10.1.255.255;",
            {"10.0.9.9": b"a", "10.1.9.9": b"", "10.2.9.9": b"a"},
        )
        self.define("delete 10.0.0.0/8;")
        self.assertEqual(self.warned, ['no network "10.0.0.0/8" to delete'])
        self.define("ranges; delete 10.0.0.0-10.0.0.1;")
        self.assertEqual(
            self.warned, ['no address range "10.0.0.0-10.0.0.1" to delete']
        )

    def test_ranges(self) -> None:
        """
        A range may lie within an earlier one; IPv6 counts as 255.255.255.255.
        """
        self.check(
            "ranges; default d; 10.0.0.0-10.3.0.9 a; 10.0.0.5-10.0.0.7 b;"
            " 10.0.0.0-10.0.0.0 c; 10.3.0.9-10.3.0.9 e; 9.0.0.0-9.0.0.0 f;",
            {
                "9.0.0.0": b"f",
                "9.0.0.1": b"d",
                "10.0.0.0": b"c",
                "10.0.0.1": b"a",
                "10.0.0.5": b"b",
                "10.0.0.7": b"b",
                "10.0.0.8": b"a",
                "10.3.0.8": b"a",
                "10.3.0.9": b"e",
                "10.3.0.10": b"d",
                "::ffff:10.0.0.5": b"b",
                "::1": b"d",
                "": b"d",
            },
        )

    def test_variable(self) -> None:
        """
        The address may come from another variable; what is none is 255.255.255.255.
        """
        build = self.define(
            "default d; 255.255.255.255 none; 10.0.0.0/8 a;", "$args $x"
        )
        for args, expected in (
            (b"10.1.1.1", b"a"),
            (b"::ffff:10.1.1.1", b"a"),
            (b"::1", b"d"),
            (b"unix:", b"none"),
            (b"", b"none"),
            (b"\xff", b"none"),
        ):
            request = FakeRequest(b"/?" + args, build=build)
            self.assertEqual(request.variable("x"), expected, args)

    def test_proxy(self) -> None:
        """
        Trusted proxies tell the client's address.
        """
        lines = "default d; proxy 127.0.0.1; 192.0.2.0/24 a; 127.0.0.0/8 loop;"
        told = b"\r\nX-Forwarded-For: 192.0.2.1, 127.0.0.1"
        for more, address, expected in (
            ("", "127.0.0.1", b"loop"),
            ("proxy_recursive;", "127.0.0.1", b"a"),
            ("proxy_recursive;", "10.0.0.1", b"d"),
        ):
            build = self.define(more + lines)
            self.assertEqual(self.value(build, address, told), expected)
        self.assertEqual(self.value(self.define(lines), "127.0.0.1"), b"loop")

    def test_volatile(self) -> None:
        """
        The value is kept for the request, unless C{volatile} says otherwise.
        """
        for more, expected in (("", b"a"), ("volatile;", b"b")):
            build = self.define(more + "10.0.0.1 a; 10.0.0.2 b;", "$args $x")
            request = FakeRequest(b"/?10.0.0.1", build=build)
            request.variable("x")
            request.args = b"10.0.0.2"
            self.assertEqual(request.variable("x"), expected)

    def test_warnings(self) -> None:
        """
        What is said twice is taken, with a warning.
        """
        for lines, address, value, message in (
            (
                "10.0.0.0/8 a; 10.0.0.0/8 b;",
                "10.0.0.1",
                b"b",
                'duplicate network "10.0.0.0/8", value: "b", old value: "a"',
            ),
            (
                "10.0.0.1/8 a;",
                "10.0.0.1",
                b"a",
                "low address bits of 10.0.0.1/8 are meaningless",
            ),
            (
                "ranges; 10.0.0.0-10.1.0.1 a; 10.0.0.0-10.1.0.1 b;",
                "10.0.0.1",
                b"b",
                'duplicate range "10.0.0.0-10.1.0.1", value: "b", old value: "a"',
            ),
            (
                "ranges; default a; default b;",
                "10.0.0.1",
                b"b",
                'duplicate default geo range value: "b", old value: "a"',
            ),
        ):
            build = self.define(lines)
            self.assertEqual(self.warned, [message])
            self.assertEqual(self.value(build, address), value)

    def test_wrong(self) -> None:
        """
        Mistakes, in nginx's words.
        """
        for lines, message in (
            ("10.0.0.0;", "invalid number of the geo parameters"),
            ("x a;", 'invalid network "x"'),
            ("unix: a;", 'invalid network "unix:"'),
            ("proxy x;", 'invalid network "x"'),
            (
                "default d; ranges;",
                'the "ranges" directive must be the first directive inside "geo" block',
            ),
            ("ranges; 10.0.0.1 a;", 'invalid range "10.0.0.1"'),
            ("ranges; 10.0.0.1-10.0.0.0 a;", 'invalid range "10.0.0.1-10.0.0.0"'),
            (
                "ranges; 10.0.0.1-255.255.255.255 a;",
                'invalid range "10.0.0.1-255.255.255.255"',
            ),
            (
                "ranges; 10.0.0.1-10.0.0.9 a; 10.0.0.5-10.0.0.10 b;",
                'range "10.0.0.5-10.0.0.10" overlaps "10.0.0.1-10.0.0.9"',
            ),
        ):
            error = self.assertRaises(ConfigError, self.define, lines)
            self.assertEqual(messages(error), [message])
        for words in ("x", "$a x", "a $x"):
            self.assertRaises(ConfigError, self.define, "", words)

    def test_withoutProxies(self) -> None:
        """
        In C{stream} nobody forwards: C{proxy} would be a network.
        """
        build = self.define("10.0.0.0/8 a;", http=False)
        self.assertEqual(self.value(build, "10.0.0.1"), b"a")
        error = self.assertRaises(
            ConfigError, self.define, "proxy 10.0.0.1;", http=False
        )
        self.assertEqual(messages(error), ['invalid network "proxy"'])

    def test_forwardedFor(self) -> None:
        """
        Who is not trusted is who it is.
        """
        request = FakeRequest(fields=b"\r\nX-Forwarded-For: 192.0.2.1")
        trusted = (Network(4, 0, 0),)
        four = bytes((127, 0, 0, 1))
        self.assertEqual(forwardedFor(request, four, (), False), four)
        self.assertEqual(
            forwardedFor(request, four, trusted, False), bytes((192, 0, 2, 1))
        )
