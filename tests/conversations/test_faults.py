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
        Where no server was asked yet the connection ends, and nothing is left of it.
        """
        talk = self.begin(0)
        client = talk.client()
        client.sends(get("/"))
        client.isClosed()
        self.assertEqual(len(self.flushLoggedErrors()), 1)

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
