"""
When one server fails, the next; and who is asked in which order.
"""

from __future__ import annotations

from tests.differential.backends import Reply, always, inTurn, raw, response
from tests.differential.client import Play, Wait, get, request
from tests.differential.harness import DifferentialTestCase, Scene

GOOD = response(b"good\n")


def status(code: int) -> Reply:
    """
    A response with C{code}.
    """
    return response(b"bad\n", status=b"%d Bad" % code)


class NextServerTests(DifferentialTestCase):
    """
    proxy_next_upstream and its neighbours.
    """

    def test_conditions(self) -> None:
        """
        Each kind of failure with each condition that covers it, or not.
        """
        conditions = (
            "error timeout invalid_header http_500 http_502 http_503 http_504 http_403"
            " http_404 http_429 non_idempotent off"
        ).split()
        failures: dict[str, Reply] = {
            "close": raw(),
            "reset": raw(then="reset"),
            "invalid": raw(b"nonsense\r\n\r\n"),
            "cut": raw(b"HTTP/1.1 200 OK\r\nX: y\r\n"),
            **{
                f"status{code}": status(code)
                for code in (500, 502, 503, 504, 403, 404, 429, 418)
            },
        }
        groups = "".join(
            f"""
            upstream {name} {{
                server 127.0.0.1:%%{name}%% max_fails=0;
                server 127.0.0.1:%%good%% max_fails=0;
            }}
            """
            for name in failures
        )
        locations = "".join(
            f"""
            location /{condition}/{name} {{
                {f"proxy_next_upstream {condition};" if condition else ""}
                proxy_pass http://{name};
            }}
            """
            for condition in ["", *conditions]
            for name in failures
        ).replace("location //", "location /")
        http = f"""
            {groups}
            server {{ listen 127.0.0.1:%%front%%; {locations} }}
        """
        # Twice, so that one of them begins at the bad one.
        plays = [
            get(
                f"/{condition}/{name}".replace("//", "/"),
                name=f"/{condition}/{name} {n}",
            )
            for name in failures
            for condition in ["", *conditions]
            for n in (1, 2)
        ]
        backends = {name: always(failure) for name, failure in failures.items()}
        backends["good"] = always(GOOD)
        self.compare(Scene(http=http, plays=plays, backends=backends))

    def test_timeout(self) -> None:
        """
        A server that does not answer in time.
        """
        http = """
            upstream group { server 127.0.0.1:%%slow%% max_fails=0; server 127.0.0.1:%%good%% max_fails=0; }
            server {
                listen 127.0.0.1:%%front%%;
                proxy_read_timeout 400ms;
                location / { proxy_pass http://group; }
                location /off { proxy_next_upstream off; proxy_pass http://group; }
            }
        """
        plays = [
            get("/1"),
            get("/2"),
            get("/off"),
            get("/off"),
            request("POST", "/3", body=b"x"),
            request("POST", "/4", body=b"x"),
        ]
        backends = {"slow": always(Reply((0.9, b""), "close")), "good": always(GOOD)}
        self.compare(Scene(http=http, plays=plays, backends=backends))

    def test_refused(self) -> None:
        """
        Servers that refuse connections are tried once, then rested.
        """
        http = """
            upstream one { server 127.0.0.1:%%dead1%%; server 127.0.0.1:%%good%%; }
            upstream alone { server 127.0.0.1:%%dead1%%; }
            upstream all { server 127.0.0.1:%%dead1%%; server 127.0.0.1:%%dead2%%; }
            upstream backup { server 127.0.0.1:%%dead1%%; server 127.0.0.1:%%good%% backup; }
            upstream backups { server 127.0.0.1:%%dead1%%; server 127.0.0.1:%%dead2%% backup; server 127.0.0.1:%%good%% backup; }
            upstream down { server 127.0.0.1:%%dead1%% down; server 127.0.0.1:%%good%%; }
            upstream alldown { server 127.0.0.1:%%good%% down; server 127.0.0.1:%%dead1%% down; }
            upstream onedown { server 127.0.0.1:%%good%% down; }
            upstream fails3 { server 127.0.0.1:%%dead1%% max_fails=3; server 127.0.0.1:%%good%%; }
            server {
                listen 127.0.0.1:%%front%%;
                location ~ ^/(?<group>\\w+) { proxy_pass http://$group; }
                location = /direct { proxy_pass http://127.0.0.1:%%dead1%%; }
            }
        """
        plays = [
            get(f"/{group}", name=f"/{group} {number}")
            for group in "one alone all backup backups down alldown onedown fails3 direct".split()
            for number in range(5)
        ]
        plays += [
            request("POST", "/all", body=b"x"),
            request("POST", "/backup", body=b"x"),
        ]
        self.compare(Scene(http=http, plays=plays, backends={"good": always(GOOD)}))

    def test_nonIdempotent(self) -> None:
        """
        POST, LOCK and PATCH are not sent again, unless that is allowed.
        """
        http = """
            upstream group { server 127.0.0.1:%%bad%% max_fails=0; server 127.0.0.1:%%good%% max_fails=0; }
            upstream refusing { server 127.0.0.1:%%dead%% max_fails=0; server 127.0.0.1:%%good%% max_fails=0; }
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://group; }
                location /ok { proxy_next_upstream error non_idempotent; proxy_pass http://group; }
                location /refusing { proxy_pass http://refusing; }
            }
        """
        plays = [
            request(method, path, body=b"data", name=f"{method} {path} {number}")
            for path in ("/", "/ok", "/refusing")
            for method in ("POST", "LOCK", "PATCH", "PUT", "DELETE", "GET")
            for number in (1, 2)
        ]
        backends = {"bad": always(raw()), "good": always(GOOD)}
        self.compare(Scene(http=http, plays=plays, backends=backends))

    def test_triesAndTimeout(self) -> None:
        """
        proxy_next_upstream_tries and proxy_next_upstream_timeout.
        """
        http = """
            upstream group {
                server 127.0.0.1:%%b1%% max_fails=0; server 127.0.0.1:%%b2%% max_fails=0; server 127.0.0.1:%%b3%% max_fails=0;
                server 127.0.0.1:%%b4%% backup max_fails=0;
            }
            server {
                listen 127.0.0.1:%%front%%;
                proxy_next_upstream error http_500;
                location / { proxy_pass http://group; }
                location /one { proxy_next_upstream_tries 1; proxy_pass http://group; }
                location /two { proxy_next_upstream_tries 2; proxy_pass http://group; }
                location /ten { proxy_next_upstream_tries 10; proxy_pass http://group; }
                location /time { proxy_next_upstream_timeout 200ms; proxy_pass http://group; }
            }
        """
        bad = Reply((0.13, b"HTTP/1.1 500 Bad\r\nContent-Length: 3\r\n\r\nbad"))
        plays = [
            get(path, name=f"{path} {number}")
            for path in ("/", "/one", "/two", "/ten", "/time")
            for number in (1, 2)
        ]
        backends = {name: always(bad) for name in ("b1", "b2", "b3", "b4")}
        self.compare(Scene(http=http, plays=plays, backends=backends))

    def test_afterHeadIsLate(self) -> None:
        """
        Once a response has begun there is no next server: it is cut.
        """
        http = """
            upstream group { server 127.0.0.1:%%bad%% max_fails=0; server 127.0.0.1:%%good%% max_fails=0; }
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://group; }
                location /unbuffered { proxy_buffering off; proxy_pass http://group; }
            }
        """
        cut = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", 0.02)
        plays = [
            get(path, name=f"{path} {n}", version=v)
            for path in ("/", "/unbuffered")
            for n in (1, 2)
            for v in ("1.0", "1.1")
        ]
        self.compare(
            Scene(
                http=http,
                plays=plays,
                backends={"bad": always(cut), "good": always(GOOD)},
            )
        )

    def test_maxFails(self) -> None:
        """
        max_fails within fail_timeout takes a server out, and one request tries it later.
        """
        http = """
            upstream group {
                server 127.0.0.1:%%bad%% max_fails=2 fail_timeout=1s;
                server 127.0.0.1:%%good%%;
            }
            server {
                listen 127.0.0.1:%%front%%;
                location / { proxy_pass http://group; }
            }
        """
        pause = Play("pause", Wait(2.1), b"GET /later HTTP/1.0\r\n\r\n")
        plays = (
            [get(f"/{n}") for n in range(8)]
            + [pause]
            + [get(f"/later{n}") for n in range(6)]
        )
        replies = [raw(), raw(), raw(), GOOD]
        self.compare(
            Scene(
                http=http,
                plays=plays,
                backends={"bad": inTurn(*replies), "good": always(GOOD)},
            )
        )

    def test_bodySentAgain(self) -> None:
        """
        A buffered body goes to the next server whole, also from a file; an unbuffered
        one that was begun does not.
        """
        http = """
            upstream group { server 127.0.0.1:%%bad%% max_fails=0; server 127.0.0.1:%%good%% max_fails=0; }
            server {
                listen 127.0.0.1:%%front%%;
                client_body_buffer_size 1k;
                location / { proxy_pass http://group; }
                location /stream { proxy_request_buffering off; proxy_pass http://group; }
            }
        """
        plays = [
            request(
                "PUT",
                path,
                body=bytes(range(32, 127)) * size,
                name=f"{path} {size} {n}",
            )
            for path in ("/", "/stream")
            for size in (1, 20, 500)
            for n in (1, 2)
        ]
        self.compare(
            Scene(
                http=http,
                plays=plays,
                backends={"bad": always(raw()), "good": always(GOOD)},
            )
        )


