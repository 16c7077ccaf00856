"""
Tests for L{twisted_upstream.http.phases.ssi} and L{twisted_upstream.http.subrequest}.
"""

from __future__ import annotations

import gzip
import os

from tests.support.conversation import (
    ConversationCase,
    Server,
    Talk,
    answer,
    configuration,
    get,
    upstream,
)

HTML = "Content-Type: text/html"


def pages(page: str, more: str = "", server: str = "") -> str:
    """
    A configuration whose C{/} answers with C{page}, and passes C{/p} to a server.
    """
    return configuration(
        f"""
        location / {{ ssi on; default_type text/html; return 200 '{page}'; {more} }}
        location /p {{ proxy_pass http://u; }}
        location /q {{ ssi on; proxy_pass http://u; {more} }}
        location /text {{ default_type text/html; return 200 "text"; }}
        {server}
        """,
        upstream("10.0.0.1:80"),
    )


class SSITests(ConversationCase):
    """
    Pages with commands.
    """

    def ask(self, talk: Talk, *paths: str) -> dict[str, Server]:
        """
        Servers by what they were asked for, whatever the order.
        """
        found = {}
        for _ in paths:
            server = talk.server()
            found[server.message().first.split(" ")[1]] = server
        self.assertEqual(set(found), set(paths))
        return found

    def test_order(self) -> None:
        """
        Included pages are asked for at the same time, and come out in order.
        """
        page = '1<!--#include virtual="/p1" -->2<!--#include virtual="/p2" -->3'
        talk = self.talk(pages(page))
        client = talk.client()
        client.sends(get())
        servers = self.ask(talk, "/p1", "/p2")
        servers["/p2"].sends(answer(b"second"))
        self.assertEqual(client.message().body, b"1")
        servers["/p1"].sends(answer(b"first"))
        client.sends(get("/text"))
        self.assertTrue(talk.http.clients)
        self.assertIn(b"text", client.raw())
        talk.isQuiet()

    def test_whole(self) -> None:
        """
        The response has no length, no ranges and no Last-Modified.
        """
        talk = self.talk(pages("-"))
        client = talk.client()
        client.sends(get("/q", "Range: bytes=0-1"))
        server = talk.server()
        server.raw()
        server.sends(
            answer(
                b'a<!--#include virtual="/text" -->b',
                HTML,
                'ETag: "x"',
                "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT",
                "Accept-Ranges: bytes",
            )
        )
        heard = client.hears(200, b"atextb")
        for name in ("ETag", "Last-Modified", "Accept-Ranges", "Content-Length"):
            self.assertIsNone(heard[name])
        talk.isQuiet()

    def test_wait(self) -> None:
        """
        With C{wait}, what follows is not looked at before.
        """
        page = '<!--#include virtual="/p1" wait="yes" --><!--#include virtual="/p2" -->'
        talk = self.talk(pages(page))
        client = talk.client()
        client.sends(get())
        first = talk.server()
        self.assertEqual(first.message().first, "GET /p1 HTTP/1.1")
        talk.noServer()
        first.sends(answer(b"first"))
        self.assertEqual(first.message().first, "GET /p2 HTTP/1.1")
        first.sends(answer(b"second"))
        client.hears(200, b"firstsecond")
        talk.isQuiet()

    def test_splits(self) -> None:
        """
        A page of a server is the same however it comes.
        """
        page = (
            b'a<!--#set var="x" value="y" -->b<!--#echo var="x" -->c'
            b'<!--#include virtual="/text" -->d<!--#nothing --><'
        )
        expected = b"abyctextd[an error occurred while processing the directive]<"
        for at in range(0, len(page) + 1, 3):
            talk = self.talk(pages("-"))
            client = talk.client()
            client.sends(get("/q"))
            server = talk.server()
            server.raw()
            whole = answer(page, HTML)
            cut = len(whole) - len(page) + at
            server.sends(whole[:cut])
            server.sends(whole[cut:])
            client.hears(200, expected)
            talk.isQuiet()

    def test_large(self) -> None:
        """
        However large included pages are, they wait at their servers or in files, and
        nothing is lost.
        """
        page = '<!--#include virtual="/p1" --><!--#include virtual="/p2" -->'
        talk = self.talk(pages(page, server="proxy_max_temp_file_size 0;"))
        client = talk.client()
        client.sends(get())
        client.stalls()
        servers = self.ask(talk, "/p1", "/p2")
        bodies = {path: os.urandom(1_000_000) for path in servers}
        for path, server in servers.items():
            server.sends(answer(bodies[path]))
        talk.passes(0.5)
        self.assertLessEqual(len(talk.http.clients[0].outgoing), 300_000)
        client.takes()
        client.hears(200, bodies["/p1"] + bodies["/p2"])
        talk.isQuiet()

    def test_clientLeaves(self) -> None:
        """
        With the client go all requests that were made for it.
        """
        page = '<!--#include virtual="/p1" --><!--#include virtual="/p2" set="x" -->'
        talk = self.talk(pages(page))
        client = talk.client()
        client.sends(get())
        servers = self.ask(talk, "/p1", "/p2")
        servers["/p1"].sends(answer(b"x" * 1000)[:-10])
        client.resets()
        for server in servers.values():
            server.isClosed()
        talk.isQuiet()

    def test_broken(self) -> None:
        """
        A server that breaks off leaves what it had sent; the page goes on, and so does
        the connection.
        """
        page = '[<!--#include virtual="/p1" -->]'
        talk = self.talk(pages(page))
        client = talk.client()
        client.sends(get())
        server = talk.server()
        server.raw()
        server.sends(answer(b"0123456789")[:-3])
        server.ends()
        client.hears(200, b"[0123456]")
        client.isOpen()
        talk.isQuiet()

    def test_memory(self) -> None:
        """
        A response that becomes a variable has a limit; beyond, all is given up.
        """
        page = '<!--#include virtual="/p1" set="x" --><!--#echo var="x" -->.'
        for size in (100, 101):
            more = "subrequest_output_buffer_size 100;"
            talk = self.talk(pages(page, server=more))
            client = talk.client()
            client.sends(get())
            server = talk.server()
            server.raw()
            server.sends(answer(b"x" * size))
            if size == 100:
                client.hears(200, b"x" * size + b".")
            else:
                client.isSilent()
                client.isClosed()
                talk.isLogged("too big subrequest response")
            talk.isQuiet()

    def test_cycle(self) -> None:
        """
        A page that includes itself ends at some depth.
        """
        talk = self.talk(pages('(<!--#include virtual="/" -->)'))
        client = talk.client()
        client.sends(get())
        talk.passes(0.1)
        heard = client.hears(200)
        self.assertEqual(heard.body.count(b"("), 52)
        self.assertEqual(heard.body.count(b")"), 52)
        talk.isLogged('subrequests cycle while processing "/"')
        talk.isQuiet()

    def test_many(self) -> None:
        """
        Of very many inclusions not all are asked for at once.
        """
        page = '<!--#include virtual="/text" -->' * 100
        talk = self.talk(pages(page))
        client = talk.client()
        client.sends(get())
        talk.passes(0.1)
        client.hears(200, b"text" * 100)
        talk.isQuiet()

    def test_packed(self) -> None:
        """
        Whole pages are compressed, not their parts; compressed parts are unpacked.
        """
        page = '<<!--#include virtual="/text" -->>' * 10
        talk = self.talk(pages(page, "gzip on;", "gzip_min_length 0; gunzip on;"))
        client = talk.client()
        client.sends(get("/", "Accept-Encoding: gzip"))
        talk.passes(0.1)
        heard = client.hears(200)
        self.assertEqual(gzip.decompress(heard.body), b"<text>" * 10)
        talk.isQuiet()

    def test_stub(self) -> None:
        """
        A block stands for a page that is an error.
        """
        page = (
            '<!--#block name="b" -->stub<!--#endblock -->'
            '[<!--#include virtual="/p1" stub="b" -->]'
        )
        talk = self.talk(pages(page))
        client = talk.client()
        client.sends(get())
        server = talk.server()
        server.raw()
        server.ends()
        client.hears(200, b"[stub]")
        talk.isQuiet()

    def test_head(self) -> None:
        """
        For HEAD nothing is asked for.
        """
        talk = self.talk(pages('<!--#include virtual="/p1" -->'))
        client = talk.client()
        client.sends(get().replace(b"GET", b"HEAD"))
        client.hears(200, headOnly=True)
        talk.noServer()
        talk.isQuiet()

    def test_noUpgrade(self) -> None:
        """
        Within a page nothing is upgraded.
        """
        more = """
            proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection Upgrade;
        """
        talk = self.talk(pages('[<!--#include virtual="/p1" -->]', server=more))
        client = talk.client()
        client.sends(get("/", "Upgrade: foo", "Connection: Upgrade"))
        server = talk.server()
        server.raw()
        server.sends(b"HTTP/1.1 101 X\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n")
        server.ends()
        self.assertEqual(client.message().status, 200)
