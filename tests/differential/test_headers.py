"""
Fields on their way to a back end and back to the client.
"""

from __future__ import annotations

from tests.differential.backends import Reply, always, byTarget, raw, response
from tests.differential.client import get, request
from tests.differential.harness import DifferentialTestCase, Scene


class RequestFieldTests(DifferentialTestCase):
    """
    What a back end gets.
    """

    def test_defaults(self) -> None:
        """
        Without directives: Host is the server's, hop-by-hop fields go, the rest stays.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
                location /old { proxy_pass http://127.0.0.1:%%b1%%; proxy_http_version 1.0; }
                location /named { proxy_pass http://group; }
            }
            upstream group { server 127.0.0.1:%%b1%%; }
        """
        plays = [
            get(path, *fields, version=version)
            for path in ("/", "/old", "/named")
            for version in ("1.0", "1.1")
            for fields in (
                ["Accept: */*", "X-One: 1", "x-two:2", "X-THREE:   3  "],
                ["Connection: close, X-Hop", "X-Hop: gone?", "Keep-Alive: 300"],
                ["Proxy-Connection: keep-alive", "TE: trailers", "Trailer: X"],
                ["Upgrade: websocket"],
                ["Upgrade: websocket", "Connection: upgrade, close"],
                ["Range: bytes=0-1", "If-None-Match: x", "If-Match: *", "If-Range: y"],
                ["If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT"],
                ["Cookie: a=1", "Cookie: b=2", "X-Forwarded-For: 1.2.3.4"],
                ["Authorization: Basic eDp5", "Via: 1.0 x", "Expect: nothing"],
                ["X-Empty:", "X-Space: "],
            )
        ]
        plays += [
            request(method, "/", body=body, version=version)
            for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "FOO")
            for body in (b"", b"data")
            for version in ("1.0", "1.1")
            # HTTP/1.0's POST without a length has no body.
        ]
        self.compare(
            Scene(http=http, plays=plays, backends={"b1": always(response(b"ok"))})
        )

    def test_setHeader(self) -> None:
        """
        proxy_set_header: new, replaced, removed, inherited, with variables.
        """
        http = """
            proxy_set_header X-Outer outer;
            map $arg_m $mapped { default ""; a A; }
            upstream group { server 127.0.0.1:%%b1%%; }
            server {
                listen 127.0.0.1:%%front%%;
                server_name example.com;
                location /inherit { proxy_pass http://127.0.0.1:%%b1%%; }
                location /set {
                    proxy_set_header Host $host;
                    proxy_set_header X-Real-IP $remote_addr;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                    proxy_set_header X-Forwarded-Proto $scheme;
                    proxy_set_header X-Mapped $mapped;
                    proxy_set_header X-Client "";
                    proxy_set_header x-case "${arg_a}-$arg_b-";
                    proxy_set_header Accept-Encoding "";
                    proxy_pass http://group;
                }
                location /connection {
                    proxy_set_header Connection $http_connection;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_pass http://127.0.0.1:%%b1%%;
                }
                location /length {
                    proxy_set_header Content-Length $http_x_length;
                    proxy_set_header Content-Type x/y;
                    proxy_pass http://127.0.0.1:%%b1%%;
                }
                location /port { proxy_set_header Host $proxy_host; proxy_set_header X $proxy_port; proxy_pass http://group; }
                location /hosted { proxy_set_header Host $http_host; proxy_pass http://group; }
                location /none { proxy_set_header Host ""; proxy_pass http://group; }
                location /off { proxy_pass_request_headers off; proxy_pass http://group; }
                location /offset { proxy_pass_request_headers off; proxy_set_header X-Only 1; proxy_pass http://group; }
                location /nobody { proxy_pass_request_body off; proxy_pass http://group; }
                location /nobody0 { proxy_pass_request_body off; proxy_set_header Content-Length ""; proxy_pass http://group; }
                location /body { proxy_set_body "[$request_method $request_body]"; proxy_pass http://group; }
                location /method { proxy_method PUT; proxy_pass http://group; }
                location /methodvar { proxy_method $arg_method; proxy_pass http://group; }
            }
        """
        paths = "inherit set connection length port hosted none off offset nobody nobody0 body method"
        fields = [
            "X-Client: here",
            "X-Case: theirs",
            "Accept-Encoding: gzip",
            "X-Outer: theirs",
            "Upgrade: x",
        ]
        plays = [get(f"/{path}?a=1&m=a", *fields) for path in paths.split()]
        plays += [get(f"/{path}", version="1.0") for path in paths.split()]
        # With /nobody a length is announced and nothing sent: the back end would wait.
        plays += [
            request("POST", f"/{path}", body=b"data")
            for path in paths.split()
            if path != "nobody"
        ]
        plays += [
            get("/set", "X-Forwarded-For: 9.9.9.9", "X-Forwarded-For: 8.8.8.8"),
            get("/set", "Host: UPPER.Example:1234"),
            get("/hosted", "Host: UPPER.Example:1234"),
            get("/methodvar?method=DELETE"),
            request("POST", "/length", "X-Length: 0", body=b"data"),
        ]
        self.compare(
            Scene(http=http, plays=plays, backends={"b1": always(response(b"ok"))})
        )


