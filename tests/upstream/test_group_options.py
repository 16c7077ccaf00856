"""
Tests for L{twisted_upstream.upstream.group_options}.
"""

from __future__ import annotations

from tests.support.conversation import proxy, upstream
from tests.support.memory import MemoryHTTP
from tests.upstream.refusing import RefusingCase


class RefusedTests(RefusingCase):
    """
    Directives that are wrong.
    """

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
