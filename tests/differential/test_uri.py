"""
Which location a request gets, and the URI that a back end sees.
"""

from __future__ import annotations

from tests.differential.backends import always, response
from tests.differential.client import get
from tests.differential.harness import DifferentialTestCase, Scene

BACKENDS = {"b1": always(response(b"ok"))}


class ProxyPassTests(DifferentialTestCase):
    """
    proxy_pass with and without a URI, with and without variables.
    """

    def test_mapping(self) -> None:
        """
        The part of the URI that matched the location is replaced.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                merge_slashes on;
                location /plain/ { proxy_pass http://127.0.0.1:%%b1%%; }
                location /slash/ { proxy_pass http://127.0.0.1:%%b1%%/; }
                location /path/ { proxy_pass http://127.0.0.1:%%b1%%/new/; }
                location /cut/ { proxy_pass http://127.0.0.1:%%b1%%/new; }
                location /noslash { proxy_pass http://127.0.0.1:%%b1%%/new; }
                location /args/ { proxy_pass http://127.0.0.1:%%b1%%/new/?fixed=1; }
                location = /exact { proxy_pass http://127.0.0.1:%%b1%%/other; }
                location /group/ { proxy_pass http://group/; }
                location /upper/ { proxy_pass http://127.0.0.1:%%b1%%/A%20B/; }
                location ~ ^/regex/(.*)$ { proxy_pass http://127.0.0.1:%%b1%%; }
                location ~ ^/captured/(.*)$ { proxy_pass http://127.0.0.1:%%b1%%/c/$1; }
                location ~ ^/named/(?<rest>.*)$ { proxy_pass http://127.0.0.1:%%b1%%/n/$rest$is_args$args; }
                location /variable/ { set $b 127.0.0.1:%%b1%%; proxy_pass http://$b; }
                location /variableuri/ { set $b 127.0.0.1:%%b1%%; proxy_pass http://$b$uri; }
                location /request/ { proxy_pass http://127.0.0.1:%%b1%%$request_uri; }
                location /break/ { rewrite ^/break/(.*)$ /broken/$1 break; proxy_pass http://127.0.0.1:%%b1%%; }
                location /breakuri/ { rewrite ^/breakuri/(.*)$ /broken/$1 break; proxy_pass http://127.0.0.1:%%b1%%/never/; }
                location /args2/ { set $args "a=changed"; proxy_pass http://127.0.0.1:%%b1%%; }
                location /args3/ { set $args "a=changed"; proxy_pass http://127.0.0.1:%%b1%%/x/; }
                location /if/ { if ($arg_a) { proxy_pass http://127.0.0.1:%%b1%%; } proxy_pass http://127.0.0.1:%%b1%%; }
            }
            server {
                listen 127.0.0.1:%%second%%;
                merge_slashes off;
                location / { proxy_pass http://127.0.0.1:%%b1%%; }
                location /slash/ { proxy_pass http://127.0.0.1:%%b1%%/; }
            }
            upstream group { server 127.0.0.1:%%b1%%; }
        """
        prefixes = (
            "plain slash path cut noslash args group upper regex captured named variable"
            " variableuri request break breakuri args2 args3 if"
        ).split()
        tails = [
            "",
            "/",
            "/a",
            "/a/b?x=1&y=2",
            "/?x",
            "/a%20b",
            "/a%2fb",
            "/a%2Fb%25",
            "/%3f%23%26",
            "/a//b",
            "/a/../b",
            "/./a",
            "/a+b",
            "/%c3%a9",
            "/\xe9",
            "/a?b=%20c%2f",
            "/a%0ab",
            "/a;b=c",
            "/a#frag",
            '/"quoted"',
            "/a:b@c",
            "/%41",
            "/a%00b",
        ]
        plays = [get(f"/{prefix}{tail}") for prefix in prefixes for tail in tails]
        plays += [get("/exact"), get("/exact?a=b"), get("/exact/")]
        plays += [
            get(f"{prefix}{tail}", port="second")
            for prefix in ("", "/slash", "/slash/")
            for tail in tails[1:]
        ]
        self.compare(Scene(http=http, plays=plays, backends=BACKENDS))


