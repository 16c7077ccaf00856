"""
Tests for L{twisted_upstream.maps.names}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.config.syntax import parse
from twisted_upstream.maps.names import ServerNames, addNames


class NamesTests(SynchronousTestCase):
    """
    Servers are found by names.
    """

    def test_order(self) -> None:
        """
        Exact names come first, then the longest wildcard at the start, then at the end,
        then regular expressions; else the default serves.
        """
        names = ServerNames("default")
        for name in ("a.com", "*.com", "*.b.com", "www.*", ".both.org"):
            names.addName(name, name)
        names.addRegex(lambda client, text: text.startswith(b"r"), "regex")
        for host, found in (
            (b"a.com", "a.com"),
            (b"x.com", "*.com"),
            (b"y.x.b.com", "*.b.com"),
            (b"www.net", "www.*"),
            (b"both.org", ".both.org"),
            (b"x.both.org", ".both.org"),
            (b"r.net", "regex"),
            (b"net", "default"),
            (None, "default"),
        ):
            self.assertEqual(names.find(host, None), found)

    def test_wrong(self) -> None:
        """
        A name with a star elsewhere is refused.
        """
        [node] = parse("server_name a*b;", "x", lambda pattern, node: []).nodes
        with self.assertRaises(ConfigError) as caught:
            addNames(
                ServerNames("s"),
                [("a*b", node)],
                "s",
                address="127.0.0.1:80",
                compileMatcher=lambda text, node: lambda client, data: False,
            )
        self.assertIn(
            'invalid server name or wildcard "a*b" on 127.0.0.1:80',
            str(caught.exception),
        )
