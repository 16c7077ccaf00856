"""
Tests for L{twisted_upstream.net.listen}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.syntax import parse
from twisted_upstream.net.listen import Protocols, parseListen

FLAGS = {"proxy_protocol": "proxyProtocol", "ssl": "tls"}


class ProtocolsTests(SynchronousTestCase):
    """
    L{Protocols}.
    """

    def warnings(self, *lines: str) -> list[int]:
        """
        Which lines of one address are warned of.
        """
        text = "\n".join(f"listen 127.0.0.1:80 {line};" for line in lines)
        document = parse(text, "x.conf", lambda pattern, node: [])
        protocols = Protocols()
        for node in document.nodes:
            protocols.add(parseListen(node, 80, FLAGS, {}), "127.0.0.1:80")
        found = [each for source in document.sources for each in source.warnings]
        for problem in found:
            self.assertIn(
                "protocol options redefined for 127.0.0.1:80", problem.message
            )
        return [problem.line for problem in found]

    def test_agree(self) -> None:
        """
        Lines that say the same, or one that adds what others leave out, are fine.
        """
        for lines in (
            ("", "", ""),
            ("ssl", "ssl backlog=5", "ssl"),
            ("", "ssl"),
            ("ssl", "", ""),
            ("ssl backlog=5", "", ""),
            ("", "ssl backlog=5", ""),
        ):
            self.assertEqual(self.warnings(*lines), [], lines)

    def test_contradict(self) -> None:
        """
        Others are not.
        """
        for lines, expected in (
            (("backlog=5", "ssl"), [2]),
            (("", "ssl", "proxy_protocol"), [3]),
            (("ssl", "proxy_protocol"), [2]),
            (("ssl", "backlog=5"), [2]),
            (("ssl", "", "ssl"), [3]),
            (("", "ssl", "ssl"), [3]),
            (("ssl", "", "ssl backlog=5"), [3]),
        ):
            self.assertEqual(self.warnings(*lines), expected, lines)
