"""
Tests for L{twisted_upstream.http.phases.select}.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.testing import Answer, Status, World

TWO = "server a.example:8080; server b.example:8080;"


def conf(group: str = TWO, line: str = "", more: str = "", http: str = "") -> str:
    """
    A configuration with one group and a place to ask for its servers.
    """
    return f"""
        http {{
            {http}
            upstream u {{ {group} }}
            upstream other {{ server c.example; }}
            server {{
                location /pick {{ upstream_select u {line}; {more} }}
                location / {{ proxy_pass http://u; }}
            }}
        }}
    """


class SelectCase(SynchronousTestCase):
    """
    A world that must leave nothing behind.
    """

    def world(self, text: str | None = None) -> World:
        """
        Begin one.
        """
        world = World(conf() if text is None else text)
        self.addCleanup(world.close)
        return world

    def picked(self, answer: Answer) -> dict[str, Any]:
        """
        What a program reads.
        """
        found: dict[str, Any] = json.loads(answer.assertStatus(200).body)
        return found

    def conns(self, world: World) -> list[int]:
        """
        How many attempts each server of C{u} has.
        """
        group = world.http.build.groups.explicit("u")
        assert group is not None
        return [peer.conns for peer in group.peers.peers]

    def report(self, world: World, token: str, outcome: str = "ok") -> Answer:
        """
        Tell how a pick went.
        """
        return world.post("/pick", urlencode({"token": token, "outcome": outcome}))


class PickTests(SelectCase):
    """
    Tests for picks.
    """

    def test_json(self) -> None:
        """
        The answer is JSON that nobody may cache; the server is taken until it is
        reported.
        """
        world = self.world()
        answer = world.get("/pick")
        found = self.picked(answer)
        token = found.pop("token")
        self.assertEqual(
            found, {"server": "a.example:8080", "host": "198.18.0.1", "port": 8080}
        )
        self.assertEqual(answer["Content-Type"], "application/json")
        self.assertEqual(answer["Cache-Control"], "no-store")
        self.assertEqual(self.conns(world), [1, 0])
        self.report(world, token).assertStatus(204)
        self.assertEqual(self.conns(world), [0, 0])

    def test_text(self) -> None:
        """
        The answer is one line of text where that is asked for.
        """
        world = self.world()
        for target, accept in (
            ("/pick?format=text", "application/json"),
            ("/pick", "text/plain"),
            ("/pick", "text/plain;q=0.5, text/html"),
        ):
            answer = world.get(target, fields={"Accept": accept}).assertStatus(200)
            self.assertRegex(answer.text, r"\A198\.18\.0\.[12]:8080 [\w-]{24}\n\Z")
            self.assertEqual(answer["Content-Type"], "text/plain")
        self.picked(world.get("/pick?format=json", fields={"Accept": "text/plain"}))
        self.picked(world.get("/pick", fields={"Accept": "*/*"}))

    def test_addresses(self) -> None:
        """
        Servers may have IPv6 addresses, or be unix sockets.
        """
        world = self.world(conf("server [2001:db8::1]:81; server unix:/run/x.sock;"))
        found = [self.picked(world.get("/pick")) for _ in range(2)]
        self.assertEqual(
            [(each["host"], each["port"]) for each in found],
            [("2001:db8::1", 81), ("/run/x.sock", None)],
        )

    def test_sharedWithProxy(self) -> None:
        """
        Picks and requests that are passed on see each other.
        """
        world = self.world(conf(f"least_conn; {TWO}"))
        self.picked(world.get("/pick"))
        for _ in range(3):
            world.get("/").assertServers("b.example:8080")

    def test_name(self) -> None:
        """
        Of several groups one is named; others cannot be asked for.
        """
        world = self.world(conf(line="other"))
        self.assertEqual(
            self.picked(world.get("/pick?name=other"))["server"], "c.example"
        )
        self.assertEqual(self.picked(world.get("/pick"))["host"], "198.18.0.1")
        world.get("/pick?name=third").assertStatus(404)
        # A group that is there, but not for this location.
        world = self.world(conf())
        world.get("/pick?name=other").assertStatus(404)

    def test_client(self) -> None:
        """
        C{client} is whose server is chosen.
        """
        world = self.world(conf(f"hash $remote_addr; {TWO}"))
        found = {}
        for last in range(20):
            servers = {
                self.picked(world.get(f"/pick?client=10.0.0.{last}"))["server"]
                for _ in range(2)
            }
            [found[last]] = servers
            # The same as for a request from there.
            world.get("/", address=f"10.0.0.{last}").assertServers(found[last])
        self.assertEqual(set(found.values()), {"a.example:8080", "b.example:8080"})

    def test_key(self) -> None:
        """
        C{key} is C{$upstream_select_key}, decoded; it means nothing where no server is
        picked.
        """
        names = '"" $request_uri; default $upstream_select_key;'
        world = self.world(
            conf(
                f"hash $what; {TWO}",
                http=f"map $upstream_select_key $what {{ {names} }}",
            )
        )
        servers = set()
        for number in range(20):
            path = f"/x%20{number}?key=1"
            key = urlencode({"key": path})
            server = self.picked(world.get(f"/pick?{key}"))["server"]
            world.get(path).assertServers(server)
            servers.add(server)
        self.assertEqual(len(servers), 2)

    def test_otherArguments(self) -> None:
        """
        Other arguments are the configuration's.
        """
        world = self.world(conf(f"hash $arg_user; {TWO}"))
        found = {
            self.picked(world.get("/pick?user=joe&user=jim"))["server"]
            for _ in range(4)
        }
        self.assertEqual(len(found), 1)

    def test_sticky(self) -> None:
        """
        Cookies of C{sticky} work.
        """
        world = self.world(conf(f"{TWO} sticky cookie c;"))
        answer = world.get("/pick")
        server = self.picked(answer)["server"]
        cookie = (answer["Set-Cookie"] or "").partition(";")[0]
        for _ in range(3):
            again = world.get("/pick", fields={"Cookie": cookie})
            self.assertEqual(self.picked(again)["server"], server)

    def test_none(self) -> None:
        """
        No server is available: 502, as where requests are passed on.
        """
        world = self.world(conf("server a.example down; server b.example down;"))
        answer = world.get("/pick").assertStatus(502)
        self.assertIn("no live upstreams while choosing", answer.errors[0])

    def test_bound(self) -> None:
        """
        So many may be without report, and no more.
        """
        world = self.world(conf(line="max=2 timeout=10s"))
        tokens = [self.picked(world.get("/pick"))["token"] for _ in range(2)]
        answer = world.get("/pick").assertStatus(503)
        self.assertIn('2 picks of "u" are without report', answer.errors[0])
        self.assertEqual(sum(self.conns(world)), 2)
        self.report(world, tokens[0])
        self.picked(world.get("/pick"))
        world.get("/pick").assertStatus(503)
        world.passes(10)
        self.picked(world.get("/pick"))

    def test_timeout(self) -> None:
        """
        What is not reported is freed after the time-out, and that is logged.
        """
        world = self.world(conf(line="timeout=5s"))
        token = self.picked(world.get("/pick"))["token"]
        world.passes(4.9)
        self.assertEqual(self.conns(world), [1, 0])
        world.passes(0.2)
        self.assertEqual(self.conns(world), [0, 0])
        self.assertIn('outcome of a pick of "198.18.0.1:8080"', world.errors[-1])
        self.report(world, token, "failed").assertStatus(404)

    def test_log(self) -> None:
        """
        The access log can name the server.
        """
        world = self.world(conf(http='log_format f "$upstream_addr"; access_log x f;'))
        world.get("/pick").assertServers("a.example:8080")
        self.assertEqual(world.accessLog("x"), ["198.18.0.1:8080"])

    def test_methods(self) -> None:
        """
        GET picks, POST reports; nothing else is allowed, and takes no server.
        """
        world = self.world()
        for method in ("HEAD", "PUT", "DELETE", "OPTIONS"):
            answer = world.request(method, "/pick").assertStatus(405)
            self.assertEqual(answer["Allow"], "GET, POST")
        self.assertEqual(self.conns(world), [0, 0])

    def test_body(self) -> None:
        """
        A GET with a body is answered; one that is wrong takes no server.
        """
        world = self.world()
        self.picked(world.request("GET", "/pick", body="x"))
        fields = {"Transfer-Encoding": "chunked"}
        world.request("GET", "/pick", body="x\r\n", fields=fields).assertStatus(400)
        self.assertEqual(sum(self.conns(world)), 1)

    def test_inside(self) -> None:
        """
        What C{if} and C{limit_except} are about picks, too, unless they pass on.
        """
        world = self.world(
            conf(
                more="""
                    if ($arg_a) { add_header X-A b; }
                    if ($arg_b) { proxy_pass http://other; }
                    limit_except GET { allow 192.0.2.1; deny all; }
                """
            )
        )
        answer = world.get("/pick?a=1")
        token = self.picked(answer)["token"]
        self.assertEqual(answer["X-A"], "b")
        world.get("/pick?b=1").assertServers("c.example")
        denied = world.post("/pick", f"token={token}", address="192.0.2.2")
        denied.assertStatus(403)
        self.report(world, token).assertStatus(204)


class WaitingTests(SelectCase):
    """
    Picks in the C{queue}.
    """

    def setUp(self) -> None:
        self.full = self.world(
            conf(
                "zone z 64k; server a.example max_conns=1; queue 2 timeout=5s;",
                line="max=3",
            )
        )

    def test_waits(self) -> None:
        """
        A pick waits until a report frees a server.
        """
        token = self.picked(self.full.get("/pick"))["token"]
        waiting = self.full.start("/pick")
        self.full.passes(2)
        self.assertFalse(waiting.isOver)
        self.report(self.full, token)
        [answer] = self.full.wait(waiting)
        self.picked(answer)
        [attempt] = answer.attempts
        self.assertEqual((answer.seconds, attempt.queueSeconds), (2.0, 2.0))

    def test_inVain(self) -> None:
        """
        A pick that has waited too long gets none.
        """
        self.picked(self.full.get("/pick"))
        answer = self.full.get("/pick").assertStatus(502)
        self.assertEqual(answer.seconds, 5.0)
        self.assertIn("no live upstreams", answer.errors[0])

    def test_clientGoes(self) -> None:
        """
        A client that goes away does not wait any more.
        """
        token = self.picked(self.full.get("/pick"))["token"]
        waiting = self.full.start("/pick")
        self.full.passes(1)
        waiting.hangUp()
        self.full.passes(1)
        self.assertIn('" 499 ', self.full.accessLog()[-1])
        self.report(self.full, token)
        self.assertEqual(self.conns(self.full), [0])

    def test_waitingCounts(self) -> None:
        """
        Picks that wait are among those that C{max} bounds.
        """
        self.picked(self.full.get("/pick"))
        calls = [self.full.start("/pick") for _ in range(2)]
        self.full.get("/pick").assertStatus(503)
        for call in calls:
            call.hangUp()
        self.full.passes(1)
        [picks] = self.full.http.build.picks.values()
        self.assertEqual(picks.size, 1)

    def test_stops(self) -> None:
        """
        A server that stops while a pick waits keeps nothing for it.
        """
        token = self.picked(self.full.get("/pick"))["token"]
        waiting = self.full.start("/pick")
        self.full.passes(1)
        for factory in self.full.http.factories:
            factory.stop()
        [picks] = self.full.http.build.picks.values()
        self.assertTrue(picks.report(token.encode(), False, None))
        self.full.passes(1)
        self.assertEqual((self.conns(self.full), picks.size), ([0], 0))
        self.assertEqual(waiting.answer.status, 0)


class ReportTests(SelectCase):
    """
    Tests for reports.
    """

    def test_failed(self) -> None:
        """
        A failure counts: the server rests.
        """
        world = self.world()
        token = self.picked(world.get("/pick"))["token"]
        self.report(world, token, "failed").assertStatus(204)
        for _ in range(3):
            world.get("/").assertServers("b.example:8080")

    def test_ways(self) -> None:
        """
        A report is a form, JSON, or arguments.
        """
        world = self.world()
        for number in range(5):
            token = self.picked(world.get("/pick"))["token"]
            said: dict[str, object] = {"token": token, "outcome": "ok", "elapsed": 0.25}
            kind = {"Content-Type": "application/json; charset=utf-8"}
            if number == 0:
                answer = world.post("/pick", urlencode(said))
            elif number == 1:
                answer = world.post("/pick", json.dumps(said), fields=kind)
            elif number == 2:
                answer = world.request("POST", f"/pick?{urlencode(said)}")
            elif number == 3:
                body = f"{len(urlencode(said)):x}\r\n{urlencode(said)}\r\n0\r\n\r\n"
                chunked = {"Transfer-Encoding": "chunked"}
                answer = world.post("/pick", body, fields=chunked)
            else:
                answer = world.post(f"/pick?token={token}", "outcome=ok&elapsed=1\r\n")
            answer.assertStatus(204)
            self.assertEqual(answer.body, b"")
            self.assertEqual(self.conns(world), [0, 0])

    def test_inFile(self) -> None:
        """
        A report may come by way of a file.
        """
        world = self.world(conf(more="client_body_in_file_only clean;"))
        self.report(world, self.picked(world.get("/pick"))["token"]).assertStatus(204)

    def test_otherGroup(self) -> None:
        """
        A report is taken where the group may be picked, and nowhere else.
        """
        text = conf(
            line="other",
            more="} location /u { upstream_select u; } location /o {"
            " upstream_select other;",
        )
        world = self.world(text)
        token = self.picked(world.get("/pick"))["token"]
        report = f"token={token}&outcome=ok"
        world.post("/o", report).assertStatus(404)
        world.post("/u", report).assertStatus(204)

    def test_elapsed(self) -> None:
        """
        A program that keeps its connections says how long the answer took: that is what
        least_time compares.
        """
        for said, expected in (("0.02", "a.example:8080"), ("", "b.example:8080")):
            world = self.world(conf(f"least_time header; {TWO}"))
            tokens = [self.picked(world.get("/pick"))["token"] for _ in range(2)]
            world.passes(1)
            world.post("/pick", f"token={tokens[1]}&outcome=ok&elapsed=0.5")
            world.passes(9)
            report = f"token={tokens[0]}&outcome=ok"
            world.post("/pick", report + (f"&elapsed={said}" if said else ""))
            self.assertEqual(self.picked(world.get("/pick"))["server"], expected)

    def test_nonsense(self) -> None:
        """
        Nonsense is answered with 4xx, and changes nothing.
        """
        world = self.world()
        token = self.picked(world.get("/pick"))["token"]
        for body, status in (
            ("", 400),
            (f"token={token}", 400),
            ("outcome=ok", 400),
            (f"token={token}&outcome=fine", 400),
            (f"token={token}&outcome=ok&outcome=failed", 400),
            (f"token={token}&outcome=ok&elapsed=-1", 400),
            (f"token={token}&outcome=ok&elapsed=nan", 400),
            (f"token={token}&outcome=ok&elapsed=1e9", 400),
            (f"token={token}&outcome=ok&elapsed=", 400),
            (f"token={token[:-1]}&outcome=ok", 404),
            ("token=&outcome=ok", 404),
            (f"token={token}&outcome=ok" + "&x" * 2500, 413),
        ):
            world.post("/pick", body).assertStatus(status)
            self.assertEqual(self.conns(world), [1, 0], body)
        world.post(f"/pick?token={token}", f"token={token}&outcome=ok").assertStatus(
            400
        )
        large = b"1388\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n"
        chunked = {"Transfer-Encoding": "chunked"}
        world.post("/pick", large, fields=chunked).assertStatus(413)
        world.request("POST", "/pick").assertStatus(400)
        self.report(world, token).assertStatus(204)

    def test_nonsenseJSON(self) -> None:
        """
        JSON that is none, or something else, is nonsense, too.
        """
        world = self.world()
        token = self.picked(world.get("/pick"))["token"]
        kind = {"Content-Type": "application/json"}
        for body in (
            b"",
            b"{",
            b"\xff",
            b"[]",
            b'"x"',
            b"[" * 4000,
            b'{"token": true, "outcome": "ok"}',
            b'{"token": ["x"], "outcome": "ok"}',
            b'{"token": "x", "outcome": "ok", "elapsed": NaN}',
            b'{"token": "x", "outcome": "ok", "elapsed": 1e300}',
            b'{"token": "x", "outcome": null}',
        ):
            world.post("/pick", body, fields=kind).assertStatus(400)
        world.post(
            "/pick", b'{"token": "\\ud800", "outcome": "ok"}', fields=kind
        ).assertStatus(404)
        self.report(world, token).assertStatus(204)

    def test_nonsensePicks(self) -> None:
        """
        Nonsense in the query takes no server.
        """
        world = self.world()
        for query in (
            "format=xml",
            "format=text&format=text",
            "client=",
            "client=x",
            "client=10.0.0.256",
            "client=%ff",
            "client=10.0.0.1&client=10.0.0.1",
            "key=1&key=2",
        ):
            world.get(f"/pick?{query}").assertStatus(400)
        self.assertEqual(self.conns(world), [0, 0])

    def test_anything(self) -> None:
        """
        Whatever is asked or told, the answer is one of those that there are, and
        nothing is left.
        """
        world = self.world(conf(line="other max=5 timeout=1s"))
        names = st.sampled_from(
            "name client key format token outcome elapsed x".split()
        )
        values = st.one_of(
            st.sampled_from("u other ok failed json text 1.5 ::1 %zz %00 +".split()),
            st.text("0123456789abc%=.:-_ü\0", max_size=12).map(
                lambda text: urlencode({"": text})[1:]
            ),
        )
        pair = st.tuples(names, values).map("=".join)
        queries = st.lists(pair, max_size=6).map("&".join)

        @settings(max_examples=150, deadline=None)
        @given(queries, st.none() | queries)
        def check(query: str, body: str | None) -> None:
            method = "GET" if body is None else "POST"
            answer = world.request(method, f"/pick?{query}", body=body)
            self.assertIn(answer.status, (200, 204, 400, 404, 503))
            self.assertTrue(answer.isComplete)

        check()
        world.passes(2)
        self.assertEqual(self.conns(world), [0, 0])


class ConfigurationTests(SelectCase):
    """
    Tests for the directive.
    """

    def wrong(self, text: str) -> str:
        """
        What is said of a configuration.
        """
        error = self.assertRaises(ConfigError, World, text)
        assert isinstance(error, ConfigError)
        return str(error)

    def test_wrong(self) -> None:
        """
        Nonsense is refused, with the word and the line.
        """
        for line, message in (
            ("timeout=0", 'invalid parameter "timeout=0"'),
            ("timeout=x", 'invalid parameter "timeout=x"'),
            ("max=0", 'invalid parameter "max=0"'),
            ("max=-1", 'invalid parameter "max=-1"'),
            ("nonsense=1", 'invalid parameter "nonsense=1"'),
            ("third", 'no upstream "third"'),
        ):
            self.assertIn(f"{message} in nginx.conf:7", self.wrong(conf(line=line)))
        self.assertIn(
            'invalid number of arguments in "upstream_select"',
            self.wrong(conf().replace("select u", "select max=1")),
        )
        self.assertIn(
            '"upstream_select" is in one location with "proxy_pass"',
            self.wrong(conf(more="proxy_pass http://u;")),
        )

    def test_proxyFails(self) -> None:
        """
        What passing on learns of servers counts for picks.
        """
        world = self.world(conf(TWO, http="proxy_next_upstream http_503;"))
        world.server("a.example:8080").inject(Status(503))
        world.get("/").assertServers("a.example:8080", "b.example:8080")
        for _ in range(3):
            self.assertEqual(
                self.picked(world.get("/pick"))["server"], "b.example:8080"
            )
