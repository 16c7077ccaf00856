"""
Time-outs of every kind, in simulated time.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    answer,
    get,
    post,
    proxy,
    upstream,
)

BIG = bytes(range(256)) * 2048


class ServerTimeoutTests(ConversationCase):
    """
    Servers that are too slow.
    """

    def test_connect(self) -> None:
        """
        A server that does not accept within proxy_connect_timeout is given up.
        """
        talk = self.talk(proxy("proxy_connect_timeout 3s;"))
        talk.dialer.behaviour["10.0.0.1:80"] = "wait"
        client = talk.asks()
        talk.passes(2.9)
        client.isSilent()
        talk.passes(0.2)
        client.hears(504)
        talk.isLogged("upstream timed out (110: Connection timed out) while connecting")
        client.isOpen()

    def test_read(self) -> None:
        """
        A server that is silent for proxy_read_timeout is given up.
        """
        talk = self.talk(proxy("proxy_read_timeout 3s;"))
        client, server = talk.reaches()
        talk.passes(2.9)
        server.sends(b"HTTP/1.1 200")
        talk.passes(2.9)
        client.isSilent()
        talk.passes(0.2)
        client.hears(504)
        server.isClosed()
        talk.isLogged("while reading response header from upstream")

    def test_readBody(self) -> None:
        """
        Silence within a body cuts the response.
        """
        talk = self.talk(proxy("proxy_read_timeout 3s;"))
        client, server = talk.reaches()
        data = answer(b"0123456789")
        server.sends(data[:-6])
        talk.passes(2.9)
        server.sends(data[-6:-3])
        talk.passes(2.9)
        client.isOpen()
        talk.passes(0.2)
        client.hearsPart(200, b"0123456")
        client.isClosed()
        server.isClosed()
        talk.isLogged(
            "upstream timed out (110: Connection timed out) while reading upstream"
        )

    def test_send(self) -> None:
        """
        A server that takes nothing of the request for proxy_send_timeout is given up.
        """
        talk = self.talk(proxy("proxy_send_timeout 3s;"))
        talk.dialer.room = 1000
        client, server = talk.reaches(post(BIG))
        talk.passes(2.9)
        server.takes(1000)
        talk.passes(2.9)
        client.isSilent()
        talk.passes(3.2)
        client.hears(504)
        server.isClosed()
        talk.isLogged("while sending request to upstream")

    def test_sendThenRead(self) -> None:
        """
        When all is sent, proxy_read_timeout begins.
        """
        talk = self.talk(proxy("proxy_send_timeout 3s; proxy_read_timeout 20s;"))
        talk.dialer.room = 1000
        client, server = talk.reaches(post(BIG))
        talk.passes(2)
        server.takes()
        talk.passes(19.9)
        client.isSilent()
        talk.passes(0.2)
        client.hears(504)

    def test_slowClientOfServer(self) -> None:
        """
        A server whose response waits for a slow client is not blamed.
        """
        for more in ("proxy_buffering off;", "proxy_max_temp_file_size 0;"):
            talk = self.talk(proxy(f"{more} proxy_read_timeout 3s; send_timeout 100s;"))
            client = talk.asks()
            client.stalls()
            server = talk.server()
            server.sends(answer(BIG))
            talk.passes(50)
            client.takes()
            client.hears(200, BIG)

    def test_unbufferedBody(self) -> None:
        """
        While an unbuffered body is still coming, the server may wait.
        """
        talk = self.talk(proxy("proxy_request_buffering off; proxy_read_timeout 3s;"))
        client = talk.client()
        data = post(b"0123456789")
        client.sends(data[:-5])
        server = talk.server()
        talk.passes(10)
        client.sends(data[-5:])
        talk.passes(2.9)
        client.isSilent()
        talk.passes(0.2)
        client.hears(504)
        server.isClosed()


class ClientTimeoutTests(ConversationCase):
    """
    Clients that are too slow.
    """

    def test_silent(self) -> None:
        """
        A client that sends nothing for client_header_timeout is let go.
        """
        talk = self.talk(proxy(server="client_header_timeout 5s;"))
        client = talk.client()
        talk.passes(4.9)
        client.isOpen()
        talk.passes(0.2)
        client.isClosed()
        client.isSilent()

    def test_header(self) -> None:
        """
        A head must be complete within client_header_timeout, however steadily it
        comes.
        """
        talk = self.talk(proxy(server="client_header_timeout 5s;"))
        client = talk.client()
        for _ in range(4):
            client.sends(b"GET / HTTP/1.1\r\n" if not _ else b"X-A: b\r\n")
            talk.passes(1.2)
        client.isOpen()
        talk.passes(0.3)
        client.isClosed()
        talk.isLogged("client timed out")

    def test_headerOfNext(self) -> None:
        """
        The head of a later request has as long, counted from its first byte.
        """
        talk = self.talk(
            proxy(server="client_header_timeout 5s; keepalive_timeout 60;")
        )
        client = talk.asks()
        talk.server().sends(answer(b"x"))
        client.hears(200)
        talk.passes(30)
        client.sends(b"GET / HT")
        talk.passes(4.9)
        client.isOpen()
        talk.passes(0.2)
        client.isClosed()

    def test_body(self) -> None:
        """
        A client that sends nothing of its body for client_body_timeout gets 408 or the
        end, and is let go.
        """
        talk = self.talk(proxy(server="client_body_timeout 5s;"))
        client = talk.client()
        data = post(b"0123456789")
        client.sends(data[:-6])
        talk.passes(4.9)
        client.sends(data[-6:-3])
        talk.passes(4.9)
        client.isOpen()
        talk.passes(0.2)
        talk.passes(31)
        client.isClosed()
        talk.noServer()

    def test_unbufferedBody(self) -> None:
        """
        The same for a body that is passed as it comes: the server is freed.
        """
        talk = self.talk(
            proxy("proxy_request_buffering off;", server="client_body_timeout 5s;")
        )
        client, server = talk.reaches(post(b"0123456789")[:-6])
        talk.passes(5.1)
        server.isClosed()
        talk.isQuiet()
        talk.passes(31)
        client.isClosed()

    def test_send(self) -> None:
        """
        A client that takes nothing for send_timeout is let go, and the server freed.
        """
        for more in ("", "proxy_buffering off;", "proxy_max_temp_file_size 0;"):
            talk = self.talk(proxy(f"{more} send_timeout 5s;"))
            client = talk.asks()
            client.stalls()
            server = talk.server()
            server.sends(answer(BIG))
            talk.passes(4.9)
            client.takes(10)
            talk.passes(4.8)
            client.isOpen()
            talk.passes(5.3)
            client.isClosed()
            talk.isQuiet()
            talk.isLogged("client timed out")

    def test_sendProgress(self) -> None:
        """
        A slow client that goes on taking is served to the end.
        """
        for more in ("", "proxy_buffering off;", "proxy_max_temp_file_size 0;"):
            talk = self.talk(proxy(f"{more} send_timeout 5s;"))
            client = talk.asks()
            client.stalls()
            server = talk.server()
            server.sends(answer(BIG))
            for _ in range(10):
                talk.passes(4.9)
                client.takes(1000)
            client.takes()
            client.hears(200, BIG)
            talk.isQuiet()
            talk.passes(6)
            client.isOpen()

    def test_lastBytes(self) -> None:
        """
        send_timeout also counts for the last bytes of a small response.
        """
        talk = self.talk(proxy("send_timeout 5s;"))
        client = talk.asks()
        client.stalls()
        talk.server().sends(answer(b"hello"))
        talk.isQuiet()
        talk.passes(5.1)
        client.isClosed()

    def test_resetTimedOut(self) -> None:
        """
        reset_timedout_connection resets connections that timed out.
        """
        talk = self.talk(proxy("send_timeout 5s; reset_timedout_connection on;"))
        client = talk.asks()
        client.stalls()
        talk.server().sends(answer(BIG))
        talk.passes(10.1)
        client.isClosed()
        self.assertTrue(client.socket.wasReset)

    def test_noTimeoutWhileServerThinks(self) -> None:
        """
        A client that waits for a server has no time-out of its own.
        """
        talk = self.talk(
            proxy(
                "proxy_read_timeout 1000s;",
                server="client_header_timeout 5s; client_body_timeout 5s;"
                " keepalive_timeout 5s; send_timeout 5s;",
            )
        )
        client, server = talk.reaches(post(b"body"))
        talk.passes(900)
        server.sends(answer(b"slow"))
        client.hears(200, b"slow")

    def test_slowServerBody(self) -> None:
        """
        Nor between the parts of a response.
        """
        talk = self.talk(proxy("proxy_read_timeout 1000s;", server="send_timeout 5s;"))
        client, server = talk.reaches()
        data = answer(BIG)
        client.stalls()
        server.sends(data[:100000])
        talk.passes(1)
        client.takes()
        talk.passes(500)
        server.sends(data[100000:])
        client.hears(200, BIG)


class RateTests(ConversationCase):
    """
    Responses that are sent slowly on purpose.
    """

    def test_limitRate(self) -> None:
        """
        limit_rate spreads a response over time.
        """
        talk = self.talk(proxy("limit_rate 1000;"))
        client = talk.asks()
        talk.server().sends(answer(b"x" * 5000))
        talk.isQuiet()
        talk.passes(2)
        early = len(client.socket.outgoing)
        self.assertGreater(early, 1000)
        self.assertLess(early, 4200)
        talk.passes(10)
        client.hears(200, b"x" * 5000)
        client.isOpen()

    def test_after(self) -> None:
        """
        limit_rate_after lets the beginning through.
        """
        talk = self.talk(proxy("limit_rate 1000; limit_rate_after 4000;"))
        client = talk.asks()
        talk.server().sends(answer(b"x" * 5000))
        self.assertGreater(len(client.socket.outgoing), 4000)
        talk.passes(10)
        client.hears(200, b"x" * 5000)

    def test_clientLeaves(self) -> None:
        """
        A client that leaves meanwhile leaves nothing behind.
        """
        talk = self.talk(proxy("limit_rate 1000;"))
        client, server = talk.reaches()
        server.sends(answer(BIG)[:-5])
        talk.passes(2)
        client.resets()
        client.isClosed()
        server.isClosed()
        talk.isQuiet()

    def test_proxyLimitRate(self) -> None:
        """
        proxy_limit_rate reads slowly from the server, and passes all on.
        """
        talk = self.talk(proxy("proxy_limit_rate 10000;"))
        client, server = talk.reaches()
        server.sends(answer(b"x" * 50000))
        talk.passes(2)
        self.assertLess(len(client.socket.outgoing), 45000)
        talk.passes(20)
        client.hears(200, b"x" * 50000)
        talk.isQuiet()


class FailTimeoutTests(ConversationCase):
    """
    Failures that wear off.
    """

    def test_failTimeout(self) -> None:
        """
        A server that failed is asked again after fail_timeout.
        """
        text = proxy(
            http=upstream(
                "10.0.0.1:80 fail_timeout=5s", "10.0.0.2:80", more="keepalive 0;"
            )
        )
        talk = self.talk(text)
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client = talk.client()

        def ask() -> None:
            client.sends(get())
            talk.server().sends(answer(b"x"))
            client.hears(200, b"x")

        ask()
        self.assertEqual(talk.dialer.asked, ["10.0.0.1:80", "10.0.0.2:80"])
        for _ in range(4):
            ask()
        self.assertEqual(talk.dialer.asked.count("10.0.0.1:80"), 1)
        del talk.dialer.behaviour["10.0.0.1:80"]
        talk.passes(6.5)
        for _ in range(4):
            ask()
        self.assertGreater(talk.dialer.asked.count("10.0.0.1:80"), 1)
