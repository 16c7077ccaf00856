"""
Tests for L{twisted_upstream.stream.upstream_session} and
L{twisted_upstream.stream.proxy}.
"""

from __future__ import annotations

from typing import Any

from tests.support.stream import StreamCase
from twisted_upstream.config.syntax import ConfigError

GROUP = """
    upstream g { server 10.0.0.1:80; server 10.0.0.2:80; }
    server { listen 8080; proxy_pass g; }
"""


class AttemptTests(StreamCase):
    """
    Servers that cannot be connected to.
    """

    def test_next(self) -> None:
        """
        The next server is asked; both are logged, and what the client has said is kept.
        """
        stream = self.stream(GROUP)
        stream.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client = stream.connect(data=b"ping")
        self.assertEqual(bytes(stream.server().outgoing), b"ping")
        stream.ends(client)
        self.assertEqual(self.accessLog(), ["200 4 0 10.0.0.1:80, 10.0.0.2:80"])
        self.assertTrue(
            stream.log.has(
                "connect() failed (111: Connection refused) while connecting to"
                " upstream, client: 192.0.2.1, server: 0.0.0.0:8080, upstream:"
                ' "10.0.0.1:80", bytes from/to client:0/0, bytes from/to upstream:0/0'
            )
        )

    def test_timeout(self) -> None:
        """
        A server that does not answer in time is left for the next one.
        """
        stream = self.stream("proxy_connect_timeout 2s;" + GROUP)
        stream.dialer.behaviour["10.0.0.1:80"] = "wait"
        stream.connect()
        stream.reactor.passes(2.1)
        self.assertEqual(stream.dialer.asked, ["10.0.0.1:80", "10.0.0.2:80"])
        self.assertTrue(stream.log.has("upstream timed out (110"))

    def test_none(self) -> None:
        """
        When none is left the client is closed, with 502.
        """
        stream = self.stream(GROUP)
        for name in ("10.0.0.1:80", "10.0.0.2:80"):
            stream.dialer.behaviour[name] = "refuse"
        self.assertTrue(stream.connect().closed)
        stream.connect()
        self.assertEqual(
            self.accessLog(), ["502 0 0 10.0.0.1:80, 10.0.0.2:80", "502 0 0 g"]
        )
        self.assertTrue(stream.log.has("no live upstreams while connecting"))

    def test_balancerRaises(self) -> None:
        """
        A balancer that raises ends the session, and nothing is left of it.
        """

        def broken(client: object) -> Any:
            raise ZeroDivisionError

        stream = self.stream(GROUP)
        for group in stream.build.groups:
            group.initPeer = broken
        self.assertTrue(stream.connect(data=b"x").closed)
        self.assertEqual(stream.sessions, [])
        self.assertEqual(self.accessLog(), ["500 0 0 -"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_hundreds(self) -> None:
        """
        A group of any number of servers that all refuse at once is asked to its end.
        """
        names = [f"10.0.{each // 200}.{each % 200}:80" for each in range(500)]
        servers = "".join(f"server {name} max_fails=0; " for name in names)
        stream = self.stream(
            f"upstream g {{ {servers} }} server {{ listen 80; proxy_pass g; }}"
        )
        for name in names:
            stream.dialer.behaviour[name] = "refuse"
        client = stream.connect()
        stream.reactor.settle()
        self.assertTrue(client.closed)
        (line,) = self.accessLog()
        self.assertEqual(line.count("10.0."), 500)

    def test_goneWithin(self) -> None:
        """
        A session may end between two of its attempts.
        """
        servers = "".join(f"server 10.0.0.{each}:80; " for each in range(30))
        stream = self.stream(
            f"upstream g {{ {servers} }} server {{ listen 80; proxy_pass g; }}"
        )
        for each in range(30):
            stream.dialer.behaviour[f"10.0.0.{each}:80"] = "refuse"
        # The second step that settling takes is the one between.
        stream.reactor.callLater(0, lambda: stream.sessions[0].abort())
        stream.connect()
        (line,) = self.accessLog()
        self.assertEqual(line.count("10.0."), 20)

    def test_off(self) -> None:
        """
        proxy_next_upstream off and a limit of tries stop at the first.
        """
        for line in ("proxy_next_upstream off;", "proxy_next_upstream_tries 1;"):
            stream = self.stream(line + GROUP)
            stream.dialer.behaviour["10.0.0.1:80"] = "refuse"
            stream.connect()
            self.assertEqual(self.accessLog(), ["502 0 0 10.0.0.1:80"])

    def test_nextTimeout(self) -> None:
        """
        After proxy_next_upstream_timeout no other server is asked.
        """
        stream = self.stream(
            "proxy_connect_timeout 2s; proxy_next_upstream_timeout 1s;" + GROUP
        )
        stream.dialer.behaviour["10.0.0.1:80"] = "wait"
        client = stream.connect()
        stream.reactor.passes(2.1)
        self.assertTrue(client.closed)
        self.assertEqual(self.accessLog(), ["502 0 0 10.0.0.1:80"])

    def test_ourTrouble(self) -> None:
        """
        A local address that cannot be bound is no server's fault: 500.
        """
        stream = self.stream(GROUP)
        stream.dialer.behaviour["10.0.0.1:80"] = "wait"
        client = stream.connect()
        stream.dialer.unanswered.pop().refuse(99, "bind")
        stream.reactor.settle()
        self.assertTrue(client.closed)
        self.assertEqual(self.accessLog(), ["500 0 0 10.0.0.1:80"])

    def test_clientGone(self) -> None:
        """
        A session that is ended while it connects gives up the attempt.
        """
        stream = self.stream(GROUP)
        stream.dialer.behaviour["10.0.0.1:80"] = "wait"
        stream.connect()
        waiting = stream.dialer.unanswered[0]
        stream.sessions[0].abort()
        stream.reactor.settle()
        self.assertTrue(waiting.givenUp)


class AddressTests(StreamCase):
    """
    Addresses that are known only per session.
    """

    def test_variable(self) -> None:
        """
        Variables may name a group, an address, or a host that is looked up.
        """
        stream = self.stream(
            "resolver 127.0.0.1; upstream g { server 10.0.0.1:80; }"
            "map $remote_port $to { 1 g; 2 10.0.0.5:81; 3 backend:82; }"
            "server { listen 8080; proxy_pass $to; }"
        )
        for port in (1, 2, 3):
            stream.connect(peer=("192.0.2.1", port))
        name, found, _ = stream.names.asked.pop()
        self.assertEqual(name, "backend")
        found(["10.0.0.9"])
        self.assertEqual(
            stream.dialer.asked, ["10.0.0.1:80", "10.0.0.5:81", "10.0.0.9:82"]
        )

    def test_wrong(self) -> None:
        """
        What is no address ends the session with 500.
        """
        stream = self.stream(
            "map $remote_port $to { 1 10.0.0.5; 2 ''; 3 name:1; }"
            "server { listen 8080; proxy_pass $to; }"
        )
        for port in (1, 2, 3):
            self.assertTrue(stream.connect(peer=("192.0.2.1", port)).closed)
        self.assertEqual(self.accessLog(), ["500 0 0 -"] * 3)
        for text in (
            'no port in upstream "10.0.0.5"',
            'no host in upstream ""',
            "no resolver defined to resolve name",
        ):
            self.assertTrue(stream.log.has(text), text)

    def test_bind(self) -> None:
        """
        proxy_bind is the local address; an invalid one is complained of.
        """
        stream = self.stream(
            "map $remote_port $from { 1 127.0.0.2; 2 127.0.0.3:99; 3 nonsense; }"
            "server { listen 8080; proxy_bind $from; proxy_pass 10.0.0.1:80; }"
        )
        for port in (1, 2, 3):
            stream.connect(peer=("192.0.2.1", port))
        self.assertEqual(
            [each.local for each in stream.dialer.accepted],
            [b"127.0.0.2:0", b"127.0.0.3:99", None],
        )
        self.assertTrue(stream.log.has('invalid local address "nonsense"'))


class WatchedTests(StreamCase):
    """
    Servers whose names are watched.
    """

    def test_resolve(self) -> None:
        """
        Sessions go to the addresses of the moment; one under way stays where it is.
        """
        stream = self.stream(
            "resolver 10.0.0.53; upstream g { zone z 64k; server x.test:80 resolve; }"
            " server { listen 8080; proxy_pass g; }"
        )
        self.assertTrue(stream.connect().closed)
        stream.reactor.passes(0.01)
        stream.names.says("x.test", "10.0.0.1", until=10)
        client = stream.connect(data=b"ping")
        server = stream.server()
        stream.reactor.passes(11)
        stream.names.says("x.test", "10.0.0.2", until=99)
        stream.says(server, b"pong")
        self.assertEqual(bytes(client.outgoing), b"pong")
        other = stream.connect()
        stream.ends(client)
        stream.ends(other)
        self.assertEqual(
            self.accessLog(),
            ["502 0 0 g", "200 4 4 10.0.0.1:80", "200 0 0 10.0.0.2:80"],
        )

    def test_port(self) -> None:
        """
        A name needs a port, a service has one.
        """
        zone = "resolver 10.0.0.53; upstream g { zone z 64k;"
        server = "server { listen 8080; proxy_pass g; }"
        self.stream(f"{zone} server x.test resolve service=a; }} {server}")
        error = self.assertRaises(
            ConfigError,
            self.stream,
            f"{zone} server x.test resolve; }} {server}",
        )
        self.assertIn('no port in upstream "x.test"', str(error))
