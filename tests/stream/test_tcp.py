"""
Tests for L{twisted_upstream.stream.tcp}.
"""

from __future__ import annotations

from tests.support.stream import SINGLE, StreamCase

HEADER = b"PROXY TCP4 198.51.100.7 203.0.113.1 4711 80\r\n"
PROXIED = "server { listen 8080 proxy_protocol; proxy_pass 10.0.0.1:80; }"


class SessionTests(StreamCase):
    """
    One connection after another is passed on.
    """

    def test_bothWays(self) -> None:
        """
        What each side says, the other hears.
        """
        stream = self.stream()
        client = stream.connect()
        server = stream.server()
        stream.says(client, b"ping")
        stream.says(server, b"pong!")
        self.assertEqual(bytes(server.outgoing), b"ping")
        self.assertEqual(bytes(client.outgoing), b"pong!")

    def test_serverFirst(self) -> None:
        """
        A server may speak first.
        """
        stream = self.stream()
        client = stream.connect()
        stream.says(stream.server(), b"220 hello")
        self.assertEqual(bytes(client.outgoing), b"220 hello")

    def test_clientCloses(self) -> None:
        """
        When the client closes, so does the server's connection; one line is logged.
        """
        stream = self.stream()
        client = stream.connect(data=b"ping")
        server = stream.server()
        stream.says(server, b"pong!")
        stream.ends(client)
        self.assertTrue(server.closed)
        self.assertEqual(self.accessLog(), ["200 4 5 10.0.0.1:80"])
        self.assertTrue(
            stream.log.has(
                "client disconnected, bytes from/to client:4/5, bytes from/to"
                " upstream:5/4"
            )
        )

    def test_serverCloses(self) -> None:
        """
        When the server closes, the client gets what it has said, then the end.
        """
        stream = self.stream()
        client = stream.connect()
        server = stream.server()
        server.deliver(b"bye")
        stream.ends(server)
        self.assertEqual(bytes(client.outgoing), b"bye")
        self.assertTrue(client.closed)
        self.assertTrue(stream.log.has("upstream disconnected"))

    def test_halfClose(self) -> None:
        """
        With proxy_half_close the end is passed on and the other side may finish.
        """
        stream = self.stream("proxy_half_close on;" + SINGLE)
        client = stream.connect(data=b"ping")
        server = stream.server()
        stream.ends(client)
        self.assertTrue(server.finished)
        self.assertFalse(server.closed)
        stream.says(server, b"late")
        self.assertEqual(bytes(client.outgoing), b"late")
        stream.ends(server)
        self.assertTrue(client.closed)
        self.assertEqual(self.accessLog(), ["200 4 4 10.0.0.1:80"])

    def test_timeout(self) -> None:
        """
        proxy_timeout ends a session in which nobody says anything, with status 200.
        """
        stream = self.stream("proxy_timeout 5s;" + SINGLE)
        client = stream.connect()
        stream.reactor.passes(4)
        stream.says(client, b"x")
        stream.reactor.passes(4)
        self.assertFalse(client.closed)
        stream.reactor.passes(1.1)
        self.assertTrue(client.closed)
        self.assertEqual(self.accessLog(), ["200 1 0 10.0.0.1:80"])
        self.assertTrue(
            stream.log.has(
                "connection timed out (110: Connection timed out) while proxying"
                " connection, client: 192.0.2.1, server: 0.0.0.0:8080, upstream:"
                ' "10.0.0.1:80", bytes from/to client:1/0, bytes from/to upstream:0/1'
            )
        )

    def test_reset(self) -> None:
        """
        A client that resets its connection ends the session normally; it is noted.
        """
        stream = self.stream()
        client = stream.connect()
        stream.server()
        client.reset()
        stream.reactor.settle()
        self.assertEqual(self.accessLog(), ["200 0 0 10.0.0.1:80"])
        [line] = [each for each in stream.log.lines if "recv() failed" in each]
        self.assertTrue(line.startswith("info] "))
        self.assertIn(
            "recv() failed (104: Connection reset by peer) while proxying and reading"
            " from client, client: 192.0.2.1,",
            line,
        )

    def test_resetByServer(self) -> None:
        """
        So does a server, whose reset is an error.
        """
        stream = self.stream()
        client = stream.connect(data=b"ping")
        stream.server().reset()
        stream.reactor.settle()
        self.assertTrue(client.closed)
        [line] = [each for each in stream.log.lines if "recv() failed" in each]
        self.assertTrue(line.startswith("error] "))
        self.assertTrue(
            line.endswith(
                "recv() failed (104: Connection reset by peer) while proxying and"
                " reading from upstream, client: 192.0.2.1, server: 0.0.0.0:8080,"
                ' upstream: "10.0.0.1:80", bytes from/to client:4/0, bytes from/to'
                " upstream:0/4"
            ),
            line,
        )
        self.assertTrue(stream.log.has("upstream disconnected, bytes from/to"))

    def test_earlyData(self) -> None:
        """
        What the client says before there is a server waits, up to the buffer's size.
        """
        stream = self.stream("proxy_buffer_size 4;" + SINGLE)
        stream.dialer.behaviour["10.0.0.1:80"] = "wait"
        client = stream.connect(data=b"early")
        stream.says(client, b"later")
        self.assertEqual(bytes(client.incoming), b"later")
        waiting = stream.dialer.unanswered.pop()
        waiting.accept()
        stream.reactor.settle()
        server = waiting.socket
        assert server is not None
        self.assertEqual(bytes(server.outgoing), b"earlylater")

    def test_endedWhileConnecting(self) -> None:
        """
        A client that ended before there was a server is still passed on.
        """
        stream = self.stream("proxy_half_close on;" + SINGLE)
        stream.dialer.behaviour["10.0.0.1:80"] = "wait"
        client = stream.connect(data=b"all")
        stream.ends(client)
        waiting = stream.dialer.unanswered.pop()
        waiting.accept()
        stream.reactor.settle()
        server = waiting.socket
        assert server is not None
        self.assertEqual(bytes(server.outgoing), b"all")
        self.assertTrue(server.finished)
        stream.says(server, b"answer")
        stream.ends(server)
        self.assertEqual(bytes(client.outgoing), b"answer")
        self.assertTrue(client.closed)

    def test_endlessWhileConnecting(self) -> None:
        """
        Of a client that sends without end, little is taken before there is a server.
        """
        stream = self.stream()
        stream.dialer.behaviour["10.0.0.1:80"] = "wait"
        client = stream.connect(data=bytes(1 << 20))
        session = stream.sessions[0]
        for _ in range(3):
            stream.says(client, bytes(1 << 20))
        self.assertGreater(len(session.early), 0)
        self.assertLess(len(session.early), 64 << 10)
        self.assertEqual(len(client.incoming) + len(session.early), 4 << 20)

    def test_endlessToSlowServer(self) -> None:
        """
        Of a client that sends without end to a server that takes nothing, little waits.
        """
        stream = self.stream()
        client = stream.connect()
        server = stream.server()
        server.room = 1000
        for _ in range(4):
            stream.says(client, bytes(1 << 20))
        pending = (4 << 20) - 1000 - len(client.incoming)
        self.assertGreater(pending, 0)
        self.assertLess(pending, 64 << 10)
        server.room = None
        stream.reactor.settle()
        self.assertEqual(len(server.outgoing), 4 << 20)

    def test_noCycle(self) -> None:
        """
        A session that is over and what passed it on are not each other's.
        """
        stream = self.stream()
        client = stream.connect(data=b"ping")
        session = stream.sessions[0]
        self.assertIsNotNone(session.upstream)
        stream.ends(client)
        self.assertIsNone(session.upstream)

    def test_rates(self) -> None:
        """
        proxy_download_rate lets so much through per second, of which the first is
        there at once.
        """
        stream = self.stream("proxy_download_rate 100;" + SINGLE)
        client = stream.connect()
        server = stream.server()
        stream.says(server, b"x" * 250)
        self.assertEqual(len(client.outgoing), 100)
        stream.reactor.passes(1.1)
        self.assertEqual(len(client.outgoing), 200)
        stream.reactor.passes(1.1)
        self.assertEqual(len(client.outgoing), 250)

    def test_shutdownTimeout(self) -> None:
        """
        A draining factory waits for its sessions; stopped, it says why they end.
        """
        stream = self.stream()
        client = stream.connect()
        emptied: list[bool] = []
        stream.factories[0].drain(lambda: emptied.append(True))
        self.assertEqual(emptied, [])
        stream.factories[0].stop()
        stream.reactor.settle()
        self.assertEqual(emptied, [True])
        self.assertTrue(client.closed)
        self.assertTrue(stream.log.has("shutdown timeout while proxying connection"))
        self.assertEqual(self.accessLog(), ["200 0 0 10.0.0.1:80"])


