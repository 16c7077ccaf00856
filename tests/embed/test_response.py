"""
Tests for L{twisted_upstream.embed.response}: bodies that come.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.client import (
    ResponseDone,
    ResponseFailed,
    readBody,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import (
    UNKNOWN_LENGTH,
)
from zope.interface.verify import verifyObject

from tests.embed.agents import AgentCase, Taker
from tests.support.conversation import answer, chunks, message


class BodyTests(AgentCase):
    """
    Bodies of responses.
    """

    def response(self, data: bytes) -> Any:
        """
        A response that begins so.
        """
        self.begin()
        result = self.get()
        self.peer = self.server()
        self.peer.sends(data)
        return self.successResultOf(result)

    def test_streamed(self) -> None:
        """
        It is delivered as it comes.
        """
        response = self.response(answer(b"12345")[:-4])
        taker = Taker()
        response.deliverBody(taker)
        verifyObject(IPushProducer, taker.transport)
        for data in (b"2", b"34"):
            self.peer.sends(data)
        self.assertEqual(taker.data, b"1234")
        self.peer.sends(b"5")
        self.assertEqual(taker.data, b"12345")
        self.assertIsInstance(taker.reason, ResponseDone)
        self.assertRaises(RuntimeError, response.deliverBody, Taker())
        self.assertEqual(self.upstream.status.idle, 1)

    def test_chunked(self) -> None:
        """
        Chunks are taken out of their frames.
        """
        data = message("HTTP/1.1 200 OK", ("Transfer-Encoding: chunked",))
        response = self.response(data + chunks(b"abc", b"def"))
        self.assertEqual(response.length, UNKNOWN_LENGTH)
        taker = Taker()
        response.deliverBody(taker)
        self.assertEqual(taker.data, b"abcdef")
        self.assertIsInstance(taker.reason, ResponseDone)

    def test_untilClose(self) -> None:
        """
        Nobody knows whether a body is complete that ends with the connection.
        """
        response = self.response(message("HTTP/1.1 200 OK", (), b"abc"))
        taker = Taker()
        response.deliverBody(taker)
        self.peer.hangsUp()
        self.assertEqual(taker.data, b"abc")
        self.assertIsInstance(taker.reason, PotentialDataLoss)

    def test_cut(self) -> None:
        """
        A body that is cut ends with an error that says so.
        """
        response = self.response(answer(b"12345")[:-2])
        taker = Taker()
        response.deliverBody(taker)
        self.peer.hangsUp()
        self.assertEqual(taker.data, b"123")
        self.assertIsInstance(taker.reason, ResponseFailed)
        self.assertIn("prematurely closed", str(taker.reason.reasons[0].value))

    def test_timeout(self) -> None:
        """
        A server that goes silent within the body is given up.
        """
        response = self.response(answer(b"12345")[:-2])
        taker = Taker()
        response.deliverBody(taker)
        self.passes(60)
        self.assertIn("timed out", str(taker.reason.reasons[0].value))
        self.assertEqual(self.fails(), [0, 0])

    def test_backPressure(self) -> None:
        """
        Who wants nothing for now gets nothing, and the server has to wait.
        """
        response = self.response(answer(b"x" * 100000)[:-99990])
        taker = Taker(pause=True)
        response.deliverBody(taker)
        self.assertEqual(taker.data, b"")
        for _ in range(9):
            self.peer.sends(b"x" * 10000)
        self.assertGreater(len(self.peer.socket.incoming), 0)
        self.passes(1000)
        taker.transport.resumeProducing()  # type: ignore[union-attr]
        self.settle()
        self.peer.sends(b"x" * 9990)
        self.assertEqual(len(taker.data), 100000)
        self.assertIsInstance(taker.reason, ResponseDone)

    def test_pauseAtTheEnd(self) -> None:
        """
        Not even the end is told to who wants nothing.
        """
        response = self.response(answer(b"12345"))
        taker = Taker(pause=True)
        response.deliverBody(taker)
        self.assertIsNone(taker.reason)
        taker.transport.resumeProducing()  # type: ignore[union-attr]
        self.assertEqual(taker.data, b"12345")
        self.assertIsInstance(taker.reason, ResponseDone)

    def test_late(self) -> None:
        """
        Short bodies wait in memory until somebody wants them; the server is free.
        """
        response = self.response(answer(b"12345"))
        self.assertEqual(self.fails(), [0, 0])
        self.assertEqual(self.successResultOf(readBody(response)), b"12345")

    def test_notWanted(self) -> None:
        """
        Long ones that nobody asks for let the server wait, but not for ever.
        """
        response = self.response(answer(b"x" * 1000000)[:-900000])
        for _ in range(9):
            self.peer.sends(b"x" * 50000)
        self.assertGreater(len(self.peer.socket.incoming), 0)
        self.assertLess(response.body.held, 300000)
        self.passes(60)
        self.peer.isClosed()
        self.assertEqual(self.fails(), [0, 0])
        taker = Taker()
        response.deliverBody(taker)
        self.assertIn("not asked for", str(taker.reason.reasons[0].value))
