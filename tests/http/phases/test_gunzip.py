"""
Tests for L{twisted_upstream.http.phases.gunzip}.
"""

from __future__ import annotations

import gzip

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.conversation import (
    ConversationCase,
    answer,
    get,
    proxy,
    upstream,
)
from tests.support.taker import Taker
from twisted_upstream.http.phases.gunzip import Gunzip

ENCODED = "Content-Encoding: gzip"


class GunzipTests(SynchronousTestCase):
    """
    L{Gunzip}.
    """

    def test_everySplit(self) -> None:
        """
        A body comes out the same however it is cut; one file may follow another.
        """
        text = b"hello, " * 10
        data = gzip.compress(text) + gzip.compress(b"world")
        for at in range(len(data) + 1):
            taker = Taker()
            body = Gunzip(taker, 16)
            body.putBody(data[:at])
            body.putBody(data[at:])
            body.putEnd()
            self.assertEqual(b"".join(taker.out), text + b"world")
            self.assertTrue(taker.ended)
            self.assertLessEqual(max(map(len, taker.out)), 16)

    def test_bomb(self) -> None:
        """
        However much comes out: it is made only when the one before was taken.
        """
        data = gzip.compress(bytes(10_000_000))
        taker = Taker(room=False)
        body = Gunzip(taker, 65536)
        body.putBody(data)
        body.putEnd()
        total = 0
        while not taker.ended:
            self.assertEqual(len(taker.out), 1)
            total += len(taker.out.pop())
            if taker.callback is not None:
                callback, taker.callback = taker.callback, None
                callback()
        total += sum(map(len, taker.out))
        self.assertEqual(total, 10_000_000)

    def test_broken(self) -> None:
        """
        What is no gzip, or half of it, is cut; what comes later is ignored.
        """
        data = gzip.compress(b"hello")
        for wrong, message in (
            (b"plain text", "inflate() failed: 0, -3"),
            (data[:-9], "inflate() returned -5 on response end"),
            (data[:-4] + b"xxxx", "inflate() failed: 0, -3"),
            (data + b"trailing", "inflate() failed: 0, -3"),
            (b"", "inflate() returned -5 on response end"),
        ):
            taker = Taker()
            body = Gunzip(taker, 65536)
            body.putBody(wrong)
            body.putEnd()
            body.putBody(b"more")
            self.assertEqual(taker.logged, [message])
            self.assertTrue(taker.cut and not taker.ended)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.binary(max_size=30), max_size=5), st.integers(0, 40))
    def test_anything(self, pieces: list[bytes], at: int) -> None:
        """
        Whatever comes: it ends well or is cut, once.
        """
        taker = Taker()
        body = Gunzip(taker, 64)
        body.putBody(gzip.compress(b"hello", mtime=0)[:at])
        for piece in pieces:
            body.putBody(piece)
        body.putEnd()
        self.assertNotEqual(taker.ended, taker.cut)

    def test_stop(self) -> None:
        """
        Once stopped, nothing happens any more.
        """
        taker = Taker(room=False)
        body = Gunzip(taker, 16)
        body.putBody(gzip.compress(bytes(100)))
        body.stop()
        taker.callback()
        self.assertEqual(len(taker.out), 1)


class ConversationTests(ConversationCase):
    """
    Whole responses.
    """

    def test_unpacks(self) -> None:
        """
        Who does not accept gzip gets the response plain, in chunks, with a weak ETag;
        who does, as it came.
        """
        talk = self.talk(proxy("gunzip on;"))
        data = gzip.compress(b"hello")
        response = answer(data, ENCODED, 'ETag: "a"', "Accept-Ranges: bytes")
        client = talk.client()
        client.sends(get())
        server = talk.server()
        server.raw()
        server.sends(response)
        heard = client.hears(200, b"hello")
        self.assertEqual(heard["Transfer-Encoding"], "chunked")
        self.assertEqual(heard["ETag"], 'W/"a"')
        self.assertIsNone(heard["Content-Encoding"])
        self.assertIsNone(heard["Accept-Ranges"])
        client.sends(get("/", "Accept-Encoding: gzip"))
        server.raw()
        server.sends(response)
        heard = client.hears(200, data)
        self.assertEqual(heard["ETag"], '"a"')
        client.sends(get().replace(b"GET", b"HEAD"))
        server.raw()
        server.sends(response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        self.assertIsNone(client.hears(200, headOnly=True)["Content-Encoding"])
        talk.isQuiet()

    def test_slowClient(self) -> None:
        """
        A response that grows a thousandfold waits in its small form.
        """
        talk = self.talk(proxy("gunzip on; gunzip_buffers 4 4k;"))
        client = talk.client()
        client.sends(get())
        client.stalls()
        server = talk.server()
        server.raw()
        server.sends(answer(gzip.compress(bytes(5_000_000)), ENCODED))
        connection = talk.http.clients[0]
        self.assertLessEqual(len(connection.outgoing), 100_000)
        client.takes()
        client.hears(200, bytes(5_000_000))
        talk.isQuiet()

    def test_spooled(self) -> None:
        """
        A compressed response that waits in a file is unpacked from there.
        """
        http = upstream("10.0.0.1:80")
        talk = self.talk(
            proxy(
                "gunzip on; proxy_buffers 2 4k; proxy_busy_buffers_size 4k;", http=http
            )
        )
        text = b"".join(b"%d " % (n * n) for n in range(60_000))
        client = talk.client()
        client.sends(get())
        client.stalls()
        server = talk.server()
        server.raw()
        response = answer(gzip.compress(text), ENCODED)
        server.sends(response[:60_000])
        talk.passes(0.2)
        server.sends(response[60_000:])
        talk.passes(0.2)
        client.takes()
        client.hears(200, text)
        talk.isQuiet()

    def test_broken(self) -> None:
        """
        What is no gzip is cut, and nothing is left over.
        """
        http = upstream("10.0.0.1:80", more="keepalive 0;")
        talk = self.talk(proxy("gunzip on;", http=http))
        for response in (answer(b"plain", ENCODED), answer(b"", ENCODED)):
            client = talk.client()
            client.sends(get())
            talk.server().sends(response)
            client.isClosed()
            talk.isQuiet()
        talk.isLogged("inflate()")

    def test_off(self) -> None:
        """
        It is off by default, and other encodings are passed.
        """
        data = gzip.compress(b"hello")
        for more, field in (("", ENCODED), ("gunzip on;", "Content-Encoding: br")):
            talk = self.talk(proxy(more))
            client = talk.client()
            client.sends(get())
            talk.server().sends(answer(data, field))
            client.hears(200, data)
