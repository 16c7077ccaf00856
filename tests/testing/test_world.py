"""
Tests for L{twisted_upstream.testing.world} and L{twisted_upstream.testing.clients}.
"""

from __future__ import annotations

import io
import os
import unittest
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.certificates import authority, issue
from twisted_upstream.config.syntax import ConfigError, Document
from twisted_upstream.testing import (
    Cut,
    Delay,
    Hang,
    Leak,
    Refuse,
    Unreachable,
    World,
)

CONF = """
http {
    upstream app {
        server a.example:8080;
        server b.example:8080;
        server 10.0.0.3:8080 backup;
    }
    server {
        listen 80;
        proxy_connect_timeout 1s;
        proxy_read_timeout 2s;
        location / { proxy_pass http://app; }
    }
}
"""


def one(location: str = "proxy_pass http://a.example;", http: str = "") -> str:
    """
    A configuration with one location.
    """
    return f"http {{ {http} server {{ listen 80; location / {{ {location} }} }} }}"


class ChaosTests(unittest.TestCase):
    """
    What a newcomer writes, with Python's own unittest.
    """

    def test_twoOfThreeFail(self) -> None:
        """
        Two of three servers fail: login works, and the time it takes is known.
        """
        with World(CONF) as world:
            world.server("a.example:8080").inject(Refuse())
            world.server("b.example:8080").inject(Unreachable())
            answer = world.get("/login").assertStatus(200).assertWithin(1.0)
            answer.assertServers("a.example:8080", "b.example:8080", "10.0.0.3:8080")
            self.assertEqual(answer.seconds, 1.0)

    def test_dyingUnderLoad(self) -> None:
        """
        A server dies and comes back under load: no client notices, and shares follow.
        """
        with World(CONF) as world:
            world.server("a.example:8080").inject(Refuse(), begin=10, end=20)
            load = world.many(rate=20, seconds=40).assertNoFailures()
            even = {"a.example:8080": 0.5, "b.example:8080": 0.5}
            load.between(0, 10).assertShares(even)
            load.between(11, 20).assertShares({"b.example:8080": 1.0})
            load.between(32, 40).assertShares(even)


