"""
Servers' responses on their way to clients.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    answer,
    chunks,
    configuration,
    get,
    message,
    proxy,
    upstream,
)

CHUNKED = message("HTTP/1.1 200 OK", ("Transfer-Encoding: chunked",))
UNTIL_CLOSE = message("HTTP/1.1 200 OK", ("Content-Type: text/plain",))


class FramingTests(ConversationCase):
    """
    How responses end.
    """

    def test_counted(self) -> None:
        """
        A Content-Length is passed on.
        """
        talk = self.talk(proxy())
        client = talk.asks()
        talk.server().sends(answer(b"hello", "X-A: b", "Content-Type: text/plain"))
        heard = client.hears(200, b"hello")
        self.assertEqual(heard["Content-Length"], "5")
        self.assertEqual(heard["X-A"], "b")
        self.assertEqual(heard["Content-Type"], "text/plain")
        self.assertEqual(heard["Date"], "Wed, 01 Jan 2025 00:00:00 GMT")

    def test_inPieces(self) -> None:
        """
        A body is passed on as it comes.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        data = answer(b"0123456789")
        server.sends(data[:-4])
        client.message()
        server.sends(data[-4:])
        self.assertEqual(client.raw(), b"6789")
        talk.isQuiet()

    def test_chunked(self) -> None:
        """
        Chunks stay chunks, and the server's connection is kept.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(CHUNKED + chunks(b"one,", b"two"))
        heard = client.hears(200, b"one,two")
        self.assertEqual(heard["Transfer-Encoding"], "chunked")
        self.assertIsNone(heard["Content-Length"])
        server.isOpen()

    def test_chunkedToHTTP10(self) -> None:
        """
        A client of HTTP/1.0 gets what was in the chunks, and the end.
        """
        talk = self.talk(proxy())
        client = talk.asks(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        talk.server().sends(CHUNKED + chunks(b"one,", b"two"))
        heard = client.hears(200, b"one,two")
        self.assertIsNone(heard["Transfer-Encoding"])
        self.assertEqual(heard["Connection"], "close")
        client.isClosed()

    def test_noChunkedCoding(self) -> None:
        """
        Nor does a client get chunks where chunked_transfer_encoding is off.
        """
        talk = self.talk(proxy("chunked_transfer_encoding off;"))
        client = talk.asks()
        talk.server().sends(CHUNKED + chunks(b"one"))
        self.assertIsNone(client.hears(200, b"one")["Transfer-Encoding"])
        client.isClosed()

    def test_untilClose(self) -> None:
        """
        A body that ends with the server's connection is complete then, and chunked
        for the client, whose connection goes on.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(UNTIL_CLOSE + b"one")
        server.sends(b"two")
        server.hangsUp()
        heard = client.hears(200, b"onetwo")
        self.assertEqual(heard["Transfer-Encoding"], "chunked")
        server.isClosed()
        client.isOpen()
        talk.isQuiet()

    def test_untilCloseEmpty(self) -> None:
        """
        Such a body may be empty.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(UNTIL_CLOSE)
        server.hangsUp()
        client.hears(200, b"")
        client.isOpen()

    def test_resetUntilClose(self) -> None:
        """
        A reset is no end: the client can tell.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(UNTIL_CLOSE + b"one")
        server.resets()
        client.hearsPart(200, b"one")
        client.isClosed()
        talk.isLogged("recv() failed (104: Connection reset by peer)")

    def test_truncated(self) -> None:
        """
        A body that is shorter than its Content-Length ends the client's connection.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer(b"0123456789")[:-3])
        server.hangsUp()
        client.hearsPart(200, b"0123456")
        client.isClosed()
        talk.isLogged("upstream prematurely closed connection while reading upstream")
        talk.isQuiet()

    def test_truncatedChunks(self) -> None:
        """
        So do chunks without a last one: the client gets no last one, either.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(CHUNKED + b"5\r\nhello\r\n")
        server.hangsUp()
        client.hearsPart(200, b"hello")
        client.isClosed()

    def test_brokenChunks(self) -> None:
        """
        So does a broken chunk.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(CHUNKED + b"5\r\nhello\r\n")
        server.sends(b"oops")
        client.hearsPart(200, b"hello")
        client.isClosed()
        server.isClosed()
        talk.isLogged("upstream sent invalid chunked response")

    def test_brokenFirstChunk(self) -> None:
        """
        A broken chunk next to the head cuts the response, too.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(CHUNKED + b"oops")
        client.isClosed()
        server.isClosed()
        talk.isQuiet()

    def test_endAndLastBytes(self) -> None:
        """
        A server that closes right behind its response has sent a whole one.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.socket.deliver(answer(b"x" * 100000))
        server.hangsUp()
        client.hears(200, b"x" * 100000)
        client.isOpen()

    def test_excessLater(self) -> None:
        """
        More than the Content-Length in a later packet is not passed on.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer(b"0123456789")[:-4])
        server.sends(b"6789junk")
        client.hears(200, b"0123456789")
        client.isSilent()
        server.isClosed()


