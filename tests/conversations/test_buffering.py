"""
Clients that are slower than servers.
"""

from __future__ import annotations

import os

from tests.support.conversation import (
    Client,
    ConversationCase,
    Server,
    Talk,
    answer,
    chunks,
    configuration,
    get,
    proxy,
)

BIG = bytes(range(256)) * 4096
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class SlowCase(ConversationCase):
    """
    A client takes nothing of what a server sends.
    """

    def stalled(self, sent: bytes, more: str = "") -> tuple[Talk, Client, Server]:
        """
        A server has sent C{sent} to a client that takes nothing yet.

        @param more: what stands in the location.
        """
        talk = self.talk(proxy(more))
        client = talk.asks()
        client.stalls()
        server = talk.server()
        server.sends(sent)
        talk.passes(0.2)
        return talk, client, server


class BufferedTests(SlowCase):
    """
    proxy_buffering on.
    """

    def test_temporaryFile(self) -> None:
        """
        What the client does not take waits in a file; the server is free at once.
        """
        talk, client, server = self.stalled(answer(BIG))
        self.assertEqual(len(server.socket.incoming), 0)
        talk.isQuiet()
        server.isOpen()
        talk.isLogged("an upstream response is buffered to a temporary file")
        for _ in range(20):
            client.takes(30000)
        client.takes()
        client.hears(200, BIG)
        client.isOpen()

    def test_cannotBeMade(self) -> None:
        """
        Where no file can be made, the server waits until the client has caught up.
        """
        talk = self.talk(proxy())
        client = talk.asks()
        client.stalls()
        server = talk.server()
        server.sends(answer(BIG))
        talk.withoutTempFiles(lambda: talk.passes(0.2))
        talk.isLogged("failed (2: No such file or directory) while reading upstream")
        self.assertFalse(talk.log.has("buffered to a temporary file"))
        self.assertGreater(len(server.socket.incoming), len(BIG) // 2)
        client.takes()
        client.hears(200, BIG)
        client.isOpen()
        server.isOpen()

    def test_small(self) -> None:
        """
        What fits into the buffers needs no file.
        """
        talk, client, server = self.stalled(answer(BIG[:8192]))
        talk.isQuiet()
        self.assertFalse(talk.log.has("temporary file"))
        client.takes()
        client.hears(200, BIG[:8192])

    def test_noFile(self) -> None:
        """
        proxy_max_temp_file_size 0 lets the server wait instead.
        """
        talk, client, server = self.stalled(answer(BIG), "proxy_max_temp_file_size 0;")
        self.assertGreater(len(server.socket.incoming), len(BIG) // 2)
        for _ in range(20):
            client.takes(30000)
        client.takes()
        client.hears(200, BIG)
        talk.isQuiet()

    def test_smallFile(self) -> None:
        """
        When the file is full, the server waits, too.
        """
        talk, client, server = self.stalled(
            answer(BIG * 2), "proxy_max_temp_file_size 64k;"
        )
        self.assertGreater(len(server.socket.incoming), len(BIG))
        for _ in range(20):
            client.takes(30000)
        client.takes()
        client.hears(200, BIG * 2)
        talk.isQuiet()

    def test_chunks(self) -> None:
        """
        Chunks go through the file, too.
        """
        talk, client, server = self.stalled(
            CHUNKED + chunks(BIG[:300000], BIG[300000:])
        )
        talk.isQuiet()
        client.takes(100)
        client.takes(100000)
        client.takes()
        client.hears(200, BIG)

    def test_untilClose(self) -> None:
        """
        And what ends with its connection.
        """
        talk, client, server = self.stalled(b"HTTP/1.1 200 OK\r\n\r\n" + BIG)
        server.hangsUp()
        talk.isQuiet()
        client.takes(100000)
        client.takes()
        client.hears(200, BIG)

    def test_truncated(self) -> None:
        """
        The client of a response that broke off while it waited in a file is cut off,
        and never told that it was complete.
        """
        talk, client, server = self.stalled(answer(BIG)[:-10])
        server.hangsUp()
        talk.isQuiet()
        client.takes()
        heard = client.message()
        self.assertFalse(heard.complete)
        self.assertTrue(BIG.startswith(heard.body))
        client.isClosed()

    def test_switchesBack(self) -> None:
        """
        A client that catches up gets the rest directly, and may fall behind again.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        data = answer(BIG * 3)
        third = len(BIG)
        for start in range(0, len(data), third):
            client.stalls()
            server.sends(data[start : start + third])
            client.takes(1000)
            client.takes()
        client.hears(200, BIG * 3)
        talk.isQuiet()

    def test_serverSlower(self) -> None:
        """
        A client that is faster than the file is written gets it all.
        """
        talk = self.talk(proxy())
        client = talk.asks()
        client.stalls()
        server = talk.server()
        data = answer(BIG)
        server.sends(data[:200000])
        for start in range(200000, len(data), 50000):
            client.takes(40000)
            server.sends(data[start : start + 50000])
        client.takes()
        client.hears(200, BIG)

    def test_pipelinedBehind(self) -> None:
        """
        The next request waits until the client has taken the response.
        """
        talk = self.talk(proxy())
        client = talk.asks(get("/1") + get("/2"))
        client.stalls()
        server = talk.server()
        server.hears("GET /1 HTTP/1.1")
        server.sends(answer(BIG))
        server.isSilent()
        client.takes()
        client.hears(200, BIG)
        server.hears("GET /2 HTTP/1.1")
        server.sends(answer(b"2"))
        client.hears(200, b"2")


class UnbufferedTests(SlowCase):
    """
    proxy_buffering off.
    """

    def test_backPressure(self) -> None:
        """
        The server is not read faster than the client takes.
        """
        talk, client, server = self.stalled(answer(BIG), "proxy_buffering off;")
        self.assertGreater(len(server.socket.incoming), len(BIG) * 9 // 10)
        self.assertFalse(talk.log.has("temporary file"))
        for _ in range(20):
            client.takes(30000)
        client.takes()
        client.hears(200, BIG)
        talk.isQuiet()

    def test_endWhilePaused(self) -> None:
        """
        A server that has closed behind what waits has sent a whole response.
        """
        talk, client, server = self.stalled(
            b"HTTP/1.1 200 OK\r\n\r\n" + BIG, "proxy_buffering off;"
        )
        server.hangsUp()
        client.takes(1000)
        client.takes()
        client.hears(200, BIG)
        talk.isQuiet()

    def test_atOnce(self) -> None:
        """
        Each piece is passed on at once.
        """
        talk = self.talk(proxy("proxy_buffering off;"))
        client, server = talk.reaches()
        data = answer(b"0123456789")
        server.sends(data[:-10])
        client.raw()
        for byte in b"0123456789":
            server.sends(bytes([byte]))
            self.assertEqual(client.raw(), bytes([byte]))
        talk.isQuiet()


class StaticTests(ConversationCase):
    """
    Files, as slow clients take them.
    """

    def test_file(self) -> None:
        """
        A file is sent as the client takes it, and closed in the end.
        """
        talk = self.talk(configuration("root files; location / { }"))
        os.mkdir(os.path.join(talk.prefix, "files"))
        with open(os.path.join(talk.prefix, "files", "big"), "wb") as file:
            file.write(BIG)
        client = talk.asks(get("/big") + get("/none"))
        client.takes(0)
        client.takes()
        client.hears(200, BIG)
        client.hears(404)
        client.isOpen()

    def test_slow(self) -> None:
        """
        A slow client gets all of it.
        """
        talk = self.talk(configuration("root files; send_timeout 5; location / { }"))
        os.mkdir(os.path.join(talk.prefix, "files"))
        with open(os.path.join(talk.prefix, "files", "big"), "wb") as file:
            file.write(BIG)
        client = talk.client()
        client.stalls()
        client.sends(get("/big"))
        for _ in range(10):
            talk.passes(4.9)
            client.takes(1000)
        client.takes()
        client.hears(200, BIG)
        client.isOpen()
