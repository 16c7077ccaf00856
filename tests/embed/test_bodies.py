"""
Tests for L{twisted_upstream.embed.bodies}: bodies that are sent.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.web.client import (
    FileBodyProducer,
)
from twisted.web.iweb import (
    UNKNOWN_LENGTH,
)

from tests.embed.agents import AgentCase, Producer
from tests.embed.memory import A
from tests.support.conversation import answer


class RequestBodyTests(AgentCase):
    """
    Bodies of requests.
    """

    def post(self, producer: Any) -> Deferred[Any]:
        """
        Send one.
        """
        return self.agent.request(b"POST", b"http://a/", None, producer)

    def test_short(self) -> None:
        """
        A short one is sent with its length; it is sent to another server when the first
        one cannot be reached.
        """
        self.begin()
        self.dialer.behaviour[A] = "refuse"

        def soon(call: Any) -> Any:
            return self.reactor.callLater(0, call)

        from twisted.internet.task import Cooperator

        producer = FileBodyProducer(BytesIO(b"hello"), Cooperator(scheduler=soon))
        result = self.post(producer)
        server = self.server()
        heard = server.hears("POST / HTTP/1.1", b"hello")
        self.assertEqual(heard["Content-Length"], "5")
        server.sends(answer(b"ok"))
        self.successResultOf(result)

    def test_none(self) -> None:
        """
        A POST without a body says so.
        """
        self.begin()
        result = self.agent.request(b"POST", b"http://a/")
        server = self.server()
        self.assertEqual(server.message()["Content-Length"], "0")
        server.sends(answer(b""))
        self.successResultOf(result)

    def test_streamed(self) -> None:
        """
        A body of unknown length goes in chunks as it comes.
        """
        self.begin()
        producer = Producer()
        result = self.post(producer)
        server = self.server()
        producer.consumer.write(b"abc")
        producer.consumer.write(b"de")
        producer.done.callback(None)
        heard = server.hears("POST / HTTP/1.1", b"abcde")
        self.assertEqual(heard["Transfer-Encoding"], "chunked")
        server.sends(answer(b"ok"))
        self.successResultOf(result)
        self.assertEqual(producer.said, ["start"])

    def test_long(self) -> None:
        """
        A long one goes as it comes, with its length; a server that does not read makes
        it wait.
        """
        self.begin()
        producer = Producer(200000)
        result = self.post(producer)
        server = self.server()
        server.stalls()
        producer.consumer.write(b"x" * 100000)
        self.assertEqual(producer.said, ["start", "pause"])
        server.takes()
        self.assertEqual(producer.said, ["start", "pause", "resume"])
        producer.consumer.write(b"x" * 100000)
        producer.done.callback(None)
        self.settle()
        self.assertEqual(len(server.message().body), 200000)
        server.sends(answer(b"ok"))
        self.successResultOf(result)

    def test_notProduced(self) -> None:
        """
        A body that cannot be produced, or has another length than it says, fails; the
        server is not blamed.
        """
        for length in (UNKNOWN_LENGTH, 100000, 10):
            self.begin()
            producer = Producer(length)
            result = self.post(producer)
            producer.consumer.write(b"x")
            producer.done.errback(OSError("disk"))
            error = self.failureResultOf(result).value
            self.assertTrue(error.reasons[0].check(OSError))
            self.settle()
            self.assertEqual(self.fails(), [0, 0])
        for count in (1, 11):
            self.begin()
            producer = Producer(10)
            result = self.post(producer)
            producer.consumer.write(b"x" * count)
            if count == 1:
                producer.done.callback(None)
            self.failureResultOf(result)
            self.assertEqual(self.fails(), [0, 0])

    def test_stopped(self) -> None:
        """
        Nobody goes on producing when the request is over.
        """
        self.begin()
        producer = Producer()
        result = self.post(producer)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(producer.said, ["start", "stop"])
        producer.consumer.write(b"late")
        producer.done.callback(None)
        early = Producer()
        result = self.post(early)
        self.settle()
        self.dialer.accepted.popleft()
        server = self.server()
        server.sends(answer(b"no", status="413 Too Large"))
        self.assertEqual(self.successResultOf(result).code, 413)
        self.assertEqual(early.said, ["start", "stop"])
        server.isClosed()
