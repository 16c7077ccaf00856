"""
Tests for L{twisted_upstream.http.phases.gzip}.
"""

from __future__ import annotations

import gzip
import os
import zlib
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.conversation import (
    ConversationCase,
    answer,
    get,
    proxy,
    upstream,
)
from tests.support.fakerequest import configure, messages
from tests.support.taker import Taker
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.http.phases.gzip import Gzip, GzipOptions, gzipRatio

ACCEPTS = "Accept-Encoding: gzip"
HTML = "Content-Type: text/html"
TEXT = b"".join(b"%d " % (n * n) for n in range(60_000))


def made(taker: Any, most: int = 65536) -> Gzip:
    """
    A filter with the usual settings.
    """
    return Gzip(taker, most, 4096, 1, 15, 8)


class GzipTests(SynchronousTestCase):
    """
    L{Gzip}.
    """

    def test_everySplit(self) -> None:
        """
        A body comes out the same however it is cut.
        """
        text = b"hello, " * 5
        for at in range(len(text) + 1):
            taker = Taker()
            body = made(taker)
            body.putBody(text[:at])
            body.putBody(text[at:])
            self.assertEqual(taker.out, [])
            body.putEnd()
            self.assertEqual(gzip.decompress(b"".join(taker.out)), text)
            self.assertTrue(taker.ended)

    def test_flushes(self) -> None:
        """
        Where nothing is buffered, each piece can be read at once.
        """
        taker = Taker()
        taker.flushes = True
        body = made(taker)
        unpack = zlib.decompressobj(wbits=31)
        for piece in (b"hello", b", ", b"world"):
            body.putBody(piece)
            self.assertEqual(unpack.decompress(b"".join(taker.out)), piece)
            taker.out.clear()
        body.putEnd()
        self.assertEqual(unpack.decompress(b"".join(taker.out)), b"")
        self.assertTrue(unpack.eof)

    def test_cut(self) -> None:
        """
        What is not completed has no end, but all that came.
        """
        taker = Taker()
        body = made(taker)
        body.putBody(b"hello")
        body.putCut()
        unpack = zlib.decompressobj(wbits=31)
        self.assertEqual(unpack.decompress(b"".join(taker.out)), b"hello")
        self.assertFalse(unpack.eof)
        self.assertTrue(taker.cut and not taker.ended)

    def test_slow(self) -> None:
        """
        What the client does not take waits as it is; who puts is told.
        """
        taker = Taker(room=False)
        body = made(taker)
        told: list[int] = []
        for _ in range(10):
            body.putBody(os.urandom(70_000))
        self.assertEqual(len(taker.out), 1)
        self.assertFalse(body.canPut(10**9))
        body.whenPut(lambda: told.append(1))
        while taker.callback is not None:
            taker.out.clear()
            callback, taker.callback = taker.callback, None
            callback()
        self.assertEqual(told, [1])
        body.stop()

    def test_turns(self) -> None:
        """
        A large file is compressed in several turns.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(bytes(5_000_000))
        fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        taker = Taker()
        body = made(taker)
        body.putRegion(fd, 0, 5_000_000)
        body.putEnd()
        turns = 0
        while taker.callback is not None:
            turns += 1
            callback, taker.callback = taker.callback, None
            callback()
        self.assertEqual(turns, 4)
        self.assertEqual(gzip.decompress(b"".join(taker.out)), bytes(5_000_000))

    def test_ratio(self) -> None:
        """
        C{$gzip_ratio} has two digits, and comes with the end.
        """
        for values, expected in (
            ((2125, 1000), b"2.13"),
            ((2124, 1000), b"2.12"),
            ((1996, 1000), b"2.00"),
            ((5, 100), b"0.05"),
            ((0, 0), None),
        ):
            taker = Taker()
            taker.notes[Gzip] = values
            self.assertEqual(gzipRatio(taker), expected)
        taker = Taker()
        body = made(taker)
        body.putBody(bytes(1000))
        self.assertIsNone(gzipRatio(taker))
        body.putEnd()
        self.assertGreater(float(gzipRatio(taker) or 0), 10)

    def test_wrong(self) -> None:
        """
        Levels, windows and buffers are checked.
        """
        for text, message in (
            ("gzip_comp_level 0;", "value must be equal to or greater than 1"),
            ("gzip_comp_level 10;", "value must be equal to or less than 9"),
            ("gzip_window 3k;", "must be 512, 1k, 2k, 4k, 8k, 16k, or 32k"),
            (
                "gzip_hash 1;",
                "must be 512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k",
            ),
            ("gzip_buffers 0 4k;", "invalid value"),
        ):
            error = self.assertRaises(ConfigError, configure, text, GzipOptions)
            self.assertIn(message, messages(error)[0])
        options = configure("gzip_window 512; gzip_hash 128k;", GzipOptions)
        self.assertEqual(options.of(GzipOptions).window, 9)
        self.assertEqual(options.of(GzipOptions).hash, 9)


class ConversationTests(ConversationCase):
    """
    Whole responses.
    """

    def test_packs(self) -> None:
        """
        Who accepts gzip gets it, in chunks, with a weak ETag, in one write; others as
        it came; both are told what it depends on.
        """
        talk = self.talk(proxy("gzip on; gzip_vary on;"))
        text = b"hello " * 20
        response = answer(text, HTML, 'ETag: "a"', "Accept-Ranges: bytes")
        client = talk.client()
        client.sends(get("/", ACCEPTS))
        server = talk.server()
        server.raw()
        server.sends(response)
        heard = client.hears(200)
        self.assertEqual(gzip.decompress(heard.body), text)
        self.assertEqual(heard["Transfer-Encoding"], "chunked")
        self.assertEqual(heard["Content-Encoding"], "gzip")
        self.assertEqual(heard["ETag"], 'W/"a"')
        self.assertEqual(heard["Vary"], "Accept-Encoding")
        self.assertIsNone(heard["Accept-Ranges"])
        client.sends(get())
        server.raw()
        server.sends(response)
        heard = client.hears(200, text)
        self.assertEqual(heard["ETag"], '"a"')
        self.assertEqual(heard["Vary"], "Accept-Encoding")
        client.sends(get("/", ACCEPTS).replace(b"GET", b"HEAD"))
        server.raw()
        server.sends(response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        heard = client.hears(200, headOnly=True)
        self.assertEqual(heard["Content-Encoding"], "gzip")
        talk.isQuiet()

    def test_not(self) -> None:
        """
        Not compressed: short ones, other types, other statuses, what is encoded.
        """
        talk = self.talk(proxy("gzip on;"))
        client = talk.client()
        server: Any = None
        for body, *fields in (
            (b"x" * 19, HTML),
            (b"x" * 50, "Content-Type: text/plain"),
            (b"x" * 50,),
            (b"x" * 50, HTML, "Content-Encoding: br"),
        ):
            client.sends(get("/", ACCEPTS))
            server = server or talk.server()
            server.raw()
            server.sends(answer(body, *fields))
            self.assertIsNone(client.hears(200, body)["Transfer-Encoding"])
        client.sends(get("/", ACCEPTS))
        server.raw()
        server.sends(answer(b"x" * 50, HTML).replace(b"200 OK", b"500 Oops"))
        client.hears(500, b"x" * 50)
        talk.isQuiet()

    def test_slowClient(self) -> None:
        """
        A server is held up by a client that takes nothing.
        """
        talk = self.talk(proxy("gzip on; gzip_buffers 4 4k; proxy_buffering off;"))
        client = talk.client()
        client.sends(get("/", ACCEPTS))
        client.stalls()
        server = talk.server()
        server.raw()
        body = os.urandom(2_000_000)
        server.sends(answer(body, HTML))
        self.assertLessEqual(len(talk.http.clients[0].outgoing), 200_000)
        client.takes()
        heard = client.hears(200)
        self.assertEqual(gzip.decompress(heard.body), body)
        talk.isQuiet()

    def test_spooled(self) -> None:
        """
        A response that waits in a file is compressed from there.
        """
        http = upstream("10.0.0.1:80")
        talk = self.talk(
            proxy("gzip on; proxy_buffers 2 4k; proxy_busy_buffers_size 4k;", http=http)
        )
        client = talk.client()
        client.sends(get("/", ACCEPTS))
        client.stalls()
        server = talk.server()
        server.raw()
        response = answer(TEXT, HTML)
        server.sends(response[:300_000])
        talk.passes(0.2)
        server.sends(response[300_000:])
        talk.passes(0.2)
        client.takes()
        heard = client.hears(200)
        self.assertEqual(gzip.decompress(heard.body), TEXT)
        talk.isQuiet()

    def test_paced(self) -> None:
        """
        C{limit_rate} counts what is sent.
        """
        talk = self.talk(proxy("gzip on; limit_rate 10k;"))
        client = talk.client()
        client.sends(get("/", ACCEPTS))
        server = talk.server()
        server.raw()
        server.sends(answer(bytes(1_000_000), HTML))
        talk.passes(1)
        heard = client.hears(200)
        self.assertEqual(gzip.decompress(heard.body), bytes(1_000_000))
        talk.isQuiet()

    def test_prematureEnd(self) -> None:
        """
        A response that ends too early is cut, and the client has what there was.
        """
        talk = self.talk(proxy("gzip on;", http=upstream("10.0.0.1:80")))
        client = talk.client()
        client.sends(get("/", ACCEPTS))
        server = talk.server()
        server.raw()
        server.sends(answer(b"hello" * 100, HTML)[:-3])
        server.ends()
        heard = client.message()
        self.assertFalse(heard.complete)
        unpack = zlib.decompressobj(wbits=31)
        self.assertEqual(unpack.decompress(heard.body), (b"hello" * 100)[:-3])
        client.isClosed()
        talk.isQuiet()
