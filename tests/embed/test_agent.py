"""
Tests for L{twisted_upstream.embed.agent}: what is asked for, and what comes back.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.web.client import (
    readBody,
)
from twisted.web.error import SchemeNotSupported
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgent,
    IClientRequest,
    IResponse,
)
from zope.interface.verify import verifyObject

from tests.embed.agents import AgentCase, Producer
from tests.embed.memory import A, B
from tests.support.conversation import answer, message
from twisted_upstream.embed import (
    ArgumentError,
)


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
