"""
However the network cuts what is sent, the outcome is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

from tests.support.conversation import (
    Client,
    ConversationCase,
    Message,
    Server,
    Talk,
    answer,
    chunks,
    configuration,
    get,
    message,
    post,
    proxy,
    upstream,
    whole,
)

CHUNKED = message("HTTP/1.1 200 OK", ("Transfer-Encoding: chunked",))
POST_CHUNKED = message(
    "POST /c HTTP/1.1", ("Host: example.com", "Transfer-Encoding: chunked")
)
NO_KEEPALIVE = upstream("10.0.0.1:80", more="keepalive 0;")
UPGRADE = (
    'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
)
#: Fields that say how a message was framed, or when: that may differ.
_FRAMING = frozenset(("content-length", "transfer-encoding", "date"))


def shown(heard: Message) -> Any:
    """
    What must not depend on cuts.
    """
    fields = [(n, v) for n, v in heard.fields if n.lower() not in _FRAMING]
    return heard.first, fields, heard.body, heard.complete, heard.trailers


class _Heard:
    """
    What everybody heard in one conversation.
    """

    def __init__(self) -> None:
        self.all: list[Any] = []

    def request(self, server: Server) -> None:
        """
        A server's next request.
        """
        self.all.append(("request", shown(server.message())))

    def response(self, client: Client, headOnly: bool = False) -> None:
        """
        A client's next response.
        """
        self.all.append(("response", shown(client.message(headOnly))))

    def end(self, talk: Talk, client: Client) -> None:
        """
        What is left at the end.
        """
        self.all.append((client.raw(), client.socket.finished, talk.http.problems()))


Conversation = Callable[[Talk, _Heard], Client]


def exchange(
    request: bytes, *responses: bytes, ends: bool = False, headOnly: bool = False
) -> Conversation:
    """
    A request; what the first server answers, what the next one does.
    """

    def converse(talk: Talk, heard: _Heard) -> Client:
        client = talk.asks(request)
        server: Server | None = None
        for response in responses:
            server = talk.server()
            heard.request(server)
            server.sends(response)
            if ends:
                server.hangsUp()
        if server is not None and not server.socket.closed:
            heard.all.append(server.raw())
        heard.response(client, headOnly)
        return client

    return converse


def several(count: int) -> Conversation:
    """
    Requests sent ahead of their responses.
    """

    def converse(talk: Talk, heard: _Heard) -> Client:
        client = talk.asks(b"".join(get(f"/{n}") for n in range(count)))
        for n in range(count):
            server = talk.server()
            heard.request(server)
            server.sends(answer(b"%d" % n))
        for _ in range(count):
            heard.response(client)
        return client

    return converse


def mixed(talk: Talk, heard: _Heard) -> Client:
    """
    Bodies of both kinds between requests without one.
    """
    client = talk.client()
    client.sends(
        post(b"counted") + get("/2") + POST_CHUNKED + chunks(b"a", b"bc") + get("/4")
    )
    for n in range(4):
        server = talk.server()
        heard.request(server)
        server.sends(CHUNKED + chunks(b"%d" % n))
    for _ in range(4):
        heard.response(client)
    return client


def refused(count: int, request: bytes) -> Conversation:
    """
    Requests that no server is asked about.
    """

    def converse(talk: Talk, heard: _Heard) -> Client:
        client = talk.asks(request)
        talk.noServer()
        for _ in range(count):
            heard.response(client)
        return client

    return converse


def upgraded(talk: Talk, heard: _Heard) -> Client:
    """
    Another protocol, spoken early.
    """
    client, server = talk.reaches(
        get("/", "Upgrade: x", "Connection: upgrade") + b"from client"
    )
    heard.request(server)
    server.sends(
        message(
            "HTTP/1.1 101 Switching Protocols", ("Upgrade: x", "Connection: upgrade")
        )
        + b"from server"
    )
    heard.response(client)
    heard.all.append((client.raw(), server.raw()))
    server.hangsUp()
    client.hangsUp()
    return client


def expecting(talk: Talk, heard: _Heard) -> Client:
    """
    A client that waits for 100 Continue.
    """
    client = talk.client()
    head = ("Host: a", "Content-Length: 4", "Expect: 100-continue")
    client.sends(message("POST / HTTP/1.1", head))
    heard.response(client)
    client.sends(b"body")
    server = talk.server()
    heard.request(server)
    server.sends(answer(b"thanks"))
    heard.response(client)
    return client


def keptAlive(talk: Talk, heard: _Heard) -> Client:
    """
    A server's connection that serves twice.
    """
    client, server = talk.reaches(get("/1"))
    heard.request(server)
    server.sends(CHUNKED + chunks(b"1"))
    heard.response(client)
    client.sends(get("/2"))
    heard.request(server)
    server.sends(answer(b"2", "Connection: close"))
    heard.response(client)
    return client


def everyCut(
    sizes: Iterable[int], data: int
) -> Iterator[Callable[[bytes], list[bytes]]]:
    """
    Ways of cutting: at each byte alone, at every byte, and by chance.

    @param data: how many bytes the longest message has.
    """

    def at(position: int) -> Callable[[bytes], list[bytes]]:
        return lambda sent: [
            piece for piece in (sent[:position], sent[position:]) if piece
        ]

    for position in range(1, data):
        yield at(position)
    for size in sizes:
        yield (
            lambda sent, size=size: [  # type: ignore[misc]  # bound now
                sent[start : start + size] for start in range(0, len(sent), size)
            ]
        )
    for seed in range(20):
        yield _byChance(Random(seed))


def _byChance(random: Random) -> Callable[[bytes], list[bytes]]:
    def cut(sent: bytes) -> list[bytes]:
        pieces = []
        while sent:
            size = random.choice((1, 2, 3, 5, 20, 100))
            pieces.append(sent[:size])
            sent = sent[size:]
        return pieces

    return cut


class SplitTests(ConversationCase):
    """
    Each conversation, cut in every way.
    """

    def check(self, text: str, converse: Conversation) -> None:
        """
        The outcome of C{converse} does not depend on cuts.
        """
        talk = self.talk(text)
        longest = 0

        def measure(sent: bytes) -> Iterable[bytes]:
            nonlocal longest
            longest = max(longest, len(sent))
            return whole(sent)

        expected = self.outcome(talk, converse, measure)
        for number, cut in enumerate(everyCut((1, 2, 7), longest)):
            got = self.outcome(talk, converse, cut)
            self.assertEqual(got, expected, f"cut number {number}")

    def outcome(self, talk: Talk, converse: Conversation, cut: Any) -> Any:
        """
        What is heard when everything is cut by C{cut}.
        """
        talk.cut = cut
        heard = _Heard()
        client = converse(talk, heard)
        heard.end(talk, client)
        talk.cut = whole
        client.hangsUp()
        talk.passes(6)
        for group in talk.http.groups:
            group.close()
        talk.settle()
        self.assertEqual(talk.http.problems(), [])
        self.assertTrue(client.socket.closed)
        return heard.all

    def test_get(self) -> None:
        """
        A counted response.
        """
        self.check(proxy(), exchange(get("/a?b", "X-A: b"), answer(b"hello", "X-C: d")))

    def test_pipelined(self) -> None:
        """
        Requests sent ahead.
        """
        self.check(proxy(http=NO_KEEPALIVE), several(3))

    def test_mixed(self) -> None:
        """
        Requests with bodies of every kind sent ahead.
        """
        self.check(proxy(http=NO_KEEPALIVE), mixed)

    def test_keptAlive(self) -> None:
        """
        Two requests on kept connections.
        """
        self.check(proxy(), keptAlive)

    def test_post(self) -> None:
        """
        A counted body.
        """
        self.check(proxy(), exchange(post(b"some body"), answer(b"ok")))

    def test_postUnbuffered(self) -> None:
        """
        A counted body that is passed as it comes.
        """
        text = proxy("proxy_request_buffering off;")
        self.check(text, exchange(post(b"some body"), answer(b"ok")))

    def test_postChunked(self) -> None:
        """
        A body in chunks with extensions and trailers.
        """
        body = b"4;ext=1\r\nsome\r\n5\r\n body\r\n0\r\nX-T: 1\r\n\r\n"
        self.check(proxy(), exchange(POST_CHUNKED + body, answer(b"ok")))

    def test_postChunkedUnbuffered(self) -> None:
        """
        The same, passed as it comes.
        """
        text = proxy("proxy_request_buffering off;")
        body = chunks(b"some", b" body")
        self.check(text, exchange(POST_CHUNKED + body, answer(b"ok")))

    def test_postIntoFile(self) -> None:
        """
        A body that goes through a file.
        """
        text = proxy(server="client_body_buffer_size 4;")
        self.check(text, exchange(post(b"some longer body"), answer(b"ok")))

    def test_expect(self) -> None:
        """
        100 Continue.
        """
        self.check(proxy(), expecting)

    def test_unreadBody(self) -> None:
        """
        Bodies that nobody reads.
        """
        text = proxy(server="location /r { return 200 ok; }")
        self.check(text, refused(3, post(b"unread", "/r") + get("/r") + get("/r")))

    def test_chunked(self) -> None:
        """
        A response in chunks.
        """
        self.check(
            proxy(), exchange(get(), CHUNKED + chunks(b"one,", b"two", b"x" * 20))
        )

    def test_chunkedTrailers(self) -> None:
        """
        A response in chunks with trailers that are passed on.
        """
        text = proxy("proxy_pass_trailers on;")
        response = CHUNKED + chunks(b"one", trailers="X-Sum: 1\r\nX-B: 2\r\n")
        self.check(text, exchange(get(), response))

    def test_untilClose(self) -> None:
        """
        A response that ends with its connection.
        """
        response = message("HTTP/1.1 200 OK", ("X-A: b",), b"until the end")
        self.check(proxy(), exchange(get(), response, ends=True))

    def test_http10(self) -> None:
        """
        HTTP/1.0 on both sides.
        """
        request = b"GET /x HTTP/1.0\r\nHost: a\r\n\r\n"
        self.check(proxy(), exchange(request, b"HTTP/1.0 200 OK\r\n\r\nold", ends=True))

    def test_bareNewlines(self) -> None:
        """
        Lines that end without CR.
        """
        request = b"GET /x HTTP/1.1\nHost: a\nX-A: b\n\n"
        response = b"HTTP/1.1 200 OK\nContent-Length: 3\nX-B: c\n\nold"
        self.check(proxy(), exchange(request, response))

    def test_head(self) -> None:
        """
        HEAD.
        """
        request = get().replace(b"GET", b"HEAD")
        response = message("HTTP/1.1 200 OK", ("Content-Length: 1000",))
        self.check(proxy(), exchange(request, response, headOnly=True))

    def test_notModified(self) -> None:
        """
        A response without a body.
        """
        response = message("HTTP/1.1 304 Not Modified", ("ETag: x",))
        self.check(proxy(), exchange(get(), response))

    def test_interim(self) -> None:
        """
        A 100 before the response.
        """
        response = b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"x")
        self.check(proxy(), exchange(get(), response))

    def test_earlyHints(self) -> None:
        """
        A 103 before the response, passed on.
        """

        def converse(talk: Talk, heard: _Heard) -> Client:
            client = talk.asks()
            hint = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            talk.server().sends(hint + answer(b"x"))
            heard.response(client)
            heard.response(client)
            return client

        self.check(proxy("early_hints 1;"), converse)

    def test_truncated(self) -> None:
        """
        A response that breaks off.
        """
        self.check(proxy(), exchange(get(), answer(b"0123456789")[:-3], ends=True))

    def test_invalidHead(self) -> None:
        """
        A response that is none.
        """
        response = b"HTTP/1.1 200 OK\r\nX\x00Y: z\r\n\r\n"

        def converse(talk: Talk, heard: _Heard) -> Client:
            client = talk.asks()
            talk.server().sends(response)
            heard.response(client)
            return client

        self.check(proxy(), converse)

    def test_nextUpstream(self) -> None:
        """
        A response that sends the request to the next server.
        """
        servers = upstream(
            "10.0.0.1:80 max_fails=0", "10.0.0.2:80 max_fails=0", more="keepalive 0;"
        )
        text = proxy("proxy_next_upstream http_503;", http=servers)

        def converse(talk: Talk, heard: _Heard) -> Client:
            client = talk.asks(post(b"again", method="PUT"))
            first = talk.server()
            heard.request(first)
            first.sends(answer(b"busy", status="503 Busy"))
            second = talk.server()
            heard.request(second)
            second.sends(answer(b"good"))
            heard.response(client)
            self.assertNotEqual(first.name, second.name)
            return client

        self.check(text, converse)

    def test_intercepted(self) -> None:
        """
        A response that an error page replaces.
        """
        text = proxy(
            "proxy_intercept_errors on; error_page 404 /sorry;",
            server="location /sorry { return 200 sorry; }",
        )
        response = message("HTTP/1.1 404 No", ("Content-Length: 0", "X-A: b"))
        self.check(text, exchange(get(), response))

    def test_accelRedirect(self) -> None:
        """
        X-Accel-Redirect.
        """
        text = proxy(server="location /p { internal; return 200 secret; }")
        response = answer(b"", "X-Accel-Redirect: /p", "Set-Cookie: a=b")
        self.check(text, exchange(get(), response))

    def test_upgrade(self) -> None:
        """
        101 and what follows it on both sides.
        """
        self.check(proxy(UPGRADE), upgraded)

    def test_rewrittenFields(self) -> None:
        """
        Location and Set-Cookie, rewritten.
        """
        text = proxy("proxy_cookie_path / /app/;")
        response = answer(
            b"",
            "Location: http://u/there",
            "Set-Cookie: a=b; path=/",
            status="302 Found",
        )
        self.check(text, exchange(get(), response))

    def test_badRequests(self) -> None:
        """
        Requests that are refused.
        """
        for request in (
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            b"GET / HTTP/2.5\r\n\r\n",
            b"GET /\x01 HTTP/1.1\r\n\r\n",
        ):
            self.check(
                configuration("location / { return 200 x; }"), refused(1, request)
            )
