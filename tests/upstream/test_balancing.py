"""
Tests for L{twisted_upstream.upstream.balancing}.
"""

from __future__ import annotations

from tests.support.conversation import get, proxy, upstream
from tests.upstream.refusing import RefusingCase


class BalancingTests(RefusingCase):
    """
    Methods, and layers around them.
    """

    def test_backupAfterMethod(self) -> None:
        """
        Whether a server may be a backup is up to the last method before its line.
        """
        refused = 'balancing method does not support parameter "backup"'
        for lines, accepted in (
            ("server 10.0.0.1; hash k; server 10.0.0.2 backup;", False),
            ("server 10.0.0.1; server 10.0.0.2 backup; hash k;", True),
            ("random; least_conn; server 10.0.0.1; server 10.0.0.2 backup;", True),
            ("ip_hash; server 10.0.0.1; server 10.0.0.2 backup; least_conn;", False),
        ):
            text = proxy(http=f"upstream u {{ {lines} }}")
            if accepted:
                self.talk(text)
            else:
                self.refusesGroup(text, refused)

    def test_parametersAfterMethod(self) -> None:
        """
        Some methods do not go with some parameters.
        """
        for method, parameter, accepted in (
            ("hash k", "slow_start=30s", False),
            ("ip_hash", "slow_start=30s", False),
            ("random", "slow_start=30s", False),
            ("least_conn", "slow_start=30s", True),
            ("vnswrr", "max_conns=2", True),
            ("iwrr", "slow_start=30s", False),
            ("consistent_hash k", "max_conns=2", False),
            ("consistent_hash k", "id=3", True),
        ):
            text = f"{method}; server 10.0.0.1 {parameter}; server 10.0.0.2;"
            text = proxy(http=f"upstream u {{ {text} }}")
            refused = f'balancing method does not support parameter "{parameter}"'
            if accepted:
                self.talk(text)
            else:
                self.refusesGroup(text, refused)

    def test_redefinedMethod(self) -> None:
        """
        The last method stays; those before it must be right as well.
        """
        talk = self.talk(
            proxy(http=upstream("10.0.0.1", "10.0.0.2", more="ip_hash; least_conn;"))
        )
        client = talk.client()
        client.sends(get())
        self.assertEqual(talk.server().name, "10.0.0.1:80")
        self.refusesGroup(
            proxy(http=upstream("10.0.0.1", more="random three; least_conn;")),
            'invalid parameter "three"',
        )
        self.refusesGroup(
            proxy(http=upstream("10.0.0.1", more="hash $nope;")),
            'unknown "nope" variable',
        )
