"""
Requests that are wrong, ambiguous or too long: refused as nginx refuses them, and
nothing reaches a back end.
"""

from __future__ import annotations

from tests.differential.backends import always, response
from tests.differential.client import End, Play
from tests.differential.harness import DifferentialTestCase, Scene

PROXY = """
    client_header_timeout 2s;
    client_body_timeout 2s;
    lingering_timeout 200ms;
    server {
        listen 127.0.0.1:%%front%%;
        location / { proxy_pass http://127.0.0.1:%%b1%%; }
        location /own { return 200 "own $uri $args\\n"; }
    }
"""

BACKENDS = {"b1": always(response(b"back end\n"))}


def play(data: bytes) -> Play:
    """
    Send these bytes, then nothing more; the name is what is sent.
    """
    shown = repr(data if len(data) < 100 else data[:60] + b"..." + data[-20:])
    return Play(shown, data)


def head(*lines: bytes, target: bytes = b"/own", version: bytes = b"1.1") -> Play:
    """
    A GET with C{Host}, C{Connection: close} and these lines between them.
    """
    between = b"".join(line + b"\r\n" for line in lines)
    return play(
        b"GET "
        + target
        + b" HTTP/"
        + version
        + b"\r\nHost: a\r\n"
        + between
        + b"Connection: close\r\n\r\n"
    )


def body(
    *lines: bytes, data: bytes = b"", method: bytes = b"POST", version: bytes = b"1.1"
) -> Play:
    """
    A request with a body, to be passed on.
    """
    between = b"".join(line + b"\r\n" for line in lines)
    return play(
        method
        + b" /up HTTP/"
        + version
        + b"\r\nHost: a\r\n"
        + between
        + b"Connection: close\r\n\r\n"
        + data
    )


