"""
Tests for L{twisted_upstream.upstream.options}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.conversation import proxy, upstream
from tests.support.fakerequest import messages
from tests.support.memory import MemoryHTTP
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.config.syntax import parse
from twisted_upstream.process.grammar import makeGrammar
from twisted_upstream.upstream.options import parseServer


class RefusedTests(SynchronousTestCase):
    """
    Directives that are wrong.
    """

    def refuses(self, text: str, *expected: str) -> None:
        """
        C{text} is refused with messages that contain these.
        """
        error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
        found = messages(error)
        self.assertEqual(len(found), len(expected), found)
        for message, part in zip(found, expected, strict=True):
            self.assertIn(part, message)

    def test_serverParameters(self) -> None:
        """
        Each wrong parameter of a server is complained of.
        """
        for word in (
            "weight=0",
            "weight=x",
            "max_fails=-1",
            "fail_timeout=x",
            "nonsense",
        ):
            self.refuses(
                proxy(http=upstream(f"10.0.0.1 {word}")), f'invalid parameter "{word}"'
            )

    def test_label(self) -> None:
        """
        A server may have a name of its own, if it is not empty.
        """
        node = parse("server a id=one;", "f", lambda p, n: []).nodes[0]
        self.assertEqual(parseServer(node).label, "one")
        self.refuses(proxy(http=upstream("10.0.0.1 id=")), 'invalid parameter "id="')

    def test_route(self) -> None:
        """
        A route has 1 to 32 characters.
        """
        self.refuses(proxy(http=upstream("10.0.0.1 route=")), "route is empty")
        self.refuses(
            proxy(http=upstream("10.0.0.1 route=" + "x" * 33)),
            "route is longer than 32",
        )

    def test_several(self) -> None:
        """
        All mistakes are told at once.
        """
        self.refuses(
            proxy(http=upstream("10.0.0.1 a=b", "10.0.0.2 c=d")),
            'invalid parameter "a=b"',
            'invalid parameter "c=d"',
        )

    def test_sizes(self) -> None:
        """
        Buffers that do not fit together are refused in nginx's words.
        """
        for words, part in (
            ("proxy_buffers 1 4k;", 'there must be at least 2 "proxy_buffers"'),
            (
                "proxy_busy_buffers_size 1k;",
                '"proxy_busy_buffers_size" must be equal to or greater than',
            ),
            (
                "proxy_busy_buffers_size 64k;",
                '"proxy_busy_buffers_size" must be less than the size of all',
            ),
            (
                "proxy_temp_file_write_size 1k;",
                '"proxy_temp_file_write_size" must be equal to or greater than',
            ),
            (
                "proxy_max_temp_file_size 1k;",
                '"proxy_max_temp_file_size" must be equal to zero',
            ),
        ):
            self.refuses(proxy(words), part)

    def test_ignoreHeaders(self) -> None:
        """
        Only fields that are acted upon can be ignored.
        """
        self.refuses(proxy("proxy_ignore_headers X-Other;"), 'invalid value "X-Other"')

    def test_nextUpstream(self) -> None:
        """
        Only conditions that there are can be enabled.
        """
        self.refuses(proxy("proxy_next_upstream http_501;"), 'invalid value "http_501"')

    def test_nextUpstreamTwice(self) -> None:
        """
        A condition that is named twice is warned of.
        """
        grammar = makeGrammar()
        text = "events {} http { proxy_next_upstream error timeout Error; }"
        grammar.build(parse(text, "nginx.conf", lambda pattern, node: []))
        self.assertIn('duplicate value "Error"', str(grammar.warnings[0]))

    def test_keepalive(self) -> None:
        """
        keepalive takes a number and "local".
        """
        for words in ("x", "1 global"):
            self.refuses(
                proxy(http=upstream("10.0.0.1", more=f"keepalive {words};")), "invalid"
            )

    def test_zone(self) -> None:
        """
        zone is accepted with a size that nginx would accept.
        """
        for words, message in (
            ('""', 'invalid zone name ""'),
            ("z 1x", 'invalid zone size "1x"'),
            ("z 31k", 'zone "z" is too small'),
        ):
            self.refuses(
                proxy(http=upstream("10.0.0.1", more=f"zone {words};")), message
            )
        MemoryHTTP(proxy(http=upstream("10.0.0.1", more="zone z 32k;")), self.mktemp())

    def test_duplicates(self) -> None:
        """
        What may stand once stands once.
        """
        self.refuses(
            proxy("proxy_read_timeout 1; proxy_read_timeout 2;"),
            '"proxy_read_timeout" directive is duplicate',
        )
