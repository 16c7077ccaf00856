"""
Tests for L{twisted_upstream.process.demo}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.syntax import parse
from twisted_upstream.process.demo import configurationText, readPort


class DemoTests(SynchronousTestCase):
    """
    C{twisted-upstream demo}.
    """

    def test_port(self) -> None:
        """
        The port may be chosen; garbage is refused.
        """
        for words, port in (
            ((), 8080),
            (("--port", "9000"), 9000),
            (("--port=9000",), 9000),
            (("--port",), None),
            (("--port", "x"), None),
            (("--port", "0"), None),
            (("--port", "65533"), None),
            (("--port", "9000", "x"), None),
            (("--help",), None),
            (("9000",), None),
        ):
            self.assertEqual(readPort(words), port, words)

    def test_text(self) -> None:
        """
        The configuration has a group of three servers that it serves itself.
        """
        (http,) = (
            n
            for n in parse(configurationText(9000), "x").nodes
            if n.block and n.name == "http"
        )
        group, *servers = (n for n in http.block or () if n.block is not None)
        inner = [n.words[0] for n in group.block or () if n.name == "server"]
        listens = [
            n.words[0] for s in servers for n in s.block or () if n.name == "listen"
        ]
        self.assertEqual(listens, ["127.0.0.1:9000", *inner])
        self.assertEqual(len(inner), 3)
