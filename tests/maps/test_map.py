"""
Tests for L{twisted_upstream.maps.map}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import (
    FakeBuild,
    FakeRequest,
    configure,
    messages,
)
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.maps.define import defineMaps
from twisted_upstream.maps.map import MapOptions


class MapTests(SynchronousTestCase):
    """
    A variable has a value by that of a text.
    """

    def define(self, text: str) -> FakeBuild:
        build = FakeBuild()
        defineMaps(configure(text, MapOptions), build)
        self.assertEqual(build.unknown(), [])
        return build

    def value(self, lines: str, args: bytes) -> bytes:
        """
        What C{$x} is, by C{$args}.
        """
        build = self.define(f"map $args $x {{ {lines} }}")
        return FakeRequest(b"/?" + args, build=build).variable("x")

    def test_exact(self) -> None:
        """
        Keys are compared without regard to case.
        """
        lines = "default 0; foo bar; Foo2 bar2; '' empty;"
        for args, expected in (
            (b"foo", b"bar"),
            (b"FOO", b"bar"),
            (b"foo2", b"bar2"),
            (b"foo3", b"0"),
            (b"", b"empty"),
        ):
            self.assertEqual(self.value(lines, args), expected, args)

    def test_withoutDefault(self) -> None:
        """
        Without a default the variable is empty.
        """
        self.assertEqual(self.value("a b;", b"x"), b"")

    def test_hostnames(self) -> None:
        """
        Wildcards: exact names first, then the longest match.
        """
        lines = """
            hostnames;
            default 0;
            example.com exact;
            example.* tail;
            *.example.com head;
            *.www.example.com longer;
            .dot.example.com dot;
            www.example.* longertail;
        """
        for args, expected in (
            (b"example.com", b"exact"),
            (b"EXAMPLE.COM", b"exact"),
            (b"example.com.", b"exact"),
            (b"example.org", b"tail"),
            (b"example.co.uk", b"tail"),
            (b"www.example.org", b"longertail"),
            (b"foo.example.com", b"head"),
            (b"foo.example.com.", b"head"),
            (b"a.www.example.com", b"longer"),
            (b"www.example.com", b"head"),
            (b"dot.example.com", b"dot"),
            (b"a.b.dot.example.com", b"dot"),
            (b"notexample.com", b"0"),
            (b"example", b"0"),
        ):
            self.assertEqual(self.value(lines, args), expected, args)

    def test_withoutHostnames(self) -> None:
        """
        Otherwise an asterisk is one.
        """
        self.assertEqual(self.value("*.a b; a. c;", b"x.a"), b"")
        self.assertEqual(self.value("*.a b; a. c;", b"*.a"), b"b")
        self.assertEqual(self.value("*.a b; a. c;", b"a."), b"c")

    def test_regex(self) -> None:
        """
        Regular expressions come last, in their order; groups may be used.
        """
        lines = r"default 0; ~^A(.) one:$1; ~*^a(?<y>.) two:$y; ab exact;"
        for args, expected in (
            (b"Ab", b"exact"),
            (b"Ac", b"one:c"),
            (b"ac", b"two:c"),
            (b"b", b"0"),
            (b"", b"0"),
        ):
            self.assertEqual(self.value(lines, args), expected, args)

    def test_escaped(self) -> None:
        """
        A backslash takes the special meaning away.
        """
        lines = r"default 0; \include a; \default b; \~x c; \hostnames d; \\y e;"
        for args, expected in (
            (b"include", b"a"),
            (b"default", b"b"),
            (b"~x", b"c"),
            (b"hostnames", b"d"),
        ):
            self.assertEqual(self.value(lines, args), expected, args)

    def test_variables(self) -> None:
        """
        Values may contain variables, also of maps that come later.
        """
        build = self.define(
            "map $args $x { var foo:$y; default $y; }"
            " map $args $y { default bar; same baz; }"
        )
        for args, expected in ((b"var", b"foo:bar"), (b"same", b"baz"), (b"", b"bar")):
            request = FakeRequest(b"/?" + args, build=build)
            self.assertEqual(request.variable("x"), expected)

    def test_source(self) -> None:
        """
        The source may be a text of several variables.
        """
        build = self.define('map "$uri:$args" $x { /:a b; }')
        self.assertEqual(FakeRequest(b"/?a", build=build).variable("x"), b"b")

    def test_cached(self) -> None:
        """
        The value is found once per request, unless the map is volatile.
        """
        build = self.define(
            "map $uri $kept { default $uri; } map $uri $fresh { volatile; default $uri; }"
        )
        request = FakeRequest(b"/a", build=build)
        for name in ("kept", "fresh"):
            self.assertEqual(request.variable(name), b"/a")
        request.uri = b"/b"
        self.assertEqual(request.variable("kept"), b"/a")
        self.assertEqual(request.variable("fresh"), b"/b")

    def test_invalid(self) -> None:
        """
        Every line has a key and a value; keys differ.
        """
        for text, message in (
            ("map $args x { }", 'invalid variable name "x"'),
            ("map $args $x { a; }", "invalid number of the map parameters"),
            ("map $args $x { a b c; }", "invalid number of the map parameters"),
            (
                "map $args $x { default a; default b; }",
                "duplicate default map parameter",
            ),
            ("map $args $x { a 1; A 2; }", 'conflicting parameter "A"'),
            (
                "map $args $x { hostnames; .a.b 1; *.a.b 2; }",
                'conflicting parameter "*.a.b"',
            ),
            (
                "map $args $x { hostnames; a.*.b 1; }",
                'invalid hostname or wildcard "a.*.b"',
            ),
            (
                "map $args $x { hostnames; *.a.* 1; }",
                'invalid hostname or wildcard "*.a.*"',
            ),
            (
                "map $args $x { hostnames; a..b 1; }",
                'invalid hostname or wildcard "a..b"',
            ),
            (
                "map $args $x { ~( 1; }",
                'pcre2_compile() failed: missing closing parenthesis in "("',
            ),
        ):
            error = self.assertRaises(ConfigError, self.define, text)
            self.assertEqual(messages(error), [message])
