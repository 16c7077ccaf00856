"""
What a location does around its content: return, rewrite, if, set, map, error_page,
try_files, variables.
"""

from __future__ import annotations

from tests.differential.backends import Reply, always, byTarget, response
from tests.differential.client import get, request
from tests.differential.harness import DifferentialTestCase, Scene

OK = response(b"ok\n")


class ReturnTests(DifferentialTestCase):
    """
    return.
    """

    def test_codes(self) -> None:
        """
        Every sort of code with and without a text, to every version and method.
        """
        codes = [
            200,
            201,
            202,
            204,
            206,
            226,
            299,
            300,
            301,
            302,
            303,
            304,
            305,
            307,
            308,
        ]
        codes += [
            400,
            401,
            402,
            403,
            404,
            405,
            406,
            408,
            409,
            410,
            411,
            412,
            413,
            414,
            415,
        ]
        codes += [416, 421, 429, 444, 451, 494, 495, 496, 497, 499]
        codes += [500, 501, 502, 503, 504, 505, 507, 508, 599, 600, 999]
        places = "".join(
            f"location /{code}/ {{ return {code}; }}\n"
            f"location /text{code}/ {{ return {code} 'text $request_method'; }}\n"
            for code in codes
        )
        http = f"""
            server {{
                listen 127.0.0.1:%%front%%;
                {places}
                location /empty {{ return 200 ""; }}
                location /type {{ default_type a/b; return 200 x; }}
                location /notype {{ default_type ""; return 200 x; }}
                location /tokens {{ server_tokens off; return 404; }}
                location /long {{ return 200 "$arg_x$arg_x$arg_x$arg_x"; }}
            }}
            server {{ listen 127.0.0.1:%%early%%; return 200 "early $uri $args $host\\n"; }}
        """
        paths = [f"/{code}/" for code in codes] + [f"/text{code}/" for code in codes]
        plays = [get(path) for path in paths]
        plays += [get(path, version="1.0") for path in paths]
        plays += [request("HEAD", path) for path in paths]
        plays += [
            request("POST", path, body=b"x")
            for path in ("/200/", "/404/", "/text200/", "/413/", "/499/")
        ]
        plays += [
            get(path)
            for path in (
                "/empty",
                "/type",
                "/notype",
                "/tokens",
                "/long?x=" + "y" * 900,
            )
        ]
        plays += [get("/", port="early"), get("/a%20b?c", port="early")]
        self.compare(Scene(http=http, plays=plays))


