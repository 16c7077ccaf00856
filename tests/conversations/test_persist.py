"""
Clients that stay with their server, by whole conversations.
"""

from __future__ import annotations

from tests.support.conversation import (
    Client,
    ConversationCase,
    Talk,
    answer,
    get,
    proxy,
    upstream,
)
from tests.support.memory import MemoryHTTP
from twisted_upstream.config.nodes import ConfigError

ACCESS = (
    "log_format p '$uri $upstream_addr $upstream_persist_status $upstream_persist_key"
    " $upstream_persist_age'; access_log logs/access.log p;"
)


class PersistTests(ConversationCase):
    """
    C{persist} in C{http}.
    """

    def persisting(self, *servers: str, more: str) -> Talk:
        """
        A conversation with a group that keeps no connections.
        """
        group = upstream(*servers, more=f"keepalive 0; {more}")
        return self.talk(proxy(http=group, access=ACCESS))

    def asks(self, talk: Talk, path: str, who: str = "") -> Client:
        """
        One more client asks.
        """
        client = talk.asks(get(path, f"X-Who: {who}"))
        return client

    def test_stays(self) -> None:
        """
        One client, one server; others take turns.
        """
        talk = self.persisting("10.0.0.1", "10.0.0.2", more="persist $http_x_who;")
        found = []
        for who in ("x", "x", "", "x"):
            talk.passes(1)
            client = self.asks(talk, "/", who)
            server = talk.server()
            found.append(server.name)
            server.sends(answer(b"y"))
            client.hears(200, b"y")
        self.assertEqual(
            found, ["10.0.0.1:80", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:80"]
        )
        self.assertEqual(
            talk.accessLog(),
            [
                "/ 10.0.0.1:80 miss x 0.000",
                "/ 10.0.0.1:80 hit x 1.000",
                "/ 10.0.0.2:80 - - -",
                "/ 10.0.0.1:80 hit x 3.000",
            ],
        )

    def test_moves(self) -> None:
        """
        A client whose server refuses has moved once another one has answered.
        """
        talk = self.persisting("10.0.0.1", "10.0.0.2", more="persist $remote_addr;")
        client = self.asks(talk, "/1")
        talk.server().sends(answer())
        client.hears(200)
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client = self.asks(talk, "/2")
        talk.server().sends(answer())
        client.hears(200)
        talk.dialer.behaviour.clear()
        talk.passes(60)
        client = self.asks(talk, "/3")
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.2:80")
        server.sends(answer())
        client.hears(200)
        self.assertIn("/2 10.0.0.1:80, 10.0.0.2:80 moved", talk.accessLog()[1])

    def test_waits(self) -> None:
        """
        on_full=wait: the client waits for its server, in whatever order the file has
        the layers and the method.
        """
        talk = self.persisting(
            "10.0.0.1 max_conns=1",
            "10.0.0.2",
            more="queue 3; persist $remote_addr on_full=wait commit=select; least_conn;",
        )
        first, second = self.asks(talk, "/1"), self.asks(talk, "/2")
        server = talk.server()
        talk.noServer()
        server.sends(answer(b"one"))
        first.hears(200, b"one")
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.1:80")
        server.sends(answer(b"two"))
        second.hears(200, b"two")

    def test_refused(self) -> None:
        """
        Twice, or without the queue it needs, it makes no sense.
        """
        for lines, message in (
            ("persist $uri; persist $uri;", '"persist" directive is duplicate'),
            ("queue 1; queue 2;", '"queue" directive is duplicate'),
            ("persist $uri on_full=wait;", "queue"),
            ("persist $nope;", 'unknown "nope" variable'),
            ("persist $uri; sticky cookie c;", "sticky"),
            ("zone z 64k; persist $uri zone=z:64k;", "different use"),
        ):
            text = proxy(http=upstream("10.0.0.1", more=lines))
            error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
            self.assertTrue(any(message in str(each) for each in error.problems))
