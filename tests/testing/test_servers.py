"""
Tests for L{twisted_upstream.testing.servers} and L{twisted_upstream.testing.faults}.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.testing import (
    Connection,
    Cut,
    Delay,
    Fault,
    Garbage,
    Hang,
    Message,
    Refuse,
    Response,
    ResponsePlan,
    Slow,
    SlowConnect,
    Status,
    Unreachable,
    World,
    WrongLength,
)

CONF = """
http {
    upstream app { server a.example; keepalive 4; }
    server {
        proxy_connect_timeout 3s;
        proxy_read_timeout 5s;
        location / {
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://app;
        }
        location /raw { proxy_pass http://raw.example; }
    }
}
"""


class ServerCase(SynchronousTestCase):
    """
    One server.
    """

    def setUp(self) -> None:
        self.world = World(CONF)
        self.addCleanup(self.world.close)
        self.server = self.world.server("a.example")


class RespondingTests(ServerCase):
    """
    Tests for what a server answers.
    """

    def test_byItself(self) -> None:
        """
        A server that was told nothing says its name.
        """
        self.assertEqual(self.world.get().assertStatus(200).text, "a.example\n")

    def test_canned(self) -> None:
        """
        The answer is a body, a status, or a whole response.
        """
        for answering, status, body in (
            ("text", 200, b"text"),
            (b"\xff", 200, b"\xff"),
            (404, 404, b""),
            (Response("gone", status=410), 410, b"gone"),
            (Response("none", status=204), 204, b""),
        ):
            self.server.responds(answering)
            answer = self.world.get().assertStatus(status)
            self.assertEqual(answer.body, body)

    def test_fields(self) -> None:
        """
        A response may have fields.
        """
        self.server.responds(Response("{}", fields={"Content-Type": "text/x"}))
        self.assertEqual(self.world.get()["Content-Type"], "text/x")

    def test_function(self) -> None:
        """
        A function sees the request, and may go on as it likes.
        """

        def answering(request: Message) -> str | int:
            if request.method == "POST":
                return request.body.decode()[::-1]
            return 405

        self.server.responds(answering)
        self.assertEqual(self.world.post("/", "abc").text, "cba")
        self.world.get().assertStatus(405)
        self.assertEqual(self.server.received, 2)

    def test_functionRaises(self) -> None:
        """
        What a function raises is the test's failure.
        """

        def answering(request: Message) -> str:
            raise ZeroDivisionError

        self.server.responds(answering)
        self.assertRaises(ZeroDivisionError, self.world.get)

    def test_large(self) -> None:
        """
        Large bodies go both ways.
        """
        body = b"x" * 3_000_000
        self.server.responds(lambda request: request.body)
        fields = {"Transfer-Encoding": "chunked"}
        self.assertEqual(len(self.world.post("/", body[:900_000]).body), 900_000)
        answer = self.world.post("/", b"3\r\nabc\r\n0\r\n\r\n", fields=fields)
        self.assertEqual(answer.text, "abc")
        self.server.responds(body)
        self.assertEqual(self.world.get().body, body)

    def test_keepalive(self) -> None:
        """
        A connection that the proxy keeps serves more requests.
        """
        for _ in range(3):
            self.world.get().assertStatus(200)
        self.assertEqual((self.server.connections, self.server.received), (1, 3))

    def test_closes(self) -> None:
        """
        A request that says so is the last of its connection.
        """
        server = self.world.server("raw.example")
        self.world.get("/raw").assertStatus(200)
        self.world.get("/raw").assertStatus(200)
        self.assertEqual(server.connections, 2)

    def test_raw(self) -> None:
        """
        Who answers raw says every byte.
        """
        heard = []

        def responder(connection: Connection, data: bytes) -> None:
            heard.append(data)
            connection.send(b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nuntil the end")
            connection.close()

        self.server.respondsRaw(responder)
        answer = self.world.get("/x").assertStatus(200)
        self.assertEqual((answer.text, answer["X-A"]), ("until the end", "b"))
        self.assertTrue(b"".join(heard).startswith(b"GET /x HTTP/1.1\r\n"))

    def test_rawReset(self) -> None:
        """
        Who answers raw may reset the connection.
        """
        self.server.respondsRaw(lambda connection, data: connection.reset())
        answer = self.world.get().assertStatus(502)
        self.assertIn("Connection reset by peer", answer.errors[0])


class FaultTests(ServerCase):
    """
    Tests for each fault.
    """

    def test_refuse(self) -> None:
        """
        Connections are refused at once.
        """
        self.server.inject(Refuse())
        self.world.get().assertStatus(502).assertWithin(0)

    def test_refuseCloses(self) -> None:
        """
        A server that goes away closes what is open, unless it is told not to.
        """
        self.world.get()
        self.server.inject(Refuse(closes=False), begin=5, end=8)
        self.server.inject(Refuse(), begin=10)
        self.world.passes(6)
        self.world.get().assertStatus(200)
        self.assertEqual(self.world.http.idle(), 1)
        self.world.passes(4)
        self.assertEqual(self.world.http.idle(), 0)
        self.world.get().assertStatus(502)

    def test_refuseCuts(self) -> None:
        """
        A server that goes away leaves answers where they are.
        """
        self.server.responds("x" * 1000).inject(Slow(100)).inject(Refuse(), begin=5)
        answer = self.world.get()
        self.assertEqual((answer.seconds, answer.isComplete), (5.0, False))

    def test_unreachable(self) -> None:
        """
        Connections are not answered.
        """
        self.server.inject(Unreachable())
        self.assertEqual(self.world.get().assertStatus(504).seconds, 3.0)

    def test_slowConnect(self) -> None:
        """
        Connections take their time, and are given up after the time-out.
        """
        self.server.inject(SlowConnect(2), end=10)
        self.assertEqual(self.world.get().assertStatus(200).seconds, 2.0)
        self.world.http.groups[0].close()
        self.server.inject(SlowConnect(2), end=10)
        self.assertEqual(self.world.get().assertStatus(504).seconds, 3.0)

    def test_slowRefusal(self) -> None:
        """
        Two faults: a connection is refused late.
        """
        self.server.inject(SlowConnect(1)).inject(Refuse())
        self.assertEqual(self.world.get().assertStatus(502).seconds, 1.0)

    def test_hang(self) -> None:
        """
        Requests are not answered.
        """
        self.server.inject(Hang())
        self.assertEqual(self.world.get().assertStatus(504).seconds, 5.0)

    def test_delay(self) -> None:
        """
        Answers come late.
        """
        self.server.inject(Delay(1)).inject(Delay(0.5))
        self.assertEqual(self.world.get().assertStatus(200).seconds, 1.5)

    def test_slow(self) -> None:
        """
        Answers come slowly.
        """
        self.server.responds("x" * 10_000).inject(Slow(1000))
        answer = self.world.get().assertStatus(200)
        self.assertApproximates(answer.seconds, 10, 0.2)
        self.assertRaises(ValueError, Slow, 0)

    def test_cut(self) -> None:
        """
        Answers are cut at a byte: in the head, and in the body.
        """
        self.server.inject(Cut(10), end=1)
        self.world.get().assertStatus(502)
        self.world.passes(1)
        self.server.responds("x" * 1000).inject(Cut(500))
        answer = self.world.get()
        head = len(Response("x" * 1000).wire(bodiless=True))
        self.assertEqual((answer.status, len(answer.body)), (200, 500 - head))
        self.assertIn("prematurely closed connection", answer.errors[0])

    def test_cutByReset(self) -> None:
        """
        A connection is reset after a part of the answer.
        """
        self.server.responds("x" * 1000).inject(Cut(500, reset=True))
        answer = self.world.get()
        self.assertEqual((answer.status, answer.isComplete), (200, False))
        self.assertIn("Connection reset by peer", answer.errors[0])

    def test_wrongLength(self) -> None:
        """
        More is announced than comes, or less.
        """
        self.server.responds("12345").inject(WrongLength(3), end=1)
        answer = self.world.get()
        self.assertEqual((answer["Content-Length"], answer.isComplete), ("8", False))
        self.world.passes(1)
        self.server.inject(WrongLength(-3))
        answer = self.world.get().assertStatus(200)
        self.assertEqual(answer.text, "12")
        self.assertIn("upstream sent more data", answer.errors[0])

    def test_garbage(self) -> None:
        """
        What comes is not HTTP.
        """
        self.server.inject(Garbage())
        self.assertIn("no valid HTTP/1.0 header", self.world.get().errors[0])
        self.server.heal()
        self.server.inject(Garbage(b"HTTP/1.1 200 OK\r\n:\x00\r\n\r\n"))
        self.world.get().assertStatus(502)

    def test_status(self) -> None:
        """
        Answers have a status of failure.
        """
        self.server.inject(Status(503))
        self.world.get().assertStatus(503)

    def test_ownFault(self) -> None:
        """
        A fault is a class: others can be written.
        """

        @dataclass(frozen=True)
        class Shout(Fault):
            """
            Letters are large.
            """

            def onResponse(self, plan: ResponsePlan, random: Random) -> None:
                plan.data = plan.data.upper()

        self.server.responds("hello").inject(Shout())
        self.assertEqual(self.world.get().text, "HELLO")

    def test_window(self) -> None:
        """
        A fault begins and ends.
        """
        self.server.inject(Status(500), begin=10, end=20)
        found = []
        for _ in range(4):
            found.append(self.world.get().status)
            self.world.passes(9.9)
        self.assertEqual(found, [200, 200, 500, 200])
        self.assertRaises(ValueError, self.server.inject, Refuse(), begin=2, end=1)

    def test_chance(self) -> None:
        """
        A fault may happen by chance.
        """
        self.server.inject(Status(503), chance=0.25)
        load = self.world.many(rate=100, seconds=10)
        part = load.statuses[503] / len(load.answers)
        self.assertApproximates(part, 0.25, 0.05)
        self.assertRaises(ValueError, self.server.inject, Refuse(), chance=2)

    def test_heal(self) -> None:
        """
        A server that is healed is well.
        """
        self.server.inject(Status(503))
        self.world.get().assertStatus(503)
        self.server.heal()
        self.world.get().assertStatus(200)