class RewriteTests(DifferentialTestCase):
    """
    rewrite, if, set, break, map.
    """

    def test_rewrite(self) -> None:
        """
        Flags, arguments, captures, loops.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                rewrite ^/server/(.*)$ /there/$1;
                location /there/ { return 200 "there $uri [$args] [$request_uri]\\n"; }
                location /last/ { rewrite ^/last/(\\d+)$ /there/$1 last; rewrite ^ /there/second; }
                location /none/ { rewrite ^/none/(.*) /none2/$1; rewrite ^/none2/(.*) /there/$1; }
                location /break/ { rewrite ^/break/(.*) /up/$1 break; rewrite ^ /never; proxy_pass http://127.0.0.1:%%b1%%; }
                location /args/ { rewrite ^/args/(.*)$ /there/$1?added=1; }
                location /drop/ { rewrite ^/drop/(.*)$ /there/$1?; }
                location /swap/ { rewrite ^/swap/(?<a>[^/]+)/(?<b>[^/]+)$ /there/$b/$a?a=$a&q=$arg_q?; }
                location /loop { rewrite ^ /loop last; }
                location /chain1 { rewrite ^ /chain2 last; }
                location /chain2 { rewrite ^ /chain3 last; }
                location /chain3 { rewrite ^ /there/ last; }
                location /case { rewrite (?i)^/CASE/(.*)$ /there/$1 last; return 404; }
                location /nomatch { rewrite ^/x /y last; return 200 "nomatch $uri\\n"; }
                location /redirect/ { rewrite ^/redirect/(.*)$ http://$host/$1 last; }
                location /https/ { rewrite ^/https/(.*)$ https://$host/$1; }
                location /decoded/ { rewrite ^/decoded/(.*)$ /up/$1 break; proxy_pass http://127.0.0.1:%%b1%%; }
                location /quoted/ { rewrite "^/quoted/(.{2})$" /there/$1 last; return 404; }
                location /relative/ { rewrite ^/relative/(.*)$ there/$1 last; }
                location /empty/ { rewrite ^/empty/(.*)$ $1 last; }
                location /log/ { rewrite_log on; rewrite ^/log/(.*)$ /there/$1 last; }
                location /setcap/ { rewrite ^/setcap/(.*)$ /x break; set $v "<$1>"; return 200 "$v $uri\\n"; }
                location /double/ { rewrite ^/double/(.*)$ /there//$1/../z last; }
                location /breakonly { set $a 1; break; set $a 2; return 200 "never"; }
            }
        """
        targets = (
            "/server/x?q=1 /server /last/12 /last/ab?q /none/x /break/a%20b?x /args/x /args/x?y=2"
            " /drop/x?y=2 /swap/one/two?q=Q&r=R /loop /chain1?k=v /case/Abc /CASE/x /nomatch /redirect/a%20b?c=d"
            " /https/x /decoded/a%2fb%3fc%25d /decoded/%C3%A9?x=%20 /quoted/ab /quoted/abc /relative/x"
            " /empty/ /empty//x /log/x /setcap/a%20b /double/x /breakonly"
        ).split()
        plays = [get(target) for target in targets]
        plays += [
            request("POST", "/last/12", body=b"x"),
            request("POST", "/break/x", body=b"x"),
        ]
        self.compare(
            Scene(http=http, plays=plays, backends={"b1": always(OK)}, errors="error")
        )

    def test_conditions(self) -> None:
        """
        if with every operator, its inheritance, and what it does to set and proxy_pass.
        """
        http = """
            root %%prefix%%/html;
            server {
                listen 127.0.0.1:%%front%%;
                set $outer server;
                if ($arg_serverif) { return 200 "server if\\n"; }
                if ($request_method = DELETE) { return 405; }
                location /truth { if ($arg_v) { return 200 "true\\n"; } return 200 "false\\n"; }
                location /equal { if ($arg_v = yes) { return 200 "equal\\n"; } if ($arg_v != no) { return 200 "not no\\n"; } return 200 "no\\n"; }
                location /quoted { if ($arg_v = "a b") { return 200 "equal\\n"; } return 200 "not [$arg_v]\\n"; }
                location /regex {
                    if ($arg_v ~ ^(a+)(?<tail>b*)$) { return 200 "match [$1] [$tail]\\n"; }
                    if ($arg_v ~* ^X) { return 200 "caseless\\n"; }
                    if ($arg_v !~ y) { return 200 "no y\\n"; }
                    if ($arg_v !~* Z) { return 200 "no z\\n"; }
                    return 200 "both\\n";
                }
                location /file {
                    if (-f $document_root/$arg_v) { return 200 "file\\n"; }
                    if (-d $document_root/$arg_v) { return 200 "directory\\n"; }
                    if (!-e $document_root/$arg_v) { return 200 "nothing\\n"; }
                    return 200 "other\\n";
                }
                location /exec { if (-x $document_root/$arg_v) { return 200 "x\\n"; } return 200 "not x\\n"; }
                location /proxy {
                    set $inner one;
                    if ($arg_v = a) { set $inner two; }
                    if ($arg_v = b) { proxy_pass http://127.0.0.1:%%b2%%; }
                    add_header X-Outer $outer;
                    if ($arg_v = c) { add_header X-If yes; }
                    proxy_set_header X-Inner $inner;
                    proxy_pass http://127.0.0.1:%%b1%%;
                }
                location /several { set $s ""; if ($arg_a) { set $s "${s}A"; } if ($arg_b) { set $s "${s}B"; } return 200 "[$s]\\n"; }
                location /inif { if ($arg_a) { rewrite ^ /truth?v=1 last; } return 200 "not rewritten\\n"; }
                location /breakif { if ($arg_a) { break; } return 200 "no break\\n"; }
                location /cookie { if ($http_cookie ~* "id=([^;]+)(?:;|$)") { set $id $1; } return 200 "[$id]\\n"; }
                location /unset { return 200 "[$never]\\n"; set $never x; }
                location /self { set $self "$self+"; return 200 "[$self]\\n"; }
            }
        """
        targets = (
            "/truth /truth?v= /truth?v=0 /truth?v=00 /truth?v=1 /truth?v=false /truth?serverif=1"
            " /equal?v=yes /equal?v=no /equal?v=YES /equal /quoted?v=a%20b /regex?v=aab /regex?v=xa"
            " /regex?v=Xz /regex?v=q /regex?v=y /regex?v=yz /file?v=f.txt /file?v=d /file?v=none"
            " /file?v= /exec?v=f.txt /exec?v=d /proxy /proxy?v=a /proxy?v=b /proxy?v=c /several"
            " /several?a=1 /several?a=1&b=1 /inif /inif?a=1 /breakif /breakif?a=1 /unset /self"
        ).split()
        plays = [get(target) for target in targets]
        plays += [
            request("DELETE", "/truth"),
            get("/cookie", "Cookie: x=1; ID=abc; y=2"),
            get("/cookie", "Cookie: x=1"),
        ]
        self.compare(
            Scene(
                http=http,
                plays=plays,
                backends={"b1": always(OK), "b2": always(response(b"two\n"))},
                files={"html/f.txt": b"file\n", "html/d/": b""},
            )
        )

    def test_map(self) -> None:
        """
        map: texts, stars, regular expressions, defaults, variables in values.
        """
        http = """
            map $arg_v $plain { default other; a A; "b c" BC; \\default escaped; ~^r(?<rest>.*)$ "regex $rest"; ~*^Q "caseless"; x $arg_x; "" empty; }
            map $host $byhost { hostnames; default none; .example.com dot; www.example.org exact; *.example.org star; mail.* tail; }
            map $plain $second { A "second of A"; default "second of $plain"; }
            map "$arg_a:$arg_b" $pair { 1:2 both; ~:2$ tail; }
            map $arg_v $nodefault { a A; }
            map $arg_v $upstream { default one; b two; }
            upstream one { server 127.0.0.1:%%b1%%; }
            upstream two { server 127.0.0.1:%%b2%%; }
            server {
                listen 127.0.0.1:%%front%%;
                location / { return 200 "[$plain] [$byhost] [$second] [$pair] [$nodefault]\\n"; }
                location /up { proxy_pass http://$upstream; }
            }
        """
        values = [
            "",
            "a",
            "A",
            "b%20c",
            "b c",
            "default",
            "rxyz",
            "R",
            "q1",
            "Q",
            "x",
            "zz",
        ]
        plays = [
            get(f"/?v={value.replace(' ', '%20')}&x=X&a=1&b=2") for value in values
        ]
        hosts = "example.com a.example.com www.example.org WWW.Example.ORG x.example.org example.org mail.com mail.x.y other".split()
        plays += [get("/?b=2", f"Host: {host}") for host in hosts]
        plays += [get("/up?v=a"), get("/up?v=b"), get("/")]
        self.compare(
            Scene(
                http=http,
                plays=plays,
                backends={"b1": always(OK), "b2": always(response(b"two\n"))},
            )
        )


