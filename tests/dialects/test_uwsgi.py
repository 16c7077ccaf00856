"""
Tests for L{twisted_upstream.dialects.uwsgi}; what it shares with SCGI is tested there.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    configuration,
    get,
    post,
    upstream,
)
from tests.support.fakerequest import messages
from tests.support.memory import MemoryHTTP
from twisted_upstream.config.nodes import ConfigError


def uwsgi(more: str = "", to: str = "u") -> str:
    """
    A configuration that passes everything to C{upstream u}.
    """
    return configuration(
        f"location / {{ uwsgi_pass {to}; {more} }}", upstream("10.0.0.1:90")
    )


def readRequest(data: bytes) -> tuple[int, int, list[tuple[bytes, bytes]], bytes]:
    """
    What a server makes of a request: modifiers, names and values, and the body.
    """
    size = int.from_bytes(data[1:3], "little")
    pairs, body = data[4 : 4 + size], data[4 + size :]
    words = []
    while pairs:
        end = 2 + int.from_bytes(pairs[:2], "little")
        words.append(pairs[2:end])
        pairs = pairs[end:]
    return data[0], data[3], list(zip(words[::2], words[1::2], strict=True)), body


class UwsgiTests(ConversationCase):
    """
    C{uwsgi_pass}.
    """

    def test_request(self) -> None:
        """
        Modifiers, parameters, the client's fields, the body.
        """
        talk = self.talk(
            uwsgi("uwsgi_modifier1 5; uwsgi_modifier2 9; uwsgi_param A $uri;")
        )
        client = talk.client()
        client.sends(post(b"hello", "/b"))
        server = talk.server()
        self.assertEqual(
            readRequest(server.raw()),
            (
                5,
                9,
                [
                    (b"A", b"/b"),
                    (b"HTTP_HOST", b"example.com"),
                    (b"HTTP_CONTENT_LENGTH", b"5"),
                ],
                b"hello",
            ),
        )
        server.sends(b"HTTP/1.1 201 Made\r\nX: 1\r\n\r\nbody")
        server.hangsUp()
        self.assertEqual(client.hears(201, b"body")["X"], "1")

    def test_scheme(self) -> None:
        """
        The address may say its scheme, with variables, too.
        """
        for to in ("uwsgi://10.0.0.7:91", "$arg_to"):
            talk = self.talk(uwsgi(to=to))
            client = talk.client()
            client.sends(get("/?to=uwsgi://10.0.0.7:91"))
            server = talk.server()
            self.assertEqual(server.name, "10.0.0.7:91")
            server.sends(b"\n")
            server.hangsUp()
            client.hears(200)

    def test_tooBig(self) -> None:
        """
        A request of more than 64 KiB is an error of ours.
        """
        talk = self.talk(uwsgi("uwsgi_param A $args;" * 40))
        client = talk.client()
        client.sends(get("/?" + "x" * 2000))
        client.hears(500)
        talk.noServer()
        talk.isLogged("uwsgi request is too big: ")

    def test_modifier(self) -> None:
        """
        A modifier is one byte.
        """
        for word in ("256", "x", "-1"):
            error = self.assertRaises(
                ConfigError,
                MemoryHTTP,
                uwsgi(f"uwsgi_modifier1 {word};"),
                self.mktemp(),
            )
            self.assertIn('"uwsgi_modifier1" directive', messages(error)[0])
