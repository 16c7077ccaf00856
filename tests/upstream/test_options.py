"""
Tests for L{twisted_upstream.upstream.options}.
"""

from __future__ import annotations

from tests.support.conversation import proxy
from tests.support.memory import MemoryHTTP
from tests.upstream.refusing import RefusingCase
from twisted_upstream.config.syntax import parse
from twisted_upstream.process.grammar import makeGrammar


class RefusedTests(RefusingCase):
    """
    Directives that are wrong.
    """

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

    def test_rates(self) -> None:
        """
        A rate is looked at as far as it has no variables; gigabytes are none of nginx's
        units there.
        """
        for name in ("limit_rate", "limit_rate_after", "proxy_limit_rate"):
            for value in ("1g", "fast"):
                line = f"{name} {value};"
                self.refuses(proxy(line), f'"{name}" directive invalid value')
            for value in ("1m", "64k", "$arg_rate"):
                MemoryHTTP(proxy(f"{name} {value};"), self.mktemp())

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

    def test_duplicates(self) -> None:
        """
        What may stand once stands once.
        """
        self.refuses(
            proxy("proxy_read_timeout 1; proxy_read_timeout 2;"),
            '"proxy_read_timeout" directive is duplicate',
        )
