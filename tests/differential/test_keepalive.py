"""
Connections that are kept, on both sides.
"""

from __future__ import annotations

from tests.differential.backends import Reply, always, byTarget, inTurn, raw, response
from tests.differential.client import Answers, Play, Wait, get, request
from tests.differential.harness import DifferentialTestCase, Scene

GOOD = response(b"good\n")


def line(
    target: str,
    *fields: str,
    method: str = "GET",
    version: str = "1.1",
    body: bytes = b"",
) -> bytes:
    """
    A request that says nothing about closing.
    """
    lines = [f"{method} {target} HTTP/{version}", "Host: a", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class ClientTests(DifferentialTestCase):
    """
    The client's side.
    """

    HTTP = """
        server {
            listen 127.0.0.1:%%front%%;
            keepalive_timeout 5s;
            location / { proxy_pass http://127.0.0.1:%%b1%%; }
            location /own { return 200 "own $uri\\n"; }
            location /never { keepalive_timeout 0; return 200 never; }
            location /header { keepalive_timeout 5s 7s; return 200 header; }
            location /unread { return 200 unread; }
            location /file { root %%prefix%%/html; }
            location /close { proxy_pass http://127.0.0.1:%%b2%%; }
        }
        server { listen 127.0.0.1:%%three%%; keepalive_requests 3; location / { return 200 "x\\n"; } }
        # Answered before a location is found: its limit is not looked at.
        server { listen 127.0.0.1:%%four%%; keepalive_requests 3; return 200 "x\\n"; }
        server { listen 127.0.0.1:%%short%%; keepalive_timeout 100ms; return 200 "x\\n"; }
    """

    def test_versionsAndConnection(self) -> None:
        """
        Who keeps the connection: versions against Connection.
        """
        plays: list[Play] = []
        for target in (
            "/own",
            "/up",
            "/never",
            "/header",
            "/close",
            "/file",
            "/none",
            "/own?",
        ):
            for version in ("1.0", "1.1"):
                for fields in (
                    [],
                    ["Connection: close"],
                    ["Connection: keep-alive"],
                    ["Connection: Keep-Alive, x"],
                    ["Connection: x, close"],
                    ["Connection: closed"],
                    ["Connection: upgrade"],
                    ["Connection:"],
                    ["Keep-Alive: 3"],
                ):
                    name = f"{target} {version} {fields}"
                    plays.append(
                        Play(name, line(target, *fields, version=version), Answers(1))
                    )
        until = raw(b"HTTP/1.1 200 OK\r\n\r\nabc")
        self.compare(
            Scene(
                http=self.HTTP,
                plays=plays,
                backends={"b1": always(GOOD), "b2": always(until)},
                files={"html/file": b"content\n"},
            )
        )

    def test_pipelining(self) -> None:
        """
        Requests sent at once are answered in order, with and without bodies.
        """
        end = line("/own/end", "Connection: close")
        plays = [
            Play("three own", line("/own/1") + line("/own/2") + end),
            Play("three up", line("/1") + line("/2") + line("/3", "Connection: close")),
            Play("mixed", line("/own/1") + line("/up") + line("/file") + end),
            Play(
                "heads",
                line("/1", method="HEAD") + line("/own", method="HEAD") + end,
                heads=frozenset({0, 1}),
            ),
            Play(
                "bodies",
                line("/1", method="POST", body=b"one")
                + line("/2", method="POST", body=b"two")
                + end,
            ),
            Play("unread bodies", line("/unread", method="POST", body=b"one") + end),
            Play(
                "chunked",
                line("/1", "Transfer-Encoding: chunked", method="POST")
                + b"3\r\nabc\r\n0\r\n\r\n"
                + end,
            ),
            Play(
                "unread chunked",
                line("/unread", "Transfer-Encoding: chunked", method="POST")
                + b"3\r\nabc\r\n0\r\n\r\n"
                + end,
            ),
            Play("empty lines between", line("/own/1") + b"\r\n\r\n" + end),
            Play("bad second", line("/own/1") + b"BAD\r\n\r\n" + end),
            Play("bad second up", line("/up") + b"G\x00T / HTTP/1.1\r\n\r\n" + end),
            Play("after close", line("/own/1", "Connection: close") + end),
            Play(
                "old kept",
                line("/1", "Connection: keep-alive", version="1.0")
                + line("/2", version="1.0"),
            ),
            Play("error then next", line("/none") + line("/none2") + end),
            Play(
                "in pieces",
                *[
                    part
                    for byte in line("/own/1") + line("/up")
                    for part in (bytes([byte]), Wait(0.0005))
                ],
                end,
            ),
            Play("twenty", b"".join(line(f"/own/{n}") for n in range(20)) + end),
            Play("twenty up", b"".join(line(f"/{n}") for n in range(20)) + end),
        ]
        self.compare(
            Scene(
                http=self.HTTP,
                plays=plays,
                backends={"b1": always(GOOD), "b2": always(GOOD)},
                files={"html/file": b"content\n"},
            )
        )

    def test_limits(self) -> None:
        """
        keepalive_requests and keepalive_timeout.
        """
        plays = [
            Play(
                "three of them",
                *[part for n in range(4) for part in (line(f"/{n}"), Answers(n + 1))],
                port="three",
            ),
            Play(
                "three pipelined",
                b"".join(line(f"/{n}") for n in range(5)),
                port="three",
            ),
            Play(
                "early answers",
                b"".join(line(f"/{n}") for n in range(5)),
                Answers(5),
                port="four",
            ),
            Play("short", line("/1"), Answers(1), Wait(0.3), Wait(0.0), port="short"),
        ]
        self.compare(
            Scene(
                http=self.HTTP,
                plays=plays,
                backends={"b1": always(GOOD), "b2": always(GOOD)},
            )
        )


class ServerTests(DifferentialTestCase):
    """
    Connections to back ends.
    """

    def test_reuse(self) -> None:
        """
        Which connections to a back end are kept: seen by its count of connections.
        """
        http = """
            upstream default { server 127.0.0.1:%%b1%%; }
            upstream none { server 127.0.0.1:%%b1%%; keepalive 0; }
            upstream one { server 127.0.0.1:%%b1%%; keepalive 1; }
            upstream local { server 127.0.0.1:%%b1%%; keepalive 4 local; }
            upstream limited { server 127.0.0.1:%%b1%%; keepalive 4; keepalive_requests 2; }
            upstream time { server 127.0.0.1:%%b1%%; keepalive 4; keepalive_time 1h; }
            upstream timeout { server 127.0.0.1:%%b1%%; keepalive 4; keepalive_timeout 100ms; }
            server {
                listen 127.0.0.1:%%front%%;
                location /default/ { proxy_pass http://default/; }
                location /none/ { proxy_pass http://none/; }
                location /one/ { proxy_pass http://one/; }
                location /limited/ { proxy_pass http://limited/; }
                location /time/ { proxy_pass http://time/; }
                location /timeout/ { proxy_pass http://timeout/; }
                location /old/ { proxy_http_version 1.0; proxy_pass http://one/; }
                location /oldkept/ { proxy_http_version 1.0; proxy_set_header Connection keep-alive; proxy_pass http://one/; }
                location /close/ { proxy_set_header Connection close; proxy_pass http://one/; }
                location /kept/ { proxy_set_header Connection keep-alive; proxy_pass http://one/; }
                location /direct/ { proxy_pass http://127.0.0.1:%%b1%%/; }
            }
        """
        chunked = Reply(
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            )
        )
        replies: dict[str, Reply] = {
            "/good": GOOD,
            "/chunked": chunked,
            "/close": response(b"x", b"Connection: close"),
            "/kept": response(b"x", b"Connection: keep-alive"),
            "/old": Reply((b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",)),
            "/oldkept": Reply(
                (
                    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
                )
            ),
            "/until": raw(b"HTTP/1.1 200 OK\r\n\r\nx"),
            "/204": Reply((b"HTTP/1.1 204 No Content\r\n\r\n",)),
            "/304": Reply((b"HTTP/1.1 304 Not Modified\r\n\r\n",)),
            "/404": response(b"x", status=b"404 Not Found"),
            "/500": response(b"x", status=b"500 Bad"),
            "/more": Reply((b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz",)),
            "/closes": Reply(
                (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",), "close"
            ),
            "/resets": Reply(
                (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 0.02), "reset"
            ),
            "/early": Reply(
                (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",), early=True
            ),
            "/redirect": response(b"", b"X-Accel-Redirect: /default/good"),
        }
        places = "default none one limited time timeout old oldkept close kept direct"
        plays: list[Play] = []
        for place in places.split():
            for target in replies:
                # A closed connection must have been noticed before the next request.
                slow = target in ("/closes", "/resets", "/more")
                first = request("GET", f"/{place}{target}").steps[0]
                plays.append(
                    Play(f"/{place}{target}", first, Answers(1), Wait(0.05 * slow))
                )
                plays.append(
                    get(f"/{place}/good", name=f"/{place}/good after {target}")
                )
            plays.append(request("POST", f"/{place}/good", body=b"data"))
            plays.append(get(f"/{place}/good", name=f"/{place}/good, the last"))
        self.compare(Scene(http=http, plays=plays, backends={"b1": byTarget(replies)}))

    def test_staleConnection(self) -> None:
        """
        A kept connection that turns out to be closed is replaced without anyone's
        noticing; a POST is not repeated.
        """
        http = """
            upstream group { server 127.0.0.1:%%b1%%; keepalive 4; }
            upstream pair { server 127.0.0.1:%%b1%%; server 127.0.0.1:%%b2%%; keepalive 4; }
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://group; }
                location /pair { proxy_pass http://pair; }
            }
        """
        # Answers the first request of a connection, hangs up on the second.
        turns = inTurn(GOOD, raw(), GOOD, raw(), GOOD, raw(), GOOD)
        for plays in (
            [get(f"/{n}") for n in range(6)],
            [
                get("/1"),
                request("PUT", "/2", body=b"x"),
                get("/3"),
                request("DELETE", "/4"),
            ],
            [get(f"/pair/{n}") for n in range(8)],
        ):
            self.compare(
                Scene(
                    http=http, plays=plays, backends={"b1": turns, "b2": always(GOOD)}
                )
            )

    def test_shared(self) -> None:
        """
        Groups with a cache each, several servers in one.
        """
        http = """
            upstream first { server 127.0.0.1:%%b1%%; server 127.0.0.1:%%b2%%; keepalive 2; }
            upstream second { server 127.0.0.1:%%b1%%; keepalive 2; }
            server {
                listen 127.0.0.1:%%front%%;
                location /first/ { proxy_pass http://first; }
                location /second/ { proxy_pass http://second; }
                location /variable/ { proxy_pass http://$arg_group; }
            }
        """
        plays = [
            get(f"/{place}/{n}?group=second")
            for n in range(6)
            for place in ("first", "second", "variable")
        ]
        self.compare(
            Scene(
                http=http,
                plays=plays,
                backends={"b1": always(GOOD), "b2": always(GOOD)},
            )
        )
