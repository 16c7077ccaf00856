"""
Connections that serve one request after another: clients' and servers'.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    answer,
    configuration,
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
        client, server = talk.reaches(get("/a"))
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

    def test_pipelined(self) -> None:
        """
        Requests sent ahead are answered in order, one at a time.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches(get("/1") + get("/2") + get("/3"))
        for path in ("/1", "/2", "/3"):
            server.hears(f"GET {path} HTTP/1.1")
            server.isSilent()
            server.sends(answer(path.encode()))
        for path in ("/1", "/2", "/3"):
            client.hears(200, path.encode())
        talk.noServer()
        client.isOpen()

    def test_pipelinedBehindBody(self) -> None:
        """
        A request sent ahead of a body's response is found behind the body.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches(post(b"body") + get("/next"))
        server.hears("POST / HTTP/1.1", b"body")
        server.sends(answer(b"1"))
        server.hears("GET /next HTTP/1.1")
        server.sends(answer(b"2"))
        client.hears(200, b"1")
        client.hears(200, b"2")

    def test_pipelinedErrors(self) -> None:
        """
        Many requests that are answered at once need no deep stack.
        """
        talk = self.talk(proxy(server="location /no { return 404; }"))
        client = talk.asks(get("/no") * 900)
        for _ in range(900):
            client.hears(404)
        client.isSilent()
        client.isOpen()

    def test_connectionClose(self) -> None:
        """
        A client that asks for it has its connection closed after the response.
        """
        talk = self.talk(proxy())
        client = talk.asks(get("/", "Connection: close"))
        talk.server().sends(answer(b"x"))
        self.assertEqual(client.hears(200, b"x")["Connection"], "close")
        client.isClosed()

    def test_http10(self) -> None:
        """
        A client of HTTP/1.0 that says nothing has its connection closed.
        """
        talk = self.talk(proxy())
        client = talk.asks(b"GET / HTTP/1.0\r\n\r\n")
        talk.server().sends(answer(b"x"))
        self.assertEqual(client.hears(200, b"x")["Connection"], "close")
        client.isClosed()

    def test_http10KeepAlive(self) -> None:
        """
        A client of HTTP/1.0 that says keep-alive keeps its connection.
        """
        talk = self.talk(proxy())
        client = talk.asks(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        talk.server().sends(answer(b"x"))
        self.assertEqual(client.hears(200, b"x")["Connection"], "keep-alive")
        client.isOpen()

    def test_http09(self) -> None:
        """
        A request of HTTP/0.9 gets a body only, and the end.
        """
        talk = self.talk(proxy())
        client = talk.asks(b"GET /\r\n")
        talk.server().sends(answer(b"plain"))
        self.assertEqual(client.raw(), b"plain")
        client.isClosed()

    def test_idleTimeout(self) -> None:
        """
        An idle connection is closed after keepalive_timeout, not before.
        """
        talk = self.talk(proxy(server="keepalive_timeout 20;"))
        client = talk.asks()
        talk.server().sends(answer(b"x"))
        client.hears(200)
        talk.passes(19.9)
        client.isOpen()
        talk.passes(0.2)
        client.isClosed()

    def test_noKeepalive(self) -> None:
        """
        keepalive_timeout 0 closes after each response.
        """
        talk = self.talk(proxy(server="keepalive_timeout 0;"))
        client = talk.asks()
        talk.server().sends(answer(b"x"))
        self.assertEqual(client.hears(200)["Connection"], "close")
        client.isClosed()

    def test_keepaliveHeader(self) -> None:
        """
        The second value of keepalive_timeout is told to clients.
        """
        talk = self.talk(proxy(server="keepalive_timeout 20 15;"))
        client = talk.asks()
        talk.server().sends(answer(b"x"))
        self.assertEqual(client.hears(200)["Keep-Alive"], "timeout=15")

    def test_mostRequests(self) -> None:
        """
        keepalive_requests ends a connection with its last response.
        """
        talk = self.talk(proxy(server="keepalive_requests 2;"))
        client, server = talk.reaches(get() + get() + get())
        server.sends(answer(b"1"))
        server.sends(answer(b"2"))
        self.assertEqual(client.hears(200)["Connection"], "keep-alive")
        self.assertEqual(client.hears(200)["Connection"], "close")
        client.isSilent()
        client.isEnded()
        talk.passes(31)
        client.isClosed()

    def test_oldConnection(self) -> None:
        """
        keepalive_time ends a connection with the first response after it.
        """
        talk = self.talk(proxy(server="keepalive_time 60s;"))
        client, server = talk.reaches()
        server.sends(answer(b"1"))
        self.assertEqual(client.hears(200)["Connection"], "keep-alive")
        talk.passes(50)
        client.sends(get())
        server.sends(answer(b"2"))
        self.assertEqual(client.hears(200)["Connection"], "keep-alive")
        talk.passes(20)
        client.sends(get())
        server.sends(answer(b"3"))
        self.assertEqual(client.hears(200)["Connection"], "close")
        client.isClosed()

    def test_endAfterRequest(self) -> None:
        """
        A client that leaves between requests is let go.
        """
        talk = self.talk(proxy())
        client = talk.asks()
        talk.server().sends(answer(b"x"))
        client.hears(200)
        client.ends()
        client.isClosed()

    def test_emptyLinesBefore(self) -> None:
        """
        An empty line before a request is ignored.
        """
        talk = self.talk(proxy())
        talk.asks(b"\r\n" + get("/x"))
        talk.server().hears("GET /x HTTP/1.1")


class ServerKeepaliveTests(ConversationCase):
    """
    Idle connections to servers.
    """

    def test_notKept(self) -> None:
        """
        Without a cache each request has a connection of its own.
        """
        text = proxy(http=upstream("10.0.0.1:80", more="keepalive 0;"))
        talk = self.talk(text)
        client = talk.client()
        for _ in range(2):
            client.sends(get())
            server = talk.server()
            server.sends(answer(b"x"))
            client.hears(200)
            server.isClosed()

    def test_serverSaysClose(self) -> None:
        """
        A connection that the server wants to close is not used again.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer(b"x", "Connection: close"))
        client.hears(200)
        server.isClosed()
        self.assertEqual(talk.http.idle(), 0)

    def test_http10Response(self) -> None:
        """
        A connection whose server speaks HTTP/1.0 is not used again.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(message("HTTP/1.0 200 OK", ("Content-Length: 1",), b"x"))
        client.hears(200, b"x")
        server.isClosed()

    def test_http10SaysKeepAlive(self) -> None:
        """
        Even when it says keep-alive.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        head = ("Content-Length: 1", "Connection: keep-alive")
        server.sends(message("HTTP/1.0 200 OK", head, b"x"))
        client.hears(200, b"x")
        server.isClosed()

    def test_idleEnds(self) -> None:
        """
        An idle connection that the server closes is forgotten.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer(b"x"))
        client.hears(200)
        server.hangsUp()
        server.isClosed()
        client.sends(get())
        talk.server().sends(answer(b"y"))
        client.hears(200, b"y")

    def test_idleTalks(self) -> None:
        """
        An idle connection on which the server says anything is not trusted.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer(b"x"))
        client.hears(200)
        server.sends(answer(b"evil"))
        server.isClosed()
        client.sends(get())
        talk.server().sends(answer(b"good"))
        client.hears(200, b"good")

    def test_excess(self) -> None:
        """
        A connection with more data than the response is not used again, and the data
        is not passed on.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer(b"x") + b"junk")
        client.hears(200, b"x")
        client.isSilent()
        server.isClosed()
        talk.isLogged("upstream sent more data than specified")

    def test_idleTimeout(self) -> None:
        """
        keepalive_timeout of a group closes connections that nobody needed.
        """
        text = proxy(http=upstream("10.0.0.1:80", more="keepalive_timeout 10;"))
        talk = self.talk(text)
        client, server = talk.reaches()
        server.sends(answer(b"x"))
        talk.passes(9.9)
        server.isOpen()
        talk.passes(0.2)
        server.isClosed()

    def test_mostRequests(self) -> None:
        """
        keepalive_requests of a group ends connections with their last response.
        """
        text = proxy(http=upstream("10.0.0.1:80", more="keepalive_requests 2;"))
        talk = self.talk(text)
        client, server = talk.reaches(get() + get())
        server.sends(answer(b"1"))
        server.isOpen()
        server.sends(answer(b"2"))
        server.isClosed()

    def test_full(self) -> None:
        """
        A full cache closes the connection that was idle longest.
        """
        text = proxy(http=upstream("10.0.0.1:80", more="keepalive 1;"))
        talk = self.talk(text)
        clients = [talk.client() for _ in range(2)]
        for client in clients:
            client.sends(get())
        servers = [talk.server() for _ in range(2)]
        for server in servers:
            server.sends(answer(b"x"))
        servers[0].isClosed()
        servers[1].isOpen()

    def test_staleRetried(self) -> None:
        """
        A kept connection that fails before anything came is replaced, and that does
        not count as a failure of the only server.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer(b"1"))
        client.hears(200, b"1")
        client.sends(get("/again"))
        server.hears("GET / HTTP/1.1")
        server.hears("GET /again HTTP/1.1")
        server.hangsUp()
        fresh = talk.server()
        fresh.hears("GET /again HTTP/1.1")
        fresh.sends(answer(b"2"))
        client.hears(200, b"2")

    def test_staleResetRetried(self) -> None:
        """
        So is one that was reset.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer(b"1"))
        client.hears(200, b"1")
        client.sends(get("/again"))
        server.resets()
        talk.server().sends(answer(b"2"))
        client.hears(200, b"2")

    def test_staleNonIdempotent(self) -> None:
        """
        A POST is not sent a second time even when its connection was a kept one.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer(b"1"))
        client.hears(200, b"1")
        client.sends(post(b"body"))
        server.hangsUp()
        client.hears(502)
        talk.noServer()

    def test_twoClientsShare(self) -> None:
        """
        A connection that one client's request has used serves another client's.
        """
        talk = self.talk(proxy())
        first, second = talk.client(), talk.client()
        first.sends(get())
        server = talk.server()
        server.sends(answer(b"1"))
        first.hears(200, b"1")
        second.sends(get())
        talk.noServer()
        server.sends(answer(b"2"))
        second.hears(200, b"2")

    def test_implicitGroup(self) -> None:
        """
        A proxy_pass with an address keeps no connections, as no block says so.
        """
        talk = self.talk(configuration("location / { proxy_pass http://10.0.0.9; }"))
        client, server = talk.reaches()
        server.sends(answer(b"x"))
        client.hears(200, b"x")
        server.isClosed()

    def test_drain(self) -> None:
        """
        Shutting down closes idle clients at once, others after their response.
        """
        talk = self.talk(proxy())
        idle, busy = talk.client(), talk.client()
        busy.sends(get())
        told: list[bool] = []
        talk.http.factories[0].drain(lambda: told.append(True))
        talk.settle()
        idle.isClosed()
        self.assertEqual(told, [])
        talk.server().sends(answer(b"last"))
        busy.hears(200, b"last")
        busy.isClosed()
        talk.settle()
        self.assertEqual(told, [True])
