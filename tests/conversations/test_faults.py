"""
Conversations with balancers and dialects that have faults.
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
from twisted_upstream.dialects.memcached import MemcachedExchange
from twisted_upstream.dialects.proxy import ProxyExchange


class BalancerTests(ConversationCase):
    """
    A balancer whose getter raises.
    """

    def begin(self, good: int) -> Any:
        """
        A talk with two servers whose balancer can be asked so often per request.
        """
        servers = upstream("10.0.0.1:80", "10.0.0.2:80")
        talk = self.talk(configuration("location / { proxy_pass http://u; }", servers))
        (group,) = talk.http.groups
        initPeer = group.initPeer

        class Getter:
            """
            Raises after so many peers.
            """

            def __init__(self, client: Any) -> None:
                self.inner = initPeer(client)
                self.left = good

            def __getattr__(self, name: str) -> Any:
                return getattr(self.inner, name)

            def getPeer(self) -> Any:
                self.left -= 1
                return self.inner.getPeer() if self.left >= 0 else 1 // 0

        group.initPeer = Getter  # type: ignore[assignment]  # a delegate
        return talk

    def test_first(self) -> None:
        """
        Where no server was asked yet the client gets 500, too.
        """
        talk = self.begin(0)
        client = talk.client()
        client.sends(get("/"))
        client.hears(500)
        talk.isLogged("a balancer or a protocol failed: ZeroDivisionError(")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_next(self) -> None:
        """
        After a server has failed, the client gets 500.
        """
        talk = self.begin(1)
        client = talk.client()
        client.sends(get("/"))
        talk.server().resets()
        client.hears(500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        client = talk.client()
        client.sends(get("/"))
        talk.server().sends(answer(b"x"))
        client.hears(200, b"x")


class DialectTests(ConversationCase):
    """
    A protocol that raises before anything is sent.
    """

    def check(self, location: str, request: bytes) -> None:
        """
        Whatever raises, the client gets 500, and the next request is served.
        """
        servers = upstream("10.0.0.1:80")
        talk = self.talk(
            configuration(f"location / {{ {location} }} set $u u;", servers)
        )
        for name in ("__init__", "createRequest"):
            good = getattr(ProxyExchange, name)

            def bad(*arguments: Any) -> Any:
                raise RuntimeError("no good")

            client = talk.client()
            self.patch(ProxyExchange, name, bad)
            client.sends(request)
            client.hears(500)
            setattr(ProxyExchange, name, good)
            client = talk.client()
            client.sends(request)
            server = talk.server()
            server.sends(answer(b"x", "Connection: close"))
            client.hears(200, b"x")
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
            talk.isLogged("a balancer or a protocol failed: RuntimeError('no good')")

    def test_constant(self) -> None:
        """
        In a location with a constant address.
        """
        self.check("proxy_pass http://u;", get("/"))
        self.check(
            "proxy_pass http://u;",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        )

    def test_variable(self) -> None:
        """
        In one whose address has variables.
        """
        self.check("proxy_pass http://$u;", get("/"))

    def test_bodiless(self) -> None:
        """
        In one of a protocol that passes no bodies on.
        """

        def bad(*arguments: Any) -> Any:
            raise RuntimeError("no good")

        self.patch(MemcachedExchange, "createRequest", bad)
        location = 'location / { set $memcached_key "a"; memcached_pass u; }'
        talk = self.talk(configuration(location, upstream("10.0.0.1:80")))
        client = talk.client()
        client.sends(get("/"))
        client.hears(500)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
