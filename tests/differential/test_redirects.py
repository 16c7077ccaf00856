"""
proxy_redirect, proxy_cookie_*, and redirects that we make ourselves.
"""

from __future__ import annotations

from tests.differential.backends import Answerer, Reply, response
from tests.differential.client import get
from tests.differential.harness import DifferentialTestCase, Scene


def echoing(field: bytes) -> Answerer:
    """
    A back end that answers with C{field} set to the request's C{X-Value}, or to each
    part of it between bars.
    """

    def answer(head: bytes, count: int) -> Reply:
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"x-value: "):
                values = line[9:].split(b"|")
                return response(
                    b"moved", *[field + b": " + v for v in values], status=b"302 Found"
                )
        return response(b"nothing")

    return answer


class RedirectTests(DifferentialTestCase):
    """
    Location and Refresh of a back end.
    """

    def test_locationAndRefresh(self) -> None:
        """
        The default, off, texts, variables, regular expressions, the first that fits.
        """
        http = """
            upstream group { server 127.0.0.1:%%b1%%; }
            server {
                listen 127.0.0.1:%%front%%;
                server_name example.com;
                location /default/ { proxy_pass http://group/inner/; }
                location /plain/ { proxy_pass http://group; }
                location /off/ { proxy_redirect off; proxy_pass http://group/inner/; }
                location /text/ { proxy_redirect http://group/inner/ /outer/; proxy_redirect http://other/ http://front/o/; proxy_pass http://group/inner/; }
                location /both/ { proxy_pass http://group/inner/; proxy_redirect default; proxy_redirect /rel/ /changed/; }
                location /host/ { proxy_redirect http://group/ http://$host:$server_port/; proxy_redirect http://$arg_from/ /from/; proxy_pass http://group; }
                location /regex/ { proxy_redirect ~^(http://[^:]+):\\d+(/.+)$ $1$2; proxy_redirect ~*/USER/([^/]+)/(.+)$ http://$1.example.com/$2; proxy_pass http://group; }
                location /empty/ { proxy_redirect http://group/ /; proxy_redirect "" /prefixed; proxy_pass http://group; }
                location /exactly/ { proxy_redirect http://group /; proxy_pass http://group; }
            }
            server {
                listen 127.0.0.1:%%refresh%%;
                location /default/ { proxy_pass http://refresh/inner/; }
                location /off/ { proxy_redirect off; proxy_pass http://refresh/inner/; }
                location /regex/ { proxy_redirect ~^http://refresh(.*)$ /r$1; proxy_pass http://refresh; }
            }
            upstream refresh { server 127.0.0.1:%%b2%%; }
        """
        values = [
            "http://group/inner/",
            "http://group/inner/x?y=1",
            "http://group/inner",
            "http://group/other/",
            "http://GROUP/inner/x",
            "https://group/inner/x",
            "http://other/x",
            "/inner/x",
            "/rel/x",
            "rel/x",
            "http://a:8080/x",
            "http://a/user/bob/page",
            "http://a/USER/bob/page",
            "",
            "//group/inner/",
            "http://group",
            "http://from/x",
        ]
        places = "default plain off text both host regex empty exactly".split()
        plays = [
            get(f"/{place}/?from=from", f"X-Value: {value}")
            for place in places
            for value in values
        ]
        refreshed = [
            "5; url=http://refresh/inner/x",
            "0;URL=http://refresh/inner/x",
            "5",
            "5; http://refresh/inner/x",
            "5; url=http://other/",
            '5; url="http://refresh/inner/x"',
        ]
        plays += [
            get(f"/{place}/", f"X-Value: {value}", port="refresh")
            for place in ("default", "off", "regex")
            for value in refreshed
        ]
        backends = {"b1": echoing(b"Location"), "b2": echoing(b"Refresh")}
        self.compare(Scene(http=http, plays=plays, backends=backends))

    def test_cookies(self) -> None:
        """
        proxy_cookie_domain, proxy_cookie_path and proxy_cookie_flags.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                server_name example.com;
                location /none/ { proxy_pass http://127.0.0.1:%%b1%%; }
                location /domain/ { proxy_cookie_domain a.org b.org; proxy_cookie_domain ~\\.(\\w+)\\.net$ $1.com; proxy_cookie_domain $arg_d v.org; proxy_pass http://127.0.0.1:%%b1%%; }
                location /path/ { proxy_cookie_path /two/ /; proxy_cookie_path ~*^/user/(.+) /u/$1; proxy_cookie_path / /root/; proxy_pass http://127.0.0.1:%%b1%%; }
                location /flags/ { proxy_cookie_flags one httponly samesite=strict; proxy_cookie_flags ~^t nosecure nohttponly nosamesite; proxy_cookie_flags ~ secure samesite=lax; proxy_pass http://127.0.0.1:%%b1%%; }
                location /all/ { proxy_cookie_domain a.org b.org; proxy_cookie_path / /x/; proxy_cookie_flags ~ secure; proxy_pass http://127.0.0.1:%%b1%%; }
                location /off/ { proxy_cookie_domain off; proxy_cookie_path off; proxy_cookie_flags off; proxy_pass http://127.0.0.1:%%b1%%; }
            }
        """
        values = [
            "one=1",
            "one=1; Domain=a.org; Path=/two/x; Secure",
            "two=2; domain=.A.ORG; path=/user/Bob",
            "three=3;Path=/;Domain=x.host.net;HttpOnly",
            "four=4; Path=/two; Domain=v.org",
            "tee=5; Secure; HttpOnly; SameSite=None",
            "six=6; Path=; Domain=",
            "seven",
            "=8; Path=/",
            "a=1; Domain=a.org|b=2; Path=/two/|c=3",
            'quoted="a; b"; Path=/two/',
            "one=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Path=/two/a",
        ]
        plays = [
            get(f"/{place}/?d=v.org", f"X-Value: {value}")
            for place in "none domain path flags all off".split()
            for value in values
        ]
        self.compare(
            Scene(http=http, plays=plays, backends={"b1": echoing(b"Set-Cookie")})
        )


