"""
Tests for L{twisted_upstream.embed.agent} and what belongs to it.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import (
    FileBodyProducer,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
    readBody,
)
from twisted.web.error import SchemeNotSupported
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    UNKNOWN_LENGTH,
    IAgent,
    IBodyProducer,
    IClientRequest,
    IResponse,
)
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.embed.memory import A, B, MemoryCase
from tests.support.conversation import answer, chunks, message
from twisted_upstream.embed import (
    ArgumentError,
    Upstream,
    UpstreamClosed,
    UpstreamFailed,
)


class Taker(Protocol):
    """
    Takes a body.

    @ivar data: what has come.
    @ivar reason: why no more comes.
    """

    def __init__(self, pause: bool = False) -> None:
        self.data = b""
        self.reason: Any = None
        self._pause = pause

    def connectionMade(self) -> None:
        """
        It begins.
        """
        if self._pause:
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """
        More.
        """
        assert self.reason is None
        self.data += data

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        """
        The end.
        """
        assert self.reason is None
        self.reason = reason.value


@implementer(IBodyProducer)
class Producer:
    """
    A body that the test makes.
    """

    def __init__(self, length: Any = UNKNOWN_LENGTH) -> None:
        self.length = length
        self.done: Deferred[None] = Deferred()
        self.said: list[str] = []

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """
        The test has the consumer now.
        """
        self.consumer = consumer
        self.said.append("start")
        return self.done

    def pauseProducing(self) -> None:
        """
        Noted, as all that follow.
        """
        self.said.append("pause")

    def resumeProducing(self) -> None:
        self.said.append("resume")

    def stopProducing(self) -> None:
        self.said.append("stop")


class AgentCase(MemoryCase):
    """
    An agent in memory.
    """

    def begin(self, *servers: str, **options: Any) -> Upstream:
        """
        A group and its agent.
        """
        self.upstream = self.make(*servers)
        self.agent = self.upstream.agent(**options)
        return self.upstream

    def get(self, uri: bytes = b"http://api/x", **more: Any) -> Deferred[Any]:
        """
        Ask.
        """
        return self.agent.request(b"GET", uri, **more)

    def fails(self) -> list[int]:
        """
        The failures of each peer; nobody is busy.
        """
        self.assertEqual(self.upstream.status.active, 0)
        return [each.fails for each in self.upstream.status.peers]


class RequestTests(AgentCase):
    """
    What is sent, and what comes back.
    """

    def test_get(self) -> None:
        """
        A request goes to the server whose turn it is, with the URI's host; the response
        is one of L{twisted.web}.
        """
        self.begin()
        verifyObject(IAgent, self.agent)
        result = self.get(b"http://user@api:81/a%20b?c=d#e")
        server = self.server()
        self.assertEqual(server.name, A)
        heard = server.hears("GET /a%20b?c=d HTTP/1.1")
        self.assertEqual(heard.fields, [("Host", "api:81")])
        fields = ("Content-Type: text/x", "Set-Cookie: a", "Set-Cookie: b", "Date: c")
        server.sends(answer(b"hello", *fields, status="201 Well"))
        response = self.successResultOf(result)
        verifyObject(IResponse, response)
        verifyObject(IClientRequest, response.request)
        self.assertEqual(response.version, (b"HTTP", 1, 1))
        self.assertEqual((response.code, response.phrase), (201, b"Well"))
        self.assertEqual(response.length, 5)
        self.assertEqual(
            sorted(response.headers.getAllRawHeaders()),
            [
                (b"Content-Type", [b"text/x"]),
                (b"Date", [b"c"]),
                (b"Set-Cookie", [b"a", b"b"]),
            ],
        )
        self.assertEqual(response.request.method, b"GET")
        self.assertEqual(
            response.request.absoluteURI, b"http://user@api:81/a%20b?c=d#e"
        )
        self.assertEqual(self.successResultOf(readBody(response)), b"hello")
        self.assertEqual(response.peer, A)
        self.assertEqual(self.fails(), [0, 0])

    def test_headers(self) -> None:
        """
        Fields go with the request, but for those of the connection; a Host is obeyed.
        """
        self.begin()
        headers = Headers(
            {
                b"X-A": [b"1", b"2"],
                b"Host": [b"other"],
                b"Connection": [b"close"],
                b"Content-Length": [b"77"],
                b"Transfer-Encoding": [b"chunked"],
            }
        )
        result = self.get(b"http://api", headers=headers)
        heard = self.server().hears("GET / HTTP/1.1")
        self.assertEqual(heard.fields, [("Host", "other"), ("X-A", "1"), ("X-A", "2")])
        result.cancel()
        self.failureResultOf(result, CancelledError)

    def test_wrong(self) -> None:
        """
        What cannot be sent raises at once; a scheme that nobody has fails.
        """
        self.begin()
        for method in (b"G T", b"", "GET", b"GET\r\n"):
            self.assertRaises(ArgumentError, self.agent.request, method, b"http://a/")
        for uri in (b"http://a/ b", b"http:///", b"/x", "http://a", b"http://a/\r\n"):
            self.assertRaises(ArgumentError, self.agent.request, b"GET", uri)
        self.failureResultOf(self.get(b"ftp://a/"), SchemeNotSupported)
        self.assertEqual(self.dialer.asked, [])

    def test_wrongOptions(self) -> None:
        """
        Wrong options are named.
        """
        upstream = self.make()
        for name, value in (
            ("readTimeout", "x"),
            ("nextUpstream", "sometimes"),
            ("sslVerifyDepth", "x"),
            ("sslTrustedCertificate", "/nowhere"),
            ("key", 3),
        ):
            more: dict[str, Any] = {name: value}
            error = self.assertRaises(ArgumentError, upstream.agent, **more)
            self.assertTrue(str(error).startswith(f"{name}: "), str(error))
        self.assertRaises(TypeError, upstream.agent, readTimeOut=1)
        self.assertRaises(TypeError, upstream.agent, setHeader="X a")

    def test_key(self) -> None:
        """
        Methods that hash get what the program says.
        """
        self.upstream = self.make(A, B, method="hash $key")
        self.agent = self.upstream.agent(key=lambda method, uri, headers: uri[-1:])
        names = []
        for uri in (b"http://a/1", b"http://b/1", b"http://c/1"):
            result = self.get(uri)
            names.append(self.dialer.asked[-1])
            result.cancel()
            self.failureResultOf(result, CancelledError)
        self.assertEqual(len(set(names)), 1)

    def test_raised(self) -> None:
        """
        What a key, a producer or a balancer raises is told, and nothing waits then.
        """

        class Lengthless:
            """
            A producer that is none.
            """

        def broken(*arguments: object) -> Any:
            raise ZeroDivisionError

        self.begin(A)
        upstream = self.upstream
        keyed = upstream.agent(key=broken)
        self.assertRaises(ZeroDivisionError, keyed.request, b"GET", b"http://a/")
        nothing: Any = Lengthless()
        asked = self.agent.request(b"PUT", b"http://a/", None, nothing)
        self.failureResultOf(asked, AttributeError)
        group: Any = upstream.group
        group.initPeer = broken
        self.failureResultOf(self.get(), ZeroDivisionError)
        producer = Producer(4)
        asked = self.agent.request(b"PUT", b"http://a/", None, producer)
        producer.consumer.write(b"body")
        producer.done.callback(None)
        self.failureResultOf(asked, ZeroDivisionError)
        self.assertEqual(upstream._waiting, {})

    def test_keptConnections(self) -> None:
        """
        Connections are used again, the most recent one first.
        """
        self.begin(A)
        results = [self.get(), self.get()]
        first, second = self.server(), self.server()
        second.sends(answer(b"2"))
        first.sends(answer(b"1"))
        self.assertEqual(self.upstream.status.idle, 2)
        results.append(self.get())
        first.message()
        first.hears("GET /x HTTP/1.1")
        first.sends(answer(b"3"))
        second.hears("GET /x HTTP/1.1")
        second.isSilent()
        bodies = [
            self.successResultOf(readBody(self.successResultOf(r))) for r in results
        ]
        self.assertEqual(bodies, [b"1", b"2", b"3"])

    def test_head(self) -> None:
        """
        The answer to HEAD has no body.
        """
        self.begin()
        result = self.agent.request(b"HEAD", b"http://a/")
        self.server().sends(message("HTTP/1.1 200 OK", ("Content-Length: 7",)))
        response = self.successResultOf(result)
        self.assertEqual(response.length, 0)
        self.assertEqual(self.successResultOf(readBody(response)), b"")
        self.assertEqual(self.upstream.status.idle, 1)

    def test_redirects(self) -> None:
        """
        Redirections stay what they are.
        """
        self.begin()
        result = self.get()
        self.server().sends(
            answer(b"", "Location: http://upstream/y", status="302 Found")
        )
        response = self.successResultOf(result)
        self.assertEqual(
            response.headers.getRawHeaders(b"location"), [b"http://upstream/y"]
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