class RequestLineTests(DifferentialTestCase):
    """
    The first line.
    """

    def test_forms(self) -> None:
        """
        Wrong methods, versions, spaces and line ends.
        """
        lines = [
            b"GET / HTTP/1.1",
            b"GET /own HTTP/1.0",
            b"GET /own",
            b"GET",
            b"",
            b"GET ",
            b" GET /own HTTP/1.1",
            b"GET  /own HTTP/1.1",
            b"GET /own  HTTP/1.1",
            b"GET /own HTTP/1.1 ",
            b"GET /own HTTP/1.1  ",
            b"GET\t/own HTTP/1.1",
            b"GET /own\tHTTP/1.1",
            b"GET /own HTTP/1.1\t",
            b"GET /a b HTTP/1.1",
            b"GET /own HTTP/1.1 x",
            b"GET /own http/1.1",
            b"GET /own HTTP/1",
            b"GET /own HTTP/1.",
            b"GET /own HTTP/.1",
            b"GET /own HTTP/1.10",
            b"GET /own HTTP/1.1.1",
            b"GET /own HTTP/1.2",
            b"GET /own HTTP/1.99",
            b"GET /own HTTP/1.999",
            b"GET /own HTTP/01.1",
            b"GET /own HTTP/0.9",
            b"GET /own HTTP/2.0",
            b"GET /own HTTP/3.0",
            b"GET /own HTTP/9.9",
            b"GET /own HTTPS/1.1",
            b"GET /own HTTP 1.1",
            b"GET /own HTTP/1x1",
            b"GET /own XTTP/1.1",
            b"PRI * HTTP/2.0",
            b"get /own HTTP/1.1",
            b"G\xc3\xa9T /own HTTP/1.1",
            b"G/T /own HTTP/1.1",
            b"GET,X /own HTTP/1.1",
            b"FOO /own HTTP/1.1",
            b"FOO-BAR /own HTTP/1.1",
            b"FOO_BAR /own HTTP/1.1",
            b"F00 /own HTTP/1.1",
            b"TRACE /own HTTP/1.1",
            b"TRACK /own HTTP/1.1",
            b"CONNECT a:80 HTTP/1.1",
            b"CONNECT /own HTTP/1.1",
            b"OPTIONS * HTTP/1.1",
            b"GET * HTTP/1.1",
            b"OPTIONS /own HTTP/1.1",
            b"PROPFIND /own HTTP/1.1",
            b"DELETE /own HTTP/1.1",
            b"PATCH /own HTTP/1.1",
            b"HEAD /own HTTP/1.0",
        ]
        rest = b"\r\nHost: a\r\nConnection: close\r\n\r\n"
        plays = [play(line + rest) for line in lines]
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays, errors="info"))

    def test_targets(self) -> None:
        """
        Targets that are no path, or a path in disguise.
        """
        targets = [
            b"own",
            b"own/x",
            b"/own%",
            b"/own%4",
            b"/own%zz",
            b"/own%00",
            b"/own%00x",
            b"/own%2f..%2fx",
            b"/own/%2e%2e/x",
            b"/own/../x",
            b"/own/..",
            b"/..",
            b"/../x",
            b"/own/../../x",
            b"/./own",
            b"/own/.",
            b"/own/./x",
            b"/own/...",
            b"/own/.../x",
            b"/own/..x",
            b"/own/.x",
            b"//own//x",
            b"/own///",
            b"/own#fragment",
            b"/own?a=1#fragment",
            b"/own?a=1?b=2",
            b"/own?",
            b"/own??",
            b"/own%3fx",
            b"/own%23x",
            b"/own%20x",
            b"/own+x",
            b"/own%2bx",
            b"/own;x",
            b"/own%c3%a9",
            b"/own\xc3\xa9",
            b"/own\x80",
            b'/own"x"',
            b"/own<x>",
            b"/own|x",
            b"/own\\x",
            b"/own^x",
            b"/own`x",
            b"/own{x}",
            b"/own/%",
            b"/%6fwn",
            b"/%6Fwn",
            b"/own%252f",
            b"/own?%zz",
            b"/own?a=%00",
            b"http://a/own",
            b"http://a",
            b"http://a?x=1",
            b"http://a:80/own",
            b"http://a:/own",
            b"http://a:80x/own",
            b"http://a:99999/own",
            b"HTTP://A/own",
            b"https://a/own",
            b"ftp://a/own",
            b"http:/own",
            b"http:///own",
            b"http://[::1]/own",
            b"http://[::1]:80/own",
            b"http://[::1/own",
            b"http://u@a/own",
            b"http://a b/own",
            b"http://a/own b",
            b"http://a_b/own",
            b"http://a%20b/own",
            b"h+t.t-p://a/own",
            b"1http://a/own",
            b"?x",
            b"#x",
            b".",
            b"..",
        ]
        plays = [head(target=target) for target in targets]
        plays += [head(target=target.replace(b"own", b"up")) for target in targets]
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays, errors="info"))

    def test_everyByteInTarget(self) -> None:
        """
        Each byte in path and arguments; each byte after a percent sign.
        """
        plays: list[Play] = []
        for number in range(256):
            byte = bytes([number])
            plays.append(head(target=b"/own/a" + byte + b"b"))
            plays.append(head(target=b"/own?a" + byte + b"b"))
            plays.append(head(target=b"/own/%%%02x" % number))
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays))

    def test_everyByteInMethod(self) -> None:
        """
        Each byte in the method, at its start and within.
        """
        rest = b" /own HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        plays: list[Play] = []
        for number in range(256):
            byte = bytes([number])
            # An empty line before the request is skipped, so LF is another test.
            if byte not in b"\r\n":
                plays.append(play(byte + b"ET" + rest))
            plays.append(play(b"G" + byte + b"T" + rest))
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays))

    def test_emptyLinesBefore(self) -> None:
        """
        Empty lines before the request are skipped; anything else is not.
        """
        wanted = b"GET /own HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        plays = [
            play(before + wanted)
            for before in (
                b"\r\n",
                b"\n",
                b"\r\n\r\n\n",
                b"\r",
                b"\r\r\n",
                b"\0",
                b" \r\n",
            )
        ]
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays))

    def test_ends(self) -> None:
        """
        A connection that ends in the middle of a head.
        """
        wanted = b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n"
        plays = [
            Play(f"ends after {count} bytes", wanted[:count], End())
            for count in range(len(wanted))
        ]
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays, errors="info"))


