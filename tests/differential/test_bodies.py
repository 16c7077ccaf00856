"""
Bodies: buffered, passed on as they come, in chunks, after Expect, upgraded.
"""

from __future__ import annotations

from tests.differential.backends import Answerer, Reply, always, byTarget, raw, response
from tests.differential.client import Abort, Answers, End, Play, Wait, get, request
from tests.differential.harness import DifferentialTestCase, Scene

GOOD = response(b"good\n")


def sizes(*counts: int) -> dict[str, Reply]:
    """
    Replies of such lengths at C{/COUNT}, in chunks at C{/chunkedCOUNT}, until the end
    of the connection at C{/untilCOUNT}.
    """
    replies: dict[str, Reply] = {}
    for count in counts:
        body = bytes(range(97, 123)) * (count // 26 + 1)
        body = body[:count]
        replies[f"/{count}"] = response(body)
        head = b"HTTP/1.1 200 OK\r\n"
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (len(piece), piece)
            for piece in (body[start : start + 5000] for start in range(0, count, 5000))
        )
        replies[f"/chunked{count}"] = Reply(
            (head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n",)
        )
        replies[f"/until{count}"] = raw(head + b"\r\n" + body)
    return replies


class ResponseBodyTests(DifferentialTestCase):
    """
    From the back end to the client.
    """

    def test_sizesAndFramings(self) -> None:
        """
        Small and large bodies in every framing, buffered or not, to each version.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                # $body_bytes_sent counts chunks, whose sizes are a matter of timing.
                access_log off;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
                location /off/ { proxy_buffering off; proxy_pass http://127.0.0.1:%%b1%%/; }
                location /small/ { proxy_buffer_size 512; proxy_buffers 2 512; proxy_busy_buffers_size 512; proxy_max_temp_file_size 4k; proxy_temp_file_write_size 1k; proxy_pass http://127.0.0.1:%%b1%%/; }
                location /nofile/ { proxy_buffer_size 1k; proxy_buffers 2 1k; proxy_busy_buffers_size 1k; proxy_max_temp_file_size 0; proxy_pass http://127.0.0.1:%%b1%%/; }
                location /old/ { proxy_http_version 1.0; proxy_pass http://127.0.0.1:%%b1%%/; }
                location /unchunked/ { chunked_transfer_encoding off; proxy_pass http://127.0.0.1:%%b1%%/; }
                location /rate/ { limit_rate 10m; proxy_limit_rate 10m; proxy_pass http://127.0.0.1:%%b1%%/; }
            }
        """
        replies = sizes(0, 1, 100, 5000, 70000, 1000000)
        plays = [
            get(place + target, version=version)
            for place in (
                "",
                "/off",
                "/small",
                "/nofile",
                "/old",
                "/unchunked",
                "/rate",
            )
            for target in replies
            for version in ("1.0", "1.1")
        ]
        plays += [request("HEAD", target) for target in replies]
        self.compare(Scene(http=http, plays=plays, backends={"b1": byTarget(replies)}))

    def test_slowBackend(self) -> None:
        """
        Pieces with pauses arrive as pieces when nothing buffers, and read timeouts cut.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                # $body_bytes_sent counts chunks, whose sizes are a matter of timing.
                access_log off;
                # nginx moves a timer only by more than 0.3 s: a pause may count twice.
                proxy_read_timeout 500ms;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
                location /off/ { proxy_buffering off; proxy_pass http://127.0.0.1:%%b1%%/; }
            }
        """
        head = b"HTTP/1.1 200 OK\r\n"
        replies = {
            "/pieces": raw(head + b"\r\n", 0.05, b"a", 0.05, b"b", 0.05, b"c"),
            "/counted": raw(
                head + b"Content-Length: 3\r\n\r\n", 0.05, b"a", 0.05, b"b", 0.05, b"c"
            ),
            "/chunked": raw(
                head + b"Transfer-Encoding: chunked\r\n\r\n",
                0.05,
                b"1\r\na\r\n",
                0.05,
                b"1\r",
                0.05,
                b"\nb",
                0.05,
                b"\r\n0\r\n\r\n",
            ),
            "/stops": raw(head + b"Content-Length: 3\r\n\r\na", 0.7, b"bc"),
            "/stopsUntil": raw(head + b"\r\na", 0.7, b"bc"),
            "/stopsChunked": raw(
                head + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
                0.7,
                b"0\r\n\r\n",
            ),
            "/never": raw(0.7),
            "/lateHead": raw(
                b"HTTP/1.1 200",
                0.05,
                b" OK\r\nContent-Le",
                0.05,
                b"ngth: 1\r\n\r",
                0.05,
                b"\nx",
            ),
        }
        plays = [
            get(place + target, version=version)
            for place in ("", "/off")
            for target in replies
            for version in ("1.0", "1.1")
            # The slow ones once; how much of a buffered body was passed on when it
            # stops is not compared.
            if version == "1.1" or not target.startswith(("/stops", "/never"))
            if place or not target.startswith("/stops")
        ]
        self.compare(Scene(http=http, plays=plays, backends={"b1": byTarget(replies)}))

    def test_clientLeaves(self) -> None:
        """
        The client goes away before or during the response: 499, unless that is ignored.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
                location /ignore { proxy_ignore_client_abort on; proxy_pass http://127.0.0.1:%%b1%%; }
            }
        """
        slow = Reply((0.5, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"))
        plays: list[Play] = []
        for path in (b"/", b"/ignore"):
            start = b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n"
            plays += [
                Play(f"leaves {path!r}", start, Wait(0.1), Abort()),
                Play("pause", b"GET /x HTTP/1.0\r\n\r\n", Wait(0.7)),
                Play(f"half-closes {path!r}", start, Wait(0.1), End()),
                Play("pause", b"GET /x HTTP/1.0\r\n\r\n", Wait(0.7)),
            ]
        self.compare(Scene(http=http, plays=plays, backends={"b1": always(slow)}))


class RequestBodyTests(DifferentialTestCase):
    """
    From the client to the back end.
    """

    HTTP = """
        client_body_buffer_size 2k;
        server {
            listen 127.0.0.1:%%front%%;
            client_max_body_size 2m;
            location / { proxy_pass http://127.0.0.1:%%b1%%; }
            location /off/ { proxy_request_buffering off; proxy_pass http://127.0.0.1:%%b1%%; }
            location /off10/ { proxy_request_buffering off; proxy_http_version 1.0; proxy_pass http://127.0.0.1:%%b1%%; }
            location /set/ { client_body_buffer_size 2m; proxy_set_body "<$request_body>"; proxy_pass http://127.0.0.1:%%b1%%; }
            location /return { return 200 "[$http_expect] [$request_body]"; }
        }
    """

    def test_sizes(self) -> None:
        """
        Counted and chunked bodies of several sizes, sent whole and in pieces.
        """
        plays: list[Play] = []
        for place in ("/", "/off/", "/off10/", "/set/", "/return"):
            for count in (0, 1, 2000, 5000, 300000):
                data = (b"0123456789abcdef" * (count // 16 + 1))[:count]
                plays.append(request("POST", place, body=data, name=f"{place} {count}"))
                if place == "/off/" and count > 1:
                    # How an unbuffered body is cut into chunks is a matter of timing.
                    continue
                chunks = b"%x\r\n%b\r\n" % (count, data) if count else b""
                plays.append(
                    request(
                        "POST",
                        place,
                        "Transfer-Encoding: chunked",
                        body=chunks + b"0\r\n\r\n",
                        name=f"{place} chunked {count}",
                    )
                )
            head = f"PUT {place} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n".encode()
            plays += [
                Play(
                    f"{place} in pieces",
                    head + b"Content-Length: 6\r\n\r\n",
                    Wait(0.02),
                    b"abc",
                    Wait(0.02),
                    b"def",
                ),
                Play(
                    f"{place} chunks in pieces",
                    head + b"Transfer-Encoding: chunked\r\n\r\n",
                    Wait(0.02),
                    b"3\r",
                    Wait(0.02),
                    b"\nabc\r\n",
                    Wait(0.02),
                    b"3\r\ndef\r\n0\r\n",
                    Wait(0.02),
                    b"\r\n",
                ),
                Play(
                    f"{place} with the head",
                    head + b"Content-Length: 6\r\n\r\nabc",
                    Wait(0.02),
                    b"def",
                ),
                Play(
                    f"{place} cut",
                    head + b"Content-Length: 6\r\n\r\nabc",
                    Wait(0.02),
                    End(),
                ),
                Play(
                    f"{place} chunks cut",
                    head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
                    Wait(0.02),
                    End(),
                ),
            ]
        self.compare(Scene(http=self.HTTP, plays=plays, backends={"b1": always(GOOD)}))

    def test_expect(self) -> None:
        """
        Expect: 100-continue is answered when the body is wanted.
        """
        plays: list[Play] = []
        for place in ("/", "/off/", "/return"):
            for version in ("1.0", "1.1"):
                for value in (
                    "100-continue",
                    "100-Continue",
                    "100-continue, x",
                    "other",
                    "",
                ):
                    for data in (b"abc", b""):
                        head = f"POST {place} HTTP/{version}\r\nHost: a\r\nConnection: close\r\nExpect: {value}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
                        plays.append(
                            Play(
                                f"{place} {version} {value!r} {data!r}",
                                head,
                                Wait(0.02),
                                data or Wait(0),
                            )
                        )
                        plays.append(
                            Play(
                                f"{place} {version} {value!r} {data!r} at once",
                                head + data,
                            )
                        )
        big = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n"
        plays.append(Play("too big", big, Answers(1)))
        self.compare(Scene(http=self.HTTP, plays=plays, backends={"b1": always(GOOD)}))

    def test_earlyAnswers(self) -> None:
        """
        A back end that answers before it has the body.
        """
        early = Reply((b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",), early=True)
        plays = [
            request("POST", place, body=b"x" * count, name=f"{place} {count}")
            for place in ("/", "/off/")
            for count in (10, 3000)
        ]
        self.compare(Scene(http=self.HTTP, plays=plays, backends={"b1": always(early)}))


class UpgradeTests(DifferentialTestCase):
    """
    Connections that become tunnels.
    """

    def test_upgrade(self) -> None:
        """
        After 101 bytes pass both ways until both sides have ended.
        """
        http = """
            map $http_upgrade $connection_upgrade { default upgrade; "" close; }
            server {
                listen 127.0.0.1:%%front%%;
                location / {
                    proxy_http_version 1.1;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection $connection_upgrade;
                    proxy_read_timeout 500ms;
                    proxy_pass http://127.0.0.1:%%b1%%;
                }
                location /plain { proxy_pass http://127.0.0.1:%%b1%%; }
            }
        """
        switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"

        def answer(head: bytes, count: int) -> Reply:
            if b"\r\nUpgrade: " not in head:
                return GOOD
            if b" /unnamed" in head:
                return Reply((switch.replace(b"Upgrade: x\r\n", b""),), "echo")
            if b" /first" in head:
                return Reply((switch + b"hello",), "echo")
            if b" /ends" in head:
                return Reply((switch, b"bye"), "close")
            return Reply((switch,), "echo")

        typed: Answerer = answer
        ask = "GET {} HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
        plays = [
            Play(
                "echo",
                ask.format("/").encode(),
                Answers(1),
                b"abc",
                Wait(0.05),
                b"def",
                Wait(0.05),
                End(),
            ),
            Play(
                "early",
                ask.format("/").encode() + b"early",
                Wait(0.3),
                b"abc",
                Wait(0.05),
                End(),
            ),
            Play(
                "speaks first",
                ask.format("/first").encode(),
                Answers(1),
                Wait(0.02),
                b"abc",
                Wait(0.05),
                End(),
            ),
            Play("ends", ask.format("/ends").encode(), Answers(1)),
            Play("silent", ask.format("/").encode(), Answers(1), b"abc"),
            Play(
                "not asked", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            ),
            Play(
                "not passed",
                ask.format("/plain").replace("upgrade", "close, upgrade").encode(),
            ),
            Play(
                "one of several",
                ask.format("/").replace("x\r", "y/2, X\r").encode(),
                Answers(1),
                b"abc",
                Wait(0.05),
                End(),
            ),
            Play(
                "unnamed",
                ask.format("/unnamed").encode(),
                Answers(1),
                b"abc",
                Wait(0.05),
                End(),
            ),
            Play(
                "old client",
                ask.format("/").replace("1.1", "1.0").encode(),
                Wait(0.05),
                b"abc",
                Wait(0.05),
                End(),
            ),
        ]
        plays[3] = Play("ends", ask.format("/ends").encode(), Wait(0.05))
        self.compare(Scene(http=http, plays=plays, backends={"b1": typed}))
