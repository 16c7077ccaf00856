"""
Tests for L{twisted_upstream.dialects.switching}; what becomes of it is tested with
C{tests.conversations.test_upgrade}.
"""

from __future__ import annotations

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.dialects.switching import maySwitch


class MaySwitchTests(SynchronousTestCase):
    """
    L{maySwitch}.
    """

    def test_names(self) -> None:
        """
        All protocols of the answer have to be among those asked for, in any case and
        order; none at all means what was asked for.
        """
        for asked, protocols, may in (
            (b"websocket", b"websocket", True),
            (b"websocket", b"WebSocket", True),
            (b"h2c, websocket", b"websocket", True),
            (b"a/1,\tb/2 ", b"b/2 , a/1", True),
            (b"websocket", None, True),
            (b"websocket", b"h2c", False),
            (b"websocket", b"websocket, h2c", False),
            (b"HTTP/2.0", b"HTTP", False),
            (b"websocket", b"", False),
            (b"", b"", False),
            (b"", None, False),
            (None, b"websocket", False),
            (None, None, False),
        ):
            client = SimpleNamespace(head=SimpleNamespace(upgrade=asked))
            self.assertIs(maySwitch(client, protocols), may, (asked, protocols))
