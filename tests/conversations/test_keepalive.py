"""
Connections that serve one request after another: clients' and servers'.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    answer,
    get,
    message,
    post,
    proxy,
    upstream,
)


class ClientKeepaliveTests(ConversationCase):
    """
    Requests on one client's connection.
    """

    def test_twoRequests(self) -> None:
        """
        A client's connection and a server's both serve a second request.
        """
        talk = self.talk(proxy())
        client = talk.client()
        client.sends(get("/a"))
        server = talk.server()
        heard = server.hears("GET /a HTTP/1.1")
        self.assertEqual(heard["Host"], "u")
        server.sends(answer(b"hello"))
        self.assertEqual(client.hears(200, b"hello")["Connection"], "keep-alive")
        talk.isQuiet()
        client.sends(get("/b"))
        talk.noServer()
        server.hears("GET /b HTTP/1.1")
        server.sends(answer(b"again"))
        client.hears(200, b"again")
        client.isOpen()