class LocationTests(DifferentialTestCase):
    """
    Servers and locations.
    """

    def test_locations(self) -> None:
        """
        Exact, prefix, ^~, regular expressions, nested and named locations.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                location / { return 200 "root\\n"; }
                location = / { return 200 "exact root\\n"; }
                location /a { return 200 "prefix a\\n"; }
                location /a/ { return 200 "prefix a/\\n"; }
                location /abc { return 200 "prefix abc\\n"; }
                location = /a/b { return 200 "exact a/b\\n"; }
                location ^~ /static/ { return 200 "no regex\\n"; }
                location ~ \\.txt$ { return 200 "regex txt $uri\\n"; }
                location ~* \\.JPG$ { return 200 "caseless jpg $uri\\n"; }
                location ~ ^/re/(\\d+)/(?<word>\\w+)$ { return 200 "$1 $2 $word [$3]\\n"; }
                location ~ ^/re/ { return 200 "second regex\\n"; }
                location /nest/ {
                    location /nest/in/ {
                        location ~ x { return 200 "nested regex\\n"; }
                        return 200 "nested in\\n";
                    }
                    location ~ y { return 200 "outer nested regex\\n"; }
                    return 200 "nested\\n";
                }
                location "/with space/" { return 200 "space\\n"; }
                location /proxied/ { proxy_pass http://127.0.0.1:%%b1%%; }
                location /dir/ { alias /nonexistent/; }
                location ~ ^/empty$ { }
            }
        """
        targets = (
            "/ /x /a /ab /abc /abcd /a/ /a/b /a/bc /A /static/x.txt /x.txt /x.TXT /p.jpg"
            " /p.JPG /p.jpgx /re/12/ab /re/x /re/12/ab? /nest /nest/ /nest/in/ /nest/in/x"
            " /nest/y /nest/in/y /with%20space/x /with%20space /proxied /proxied?a=b"
            " /proxied/ /dir /dir/ /empty /a%2fb /%61 /a//b /a/./b /static/../x.txt"
        ).split()
        self.compare(
            Scene(
                http=http, plays=[get(target) for target in targets], backends=BACKENDS
            )
        )

    def test_servers(self) -> None:
        """
        Names: exact, with stars, regular expressions, defaults.
        """
        http = """
            server { listen 127.0.0.1:%%front%%; server_name first.example; return 200 "first\\n"; }
            server { listen 127.0.0.1:%%front%% default_server; server_name _; return 200 "default [$server_name] [$host]\\n"; }
            server { listen 127.0.0.1:%%front%%; server_name *.example.com; return 200 "*.example.com\\n"; }
            server { listen 127.0.0.1:%%front%%; server_name *.sub.example.com; return 200 "*.sub.example.com\\n"; }
            server { listen 127.0.0.1:%%front%%; server_name .dotted.org; return 200 ".dotted.org\\n"; }
            server { listen 127.0.0.1:%%front%%; server_name www.example.*; return 200 "www.example.*\\n"; }
            server { listen 127.0.0.1:%%front%%; server_name ~^(?<part>[a-z]+)\\.re\\.net$; return 200 "regex $part $1\\n"; }
            server { listen 127.0.0.1:%%front%%; server_name ~^x; return 200 "second regex\\n"; }
            server { listen 127.0.0.1:%%front%%; server_name ""; return 200 "no name\\n"; }
            server { listen 127.0.0.1:%%front%%; server_name two.example three.example; return 200 "$server_name $host $http_host $server_port\\n"; }
            server { listen 127.0.0.1:%%second%%; return 200 "second port [$server_name]\\n"; }
        """
        hosts = (
            "first.example FIRST.Example first.example:80 first.example. a.example.com"
            " a.b.example.com example.com a.sub.example.com sub.example.com dotted.org"
            " a.dotted.org xdotted.org www.example.net www.example.com www.example"
            " www.example.a.b ab.re.net AB.re.net x.re.net 12.re.net x two.example three.example"
            " unknown 127.0.0.1 [::1]"
        ).split()
        plays = [get("/", f"Host: {host}") for host in hosts]
        plays += [
            get("/", version="1.0"),
            get("/", port="second"),
            get("http://two.example/", "Host: x"),
        ]
        self.compare(Scene(http=http, plays=plays))
