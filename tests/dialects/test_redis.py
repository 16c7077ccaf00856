"""
Tests for L{twisted_upstream.dialects.redis}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.dialects.test_memcached import Asker
from tests.support.conversation import (
    ConversationCase,
    configuration,
    get,
    post,
    upstream,
)
from tests.wire.splits import everySplit
from twisted_upstream.dialects.redis import RedisExchange, command
from twisted_upstream.wire.response1 import InvalidHead


def exchange(*auth: bytes, database: bytes | None = None) -> RedisExchange:
    """
    An exchange whose request was made.
    """
    options: Any = SimpleNamespace(
        key=lambda client: b"k",
        database=lambda client: database,
        auth=tuple((lambda client, word=word: word) for word in auth),
        typeOf=lambda uri: b"text/x",
    )
    made = RedisExchange(options, Asker())
    made.createRequest()
    return made


class CommandTests(SynchronousTestCase):
    """
    L{command} and L{RedisExchange.createRequest}.
    """

    def test_bytes(self) -> None:
        """
        Words have their lengths, and may have any bytes.
        """
        self.assertEqual(
            command(b"GET", b"a\r\nb"), b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n"
        )

    def test_request(self) -> None:
        """
        AUTH where there is a password, then SELECT, then GET.
        """
        select, ask = command(b"SELECT", b"0"), command(b"GET", b"k")
        self.assertEqual(exchange().createRequest(), select + ask)
        self.assertEqual(exchange(b"").createRequest(), select + ask)
        self.assertEqual(
            exchange(b"pw").createRequest(), command(b"AUTH", b"pw") + select + ask
        )
        self.assertEqual(
            exchange(b"me", b"pw", database=b"7").createRequest(),
            command(b"AUTH", b"me", b"pw") + command(b"SELECT", b"7") + ask,
        )

    def test_database(self) -> None:
        """
        A database is a number.
        """
        self.assertIsNone(exchange(database=b"x y").createRequest())


class HeadTests(SynchronousTestCase):
    """
    L{RedisExchange.processHeader}.
    """

    def test_everySplit(self) -> None:
        """
        A head is found as soon as its last line is complete, and not before.
        """
        for auth, before in (((), b"+OK\r\n"), ((b"pw",), b"+OK\r\n+OK\r\n")):
            for line, status, length in (
                (b"$5\r\n", 200, 5),
                (b"$0\r\n", 200, 0),
                (b"$-1\r\n", 404, 0),
            ):
                data = before + line

                def parse(piece: bytes, auth: Any = auth) -> Any:
                    head = exchange(*auth).processHeader(piece)
                    if head is None:
                        return None
                    return head.status, head.contentLength, head.consumed

                found = list(everySplit(parse, data + b"hello\r\n"))
                self.assertEqual(found[0][0], len(data))
                self.assertEqual(
                    {each for _, each in found}, {(status, length, len(data))}
                )

    def test_wrong(self) -> None:
        """
        Errors and whatever else is no answer are refused, at the end of their line at
        the latest.
        """
        for data, shown in (
            (
                b"-NOAUTH Authentication required.\r\n",
                "-NOAUTH Authentication required.",
            ),
            (b"+OK\r\n-WRONGTYPE Operation\r\n", "-WRONGTYPE Operation"),
            (b"+OK\r\n:5\r\n", ":5"),
            (b"+OK\r\n+OK\r\n", "+OK"),
            (b"+OK\r\n$-2\r\n", "$-2"),
            (b"+OK\r\n$5\n", "$5\n"),
            (b"+OK\r\n$" + b"9" * 90, "$" + "9" * 79),
            (b"$5\r\n", "$5"),
        ):
            made = exchange()
            found = [each for _, each in everySplit(made.processHeader, data)]
            self.assertEqual(found[-1][0], InvalidHead, data)
            self.assertIn(f'redis sent invalid response: "{shown}', found[-1][1])

    def test_everyBodySplit(self) -> None:
        """
        A value comes whole however it is cut, and the connection stays good.
        """
        data = b"he\r\nllo\r\n"
        for at in range(len(data) + 1):
            made = exchange()
            head = made.processHeader(b"+OK\r\n$7\r\n")
            assert head is not None
            body = made.inputFilterInit(head)
            out = body.inputFilter(data[:at]) + body.inputFilter(data[at:])
            self.assertEqual((out, body.remaining, body.excess), (data[:-2], 0, b""))
            self.assertTrue(made.reusable)

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=120), st.integers(0, 20))
    def test_anything(self, data: bytes, at: int) -> None:
        """
        Whatever comes after however much of an answer: a head, more, or InvalidHead.
        """
        made = exchange()
        text = b"+OK\r\n$5\r\nhello\r\n"[:at] + data
        try:
            head = made.processHeader(text)
        except InvalidHead:
            return
        if head is not None:
            self.assertIn(head.status, (200, 404))
            made.inputFilterInit(head).inputFilter(text[head.consumed :])


HTTP = upstream("10.0.0.1:6379", more="keepalive 4;")


class ConversationTests(ConversationCase):
    """
    Whole requests.
    """

    def test_values(self) -> None:
        """
        The URI is the key where nothing is said; connections are kept.
        """
        talk = self.talk(configuration("location / { redis_pass u; }", HTTP))
        client = talk.client()
        client.sends(get("/a"))
        server = talk.server()
        self.assertEqual(
            server.raw(), command(b"SELECT", b"0") + command(b"GET", b"/a")
        )
        server.sends(b"+OK\r\n$5\r\nhello\r\n")
        client.hears(200, b"hello")
        client.sends(get("/b"))
        server.raw()
        server.sends(b"+OK\r\n$-1\r\n")
        client.hears(404)
        client.sends(get("/c").replace(b"GET", b"HEAD"))
        server.raw()
        server.sends(b"+OK\r\n$3\r\n")
        self.assertEqual(client.hears(200, headOnly=True)["Content-Length"], "3")
        server.isClosed()
        client.sends(post(b"x"))
        client.hears(405)
        talk.isQuiet()

    def test_passwords(self) -> None:
        """
        A connection that one location's password opened is not another's.
        """
        talk = self.talk(
            configuration(
                "location /a { redis_pass u; redis_auth pw; set $redis_key k; }"
                "location /b { redis_pass u; redis_database 3; set $redis_db 4; }",
                HTTP,
            )
        )
        client = talk.client()
        client.sends(get("/a"))
        first = talk.server()
        self.assertEqual(
            first.raw(),
            command(b"AUTH", b"pw") + command(b"SELECT", b"0") + command(b"GET", b"k"),
        )
        first.sends(b"+OK\r\n+OK\r\n$-1\r\n")
        client.hears(404)
        client.sends(get("/b"))
        second = talk.server()
        self.assertIn(command(b"SELECT", b"3"), second.raw())
        second.sends(b"+OK\r\n$-1\r\n")
        client.hears(404)
        client.sends(get("/a"))
        self.assertIn(b"AUTH", first.raw())
        first.sends(b"+OK\r\n+OK\r\n$-1\r\n")
        client.hears(404)

    def test_hostile(self) -> None:
        """
        Whatever is no answer is 502, and its connection is never used again.
        """
        for said in (
            b"-ERR unknown\r\n",
            b"+OK\r\n*1\r\n$1\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"x" * 5000,
            b"+OK\r\n$" + b"1" * 5000,
        ):
            talk = self.talk(configuration("location / { redis_pass u; }", HTTP))
            client = talk.client()
            client.sends(get())
            server = talk.server()
            server.raw()
            server.sends(said)
            client.hears(502)
            server.isClosed()
            talk.isQuiet()

    def test_excess(self) -> None:
        """
        A value that is longer than announced is cut, and its connection closed.
        """
        talk = self.talk(configuration("location / { redis_pass u; }", HTTP))
        client = talk.client()
        client.sends(get())
        server = talk.server()
        server.raw()
        server.sends(b"+OK\r\n$5\r\nhello, world\r\n")
        client.hears(200, b"hello")
        talk.isLogged("redis sent invalid trailer")
        server.isClosed()
