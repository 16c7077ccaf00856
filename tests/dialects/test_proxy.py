"""
Tests for L{twisted_upstream.dialects.proxy}.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    configuration,
    get,
    post,
    proxy,
)
from tests.support.fakerequest import messages
from tests.support.memory import MemoryHTTP
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.dialects.target import Target


class TargetTests(ConversationCase):
    """
    L{Target}.
    """

    def test_parts(self) -> None:
        """
        Authority, host, port and URI.
        """
        for text, expected in (
            (b"http://u", (b"u", b"u", b"80", b"")),
            (b"HTTP://u/", (b"u", b"u", b"80", b"/")),
            (b"http://u:80/a?b", (b"u:80", b"u", b"80", b"/a?b")),
            (b"http://u:81?b", (b"u:81", b"u:81", b"81", b"/?b")),
            (b"http://[::1]:81/", (b"[::1]:81", b"[::1]:81", b"81", b"/")),
            (b"http://unix:/s:/a", (b"unix:/s", b"localhost", b"", b"/a")),
            (b"http://unix:/s", (b"unix:/s", b"localhost", b"", b"")),
            (b"https://u", (b"u", b"u", b"443", b"")),
            (b"HTTPS://u:443/a", (b"u:443", b"u", b"443", b"/a")),
            (b"https://u:80", (b"u:80", b"u:80", b"80", b"")),
        ):
            target = Target(text)
            self.assertEqual(
                (target.authority, target.host, target.port, target.uri), expected, text
            )

    def test_wrong(self) -> None:
        """
        Another scheme is no server.
        """
        for text in (b"ftp://u", b"u", b"httpss://u", b""):
            self.assertRaises(ValueError, Target, text)


class ConfigurationTests(ConversationCase):
    """
    What is wrong is told when the configuration is read.
    """

    def refuses(self, text: str, expected: str) -> None:
        """
        C{text} is refused with a message that contains this.
        """
        error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
        self.assertTrue(
            any(expected in each for each in messages(error)), messages(error)
        )

    def test_uriInRegex(self) -> None:
        """
        There is no URI part where nobody can say what it replaces.
        """
        for place in (
            "location ~ x { %s }",
            "location @x { %s }",
            "location / { if ($args) { %s } }",
            "location / { limit_except GET { %s } }",
        ):
            self.refuses(
                configuration(place % "proxy_pass http://10.0.0.1/x;"),
                '"proxy_pass" cannot have URI part in location given by regular',
            )

    def test_scheme(self) -> None:
        """
        A target without a scheme is refused.
        """
        self.refuses(
            configuration("location / { proxy_pass 10.0.0.1; }"), "invalid URL prefix"
        )

    def test_unknownVariable(self) -> None:
        """
        So is a variable that nobody defines.
        """
        self.refuses(
            proxy("proxy_set_header X $nobody_knows;"),
            'unknown "nobody_knows" variable',
        )

    def test_version(self) -> None:
        """
        And a version that is none.
        """
        self.refuses(proxy("proxy_http_version 3;"), 'invalid value "3"')


class RequestTests(ConversationCase):
    """
    What servers are sent.
    """

    def test_minimal(self) -> None:
        """
        A request without anything has a line and a Host.
        """
        talk = self.talk(proxy())
        talk.client().sends(get("/a"))
        self.assertEqual(talk.server().raw(), b"GET /a HTTP/1.1\r\nHost: u\r\n\r\n")

    def test_http10(self) -> None:
        """
        HTTP/1.0 says so.
        """
        talk = self.talk(proxy("proxy_http_version 1.0;"))
        talk.client().sends(get("/a"))
        heard = talk.server().hears("GET /a HTTP/1.0")
        self.assertEqual(heard["Host"], "u")

    def test_setHeaders(self) -> None:
        """
        proxy_set_header replaces, adds, and removes what is empty.
        """
        talk = self.talk(
            proxy(
                "proxy_set_header Host $host; proxy_set_header X-New new;"
                ' proxy_set_header X-Gone ""; proxy_set_header X-Var $arg_v;'
            )
        )
        talk.client().sends(get("/?v=1", "X-Gone: x", "X-NEW: old", "X-Kept: y"))
        heard = talk.server().message()
        self.assertEqual(heard["Host"], "example.com")
        self.assertEqual(heard["X-New"], "new")
        self.assertIsNone(heard["X-Gone"])
        self.assertEqual(heard["X-Var"], "1")
        self.assertEqual(heard["X-Kept"], "y")

    def test_connectionOnce(self) -> None:
        """
        A Connection that is set stands there once.
        """
        talk = self.talk(proxy("proxy_set_header Connection close;"))
        talk.client().sends(get("/", "Connection: keep-alive"))
        self.assertEqual(talk.server().message().all("Connection"), ["close"])

    def test_noFields(self) -> None:
        """
        proxy_pass_request_headers off leaves the client's out.
        """
        talk = self.talk(proxy("proxy_pass_request_headers off;"))
        talk.client().sends(get("/", "X-A: b"))
        self.assertIsNone(talk.server().message()["X-A"])

    def test_noBody(self) -> None:
        """
        proxy_pass_request_body off leaves the body out; its length is to be removed by
        the configuration.
        """
        talk = self.talk(
            proxy("proxy_pass_request_body off; proxy_set_header Content-Length '';")
        )
        talk.client().sends(post(b"body"))
        server = talk.server()
        self.assertIsNone(server.hears("POST / HTTP/1.1")["Content-Length"])
        server.isSilent()
