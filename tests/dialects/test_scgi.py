"""
Tests for L{twisted_upstream.dialects.scgi}, and of what it shares with uwsgi.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    configuration,
    get,
    message,
    post,
    upstream,
)


def scgi(more: str = "", http: str | None = None) -> str:
    """
    A configuration that passes everything to C{upstream u}.
    """
    return configuration(
        f"location / {{ scgi_pass u; {more} }}", http or upstream("10.0.0.1:90")
    )


def readNetstring(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """
    What a server makes of a request: names and values in order, and the body.
    """
    length, _, rest = data.partition(b":")
    end = int(length)
    assert rest[end : end + 1] == b",", data
    words = rest[:end].split(b"\0")
    assert words.pop() == b"", data
    return list(zip(words[::2], words[1::2], strict=True)), rest[end + 1 :]


class RequestTests(ConversationCase):
    """
    What servers are sent.
    """

    def asked(
        self, text: str, request: bytes
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """
        What a server gets of C{request}.
        """
        talk = self.talk(text)
        client = talk.client()
        client.sends(request)
        server = talk.server()
        found = readNetstring(server.raw())
        server.sends(b"\n")
        server.hangsUp()
        client.hears(200)
        return found

    def test_params(self) -> None:
        """
        CONTENT_LENGTH comes first, then the configuration's, then the client's fields.
        """
        params, body = self.asked(
            scgi("scgi_param SCGI 1; scgi_param URI $request_uri;"), get("/a", "A-B: c")
        )
        self.assertEqual(
            params,
            [
                (b"CONTENT_LENGTH", b"0"),
                (b"SCGI", b"1"),
                (b"URI", b"/a"),
                (b"HTTP_HOST", b"example.com"),
                (b"HTTP_A_B", b"c"),
            ],
        )
        self.assertEqual(body, b"")

    def test_body(self) -> None:
        """
        A body follows as it is; of one in chunks the length is known by then.
        """
        chunked = message("POST / HTTP/1.1", ("Host: a", "Transfer-Encoding: chunked"))
        for request in (post(b"hello"), chunked + b"5\r\nhello\r\n0\r\n\r\n"):
            for more in ("", "scgi_request_buffering off;"):
                params, body = self.asked(scgi(more), request)
                self.assertEqual(params[0], (b"CONTENT_LENGTH", b"5"))
                self.assertEqual(body, b"hello")

    def test_noBody(self) -> None:
        """
        scgi_pass_request_body off leaves it out.
        """
        params, body = self.asked(scgi("scgi_pass_request_body off;"), post(b"hello"))
        self.assertEqual((params[0], body), ((b"CONTENT_LENGTH", b"0"), b""))


class ResponseTests(ConversationCase):
    """
    What clients get.
    """

    def test_everySplit(self) -> None:
        """
        A response is the same wherever it is cut, with a status line or without.
        """
        for head in (b"HTTP/1.0 404 No\r\n", b"Status: 404 No\r\n"):
            data = head + b"X: 1\r\n\r\nhello"
            for at in range(1, len(data)):
                talk = self.talk(scgi())
                client = talk.client()
                client.sends(get())
                server = talk.server()
                server.sends(data[:at])
                server.sends(data[at:])
                server.hangsUp()
                heard = client.hears(404, b"hello")
                self.assertEqual(heard.first, "HTTP/1.1 404 No")
                self.assertEqual((heard["X"], heard["Status"]), ("1", None))

    def test_length(self) -> None:
        """
        Content-Length ends a response; what is missing cuts it; the connection is
        never used again.
        """
        for body, end in ((b"hello", True), (b"hell", False)):
            talk = self.talk(scgi())
            client = talk.client()
            client.sends(get())
            server = talk.server()
            server.sends(b"Content-Length: 5\r\n\r\n" + body)
            if end:
                client.hears(200, body)
                server.isClosed()
            else:
                server.hangsUp()
                client.hearsPart(200, body)
                talk.isLogged("upstream prematurely closed connection")

    def test_tooMuch(self) -> None:
        """
        What goes beyond Content-Length is dropped.
        """
        talk = self.talk(scgi())
        client = talk.client()
        client.sends(get())
        talk.server().sends(b"Content-Length: 2\r\n\r\nhello")
        client.hears(200, b"he")
        talk.isLogged('upstream sent more data than specified in "Content-Length"')

    def test_invalid(self) -> None:
        """
        Nonsense is answered with 502.
        """
        for data in (b"\x01x\r\n", b"Status: no\r\n\r\n", b"A: " + b"x" * 5000):
            talk = self.talk(scgi())
            client = talk.client()
            client.sends(get())
            server = talk.server()
            server.sends(data)
            client.hears(502)
            server.isClosed()

    def test_notAsked(self) -> None:
        """
        101 is refused, if the client has not asked for it.
        """
        for request in (get(), get("/", "Upgrade: y", "Connection: upgrade")):
            talk = self.talk(scgi())
            client = talk.client()
            client.sends(request)
            server = talk.server()
            server.raw()
            server.sends(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\nhi")
            client.hears(502)
            server.isClosed()

    def test_upgrade(self) -> None:
        """
        101 joins both connections, if the client has asked for it.
        """
        talk = self.talk(scgi())
        client = talk.client()
        client.sends(get("/", "Upgrade: x", "Connection: upgrade"))
        server = talk.server()
        server.raw()
        server.sends(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\nhi")
        self.assertTrue(client.raw().endswith(b"\r\n\r\nhi"))
        client.sends(b"there")
        self.assertEqual(server.raw(), b"there")
        server.hangsUp()
        client.hangsUp()
