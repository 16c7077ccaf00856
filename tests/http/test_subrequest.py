"""
Tests for L{twisted_upstream.http.subrequest}.
"""

from __future__ import annotations

from typing import Any

from tests.support.conversation import (
    ConversationCase,
    answer,
    configuration,
    get,
    upstream,
)
from twisted_upstream.upstream.passing import Passing


def pages(page: str, server: str, access: str = "access_log off;") -> str:
    """
    A configuration whose C{/page} answers with C{page}, and passes C{/p} to a server.
    """
    return configuration(
        f"""
        location /page {{ ssi on; default_type text/html; return 200 '{page}'; }}
        location /p {{ proxy_pass http://u; }}
        {server}
        """,
        upstream("10.0.0.1:80"),
        access,
    )


class SubrequestTests(ConversationCase):
    """
    Requests within requests, as SSI makes them.
    """

    def test_raises(self) -> None:
        """
        What raises within one ends the page, whose client would wait for ever.
        """

        def broken(passing: object, client: object) -> None:
            raise ZeroDivisionError

        self.patch(Passing, "handle", broken)
        talk = self.talk(pages('<!--#include virtual="/p" -->', ""))
        client = talk.client()
        client.sends(get("/page"))
        client.isClosed()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_balancerRaises(self) -> None:
        """
        A balancer that raises makes it an error, which the page shows.
        """

        def broken(client: object) -> Any:
            raise ZeroDivisionError

        talk = self.talk(pages('[<!--#include virtual="/p" -->]', ""))
        for group in talk.http.groups:
            group.initPeer = broken
        client = talk.client()
        client.sends(get("/page"))
        body = client.hears(200).body
        self.assertTrue(body.startswith(b"[<html>") and body.endswith(b"]"), body)
        self.assertIn(b"500 Internal Server Error", body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_way(self) -> None:
        """
        They go the way of any request: rewrite, internal locations, error pages,
        redirects within; but who may come was decided before.
        """
        page = "".join(
            f'<!--#include virtual="{path}" -->,'
            for path in ("/old", "/internal", "/missing", "/denied", "/named")
        )
        server = """
            rewrite ^/old$ /new;
            location /new { return 200 new; }
            location /internal { internal; return 200 internal; }
            location /missing { error_page 404 /error; return 404; }
            location /error { return 200 error; }
            location /denied { deny all; proxy_pass http://u/p; }
            location /named { error_page 404 = @named; return 404; }
            location @named { return 200 $uri; }
        """
        talk = self.talk(pages(page, server))
        client = talk.client()
        client.sends(get("/page"))
        server_ = talk.server()
        self.assertEqual(server_.message().first, "GET /p HTTP/1.1")
        server_.sends(answer(b"denied"))
        talk.passes(0.1)
        client.hears(200, b"new,internal,error,denied,/named,")
        talk.isQuiet()

    def test_accel(self) -> None:
        """
        A server's X-Accel-Redirect is followed within the part.
        """
        server = "location /internal { internal; return 200 internal; }"
        talk = self.talk(pages('[<!--#include virtual="/p" -->]', server))
        client = talk.client()
        client.sends(get("/page"))
        peer = talk.server()
        peer.raw()
        peer.sends(answer(b"", "X-Accel-Redirect: /internal"))
        talk.passes(0.1)
        client.hears(200, b"[internal]")
        talk.isQuiet()

    def test_closes(self) -> None:
        """
        C{return 444} closes the connection of the whole.
        """
        server = "location /close { return 444; }"
        talk = self.talk(pages('[<!--#include virtual="/close" -->]', server))
        client = talk.client()
        client.sends(get("/page"))
        talk.passes(0.1)
        client.isClosed()
        talk.isQuiet()

    def test_method(self) -> None:
        """
        They are GETs, with the body of the whole only where that was kept, and without
        the fields that make a response conditional.
        """
        talk = self.talk(pages('[<!--#include virtual="/p" -->]', ""))
        client = talk.client()
        client.sends(
            get("/page", "Content-Length: 3", "X-A: b").replace(b"GET", b"POST")
            + b"abc"
        )
        peer = talk.server()
        heard = peer.hears("GET /p HTTP/1.1")
        self.assertEqual(heard["X-A"], "b")
        self.assertIsNone(heard["Content-Length"])
        peer.sends(answer(b"x"))
        client.hears(200, b"[x]")
        talk.isQuiet()

    def test_logged(self) -> None:
        """
        The error log names them; the access log does not.
        """
        page = '[<!--#include virtual="/none" -->]'
        talk = self.talk(pages(page, "root /none;", access=""))
        client = talk.client()
        client.sends(get("/page"))
        talk.passes(0.1)
        client.hears(200)
        talk.isLogged('subrequest: "/none"')
        self.assertEqual(len(talk.accessLog()), 1)
