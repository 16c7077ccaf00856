"""
Tests for L{twisted_upstream.http.phases.access}.
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
    only,
    run,
)
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.phases.access import (
    AccessOptions,
    compileAccess,
    compileLimitExcept,
    isInternal,
)


class AccessTests(SynchronousTestCase):
    """
    C{allow} and C{deny} decide by address.
    """

    def denied(self, text: str, address: str = "", *path: int) -> bool:
        phase = compileAccess(only(configure(text, AccessOptions), *path), FakeBuild())
        if phase is None:
            return False
        packed = ip_address(address).packed if address else b""
        request = FakeRequest(address=packed)
        taken = run(phase, request)
        if taken:
            self.assertEqual(request.done, [("failResponse", 403)])
            self.assertEqual(request.logged, [("error", "access forbidden by rule", 0)])
        return taken

    def test_first(self) -> None:
        """
        The first rule that matches decides.
        """
        text = "allow 192.0.2.1; deny 192.0.2.0/24; allow all; deny all;"
        self.assertFalse(self.denied(text, "192.0.2.1"))
        self.assertTrue(self.denied(text, "192.0.2.2"))
        self.assertFalse(self.denied(text, "192.0.3.1"))

    def test_families(self) -> None:
        """
        C{all} is all of them; C{unix:} only unix sockets.
        """
        for address, all_, unix in (
            ("127.0.0.1", True, False),
            ("::1", True, False),
            ("", True, True),
        ):
            self.assertEqual(self.denied("deny all;", address), all_)
            self.assertEqual(self.denied("deny unix:;", address), unix)
            self.assertFalse(self.denied("allow unix:;", address))

    def test_mapped(self) -> None:
        """
        IPv4 rules hold for IPv4 clients of an IPv6 socket.
        """
        self.assertTrue(self.denied("deny 192.0.2.1;", "::ffff:192.0.2.1"))

    def test_inherits(self) -> None:
        """
        A block with rules of its own forgets the outer ones.
        """
        text = "deny all; server { location /a { } location /b { allow 192.0.2.1; } }"
        self.assertTrue(self.denied(text, "192.0.2.2", 0, 0))
        self.assertFalse(self.denied(text, "192.0.2.2", 0, 1))

    def test_none(self) -> None:
        """
        Without rules there is nothing to ask.
        """
        self.assertIsNone(compileAccess(configure("", AccessOptions), FakeBuild()))

    def test_invalid(self) -> None:
        """
        Names are not known here.
        """
        error = self.assertRaises(ConfigError, self.denied, "deny localhost;")
        self.assertEqual(messages(error), ['invalid parameter "localhost"'])

    def test_warning(self) -> None:
        """
        Bits that do not count are warned of.
        """
        warnings = configureWithWarnings("deny 192.0.2.1/24;", AccessOptions)[1]
        self.assertEqual(
            [warning.message for warning in warnings],
            ["low address bits of 192.0.2.1/24 are meaningless"],
        )

    def test_internal(self) -> None:
        """
        C{internal} counts for locations within too.
        """
        text = "server { location /a { internal; location /a/b { } } location /c { } }"
        server = only(configure(text, AccessOptions), 0)
        self.assertTrue(isInternal(server.inner[0]))
        self.assertTrue(isInternal(server.inner[0].inner[0]))
        self.assertFalse(isInternal(server.inner[1]))


class LimitExceptTests(SynchronousTestCase):
    """
    C{limit_except} has another configuration for other methods.
    """

    def test_methods(self) -> None:
        """
        Who may GET may HEAD.
        """
        text = "server { location / { limit_except GET { deny all; } } }"
        location = only(configure(text, AccessOptions), 0, 0)
        build = FakeBuild()
        choose = compileLimitExcept(location, build)
        assert choose is not None
        inner = build.locationFor(location.inner[0])
        for method in (b"GET", b"HEAD"):
            self.assertIsNone(choose(method))
        for method in (b"POST", b"TRACE", b"FOO"):
            self.assertIs(choose(method), inner)
        self.assertIsNone(compileAccess(location, build))
        self.assertIsNotNone(compileAccess(location.inner[0], build))

    def test_none(self) -> None:
        """
        Without it every method is served, also within.
        """
        text = (
            "server { location / { limit_except post { }"
            " location /x { } } location /y { } }"
        )
        server = only(configure(text, AccessOptions), 0)
        build = FakeBuild()
        self.assertIsNotNone(compileLimitExcept(server.inner[0], build))
        nested = server.inner[0].inner[1]
        self.assertIsNone(compileLimitExcept(nested, build))
        self.assertIsNone(compileLimitExcept(server.inner[1], build))

    def test_invalid(self) -> None:
        """
        Only known methods.
        """
        text = "server { location / { limit_except FETCH { } } }"
        error = self.assertRaises(ConfigError, configure, text, AccessOptions)
        self.assertEqual(messages(error), ['invalid method "FETCH"'])
