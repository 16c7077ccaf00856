"""
Requests' heads: what is accepted, limited, refused and routed.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    answer,
    configuration,
    get,
    message,
    proxy,
)

ECHO = 'location / { return 200 "$request_method $uri $args $host"; }'


class SizeTests(ConversationCase):
    """
    Limits of heads.
    """

    def test_line(self) -> None:
        """
        A request line that fits no large buffer is refused by 414.
        """
        talk = self.talk(configuration("large_client_header_buffers 2 1k;" + ECHO))
        client = talk.asks(get("/" + "x" * 2000))
        self.assertEqual(client.hears(414)["Connection"], "close")
        client.isEnded()
        talk.isLogged("client sent too long URI")

    def test_lineInPieces(self) -> None:
        """
        It is refused before it ends.
        """
        talk = self.talk(configuration("large_client_header_buffers 2 1k;" + ECHO))
        client = talk.asks(b"GET /")
        for _ in range(30):
            client.sends(b"x" * 100)
        client.hears(414)

    def test_field(self) -> None:
        """
        A field that fits no large buffer is refused by 400.
        """
        talk = self.talk(configuration("large_client_header_buffers 2 1k;" + ECHO))
        client = talk.asks(get("/", "X-A: " + "x" * 2000))
        heard = client.hears(400)
        self.assertIn(b"Request Header Or Cookie Too Large", heard.body)
        client.isEnded()

    def test_fields(self) -> None:
        """
        So are many fields that fit the large buffers no more.
        """
        talk = self.talk(
            configuration(
                "client_header_buffer_size 1k; large_client_header_buffers 2 1k;" + ECHO
            )
        )
        client = talk.asks(get("/", *(f"X-{n}: " + "x" * 500 for n in range(20))))
        client.hears(400)
        client.isEnded()

    def test_fits(self) -> None:
        """
        What fits is accepted.
        """
        talk = self.talk(configuration(ECHO))
        client = talk.asks(get("/" + "x" * 8000))
        client.hears(200)
        client.isOpen()

    def test_count(self) -> None:
        """
        max_headers counts fields.
        """
        talk = self.talk(configuration("max_headers 3;" + ECHO))
        client = talk.asks(get("/", "A: 1", "B: 2"))
        client.hears(200)
        client.sends(get("/", "A: 1", "B: 2", "C: 3"))
        client.hears(400)


class RefusedTests(ConversationCase):
    """
    Requests that are wrong.
    """

    def test_bad(self) -> None:
        """
        They get 400 and the end.
        """
        for request in (
            b"nonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n",
            b"GET /../.. HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        ):
            talk = self.talk(configuration(ECHO))
            client = talk.asks(request)
            self.assertEqual(client.hears(400)["Connection"], "close", request)
            client.isEnded()

    def test_notAllowed(self) -> None:
        """
        TRACE gets 405, CONNECT too, another version 505, another coding 501.
        """
        for status, request in (
            (405, b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (405, b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
            (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
            (501, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"),
        ):
            talk = self.talk(configuration(ECHO))
            client = talk.asks(request)
            self.assertEqual(client.hears(status)["Connection"], "close")

    def test_badAfterGood(self) -> None:
        """
        A wrong request behind a good one is refused after the good one's response.
        """
        talk = self.talk(proxy())
        client = talk.asks(get() + b"nonsense\r\n\r\n" + get())
        talk.server().sends(answer(b"x"))
        client.hears(200, b"x")
        client.hears(400)
        client.isSilent()
        client.isEnded()

    def test_errorPage(self) -> None:
        """
        error_page of the default server answers a request that cannot be read.
        """
        talk = self.talk(
            configuration("error_page 400 /bad; location = /bad { return 200 custom; }")
        )
        client = talk.asks(b"GET / HTTP/1.1\r\n\r\n")
        client.hears(400, b"custom")


class RoutingTests(ConversationCase):
    """
    Which server and location answers.
    """

    NAMES = """
        events {}
        http {
            access_log off;
            server { listen 127.0.0.1:8080; server_name first; return 200 first; }
            server { listen 127.0.0.1:8080; server_name exact.test; return 200 exact; }
            server { listen 127.0.0.1:8080; server_name *.test; return 200 star; }
            server { listen 127.0.0.1:8080; server_name .dot.test; return 200 dot; }
            server { listen 127.0.0.1:8080; server_name www.*; return 200 prefix; }
            server { listen 127.0.0.1:8080; server_name ~^re(?<n>\\d+)$; return 200 regex$n; }
            server { listen 127.0.0.1:8081; server_name exact.test; return 200 other; }
        }
    """

    def test_names(self) -> None:
        """
        Exact names, wildcards in front, wildcards behind, expressions, the first.
        """
        talk = self.talk(self.NAMES)
        client = talk.client()
        for host, expected in (
            ("exact.test", b"exact"),
            ("EXACT.test:8080", b"exact"),
            ("exact.test.", b"exact"),
            ("a.test", b"star"),
            ("a.b.test", b"star"),
            ("test", b"first"),
            ("dot.test", b"dot"),
            ("a.b.dot.test", b"dot"),
            ("www.example.org", b"prefix"),
            ("www.a.test", b"star"),
            ("re42", b"regex42"),
            ("unknown", b"first"),
        ):
            client.sends(get("/", host=host))
            self.assertEqual(client.hears(200).body, expected, host)

    def test_address(self) -> None:
        """
        Each address has its own servers.
        """
        talk = self.talk(self.NAMES)
        client = talk.client(1)
        for host in ("exact.test", "a.test"):
            client.sends(get("/", host=host))
            client.hears(200, b"other")

    def test_locations(self) -> None:
        """
        Exact, longest prefix, expressions in order, ^~, nested.
        """
        talk = self.talk(
            configuration(
                """
                location / { return 200 root; }
                location = / { return 200 exact; }
                location /a { return 200 a; }
                location /a/b { return 200 ab; location /a/b/c { return 200 abc; } }
                location ^~ /still { return 200 still; }
                location ~ \\.php$ { return 200 php; }
                location ~* \\.JPG$ { return 200 jpg; }
                """
            )
        )
        client = talk.client()
        for path, expected in (
            ("/", b"exact"),
            ("/x", b"root"),
            ("/a", b"a"),
            ("/ab", b"a"),
            ("/a/b/x", b"ab"),
            ("/a/b/cd", b"abc"),
            ("/a/x.php", b"php"),
            ("/still/x.php", b"still"),
            ("/x.jpg?y", b"jpg"),
            ("/a/./b/../b/c", b"abc"),
            ("/%61/b", b"ab"),
            ("//a", b"a"),
        ):
            client.sends(get(path))
            self.assertEqual(client.hears(200).body, expected, path)

    def test_slash(self) -> None:
        """
        A location that passes requests on and ends with a slash redirects its name
        without one.
        """
        talk = self.talk(
            configuration("location /app/ { proxy_pass http://10.0.0.1; }")
        )
        client = talk.asks(get("/app?q=1"))
        heard = client.hears(301)
        self.assertEqual(heard["Location"], "http://example.com:8080/app/?q=1")

    def test_absoluteForm(self) -> None:
        """
        A request with a whole URL means its host.
        """
        talk = self.talk(configuration(ECHO))
        client = talk.client()
        client.sends(
            message("GET http://Other.Test:99/p?q HTTP/1.1", ("Host: example.com",))
        )
        client.hears(200, b"GET /p q other.test")

    def test_internal(self) -> None:
        """
        An internal location cannot be asked for.
        """
        talk = self.talk(configuration("location /i { internal; return 200 x; }"))
        client = talk.asks(get("/i"))
        client.hears(404)

    def test_uriReplaced(self) -> None:
        """
        A URI in proxy_pass takes the place of the location's name.
        """
        talk = self.talk(
            configuration("location /app/ { proxy_pass http://10.0.0.1/base/; }")
        )
        talk.asks(get("/app/x%20y?q=1"))
        talk.server().hears("GET /base/x%20y?q=1 HTTP/1.1")

    def test_uriAsSent(self) -> None:
        """
        Without one the request is passed as it was sent.
        """
        talk = self.talk(
            configuration("location /app/ { proxy_pass http://10.0.0.1; }")
        )
        talk.asks(get("/app/../app//x%2Fy?q=%20"))
        talk.server().hears("GET /app/../app//x%2Fy?q=%20 HTTP/1.1")

    def test_proxyProtocol(self) -> None:
        """
        A PROXY header tells the client's address.
        """
        text = configuration(
            "set_real_ip_from 192.0.2.0/24; real_ip_header proxy_protocol;"
            ' location / { return 200 "$remote_addr $proxy_protocol_addr"; }'
        ).replace("listen 127.0.0.1:8080;", "listen 127.0.0.1:8080 proxy_protocol;")
        talk = self.talk(text)
        client = talk.asks(b"PROXY TCP4 198.51.100.7 10.0.0.1 1234 80\r\n" + get())
        client.hears(200, b"198.51.100.7 198.51.100.7")
        broken = talk.client()
        broken.sends(get())
        broken.isClosed()
        broken.isSilent()
