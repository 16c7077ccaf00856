"""
Tests for L{twisted_upstream.embed.asking}: servers that fail, and requests that end
before their response does.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionAborted
from twisted.web.client import (
    ResponseFailed,
    ResponseNeverReceived,
    readBody,
)

from tests.embed.agents import AgentCase, Taker
from tests.embed.memory import A, B
from tests.support.conversation import answer
from twisted_upstream.embed import (
    UpstreamClosed,
    UpstreamFailed,
)


class RetryTests(AgentCase):
    """
    Servers that fail.
    """

    def test_next(self) -> None:
        """
        When a server cannot be reached, the next one is asked.
        """
        self.begin()
        self.dialer.behaviour[A] = "refuse"
        result = self.get()
        self.server().sends(answer(b"b"))
        self.assertEqual(self.successResultOf(result).peer, B)
        self.assertEqual(self.fails(), [1, 0])

    def test_statuses(self) -> None:
        """
        C{nextUpstream} says which answers send a request on.
        """
        self.begin(nextUpstream="error http_503")
        result = self.get()
        self.server().sends(answer(b"no", status="503 Busy"))
        self.server().sends(answer(b"yes"))
        self.assertEqual(self.successResultOf(result).code, 200)
        self.assertEqual(self.fails(), [1, 0])

    def test_allFail(self) -> None:
        """
        When all fail, the error lists peer, phase, error and seconds of each attempt,
        and is what agents of L{twisted.web} fail with.
        """
        self.begin(readTimeout=2.0)
        result = self.get()
        self.server()
        self.passes(2)
        self.server().hangsUp()
        error = self.failureResultOf(result, UpstreamFailed).value
        self.assertIsInstance(error, ResponseNeverReceived)
        self.assertEqual(
            [(e.peer, e.phase, e.error, e.seconds) for e in error.attempts],
            [
                (
                    A,
                    "reading response header from upstream",
                    "upstream timed out (110: Connection timed out)",
                    2.0,
                ),
                (
                    B,
                    "reading response header from upstream",
                    "upstream prematurely closed connection",
                    0.0,
                ),
            ],
        )
        self.assertEqual(len(error.reasons), 2)
        self.assertIn(f"{A}: upstream timed out", str(error))
        self.assertEqual(self.fails(), [1, 1])
        error = self.failureResultOf(self.get(), UpstreamFailed).value
        self.assertEqual([e.error for e in error.attempts], ["no live upstreams"])

    def test_stale(self) -> None:
        """
        A kept connection that turns out to be closed costs nothing, not even where
        there is one server.
        """
        self.begin(A)
        first = self.get()
        server = self.server()
        server.sends(answer(b"1"))
        self.successResultOf(first)
        second = self.get()
        server.message()
        server.hangsUp()
        other = self.server()
        other.sends(answer(b"2"))
        self.assertEqual(self.successResultOf(second).code, 200)

    def test_staleUnsafe(self) -> None:
        """
        What must not be done twice is not sent again once it was sent.
        """
        self.begin(A)
        first = self.get()
        server = self.server()
        server.sends(answer(b"1"))
        self.successResultOf(first)
        second = self.agent.request(b"POST", b"http://a/")
        server.message()
        server.hangsUp()
        self.failureResultOf(second, UpstreamFailed)
        self.assertEqual(len(self.dialer.asked), 1)

    def test_connectTimeout(self) -> None:
        """
        Connecting has its time.
        """
        self.begin(A, connectTimeout=1.5)
        self.dialer.behaviour[A] = "wait"
        result = self.get()
        self.passes(1.5)
        error = self.failureResultOf(result, UpstreamFailed).value
        self.assertEqual(error.attempts[0].phase, "connecting to upstream")
        self.assertEqual(error.attempts[0].seconds, 1.5)

    def test_broken(self) -> None:
        """
        What is no HTTP is an error.
        """
        self.begin(A)
        result = self.get()
        server = self.server()
        server.sends(b"nonsense\r\n\r\n")
        error = self.failureResultOf(result, UpstreamFailed).value
        self.assertIn("no valid HTTP", error.attempts[0].error)
        server.isClosed()

    def test_queue(self) -> None:
        """
        Beyond C{max_conns}, requests wait for their turn.
        """
        self.upstream = self.make(f"{A} max_conns=1", queue="1 timeout=3s")
        self.agent = self.upstream.agent()
        first, second = self.get(), self.get()
        third = self.get()
        error = self.failureResultOf(third, UpstreamFailed).value
        self.assertEqual(error.attempts[0].error, "no live upstreams")
        self.assertEqual(self.upstream.status.waiting, 1)
        server = self.server()
        server.sends(answer(b"1"))
        server.message()
        server.hears("GET /x HTTP/1.1")
        server.sends(answer(b"2"))
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.fails(), [0])


class EndTests(AgentCase):
    """
    Requests that are ended by the program.
    """

    def test_cancelConnecting(self) -> None:
        """
        While connecting.
        """
        self.begin()
        self.dialer.behaviour[A] = "wait"
        result = self.get()
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.dialer.unanswered, [])
        self.assertEqual(self.fails(), [0, 0])

    def test_cancelWaiting(self) -> None:
        """
        While it waits for the response.
        """
        self.begin()
        result = self.get()
        server = self.server()
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.settle()
        server.isClosed()
        self.assertEqual(self.fails(), [0, 0])

    def test_cancelQueued(self) -> None:
        """
        While it waits for a server.
        """
        self.upstream = self.make(f"{A} max_conns=1", queue="1")
        self.agent = self.upstream.agent()
        first, second = self.get(), self.get()
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.upstream.status.waiting, 0)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.fails(), [0])

    def test_abortBody(self) -> None:
        """
        While the body comes: the server is let go at once.
        """
        self.begin()
        result = self.get()
        server = self.server()
        server.sends(answer(b"12345")[:-2])
        taker = Taker()
        self.successResultOf(result).deliverBody(taker)
        self.assertEqual(taker.data, b"123")
        taker.transport.abortConnection()  # type: ignore[union-attr]
        self.settle()
        server.isClosed()
        self.assertIsInstance(taker.reason, ResponseFailed)
        self.assertTrue(taker.reason.reasons[0].check(ConnectionAborted))
        self.assertEqual(self.fails(), [0, 0])

    def test_cancelReadBody(self) -> None:
        """
        So does cancelling L{readBody}.
        """
        self.begin()
        result = self.get()
        server = self.server()
        server.sends(answer(b"12345")[:-2])
        reading = readBody(self.successResultOf(result))
        reading.cancel()
        self.failureResultOf(reading)
        self.settle()
        server.isClosed()

    def test_closed(self) -> None:
        """
        Closing the group ends everything that is under way.
        """
        self.begin()
        first, second = self.get(), self.get()
        server = self.server()
        server.sends(answer(b"12345")[:-2])
        taker = Taker()
        self.successResultOf(first).deliverBody(taker)
        self.upstream.close()
        self.failureResultOf(second, UpstreamClosed)
        self.assertTrue(taker.reason.reasons[0].check(UpstreamClosed))
        self.failureResultOf(self.get(), UpstreamClosed)
        self.assertEqual(self.fails(), [0, 0])
