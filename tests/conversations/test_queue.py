"""
Requests that wait for a server, by whole conversations.
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
from twisted_upstream.balance.peer import Peer
from twisted_upstream.net.sockaddr import sockaddrName

ACCESS = (
    "log_format q '$uri $status $upstream_addr $upstream_status $upstream_queue_time"
    " $upstream_connect_time $upstream_response_time'; access_log logs/access.log q;"
)


class QueueTests(ConversationCase):
    """
    C{queue} around C{max_conns}.
    """

    def waiting(
        self,
        *servers: str,
        queue: str = "queue 2;",
        keepalive: str = "keepalive 0;",
        more: str = "",
    ) -> Talk:
        """
        A conversation with a group that has a queue.
        """
        group = upstream(*servers, more=queue + keepalive)
        return self.talk(proxy(more, http=group, access=ACCESS))

    def asks(self, talk: Talk, path: str) -> Client:
        """
        One more client asks.
        """
        client = talk.asks(get(path))
        return client

    def test_inOrder(self) -> None:
        """
        Requests that wait are served in their order; one too many is refused at once.
        """
        talk = self.waiting("10.0.0.1 max_conns=1")
        first, second, third = (self.asks(talk, f"/{n}") for n in "123")
        server = talk.server()
        server.hears("GET /1 HTTP/1.1")
        talk.noServer()
        second.isSilent()
        self.asks(talk, "/4").hears(502)
        talk.passes(1.5)
        server.sends(answer(b"one"))
        first.hears(200, b"one")
        server = talk.server()
        server.hears("GET /2 HTTP/1.1")
        talk.noServer()
        talk.passes(1)
        server.sends(answer(b"two"))
        second.hears(200, b"two")
        server = talk.server()
        server.hears("GET /3 HTTP/1.1")
        server.sends(answer(b"three"))
        third.hears(200, b"three")
        talk.isQuiet()
        for client in (first, second, third):
            client.hangsUp()
        self.assertEqual(
            talk.accessLog(),
            [
                "/4 502 u 502 - - 0.000",
                "/1 200 10.0.0.1:80 200 - 0.000 1.500",
                "/2 200 10.0.0.1:80 200 1.500 0.000 1.000",
                "/3 200 10.0.0.1:80 200 2.500 0.000 0.000",
            ],
        )

    def test_timeout(self) -> None:
        """
        Who has waited too long is refused, and the server stays with the others.
        """
        talk = self.waiting("10.0.0.1 max_conns=1", queue="queue 5 timeout=3s;")
        first = self.asks(talk, "/1")
        server = talk.server()
        second = self.asks(talk, "/2")
        talk.passes(2)
        third = self.asks(talk, "/3")
        talk.passes(0.99)
        second.isSilent()
        talk.passes(0.02)
        second.hears(502)
        third.isSilent()
        talk.isLogged("no live upstreams while waiting for an upstream server")
        server.sends(answer(b"one"))
        first.hears(200, b"one")
        server = talk.server()
        server.hears("GET /3 HTTP/1.1")
        server.sends(answer(b"three"))
        third.hears(200, b"three")
        self.assertIn("/2 502 u 502 3.0", talk.accessLog()[0])

    def test_clientLeaves(self) -> None:
        """
        A client that leaves waits no more, and takes no server from others.
        """
        talk = self.waiting("10.0.0.1 max_conns=1")
        first = self.asks(talk, "/1")
        second = self.asks(talk, "/2")
        third = self.asks(talk, "/3")
        talk.passes(1)
        second.hangsUp()
        talk.isLogged(
            "client prematurely closed connection while waiting for an upstream server"
        )
        fourth = self.asks(talk, "/4")
        talk.server().sends(answer(b"one"))
        first.hears(200)
        server = talk.server()
        server.hears("GET /3 HTTP/1.1")
        server.sends(answer())
        third.hears(200)
        server = talk.server()
        server.hears("GET /4 HTTP/1.1")
        server.sends(answer())
        fourth.hears(200)
        self.assertEqual(talk.accessLog()[0], "/2 499 u - - - 1.000")
        talk.isQuiet()

    def test_allLeave(self) -> None:
        """
        When all who wait have left, nothing is left over, not even a timer.
        """
        talk = self.waiting("10.0.0.1 max_conns=1")
        first = self.asks(talk, "/1")
        server = talk.server()
        for client in [self.asks(talk, "/2"), self.asks(talk, "/3")]:
            client.resets()
        server.sends(answer())
        first.hears(200)
        talk.noServer()
        first.hangsUp()
        talk.passes(0)
        left = [str(call) for call in talk.http.reactor.getDelayedCalls()]
        self.assertEqual([each for each in left if "Queue" in each], [])

    def test_ignoreClientAbort(self) -> None:
        """
        Where a client that leaves does not matter, its request keeps its place.
        """
        talk = self.waiting(
            "10.0.0.1 max_conns=1", more="proxy_ignore_client_abort on;"
        )
        first = self.asks(talk, "/1")
        self.asks(talk, "/2").ends()
        talk.server().sends(answer())
        first.hears(200)
        server = talk.server()
        server.hears("GET /2 HTTP/1.1")
        server.sends(answer())

    def test_retryWaits(self) -> None:
        """
        A request that failed at one server waits for another one; each attempt says
        how long it waited, and connecting begins afterwards.
        """
        talk = self.waiting("10.0.0.1 max_fails=0", "10.0.0.2 max_conns=1")
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        first = self.asks(talk, "/1")
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.2:80")
        second = self.asks(talk, "/2")
        talk.passes(2)
        second.isSilent()
        server.sends(answer())
        first.hears(200)
        server = talk.server()
        server.hears("GET /2 HTTP/1.1")
        server.sends(answer(b"two"))
        second.hears(200, b"two")
        self.assertEqual(
            talk.accessLog()[1],
            "/2 200 10.0.0.1:80, 10.0.0.2:80 502, 200 -, 2.000 -, 0.000 0.000, 0.000",
        )

    def test_nothingToWaitFor(self) -> None:
        """
        A request that has failed everywhere does not wait.
        """
        talk = self.waiting("10.0.0.1", "10.0.0.2")
        talk.dialer.behaviour.update({"10.0.0.1:80": "refuse", "10.0.0.2:80": "refuse"})
        self.asks(talk, "/1").hears(502)
        self.assertEqual(talk.dialer.asked, ["10.0.0.1:80", "10.0.0.2:80"])

    def test_nextUpstreamTimeout(self) -> None:
        """
        Time spent waiting counts: after it, no further server is asked.
        """
        talk = self.waiting(
            "10.0.0.1 max_conns=1",
            "10.0.0.2 max_conns=1",
            more="proxy_next_upstream_timeout 5s;",
        )
        first, second, third = (self.asks(talk, f"/{n}") for n in "123")
        server, other = talk.server(), talk.server()
        talk.passes(6)
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        server.sends(answer())
        first.hears(200)
        third.hears(502)
        other.sends(answer())
        second.hears(200)

    def test_penaltyEnds(self) -> None:
        """
        A server that rests after failures is asked again when its rest is over.
        """
        talk = self.waiting(
            "10.0.0.1 fail_timeout=5s", "10.0.0.2 down", queue="queue 3;"
        )
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        self.asks(talk, "/1").hears(502)
        talk.dialer.behaviour.clear()
        first, second = self.asks(talk, "/2"), self.asks(talk, "/3")
        talk.passes(5.9)
        talk.noServer()
        talk.passes(0.2)
        server = talk.server()
        server.hears("GET /2 HTTP/1.1")
        # The first one proves that the server is back.
        talk.noServer()
        server.sends(answer())
        first.hears(200)
        talk.server().sends(answer())
        second.hears(200)

    def test_membership(self) -> None:
        """
        A server that is added serves those who wait.
        """
        talk = self.waiting("10.0.0.1 max_conns=1")
        first, second = self.asks(talk, "/1"), self.asks(talk, "/2")
        server = talk.server()
        talk.noServer()
        [group] = talk.http.groups
        sockaddr = ("10.0.0.2", 80)
        new = Peer(sockaddrName(sockaddr), sockaddr)
        group.replacePeers(group.peers.successor([*group.peers.peers, new]))
        talk.settle()
        other = talk.server()
        self.assertEqual(other.name, "10.0.0.2:80")
        other.sends(answer(b"two"))
        second.hears(200, b"two")
        server.sends(answer())
        first.hears(200)

    def test_manyFailAtOnce(self) -> None:
        """
        However many wait for a server that refuses them all, they are told one after
        the other, and not from within one another.
        """
        talk = self.waiting("10.0.0.1 max_conns=1", queue="queue 1500;")
        first = self.asks(talk, "/1")
        clients = [self.asks(talk, "/x") for _ in range(1200)]
        server = talk.server()
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        server.sends(answer())
        first.hears(200)
        for client in clients:
            client.hears(502)
        self.assertEqual(len(talk.dialer.asked), 1201)

    def test_sticky(self) -> None:
        """
        A request that fails, waits and goes to another server sets one cookie, and it
        does not return to the server of its session.
        """
        for sticky in ("sticky cookie s;", "session_sticky cookie=s;"):
            talk = self.waiting(
                "10.0.0.1",
                "10.0.0.2 max_conns=1 max_fails=0",
                queue=f"queue 3; {sticky}",
            )
            first = self.asks(talk, "/1")
            talk.server().sends(answer())
            cookie = first.hears(200)["Set-Cookie"]
            assert cookie is not None
            second = self.asks(talk, "/2")
            server = talk.server()
            self.assertEqual(server.name, "10.0.0.2:80")
            talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
            third = talk.client()
            third.sends(get("/3", f"Cookie: {cookie.partition(';')[0]}"))
            talk.noServer()
            server.sends(answer())
            second.hears(200)
            server = talk.server()
            self.assertEqual(server.name, "10.0.0.2:80")
            server.sends(answer())
            self.assertEqual(len(third.hears(200).all("Set-Cookie")), 1)
            self.assertEqual(talk.dialer.asked.count("10.0.0.1:80"), 2)

    def test_keptConnection(self) -> None:
        """
        The next request takes the connection that the one before has left.
        """
        talk = self.waiting("10.0.0.1 max_conns=1", keepalive="keepalive 1;")
        first, second = self.asks(talk, "/1"), self.asks(talk, "/2")
        server = talk.server()
        server.hears("GET /1 HTTP/1.1")
        server.sends(answer(b"one"))
        first.hears(200, b"one")
        talk.noServer()
        server.hears("GET /2 HTTP/1.1")
        server.sends(answer(b"two"))
        second.hears(200, b"two")
