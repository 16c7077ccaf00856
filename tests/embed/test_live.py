"""
Groups in programs, over real sockets.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from importlib.util import find_spec
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.task import Cooperator
from twisted.trial.unittest import TestCase
from twisted.web.client import FileBodyProducer, readBody
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.support.certificates import authority, issue
from twisted_upstream.embed import Upstream, UpstreamFailed


class Hello(Resource):
    """
    Says who it is, and what it was told.
    """

    isLeaf = True

    def __init__(self, name: bytes) -> None:
        super().__init__()
        self.name = name

    def render(self, request: Any) -> bytes:
        """
        Answer.
        """
        return b" ".join((self.name, request.uri, request.content.read()))


class Mortal:
    """
    A server that dies and comes back, at the same address.
    """

    def __init__(self, name: bytes) -> None:
        self.site = Site(Hello(name))
        self.number = 0
        self._port: Any = None
        self.connections: set[Any] = set()
        build: Any = self.site.buildProtocol

        def remember(address: Any) -> Any:
            protocol = build(address)
            self.connections.add(protocol)
            return protocol

        self.site.buildProtocol = remember  # type: ignore[method-assign]

    @inlineCallbacks
    def live(self) -> Any:
        """
        Listen.
        """
        from twisted.internet import reactor

        endpoint = TCP4ServerEndpoint(reactor, self.number, interface="127.0.0.1")
        self._port = yield endpoint.listen(self.site)
        self.number = self._port.getHost().port

    @inlineCallbacks
    def die(self) -> Any:
        """
        Listen no more, and break all connections.
        """
        port, self._port = self._port, None
        if port is not None:
            yield port.stopListening()
        while self.connections:
            protocol = self.connections.pop()
            transport = protocol._channel.transport
            if transport is not None:
                transport.abortConnection()


def wait(seconds: float) -> Deferred[None]:
    """
    Let time pass.
    """
    from twisted.internet import reactor

    clock: Any = reactor
    done: Deferred[None] = Deferred()
    clock.callLater(seconds, done.callback, None)
    return done


class LiveCase(TestCase):
    """
    Three servers and a group of them.
    """

    timeout = 60

    @inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]  # trial waits
        """
        All live.
        """
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.servers = [Mortal(b"%d" % number) for number in range(3)]
        for server in self.servers:
            yield server.live()
            self.addCleanup(server.die)

    def group(self, **options: Any) -> Upstream:
        """
        The group; when the test ends nobody is busy.
        """
        upstream = Upstream(
            self.reactor,
            *(f"127.0.0.1:{each.number} max_fails=0" for each in self.servers),
            **options,
        )
        self.addCleanup(self._end, upstream)
        return upstream

    @inlineCallbacks
    def _end(self, upstream: Upstream) -> Any:
        upstream.close()
        yield wait(0.02)
        self.assertEqual(upstream.status.active, 0)


class TreqTests(LiveCase):
    """
    treq over L{Upstream.agent}.
    """

    if find_spec("treq") is None:
        skip = "treq is not installed"

    @inlineCallbacks
    def test_chaos(self) -> Any:
        """
        While one server after another dies and comes back, none of 5,000 GETs fails,
        and the counts end at zero.
        """
        from treq.client import HTTPClient

        upstream = self.group(keepalive=16)
        client = HTTPClient(upstream.agent())
        left = 5000
        failures: list[Any] = []
        names: dict[bytes, int] = {}
        deaths: list[Mortal] = []

        @inlineCallbacks
        def ask() -> Any:
            nonlocal left
            while left > 0:
                left -= 1
                number = b"%d" % left
                try:
                    response = yield client.get(f"http://api/{left}")
                    body = yield response.content()
                except Exception as e:
                    failures.append(e)
                    continue
                name, uri, _ = body.split(b" ")
                if response.code != 200 or uri != b"/" + number:
                    failures.append(body)
                names[name] = names.get(name, 0) + 1

        @inlineCallbacks
        def kill() -> Any:
            while left > 0:
                for server in self.servers:
                    yield server.die()
                    deaths.append(server)
                    yield wait(0.02)
                    yield server.live()
                    # A request that meets every death in turn would rightly fail:
                    # on a busy machine it may take a while.
                    yield wait(0.15)

        killing = kill()
        asking = [ask() for _ in range(16)]
        yield gatherResults(asking)
        left = 0
        yield killing
        self.assertEqual(failures, [])
        self.assertEqual(sum(names.values()), 5000)
        self.assertEqual(upstream.status.active, 0)
        self.assertEqual(len(names), 3)
        self.assertGreater(len(deaths), 3)

    @inlineCallbacks
    def test_posts(self) -> Any:
        """
        Bodies of all kinds go and come.
        """
        from treq.client import HTTPClient

        client = HTTPClient(self.group().agent())
        for data in (b"hello", b"x" * 300000):
            response = yield client.post("http://api/a", data=data)
            body = yield response.content()
            self.assertEqual(body.split(b" ")[2], data)
        response = yield client.post("http://api/a", json={"a": 1})
        text = yield response.text()
        self.assertIn('/a {"a":1}', text)


class SecureTests(LiveCase):
    """
    The agent and https.
    """

    @inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]  # trial waits
        """
        A server with a certificate.
        """
        yield super().setUp()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        root = authority()
        leaf = issue("localhost", issuer=root, alternatives=("localhost",))
        paths = []
        for name, data in (
            ("ca.pem", root.pem),
            ("key.pem", leaf.keyPem),
            ("leaf.pem", leaf.pem),
        ):
            paths.append(os.path.join(folder, name))
            with open(paths[-1], "wb") as file:
                file.write(data)
        self.trusted = paths[0]
        context = DefaultOpenSSLContextFactory(*paths[1:])
        self.port = self.reactor.listenSSL(
            0, Site(Hello(b"s")), context, interface="127.0.0.1"
        )
        self.addCleanup(self.port.stopListening)

    def secure(self, **options: Any) -> Any:
        """
        An agent of the group of that server.
        """
        number = self.port.getHost().port
        upstream = Upstream(self.reactor, f"127.0.0.1:{number}")
        self.addCleanup(self._end, upstream)
        return upstream.agent(**options)

    @inlineCallbacks
    def test_trusted(self) -> Any:
        """
        Who proves to be the URI's host is talked to.
        """
        agent = self.secure(sslTrustedCertificate=self.trusted)
        for _ in range(2):
            response = yield agent.request(b"GET", b"https://localhost/x")
            self.assertEqual((yield readBody(response)), b"s /x ")

    @inlineCallbacks
    def test_other(self) -> Any:
        """
        Who has another name, or whom nobody trusts, is not; the error says so.
        """
        agent = self.secure(sslTrustedCertificate=self.trusted)
        error = yield self.assertFailure(
            agent.request(b"GET", b"https://elsewhere.example/"), UpstreamFailed
        )
        self.assertIn("SSL", error.attempts[0].phase)
        error = yield self.assertFailure(
            self.secure().request(b"GET", b"https://localhost/"), UpstreamFailed
        )
        self.assertIn("verif", error.attempts[0].error)
        agent = self.secure(sslVerify=False)
        response = yield agent.request(b"GET", b"https://elsewhere.example/")
        self.assertEqual((yield readBody(response)), b"s / ")


class SiteTests(LiveCase):
    """
    A resource in a site, asked by an agent.
    """

    @inlineCallbacks
    def test_site(self) -> Any:
        """
        Requests, long bodies among them, go through a site's resource.
        """
        root = Resource()
        root.putChild(b"api", self.group().resource(b"/v1"))
        port = self.reactor.listenTCP(0, Site(root), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        outer = Upstream(self.reactor, f"127.0.0.1:{port.getHost().port}")
        agent = outer.agent()
        for size in (0, 10, 1000000):
            producer = FileBodyProducer(
                BytesIO(b"x" * size),
                Cooperator(scheduler=lambda call: self.reactor.callLater(0, call)),
            )
            response = yield agent.request(b"PUT", b"http://h/api/a", None, producer)
            name, uri, body = (yield readBody(response)).split(b" ")
            self.assertEqual((uri, len(body)), (b"/v1/a", size))
        outer.close()
        yield wait(0.02)
