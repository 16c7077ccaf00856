"""
Tests for L{twisted_upstream.stream.build} and of what it puts together: access, realip,
set, virtual servers, and the complaints about a configuration.
"""

from __future__ import annotations

from tests.support.stream import MemoryStream, StreamCase
from twisted_upstream.config.syntax import ConfigError

RETURN = "return $remote_addr:$server_name;"
PROXY_LINE = b"PROXY TCP4 198.51.100.7 203.0.113.1 4711 80\r\n"


class PhaseTests(StreamCase):
    """
    What happens to a session before its content.
    """

    def test_access(self) -> None:
        """
        The first rule that matches decides; who is denied gets nothing, and 403.
        """
        stream = self.stream(
            "server { listen 8080; deny 192.0.2.1; allow 192.0.2.0/24; deny all;"
            f" {RETURN} }}"
        )
        self.assertEqual(bytes(stream.connect(peer=("192.0.2.1", 1)).outgoing), b"")
        client = stream.connect(peer=("192.0.2.2", 1))
        self.assertEqual(bytes(client.outgoing), b"192.0.2.2:")
        self.assertEqual(self.accessLog(), ["403 0 0 -", "200 0 10 -"])
        self.assertTrue(
            stream.log.has("access forbidden by rule while initializing session")
        )

    def test_realip(self) -> None:
        """
        A trusted proxy tells who the client is, for rules and variables.
        """
        stream = self.stream(
            "server { listen 8080 proxy_protocol; set_real_ip_from 192.0.2.0/24;"
            " deny 198.51.100.8; return $remote_addr:$remote_port,$realip_remote_addr; }"
        )
        client = stream.connect(data=PROXY_LINE)
        self.assertEqual(bytes(client.outgoing), b"198.51.100.7:4711,192.0.2.1")
        client = stream.connect(data=PROXY_LINE, peer=("203.0.113.5", 5))
        self.assertEqual(bytes(client.outgoing), b"203.0.113.5:5,203.0.113.5")
        client = stream.connect(data=PROXY_LINE.replace(b"0.7", b"0.8"))
        self.assertEqual(bytes(client.outgoing), b"")

    def test_set(self) -> None:
        """
        set gives a variable a value; one that nobody has set is empty.
        """
        stream = self.stream(
            "server { listen 8080; set $a x$remote_addr; set $b $a$a; return $b; }"
            "server { listen 8081; return [$a]; }"
        )
        self.assertEqual(bytes(stream.connect().outgoing), b"x192.0.2.1" * 2)
        self.assertEqual(bytes(stream.connect(1).outgoing), b"[]")

    def test_proxyProtocolVariables(self) -> None:
        """
        The PROXY header's addresses are variables.
        """
        stream = self.stream(
            "server { listen 8080 proxy_protocol;"
            " return $proxy_protocol_addr,$proxy_protocol_server_port; }"
        )
        client = stream.connect(data=PROXY_LINE)
        self.assertEqual(bytes(client.outgoing), b"198.51.100.7,80")

    def test_limits(self) -> None:
        """
        limit_conn rejects sessions beyond its number with 503, until one has ended.
        """
        stream = self.stream(
            "limit_conn_zone $remote_addr zone=z:1m;"
            "server { listen 8080; limit_conn z 1; proxy_pass 10.0.0.1:80; }"
        )
        first = stream.connect()
        self.assertTrue(stream.connect().closed)
        stream.ends(first)
        self.assertFalse(stream.connect().closed)
        self.assertEqual(self.accessLog(), ["503 0 0 -", "200 0 0 10.0.0.1:80"])
        self.assertTrue(stream.log.has('limiting connections by zone "z"'))

    def test_nothing(self) -> None:
        """
        A server without content ends its sessions with 500.
        """
        stream = self.stream("server { listen 8080; }")
        self.assertTrue(stream.connect().closed)
        self.assertEqual(self.accessLog(), ["500 0 0 -"])

    def test_chooseServer(self) -> None:
        """
        A client that names a server goes on there; the default serves the others.
        """
        stream = self.stream(
            "server { listen 8080; server_name a; return a; }"
            "server { listen 8080; server_name *.b.com; return b; }"
        )
        session = stream.factories[0].buildProtocol()
        session.chooseServer(b"x.b.com")
        self.assertEqual(session.server.name, "*.b.com")
        session = stream.factories[0].buildProtocol()
        session.chooseServer(b"else")
        self.assertEqual(session.server.name, "a")


class ComplaintTests(StreamCase):
    """
    What nginx says of a configuration that is wrong.
    """

    def complaint(self, text: str) -> str:
        """
        The first one.
        """
        with self.assertRaises(ConfigError) as caught:
            MemoryStream(text, self.mktemp())
        message: str = caught.exception.problems[0].message
        return message

    def test_complaints(self) -> None:
        """
        Each with nginx's words.
        """
        listen = "server { listen 8080; %s }"
        for text, message in (
            ("server { }", 'no "listen" is defined for server in nginx.conf:1'),
            (
                "server { listen 127.0.0.1; }",
                'no port in "127.0.0.1" of the "listen" directive',
            ),
            (
                "upstream u { server 10.0.0.1; }",
                'no port in upstream "10.0.0.1"',
            ),
            (
                "upstream u { ip_hash; server 10.0.0.1:1; }",
                '"ip_hash" directive is not allowed here',
            ),
            (
                "upstream u { server 10.0.0.1:1 drain; }",
                'invalid parameter "drain"',
            ),
            (
                "server { listen 1; listen 0.0.0.0:1; }",
                "a duplicate listen 0.0.0.0:1",
            ),
            (listen % "proxy_pass 10.0.0.1;", 'no port in upstream "10.0.0.1"'),
            (listen % "proxy_bind x;", 'invalid address "x"'),
            (listen % "proxy_upload_rate x;", '"proxy_upload_rate" directive invalid'),
            (listen % "pass 127.0.0.1;", '"pass" directive has no port'),
            (listen % "pass name:1;", '"pass" directive has no addresses'),
            (listen % "set a b;", 'invalid variable name "a"'),
            (listen % "return $nobody;", 'unknown "nobody" variable'),
            (listen % "access_log a;", "log format is not specified"),
            (listen % "access_log a combined;", 'unknown log format "combined"'),
            ("server { listen 1 ssl; }", 'no "ssl_certificate" is defined'),
        ):
            self.assertIn(message, self.complaint(text))

    def test_sameName(self) -> None:
        """
        Two servers of one address and name: the second is never found.
        """
        stream = self.stream("server { listen 1; } server { listen 1; }")
        self.assertIn(
            'conflicting server name "" on 0.0.0.0:1, ignored',
            [each.message for each in stream.grammar.warnings],
        )
