"""
Tests for L{twisted_upstream.upstream.variables}.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    answer,
    configuration,
    get,
    proxy,
)


class FieldVariableTests(ConversationCase):
    """
    C{$upstream_http_*}, C{$upstream_cookie_*}, C{$upstream_trailer_*}.
    """

    def test_fields(self) -> None:
        """
        Fields and cookies of the response, several joined by commas.
        """
        talk = self.talk(
            proxy(
                'add_header X-Seen "$upstream_http_x_many|$upstream_cookie_name|'
                '$upstream_http_none|$upstream_http_server";'
            )
        )
        client = talk.client()
        client.sends(get())
        talk.server().sends(
            answer(
                b"",
                "X-Many: 1",
                "X-Many: 2",
                "Set-Cookie: other=x",
                "Set-Cookie: name=value; path=/",
                "Server: mine",
            )
        )
        self.assertEqual(client.hears(200)["X-Seen"], "1, 2|value||mine")

    def test_withoutServer(self) -> None:
        """
        Where no server was asked they are empty.
        """
        talk = self.talk(
            configuration(
                'return 200 "[$upstream_addr$upstream_status$upstream_http_a'
                '$upstream_cookie_b$upstream_response_time]";'
            )
        )
        client = talk.client()
        client.sends(get())
        client.hears(200, b"[]")

    def test_trailers(self) -> None:
        """
        Trailers are known after the body.
        """
        log = "log_format t '$upstream_trailer_x_sum'; access_log logs/access.log t;"
        talk = self.talk(proxy("proxy_pass_trailers on;", access=log))
        client = talk.client()
        client.sends(get())
        talk.server().sends(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\nx\r\n0\r\nX-Sum: 42\r\n\r\n"
        )
        client.hears(200, b"x")
        self.assertEqual(talk.accessLog(), ["42"])
