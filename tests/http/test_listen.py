"""
Tests for L{twisted_upstream.http.listen} and of sockets in
L{twisted_upstream.http.build}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import messages
from tests.support.memory import MemoryHTTP
from twisted_upstream.config.nodes import ConfigError


def servers(*listens: str) -> str:
    """
    A configuration with one server for each of C{listens}.
    """
    blocks = " ".join(
        f"server {{ {each} server_name s{n}; return 200 s{n}; }}"
        for n, each in enumerate(listens)
    )
    return f"events {{}} http {{ access_log off; {blocks} }}"


class ListenTests(SynchronousTestCase):
    """
    C{listen}.
    """

    def build(self, text: str) -> MemoryHTTP:
        """
        Build a configuration.
        """
        http = MemoryHTTP(text, self.mktemp())
        self.addCleanup(http.shutDown)
        return http

    def refuses(self, text: str, expected: str) -> None:
        """
        C{text} is refused with a message that contains this.
        """
        error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
        self.assertTrue(
            any(expected in each for each in messages(error)), messages(error)
        )

    def test_addresses(self) -> None:
        """
        Ports, addresses, IPv6, unix sockets.
        """
        for words, expected in (
            ("8080", ("0.0.0.0", 8080)),
            ("*:8080", ("0.0.0.0", 8080)),
            ("127.0.0.1", ("127.0.0.1", 80)),
            ("127.0.0.1:81", ("127.0.0.1", 81)),
            ("[::1]:81", ("::1", 81, 0, 0)),
            ("unix:/tmp/x.sock", "/tmp/x.sock"),
        ):
            [socket] = self.build(servers(f"listen {words};")).build.sockets
            self.assertEqual(socket.sockaddr, expected)

    def test_shared(self) -> None:
        """
        Servers with one address share its socket; the first is the default.
        """
        http = self.build(servers("listen 81;", "listen 81; listen 82;"))
        self.assertEqual(len(http.build.sockets), 2)
        self.assertEqual(http.build.sockets[0].address.default.name, "s0")
        self.assertEqual(http.build.sockets[1].address.default.name, "s1")

    def test_default(self) -> None:
        """
        default_server makes another the default.
        """
        http = self.build(servers("listen 81;", "listen 81 default_server;"))
        self.assertEqual(http.build.sockets[0].address.default.name, "s1")

    def test_twoDefaults(self) -> None:
        """
        But only one.
        """
        self.refuses(
            servers("listen 81 default_server;", "listen 81 default_server;"),
            "a duplicate default server for",
        )

    def test_twice(self) -> None:
        """
        A server has each address once.
        """
        self.refuses(servers("listen 81; listen 81;"), "a duplicate listen 0.0.0.0:81")

    def test_wrong(self) -> None:
        """
        Wrong addresses and parameters are told.
        """
        self.refuses(servers("listen 127.0.0.1:0x;"), "invalid port")
        self.refuses(servers("listen 81 nonsense;"), 'invalid parameter "nonsense"')
        self.refuses(servers("listen 81 backlog=0;"), 'invalid backlog "backlog=0"')
        self.refuses(servers("listen 81 http2;"), "ngx_http_v2_module")
        self.refuses(
            servers("listen 81 ssl;"),
            'no "ssl_certificate" is defined for the "listen ... ssl" directive in'
            " nginx.conf:1",
        )
        error = self.assertRaises(
            ConfigError, MemoryHTTP, servers("listen 81 ssl;"), self.mktemp()
        )
        self.assertEqual(str(error).count("in nginx.conf:1"), 1)

    def test_optionsOnce(self) -> None:
        """
        Options of a socket are written once.
        """
        self.refuses(
            servers("listen 81 backlog=5;", "listen 81 backlog=6;"),
            "duplicate listen options for",
        )