class ResponseFieldTests(DifferentialTestCase):
    """
    What a client gets.
    """

    def test_passedAndHidden(self) -> None:
        """
        Which fields of a back end reach the client, with each directive that rules it.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
                location /hide/ { proxy_hide_header X-One; proxy_hide_header set-cookie; proxy_pass http://127.0.0.1:%%b1%%/; }
                location /pass/ { proxy_pass_header Server; proxy_pass_header Date; proxy_pass_header X-Pad; proxy_pass_header X-Accel-Expires; proxy_pass http://127.0.0.1:%%b1%%/; }
                location /ignore/ { proxy_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate X-Accel-Charset X-Accel-Buffering Expires Cache-Control Set-Cookie Vary X-Accel-Expires; proxy_pass http://127.0.0.1:%%b1%%/; }
                location /add/ { add_header X-Added "$upstream_status $upstream_http_x_one"; add_header X-Always yes always; add_header X-Empty ""; proxy_pass http://127.0.0.1:%%b1%%/; }
                location /target { return 200 "target $uri $args\\n"; }
                location @named { return 200 "named $uri\\n"; }
            }
        """
        common = [
            b"Server: backend/1",
            b"Date: Mon, 01 Jan 2024 00:00:00 GMT",
            b"Content-Type: text/x",
            b"X-One: 1",
            b"X-ONE: second",
            b"Set-Cookie: a=1",
            b"Set-Cookie: b=2",
            b'ETag: "x"',
            b"Last-Modified: Sun, 13 Sep 2020 12:26:40 GMT",
            b"Cache-Control: max-age=1",
            b"Cache-Control: private",
            b"Expires: Mon, 01 Jan 2024 00:00:00 GMT",
            b"Vary: A",
            b"Vary: B",
            b"X-Pad: pad",
            b"X-Accel-Expires: 10",
            b"X-Accel-Buffering: no",
            b"X-Accel-Limit-Rate: 1000000",
            b"WWW-Authenticate: Basic",
            b"Accept-Ranges: bytes",
            b"Content-Encoding: x",
            b"Link: <a>",
            b"Keep-Alive: timeout=5",
            b"Proxy-Authenticate: x",
            b"Upgrade: h2c",
            b"X-Empty:",
            b"x-lower: case",
            b"Via: 1.1 x",
            b"Refresh: 5",
            b"Status: 500",
        ]
        statuses = [
            200,
            201,
            204,
            206,
            301,
            304,
            400,
            401,
            403,
            404,
            500,
            503,
            299,
            999,
        ]
        replies: dict[str, Reply] = {
            "/all": response(b"body", *common),
            "/redirect": response(b"body", b"X-Accel-Redirect: /target?x=1", *common),
            "/named": response(b"body", b"X-Accel-Redirect: @named", *common),
            "/bare": raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
            "/bare10": raw(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"),
            "/noreason": raw(b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx"),
            "/reason": raw(b"HTTP/1.1 200 Very  Fine\r\nContent-Length: 1\r\n\r\nx"),
            "/hop": response(b"x", b"Connection: X-Hop, close", b"X-Hop: 1"),
        }
        for status in statuses:
            replies[f"/{status}"] = (
                raw(b"HTTP/1.1 %d X\r\nX-One: 1\r\n\r\n" % status)
                if status in (204, 304)
                else response(b"body", b"X-One: 1", status=b"%d Some Text" % status)
            )
        plays = [
            get(prefix + path)
            for prefix in ("", "/hide", "/pass", "/ignore", "/add")
            for path in replies
        ]
        plays += [get(path, version="1.0") for path in replies]
        plays += [request("HEAD", path) for path in ("/all", "/404", "/304", "/204")]
        self.compare(Scene(http=http, plays=plays, backends={"b1": byTarget(replies)}))

    def test_addHeader(self) -> None:
        """
        add_header and add_trailer on responses of our own: statuses, inheritance,
        replaced fields.
        """
        http = """
            add_header X-Outer 1;
            server {
                listen 127.0.0.1:%%front%%;
                location / { return 200 body; }
                location /inner { add_header X-Inner "$request_method $arg_a"; return 200 body; }
                location /always { add_header X-Always $status always; return 404 body; }
                location /not { add_header X-Not x; return 404 body; }
                location /empty { add_header X-Empty $arg_none; return 200 body; }
                location /known { add_header Cache-Control a; add_header Cache-Control b; add_header ETag '"e"'; add_header Last-Modified "Sun, 13 Sep 2020 12:26:40 GMT"; add_header Content-Type x/y; add_header Server s; return 200 body; }
                location /expires { expires 1h; add_header Cache-Control "public"; return 404 x; }
                location /trailer { add_trailer X-T "$body_bytes_sent"; proxy_pass http://127.0.0.1:%%b1%%; }
                location /status/ {
                    location /status/201 { return 201 x; }
                    location /status/204 { return 204; }
                    location /status/301 { return 301 /x; }
                    location /status/302 { return 302 /x; }
                    location /status/400 { return 400; }
                    location /status/500 { return 500; }
                }
            }
        """
        plays = [
            get(path)
            for path in (
                "/ /inner?a=b /always /not /empty /known /trailer /status/201 /status/204"
                " /status/301 /status/302 /status/400 /status/500"
            ).split()
        ]
        plays += [get("/trailer", version="1.0"), get("/trailer", "TE: trailers")]
        chunked = raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        )
        self.compare(Scene(http=http, plays=plays, backends={"b1": always(chunked)}))


class MalformedResponseTests(DifferentialTestCase):
    """
    A back end that does not speak HTTP well.
    """

    def test_heads(self) -> None:
        """
        Heads that are wrong, too long or cut give 502, or what nginx makes of them.
        """
        heads: dict[str, bytes] = {
            "nothing": b"",
            "text": b"hello\r\n",
            "http09": b"<html>",
            "version2": b"HTTP/2.0 200 OK\r\n\r\n",
            "version": b"HTTP/1.x 200 OK\r\n\r\n",
            "version12": b"HTTP/1.2 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "lower": b"http/1.1 200 OK\r\n\r\n",
            "status2": b"HTTP/1.1 20 OK\r\n\r\n",
            "status4": b"HTTP/1.1 2000 OK\r\n\r\n",
            "statusx": b"HTTP/1.1 2x0 OK\r\n\r\n",
            "spaces": b"HTTP/1.1  200  OK\r\nContent-Length: 1\r\n\r\nx",
            "lf": b"HTTP/1.1 200 OK\nContent-Length: 1\nX: y\n\nx",
            "cr": b"HTTP/1.1 200 OK\rContent-Length: 1\r\n\r\nx",
            "nocolon": b"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 1\r\n\r\nx",
            "space": b"HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 1\r\n\r\nx",
            "fold": b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 1\r\n\r\nx",
            "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 1\r\n\r\nx",
            "nulname": b"HTTP/1.1 200 OK\r\nX\0: a\r\nContent-Length: 1\r\n\r\nx",
            "barecr": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 1\r\n\r\nx",
            "underscore": b"HTTP/1.1 200 OK\r\nX_Y: a\r\nContent-Length: 1\r\n\r\nx",
            "dot": b"HTTP/1.1 200 OK\r\nX.Y: a\r\nContent-Length: 1\r\n\r\nx",
            "twolengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
            "samelengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "badlength": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nxy",
            "minuslength": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nxy",
            "both": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            "coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxy",
            "twocodings": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            "coding10": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            "long": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000 + b"\r\n\r\n",
            "longline": b"HTTP/1.1 200 " + b"x" * 5000 + b"\r\n\r\n",
            "cutline": b"HTTP/1.1 20",
            "cuthead": b"HTTP/1.1 200 OK\r\nX: y\r\n",
            "cutbody": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "longbody": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef",
            "badchunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
            "cutchunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            "cutlast": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "afterlast": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nmore",
            "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: y\r\n\r\n",
            "103": b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            "body204": b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
            "body304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
            "emptyreason": b"HTTP/1.1 404 \r\nContent-Length: 1\r\n\r\nx",
            "highreason": b"HTTP/1.1 200 \xc3\xa9\r\nContent-Length: 1\r\n\r\nx",
        }
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
                location /unbuffered/ { proxy_buffering off; proxy_pass http://127.0.0.1:%%b1%%/; }
            }
        """
        replies = {f"/{name}": raw(data) for name, data in heads.items()}
        plays = [get(path) for path in replies]
        plays += [get(path, version="1.0", name=f"1.0 {path}") for path in replies]
        plays += [get("/unbuffered" + path) for path in replies]
        self.compare(Scene(http=http, plays=plays, backends={"b1": byTarget(replies)}))

    def test_headInPieces(self) -> None:
        """
        A head that comes byte by byte is the same head.
        """
        text = b"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        parts: list[bytes | float] = []
        # Pieces of a body may be passed on in other pieces.
        head = text.index(b"\r\n\r\n") + 4
        for number in range(head - 1):
            parts += [text[number : number + 1], 0.001]
        parts.append(text[head - 1 :])
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
            }
        """
        self.compare(
            Scene(http=http, plays=[get("/")], backends={"b1": always(raw(*parts))})
        )
