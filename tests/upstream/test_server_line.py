"""
Tests for L{twisted_upstream.upstream.server_line}.
"""

from __future__ import annotations

from tests.support.conversation import proxy, upstream
from tests.upstream.refusing import RefusingCase
from twisted_upstream.config.syntax import parse
from twisted_upstream.upstream.server_line import parseServer


class ParametersTests(RefusingCase):
    """
    What stands in a line.
    """

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

    def test_slowStart(self) -> None:
        """
        The parameter is a time.
        """
        self.refuses(
            proxy(http=upstream("10.0.0.1 slow_start=x")),
            'invalid parameter "slow_start=x"',
        )
        self.talk(proxy(http=upstream("10.0.0.1 slow_start=1m30s", "10.0.0.2")))
