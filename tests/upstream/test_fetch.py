"""
Tests for L{twisted_upstream.upstream.fetch}.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from tests.support.conversation import (
    ConversationCase,
    Talk,
    answer,
    chunks,
    configuration,
    message,
    upstream,
)
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.interfaces import IHTTPClient, IReply
from twisted_upstream.plugins import (
    Exchange,
    InvalidHead,
    ResponseHead,
    parseResponse,
)
from twisted_upstream.upstream.fetch import (
    Fetched,
    Fetcher,
    FetchError,
    FetchRequest,
    _Nobody,
)
from twisted_upstream.upstream.options import PassOptions

TWO = upstream("10.0.0.1:80", "10.0.0.2:80", more="keepalive 4;")


class Ask(Exchange):
    """
    A line is asked; a number and so many bytes are the answer.
    """

    reusable = True

    def createRequest(self) -> bytes:
        return self.client.variable("word") + b"\n"

    def processHeader(self, data: bytes) -> ResponseHead | None:
        number, end, _ = data.partition(b"\n")
        if not end:
            return None
        if not number.isdigit():
            raise InvalidHead("upstream sent no number")
        return ResponseHead(200, b"\r\nA: b", len(number) + 1, int(number))


class AskHTTP(Ask):
    """
    The answer is one of HTTP, with a length.
    """

    def processHeader(self, data: bytes) -> ResponseHead | None:
        return parseResponse(data, 4096)


class FetchTests(ConversationCase):
    """
    L{Fetcher.fetch}.
    """

    def begin(
        self,
        http: str = TWO,
        exchange: Any = Ask,
        options: PassOptions | None = None,
    ) -> tuple[Talk, Fetcher]:
        """
        A fetcher to C{upstream u}.
        """
        talk = self.talk(configuration("", http))
        build = talk.http.build
        node = build.block.node
        return talk, build.fetcher(
            "u", lambda client: exchange(None, client), node, options
        )

    def fetch(self, fetcher: Fetcher, **more: Any) -> Deferred[Fetched]:
        """
        Ask for a word.
        """
        return fetcher.fetch(FetchRequest(variables={"word": b"w"}), **more)

    def failure(self, result: Deferred[Fetched]) -> FetchError:
        """
        Why there is no response.
        """
        error = self.failureResultOf(result, FetchError).value
        assert isinstance(error, FetchError)
        return error

    def test_whole(self) -> None:
        """
        The response comes whole, and its connection serves the next one.
        """
        talk, fetcher = self.begin(upstream("10.0.0.1:80", more="keepalive 4;"))
        result = self.fetch(fetcher)
        server = talk.server()
        self.assertEqual(server.raw(), b"w\n")
        server.sends(b"5\nhel")
        self.assertNoResult(result)
        server.sends(b"lo")
        found = self.successResultOf(result)
        self.assertEqual(
            (found.status, found.fields, found.body, found.peers),
            (200, b"\r\nA: b", b"hello", [b"10.0.0.1:80"]),
        )
        result = self.fetch(fetcher)
        self.assertEqual(server.raw(), b"w\n")
        server.sends(b"0\n")
        self.assertEqual(self.successResultOf(result).body, b"")
        talk.isQuiet()

    def test_parsedHead(self) -> None:
        """
        What L{parseResponse} returns may be passed on as it is.
        """
        talk, fetcher = self.begin(exchange=AskHTTP)
        result = self.fetch(fetcher)
        server = talk.server()
        server.sends(b"HTTP/1.1 201 Made\r\nContent-Length: 5\r\nContent-Type: a/b")
        self.assertNoResult(result)
        server.sends(b"\r\nX-C: d\r\nServer: e\r\nConnection: close\r\n\r\nhello")
        found = self.successResultOf(result)
        self.assertEqual(
            (found.status, found.contentType, found.fields, found.body),
            (201, b"a/b", b"\r\nX-C: d", b"hello"),
        )
        talk.isQuiet()

    def test_retries(self) -> None:
        """
        A server that fails is followed by the next one.
        """
        talk, fetcher = self.begin()
        result = self.fetch(fetcher)
        talk.server().hangsUp()
        talk.server().sends(b"1\nx")
        found = self.successResultOf(result)
        self.assertEqual(found.peers, [b"10.0.0.1:80", b"10.0.0.2:80"])
        talk.isLogged("upstream prematurely closed connection while reading response")
        talk.isQuiet()

    def test_errors(self) -> None:
        """
        A failure names the server, what was being done, and why.
        """
        talk, fetcher = self.begin(
            upstream("10.0.0.1:80"), options=PassOptions(readTimeout=3.0)
        )
        reading = "reading response header from upstream"
        for act, reason, phase, status in (
            (lambda s: s.hangsUp(), "upstream prematurely closed", reading, 502),
            (lambda s: s.sends(b"no\n"), "upstream sent no number", reading, 502),
            (lambda s: talk.passes(3), "upstream timed out", reading, 504),
            (lambda s: s.sends(b"x" * 9999), "upstream sent too big", reading, 502),
        ):
            result = self.fetch(fetcher)
            act(talk.server())
            error = self.failure(result)
            self.assertIn(reason, error.reason)
            self.assertEqual(
                (error.phase, error.peer, error.status),
                (phase, b"10.0.0.1:80", status),
            )
            self.assertIn(f"while {phase}, server: 10.0.0.1:80", str(error))
            talk.isQuiet()

    def test_cut(self) -> None:
        """
        Half a response is none.
        """
        talk, fetcher = self.begin(upstream("10.0.0.1:80"))
        result = self.fetch(fetcher)
        server = talk.server()
        server.sends(b"5\nhel")
        server.hangsUp()
        self.assertEqual(self.failure(result).phase, "reading upstream")
        talk.isQuiet()

    def test_noServer(self) -> None:
        """
        Where no server can be asked, the group is named.
        """
        talk, fetcher = self.begin(
            upstream("10.0.0.1:80 down", "10.0.0.2:80 down"),
        )
        error = self.failure(self.fetch(fetcher))
        self.assertEqual((error.reason, error.peer), ("no live upstreams", b"u"))

    def test_connecting(self) -> None:
        """
        A server that refuses is named with the phase.
        """
        talk, fetcher = self.begin(upstream("10.0.0.1:80"))
        talk.dialer.behaviour["10.0.0.1:80"] = "wait"
        result = self.fetch(fetcher)
        talk.refuses()
        self.assertEqual(self.failure(result).phase, "connecting to upstream")
        talk.isQuiet()

    def test_limit(self) -> None:
        """
        What is longer than allowed is given up as soon as that is known.
        """
        talk, fetcher = self.begin(upstream("10.0.0.1:80"))
        for said, limit in ((b"4097\n", None), (b"11\n", 10)):
            result = self.fetch(fetcher, limit=limit)
            server = talk.server()
            server.sends(said)
            self.assertIn("longer than", self.failure(result).reason)
            server.isClosed()
            talk.isQuiet()
        result = self.fetch(fetcher, limit=10)
        talk.server().sends(b"10\n0123456789")
        self.assertEqual(self.successResultOf(result).body, b"0123456789")

    def test_cancel(self) -> None:
        """
        Cancelling closes the connection, or gives up connecting.
        """
        talk, fetcher = self.begin(upstream("10.0.0.1:80"))
        result = self.fetch(fetcher)
        server = talk.server()
        server.sends(b"5\nhel")
        result.cancel()
        talk.settle()
        self.failureResultOf(result, CancelledError)
        server.isClosed()
        talk.isQuiet()
        talk.dialer.behaviour["10.0.0.1:80"] = "wait"
        result = self.fetch(fetcher)
        result.cancel()
        talk.settle()
        self.failureResultOf(result, CancelledError)
        talk.isQuiet()

    def test_exceptions(self) -> None:
        """
        A plugin that raises makes the fetch fail, and nothing is held.
        """

        class Raises(Ask):
            def createRequest(self) -> bytes:
                raise ZeroDivisionError

        talk, fetcher = self.begin(exchange=Raises)
        self.failureResultOf(self.fetch(fetcher), ZeroDivisionError)
        talk.noServer()
        talk.isQuiet()

    def test_balancerRaises(self) -> None:
        """
        So does a balancer that raises.
        """

        def broken(client: object) -> Any:
            raise ZeroDivisionError

        talk, fetcher = self.begin()
        for group in talk.http.groups:
            group.initPeer = broken
        self.failureResultOf(self.fetch(fetcher), ZeroDivisionError)
        talk.noServer()
        talk.isQuiet()

    def test_nothingToAsk(self) -> None:
        """
        A request that cannot be made is 500.
        """

        class Mute(Ask):
            def createRequest(self) -> None:  # type: ignore[override]  # as in interface
                return None

        talk, fetcher = self.begin(exchange=Mute)
        self.assertEqual(self.failure(self.fetch(fetcher)).status, 500)

    def test_interfaces(self) -> None:
        """
        Who asks is a client, and takes the reply.
        """
        nobody = _Nobody(FetchRequest(), 1, None)
        verifyObject(IHTTPClient, nobody)
        verifyObject(IReply, nobody)


class LocationTests(ConversationCase):
    """
    L{Fetcher} as a location passes.
    """

    def begin(self, server: str, name: str) -> tuple[Talk, Fetcher]:
        """
        A fetcher like the first location.
        """
        talk = self.talk(configuration(server, TWO))
        build = talk.http.build
        place = next(each for each in build.block.inner if each.node.name == "server")
        return talk, build.fetcherLike(place.inner[0], name)

    def test_proxy(self) -> None:
        """
        An HTTP response, with its type and fields; the request has its own fields and
        body, and the location's.
        """
        talk, fetcher = self.begin(
            "location / { proxy_pass http://u; proxy_set_header X-A b; }", "proxy"
        )
        result = fetcher.fetch(
            FetchRequest(
                method=b"POST",
                uri=b"/a b",
                args=b"c",
                fields=b"\r\nX-C: d",
                body=b"body",
            )
        )
        server = talk.server()
        heard = server.hears("POST /a%20b?c HTTP/1.1", b"body")
        self.assertEqual((heard["X-A"], heard["X-C"]), ("b", "d"))
        head = message(
            "HTTP/1.1 201 Created",
            (
                "Transfer-Encoding: chunked",
                "Content-Type: text/x",
                "X-Accel-Redirect: /other",
                "X-Accel-Limit-Rate: 1",
                "X-Own: y",
            ),
        )
        server.sends(head + chunks(b"hel", b"lo"))
        found = self.successResultOf(result)
        self.assertEqual(
            (found.status, found.contentType, found.fields, found.body),
            (201, b"text/x", b"\r\nX-Own: y", b"hello"),
        )
        talk.isQuiet()

    def test_sticky(self) -> None:
        """
        A group that clients stay with tells where, in the response.
        """
        http = TWO.replace("keepalive 4;", "sticky cookie s;")
        talk = self.talk(configuration("location / { proxy_pass http://u; }", http))
        build = talk.http.build
        place = next(each for each in build.block.inner if each.node.name == "server")
        fetcher = build.fetcherLike(place.inner[0], "proxy")
        result = fetcher.fetch(FetchRequest())
        talk.server().sends(answer(b"hello", "Connection: close"))
        found = self.successResultOf(result)
        name = re.search(rb"Set-Cookie: s=(\w+)", found.fields)
        assert name is not None
        for _ in range(3):
            result = fetcher.fetch(FetchRequest(fields=b"\r\nCookie: s=" + name[1]))
            server = talk.server()
            self.assertEqual(server.name, "10.0.0.1:80")
            server.sends(answer(b"hello", "Connection: close"))
            self.assertEqual(self.successResultOf(result).peers, [b"10.0.0.1:80"])

    def test_errorStatus(self) -> None:
        """
        A server's error is a response, too.
        """
        talk, fetcher = self.begin(
            "location / { proxy_pass http://u; proxy_intercept_errors on;"
            " error_page 500 /e; }",
            "proxy",
        )
        for status in ("404 Not Found", "500 Wrong"):
            result = fetcher.fetch(FetchRequest())
            talk.server().sends(answer(b"why", "Connection: close", status=status))
            found = self.successResultOf(result)
            self.assertEqual((str(found.status), found.body), (status[:3], b"why"))

    def test_memcached(self) -> None:
        """
        A value, or 404.
        """
        talk, fetcher = self.begin(
            "location / { set $memcached_key x; memcached_pass u; }", "memcached"
        )
        request = FetchRequest(variables={"memcached_key": b"k"})
        result = fetcher.fetch(request)
        server = talk.server()
        server.sends(b"VALUE k 0 5\r\nhello\r\nEND\r\n")
        self.assertEqual(self.successResultOf(result).body, b"hello")
        result = fetcher.fetch(request)
        talk.server().sends(b"END\r\n")
        self.assertEqual(self.successResultOf(result).status, 404)

    def test_variable(self) -> None:
        """
        A pass with variables cannot be asked without a request.
        """
        self.assertRaises(
            ConfigError,
            self.begin,
            "location / { proxy_pass http://$host; }",
            "proxy",
        )