class WorldTests(SynchronousTestCase):
    """
    Tests for L{World}.
    """

    def world(self, conf: str = CONF, **arguments: object) -> World:
        """
        A world that must leave nothing behind.
        """
        world = World(conf, **arguments)  # type: ignore[arg-type]  # as they are
        self.addCleanup(world.close)
        return world

    def test_answer(self) -> None:
        """
        An answer has status, fields, body, and what was asked when.
        """
        world = self.world()
        world.server("a.example:8080").responds("hello").inject(Delay(0.25))
        world.passes(5)
        answer = world.get("/x")
        self.assertEqual((answer.status, answer.text), (200, "hello"))
        self.assertEqual(answer["content-LENGTH"], "5")
        self.assertIsNone(answer["X-None"])
        self.assertEqual((answer.begun, answer.seconds), (5.0, 0.25))
        [attempt] = answer.attempts
        self.assertEqual(
            (attempt.server, attempt.address, attempt.status, attempt.seconds),
            ("a.example:8080", "198.18.0.1:8080", 200, 0.25),
        )
        self.assertEqual((attempt.connectSeconds, attempt.queueSeconds), (0.0, None))

    def test_exact(self) -> None:
        """
        Times are what they would be on paper, and windows begin when they should.
        """
        world = self.world(one())
        world.server("a.example").inject(Delay(0.1), end=0.3).inject(
            Delay(0.7), begin=0.3
        )
        found = [world.get() for _ in range(4)]
        self.assertEqual([each.seconds for each in found], [0.1, 0.1, 0.1, 0.7])
        self.assertEqual([each.begun for each in found], [0.0, 0.1, 0.2, 0.3])
        self.assertEqual(found[0].attempts[0].seconds, 0.1)
        self.assertEqual(world.seconds, 1.0)

    def test_request(self) -> None:
        """
        Method, body, fields, host and address of a request reach the server.
        """
        location = (
            "proxy_set_header Host $host; proxy_set_header X-From $remote_addr;"
            " proxy_pass http://a.example;"
        )
        world = self.world(one(location))
        world.post(
            "/form?a=b",
            "q=1",
            fields={"X-A": "b"},
            host="shop.example",
            address="203.0.113.9",
        ).assertStatus(200)
        [request] = world.server("a.example").requests
        self.assertEqual((request.method, request.target), ("POST", "/form?a=b"))
        self.assertEqual(request.body, b"q=1")
        self.assertEqual(request["Host"], "shop.example")
        self.assertEqual((request["X-A"], request["X-From"]), ("b", "203.0.113.9"))

    def test_inet6Client(self) -> None:
        """
        A client may have an IPv6 address.
        """
        world = self.world(one("return 200 $remote_addr;"))
        self.assertEqual(world.get(address="2001:db8::1").text, "2001:db8::1")

    def test_head(self) -> None:
        """
        The answer to HEAD has no body, though it says a length.
        """
        world = self.world(one())
        world.server("a.example").responds("hello")
        answer = world.request("HEAD").assertStatus(200)
        self.assertEqual((answer["Content-Length"], answer.body), ("5", b""))

    def test_port(self) -> None:
        """
        A client says which address it connects to, by its port.
        """
        world = self.world(
            "http { server { listen 81; return 200 first; }"
            " server { listen unix:/nowhere; return 200 unix; }"
            " server { listen 82; return 200 second; } }"
        )
        self.assertEqual(world.get().text, "first")
        self.assertEqual(world.get(port=82).text, "second")
        self.assertRaises(LookupError, world.get, port=83)

    def test_servers(self) -> None:
        """
        Servers are found by group, by name and by address.
        """
        world = self.world()
        names = ["a.example:8080", "b.example:8080", "10.0.0.3:8080"]
        self.assertEqual([each.name for each in world.servers("app")], names)
        self.assertEqual([each.name for each in world.servers()], names)
        self.assertIs(world.server("198.18.0.2:8080"), world.server("b.example:8080"))
        error = self.assertRaises(LookupError, world.server, "c.example")
        self.assertIn("a.example:8080, b.example:8080", str(error))
        self.assertRaises(LookupError, world.servers, "other")

    def test_hosts(self) -> None:
        """
        Names may be given addresses; with several, each is a server.
        """
        world = self.world(hosts={"a.example": ["10.1.0.1", "10.1.0.2"]})
        self.assertEqual(
            [each.name for each in world.servers("app")],
            ["10.1.0.1:8080", "10.1.0.2:8080", "b.example:8080", "10.0.0.3:8080"],
        )
        self.assertRaises(ConfigError, World, CONF, hosts={"a.example": []})

    def test_resolver(self) -> None:
        """
        Names that only a request knows are resolved as others are.
        """
        world = self.world(
            one("resolver 192.0.2.53; proxy_pass http://$arg_to:81;"),
            hosts={"none.example": []},
        )
        world.get("/?to=x.example").assertStatus(200).assertServers("x.example:81")
        answer = world.get("/?to=x.example").assertStatus(200)
        self.assertEqual(answer.attempts[0].address, "198.18.0.1:81")
        answer = world.get("/?to=none.example").assertStatus(502)
        self.assertIn("none.example could not be resolved", answer.errors[0])

    def test_fromFile(self) -> None:
        """
        A configuration's file may include others, beside it.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "nginx.conf").write_text("http { include more/*.conf; }")
        (folder / "more").mkdir()
        (folder / "more" / "a.conf").write_text("server { return 200 $host; }")
        world = World.fromFile(folder / "nginx.conf")
        self.addCleanup(world.close)
        self.assertEqual(world.get().text, "localhost")
        (folder / "nginx.conf").write_text("http {\n  nonsense;\n}")
        error = self.assertRaises(ConfigError, World.fromFile, folder / "nginx.conf")
        self.assertIn(f"{folder}/nginx.conf:2", str(error))

    def test_errors(self) -> None:
        """
        The error log is in memory, wherever it was wanted; an answer has its lines.
        """
        world = self.world("error_log /nowhere/error.log;" + CONF)
        world.server("a.example:8080").inject(Refuse())
        first, second = world.get("/1"), world.get("/2")
        self.assertIn("connect() failed (111: Connection refused)", first.errors[0])
        self.assertEqual(second.errors, [])
        self.assertLessEqual(set(first.errors), set(world.errors))

    def test_writesNowhere(self) -> None:
        """
        Access logs and temporary files go to a directory of the world's own, which goes
        with it.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        conf = one(
            "client_body_in_file_only clean; client_body_temp_path /nowhere;"
            " proxy_temp_path /nowhere; proxy_pass http://a.example;",
            http="log_format short '$request_uri'; access_log /nowhere/x.log short;"
            " access_log syslog:server=192.0.2.9 short;",
        )
        world = World(conf, folder=folder)
        world.post("/form", "x").assertStatus(200)
        self.assertEqual(world.accessLog("x.log"), ["/form"])
        self.assertEqual(world.accessLog("syslog"), ["/form"])
        own = world._folder.name
        self.assertTrue(os.path.exists(own))
        world.close()
        self.assertFalse(os.path.exists(own))
        self.assertEqual(list(folder.iterdir()), [])

    def test_accessLog(self) -> None:
        """
        Without a line about it, the access log is there as in nginx.
        """
        world = self.world()
        world.get("/x")
        [line] = world.accessLog()
        self.assertIn('"GET /x HTTP/1.1" 200', line)

    def test_wrong(self) -> None:
        """
        A configuration that is wrong says so, and leaves nothing.
        """
        folders = []

        class Watched(World):
            """
            Remembers its directory.
            """

            def _keptHere(self, document: Document) -> Document:
                folders.append(self._folder.name)
                return super()._keptHere(document)

        self.assertRaises(ConfigError, Watched, "http { nonsense; }")
        self.assertRaises(ConfigError, Watched, "http {")
        [folder] = folders
        self.assertFalse(os.path.exists(folder))

    def test_tls(self) -> None:
        """
        TLS is taken for done on both sides.
        """
        root = authority()
        issued = issue("a.example", root)
        folder = Path(self.mktemp())
        folder.mkdir()
        for name, data in (
            ("root.pem", root.pem),
            ("a.pem", issued.pem),
            ("a.key", issued.keyPem),
        ):
            (folder / name).write_bytes(data)
        world = self.world(
            """
            http {
                proxy_ssl_trusted_certificate root.pem;
                proxy_ssl_verify on;
                server {
                    listen 443 ssl;
                    ssl_certificate a.pem;
                    ssl_certificate_key a.key;
                    location / { proxy_pass https://b.example; }
                }
            }
            """,
            folder=folder,
        )
        answer = world.get(host="a.example").assertStatus(200)
        answer.assertServers("b.example")

    def test_concurrent(self) -> None:
        """
        Requests may be under way at the same time.
        """
        world = self.world(one())
        world.server("a.example").inject(Delay(2), end=1)
        slow = world.start("/slow")
        world.passes(1)
        self.assertRaises(AssertionError, lambda: slow.answer)
        quick = world.start("/quick")
        answers = world.wait(slow, quick)
        self.assertEqual([each.seconds for each in answers], [2.0, 0.0])
        self.assertEqual(world.seconds, 2.0)
        self.assertIs(slow.answer, answers[0])

    def test_patience(self) -> None:
        """
        A request that is never answered is an error, not an endless test.
        """
        world = self.world(one("proxy_read_timeout 1d; proxy_pass http://a.example;"))
        world.server("a.example").inject(Hang())
        error = self.assertRaises(AssertionError, world.get)
        self.assertIn("no answer within 3600 s", str(error))

    def test_equalWorlds(self) -> None:
        """
        Worlds with the same seed have the same history, others another one.
        """
        found = []
        for seed in (1, 1, 2):
            with World(CONF, seed=seed) as world:
                for each in world.servers("app"):
                    each.inject(Refuse(), chance=0.3)
                load = world.many(rate=10, seconds=10)
                found.append([(each.begun, each.servers) for each in load.answers])
        self.assertEqual(found[0], found[1])
        self.assertNotEqual(found[0], found[2])

    def test_rate(self) -> None:
        """
        Load lasts as long as it should, and arrives at the rate that it should.
        """
        world = self.world()
        load = world.many(rate=50, seconds=20)
        self.assertEqual(world.seconds, 20.0)
        self.assertApproximates(len(load.answers) / 1000, 1, 0.1)
        self.assertRaises(ValueError, world.many, rate=0, seconds=1)


