"""
Tests for L{twisted_upstream.embed.resource} and L{twisted_upstream.embed.upgraded}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from tests.embed.memory import A, B, MemoryCase
from tests.support.conversation import (
    Message,
    answer,
    chunks,
    get,
    message,
    post,
    readMessage,
)
from twisted_upstream.embed import ArgumentError


class SiteCase(MemoryCase):
    """
    A site in memory, with a group below C{/api}.
    """

    def begin(self, *servers: str, path: bytes = b"", **options: Any) -> None:
        """
        Serve, and connect a client.
        """
        self.upstream = self.make(*servers)
        root = Resource()
        self.resource = self.upstream.resource(path, **options)
        root.putChild(b"api", self.resource)
        self.site: Any = Site(root, reactor=self.reactor)
        self.connect()

    def connect(self) -> None:
        """
        Connect a client.
        """
        address = IPv4Address("TCP", "192.0.2.7", 4321)
        self.client: Any = StringTransport(peerAddress=address)
        self.protocol = self.site.buildProtocol(address)
        self.protocol.makeConnection(self.client)
        self.addCleanup(self.leave)

    def leave(self) -> None:
        """
        The client closes its connection.
        """
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(Failure(ConnectionDone()))

    def says(self, data: bytes) -> None:
        """
        The client sends.
        """
        self.protocol.dataReceived(data)
        self.settle()

    def heard(self, headOnly: bool = False) -> Message:
        """
        The next response.
        """
        data = self.client.value()
        found = readMessage(data, ended=self.client.disconnecting, headOnly=headOnly)
        if found is None:
            raise AssertionError(f"no message in {data!r}")
        self.client.clear()
        self.client.write(found[1])
        return found[0]

    def fails(self) -> list[int]:
        """
        The failures of each peer; nobody is busy.
        """
        self.assertEqual(self.upstream.status.active, 0)
        return [each.fails for each in self.upstream.status.peers]


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


class UpgradeTests(SiteCase):
    """
    Other protocols.
    """

    def upgraded(self) -> Any:
        """
        Both sides have switched.
        """
        self.begin()
        self.says(
            get("/api/chat", "Upgrade: websocket", "Connection: Upgrade", "Sec-A: b")
        )
        server = self.server()
        heard = server.hears("GET /chat HTTP/1.1")
        self.assertEqual(heard["Upgrade"], "websocket")
        self.assertEqual(heard["Connection"], "upgrade")
        self.assertEqual(heard["Sec-A"], "b")
        fields = ("Upgrade: websocket", "Connection: Upgrade", "Sec-C: d")
        server.sends(message("HTTP/1.1 101 Switching Protocols", fields) + b"early")
        head, _, rest = self.client.value().partition(b"\r\n\r\n")
        self.assertIn(b"HTTP/1.1 101 Switching Protocols\r\n", head + b"\r\n")
        self.assertIn(b"\r\nSec-C: d", head)
        self.assertIn(b"\r\nUpgrade: websocket", head)
        self.assertEqual(rest, b"early")
        self.client.clear()
        return server

    def test_bothWays(self) -> None:
        """
        Bytes go both ways; when the server ends, so does the client's connection.
        """
        server = self.upgraded()
        self.says(b"ping")
        self.assertEqual(server.raw(), b"ping")
        server.sends(b"pong")
        self.assertEqual(self.client.value(), b"pong")
        self.assertEqual(self.upstream.status.active, 1)
        server.hangsUp()
        self.assertTrue(self.client.disconnecting)
        self.leave()
        self.settle()
        self.assertEqual(self.fails(), [0, 0])

    def test_clientLeaves(self) -> None:
        """
        When the client leaves, so does the server's connection end.
        """
        server = self.upgraded()
        self.leave()
        self.settle()
        server.isEnded()
        server.hangsUp()
        self.settle()
        self.assertEqual(self.fails(), [0, 0])

    def test_backPressure(self) -> None:
        """
        Who takes nothing lets the other one wait.
        """
        server = self.upgraded()
        self.client.producer.pauseProducing()
        server.sends(b"x")
        server.sends(b"y" * 10)
        self.assertGreater(len(server.socket.incoming), 0)
        self.client.producer.resumeProducing()
        self.settle()
        self.assertEqual(self.client.value(), b"x" + b"y" * 10)

    def test_refused(self) -> None:
        """
        A server that does not switch just answers.
        """
        self.begin()
        self.says(get("/api/", "Upgrade: x", "Connection: upgrade"))
        self.server().sends(answer(b"no"))
        self.assertEqual(self.heard().body, b"no")
