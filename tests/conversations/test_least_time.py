"""
C{least_time} in whole conversations: what is measured, and when.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    Server,
    Talk,
    answer,
    get,
    proxy,
    upstream,
)

A, B = "10.0.0.1:80", "10.0.0.2:80"


class LeastTimeTests(ConversationCase):
    """
    Groups of two servers; no connection is kept, so each request dials.
    """

    def group(self, method: str, more: str = "", server: str = "") -> Talk:
        """
        A conversation with such a group.
        """
        http = upstream(A, B, more=f"{method}; keepalive 0;")
        return self.talk(proxy(more, http=http, server=server))

    def request(self, talk: Talk) -> Server:
        """
        The server that a new request gets.
        """
        talk.client().sends(get())
        return talk.server()

    def names(self, talk: Talk, count: int = 4) -> list[str]:
        """
        The servers of requests that are answered at once.
        """
        found = []
        for _ in range(count):
            server = self.request(talk)
            server.sends(answer())
            found.append(server.name)
        return found

    def test_header(self) -> None:
        """
        Time runs from the choice to the head of the response.
        """
        for method, slow in (("least_time header", A), ("least_time last_byte", B)):
            talk = self.group(method)
            first, second = self.request(talk), self.request(talk)
            self.assertEqual([first.name, second.name], [A, B])
            talk.passes(0.5)
            second.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
            talk.passes(0.5)
            first.sends(answer())
            talk.passes(0.5)
            second.sends(b"x")
            expected = B if slow == A else A
            self.assertEqual(self.names(talk), [expected] * 4)

    def test_failuresDoNotCount(self) -> None:
        """
        Neither a failure nor an answer that is not taken counts, but an error page of
        ours in its place does.
        """
        refused = self.group("least_time header", "proxy_next_upstream http_404;")
        first = self.request(refused)
        refused.passes(0.5)
        first.sends(answer(status="404 Not Found"))
        refused.passes(0.5)
        refused.server().sends(answer())
        # B is known by now, A is as good as new.
        self.assertEqual(self.names(refused), [A] * 4)
        page = self.group(
            "least_time header",
            "proxy_intercept_errors on; error_page 404 /page;",
            "location = /page { return 200 page; }",
        )
        first = self.request(page)
        page.passes(0.5)
        first.sends(answer(status="404 Not Found"))
        self.assertEqual(self.names(page), [B] * 4)

    def test_inflight(self) -> None:
        """
        A server that does not answer is left alone before it has; nothing is in flight
        in the end.
        """
        talk = self.group("least_time header inflight")
        first = self.request(talk)
        self.assertEqual(first.name, A)
        talk.passes(3.0)
        self.assertEqual(self.names(talk), [B] * 4)
        first.sends(answer())
        talk.isQuiet()

    def test_connecting(self) -> None:
        """
        A client that leaves while the connection is made leaves nothing behind.
        """
        for method in ("least_time header inflight", "random two least_time=ewma"):
            talk = self.group(method)
            talk.dialer.behaviour.update({A: "wait", B: "wait"})
            client = talk.asks()
            talk.waiting()
            client.hangsUp()
            talk.isQuiet()