class ErrorPageTests(DifferentialTestCase):
    """
    error_page, with our own errors and those of back ends.
    """

    def test_pages(self) -> None:
        """
        Internal, named, external pages; changed codes; methods; recursion.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                error_page 404 /page404;
                location = /page404 { return 200 "page $status $uri [$request_uri] $request_method\\n"; }
                location /404 { return 404; }
                location /named { error_page 404 @named; return 404; }
                location @named { return 200 "named $uri $request_method\\n"; }
                location /proxied { error_page 404 502 504 = @proxied; proxy_pass http://127.0.0.1:%%dead%%; }
                location @proxied { proxy_pass http://127.0.0.1:%%b1%%; }
                location /changed { error_page 404 =200 /page; return 404; }
                location /taken { error_page 404 = /page; return 404; }
                location /gone { error_page 404 =410 /page; return 404; }
                location = /page { internal; return 200 "internal page\\n"; }
                location /direct { internal; return 200 never; }
                location /external { error_page 404 http://other/x; return 404; }
                location /external301 { error_page 404 =301 http://other/x?$args; return 404; }
                location /variable { error_page 404 /page404?from=$uri; return 404; }
                location /variableall { error_page 403 404 /v/$status$uri; return 403; }
                location /v/ { return 200 "v $uri $args\\n"; }
                location /many { error_page 400 401 402 403 404 /page; return 402; }
                location /recursive { error_page 404 /404two; return 404; }
                location /404two { error_page 404 /page; return 404; }
                location /recursiveon { recursive_error_pages on; error_page 404 /404three; return 404; }
                location /404three { recursive_error_pages on; error_page 404 /page; return 404; }
                location /cycle { recursive_error_pages on; error_page 404 /cycle; return 404; }
                location /missingpage { error_page 404 /nothere; return 404; }
                location /intercept { proxy_intercept_errors on; proxy_pass http://127.0.0.1:%%b1%%/status/; }
                location /interceptoff { proxy_pass http://127.0.0.1:%%b1%%/status/; }
                location /intercept5 { proxy_intercept_errors on; error_page 500 502 503 = @named; error_page 301 302 /page; proxy_pass http://127.0.0.1:%%b1%%/status/; }
                location /auth { proxy_intercept_errors on; error_page 401 /page; proxy_pass http://127.0.0.1:%%b1%%/status/; }
                location /redirected { error_page 302 /page; return 302 /x; }
                location /off { error_page 404 /page; location /off/in { return 404; } location /off/own { error_page 500 /x; return 404; } }
                location /body { error_page 413 /page; client_max_body_size 1; proxy_pass http://127.0.0.1:%%b1%%; }
                location /400 { error_page 400 /page; return 200 ok; }
            }
            server {
                listen 127.0.0.1:%%second%%;
                error_page 400 414 494 495 =200 /early;
                error_page 405 @post;
                location /early { return 200 "early $status\\n"; }
                location @post { return 200 "post\\n"; }
            }
        """
        statuses = [200, 301, 302, 400, 401, 403, 404, 500, 502, 503]
        replies: dict[str, Reply] = {"": OK}
        for status in statuses:
            replies[f"/status/{status}"] = response(
                b"from back end",
                b"Location: http://b/",
                b"WWW-Authenticate: Basic",
                b"X-B: 1",
                status=b"%d X" % status,
            )
        plain = (
            "/404 /none /named /proxied /changed /taken /gone /page /direct /external /external301?a=b"
            " /variable/x /variableall/y /many /recursive /recursiveon /cycle /missingpage /redirected"
            " /off /off/in /off/own /400"
        ).split()
        plays = [request(method, path) for path in plain for method in ("GET", "HEAD")]
        plays += [
            request("POST", path, body=b"data")
            for path in ("/404", "/named", "/proxied", "/changed", "/body")
        ]
        plays += [
            get(f"/{place}/{status}".replace("//", "/"))
            for place in ("intercept", "interceptoff", "intercept5", "auth")
            for status in statuses
        ]
        plays += [
            get("/%zz", port="second"),
            request("POST", "/early.html", body=b"x", port="second"),
            get("/x" * 20000, port="second", name="long"),
        ]
        self.compare(Scene(http=http, plays=plays, backends={"b1": byTarget(replies)}))

    def test_accelRedirect(self) -> None:
        """
        X-Accel-Redirect: to files, named locations, other back ends, in circles.
        """
        http = """
            server {
                listen 127.0.0.1:%%front%%;
                root %%prefix%%/html;
                location /up/ { proxy_pass http://127.0.0.1:%%b1%%/; }
                location /files/ { internal; }
                location /second/ { internal; proxy_pass http://127.0.0.1:%%b1%%/second/; }
                location @named { return 200 "named $uri $args $request_method\\n"; }
                location /public { return 200 "public $uri [$args]\\n"; }
                location /ignored/ { proxy_ignore_headers X-Accel-Redirect; proxy_pass http://127.0.0.1:%%b1%%/; }
            }
        """
        targets = {
            "/file": b"/files/f.txt",
            "/missing": b"/files/none",
            "/named": b"@named",
            "/nonamed": b"@nothing",
            "/public": b"/public?x=1",
            "/encoded": b"/public/a%20b%3fc?y",
            "/second": b"/second/x",
            "/circle": b"/up/circle",
            "/relative": b"public",
            "/absolute": b"http://other/x",
            "/unsafe": b"/../x",
            "/empty": b"",
        }
        replies = {
            path: response(
                b"never",
                b"X-Accel-Redirect: " + to,
                b"X-Keep: 1",
                b"Set-Cookie: a=b",
                b"Content-Type: x/y",
                b"Cache-Control: no",
                b"Location: /l",
                b"ETag: e",
            )
            for path, to in targets.items()
        }
        replies["/second/x"] = response(b"second", b"X-Second: 1")
        plays = [
            request(method, f"/up{path}")
            for path in targets
            for method in ("GET", "HEAD")
        ]
        plays += [request("POST", f"/up{path}", body=b"data") for path in targets]
        plays += [get("/files/f.txt"), get("/ignored/file")]
        self.compare(
            Scene(
                http=http,
                plays=plays,
                backends={"b1": byTarget(replies)},
                files={"html/files/f.txt": b"a file\n"},
            )
        )