class FieldTests(DifferentialTestCase):
    """
    The fields of a head.
    """

    def test_syntax(self) -> None:
        """
        Names, colons, folding and line ends that are wrong.
        """
        lines = [
            b"X: y",
            b"X:y",
            b"X:",
            b"X: ",
            b"X :y",
            b"X : y",
            b"X\t: y",
            b" X: y",
            b"\tX: y",
            b": y",
            b":",
            b"X",
            b"X y",
            b"X: y\r\n folded",
            b"X: y\r\n\tfolded",
            b"X: a\rb",
            b"X: a\r",
            b"X: a\0b",
            b"X\0: a",
            b"X: a\nY: b",
            b"X_Y: z",
            b"X.Y: z",
            b"X/Y: z",
            b"(X): z",
            b'"X": z',
            b"X\x80: z",
            b"X: \x80\xff",
            b"X: a\tb",
            b"X: a\x01b",
            b"X: a\x7fb",
            b"X: trailing  ",
            b"X: trailing\t",
            b"X:   leading",
            b"X:\tleading",
            b"-: y",
            b"_: y",
            b"1: y",
            b"X: y\n",
        ]
        plays = [head(line) for line in lines]
        plays += [head(line, target=b"/up") for line in lines]
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays, errors="info"))

    def test_ignoreInvalidOff(self) -> None:
        """
        With ignore_invalid_headers off a wrong name is refused; underscores can be
        allowed.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                ignore_invalid_headers off;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
            }
            server {
                listen 127.0.0.1:%%second%%;
                underscores_in_headers on;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
            }
        """
        lines = [
            b"X_Y: z",
            b"X.Y: z",
            b"X Y: z",
            b"(X): z",
            b"X\x80: z",
            b": z",
            b"X\x01: z",
        ]
        plays = [head(line) for line in lines]
        for line in lines:
            other = head(line)
            other.port = "second"
            plays.append(other)
        self.compare(Scene(http=http, backends=BACKENDS, plays=plays, errors="info"))

    def test_everyByteInField(self) -> None:
        """
        Each byte in a field's name, before its colon, and in its value, passed on.
        """
        plays: list[Play] = []
        for number in range(256):
            byte = bytes([number])
            plays.append(head(b"X" + byte + b"Y: z", target=b"/up"))
            plays.append(head(b"X: a" + byte + b"b", target=b"/up"))
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays))

    def test_host(self) -> None:
        """
        Hosts: absent, several, wrong.
        """
        hosts = [
            b"a",
            b"",
            b"A.Example",
            b"a.",
            b"a..",
            b".",
            b"a..b",
            b"a:80",
            b"a:",
            b"a:x",
            b"a:80:80",
            b"a:99999",
            b"a b",
            b"a/b",
            b"a\\b",
            b"a\tb",
            b"a\0b",
            b"a\x01b",
            b"a\x7fb",
            b"a\x80b",
            b"[::1]",
            b"[::1]:80",
            b"[::1",
            b"::1",
            b"[::1]x",
            b"a_b",
            b"a@b",
            b"a,b",
            b"a%20b",
            b"a?b",
            b"a#b",
            b"127.0.0.1",
        ]
        end = b"\r\nConnection: close\r\n\r\n"
        plays = [
            play(b"GET /" + place + b" HTTP/1.1\r\nHost: " + host + end)
            for place in (b"host", b"up")
            for host in hosts
        ]
        plays += [
            play(b"GET /host HTTP/1.1\r\nConnection: close\r\n\r\n"),
            play(b"GET /host HTTP/1.0\r\n\r\n"),
            play(b"GET /host HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
            play(b"GET /host HTTP/1.1\r\nHost: a\r\nHost: b" + end),
            play(b"GET /host HTTP/1.1\r\nHost: a\r\nhost: a" + end),
            play(b"GET http://c/host HTTP/1.1\r\nHost: a" + end),
            play(b"GET http://c/host HTTP/1.1" + end),
            play(b"GET http://c/up HTTP/1.1\r\nHost: a" + end),
            play(b"GET http://c:81/up HTTP/1.1\r\nHost: a" + end),
            play(b"GET http://C.Example/up HTTP/1.0\r\n\r\n"),
        ]
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://127.0.0.1:%%b1%%; proxy_set_header Host $host; }
                location /host { return 200 "[$host] [$http_host] [$server_name]\\n"; }
            }
        """
        self.compare(Scene(http=http, backends=BACKENDS, plays=plays, errors="info"))

    def test_duplicates(self) -> None:
        """
        Fields that may stand once, twice.
        """
        names = [
            b"Host",
            b"Content-Length",
            b"Content-Type",
            b"Transfer-Encoding",
            b"Connection",
            b"Expect",
            b"Authorization",
            b"User-Agent",
            b"Referer",
            b"Cookie",
            b"If-Modified-Since",
            b"If-None-Match",
            b"Range",
            b"Upgrade",
            b"X-Forwarded-For",
            b"Accept-Encoding",
            b"TE",
        ]
        plays = [head(name + b": 0", name + b": 0", target=b"/up") for name in names]
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays, errors="info"))


class FramingTests(DifferentialTestCase):
    """
    What tells a body's length, when it lies.
    """

    def test_lengths(self) -> None:
        """
        Values of Content-Length.
        """
        values = [
            b"0",
            b"3",
            b"03",
            b"+3",
            b"-3",
            b"3 ",
            b"3x",
            b"x",
            b"",
            b"3,3",
            b"3, 3",
            b"3.0",
            b"0x3",
            b"3 3",
            b"1000000000",
            b"9223372036854775807",
            b"9223372036854775808",
            b"99999999999999999999999",
            b"\xb2",
        ]
        plays = [body(b"Content-Length: " + value, data=b"abc") for value in values]
        plays += [
            body(b"Content-Length: " + value, data=b"abc", method=b"GET")
            for value in values
        ]
        plays += [
            body(b"Content-Length: 3", b"Content-Length: 3", data=b"abc"),
            body(b"Content-Length: 3", b"Content-Length: 4", data=b"abcd"),
            body(b"content-length: 3", b"CONTENT-LENGTH: 3", data=b"abc"),
            body(data=b"no length"),
        ]
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays, errors="info"))

    def test_codings(self) -> None:
        """
        Values of Transfer-Encoding, also beside a length and in HTTP/1.0.
        """
        values = [
            b"chunked",
            b"Chunked",
            b"CHUNKED",
            b"chunked ",
            b"xchunked",
            b"chunkedx",
            b"chunked, chunked",
            b"gzip, chunked",
            b"chunked, gzip",
            b"gzip",
            b"identity",
            b"",
            b"chunked;q=1",
            b'"chunked"',
            b"\x0bchunked",
        ]
        chunks = b"3\r\nabc\r\n0\r\n\r\n"
        plays = [body(b"Transfer-Encoding: " + value, data=chunks) for value in values]
        plays += [
            body(b"Transfer-Encoding: " + value, data=chunks, version=b"1.0")
            for value in values
        ]
        plays += [
            body(b"Transfer-Encoding: chunked", b"Content-Length: 3", data=chunks),
            body(b"Content-Length: 3", b"Transfer-Encoding: chunked", data=chunks),
            body(b"Content-Length: 3", b"Transfer-Encoding: identity", data=b"abc"),
            body(
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding: chunked",
                data=chunks,
            ),
            body(
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding: identity",
                data=chunks,
            ),
            body(b"Transfer-Encoding : chunked", data=chunks),
            body(b"Transfer_Encoding: chunked", data=chunks),
            body(b"Transfer-Encoding:\tchunked", data=chunks),
            body(b"Transfer-Encoding: chunked", data=chunks, method=b"GET"),
        ]
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays, errors="info"))

    def test_chunks(self) -> None:
        """
        Chunks that are wrong.
        """
        bodies = [
            b"0\r\n\r\n",
            b"3\r\nabc\r\n0\r\n\r\n",
            b"3\nabc\n0\n\n",
            b"03\r\nabc\r\n0\r\n\r\n",
            b"00000000003\r\nabc\r\n000\r\n\r\n",
            b"3;x\r\nabc\r\n0\r\n\r\n",
            b"3;x=y\r\nabc\r\n0;z\r\n\r\n",
            b'3;x="y\r\nz"\r\nabc\r\n0\r\n\r\n',
            b"3 \r\nabc\r\n0\r\n\r\n",
            b"3 ;x\r\nabc\r\n0\r\n\r\n",
            b"3\t\r\nabc\r\n0\r\n\r\n",
            b"3x\r\nabc\r\n0\r\n\r\n",
            b" 3\r\nabc\r\n0\r\n\r\n",
            b"+3\r\nabc\r\n0\r\n\r\n",
            b"-3\r\nabc\r\n0\r\n\r\n",
            b"0x3\r\nabc\r\n0\r\n\r\n",
            b"\r\nabc\r\n0\r\n\r\n",
            b"g\r\nabc\r\n0\r\n\r\n",
            b"3\rabc\r\n0\r\n\r\n",
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"3\r\nabcX\n0\r\n\r\n",
            b"3\r\nabc\rX0\r\n\r\n",
            b"3\r\nabc0\r\n\r\n",
            b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
            b"7fffffffffffffff\r\nabc",
            b"8000000000000000\r\nabc",
            b"ffffffffffffffff\r\nabc",
            b"10000000000000000\r\nabc",
            b"0\r\nX: y\r\n\r\n",
            b"0\r\nX: y\r\nZ: z\r\n\r\n",
            b"0\r\nX\r\n\r\n",
            b"0\r\n: y\r\n\r\n",
            b"0\r\n X: y\r\n\r\n",
            b"0\r\nContent-Length: 5\r\n\r\n",
            b"0\n\r\n",
            b"0\r\n\n",
            b"0\rx\r\n",
            b"0\r\n\rx",
        ]
        plays = [body(b"Transfer-Encoding: chunked", data=data) for data in bodies]
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays, errors="info"))

    def test_unbufferedChunks(self) -> None:
        """
        The same faults, met while the body is already being passed on.
        """
        bodies = [
            b"3\r\nabc\r\n0\r\n\r\n",
            b"3;x=y\r\nabc\r\n0;z\r\n\r\n",
            b"g\r\nabc\r\n0\r\n\r\n",
            b"0\r\nX: y\r\n\r\n",
        ]
        http = PROXY.replace(
            "location / {",
            "location / { proxy_request_buffering off; proxy_http_version 1.1;",
        )
        plays = [body(b"Transfer-Encoding: chunked", data=data) for data in bodies]
        self.compare(Scene(http=http, backends=BACKENDS, plays=plays))

    def test_smuggled(self) -> None:
        """
        What follows a refused request on its connection is not a request.
        """
        second = b"GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        lines = [
            b"Content-Length: 3\r\nTransfer-Encoding: chunked",
            b"Content-Length: 3\r\nContent-Length: 4",
            b"Transfer-Encoding: xchunked",
            b"Content-Length: x",
            b"Transfer-Encoding : chunked",
            b"X: y\0",
        ]
        plays = [
            play(b"POST /up HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n" + second)
            for line in lines
        ]
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays))


class LimitTests(DifferentialTestCase):
    """
    Lines, heads and bodies that are too long.
    """

    def test_headLimits(self) -> None:
        """
        Around client_header_buffer_size and large_client_header_buffers.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                client_header_buffer_size 256;
                large_client_header_buffers 2 512;
                location / { return 200 "$request_length\\n"; }
            }
        """
        plays: list[Play] = []
        for size in (100, 220, 250, 256, 260, 470, 480, 490, 495, 500, 512, 520, 1100):
            plays.append(head(target=b"/" + b"x" * size))
            plays.append(head(b"X: " + b"x" * size))
            plays.append(head(b"X" * size + b": y"))
        for count in (1, 2, 3, 4, 6):
            plays.append(head(*[b"X: " + b"x" * 200] * count))
            plays.append(head(*[b"X: " + b"x" * 400] * count))
        self.compare(Scene(http=http, plays=plays, errors="info"))

    def test_defaultHeadLimits(self) -> None:
        """
        The same with nginx's defaults: 1k, and 4 of 8k.
        """
        plays: list[Play] = []
        for size in (900, 1100, 8000, 8150, 8170, 8180, 8192, 9000):
            plays.append(head(target=b"/own/" + b"x" * size))
            plays.append(head(b"X: " + b"x" * size))
        for count in (1, 2, 3, 4, 5, 6):
            plays.append(head(*[b"X: " + b"x" * 6000] * count))
        plays.append(head(*[b"X%d: y" % number for number in range(900)]))
        plays.append(head(*[b"X%d: y" % number for number in range(1100)]))
        self.compare(Scene(http=PROXY, backends=BACKENDS, plays=plays, errors="info"))

    def test_headerCount(self) -> None:
        """
        max_headers is a limit of its own.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                max_headers 5;
                location / { return 200 ok; }
            }
        """
        plays = [head(*[b"X: y"] * count) for count in range(7)]
        self.compare(Scene(http=http, plays=plays, errors="info"))

    def test_bodyLimit(self) -> None:
        """
        client_max_body_size, counted and chunked, also where no body is read.
        """
        http = """
            client_max_body_size 10;
            lingering_timeout 200ms;
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
                location /own { return 200 own; }
                location /any { client_max_body_size 0; proxy_pass http://127.0.0.1:%%b1%%; }
            }
        """
        plays: list[Play] = []
        for place in (b"/up", b"/own", b"/any"):
            for size in (0, 1, 10, 11, 100):
                data = b"x" * size
                start = (
                    b"POST " + place + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                )
                plays.append(play(start + b"Content-Length: %d\r\n\r\n" % size + data))
                if size:
                    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (size, data)
                    plays.append(
                        play(start + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
                    )
        self.compare(Scene(http=http, backends=BACKENDS, plays=plays))

    def test_timeouts(self) -> None:
        """
        Heads and bodies that do not come in time.
        """
        http = """
            client_header_timeout 300ms;
            client_body_timeout 300ms;
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
            }
        """
        plays = [
            play(b""),
            play(b"GET /own HTT"),
            play(b"GET /own HTTP/1.1\r\nHos"),
            play(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"),
            play(
                b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"
            ),
        ]
        self.compare(Scene(http=http, backends=BACKENDS, plays=plays, errors="info"))
