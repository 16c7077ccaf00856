"""
Tests for L{twisted_upstream.embed.answering}: servers that fail, clients that leave.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactor, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tests.embed.memory import B
from tests.embed.sites import SiteCase
from tests.support.conversation import (
    answer,
    get,
)
from twisted_upstream.embed.answering import writeNow


class TroubleTests(SiteCase):
    """
    Servers that fail, clients that leave.
    """

    def test_next(self) -> None:
        """
        When a server fails, the next one is asked.
        """
        self.begin()
        self.says(get("/api/"))
        self.server().hangsUp()
        server = self.server()
        self.assertEqual(server.name, B)
        server.sends(answer(b"b"))
        self.assertEqual(self.heard().body, b"b")
        self.assertEqual(self.fails(), [1, 0])

    def test_noneLeft(self) -> None:
        """
        When all fail, the client is told.
        """
        self.begin(readTimeout=1.0, nextUpstreamTries=1)
        self.says(get("/api/"))
        self.server().hangsUp()
        self.assertEqual(self.heard().first, "HTTP/1.1 502 Bad Gateway")
        self.says(get("/api/"))
        self.server()
        self.passes(1)
        self.assertEqual(self.heard().first, "HTTP/1.1 504 Gateway Time-out")

    def test_cut(self) -> None:
        """
        When a server cuts its response, so is the client's.
        """
        self.begin()
        self.says(get("/api/"))
        server = self.server()
        server.sends(answer(b"12345")[:-2])
        server.hangsUp()
        heard = self.heard()
        self.assertEqual((heard.body, heard.complete), (b"123", False))
        self.assertTrue(self.client.disconnecting)

    def test_clientLeaves(self) -> None:
        """
        A client that leaves lets the server go, before and within the response.
        """
        for data in (b"", answer(b"12345")[:-2]):
            self.begin()
            self.says(get("/api/"))
            server = self.server()
            if data:
                server.sends(data)
            self.leave()
            self.settle()
            server.isClosed()
            self.assertEqual(self.fails(), [0, 0])

    def test_backPressure(self) -> None:
        """
        A client that takes nothing lets the server wait.
        """
        self.begin()
        self.says(get("/api/"))
        server = self.server()
        server.sends(answer(b"x" * 100000)[:-99999])
        self.client.producer.pauseProducing()
        server.sends(b"x" * 999)
        for _ in range(9):
            server.sends(b"x" * 10000)
        self.assertGreater(len(server.socket.incoming), 0)
        self.passes(1000)
        self.client.producer.resumeProducing()
        self.settle()
        server.sends(b"x" * 9000)
        self.assertEqual(len(self.heard().body), 100000)
        self.assertEqual(self.fails(), [0, 0])

    def test_closed(self) -> None:
        """
        A closed group answers nothing any more.
        """
        self.begin()
        self.says(get("/api/"))
        self.server()
        self.upstream.close()
        self.assertEqual(self.heard().status, 502)
        self.says(get("/api/"))
        self.assertEqual(self.heard().status, 502)


class _Socket:
    """
    Takes what it is told to take.
    """

    def __init__(self, *counts: int) -> None:
        self.counts = list(counts)
        self.data = b""

    def send(self, data: Any) -> int:
        """
        Take some; all, if nothing is said.
        """
        count = self.counts.pop(0) if self.counts else len(data)
        if count < 0:
            raise BlockingIOError
        self.data += bytes(data[:count])
        return count


class WriteNowTests(SynchronousTestCase):
    """
    Tests for L{writeNow}.
    """

    def transport(self, *counts: int) -> Any:
        """
        A connection of TCP.
        """
        transport: Any = Server.__new__(Server)
        self.reactor = MemoryReactor()
        FileDescriptor.__init__(transport, self.reactor)
        transport.connected = True
        transport.socket = _Socket(*counts)
        return transport

    def test_atOnce(self) -> None:
        """
        What is written to a connection that owes nothing is sent at once.
        """
        transport = self.transport()
        writeNow(transport, b"abc")
        self.assertEqual(transport.socket.data, b"abc")
        self.assertEqual(self.reactor.writers, set())

    def test_rest(self) -> None:
        """
        What is not taken waits for the reactor; what follows waits behind it.
        """
        for count, sent in ((1, b"a"), (0, b""), (-1, b"")):
            transport = self.transport(count)
            writeNow(transport, b"abc")
            writeNow(transport, b"def")
            self.assertEqual(transport.socket.data, sent)
            self.assertEqual(self.reactor.writers, {transport})
            transport.doWrite()
            self.assertEqual(transport.socket.data, b"abcdef")

    def test_notNow(self) -> None:
        """
        Connections that are ending, or over TLS, or of a Twisted that hides whether
        they owe anything, decide for themselves.
        """
        for name, value in (
            ("TLS", True),
            ("disconnecting", True),
            ("connected", False),
            ("dataBuffer", b"x"),
            ("_tempDataBuffer", None),
        ):
            transport = self.transport()
            if value is None:
                del transport._tempDataBuffer
            else:
                setattr(transport, name, value)
            written: list[bytes] = []
            transport.write = written.append
            writeNow(transport, b"abc")
            self.assertEqual((written, transport.socket.data), ([b"abc"], b""), name)

    def test_others(self) -> None:
        """
        So do other transports.
        """
        transport = StringTransport()
        writeNow(transport, b"abc")
        self.assertEqual(transport.value(), b"abc")
