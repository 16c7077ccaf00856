"""
C{limit_conn} and C{limit_req} in whole conversations.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    Talk,
    answer,
    configuration,
    get,
    proxy,
    upstream,
)
from tests.support.fakerequest import messages
from twisted_upstream.config.syntax import ConfigError

CONN = "limit_conn_zone $server_name zone=c:1m;"
REQ = "limit_req_zone $server_name zone=r:1m rate=1r/s;"


class LimitConnTests(ConversationCase):
    """
    C{limit_conn}
    """

    def limited(self, more: str = "") -> Talk:
        """
        One request at a time.
        """
        http = upstream("10.0.0.1:80", more="keepalive 0;") + CONN
        return self.talk(
            proxy(
                f"limit_conn c 1; add_header X-Status $limit_conn_status always; {more}",
                http=http,
            )
        )

    def test_rejected(self) -> None:
        """
        While one is served, another is rejected; it may come again afterwards, on the
        same connection.
        """
        talk = self.limited()
        first, second = talk.client(), talk.client()
        first.sends(get())
        second.sends(get())
        self.assertEqual(second.hears(503)["X-Status"], "REJECTED")
        talk.isLogged('limiting connections by zone "c"')
        talk.server().sends(answer(b"one"))
        self.assertEqual(first.hears(200, b"one")["X-Status"], "PASSED")
        second.sends(get())
        talk.server().sends(answer(b"two"))
        second.hears(200, b"two")

    def test_clientLeaves(self) -> None:
        """
        A client that has left does not count.
        """
        talk = self.limited()
        first, second = talk.client(), talk.client()
        first.sends(get())
        first.hangsUp()
        talk.server().isClosed()
        second.sends(get())
        talk.server().sends(answer(b"two"))
        second.hears(200, b"two")

    def test_leavesWhileLooking(self) -> None:
        """
        Who leaves at the same moment does not count either; and who is to be rejected
        may leave, too.
        """
        talk = self.limited()
        first, second, third = talk.client(), talk.client(), talk.client()
        first.sends(get())
        second.socket.deliver(get())
        third.socket.deliver(get())
        third.socket.hangUp()
        first.socket.hangUp()
        talk.settle()
        talk.server().isClosed()
        talk.server().sends(answer(b"two"))
        second.hears(200, b"two")
        talk.isQuiet()

    def test_status(self) -> None:
        """
        The status can be another one.
        """
        talk = self.limited("limit_conn_status 429;")
        first, second = talk.client(), talk.client()
        first.sends(get())
        second.sends(get())
        second.hears(429)
        talk.server().sends(answer())
        first.hears(200)

    def test_internalRedirect(self) -> None:
        """
        A request counts once, whatever locations it goes through.
        """
        talk = self.talk(
            configuration(
                "location / { limit_conn c 1; error_page 502 = /other;"
                " proxy_pass http://u; }"
                " location /other { limit_conn c 1; proxy_pass http://v; }",
                http=CONN
                + upstream("10.0.0.1:80")
                + "upstream v { server 10.0.0.2:80; }",
            )
        )
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client, server = talk.reaches()
        for _ in range(2):
            server.sends(answer(b"other"))
            client.hears(200, b"other")
            client.sends(get())
        server.sends(answer(b"other"))
        client.hears(200)
        talk.isQuiet()

    def test_wrongStatus(self) -> None:
        """
        Only errors can be a status.
        """
        for directive in ("limit_conn_status", "limit_req_status"):
            for word in ("200", "600"):
                error = self.assertRaises(
                    ConfigError, self.talk, proxy(f"{directive} {word};")
                )
                self.assertEqual(messages(error), ["value must be between 400 and 599"])


class LimitReqTests(ConversationCase):
    """
    C{limit_req}
    """

    def limited(self, more: str, *, server: str = "") -> Talk:
        """
        One request per second; what happens before the limit happens once.
        """
        limit = f"limit_req zone=r {more};"
        return self.talk(
            configuration(
                f"{server} location / {{ set $n x$n; {limit} proxy_pass http://u;"
                " proxy_set_header X-N $n;"
                " add_header X-Status $limit_req_status always; }"
                f" location /none {{ {limit} }}",
                http=REQ + upstream("10.0.0.1:80") + "map $uri $n { default y; }",
            )
        )

    def test_waits(self) -> None:
        """
        A request that waits goes on where it was, after its time; the next on its
        connection comes after it.
        """
        talk = self.limited("burst=5")
        client, server = talk.reaches()
        self.assertEqual(server.message()["X-N"], "xy")
        server.sends(answer(b"0"))
        client.hears(200, b"0")
        client.sends(get() + get())
        talk.passes(0.9)
        server.isSilent()
        talk.isLogged('delaying request, excess: 1.000, by zone "r"')
        for body, status in ((b"1", "DELAYED"), (b"2", "PASSED")):
            talk.passes(1.1)
            self.assertEqual(server.message()["X-N"], "xy")
            server.sends(answer(body))
            self.assertEqual(client.hears(200, body)["X-Status"], status)

    def test_rejected(self) -> None:
        """
        Too many requests are rejected.
        """
        talk = self.limited("burst=1")
        clients = [talk.client() for _ in range(3)]
        for client in clients:
            client.sends(get())
        self.assertEqual(clients[2].hears(503)["X-Status"], "REJECTED")
        server = talk.server()
        server.sends(answer())
        self.assertEqual(clients[0].hears(200)["X-Status"], "PASSED")
        talk.passes(1.1)
        server.sends(answer())
        self.assertEqual(clients[1].hears(200)["X-Status"], "DELAYED")

    def test_clientLeaves(self) -> None:
        """
        A client may leave while it waits: nothing is left over.
        """
        talk = self.limited("burst=5")
        first = talk.client()
        first.sends(get("/none"))
        first.hears(404)
        for leave in ("ends", "hangsUp", "resets"):
            client = talk.asks()
            getattr(client, leave)()
        talk.passes(9.0)
        talk.noServer()
        talk.isQuiet()

    def test_waitsLong(self) -> None:
        """
        Waiting is not the client's fault: no time-out ends it.
        """
        talk = self.limited(
            "burst=100", server="client_header_timeout 5s; send_timeout 5s;"
        )
        clients = [talk.client() for _ in range(60)]
        for client in clients:
            client.sends(get("/none"))
        talk.passes(58.5)
        clients[-1].isSilent()
        talk.passes(1.0)
        for client in clients:
            client.hears(404)