class BodilessTests(ConversationCase):
    """
    Responses without a body.
    """

    def test_head(self) -> None:
        """
        The response to HEAD keeps its Content-Length and has no body.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches(get("/").replace(b"GET", b"HEAD") + get("/next"))
        server.hears("HEAD / HTTP/1.1")
        server.sends(message("HTTP/1.1 200 OK", ("Content-Length: 1000",)))
        heard = client.hears(200, headOnly=True)
        self.assertEqual(heard["Content-Length"], "1000")
        server.hears("GET /next HTTP/1.1")
        server.sends(answer(b"x"))
        client.hears(200, b"x")

    def test_headChunked(self) -> None:
        """
        A chunked response to HEAD has no last chunk either.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches(get("/").replace(b"GET", b"HEAD"))
        server.sends(CHUNKED)
        client.hears(200, headOnly=True)
        client.isSilent()
        client.isOpen()
        server.isOpen()

    def test_headWithBody(self) -> None:
        """
        A body that a server sends nevertheless is not passed on.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches(get("/").replace(b"GET", b"HEAD"))
        server.sends(answer(b"body"))
        client.hears(200, headOnly=True)
        client.isSilent()
        server.isClosed()

    def test_noContent(self) -> None:
        """
        204 and 304 have no body, whatever they say of its length.
        """
        for status in ("204 No Content", "304 Not Modified"):
            talk = self.talk(proxy())
            client, server = talk.reaches()
            server.sends(message(f"HTTP/1.1 {status}", ("ETag: x",)))
            client.hears(int(status[:3]), b"")
            client.isSilent()
            client.isOpen()
            server.isOpen()

    def test_empty(self) -> None:
        """
        A body of length 0 is over with its head.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer())
        client.hears(200, b"")
        server.isOpen()


