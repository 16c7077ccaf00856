"""
Tests for L{twisted_upstream.http.variables}.
"""

from __future__ import annotations

from tests.support.conversation import ConversationCase, configuration, get, post, proxy


class RequestVariableTests(ConversationCase):
    """
    What is known of a request.
    """

    def value(self, text: str, request: bytes) -> str:
        """
        What C{text} is for C{request}.
        """
        talk = self.talk(configuration(f'location / {{ return 200 "{text}"; }}'))
        client = talk.client()
        client.sends(request)
        return client.message().body.decode()

    def test_line(self) -> None:
        """
        Method, URI as sent and as understood, arguments, version.
        """
        self.assertEqual(
            self.value(
                "$request_method|$request_uri|$uri|$document_uri|$args|$query_string|"
                "$is_args|$server_protocol|$request|$scheme|$https",
                get("/a%20/../b?x=1&y=2"),
            ),
            "GET|/a%20/../b?x=1&y=2|/b|/b|x=1&y=2|x=1&y=2|?|HTTP/1.1|"
            "GET /a%20/../b?x=1&y=2 HTTP/1.1|http|",
        )

    def test_arguments(self) -> None:
        """
        Single arguments, the first of a name, in any case; nothing where there is none.
        """
        self.assertEqual(
            self.value("$arg_a|$arg_B|$arg_c|$arg_d", get("/?a=1&b=2&A=3&c&d=")),
            "1|2||",
        )

    def test_fields(self) -> None:
        """
        Fields by name, with underscores for dashes; several are joined.
        """
        self.assertEqual(
            self.value(
                "$http_user_agent|$http_x_many|$http_none|$cookie_a|$cookie_none",
                get(
                    "/", "User-Agent: me", "X-Many: 1", "X-Many: 2", "Cookie: b=1; a=2"
                ),
            ),
            "me|1, 2||2|",
        )

    def test_addresses(self) -> None:
        """
        Both ends of the connection.
        """
        self.assertEqual(
            self.value("$remote_addr|$server_addr|$server_port|$server_name", get()),
            "192.0.2.1|127.0.0.1|8080|example.com",
        )

    def test_host(self) -> None:
        """
        The host that was asked for, lower case, without port; else the server's name.
        """
        self.assertEqual(
            self.value("$host|$http_host", get(host="A.b:81")), "a.b|A.b:81"
        )
        self.assertEqual(self.value("$host", b"GET / HTTP/1.0\r\n\r\n"), "example.com")

    def test_user(self) -> None:
        """
        The user of Basic authentication.
        """
        self.assertEqual(
            self.value("$remote_user", get("/", "Authorization: Basic YWRhOnB3")), "ada"
        )
        for wrong in ("Basic !!!", "Basic", "Digest YWRhOnB3", "Basic YWRh"):
            self.assertEqual(
                self.value("$remote_user", get("/", f"Authorization: {wrong}")),
                "",
                wrong,
            )

    def test_forwarded(self) -> None:
        """
        The client's address is added to those of proxies before us.
        """
        text = "$proxy_add_x_forwarded_for"
        self.assertEqual(self.value(text, get()), "192.0.2.1")
        self.assertEqual(
            self.value(text, get("/", "X-Forwarded-For: 10.0.0.1")),
            "10.0.0.1, 192.0.2.1",
        )

    def test_length(self) -> None:
        """
        Content-Length and Content-Type of the request.
        """
        request = post(b"body", "/", "Content-Type: text/x")
        self.assertEqual(
            self.value("$content_length|$content_type", request), "4|text/x"
        )

    def test_body(self) -> None:
        """
        The body, once it was read into memory.
        """
        log = "log_format t '$request_body'; access_log logs/access.log t;"
        talk = self.talk(proxy(access=log))
        client = talk.client()
        client.sends(post(b"some body"))
        talk.server().sends(b"HTTP/1.1 204 No Content\r\n\r\n")
        client.hears(204)
        self.assertEqual(talk.accessLog(), ["some body"])

    def test_requestLengthWithBody(self) -> None:
        """
        $request_length counts head and body.
        """
        log = "log_format t '$request_length'; access_log logs/access.log t;"
        talk = self.talk(proxy(access=log))
        client = talk.client()
        request = post(b"some body")
        client.sends(request)
        talk.server().sends(b"HTTP/1.1 204 No Content\r\n\r\n")
        client.hears(204)
        self.assertEqual(talk.accessLog(), [str(len(request))])

    def test_counts(self) -> None:
        """
        Connections and their requests are numbered.
        """
        talk = self.talk(
            configuration(
                'location / { return 200 "$connection $connection_requests"; }'
            )
        )
        first, second = talk.client(), talk.client()
        heard = []
        for client in (first, first, second):
            client.sends(get())
            heard.append(client.hears(200).body.split())
        self.assertEqual([requests for _, requests in heard], [b"1", b"2", b"1"])
        self.assertEqual(heard[0][0], heard[1][0])
        self.assertNotEqual(heard[0][0], heard[2][0])
