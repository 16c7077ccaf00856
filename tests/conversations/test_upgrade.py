"""
Connections that change to another protocol.
"""

from __future__ import annotations

from tests.support.conversation import (
    Client,
    ConversationCase,
    Server,
    Talk,
    answer,
    get,
    message,
    proxy,
    upstream,
)

UPGRADE = (
    'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
)
REQUEST = get("/chat", "Upgrade: websocket", "Connection: upgrade")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
BIG = bytes(range(256)) * 4096


class UpgradeTests(ConversationCase):
    """
    101 Switching Protocols.
    """

    def upgraded(
        self, more: str = "", access: str = "access_log off;"
    ) -> tuple[Talk, Client, Server]:
        """
        An upgraded connection.
        """
        talk = self.talk(proxy(UPGRADE + more, access=access))
        client = talk.client()
        # A half-closed connection may go on: the end of a test is a full one.
        self.addCleanup(client.resets)
        client.sends(REQUEST)
        server = talk.server()
        heard = server.hears("GET /chat HTTP/1.1")
        self.assertEqual(heard["Upgrade"], "websocket")
        self.assertEqual(heard["Connection"], "upgrade")
        server.sends(SWITCH)
        head = client.message()
        self.assertEqual(head.status, 101)
        self.assertEqual(head["Upgrade"], "websocket")
        self.assertEqual(head["Connection"], "upgrade")
        return talk, client, server

    def test_bothWays(self) -> None:
        """
        Bytes go both ways, in any order.
        """
        _, client, server = self.upgraded()
        client.sends(b"ping")
        self.assertEqual(server.raw(), b"ping")
        server.sends(b"pong")
        self.assertEqual(client.raw(), b"pong")
        server.sends(b"more")
        self.assertEqual(client.raw(), b"more")

    def test_early(self) -> None:
        """
        What either side sent together with its head is not lost.
        """
        talk = self.talk(proxy(UPGRADE))
        client = talk.client()
        self.addCleanup(client.resets)
        client.sends(REQUEST + b"early client")
        server = talk.server()
        server.hears("GET /chat HTTP/1.1")
        server.isSilent()
        server.sends(SWITCH + b"early server")
        self.assertEqual(server.raw(), b"early client")
        self.assertEqual(client.message().status, 101)
        self.assertEqual(client.raw(), b"early server")

    def test_serverHalfCloses(self) -> None:
        """
        A server that has ended its output still hears the client.
        """
        talk, client, server = self.upgraded()
        server.ends()
        client.isEnded()
        client.sends(b"still")
        self.assertEqual(server.raw(), b"still")
        client.ends()
        server.isClosed()
        client.isClosed()
        talk.isQuiet()

    def test_clientHalfCloses(self) -> None:
        """
        A client that has ended its output still hears the server.
        """
        talk, client, server = self.upgraded()
        client.ends()
        server.isEnded()
        server.sends(b"still")
        self.assertEqual(client.raw(), b"still")
        server.ends()
        server.isClosed()
        client.isClosed()
        talk.isQuiet()

    def test_lastBytes(self) -> None:
        """
        What was sent right before the end is delivered to a slow receiver.
        """
        talk, client, server = self.upgraded()
        client.stalls()
        server.sends(b"x" * 3000)
        server.ends()
        client.ends()
        client.takes()
        self.assertEqual(client.raw(), b"x" * 3000)
        client.isClosed()
        talk.isQuiet()

    def test_clientResets(self) -> None:
        """
        A reset ends both connections.
        """
        talk, client, server = self.upgraded()
        client.resets()
        server.isClosed()
        client.isClosed()
        talk.isQuiet()

    def test_serverResets(self) -> None:
        """
        From either side.
        """
        talk, client, server = self.upgraded()
        server.resets()
        server.isClosed()
        client.isClosed()
        talk.isQuiet()

    def test_timeout(self) -> None:
        """
        Silence of both for proxy_read_timeout ends both.
        """
        talk, client, server = self.upgraded("proxy_read_timeout 5s;")
        for side, other in ((client, server), (server, client)):
            talk.passes(4.9)
            side.sends(b"x")
            self.assertEqual(other.raw(), b"x")
        talk.passes(4.9)
        client.isOpen()
        talk.passes(0.2)
        client.isClosed()
        server.isClosed()
        talk.isLogged("upstream timed out")

    def test_backPressure(self) -> None:
        """
        Neither side is read faster than the other takes.
        """
        talk, client, server = self.upgraded()
        for source, sink in ((client, server), (server, client)):
            sink.stalls()
            source.sends(BIG)
            self.assertGreater(len(source.socket.incoming), len(BIG) // 2)
            sink.takes(1000)
            sink.takes()
            self.assertEqual(sink.raw(), BIG)
        client.isOpen()

    def test_slowReceiver(self) -> None:
        """
        A receiver that takes slowly, but does, is not timed out.
        """
        talk, client, server = self.upgraded("proxy_read_timeout 5s; send_timeout 3s;")
        client.stalls()
        server.sends(BIG)
        for _ in range(10):
            talk.passes(4.5)
            client.takes(1000)
        client.takes()
        self.assertEqual(client.raw(), BIG)

    def test_log(self) -> None:
        """
        The log has one line, at the end.
        """
        log = (
            "log_format t '$status $upstream_status $body_bytes_sent"
            " $upstream_bytes_sent'; access_log logs/access.log t;"
        )
        talk, client, server = self.upgraded(access=log)
        self.assertEqual(talk.accessLog(), [])
        server.sends(b"12345")
        server.hangsUp()
        client.hangsUp()
        [line] = talk.accessLog()
        self.assertTrue(line.startswith("101 101 5 "), line)

    def test_notAsked(self) -> None:
        """
        A 101 that the client did not ask for changes no protocol, and the server's
        connection is not used again.
        """
        for request in (
            get(),
            get("/", "Connection: upgrade"),
            get("/", "Upgrade:", "Connection: upgrade"),
            get("/", "Upgrade: h2c", "Connection: upgrade"),
            get("/", "Upgrade: websocket/13, h2c", "Connection: upgrade"),
        ):
            talk = self.talk(proxy(UPGRADE))
            client = talk.client()
            client.sends(request)
            server = talk.server()
            server.sends(SWITCH + b"evil")
            self.assertEqual(client.message().status, 502)
            server.isClosed()
            client.hangsUp()
            talk.isQuiet()
            self.assertEqual(talk.http.idle(), 0)
            talk.isLogged(
                "upstream switched protocols without being asked while reading response"
                " header from upstream"
            )

    def test_notPassedOn(self) -> None:
        """
        Where the server was not told that the client wants another protocol, it may not
        switch: the location does not permit it.
        """
        for more in (
            "",
            'proxy_set_header Upgrade ""; proxy_set_header Connection upgrade;',
        ):
            talk = self.talk(proxy(more))
            client = talk.client()
            client.sends(REQUEST)
            talk.server().sends(SWITCH)
            client.hears(502)
            client.hangsUp()
            talk.isQuiet()

    def test_notAskedNext(self) -> None:
        """
        Another server may be asked instead.
        """
        talk = self.talk(
            proxy(
                "proxy_next_upstream invalid_header;",
                http=upstream("10.0.0.1", "10.0.0.2"),
            )
        )
        client = talk.client()
        client.sends(get())
        talk.server().sends(SWITCH)
        talk.server().sends(answer(b"good"))
        client.hears(200, b"good")
        talk.isQuiet()

    def test_bodyUnderWay(self) -> None:
        """
        Nobody switches in the middle of a request.
        """
        talk = self.talk(proxy(UPGRADE + "proxy_request_buffering off;"))
        client = talk.client()
        client.sends(
            b"POST /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            b"Connection: upgrade\r\nContent-Length: 10\r\n\r\n12345"
        )
        server = talk.server()
        server.sends(SWITCH)
        self.assertEqual(client.message().status, 502)
        server.isClosed()
        client.hangsUp()
        talk.isQuiet()

    def test_names(self) -> None:
        """
        The server chooses of what was asked for, written as it likes; if it does not say
        which, that is understood.
        """
        for asked, chosen in (
            ("h2c, websocket", "Upgrade: WebSocket"),
            ("h2c,websocket", "Upgrade: websocket , H2C"),
            ("websocket", "X: y"),
        ):
            talk = self.talk(proxy(UPGRADE, access="access_log off;"))
            client = talk.client()
            client.sends(get("/", f"Upgrade: {asked}", "Connection: upgrade"))
            server = talk.server()
            server.sends(message("HTTP/1.1 101 Go", (chosen, "Connection: upgrade")))
            self.assertEqual(client.message().status, 101)
            client.sends(b"ping")
            self.assertIn(b"ping", server.raw())
            server.hangsUp()
            client.hangsUp()
            talk.isQuiet()

    def test_refused(self) -> None:
        """
        A server that does not want to change protocols answers as usual.
        """
        talk = self.talk(proxy(UPGRADE))
        client, server = talk.reaches(REQUEST)
        server.sends(answer(b"no", status="400 No"))
        client.hears(400, b"no")
        client.isOpen()
        talk.isQuiet()

    def test_clientsTimeoutsEnd(self) -> None:
        """
        The client's own time-outs do not count any more.
        """
        talk = self.talk(
            proxy(
                UPGRADE + "proxy_read_timeout 1000s;",
                server="client_header_timeout 2; keepalive_timeout 2; send_timeout 2;",
            )
        )
        client = talk.client()
        self.addCleanup(client.resets)
        client.sends(REQUEST)
        server = talk.server()
        server.sends(SWITCH)
        client.message()
        talk.passes(500)
        client.isOpen()
        server.isOpen()
