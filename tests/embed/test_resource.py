"""
Tests for L{twisted_upstream.embed.resource}: requests, and responses that are complete.
"""

from __future__ import annotations

import gc
import gzip
import platform
from typing import Any

from twisted.web.resource import EncodingResourceWrapper, IResource, Resource
from twisted.web.server import GzipEncoderFactory, Request
from twisted.web.test.requesthelper import DummyRequest
from zope.interface.verify import verifyObject

from tests.embed.memory import A
from tests.embed.sites import SiteCase
from tests.support.conversation import (
    answer,
    chunks,
    get,
    message,
    post,
)
from twisted_upstream.embed import ArgumentError
from twisted_upstream.embed.answering import SiteAsker


class PassTests(SiteCase):
    """
    Requests and responses.
    """

    def test_passed(self) -> None:
        """
        What is below the resource is asked for at a server, which is told of the
        client; the response is passed as it is, repeated fields included.
        """
        self.begin()
        verifyObject(IResource, self.resource)
        self.says(
            get("/api/a%2fb/c?d=e", "X-A: 1", "X-A: 2", "X-Forwarded-For: 10.1.1.1")
        )
        server = self.server()
        self.assertEqual(server.name, A)
        heard = server.hears("GET /a%2fb/c?d=e HTTP/1.1")
        self.assertEqual(
            sorted(heard.fields),
            [
                ("Host", "example.com"),
                ("X-A", "1"),
                ("X-A", "2"),
                ("X-Forwarded-For", "10.1.1.1, 192.0.2.7"),
                ("X-Forwarded-Host", "example.com"),
                ("X-Forwarded-Proto", "http"),
            ],
        )
        fields = ("Set-Cookie: a", "Set-Cookie: b", "Server: it", "Content-Type: x/y")
        server.sends(answer(b"hello", *fields, status="201 Well"))
        heard = self.heard()
        self.assertEqual(heard.first, "HTTP/1.1 201 Well")
        self.assertEqual(heard.all("Set-Cookie"), ["a", "b"])
        self.assertEqual(heard["Server"], "it")
        self.assertEqual(heard["Content-Type"], "x/y")
        self.assertEqual(heard["Content-Length"], "5")
        self.assertIsNotNone(heard["Date"])
        self.assertEqual(heard.body, b"hello")
        self.assertEqual(self.fails(), [0, 0])

    def test_paths(self) -> None:
        """
        The resource's path stands before the rest.
        """
        for path, uri, wanted in (
            (b"", "/api", "/"),
            (b"", "/api/", "/"),
            (b"/x", "/api", "/x"),
            (b"/x", "/api/y/", "/x/y/"),
            (b"/x", "/api?q", "/x?q"),
        ):
            self.begin(path=path)
            self.says(get(uri))
            server = self.server()
            server.hears(f"GET {wanted} HTTP/1.1")
            server.sends(answer(b""))
            self.heard()
            self.leave()

    def test_options(self) -> None:
        """
        Another host can be told, and nothing of the client.
        """
        self.begin(host=b"inside", forwarded=False)
        self.says(get("/api/"))
        heard = self.server().hears("GET / HTTP/1.1")
        self.assertEqual(heard.fields, [("Host", "inside")])

    def test_wrong(self) -> None:
        """
        Wrong arguments are named.
        """
        upstream = self.make()
        for name, value in (
            ("path", "x"),
            ("path", b"x"),
            ("host", "x"),
            ("key", 1),
            ("readTimeout", "x"),
        ):
            more: dict[str, Any] = {name: value}
            error = self.assertRaises(ArgumentError, upstream.resource, **more)
            self.assertTrue(str(error).startswith(f"{name}: "), str(error))
        self.assertRaises(
            NotImplementedError, upstream.resource().putChild, b"x", Resource()
        )

    def test_climbing(self) -> None:
        """
        Nobody leaves the path that was given; without one there is nothing to leave.
        """
        self.begin(A, path=b"/base")
        for path in ("..", "../x", "a/../../x", "%2e%2E/x", "a%2f..%2fx", "..%5cx"):
            self.says(get("/api/" + path))
            self.assertEqual(self.heard().status, 400)
        self.says(get("/api/..x/...?a=/../"))
        self.server().hears("GET /base/..x/...?a=/../ HTTP/1.1")
        self.leave()
        self.begin(A)
        self.says(get("/api/../x"))
        self.server().hears("GET /../x HTTP/1.1")

    def test_raised(self) -> None:
        """
        What a key or a balancer raises is 500, and nothing waits then.
        """

        def broken(*arguments: object) -> Any:
            raise ZeroDivisionError

        self.begin(A, key=broken)
        self.says(get("/api/"))
        self.assertEqual(self.heard().status, 500)
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(self.upstream._waiting, {})
        self.leave()
        self.begin(A)
        group: Any = self.upstream.group
        group.initPeer = broken
        self.says(get("/api/"))
        self.assertEqual(self.heard().status, 500)
        self.assertEqual(self.upstream._waiting, {})

    def test_keptConnections(self) -> None:
        """
        Requests that follow one another, pipelined ones too, use one connection.
        """
        self.begin(A)
        self.says(get("/api/1") + get("/api/2"))
        server = self.server()
        server.hears("GET /1 HTTP/1.1")
        server.sends(answer(b"1"))
        self.assertEqual(self.heard().body, b"1")
        server.hears("GET /2 HTTP/1.1")
        server.sends(answer(b"2"))
        self.assertEqual(self.heard().body, b"2")

    def test_bodies(self) -> None:
        """
        Bodies of requests are passed, short ones and those that the site has in a file.
        """
        self.begin(A)
        for size in (10, 500000):
            self.says(post(b"x" * size, "/api/"))
            if size == 10:
                server = self.server()
            heard = server.hears("POST / HTTP/1.1", b"x" * size)
            self.assertEqual(heard["Content-Length"], str(size))
            server.sends(answer(b"ok"))
            self.assertEqual(self.heard().body, b"ok")

    def test_head(self) -> None:
        """
        The answer to HEAD has its length and no body.
        """
        self.begin()
        self.says(message("HEAD /api/ HTTP/1.1", ("Host: a",)))
        self.server().sends(message("HTTP/1.1 200 OK", ("Content-Length: 7",)))
        self.assertEqual(self.heard(headOnly=True)["Content-Length"], "7")

    def test_notModified(self) -> None:
        """
        Nor has 304 one.
        """
        self.begin()
        self.says(get("/api/"))
        self.server().sends(message("HTTP/1.1 304 Not Modified", ("ETag: x",)))
        heard = self.heard(headOnly=True)
        self.assertEqual((heard.status, heard["ETag"]), (304, "x"))
        self.assertIsNone(heard["Transfer-Encoding"])

    def test_chunked(self) -> None:
        """
        A body of unknown length is passed as it comes, in chunks; clients of HTTP/1.0
        get it until the connection ends.
        """
        self.begin()
        data = message("HTTP/1.1 200 OK", ("Transfer-Encoding: chunked",))
        for request, coding in (
            (get("/api/"), "chunked"),
            (message("GET /api/ HTTP/1.0", ()), None),
        ):
            self.says(request)
            server = self.server()
            server.sends(data + b"3\r\nabc\r\n")
            self.assertIn(b"abc", self.client.value())
            server.sends(chunks(b"def"))
            heard = self.heard()
            self.assertEqual(heard["Transfer-Encoding"], coding)
            self.assertEqual(heard.body, b"abcdef")

    def test_ofTheSite(self) -> None:
        """
        What the site has put into the response stays there.
        """

        class Marking(Resource):
            def getChild(self, path: bytes, request: Any) -> Any:
                request.setHeader(b"X-Site", b"yes")
                request.addCookie(b"s", b"1")
                return resource

        self.begin()
        resource = self.resource
        self.site.resource.putChild(b"marked", Marking())
        self.says(get("/marked/a"))
        self.server().sends(answer(b"x"))
        heard = self.heard()
        self.assertEqual(heard["X-Site"], "yes")
        self.assertEqual(heard["Set-Cookie"], "s=1")

    def test_close(self) -> None:
        """
        A client that wants its connection closed is told that it is.
        """
        self.begin()
        self.says(get("/api/", "Connection: close"))
        self.server().sends(answer(b"x"))
        self.assertEqual((self.heard()["Connection"] or "").lower(), "close")
        self.assertTrue(self.client.disconnecting)