class VariableTests(DifferentialTestCase):
    """
    The variables that proxying uses.
    """

    def test_values(self) -> None:
        """
        Each variable with requests that change it; unknown prefixes are empty.
        """
        names = (
            "arg_a arg_A arg_none args query_string is_args uri document_uri request_uri request_method request"
            " host http_host server_name server_port server_addr server_protocol scheme https remote_addr"
            " remote_user content_length content_type http_x_one http_x_none http_cookie cookie_a cookie_b cookie_none"
            " http_user_agent http_referer http_via http_x_forwarded_for proxy_add_x_forwarded_for proxy_host proxy_port"
            " document_root realpath_root request_filename limit_rate connection_requests"
            " request_length request_body http_connection pipe request_completion bytes_sent body_bytes_sent status"
            " sent_http_content_type sent_http_x_none upstream_addr upstream_status"
        ).split()
        shown = " ".join(f"{name}=[${{{name}}}]" for name in names)
        http = f"""
            server {{
                listen 127.0.0.1:%%front%%;
                server_name example.com other;
                root %%prefix%%/html;
                location / {{ return 200 "{shown}\\n"; }}
                location /up/ {{ proxy_set_header X-All "{shown}"; proxy_pass http://127.0.0.1:%%b1%%; }}
            }}
        """
        fields = [
            "X-One: 1",
            "X-One: 2",
            "Cookie: a=1; b=2",
            "Cookie: c=3",
            "User-Agent: ua",
            "Referer: ref",
            "X-Forwarded-For: 1.1.1.1",
            "X-Forwarded-For: 2.2.2.2",
            "Authorization: Basic dXNlcjpwYXNz",
            "Via: via",
        ]
        plays = [
            get(f"{place}{tail}", *some)
            for place in ("/", "/up/")
            for tail in (
                "",
                "?a=1&A=2",
                "a%20b?a=%20&a=2",
                "x?=&a",
                "?",
                "?b=1&aa=2&a=3",
                "x?a=1?a=2",
            )
            for some in ([], fields)
        ]
        plays += [
            request("POST", place, "Content-Type: t/t", body=b"body")
            for place in ("/", "/up/")
        ]
        plays += [get("/", version="1.0"), get("http://OTHER:77/x?y", "Host: ignored")]
        self.compare(
            Scene(
                http=http,
                plays=plays,
                backends={"b1": always(OK)},
                files={"html/": b""},
            )
        )


