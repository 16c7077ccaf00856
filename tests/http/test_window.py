"""
Tests for L{twisted_upstream.http.window}, and of responses that are asked for in part.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.dialects.test_memcached import store
from tests.support.conversation import ConversationCase, answer, chunks, get, message
from tests.support.conversation import proxy as passing
from twisted_upstream.http.window import Window


class WindowTests(SynchronousTestCase):
    """
    L{Window}.
    """

    def test_everySplit(self) -> None:
        """
        The part is the same however the whole is cut, and its bytes in a file as well.
        """
        text = b"0123456789"
        for start in range(10):
            for end in range(start + 1, 11):
                for at in range(11):
                    window = Window(start, end)
                    out = window.cut(text[:at]) + window.cut(text[at:])
                    self.assertEqual(out, text[start:end])
                    window = Window(start, end)
                    out = b""
                    for place, size in ((0, at), (at, 10 - at)):
                        place, size = window.cutRegion(place, size)
                        out += text[place : place + size]
                    self.assertEqual(out, text[start:end])


class RangeTests(ConversationCase):
    """
    Whole responses.
    """

    def test_memcached(self) -> None:
        """
        One part of a value is 206; several, or none, are what nginx makes of them.
        """
        talk = self.talk(store())
        client = talk.client()
        server = None
        for asked, status, body, field in (
            ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
            ("bytes=-1", 206, b"9", "bytes 9-9/10"),
            ("bytes=0-0,5-6", 200, b"0123456789", None),
            ("items=1", 200, b"0123456789", None),
            ("bytes=10-", 416, None, "bytes */10"),
        ):
            client.sends(get("/a", f"Range: {asked}"))
            server = server or talk.server()
            server.sends(b"VALUE /a 0 10\r\n01234")
            if status != 416:
                server.sends(b"56789\r\nEND\r\n")
            heard = client.hears(status, body)
            self.assertEqual(heard["Content-Range"], field)
            self.assertEqual(heard["Accept-Ranges"], "bytes" if status == 200 else None)
        talk.isQuiet()

    def test_proxy(self) -> None:
        """
        proxy_force_ranges: whatever the server says of ranges; only where the length
        is known.
        """
        talk = self.talk(passing("proxy_force_ranges on;"))
        client = talk.client()
        client.sends(get("/", "Range: bytes=1-2"))
        server = talk.server()
        server.raw()
        server.sends(answer(b"hello", "Accept-Ranges: none"))
        heard = client.hears(206, b"el")
        self.assertIsNone(heard["Accept-Ranges"])
        client.sends(get("/", "Range: bytes=1-2"))
        server.raw()
        head = message("HTTP/1.1 200 OK", ("Transfer-Encoding: chunked",))
        server.sends(head + chunks(b"hello"))
        client.hears(200, b"hello")
        client.sends(get("/", "Range: bytes=7-"))
        server.raw()
        server.sends(answer(b"hello"))
        client.hears(416)
        talk.isQuiet()

    def test_ifRange(self) -> None:
        """
        If-Range is compared with the server's ETag or Last-Modified; the part may go
        out in chunks.
        """
        day = "Mon, 28 Sep 1970 06:00:00 GMT"
        talk = self.talk(passing("proxy_force_ranges on; add_trailer X-T '';"))
        client = talk.client()
        server = None
        for condition, status, body in (
            (day, 206, b"lo"),
            ('"a"', 206, b"lo"),
            ("Mon, 28 Sep 1970 06:00:01 GMT", 200, b"hello"),
            ('"b"', 200, b"hello"),
        ):
            client.sends(get("/", "Range: bytes=-2", f"If-Range: {condition}"))
            server = server or talk.server()
            server.raw()
            server.sends(answer(b"hello", f"Last-Modified: {day}", 'ETag: "a"'))
            heard = client.hears(status, body)
            self.assertEqual(heard["Transfer-Encoding"], "chunked")

    def test_paced(self) -> None:
        """
        A part is cut once, also where the rate is limited.
        """
        talk = self.talk(passing("proxy_force_ranges on; limit_rate 1000;"))
        client = talk.client()
        client.sends(get("/", "Range: bytes=1-3"))
        server = talk.server()
        server.raw()
        server.sends(answer(b"hello"))
        talk.passes(3)
        client.hears(206, b"ell")
