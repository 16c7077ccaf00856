"""
Tests for L{twisted_upstream.embed.upgraded}.
"""

from __future__ import annotations

from typing import Any

from tests.embed.sites import SiteCase
from tests.support.conversation import (
    answer,
    get,
    message,
)


class UpgradeTests(SiteCase):
    """
    Other protocols.
    """

    def upgraded(self) -> Any:
        """
        Both sides have switched.
        """
        self.begin()
        self.says(
            get("/api/chat", "Upgrade: websocket", "Connection: Upgrade", "Sec-A: b")
        )
        server = self.server()
        heard = server.hears("GET /chat HTTP/1.1")
        self.assertEqual(heard["Upgrade"], "websocket")
        self.assertEqual(heard["Connection"], "upgrade")
        self.assertEqual(heard["Sec-A"], "b")
        fields = ("Upgrade: websocket", "Connection: Upgrade", "Sec-C: d")
        server.sends(message("HTTP/1.1 101 Switching Protocols", fields) + b"early")
        head, _, rest = self.client.value().partition(b"\r\n\r\n")
        self.assertIn(b"HTTP/1.1 101 Switching Protocols\r\n", head + b"\r\n")
        self.assertIn(b"\r\nSec-C: d", head)
        self.assertIn(b"\r\nUpgrade: websocket", head)
        self.assertEqual(rest, b"early")
        self.client.clear()
        return server

    def test_bothWays(self) -> None:
        """
        Bytes go both ways; when the server ends, so does the client's connection.
        """
        server = self.upgraded()
        self.says(b"ping")
        self.assertEqual(server.raw(), b"ping")
        server.sends(b"pong")
        self.assertEqual(self.client.value(), b"pong")
        self.assertEqual(self.upstream.status.active, 1)
        server.hangsUp()
        self.assertTrue(self.client.disconnecting)
        self.leave()
        self.settle()
        self.assertEqual(self.fails(), [0, 0])

    def test_clientLeaves(self) -> None:
        """
        When the client leaves, so does the server's connection end.
        """
        server = self.upgraded()
        self.leave()
        self.settle()
        server.isEnded()
        server.hangsUp()
        self.settle()
        self.assertEqual(self.fails(), [0, 0])

    def test_backPressure(self) -> None:
        """
        Who takes nothing lets the other one wait.
        """
        server = self.upgraded()
        self.client.producer.pauseProducing()
        server.sends(b"x")
        server.sends(b"y" * 10)
        self.assertGreater(len(server.socket.incoming), 0)
        self.client.producer.resumeProducing()
        self.settle()
        self.assertEqual(self.client.value(), b"x" + b"y" * 10)

    def test_refused(self) -> None:
        """
        A server that does not switch just answers.
        """
        self.begin()
        self.says(get("/api/", "Upgrade: x", "Connection: upgrade"))
        self.server().sends(answer(b"no"))
        self.assertEqual(self.heard().body, b"no")
