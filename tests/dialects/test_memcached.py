"""
Tests for L{twisted_upstream.dialects.memcached}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.conversation import (
    Client,
    ConversationCase,
    Server,
    Talk,
    configuration,
    get,
    post,
    upstream,
)
from tests.support.memory import MemoryHTTP
from tests.wire.splits import everySplit
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.dialects.memcached import MemcachedExchange
from twisted_upstream.wire.response1 import InvalidHead


class Asker:
    """
    A client that asks for a key and remembers what is logged.
    """

    uri = b"/page.html"

    def __init__(self, method: bytes = b"GET") -> None:
        self.method = method
        self.logged: list[tuple[str, str]] = []

    def logError(self, level: str, message: str, *rest: Any, **more: Any) -> None:
        """
        Remember it.
        """
        self.logged.append((level, message))


def exchange(
    key: bytes = b"k", gzipFlag: int = 0, method: bytes = b"GET"
) -> MemcachedExchange:
    """
    An exchange whose request was made.
    """
    options: Any = SimpleNamespace(
        key=lambda client: key, gzipFlag=gzipFlag, typeOf=lambda uri: b"text/x"
    )
    made = MemcachedExchange(options, Asker(method))
    made.createRequest()
    return made


class RequestTests(SynchronousTestCase):
    """
    L{MemcachedExchange.createRequest}.
    """

    def test_escapes(self) -> None:
        """
        Controls, spaces and percent signs are escaped, other bytes are not: no key
        makes a second command.
        """
        for key, sent in (
            (b"/a", b"get /a\r\n"),
            (b"/a b", b"get /a%20b\r\n"),
            (b"50%\r\nflush_all", b"get 50%25%0D%0Aflush_all\r\n"),
            (b"\x00\x1f\x20\x7f\xff", b"get %00%1F%20\x7f\xff\r\n"),
        ):
            self.assertEqual(exchange(key).createRequest(), sent)

    def test_noKey(self) -> None:
        """
        Without a key there is no request.
        """
        made = exchange(b"")
        self.assertIsNone(made.createRequest())
        self.assertIn(
            ("error", 'the "$memcached_key" variable is not set'), made.client.logged
        )


class HeadTests(SynchronousTestCase):
    """
    L{MemcachedExchange.processHeader}.
    """

    def test_everySplit(self) -> None:
        """
        A head is found as soon as its line is complete, and not before.
        """
        data = b"VALUE k 0 5\r\nhello\r\nEND\r\n"

        def parse(piece: bytes) -> Any:
            head = exchange().processHeader(piece)
            if head is None:
                return None
            return head.status, head.contentLength, head.consumed, head.contentType

        found = list(everySplit(parse, data))
        self.assertEqual(found[0][0], 13)
        self.assertEqual({each for _, each in found}, {(200, 5, 13, b"text/x")})

    def test_missing(self) -> None:
        """
        END alone is 404, and the connection is good for more.
        """
        made = exchange()
        head = made.processHeader(b"END\r\n")
        assert head is not None
        self.assertEqual((head.status, head.contentLength, head.consumed), (404, 0, 5))
        self.assertEqual(made.inputFilterInit(head).remaining, 0)
        self.assertTrue(made.reusable)
        self.assertIn(
            ("info", 'key: "k" was not found by memcached'), made.client.logged
        )

    def test_wrong(self) -> None:
        """
        What is no answer to this request is refused, with nginx's words.
        """
        for line, message in (
            (b"ERROR\r\n", 'memcached sent invalid response: "ERROR"'),
            (b"END\n", 'memcached sent invalid response: "END"'),
            (b"\n", 'memcached sent invalid response: ""'),
            (b"VALUE k\r\n", 'memcached sent invalid response: "VALUE k"'),
            (b"VALUE k 0\r\n", 'memcached sent invalid response: "VALUE k 0"'),
            (b"VALUE kk 0 1\r\n", 'memcached sent invalid response: "VALUE kk 0 1"'),
            (
                b"VALUE x 0 1\r\n",
                'memcached sent invalid key in response "VALUE x 0 1" for key "k"',
            ),
            (
                b"VALUE k 0 1 7\r\n",
                'memcached sent invalid length in response "VALUE k 0 1 7" for key "k"',
            ),
            (
                b"VALUE k 0 \r\n",
                'memcached sent invalid length in response "VALUE k 0 " for key "k"',
            ),
            (
                b"VALUE k 0 -1\r\n",
                'memcached sent invalid length in response "VALUE k 0 -1" for key "k"',
            ),
        ):
            error = self.assertRaises(InvalidHead, exchange().processHeader, line)
            self.assertEqual(str(error), message)
        for length in (b"9" * 19, b"1" * 5000):
            self.assertRaises(
                InvalidHead, exchange().processHeader, b"VALUE k 0 %b\r\n" % length
            )

    def test_gzipFlag(self) -> None:
        """
        Flags are looked at where memcached_gzip_flag is set.
        """
        line = b"VALUE k 6 1\r\n"
        for flag, fields in (
            (0, b""),
            (1, b""),
            (2, b"\r\nContent-Encoding: gzip"),
            (4, b"\r\nContent-Encoding: gzip"),
        ):
            head = exchange(gzipFlag=flag).processHeader(line)
            assert head is not None
            self.assertEqual(head.fields, fields)
        error = self.assertRaises(
            InvalidHead, exchange(gzipFlag=2).processHeader, b"VALUE k x 1\r\n"
        )
        self.assertIn("invalid flags in response", str(error))
        self.assertIsNotNone(exchange().processHeader(b"VALUE k x 1\r\n"))

    def test_everyBodySplit(self) -> None:
        """
        A value comes whole however it is cut, and the connection stays good.
        """
        for value in (b"", b"hello", b"\r\nEND\r\n"):
            data = value + b"\r\nEND\r\n"
            for at in range(len(data) + 1):
                made = exchange()
                head = made.processHeader(b"VALUE k 0 %d\r\n" % len(value))
                assert head is not None
                body = made.inputFilterInit(head)
                out = body.inputFilter(data[:at]) + body.inputFilter(data[at:])
                self.assertEqual((out, body.remaining, body.excess), (value, 0, b""))
                self.assertTrue(made.reusable)

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=60), st.integers(0, 60))
    def test_anything(self, data: bytes, at: int) -> None:
        """
        Whatever comes after however much of an answer: a head, more, or InvalidHead.
        """
        made = exchange(gzipFlag=1)
        text = b"VALUE k 1 5\r\nhello\r\nEND\r\n"[:at] + data
        try:
            head = made.processHeader(text)
        except InvalidHead:
            return
        if head is not None:
            self.assertIn(head.status, (200, 404))
            made.inputFilterInit(head).inputFilter(text[head.consumed :])


def store(more: str = "", http: str | None = None, server: str = "") -> str:
    """
    A configuration that passes everything to memcached.
    """
    if http is None:
        http = upstream("10.0.0.1:11211", more="keepalive 4;")
    location = (
        "location / { set $memcached_key $uri; memcached_pass u; "
        f"memcached_next_upstream error timeout; {more} }}"
    )
    return configuration(server + location, http)


class ConversationTests(ConversationCase):
    """
    Whole requests.
    """

    def asked(self, talk: Talk, path: str = "/a") -> tuple[Client, Server]:
        """
        A client asks for a value and the server hears that.
        """
        client = talk.client()
        client.sends(get(path))
        server = talk.server()
        self.assertEqual(server.raw(), b"get %b\r\n" % path.encode())
        return client, server

    def test_value(self) -> None:
        """
        A value has its length and the type of the URI; its connection serves the next
        request.
        """
        talk = self.talk(store("types { text/css css; }"))
        client, server = self.asked(talk, "/a.css")
        server.sends(b"VALUE /a.css 0 5\r\nhello\r\nEND\r\n")
        heard = client.hears(200, b"hello")
        self.assertEqual(heard["Content-Type"], "text/css")
        self.assertEqual(heard["Content-Length"], "5")
        client.sends(get("/b"))
        self.assertEqual(server.raw(), b"get /b\r\n")
        server.sends(b"END\r\n")
        client.hears(404)
        client.sends(get("/c"))
        self.assertEqual(server.raw(), b"get /c\r\n")
        server.sends(b"VALUE /c 0 0\r\n\r\nEND\r\n")
        client.hears(200, b"")
        talk.isQuiet()

    def test_notFound(self) -> None:
        """
        404 is ours with or without an error page.
        """
        talk = self.talk(
            store(
                "error_page 404 = @other;", server="location @other { return 200 o; }"
            )
        )
        client, server = self.asked(talk)
        server.sends(b"END\r\n")
        client.hears(200, b"o")

    def test_nextAfterNotFound(self) -> None:
        """
        not_found asks the next server; conditions of several lines add up.
        """
        http = upstream("10.0.0.1:1", "10.0.0.2:1")
        talk = self.talk(store("memcached_next_upstream not_found;", http))
        client, server = self.asked(talk)
        server.sends(b"END\r\n")
        second = talk.server()
        self.assertEqual(second.raw(), b"get /a\r\n")
        second.sends(b"VALUE /a 0 1\r\nx\r\nEND\r\n")
        client.hears(200, b"x")

    def test_head(self) -> None:
        """
        The answer to HEAD has no body; the connection, with the value on it, is closed.
        """
        talk = self.talk(store())
        client = talk.client()
        client.sends(get("/a").replace(b"GET", b"HEAD"))
        server = talk.server()
        server.sends(b"VALUE /a 0 5\r\nhel")
        self.assertEqual(client.hears(200, headOnly=True)["Content-Length"], "5")
        server.isClosed()
        talk.isQuiet()

    def test_methods(self) -> None:
        """
        Other methods are not allowed; a GET's body is read and forgotten.
        """
        talk = self.talk(store())
        client = talk.client()
        client.sends(post(b"body"))
        client.hears(405)
        client.sends(post(b"body", "/a", method="GET"))
        server = talk.server()
        self.assertEqual(server.raw(), b"get /a\r\n")
        server.sends(b"VALUE /a 0 1\r\nx\r\nEND\r\n")
        client.hears(200, b"x")
        client.sends(get("/a"))
        server.sends(b"END\r\n")
        client.hears(404)

    def test_noKey(self) -> None:
        """
        Without a key no server is asked: 500.
        """
        talk = self.talk(store("set $memcached_key '';"))
        client = talk.client()
        client.sends(get())
        client.hears(500)
        talk.isLogged('the "$memcached_key" variable is not set')
        talk.noServer()

    def test_hostile(self) -> None:
        """
        Whatever is no answer is 502, and its connection is never used again.
        """
        for said in (
            b"ERROR\r\n",
            b"SERVER_ERROR out of memory\r\n",
            b"VALUE /b 0 1\r\nx\r\nEND\r\n",
            b"VALUE /a 0 x\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"\xff" * 5000,
            b"VALUE /a " + b"1" * 5000,
            b"\n",
        ):
            talk = self.talk(store())
            client, server = self.asked(talk)
            server.sends(said)
            client.hears(502)
            server.isClosed()
            talk.isQuiet()

    def test_nextAfterGarbage(self) -> None:
        """
        invalid_response asks the next server.
        """
        http = upstream("10.0.0.1:1", "10.0.0.2:1")
        talk = self.talk(store("memcached_next_upstream invalid_response;", http))
        client, server = self.asked(talk)
        server.sends(b"ERROR\r\n")
        talk.server().sends(b"VALUE /a 0 1\r\nx\r\nEND\r\n")
        client.hears(200, b"x")

    def test_excess(self) -> None:
        """
        A value that is longer than announced, or followed by something, is cut to its
        length; the connection is closed.
        """
        for said in (
            b"VALUE /a 0 5\r\nhello, world\r\nEND\r\n",
            b"VALUE /a 0 5\r\nhello\r\nEND\r\nVALUE /b 0 1\r\n",
            b"VALUE /a 0 5\r\nhello\r\nOND\r\n",
        ):
            talk = self.talk(store())
            client, server = self.asked(talk)
            server.sends(said)
            client.hears(200, b"hello")
            talk.isLogged("memcached sent invalid trailer while")
            server.isClosed()
            talk.isQuiet()

    def test_cut(self) -> None:
        """
        A value that is not completed is cut for the client, too.
        """
        talk = self.talk(store())
        client, server = self.asked(talk)
        server.sends(b"VALUE /a 0 5\r\nhel")
        server.hangsUp()
        client.hearsPart(200, b"hel")
        client.isClosed()
        talk.isLogged("upstream prematurely closed connection")

    def test_silent(self) -> None:
        """
        A server that says nothing is 504 after memcached_read_timeout.
        """
        talk = self.talk(store("memcached_read_timeout 3s;"))
        client, server = self.asked(talk)
        server.sends(b"VALUE")
        talk.passes(3)
        client.hears(504)
        server.isClosed()

    def test_variables(self) -> None:
        """
        memcached_pass takes variables.
        """
        talk = self.talk(
            configuration(
                "location / { set $memcached_key k; memcached_pass $arg_to:11211; }"
            )
        )
        client = talk.client()
        client.sends(get("/?to=10.0.0.9"))
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.9:11211")
        server.sends(b"END\r\n")
        client.hears(404)


class ConfigurationTests(ConversationCase):
    """
    What is wrong is told when the configuration is read.
    """

    def refuses(self, text: str, expected: str) -> None:
        """
        C{text} is refused with a message that contains this.
        """
        error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
        self.assertIn(expected, str(error))

    def test_directives(self) -> None:
        """
        There are the directives that nginx has, and no others.
        """
        for line, message in (
            ("memcached_buffering off;", 'unknown directive "memcached_buffering"'),
            ("memcached_hide_header A;", 'unknown directive "memcached_hide_header"'),
            ("memcached_next_upstream http_404;", 'invalid value "http_404"'),
        ):
            self.refuses(store(line), message)
        self.talk(
            store(
                "memcached_bind off; memcached_socket_keepalive on;"
                "memcached_connect_timeout 1s; memcached_send_timeout 1s;"
                "memcached_buffer_size 64k; memcached_gzip_flag 2;"
                "memcached_next_upstream_tries 2; memcached_next_upstream_timeout 1s;"
            )
        )

    def test_port(self) -> None:
        """
        There is no default port.
        """
        self.refuses(
            configuration(
                "location / { set $memcached_key k; memcached_pass 10.0.0.1; }"
            ),
            'no port in upstream "10.0.0.1"',
        )

    def test_key(self) -> None:
        """
        Something must set the key.
        """
        self.refuses(
            configuration("location / { memcached_pass 10.0.0.1:11211; }"),
            'unknown "memcached_key" variable',
        )