class OwnRedirectTests(DifferentialTestCase):
    """
    Redirects by return, rewrite and missing slashes.
    """

    def test_absolute(self) -> None:
        """
        absolute_redirect, server_name_in_redirect, port_in_redirect.
        """
        places = """
            location /return { return 301 /x; }
            location /relative { return 302 x; }
            location /full { return 302 http://other/x; }
            location /rewrite { rewrite ^ /moved permanent; }
            location /temp { rewrite ^ /moved?b=2 redirect; }
            location /noargs { rewrite ^ /moved? redirect; }
            location /url { return http://other/y; }
            location /slash/ { proxy_pass http://127.0.0.1:%%b1%%; }
            location /vars { return 307 $scheme://$host$request_uri; }
            location /encoded { rewrite ^/encoded/(.*)$ /e/$1 redirect; }
        """
        http = f"""
            server {{ listen 127.0.0.1:%%front%%; server_name example.com; {places} }}
            server {{ listen 127.0.0.1:%%relative%%; absolute_redirect off; {places} }}
            server {{ listen 127.0.0.1:%%named%%; server_name real.example; server_name_in_redirect on; {places} }}
            server {{ listen 127.0.0.1:%%portless%%; port_in_redirect off; {places} }}
        """
        targets = (
            "/return /relative /full /rewrite?a=1 /temp?a=1 /noargs?a=1 /url /slash"
            " /slash?a=1 /vars?q=1 /encoded/a%20b%3fc"
        ).split()
        plays = [
            get(target, *fields, version=version, port=port)
            for port in ("front", "relative", "named", "portless")
            for target in targets
            for version, fields in (
                ("1.1", []),
                ("1.0", []),
                ("1.1", ["Host: H.example:81"]),
            )
        ]
        self.compare(Scene(http=http, plays=plays))