class AnswerTests(SynchronousTestCase):
    """
    Assertions on an L{Answer<twisted_upstream.testing.Answer>}.
    """

    def test_assertions(self) -> None:
        """
        They say what came instead, who was asked, and what the error log says.
        """
        with World(CONF) as world:
            for each in world.servers():
                each.inject(Refuse())
            answer = world.get()
            for failing in (
                lambda: answer.assertStatus(200),
                lambda: answer.assertServers("a.example:8080"),
                lambda: answer.assertWithin(-1),
            ):
                error = str(self.assertRaises(AssertionError, failing))
                self.assertIn("<Answer 502 0.000s [a.example:8080=502 b", error)
                self.assertIn("Connection refused", error)
            self.assertTrue(answer.isFailure)

    def test_cut(self) -> None:
        """
        A response that is cut has its status, but is not whole.
        """
        with World(CONF) as world:
            world.server("a.example:8080").responds("x" * 100).inject(Cut(100))
            answer = world.get()
            self.assertEqual((answer.status, answer.isComplete), (200, False))
            self.assertTrue(answer.isFailure)
            self.assertRaises(AssertionError, answer.assertStatus, 200)


class EndTests(SynchronousTestCase):
    """
    Worlds end, and leave nothing.
    """

    def test_underWay(self) -> None:
        """
        What is under way when the world ends is given up.
        """
        with World(CONF) as world:
            world.server("a.example:8080").inject(Hang())
            world.server("b.example:8080").inject(Unreachable())
            calls = [world.start(), world.start()]
        self.assertEqual([call.answer.status for call in calls], [0, 0])

    def test_ignoredAbort(self) -> None:
        """
        Where clients that go away change nothing, the end waits for the servers.
        """
        conf = one("proxy_ignore_client_abort on; proxy_pass http://a.example;")
        with World(conf) as world:
            world.server("a.example").inject(Delay(30))
            world.start()
            world.passes(1)
        self.assertEqual(world.seconds, 30.0)

    def test_leak(self) -> None:
        """
        A count that is not given back is an error.
        """
        world = World(CONF)
        [group] = world.http.groups
        peer = group.peers.peers[0]
        peer.conns += 1
        error = self.assertRaises(Leak, world.close)
        self.assertIn("198.18.0.1:8080: conns 1", str(error))
        self.assertFalse(os.path.exists(world._folder.name))
        # Once is enough.
        world.close()

    def test_firstThingsFirst(self) -> None:
        """
        What a test says is not hidden by what it leaves; it gets a note of that.
        """

        def broken() -> None:
            with World(CONF) as world:
                [group] = world.http.groups
                group.peers.peers[0].conns += 1
                raise ZeroDivisionError

        error = self.assertRaises(ZeroDivisionError, broken)
        self.assertIn("left over", error.__notes__[0])

    def test_unittest(self) -> None:
        """
        Python's own runner is enough.
        """
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(ChaosTests)
        runner = unittest.TextTestRunner(stream=io.StringIO())
        self.assertTrue(runner.run(suite).wasSuccessful())
