"""
Bodies of clients' requests on their way to servers.
"""

from __future__ import annotations

from functools import partial

from tests.support.conversation import (
    ConversationCase,
    answer,
    chunks,
    get,
    message,
    post,
    proxy,
    upstream,
)

UNBUFFERED = "proxy_request_buffering off;"
CHUNKED = message(
    "POST /c HTTP/1.1", ("Host: example.com", "Transfer-Encoding: chunked")
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BufferedTests(ConversationCase):
    """
    Bodies that are read before a server is asked.
    """

    def test_counted(self) -> None:
        """
        A body with Content-Length arrives whole.
        """
        talk = self.talk(proxy())
        talk.asks(post(b"some body"))
        heard = talk.server().hears("POST / HTTP/1.1", b"some body")
        self.assertEqual(heard["Content-Length"], "9")

    def test_waits(self) -> None:
        """
        No server is asked before the last byte is there.
        """
        talk = self.talk(proxy())
        client = talk.client()
        data = post(b"0123456789")
        client.sends(data[:-1])
        talk.noServer()
        client.sends(data[-1:])
        talk.server().hears("POST / HTTP/1.1", b"0123456789")

    def test_empty(self) -> None:
        """
        A body of no bytes is said to be one.
        """
        talk = self.talk(proxy())
        talk.client().sends(post(b""))
        heard = talk.server().hears("POST / HTTP/1.1")
        self.assertEqual(heard["Content-Length"], "0")

    def test_chunked(self) -> None:
        """
        A body in chunks is counted for the server.
        """
        talk = self.talk(proxy())
        talk.asks(CHUNKED + chunks(b"one,", b"two"))
        heard = talk.server().hears("POST /c HTTP/1.1", b"one,two")
        self.assertEqual(heard["Content-Length"], "7")
        self.assertIsNone(heard["Transfer-Encoding"])

    def test_chunkedThenNext(self) -> None:
        """
        The next request is found behind the last chunk and its trailers.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches(
            CHUNKED + chunks(b"x", trailers="A: b\r\n") + get("/next")
        )
        server.hears("POST /c HTTP/1.1", b"x")
        server.sends(answer(b"1"))
        server.hears("GET /next HTTP/1.1")
        server.sends(answer(b"2"))
        client.hears(200, b"1")
        client.hears(200, b"2")

    def test_badChunk(self) -> None:
        """
        A body with a broken chunk is refused, and the connection closed.
        """
        talk = self.talk(proxy())
        client = talk.asks(CHUNKED + b"xyz\r\n")
        self.assertEqual(client.hears(400)["Connection"], "close")
        client.isEnded()
        talk.noServer()
        talk.isLogged("client sent invalid chunked body")
        talk.passes(31)
        client.isClosed()

    def test_intoFile(self) -> None:
        """
        A body that exceeds client_body_buffer_size goes through a file unchanged.
        """
        body = bytes(range(256)) * 64
        talk = self.talk(proxy(server="client_body_buffer_size 1k;"))
        talk.asks(post(body))
        talk.server().hears("POST / HTTP/1.1", body)
        talk.isLogged("a client request body is buffered to a temporary file")

    def test_noFile(self) -> None:
        """
        A body that no file can be made for is answered with 500, and nobody is asked.
        """
        chunked = ("Host: a", "Transfer-Encoding: chunked")
        for request in (
            post(bytes(5000)),
            message("POST / HTTP/1.1", chunked, chunks(bytes(5000))),
        ):
            talk = self.talk(proxy(server="client_body_buffer_size 1k;"))
            client = talk.client()
            talk.withoutTempFiles(partial(client.sends, request))
            client.hears(500)
            client.isEnded()
            talk.noServer()
            talk.isLogged("failed (2: No such file or directory)")
            client.hangsUp()
            talk.isQuiet()

    def test_fromFileTwice(self) -> None:
        """
        A body in a file is sent to the next server, too.
        """
        body = b"abcdefgh" * 1024
        text = proxy(
            server="client_body_buffer_size 1k;",
            http=upstream("10.0.0.1:80", "10.0.0.2:80"),
        )
        talk = self.talk(text)
        client = talk.asks(post(body, method="PUT"))
        first = talk.server()
        first.hears("PUT / HTTP/1.1", body)
        first.hangsUp()
        second = talk.server()
        second.hears("PUT / HTTP/1.1", body)
        second.sends(answer(b"ok"))
        client.hears(200, b"ok")

    def test_slowServer(self) -> None:
        """
        A server that takes a body slowly gets all of it, from memory or from a file,
        and as long as it takes anything it does not time out.
        """
        body = bytes(range(256)) * 32
        for size in ("1k", "1m"):
            talk = self.talk(
                proxy(
                    "proxy_send_timeout 10;",
                    server=f"client_body_buffer_size {size};",
                )
            )
            talk.dialer.room = 100
            client, server = talk.reaches(post(body))
            for _ in range(5):
                talk.passes(9)
                server.takes(1000)
            client.isSilent()
            server.takes()
            server.hears("POST / HTTP/1.1", body)
            server.sends(answer(b"ok"))
            client.hears(200, b"ok")


class TooLargeTests(ConversationCase):
    """
    client_max_body_size.
    """

    def test_counted(self) -> None:
        """
        A Content-Length beyond the limit is refused before the body is read.
        """
        talk = self.talk(proxy(server="client_max_body_size 5;"))
        client = talk.asks(post(b"123456"))
        self.assertEqual(client.hears(413)["Connection"], "close")
        talk.noServer()
        talk.isLogged("client intended to send too large body: 6 bytes")
        talk.passes(31)
        client.isClosed()

    def test_limit(self) -> None:
        """
        A body of exactly that size is passed.
        """
        talk = self.talk(proxy(server="client_max_body_size 5;"))
        talk.client().sends(post(b"12345"))
        talk.server().hears("POST / HTTP/1.1", b"12345")

    def test_chunked(self) -> None:
        """
        A body in chunks is refused when it has grown too large.
        """
        talk = self.talk(proxy(server="client_max_body_size 5;"))
        client = talk.asks(CHUNKED + b"3\r\nabc\r\n")
        client.isSilent()
        client.sends(b"3\r\ndef\r\n")
        client.hears(413)
        talk.noServer()
        talk.isLogged("client intended to send too large chunked body")
        talk.passes(31)
        client.isClosed()

    def test_unlimited(self) -> None:
        """
        0 takes the limit away.
        """
        talk = self.talk(proxy(server="client_max_body_size 0;"))
        body = b"x" * (2 * 1024 * 1024)
        talk.client().sends(post(body))
        talk.server().hears("POST / HTTP/1.1", body)

    def test_default(self) -> None:
        """
        One megabyte is the limit where nothing is said.
        """
        talk = self.talk(proxy())
        client = talk.asks(post(b"x" * (1024 * 1024 + 1)))
        client.hears(413)
        talk.passes(31)


class ExpectTests(ConversationCase):
    """
    Expect: 100-continue.
    """

    HEAD = message(
        "POST / HTTP/1.1",
        ("Host: example.com", "Content-Length: 4", "Expect: 100-continue"),
    )

    def test_asked(self) -> None:
        """
        A client that waits is told to go on; the server is not asked to tell.
        """
        talk = self.talk(proxy())
        client = talk.asks(self.HEAD)
        self.assertEqual(client.raw(), CONTINUE)
        client.sends(b"body")
        heard = talk.server().hears("POST / HTTP/1.1", b"body")
        self.assertIsNone(heard["Expect"])

    def test_notWaiting(self) -> None:
        """
        A client that asked but did not wait is told all the same.
        """
        talk = self.talk(proxy())
        client = talk.asks(self.HEAD + b"body")
        self.assertEqual(client.raw(), CONTINUE)
        talk.server().hears("POST / HTTP/1.1", b"body")

    def test_refused(self) -> None:
        """
        A client whose body is too large hears that instead.
        """
        talk = self.talk(proxy(server="client_max_body_size 1;"))
        client = talk.asks(self.HEAD)
        client.hears(413)
        client.isSilent()
        talk.passes(31)
        client.isClosed()

    def test_notRead(self) -> None:
        """
        An answer that needs no body is given at once.
        """
        talk = self.talk(proxy(server="location /r { return 204; }"))
        client = talk.asks(self.HEAD.replace(b"POST / ", b"POST /r "))
        client.sends(b"body" + get("/r"))
        heard = client.raw().replace(CONTINUE, b"")
        self.assertEqual(heard.count(b"HTTP/1.1 204 No Content\r\n"), 2)
        talk.passes(200)


class UnbufferedTests(ConversationCase):
    """
    proxy_request_buffering off.
    """

    def test_counted(self) -> None:
        """
        The head and what there is of the body are passed at once.
        """
        talk = self.talk(proxy(UNBUFFERED))
        client = talk.client()
        data = post(b"0123456789")
        client.sends(data[:-6])
        server = talk.server()
        head = server.message()
        self.assertEqual((head.first, head.body), ("POST / HTTP/1.1", b"0123"))
        self.assertEqual(head["Content-Length"], "10")
        client.sends(data[-6:-2])
        self.assertEqual(server.raw(), b"4567")
        client.sends(data[-2:])
        self.assertEqual(server.raw(), b"89")
        server.sends(answer(b"ok"))
        client.hears(200, b"ok")
        talk.isQuiet()
        client.sends(get())
        talk.noServer()

    def test_chunked(self) -> None:
        """
        A body in chunks is passed in chunks as it comes.
        """
        talk = self.talk(proxy(UNBUFFERED))
        client, server = talk.reaches(CHUNKED)
        client.sends(b"3\r\nabc\r\n")
        client.sends(b"2\r\nde\r\n0\r\n\r\n")
        heard = server.hears("POST /c HTTP/1.1", b"abcde")
        self.assertEqual(heard["Transfer-Encoding"], "chunked")
        self.assertIsNone(heard["Content-Length"])
        server.isSilent()
        server.sends(answer(b"ok"))
        client.hears(200, b"ok")

    def test_allAtOnce(self) -> None:
        """
        A body that has come with its head is passed whole.
        """
        talk = self.talk(proxy(UNBUFFERED))
        client, server = talk.reaches(CHUNKED + chunks(b"abc", b"def"))
        server.hears("POST /c HTTP/1.1", b"abcdef")
        server.isSilent()

    def test_expect(self) -> None:
        """
        A client that waits is told to go on.
        """
        talk = self.talk(proxy(UNBUFFERED))
        client = talk.asks(ExpectTests.HEAD)
        self.assertEqual(client.raw(), CONTINUE)
        client.sends(b"body")
        talk.server().hears("POST / HTTP/1.1", b"body")

    def test_notRetried(self) -> None:
        """
        A body of which anything was sent cannot be sent again.
        """
        talk = self.talk(proxy(UNBUFFERED, http=upstream("10.0.0.1:80", "10.0.0.2:80")))
        client = talk.asks(post(b"0123456789", method="PUT")[:-5])
        talk.server().hangsUp()
        client.hears(502)
        talk.noServer()
        talk.passes(31)

    def test_completeRetried(self) -> None:
        """
        A body that had come completely can.
        """
        talk = self.talk(proxy(UNBUFFERED, http=upstream("10.0.0.1:80", "10.0.0.2:80")))
        talk.asks(post(b"0123456789", method="PUT"))
        talk.server().hangsUp()
        talk.server().hears("PUT / HTTP/1.1", b"0123456789")

    def test_refusedRetried(self) -> None:
        """
        Where nothing was sent yet, the next server is asked.
        """
        talk = self.talk(proxy(UNBUFFERED, http=upstream("10.0.0.1:80", "10.0.0.2:80")))
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client, server = talk.reaches(post(b"0123456789"))
        self.assertEqual(server.name, "10.0.0.2:80")
        server.hears("POST / HTTP/1.1", b"0123456789")

    def test_earlyAnswer(self) -> None:
        """
        A server that answers before the body's end is heard, and its connection not
        used again.
        """
        talk = self.talk(proxy(UNBUFFERED))
        client = talk.client()
        data = post(b"0123456789")
        client.sends(data[:-5])
        server = talk.server()
        server.sends(answer(b"no", status="403 Forbidden"))
        client.hears(403, b"no")
        server.isClosed()
        client.sends(data[-5:])
        talk.passes(31)

    def test_backPressure(self) -> None:
        """
        A client is not read faster than the server takes.
        """
        talk = self.talk(
            proxy(
                UNBUFFERED + "proxy_buffer_size 4k;", server="client_max_body_size 0;"
            )
        )
        client = talk.client()
        body = bytes(range(256)) * 4096
        data = post(body)
        client.sends(data[: -len(body)])
        server = talk.server()
        server.stalls()
        client.sends(body)
        self.assertGreater(len(client.socket.incoming), 512 * 1024)
        server.takes()
        self.assertEqual(len(client.socket.incoming), 0)
        server.hears("POST / HTTP/1.1", body)
        server.sends(answer(b"ok"))
        client.hears(200, b"ok")

    def test_tooLarge(self) -> None:
        """
        A body in chunks that grows too large ends the request at the server, too.
        """
        talk = self.talk(proxy(UNBUFFERED, server="client_max_body_size 5;"))
        client, server = talk.reaches(CHUNKED + b"3\r\nabc\r\n")
        client.sends(b"3\r\ndef\r\n")
        client.hears(413)
        server.isClosed()
        talk.isQuiet()
        talk.passes(31)

    def test_brokenChunk(self) -> None:
        """
        A broken chunk is answered, and the server's connection closed.
        """
        talk = self.talk(proxy(UNBUFFERED))
        client, server = talk.reaches(CHUNKED + b"3\r\nabc\r\n")
        client.sends(b"zz\r\n")
        client.hears(400)
        server.isClosed()
        talk.isQuiet()
        talk.passes(31)

    def test_clientLeaves(self) -> None:
        """
        A client that leaves within its body frees the server.
        """
        talk = self.talk(proxy(UNBUFFERED))
        client, server = talk.reaches(post(b"0123456789")[:-5])
        client.hangsUp()
        server.isClosed()
        client.isClosed()
        talk.isQuiet()


class EndWithinBodyTests(ConversationCase):
    """
    Clients that leave before their body is complete.
    """

    def test_buffered(self) -> None:
        """
        No server is asked.
        """
        talk = self.talk(proxy())
        client = talk.asks(post(b"0123456789")[:-5])
        client.hangsUp()
        talk.noServer()
        client.isClosed()
        talk.isLogged("client prematurely closed connection")

    def test_reset(self) -> None:
        """
        A reset within a body is the end as well.
        """
        talk = self.talk(proxy())
        client = talk.asks(post(b"0123456789")[:-5])
        client.resets()
        talk.noServer()
        client.isClosed()


class UnreadBodyTests(ConversationCase):
    """
    Bodies that nobody asked for.
    """

    def test_skipped(self) -> None:
        """
        The next request is found behind a body that was not read.
        """
        talk = self.talk(proxy(server="location /r { return 200 ok; }"))
        client = talk.asks(post(b"0123456789", "/r") + get("/r"))
        client.hears(200, b"ok")
        client.hears(200, b"ok")
        client.isOpen()

    def test_skippedChunks(self) -> None:
        """
        Likewise behind chunks, even if they come later.
        """
        talk = self.talk(proxy(server="location /c { return 200 ok; }"))
        client = talk.asks(CHUNKED)
        client.sends(b"3\r\nabc\r\n")
        client.sends(b"0\r\n\r\n" + get("/c"))
        client.hears(200, b"ok")
        client.hears(200, b"ok")

    def test_closing(self) -> None:
        """
        A connection that is to be closed is not closed before the client has stopped.
        """
        talk = self.talk(
            proxy(server="location /r { return 200 ok; } keepalive_timeout 0;")
        )
        client = talk.asks(post(b"0123456789", "/r")[:-5])
        client.hears(200, b"ok")
        self.assertFalse(client.socket.closed)
        client.sends(b"56789")
        client.ends()
        client.isClosed()

    def test_lingeringTimeout(self) -> None:
        """
        A silent client is not waited for longer than lingering_timeout.
        """
        talk = self.talk(
            proxy(
                server="location /r { return 200 ok; } keepalive_timeout 0;"
                " lingering_timeout 3s;"
            )
        )
        client = talk.asks(post(b"0123456789", "/r")[:-5])
        client.hears(200, b"ok")
        talk.passes(2.9)
        self.assertFalse(client.socket.closed)
        talk.passes(0.2)
        client.isClosed()

    def test_lingeringTime(self) -> None:
        """
        A client that never stops is not waited for longer than lingering_time.
        """
        talk = self.talk(
            proxy(
                server="location /r { return 200 ok; } keepalive_timeout 0;"
                " client_max_body_size 0; lingering_time 10s;"
            )
        )
        client = talk.asks(post(b"x" * 100000, "/r")[:-90000])
        client.hears(200, b"ok")
        for _ in range(12):
            client.sends(b"x" * 100)
            talk.passes(1)
        client.isClosed()