class OrderTests(DifferentialTestCase):
    """
    Which server gets which request.
    """

    def test_weights(self) -> None:
        """
        Smooth weighted round robin, each group with its own turn.
        """
        http = """
            upstream equal { server 127.0.0.1:%%b1%%; server 127.0.0.1:%%b2%%; server 127.0.0.1:%%b3%%; }
            upstream weighted { server 127.0.0.1:%%b1%% weight=5; server 127.0.0.1:%%b2%%; server 127.0.0.1:%%b3%% weight=2; }
            upstream twice { server 127.0.0.1:%%b1%%; server 127.0.0.1:%%b1%%; server 127.0.0.1:%%b2%% weight=3; }
            upstream withdead { server 127.0.0.1:%%dead%% weight=10; server 127.0.0.1:%%b1%% weight=2; server 127.0.0.1:%%b2%%; }
            upstream backup { server 127.0.0.1:%%b1%% weight=2; server 127.0.0.1:%%b2%%; server 127.0.0.1:%%b3%% backup; }
            upstream named { server localhost:%%b1%%; server 127.0.0.1:%%b2%%; }
            server {
                listen 127.0.0.1:%%front%%;
                location ~ ^/(?<group>\\w+) { proxy_pass http://$group; }
                location /literal/ { proxy_pass http://weighted; }
            }
        """
        plays = [
            get(f"/{group}/{number}")
            for group in "equal weighted twice withdead backup literal".split()
            for number in range(17)
        ]
        backends = {
            name: always(response(name.encode())) for name in ("b1", "b2", "b3")
        }
        self.compare(Scene(http=http, plays=plays, backends=backends))

    def test_variables(self) -> None:
        """
        $upstream_* over several attempts, in a header and in the log.
        """
        http = """
            log_format up '[$upstream_addr] [$upstream_status] [$upstream_response_length] [$upstream_bytes_sent]'
                ' [$upstream_bytes_received] [$upstream_response_time] [$upstream_connect_time] [$upstream_header_time]'
                ' [$upstream_http_x_one] [$upstream_cookie_a] [$upstream_cache_status] [$proxy_host] [$proxy_port]';
            access_log access.log up;
            upstream group { server 127.0.0.1:%%bad%% max_fails=0; server 127.0.0.1:%%dead%% max_fails=0; server 127.0.0.1:%%good%% max_fails=0; }
            server {
                listen 127.0.0.1:%%front%%;
                add_header X-Up "$upstream_addr|$upstream_status|$upstream_http_x_one" always;
                error_page 418 /other;
                proxy_next_upstream error http_500;
                location / { proxy_pass http://group; }
                location /none { return 200 none; }
                location /page { error_page 404 /second; proxy_intercept_errors on; proxy_pass http://127.0.0.1:%%missing%%; }
                location /second { proxy_pass http://127.0.0.1:%%good%%; }
                location /nothing { proxy_pass http://nobody.invalid$arg_x; }
            }
        """
        good = response(b"good", b"X-One: 1", b"Set-Cookie: a=cookie; Path=/")
        plays = [
            get(path, name=f"{path} {n}")
            for path in ("/", "/none", "/page")
            for n in range(3)
        ]
        backends = {
            "bad": always(status(500)),
            "good": always(good),
            "missing": always(status(404)),
        }
        self.compare(Scene(http=http, plays=plays, backends=backends))
