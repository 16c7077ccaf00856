"""
Clients that leave, servers that are slow to notice, and what must not be left over.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    answer,
    configuration,
    get,
    post,
    proxy,
    upstream,
)

BIG = bytes(range(256)) * 4096
LOG = "log_format t '$status $upstream_status'; access_log logs/access.log t;"


class ClientAbortTests(ConversationCase):
    """
    Clients that leave before their response is complete.
    """

    def test_whileWaiting(self) -> None:
        """
        The server is let go; the log says 499.
        """
        talk = self.talk(proxy(access=LOG))
        client, server = talk.reaches()
        client.hangsUp()
        server.isClosed()
        client.isClosed()
        talk.isQuiet()
        self.assertEqual(talk.accessLog(), ["499 -"])
        talk.isLogged("client prematurely closed connection, so upstream connection is")

    def test_resetWhileWaiting(self) -> None:
        """
        So it is when the client resets.
        """
        talk = self.talk(proxy(access=LOG))
        client, server = talk.reaches()
        client.resets()
        server.isClosed()
        client.isClosed()
        talk.isQuiet()
        self.assertEqual(talk.accessLog(), ["499 -"])

    def test_whileConnecting(self) -> None:
        """
        A connection that is being made is given up.
        """
        talk = self.talk(proxy(access=LOG))
        talk.dialer.behaviour["10.0.0.1:80"] = "wait"
        client = talk.asks()
        dialed = talk.waiting()
        client.hangsUp()
        self.assertTrue(dialed.givenUp)
        talk.isQuiet()
        client.isClosed()
        self.assertEqual(talk.accessLog(), ["499 -"])

    def test_whileResolving(self) -> None:
        """
        A name is not asked for any more.
        """
        text = configuration(
            "location / { proxy_pass http://$arg_h; } resolver 127.0.0.1;"
        )
        talk = self.talk(text)
        client = talk.asks(get("/?h=name.test"))
        client.hangsUp()
        self.assertEqual(talk.http.names.asked, [])
        client.isClosed()

    def test_withinResponse(self) -> None:
        """
        A client that leaves within its response frees the server.
        """
        for more in ("", "proxy_buffering off;"):
            talk = self.talk(proxy(more))
            client, server = talk.reaches()
            server.sends(answer(BIG)[:-10])
            client.resets()
            server.isClosed()
            talk.isQuiet()
            client.isClosed()

    def test_withinSpooledResponse(self) -> None:
        """
        Also when the response waits in a file.
        """
        talk = self.talk(proxy())
        client = talk.asks()
        client.stalls()
        server = talk.server()
        server.sends(answer(BIG)[:-10])
        client.resets()
        server.isClosed()
        client.isClosed()
        talk.isQuiet()

    def test_afterServer(self) -> None:
        """
        Also when the server is through and the rest waits in a file.
        """
        talk = self.talk(proxy())
        client = talk.asks()
        client.stalls()
        talk.server().sends(answer(BIG))
        talk.passes(0.2)
        talk.isQuiet()
        client.resets()
        client.isClosed()

    def test_ignored(self) -> None:
        """
        proxy_ignore_client_abort lets the server finish.
        """
        talk = self.talk(proxy("proxy_ignore_client_abort on;", access=LOG))
        client, server = talk.reaches()
        client.hangsUp()
        server.isOpen()
        server.sends(answer(b"done"))
        talk.isQuiet()
        talk.settle()
        client.isClosed()
        self.assertEqual(talk.accessLog(), ["200 200"])

    def test_halfClosed(self) -> None:
        """
        A client that has only ended its output is taken for one that left, unless
        aborts are ignored.
        """
        talk = self.talk(proxy("proxy_ignore_client_abort on;"))
        client = talk.asks()
        client.ends()
        talk.server().sends(answer(b"done"))
        client.hears(200, b"done")
        client.isClosed()

    def test_pipelinedThenLeaves(self) -> None:
        """
        Requests sent ahead are not begun when the client has left.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches(get("/1") + get("/2"))
        client.hangsUp()
        server.isClosed()
        talk.noServer()
        client.isClosed()

    def test_pipelinedAfterEnd(self) -> None:
        """
        Nor when it has left while the response before was still on its way.
        """
        talk = self.talk(proxy())
        client = talk.asks(get("/1") + get("/2"))
        client.stalls()
        server = talk.server()
        server.hears("GET /1 HTTP/1.1")
        server.sends(answer(b"1"))
        client.ends()
        client.takes()
        talk.settle()
        client.isClosed()
        talk.isQuiet()

    def test_betweenAttempts(self) -> None:
        """
        A client that leaves during the second attempt frees that one.
        """
        text = proxy(http=upstream("10.0.0.1:80", "10.0.0.2:80"), access=LOG)
        talk = self.talk(text)
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        talk.dialer.behaviour["10.0.0.2:80"] = "wait"
        client = talk.asks()
        client.hangsUp()
        talk.isQuiet()
        self.assertEqual(talk.accessLog(), ["499 502, -"])

    def test_sendingBody(self) -> None:
        """
        A client that leaves while its body is being sent frees the server.
        """
        talk = self.talk(proxy(server="client_body_buffer_size 1k;"))
        talk.dialer.room = 100
        client, server = talk.reaches(post(BIG[:500000]))
        client.hangsUp()
        server.isClosed()
        talk.isQuiet()

    def test_stop(self) -> None:
        """
        Stopping the server ends everything at once.
        """
        talk = self.talk(proxy())
        talk.dialer.behaviour["10.0.0.1:80"] = "wait"
        clients = [talk.client() for _ in range(4)]
        clients[1].sends(get())
        clients[2].sends(get())
        server = talk.accepts()
        server.sends(answer(b"0123456789")[:-4])
        clients[3].sends(post(b"0123456789")[:-3])
        for factory in talk.http.factories:
            factory.stop()
        talk.settle()
        for client in clients:
            client.isClosed()
        server.isClosed()
        talk.isQuiet()


class HeadEndTests(ConversationCase):
    """
    Clients that leave before their request is complete.
    """

    def test_silent(self) -> None:
        """
        A client that says nothing and leaves is let go.
        """
        talk = self.talk(proxy())
        client = talk.client()
        client.hangsUp()
        client.isClosed()

    def test_withinHead(self) -> None:
        """
        So is one that leaves within its head.
        """
        talk = self.talk(proxy())
        client = talk.asks(b"GET / HTTP/1.1\r\nHo")
        client.hangsUp()
        client.isClosed()
        talk.isLogged(
            "client prematurely closed connection while reading client request"
        )

    def test_resetWithinHead(self) -> None:
        """
        And one that resets.
        """
        talk = self.talk(proxy())
        client = talk.asks(b"GET / HTTP/1.1\r\nHo")
        client.resets()
        client.isClosed()

    def test_requestAndEnd(self) -> None:
        """
        A request that is answered at once is answered although its client has ended
        its output in the same packet.
        """
        talk = self.talk(proxy(server="location /r { return 200 ok; }"))
        client = talk.client()
        client.socket.deliver(get("/r"))
        client.ends()
        client.hears(200, b"ok")
        client.isClosed()
