"""
Tests for L{twisted_upstream.http.location}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.conversation import ConversationCase, configuration, get
from tests.support.fakerequest import messages
from tests.support.memory import MemoryHTTP
from twisted_upstream.config.nodes import ConfigError


class RefusedTests(SynchronousTestCase):
    """
    Locations that cannot be.
    """

    def test_wrong(self) -> None:
        """
        Duplicates, unknown modifiers, and names outside of the location around.
        """
        for text, expected in (
            ("location /a { } location /a { }", 'duplicate location "/a"'),
            ("location = /a { } location = /a { }", 'duplicate location "/a"'),
            ("location ! /a { }", 'invalid location modifier "!"'),
            (
                "location /a { location /b { } }",
                'location "/b" is outside location "/a"',
            ),
            (
                "location /a { location @b { } }",
                'named location "@b" can be on the server level only',
            ),
            (
                "location = /a { location /a/b { } }",
                "cannot be inside the exact location",
            ),
        ):
            error = self.assertRaises(
                ConfigError, MemoryHTTP, configuration(text), self.mktemp()
            )
            self.assertTrue(
                any(expected in each for each in messages(error)), messages(error)
            )


class OriginTests(ConversationCase):
    """
    Host and port of redirects of our own.
    """

    REDIRECT = "location /r { return 301 /there; }"

    def location(
        self, more: str, *fields: str, host: str = "Asked.Test:99"
    ) -> str | None:
        """
        The Location of a redirect.
        """
        talk = self.talk(configuration(more + self.REDIRECT))
        client = talk.client()
        client.sends(get("/r", *fields, host=host))
        return client.hears(301)["Location"]

    def test_asked(self) -> None:
        """
        The host that was asked for, and the port that was connected to.
        """
        self.assertEqual(self.location(""), "http://asked.test:8080/there")

    def test_serverName(self) -> None:
        """
        server_name_in_redirect takes the server's name.
        """
        self.assertEqual(
            self.location("server_name_in_redirect on;"),
            "http://example.com:8080/there",
        )

    def test_noPort(self) -> None:
        """
        port_in_redirect off leaves the port out.
        """
        self.assertEqual(
            self.location("port_in_redirect off;"), "http://asked.test/there"
        )

    def test_relative(self) -> None:
        """
        absolute_redirect off leaves it all out.
        """
        self.assertEqual(self.location("absolute_redirect off;"), "/there")
