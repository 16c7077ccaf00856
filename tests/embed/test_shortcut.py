"""
Tests for L{twisted_upstream.embed.shortcut}: whatever is true of requests that go the
usual way is true of those that go the short one.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.embed import test_answering, test_resource, test_upgraded
from tests.embed.memory import A
from tests.embed.sites import SiteCase
from tests.support.conversation import answer, get, message, post
from twisted_upstream.embed.resource import UpstreamResource
from twisted_upstream.embed.shortcut import ShortChannel, SiteRequest, shorten


class ShortCase(SiteCase):
    """
    A site whose connections were used before.
    """

    def connect(self) -> None:
        """
        Connect a client.
        """
        super().connect()
        shorten(self.protocol._channel)

    def isShort(self) -> bool:
        """
        Is the request under way one without a C{Request}?
        """
        [request] = self.protocol._channel.requests
        self.assertIsInstance(request, Request | SiteRequest)
        return isinstance(request, SiteRequest)


class PassTests(ShortCase, test_resource.PassTests):
    """
    The same requests and responses.
    """


class WireTests(ShortCase, test_resource.WireTests):
    """
    The same of HTTP.
    """


class GarbageTests(ShortCase, test_resource.GarbageTests):
    """
    The same rest: none.
    """


class TroubleTests(ShortCase, test_answering.TroubleTests):
    """
    The same trouble.
    """


class UpgradeTests(ShortCase, test_upgraded.UpgradeTests):
    """
    The same for other protocols.
    """


class ShortTests(ShortCase):
    """
    Which requests go the short way.
    """

    def ends(self) -> None:
        """
        The request under way is answered.
        """
        # Of an interim response.
        self.client.clear()
        self.server().sends(answer(b"x"))
        self.assertEqual(self.heard().body, b"x")
        self.leave()

    def test_usual(self) -> None:
        """
        Whole requests without a body do; those in pieces, with a body, or with anything
        that the site has to look after do not.
        """
        for request, wanted in (
            (get("/api/"), True),
            (get("/api"), True),
            (get("/api?a", "X-A: b", "Cookie: c"), True),
            (message("DELETE /api/ HTTP/1.1", ("Host: a",)), True),
            (post(b"x", "/api/"), False),
            (get("/api/", "Connection: close"), False),
            (get("/api/", "Expect: 100-continue"), False),
            (get("/api/", "content-LENGTH: 0"), False),
            (message("GET /api/ HTTP/1.0", ("Host: a",)), False),
            (get("http://a/api/"), False),
            (get("/api/", "X-A: b\r\n c"), False),
            (get("/api/", "X-A: \t b \t"), True),
        ):
            self.begin()
            self.says(request)
            if b"http://" in request:
                self.assertEqual(self.heard().status, 404)
                self.leave()
                continue
            self.assertEqual(self.isShort(), wanted, request)
            self.ends()
        self.begin()
        self.says(get("/api/")[:10])
        self.says(get("/api/")[10:])
        self.assertFalse(self.isShort())
        self.ends()

    def test_malformed(self) -> None:
        """
        What is no request is refused as ever, and reaches nobody.
        """
        for request in (
            b"GET /api/ HTTP/1.1\r\nHost: a\r\nX A: b\r\n\r\n",
            b"GET /api/ HTTP/1.1\r\nHost: a\r\nX-A: \x00\r\n\r\n",
            b"GET /api/ HTTP/1.1\r\nHost: a\r\nX-A: \n\r\n\r\n",
            b"GET /api/ HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n",
            b"GET /api/ x HTTP/1.1\r\nHost: a\r\n\r\n",
        ):
            self.begin()
            self.says(request)
            self.assertTrue(self.client.value().startswith(b"HTTP/1.1 400 "), request)
            self.assertEqual(self.upstream.status.requests, 0)
            self.leave()

    def test_pipelined(self) -> None:
        """
        A request that comes before the last one's response waits; then it goes the
        short way, too.
        """
        self.begin(A)
        self.says(get("/api/1"))
        self.says(get("/api/2"))
        server = self.server()
        server.hears("GET /1 HTTP/1.1")
        server.sends(answer(b"1"))
        self.assertEqual(self.heard().body, b"1")
        self.assertTrue(self.isShort())
        server.hears("GET /2 HTTP/1.1")
        server.sends(answer(b"2"))
        self.assertEqual(self.heard().body, b"2")

    def test_first(self) -> None:
        """
        The first request of a connection makes the others short.
        """
        self.begin(A)
        self.leave()
        SiteCase.connect(self)
        server: Any = None
        for wanted in (False, True, True):
            self.says(get("/api/"))
            self.assertEqual(self.isShort(), wanted)
            server = server or self.server()
            server.sends(answer(b"x"))
            self.assertEqual(self.heard().body, b"x")

    def test_tree(self) -> None:
        """
        Resources are found as ever: what the tree has at the moment counts, and what
        decides by itself is asked.
        """

        class Deciding(Resource):
            def getChildWithDefault(self, path: bytes, request: Any) -> Any:
                request.setHeader(b"X-Asked", b"yes")
                return super().getChildWithDefault(path, request)

        class Special(UpstreamResource):
            pass

        self.begin(A)
        root = self.site.resource
        inner, deciding = Resource(), Deciding()
        root.putChild(b"in", inner)
        root.putChild(b"deciding", deciding)
        root.putChild(b"", self.resource)
        root.putChild(b"special", Special(self.upstream))
        for each in (inner, deciding):
            each.putChild(b"er x", self.resource)
        server: Any = None
        for uri, target, wanted in (
            ("/in/er%20x", "/", True),
            ("/%69n/er%20x/%2f?y", "/%2f?y", True),
            ("//a", "/a", True),
            ("/", "/", True),
            ("/deciding/er%20x/z", "/z", False),
            ("/api/z", "/z", True),
            ("/special/z", "/z", False),
        ):
            self.says(get(uri))
            self.assertEqual(self.isShort(), wanted, uri)
            if self.dialer.accepted:
                server = self.server()
            server.hears(f"GET {target} HTTP/1.1")
            server.sends(answer(b"x"))
            heard = self.heard()
            self.assertEqual(heard.body, b"x")
            self.assertEqual(heard["X-Asked"], "yes" if "deciding" in uri else None)
        for uri, status in (("/in", 405), ("/in/er", 404), ("/x", 404)):
            self.says(get(uri))
            self.assertEqual(self.heard().status, status)
        root.delEntity(b"api")
        self.says(get("/api/"))
        self.assertEqual(self.heard().status, 404)
        self.site.resource = self.resource
        self.says(get("/api/"))
        self.assertTrue(self.isShort())
        self.leave()

    def test_key(self) -> None:
        """
        A resource that looks at requests for a key gets whole ones.
        """
        self.begin(key=lambda request: request.getHeader(b"x-a"))
        self.says(get("/api/", "X-A: b"))
        self.assertFalse(self.isShort())
        self.ends()

    def test_otherSites(self) -> None:
        """
        Sites that make requests, find resources or write lines of the log in a way of
        their own do so for all requests.
        """

        class OwnRequest(Request):
            pass

        class Finding(Site):
            def getResourceFor(self, request: Any) -> Any:
                return super().getResourceFor(request)

        class Logging(Site):
            def log(self, request: Any) -> None:
                super().log(request)

        def line(timestamp: str, request: Any) -> str:
            return ""

        def spoilt(root: Resource) -> Any:
            site: Any = Site(root, reactor=self.reactor)
            site.log = str
            return site

        makers: list[Any] = [
            lambda root: Site(root, OwnRequest, reactor=self.reactor),
            lambda root: Site(root, logFormatter=line, reactor=self.reactor),
            lambda root: Finding(root, reactor=self.reactor),
            lambda root: Logging(root, reactor=self.reactor),
            spoilt,
        ]
        for make in makers:
            self.makeSite = make  # type: ignore[method-assign]
            self.begin()
            self.says(get("/api/"))
            self.assertFalse(self.isShort())
            self.ends()

    def test_otherTwisted(self) -> None:
        """
        Where channels and sites are not as they were, all requests go the usual way.
        """
        self.begin()
        channel = self.protocol._channel
        for name in ("_buffer", "_busyReceiving", "_handlingRequest", "_savedTimeOut"):
            self.assertTrue(hasattr(channel, name))
        other: Any = HTTPChannel()
        other.site, other.requestFactory = self.site, Request
        del other._handlingRequest
        shorten(other)
        self.assertIs(type(other), HTTPChannel)
        other._handlingRequest = False
        shorten(other)
        self.assertIs(type(other), ShortChannel)
        self.leave()

    def test_log(self) -> None:
        """
        The line in the log is the same either way, and that of every other site.
        """
        self.begin()
        file = self.site._logFile = StringIO()
        self.site._logDateTime = "[now]"
        for agent, shown in (
            ("x y/1", "x y/1"),
            ('"x"', '\\"x\\"'),
            ("it's", "it's"),
            ("a\\b", "a\\\\b"),
            ("\x7f", "\\x7f"),
            ("\xe4", "\\xe4"),
        ):
            for more in ((), ("Expect: nothing",)):
                self.says(get("/api/a?b", f"User-Agent: {agent}", "Referer: y", *more))
                self.assertEqual(self.isShort(), not more)
                self.server().sends(answer(b"hello", "Connection: close"))
                self.heard()
            first, second = file.getvalue().splitlines()
            self.assertEqual(first, second)
            self.assertEqual(
                first,
                f'"192.0.2.7" - - [now] "GET /api/a?b HTTP/1.1" 200 5 "y" "{shown}"',
            )
            file.seek(0)
            file.truncate()

    def test_timeout(self) -> None:
        """
        A request that takes long is no idle connection; afterwards it is one.
        """
        self.begin(readTimeout=1000.0)
        self.says(get("/api/"))
        server = self.server()
        self.passes(500)
        self.assertFalse(self.client.disconnecting)
        server.sends(answer(b"x"))
        self.assertEqual(self.heard().body, b"x")
        self.passes(61)
        self.assertTrue(self.client.disconnecting)

    def test_fields(self) -> None:
        """
        A server without Server and Date gets the site's; a status that nobody knows is
        passed as it is.
        """
        self.begin()
        self.says(get("/api/"))
        self.server().sends(answer(b"x", status="299 Well"))
        heard = self.heard()
        self.assertEqual(heard.first, "HTTP/1.1 299 Well")
        self.assertIn("TwistedWeb/", heard["Server"] or "")
        self.assertIsNotNone(heard["Date"])