class WireTests(SiteCase):
    """
    What else HTTP has.
    """

    def test_noContent(self) -> None:
        """
        204 has no body, and says nothing of one.
        """
        self.begin()
        self.says(get("/api/"))
        self.server().sends(message("HTTP/1.1 204 No Content", ("X-A: b",)))
        heard = self.heard(headOnly=True)
        self.assertEqual((heard.status, heard["X-A"]), (204, "b"))
        self.assertIsNone(heard["Transfer-Encoding"])
        self.assertIsNone(heard["Content-Length"])
        self.assertEqual(self.client.value(), b"")

    def test_interim(self) -> None:
        """
        Interim responses of a server are not passed on.
        """
        self.begin()
        self.says(get("/api/"))
        hints = message("HTTP/1.1 103 Early Hints", ("Link: </a>",))
        self.server().sends(hints + answer(b"x"))
        heard = self.heard()
        self.assertEqual((heard.status, heard["Link"], heard.body), (200, None, b"x"))

    def test_continue(self) -> None:
        """
        The site tells who waits for it to go on with a body; then that is passed on.
        """
        self.begin()
        fields = ("Host: a", "Content-Length: 3", "Expect: 100-continue")
        self.says(message("POST /api/ HTTP/1.1", fields))
        self.assertEqual(self.client.value(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.client.clear()
        self.says(b"abc")
        server = self.server()
        server.hears("POST / HTTP/1.1", b"abc")
        server.sends(answer(b"x"))
        self.assertEqual(self.heard().body, b"x")

    def test_chunkedRequest(self) -> None:
        """
        A body that came in chunks has its length at the server; trailers are dropped.
        """
        self.begin()
        fields = ("Host: a", "Transfer-Encoding: chunked", "Trailer: X-T")
        head = message("POST /api/ HTTP/1.1", fields)
        self.says(head + b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
        server = self.server()
        heard = server.hears("POST / HTTP/1.1", b"abc")
        self.assertEqual(heard["Content-Length"], "3")
        self.assertIsNone(heard["X-T"])
        server.sends(answer(b"x"))
        self.assertEqual(self.heard().body, b"x")

    def test_trailers(self) -> None:
        """
        Trailers of a response are dropped: the chunks are the site's own.
        """
        self.begin()
        self.says(get("/api/"))
        head = message("HTTP/1.1 200 OK", ("Transfer-Encoding: chunked",))
        self.server().sends(head + b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
        self.assertNotIn(b"X-T", self.client.value())
        self.assertEqual(self.heard().body, b"abc")
        self.assertEqual(self.client.value(), b"")

    def test_oldHead(self) -> None:
        """
        An answer to HEAD of unknown length has neither length nor chunks.
        """
        self.begin()
        self.says(message("HEAD /api/ HTTP/1.1", ("Host: a",)))
        head = message("HTTP/1.1 200 OK", ("Transfer-Encoding: chunked",))
        self.server().sends(head)
        heard = self.heard(headOnly=True)
        self.assertIsNone(heard["Transfer-Encoding"])
        self.assertIsNone(heard["Content-Length"])
        self.assertEqual(self.client.value(), b"")

    def test_hugeRequestHead(self) -> None:
        """
        The site refuses requests whose head is too big for it; no server sees them.
        """
        self.begin()
        self.says(get("/api/", *[f"X-A: {number:01000}" for number in range(17)]))
        self.assertTrue(self.client.value().startswith(b"HTTP/1.1 400 "))
        self.assertTrue(self.client.disconnecting)
        self.assertEqual(self.upstream.status.requests, 0)

    def test_bigHeads(self) -> None:
        """
        Heads that are not too big go through, whole and in pieces; a response's that is
        too big is a server's failure.
        """
        self.begin(A)
        long = "a" * 15000
        request = get("/api/", f"X-A: {long}")
        self.says(request[:9000])
        self.says(request[9000:])
        server = self.server()
        self.assertEqual(server.hears("GET / HTTP/1.1")["X-A"], long)
        server.sends(answer(b"x", f"X-B: {long}"))
        self.assertEqual(self.heard()["X-B"], long)
        self.says(get("/api/"))
        server.sends(answer(b"x", f"X-B: {long}{long}"))
        self.assertEqual(self.heard().status, 502)

    def test_encoded(self) -> None:
        """
        A site that compresses gets its responses through C{Request}.
        """
        self.begin()
        wrapped = EncodingResourceWrapper(self.resource, [GzipEncoderFactory()])
        self.site.resource.putChild(b"packed", wrapped)
        wrapped.isLeaf = True
        self.says(get("/packed/", "Accept-Encoding: gzip"))
        self.server().sends(answer(b"hello" * 99, "X-A: b", "Server: it"))
        heard = self.heard()
        self.assertEqual(heard["Content-Encoding"], "gzip")
        self.assertEqual((heard["X-A"], heard.all("Server")), ("b", ["it"]))
        self.assertEqual(gzip.decompress(heard.body), b"hello" * 99)

    def test_streams(self) -> None:
        """
        A channel that is none of HTTP/1 gets its responses through C{Request}, and
        cannot switch protocols.
        """
        self.begin()
        request: Any = DummyRequest([b"a"])
        request.uri, request.prepath = b"/api/a", [b"api"]
        request.method, request.content, request.channel = b"GET", None, object()
        request._encoder = None
        request.isSecure = lambda: True
        request.requestHeaders.setRawHeaders(b"Upgrade", [b"websocket"])
        request.requestHeaders.setRawHeaders(b"Connection", [b"upgrade"])
        self.resource.render(request)
        server = self.server()
        heard = server.hears("GET /a HTTP/1.1")
        self.assertIsNone(heard["Upgrade"])
        self.assertEqual(heard["X-Forwarded-Proto"], "https")
        server.sends(answer(b"hello", "Set-Cookie: a", "Set-Cookie: b"))
        self.assertEqual(b"".join(request.written), b"hello")
        found = request.responseHeaders.getRawHeaders(b"set-cookie")
        self.assertEqual(found, [b"a", b"b"])
        self.assertEqual(request.finished, 1)


class GarbageTests(SiteCase):
    """
    What is over is freed at once.
    """

    if platform.python_implementation() != "CPython":
        skip = "only CPython counts references"

    def test_requests(self) -> None:
        """
        Requests on a connection that lives leave nothing for the collector.
        """
        self.begin(A)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        server = None
        for _ in range(3):
            self.says(get("/api/"))
            server = server or self.server()
            server.hears("GET / HTTP/1.1")
            server.sends(answer(b"hello"))
            self.assertEqual(self.heard().body, b"hello")
        self.addCleanup(gc.garbage.clear)
        self.addCleanup(gc.set_debug, gc.get_debug())
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found = [each for each in gc.garbage if isinstance(each, Request | SiteAsker)]
        self.assertEqual(found, [])