class ProxyHeaderTests(StreamCase):
    """
    C{listen … proxy_protocol}.
    """

    def test_header(self) -> None:
        """
        The header is taken off, whatever pieces it comes in, and not counted.
        """
        for at in range(1, len(HEADER)):
            stream = self.stream(PROXIED)
            client = stream.connect(data=HEADER[:at])
            stream.says(client, HEADER[at:] + b"ping")
            self.assertEqual(bytes(stream.server().outgoing), b"ping")
            stream.ends(client)
            self.assertEqual(self.accessLog(), ["200 4 0 10.0.0.1:80"])

    def test_broken(self) -> None:
        """
        What is no header ends the session with 400 and a reason.
        """
        stream = self.stream(PROXIED)
        client = stream.connect(data=b"GET / HTTP/1.0\r\n")
        self.assertTrue(client.closed)
        self.assertEqual(self.accessLog(), ["400 0 0 -"])
        self.assertTrue(
            stream.log.has(
                'broken header: "GET / HTTP/1.0" while reading PROXY protocol, client:'
                " 192.0.2.1, server: 0.0.0.0:8080"
            )
        )

    def test_brokenStart(self) -> None:
        """
        A line that begins wrong is refused before its end.
        """
        stream = self.stream(PROXIED)
        self.assertTrue(stream.connect(data=b"PROXY INVALID").closed)
        self.assertEqual(self.accessLog(), ["400 0 0 -"])

    def test_endOfHeader(self) -> None:
        """
        A client that ends within its header gets 400, too.
        """
        stream = self.stream(PROXIED)
        client = stream.connect(data=b"PROXY TC")
        stream.ends(client)
        self.assertTrue(client.closed)
        self.assertEqual(self.accessLog(), ["400 0 0 -"])

    def test_silence(self) -> None:
        """
        A client that sends none within proxy_protocol_timeout is closed, with 200.
        """
        stream = self.stream("proxy_protocol_timeout 3s;" + PROXIED)
        client = stream.connect()
        stream.reactor.passes(3.1)
        self.assertTrue(client.closed)
        self.assertEqual(self.accessLog(), ["200 0 0 -"])
        self.assertTrue(stream.log.has("client timed out (110"))

    def test_out(self) -> None:
        """
        proxy_protocol tells the server who the client is, before anything else.
        """
        stream = self.stream("proxy_protocol on;" + SINGLE)
        stream.connect(data=b"ping", peer=("192.0.2.9", 777))
        self.assertEqual(
            bytes(stream.server().outgoing),
            b"PROXY TCP4 192.0.2.9 0.0.0.0 777 8080\r\nping",
        )


