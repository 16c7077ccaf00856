"""
Servers whose names are watched, by whole conversations.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    Talk,
    answer,
    get,
    proxy,
    upstream,
)

ACCESS = "log_format r '$status $upstream_addr'; access_log logs/access.log r;"
NAME = "x.test"


class WatchedTests(ConversationCase):
    """
    C{server NAME resolve}.
    """

    def begins(self, *servers: str, more: str = "", location: str = "") -> Talk:
        """
        A conversation with a group that watches C{x.test}.
        """
        group = upstream(
            f"{NAME}:80 resolve",
            *servers,
            more=f"zone z 64k; resolver 10.0.0.53;{more}",
        )
        talk = self.talk(proxy(location, http=group, access=ACCESS))
        talk.passes(0.01)
        return talk

    def says(self, talk: Talk, *addresses: str, code: int = 0) -> None:
        """
        The name servers answer.
        """
        if (NAME, False) not in talk.http.names.looked:
            talk.passes(11)
        until = talk.http.reactor.seconds() + 10
        talk.http.names.says(NAME, *addresses, code=code, until=until)
        talk.settle()

    def test_nothingYet(self) -> None:
        """
        Before there is an address, and after there was one, requests fail.
        """
        talk = self.begins(more="keepalive 0;")
        client = talk.asks(get("/"))
        client.hears(502)
        self.says(talk, "10.0.0.1")
        client.sends(get("/"))
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.1:80")
        server.hears("GET / HTTP/1.1")
        server.sends(answer(b"one"))
        client.hears(200, b"one")
        self.says(talk, code=3)
        client.sends(get("/"))
        client.hears(502)
        self.assertEqual(talk.accessLog(), ["502 u", "200 10.0.0.1:80", "502 u"])

    def test_underWay(self) -> None:
        """
        A response goes on when its server has left long ago; its connection is not
        kept.
        """
        talk = self.begins()
        self.says(talk, "10.0.0.1")
        client, server = talk.reaches(get("/"))
        server.hears("GET / HTTP/1.1")
        server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
        for address in ("10.0.0.2", "10.0.0.3", "10.0.0.2"):
            self.says(talk, address)
        server.sends(b"full")
        client.hears(200, b"halffull")
        self.assertEqual(talk.http.idle(), 0)

    def test_nextServer(self) -> None:
        """
        When a server that has left fails, the request goes on with those that it
        began with; the next one has the new ones.
        """
        talk = self.begins("10.0.0.9 backup")
        self.says(talk, "10.0.0.1")
        client, server = talk.reaches(get("/"))
        server.hears("GET / HTTP/1.1")
        self.says(talk, "10.0.0.2")
        server.ends()
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.9:80")
        server.hears("GET / HTTP/1.1")
        server.sends(answer(b"nine"))
        client.hears(200, b"nine")
        client.sends(get("/"))
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.2:80")
        server.hears("GET / HTTP/1.1")
        server.sends(answer(b"two"))
        client.hears(200, b"two")

    def test_keepalive(self) -> None:
        """
        Idle connections to an address that has left are closed, others are used.
        """
        talk = self.begins()
        self.says(talk, "10.0.0.1", "10.0.0.2")
        client = talk.client()
        for _ in range(2):
            client.sends(get("/"))
            server = talk.server()
            server.hears("GET / HTTP/1.1")
            server.sends(answer(b"x"))
            client.hears(200, b"x")
        self.assertEqual(talk.http.idle(), 2)
        self.says(talk, "10.0.0.2")
        self.assertEqual(talk.http.idle(), 1)

    def test_queue(self) -> None:
        """
        Who waits in a queue is served by the addresses that come.
        """
        talk = self.begins(more="queue 5 timeout=60s; keepalive 0;")
        client = talk.asks(get("/a"))
        client.isSilent()
        for addresses in (("10.0.0.1",), ("10.0.0.2",)):
            self.says(talk, *addresses)
            server = talk.server()
            server.hears("GET /a HTTP/1.1")
            server.sends(answer(b"x"))
            client.hears(200, b"x")
            self.says(talk, code=3)
            client.sends(get("/a"))
            client.isSilent()
        self.says(talk, "10.0.0.3")
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.3:80")
        server.hears("GET /a HTTP/1.1")
        server.sends(answer(b"x"))
        client.hears(200, b"x")
