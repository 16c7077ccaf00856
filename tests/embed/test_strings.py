"""
Tests for L{twisted_upstream.embed.strings}.
"""

from __future__ import annotations

from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.embed import ArgumentError, Upstream, UpstreamClosed
from twisted_upstream.embed.strings import publish


class StringTests(SynchronousTestCase):
    """
    C{upstream:NAME[:config=FILE]}.
    """

    def setUp(self) -> None:
        """
        A reactor of its own.
        """
        self.reactor = MemoryReactorClock()

    def connect(self, text: str) -> tuple[str, int]:
        """
        Whom an endpoint connects to.
        """
        connecting = connectProtocol(clientFromString(self.reactor, text), Protocol())
        # Some groups are closed before anybody connects.
        connecting.addErrback(lambda reason: reason.trap(UpstreamClosed))
        host, port, *_ = self.reactor.tcpClients[-1]
        return host, port

    def test_file(self) -> None:
        """
        A file is read once: all endpoints share its group.
        """
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("upstream u { server 127.0.0.1:1; server 127.0.0.1:2; }")
        text = f"upstream:u:config={path}:timeout=3"
        ports = [self.connect(text)[1] for _ in range(4)]
        self.assertEqual(ports, [1, 2, 1, 2])
        self.assertEqual(self.reactor.tcpClients[-1][3], 3.0)

    def test_published(self) -> None:
        """
        Without a file it is a group that was published, for this reactor.
        """
        upstream = Upstream(self.reactor, "127.0.0.1:7", name="mine")
        publish(upstream)
        self.assertEqual(self.connect("upstream:mine"), ("127.0.0.1", 7))
        for reactor in (MemoryReactorClock(), self.reactor):
            upstream.close() if reactor is self.reactor else None
            error = self.assertRaises(
                ValueError, clientFromString, reactor, "upstream:mine"
            )
            self.assertIn("no upstream 'mine' was published", str(error))

    def test_wrong(self) -> None:
        """
        What is wrong is told at once.
        """
        path = self.mktemp()
        self.assertRaises(
            ConfigError, clientFromString, self.reactor, f"upstream:u:config={path}"
        )
        with open(path, "w") as file:
            file.write("upstream u { server 127.0.0.1:1; }")
        for more in (":tries=-1", ":timeout=0"):
            self.assertRaises(
                ArgumentError,
                clientFromString,
                self.reactor,
                f"upstream:u:config={path}{more}",
            )
        self.assertRaises(
            ArgumentError, clientFromString, self.reactor, f"upstream:x:config={path}"
        )