class PassTests(StreamCase):
    """
    C{pass}.
    """

    def test_pass(self) -> None:
        """
        The connection goes on at the other address, as if accepted there.
        """
        stream = self.stream(
            "server { listen 8080; pass 127.0.0.1:8081; }"
            'server { listen 127.0.0.1:8081; return "at $server_port"; }'
        )
        client = stream.connect()
        self.assertEqual(bytes(client.outgoing), b"at 8081")
        self.assertTrue(client.closed)
        self.assertEqual(self.accessLog(), ["200 0 7 -"])

    def test_notFound(self) -> None:
        """
        Where nobody listens the session ends; the log says why.
        """
        stream = self.stream("server { listen 8080; pass 127.0.0.1:9; }")
        self.assertTrue(stream.connect().closed)
        self.assertEqual(self.accessLog(), ["200 0 0 -"])
        self.assertTrue(stream.log.has('port not found for "127.0.0.1:9"'))

    def test_cycle(self) -> None:
        """
        A connection is not passed on for ever.
        """
        stream = self.stream("server { listen 127.0.0.1:8080; pass 127.0.0.1:8080; }")
        self.assertTrue(stream.connect().closed)
        self.assertEqual(self.accessLog(), ["500 0 0 -"])
        self.assertTrue(stream.log.has("stream pass cycle"))


class ReturnTests(StreamCase):
    """
    C{return}.
    """

    RETURN = "server { listen 8080; return $remote_addr; }"

    def test_text(self) -> None:
        """
        The text is sent, then the connection closed.
        """
        stream = self.stream(self.RETURN)
        client = stream.connect()
        self.assertEqual(bytes(client.outgoing), b"192.0.2.1")
        self.assertTrue(client.closed)

    def test_notTaken(self) -> None:
        """
        A client that does not take the text has 5 seconds.
        """
        stream = self.stream("server { listen 8080 proxy_protocol; return abc; }")
        client = stream.connect()
        client.room = 1
        stream.says(client, HEADER)
        stream.reactor.passes(4.9)
        self.assertFalse(client.closed)
        stream.reactor.passes(0.2)
        self.assertTrue(client.closed)
        self.assertEqual(self.accessLog(), ["200 0 1 -"])