class LogTests(DifferentialTestCase):
    """
    access_log and log_format.
    """

    def test_formats(self) -> None:
        """
        combined, escapes, conditions, several logs, absent values.
        """
        http = """
            log_format default '[$http_x] [$arg_none] [$request] [$remote_user] [$http_referer]';
            log_format json escape=json '{"x": "$http_x", "none": "$arg_none", "r": "$request"}';
            log_format none escape=none '[$http_x] [$arg_none] [$request]';
            log_format times '$status $request_time $msec $time_iso8601 $pipe $connection_requests $bytes_sent $request_length $request_completion';
            map $status $loggable { ~^2 0; default 1; }
            server {
                listen 127.0.0.1:%%front%%;
                location / { access_log access.log combined; return 200 ok; }
                location /default { access_log access.log default; return 200 ok; }
                location /json { access_log access.log json; return 200 ok; }
                location /none { access_log access.log none; return 200 ok; }
                location /off { access_log off; return 200 ok; }
                location /two { access_log access.log none; access_log access.log json; return 200 ok; }
                location /if { access_log access.log none if=$loggable; return 200 ok; }
                location /if4 { access_log access.log none if=$loggable; return 404; }
                location /buffer { access_log access.log none buffer=4k flush=100ms; return 200 ok; }
                location /other { access_log other.log; return 200 ok; }
                location /up { access_log access.log combined; proxy_pass http://127.0.0.1:%%dead%%; }
                location /444 { access_log access.log combined; return 444; }
            }
        """
        values = [
            "plain",
            'quote " and \\ back',
            "tab\tand",
            "\xe9\xff high",
            "",
            "{json}",
            "\x7f",
        ]
        paths = (
            "/ /default /json /none /off /two /if /if4 /buffer /other /up /444".split()
        )
        plays = [
            get(path, f"X: {value}", "User-Agent: agent " + value, "Referer: r")
            for path in paths
            for value in values
        ]
        plays += [
            get("/a%20b?c=d"),
            get('/"quoted"'),
            get("/\xe9"),
            get("/", "Authorization: Basic dXNlcjpwYXNz"),
        ]
        plays += [
            get("/", "Authorization: Basic broken"),
            get("/", version="1.0"),
            request("HEAD", "/"),
        ]
        self.compare(Scene(http=http, plays=plays))

    def test_badRequests(self) -> None:
        """
        What is logged of requests that were never understood.
        """
        http = """
            server { listen 127.0.0.1:%%front%%; access_log access.log combined; location / { return 200 ok; } }
        """
        plays = [
            get("/%zz"),
            get("/", "Host: a b"),
            request("b\x01d", "/"),
            get("/" + "x" * 40000, name="long line"),
            get("/", "X: " + "x" * 40000, name="long field"),
            get("/", "Content-Length: x"),
            get("/\x00"),
        ]
        self.compare(Scene(http=http, plays=plays, errors="info"))