class HeadTests(ConversationCase):
    """
    Heads of responses.
    """

    def test_hiddenFields(self) -> None:
        """
        Date, Server and X-Accel-* of a server are not shown, nor what is hidden.
        """
        talk = self.talk(proxy("proxy_hide_header X-Secret;"))
        client = talk.asks()
        talk.server().sends(
            answer(
                b"x", "Date: never", "Server: mine", "X-Pad: x", "X-Secret: s", "X-B: b"
            )
        )
        heard = client.hears(200, b"x")
        self.assertNotEqual(heard["Date"], "never")
        self.assertNotEqual(heard["Server"], "mine")
        self.assertIsNone(heard["X-Pad"])
        self.assertIsNone(heard["X-Secret"])
        self.assertEqual(heard["X-B"], "b")

    def test_passedFields(self) -> None:
        """
        proxy_pass_header shows what is hidden otherwise.
        """
        talk = self.talk(proxy("proxy_pass_header Server; proxy_pass_header Date;"))
        client, server = talk.reaches()
        server.sends(answer(b"x", "Date: never", "Server: mine"))
        heard = client.hears(200, b"x")
        self.assertEqual(heard.all("Date"), ["never"])
        self.assertEqual(heard.all("Server"), ["mine"])
        client.sends(get())
        server.sends(answer(b"x"))
        heard = client.hears(200, b"x")
        self.assertEqual((heard["Date"], heard["Server"]), (None, None))

    def test_reason(self) -> None:
        """
        The server's own words behind the status are passed on.
        """
        talk = self.talk(proxy())
        client = talk.asks()
        talk.server().sends(answer(b"x", status="299 Fine By Me"))
        self.assertEqual(client.hears(299).first, "HTTP/1.1 299 Fine By Me")

    def test_manyCookies(self) -> None:
        """
        Fields that come several times stay several, in order.
        """
        talk = self.talk(proxy())
        client = talk.asks()
        talk.server().sends(answer(b"x", "Set-Cookie: a=1", "Set-Cookie: b=2"))
        self.assertEqual(client.hears(200).all("Set-Cookie"), ["a=1", "b=2"])

    def test_redirect(self) -> None:
        """
        A Location that names the server names the location instead.
        """
        talk = self.talk(proxy())
        client = talk.asks()
        location = "Location: http://u/there"
        talk.server().sends(answer(b"", location, status="302 Found"))
        heard = client.hears(302)
        self.assertEqual(heard["Location"], "http://example.com:8080/there")

    def test_http09(self) -> None:
        """
        A response without a head is a body, and the client gets a body only.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(b"just text\n")
        server.hangsUp()
        talk.isLogged("upstream sent no valid HTTP/1.0 header")
        self.assertEqual(client.raw(), b"just text\n")
        client.isClosed()

    def test_tooBigHead(self) -> None:
        """
        A head that exceeds proxy_buffer_size is an error.
        """
        talk = self.talk(proxy("proxy_buffer_size 1k;"))
        client, server = talk.reaches()
        server.sends(answer(b"x", "X-Big: " + "x" * 2000))
        client.hears(502)
        server.isClosed()
        talk.isLogged("upstream sent too big header")

    def test_tooBigHeadInPieces(self) -> None:
        """
        So is one that never ends.
        """
        talk = self.talk(proxy("proxy_buffer_size 1k;"))
        client, server = talk.reaches()
        server.sends(b"HTTP/1.1 200 OK\r\n")
        for _ in range(20):
            server.sends(b"X-A: " + b"x" * 100 + b"\r\n")
        client.hears(502)
        server.isClosed()

    def test_invalidHead(self) -> None:
        """
        A head with a line that is none is an error.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(b"HTTP/1.1 200 OK\r\n: nameless\r\nX-A\x00b: c\r\n\r\n")
        client.hears(502)
        server.isClosed()

    def test_badLength(self) -> None:
        """
        So is one with two lengths.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(message("HTTP/1.1 200 OK", ("Content-Length: 1x",), b"x"))
        client.hears(502)
        server.isClosed()


class InterimTests(ConversationCase):
    """
    1xx responses.
    """

    def test_continue(self) -> None:
        """
        100 Continue is dropped.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.isSilent()
        server.sends(answer(b"x"))
        client.hears(200, b"x")
        client.isSilent()

    def test_earlyHints(self) -> None:
        """
        103 is passed on where early_hints says so.
        """
        hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
        for value, expected in (("1", True), ("0", False), ("$http_nothing", False)):
            talk = self.talk(proxy(f"early_hints {value};"))
            client, server = talk.reaches()
            server.sends(hint)
            self.assertEqual(client.raw(), hint if expected else b"")
            server.sends(answer(b"x"))
            client.hears(200, b"x")

    def test_together(self) -> None:
        """
        Several in one packet with the response are no trouble.
        """
        talk = self.talk(proxy("early_hints 1;"))
        client, server = talk.reaches()
        interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        server.sends(interim * 2 + answer(b"x"))
        self.assertEqual(client.message().status, 103)
        self.assertEqual(client.message().status, 103)
        client.hears(200, b"x")

    def test_below(self) -> None:
        """
        A status below 100 is no status, and no interim response either.
        """
        for status in (b"000", b"099"):
            talk = self.talk(proxy())
            client = talk.asks()
            talk.server().sends(b"HTTP/1.1 %b X\r\n\r\n" % status + answer(b"x"))
            self.assertEqual(client.message().status, 502)
            talk.isLogged(f'upstream sent invalid status "{status.decode()}"')
            talk.isQuiet()

    def test_endless(self) -> None:
        """
        A server whose hints never come to the point is given up: proxy_buffer_size is
        room for all that are passed on of one attempt.  Others are only dropped.
        """
        hint = b"HTTP/1.1 103 Hints\r\nLink: </abcdef>\r\n\r\n"
        other = b"HTTP/1.1 102 Wait\r\n\r\n"
        talk = self.talk(proxy("proxy_buffer_size 1k; early_hints 1;"))
        client, server = talk.reaches()
        for _ in range(1024 // len(hint)):
            server.sends(hint + other)
            self.assertEqual(client.message().status, 103)
        server.isOpen()
        server.sends(hint)
        server.isClosed()
        self.assertEqual(client.message().status, 103)
        client.hears(502)
        talk.isLogged("upstream sent too big header")
        talk.isQuiet()
        for dropped, hints in ((hint, "$arg_a"), (other, "1")):
            talk = self.talk(proxy(f"proxy_buffer_size 1k; early_hints {hints};"))
            client, server = talk.reaches()
            for _ in range(100):
                server.sends(dropped * 3)
            server.sends(answer(b"x"))
            client.hears(200, b"x")


class TrailerTests(ConversationCase):
    """
    Fields after chunks.
    """

    def test_passed(self) -> None:
        """
        proxy_pass_trailers passes them on.
        """
        talk = self.talk(proxy("proxy_pass_trailers on;"))
        client, server = talk.reaches(get("/", "TE: trailers", "Connection: TE"))
        server.sends(CHUNKED + chunks(b"x", trailers="X-Sum: 1\r\n"))
        self.assertEqual(client.hears(200, b"x").trailers, [("X-Sum", "1")])
        server.isOpen()

    def test_dropped(self) -> None:
        """
        They are dropped otherwise.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(CHUNKED + chunks(b"x", trailers="X-Sum: 1\r\n"))
        self.assertEqual(client.hears(200, b"x").trailers, [])
        server.isOpen()

    def test_own(self) -> None:
        """
        add_trailer adds one, for which the response is chunked.
        """
        talk = self.talk(proxy("add_trailer X-Own $upstream_status;"))
        client = talk.asks()
        talk.server().sends(answer(b"x"))
        heard = client.hears(200, b"x")
        self.assertEqual(heard.trailers, [("X-Own", "200")])
        self.assertIsNone(heard["Content-Length"])

    def test_tooBig(self) -> None:
        """
        Trailers that exceed proxy_buffer_size cut the response.
        """
        talk = self.talk(proxy("proxy_pass_trailers on; proxy_buffer_size 1k;"))
        client, server = talk.reaches()
        trailers = "X-Sum: " + "x" * 2000 + "\r\n"
        server.sends(CHUNKED)
        server.sends(chunks(b"x", trailers=trailers))
        client.isClosed()
        server.isClosed()


class TargetTests(ConversationCase):
    """
    What proxy_pass makes of requests.
    """

    def test_fields(self) -> None:
        """
        Fields of the client are passed, those of its connection are not.
        """
        talk = self.talk(proxy("proxy_set_header X-Real-IP $remote_addr;"))
        client = talk.client()
        client.sends(
            get("/p?q", "X-A: b", "Connection: keep-alive", "Keep-Alive: 1", "TE: gzip")
        )
        heard = talk.server().hears("GET /p?q HTTP/1.1")
        self.assertEqual(heard["Host"], "u")
        self.assertEqual(heard["X-A"], "b")
        self.assertEqual(heard["X-Real-IP"], "192.0.2.1")
        self.assertIsNone(heard["Keep-Alive"])
        self.assertIsNone(heard["TE"])

    def test_resolved(self) -> None:
        """
        A name that is known only per request is looked up by the resolver.
        """
        text = configuration(
            "location / { proxy_pass http://$arg_h; } resolver 127.0.0.1;"
        )
        talk = self.talk(text)
        client = talk.asks(get("/?h=name.test"))
        [(name, found, _)] = talk.http.names.asked
        self.assertEqual(name, "name.test")
        found(["10.0.0.7"])
        talk.settle()
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.7:80")
        server.sends(answer(b"x"))
        client.hears(200, b"x")

    def test_notResolved(self) -> None:
        """
        A name that is unknown is an error.
        """
        text = configuration(
            "location / { proxy_pass http://$arg_h; } resolver 127.0.0.1;"
        )
        talk = self.talk(text)
        client = talk.asks(get("/?h=name.test"))
        talk.http.names.asked[0][2]("name.test could not be resolved")
        talk.settle()
        client.hears(502)
        talk.isLogged("name.test could not be resolved")

    def test_variableNamesGroup(self) -> None:
        """
        A name in a variable may be that of a group.
        """
        text = configuration(
            "location / { proxy_pass http://$arg_h; }", upstream("10.0.0.1:80")
        )
        talk = self.talk(text)
        client, server = talk.reaches(get("/?h=u"))
        self.assertEqual(server.name, "10.0.0.1:80")
        server.sends(answer(b"x"))
        client.hears(200, b"x")

    def test_setBody(self) -> None:
        """
        proxy_set_body and proxy_method replace the client's.
        """
        talk = self.talk(proxy("proxy_method POST; proxy_set_body a=$arg_a;"))
        talk.client().sends(get("/?a=7"))
        talk.server().hears("POST /?a=7 HTTP/1.1", b"a=7")


class AccessLogTests(ConversationCase):
    """
    What is remembered of a request.
    """

    FORMAT = (
        "log_format t '$status $body_bytes_sent $upstream_addr $upstream_status"
        " $upstream_response_length $upstream_connect_time $upstream_header_time"
        " $upstream_response_time $upstream_bytes_sent $request_time $request_length';"
        "access_log logs/access.log t;"
    )

    def test_one(self) -> None:
        """
        Times, sizes and statuses of one attempt.
        """
        talk = self.talk(proxy(access=self.FORMAT))
        client, server = talk.reaches()
        size = len(server.raw())
        talk.passes(1)
        data = answer(b"hello")
        server.sends(data[:-2])
        talk.passes(1)
        server.sends(data[-2:])
        client.hears(200, b"hello")
        self.assertEqual(
            talk.accessLog(),
            [f"200 5 10.0.0.1:80 200 5 0.000 1.000 2.000 {size} 2.000 {len(get())}"],
        )

    def test_twoAttempts(self) -> None:
        """
        Attempts at two servers stand there with commas.
        """
        text = proxy(
            access=self.FORMAT.replace("$upstream_bytes_sent ", ""),
            http=upstream("10.0.0.1:80", "10.0.0.2:80"),
        )
        talk = self.talk(text)
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client = talk.asks()
        talk.server().sends(answer(b"hello"))
        client.hears(200)
        self.assertEqual(
            talk.accessLog(),
            [
                "200 5 10.0.0.1:80, 10.0.0.2:80 502, 200 0, 5 -, 0.000 -, 0.000"
                f" 0.000, 0.000 0.000 {len(get())}"
            ],
        )
