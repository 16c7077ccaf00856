"""
When another server is asked.
"""

from __future__ import annotations

import errno

from tests.support.conversation import (
    ConversationCase,
    Talk,
    answer,
    chunks,
    configuration,
    get,
    post,
    proxy,
    upstream,
)

TWO = upstream(
    "10.0.0.1:80 max_fails=0", "10.0.0.2:80 max_fails=0", more="keepalive 0;"
)
THREE = upstream("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", more="keepalive 0;")


class ConditionTests(ConversationCase):
    """
    The words of proxy_next_upstream.
    """

    def passesOn(self, words: str) -> Talk:
        """
        A configuration with two servers.
        """
        return self.talk(proxy(f"proxy_next_upstream {words};", http=TWO))

    def test_statuses(self) -> None:
        """
        Each status that is asked for sends the request to the next server, the others
        are passed on.
        """
        for status in (500, 502, 503, 504, 403, 404, 429):
            talk = self.passesOn(f"http_{status}")
            client = talk.asks()
            first = talk.server()
            first.sends(answer(b"bad", status=f"{status} Bad"))
            client.isSilent()
            first.isClosed()
            talk.server().sends(answer(b"good"))
            client.hears(200, b"good")

            talk = self.passesOn("error timeout")
            client = talk.asks()
            talk.server().sends(answer(b"bad", status=f"{status} Bad"))
            client.hears(status, b"bad")
            talk.noServer()

    def test_lastOnesStatus(self) -> None:
        """
        The last server's response is passed on, whatever its status.
        """
        talk = self.passesOn("http_500")
        client = talk.asks()
        talk.server().sends(answer(b"1", status="500 One"))
        talk.server().sends(answer(b"2", status="500 Two"))
        self.assertEqual(client.hears(500, b"2").first, "HTTP/1.1 500 Two")

    def test_hundreds(self) -> None:
        """
        A group of any number of servers that all refuse at once is asked to its end.
        """
        names = [f"10.0.{each // 200}.{each % 200}:80" for each in range(500)]
        servers = [f"{name} max_fails=0" for name in names]
        talk = self.talk(proxy(http=upstream(*servers)))
        for name in names:
            talk.dialer.behaviour[name] = "refuse"
        client = talk.asks()
        client.hears(502)
        refused = [line for line in talk.log.lines if "Connection refused" in line]
        self.assertEqual(len(refused), 500)
        talk.isQuiet()

    def test_refused(self) -> None:
        """
        error: a server that refuses.
        """
        talk = self.passesOn("error")
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client = talk.asks()
        talk.server().sends(answer(b"good"))
        client.hears(200, b"good")
        talk.isLogged("connect() failed (111: Connection refused) while connecting")

    def test_closed(self) -> None:
        """
        error: a server that closes before it answers, or within its head.
        """
        for data in (b"", b"HTTP/1.1 200 OK\r\nX-"):
            talk = self.passesOn("error")
            client, server = talk.reaches()
            server.sends(data)
            server.hangsUp()
            talk.server().sends(answer(b"good"))
            client.hears(200, b"good")

    def test_reset(self) -> None:
        """
        error: a server that resets.
        """
        talk = self.passesOn("error")
        client = talk.asks()
        talk.server().resets()
        talk.server().sends(answer(b"good"))
        client.hears(200, b"good")

    def test_errorOff(self) -> None:
        """
        Where error is not enabled, the first failure is the answer.
        """
        talk = self.passesOn("timeout")
        client = talk.asks()
        talk.server().hangsUp()
        client.hears(502)
        talk.noServer()

    def test_off(self) -> None:
        """
        off: never.
        """
        talk = self.passesOn("off")
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client = talk.asks()
        client.hears(502)
        talk.noServer()

    def test_connectTimeout(self) -> None:
        """
        timeout: a server that does not accept.
        """
        talk = self.passesOn("timeout")
        talk.dialer.behaviour["10.0.0.1:80"] = "wait"
        client = talk.asks()
        talk.passes(60.1)
        talk.server().sends(answer(b"good"))
        client.hears(200, b"good")

    def test_readTimeout(self) -> None:
        """
        timeout: a server that does not answer.
        """
        talk = self.passesOn("timeout")
        client = talk.asks()
        first = talk.server()
        talk.passes(60.1)
        first.isClosed()
        talk.server().sends(answer(b"good"))
        client.hears(200, b"good")

    def test_timeoutOff(self) -> None:
        """
        Where timeout is not enabled, the first one is the answer.
        """
        talk = self.passesOn("error")
        client = talk.asks()
        talk.server()
        talk.passes(60.1)
        client.hears(504)
        talk.noServer()

    def test_invalidHeader(self) -> None:
        """
        invalid_header: a head that is none.
        """
        talk = self.passesOn("invalid_header")
        client = talk.asks()
        talk.server().sends(b"HTTP/1.1 200 OK\r\nX\x00: y\r\n\r\n")
        talk.server().sends(answer(b"good"))
        client.hears(200, b"good")

    def test_invalidHeaderOff(self) -> None:
        """
        It is no error in the sense of error.
        """
        talk = self.passesOn("error timeout")
        client = talk.asks()
        talk.server().sends(b"HTTP/1.1 200 OK\r\nX\x00: y\r\n\r\n")
        client.hears(502)
        talk.noServer()

    def test_notAfterHead(self) -> None:
        """
        Once the response has begun there is no other server.
        """
        talk = self.passesOn("error timeout invalid_header http_500")
        client, server = talk.reaches()
        server.sends(answer(b"0123456789")[:-5])
        server.hangsUp()
        client.hearsPart(200, b"01234")
        talk.noServer()

    def test_localTrouble(self) -> None:
        """
        When it is this machine that cannot open a connection, no other server is
        asked.
        """
        talk = self.passesOn("error")
        talk.dialer.behaviour["10.0.0.1:80"] = "wait"
        client = talk.asks()
        talk.refuses(errno.EADDRNOTAVAIL, "bind")
        client.hears(500)
        talk.noServer()


class IdempotenceTests(ConversationCase):
    """
    Requests that must not be sent twice.
    """

    def test_post(self) -> None:
        """
        POST, LOCK and PATCH are not sent to another server once they were sent.
        """
        for method in ("POST", "LOCK", "PATCH"):
            talk = self.talk(proxy(http=TWO))
            client = talk.asks(post(b"x", method=method))
            talk.server().hangsUp()
            client.hears(502)
            talk.noServer()

    def test_put(self) -> None:
        """
        PUT and DELETE are.
        """
        for method in ("PUT", "DELETE"):
            talk = self.talk(proxy(http=TWO))
            talk.asks(post(b"x", method=method))
            talk.server().hangsUp()
            talk.server().hears(f"{method} / HTTP/1.1", b"x")

    def test_nonIdempotent(self) -> None:
        """
        non_idempotent allows it.
        """
        talk = self.talk(proxy("proxy_next_upstream error non_idempotent;", http=TWO))
        talk.asks(post(b"x"))
        talk.server().hangsUp()
        talk.server().hears("POST / HTTP/1.1", b"x")

    def test_notSent(self) -> None:
        """
        A POST that was not sent yet goes to another server.
        """
        talk = self.talk(proxy(http=TWO))
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        talk.asks(post(b"x"))
        talk.server().hears("POST / HTTP/1.1", b"x")

    def test_postStatus(self) -> None:
        """
        A status does not send a POST to another server either: it is passed on.
        """
        talk = self.talk(proxy("proxy_next_upstream http_503;", http=TWO))
        client = talk.asks(post(b"x"))
        talk.server().sends(answer(b"busy", status="503 Busy"))
        client.hears(503, b"busy")
        talk.noServer()


class LimitTests(ConversationCase):
    """
    How often, and for how long.
    """

    def test_all(self) -> None:
        """
        Each server is asked once; then there is none.
        """
        talk = self.talk(proxy(http=THREE))
        client = talk.asks()
        names = []
        for _ in range(3):
            server = talk.server()
            names.append(server.name)
            server.hangsUp()
        self.assertEqual(sorted(names), ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"])
        client.hears(502)

    def test_noLive(self) -> None:
        """
        When all have failed, a request is refused without asking any, and later all
        are asked anew.
        """
        talk = self.talk(proxy(http=THREE))
        client = talk.asks()
        for _ in range(3):
            talk.server().hangsUp()
        client.hears(502)
        client.sends(get())
        client.hears(502)
        talk.noServer()
        talk.isLogged("no live upstreams while connecting to upstream")
        talk.passes(11.5)
        client.sends(get())
        talk.server().sends(answer(b"back"))
        client.hears(200, b"back")

    def test_tries(self) -> None:
        """
        proxy_next_upstream_tries counts the first server, too.
        """
        talk = self.talk(proxy("proxy_next_upstream_tries 2;", http=THREE))
        client = talk.asks()
        talk.server().hangsUp()
        talk.server().hangsUp()
        client.hears(502)
        talk.noServer()

    def test_timeout(self) -> None:
        """
        proxy_next_upstream_timeout counts from the first attempt.
        """
        text = proxy(
            "proxy_next_upstream_timeout 5s; proxy_read_timeout 3s;", http=THREE
        )
        talk = self.talk(text)
        client = talk.asks()
        talk.server()
        talk.passes(3.1)
        talk.server()
        client.isSilent()
        talk.passes(3.1)
        client.hears(504)
        talk.noServer()

    def test_backup(self) -> None:
        """
        Backup servers are asked when all others have failed.
        """
        text = proxy(http=upstream("10.0.0.1:80", "10.0.0.2:80 backup"))
        talk = self.talk(text)
        client = talk.asks()
        first = talk.server()
        self.assertEqual(first.name, "10.0.0.1:80")
        first.hangsUp()
        second = talk.server()
        self.assertEqual(second.name, "10.0.0.2:80")
        second.sends(answer(b"backup"))
        client.hears(200, b"backup")

    def test_maxConns(self) -> None:
        """
        A server with max_conns requests under way gets no more.
        """
        text = proxy(
            http=upstream("10.0.0.1:80 max_conns=1", "10.0.0.2:80 max_conns=1")
        )
        talk = self.talk(text)
        clients = [talk.client() for _ in range(3)]
        for client in clients:
            client.sends(get())
        servers = [talk.server(), talk.server()]
        self.assertEqual(len({server.name for server in servers}), 2)
        talk.noServer()
        clients[2].hears(502)
        for client, server in zip(clients[:2], servers, strict=True):
            server.sends(answer(b"x"))
            client.hears(200, b"x")
        clients[2].sends(get())
        servers[0].isOpen()
        talk.isLogged("no live upstreams")
        sent = [server for server in servers if server.socket.outgoing]
        for server in sent:
            if len(server.raw()) > 40:
                server.sends(answer(b"y"))

    def test_down(self) -> None:
        """
        A server that is down is never asked.
        """
        text = proxy(
            http=upstream("10.0.0.1:80 down", "10.0.0.2:80", more="keepalive 0;")
        )
        talk = self.talk(text)
        client = talk.client()
        for _ in range(3):
            client.sends(get())
            server = talk.server()
            self.assertEqual(server.name, "10.0.0.2:80")
            server.sends(answer(b"x"))
            client.hears(200, b"x")

    def test_staleThenRefused(self) -> None:
        """
        A stale connection costs no try, a refusal after it does.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        server.sends(answer(b"1"))
        client.hears(200)
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client.sends(get())
        server.hangsUp()
        client.hears(502)
        self.assertEqual(talk.dialer.asked, ["10.0.0.1:80"] * 2)


class ErrorPageTests(ConversationCase):
    """
    Failures of servers and error_page.
    """

    def test_failure(self) -> None:
        """
        A failure is answered by the error page.
        """
        talk = self.talk(
            proxy(
                "error_page 502 /sorry;", server="location /sorry { return 200 sorry; }"
            )
        )
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client = talk.asks()
        client.hears(502, b"sorry")
        client.isOpen()

    def test_toOtherGroup(self) -> None:
        """
        An error page may be another group's: @fallback.
        """
        text = configuration(
            "location / { proxy_pass http://u; error_page 502 504 = @fallback; }"
            "location @fallback { proxy_pass http://10.9.9.9:90; }",
            upstream("10.0.0.1:80"),
            access="log_format t '$status $upstream_addr $upstream_status';"
            " access_log logs/access.log t;",
        )
        talk = self.talk(text)
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client, server = talk.reaches(get("/x"))
        self.assertEqual(server.name, "10.9.9.9:90")
        server.hears("GET /x HTTP/1.1")
        server.sends(answer(b"saved"))
        client.hears(200, b"saved")
        self.assertEqual(talk.accessLog(), ["200 10.0.0.1:80 : 10.9.9.9:90 502 : 200"])

    def test_fallbackBody(self) -> None:
        """
        A body that was read is sent to the fallback, too.
        """
        text = configuration(
            "location / { proxy_pass http://u; error_page 502 = @fallback; }"
            "location @fallback { proxy_pass http://10.9.9.9:90; }",
            upstream("10.0.0.1:80"),
        )
        talk = self.talk(text)
        talk.asks(post(b"body"))
        talk.server().hangsUp()
        talk.server().hears("POST / HTTP/1.1", b"body")

    def test_intercept(self) -> None:
        """
        proxy_intercept_errors replaces a server's error by the page.
        """
        text = proxy(
            "proxy_intercept_errors on; error_page 404 /sorry;",
            server="location /sorry { return 200 sorry; }",
        )
        talk = self.talk(text)
        client, server = talk.reaches()
        server.sends(answer(b"server's own", status="404 Gone Fishing"))
        client.hears(404, b"sorry")
        client.isOpen()
        talk.isQuiet()

    def test_interceptOnlyWithPage(self) -> None:
        """
        An error without a page is passed on.
        """
        text = proxy(
            "proxy_intercept_errors on; error_page 404 /sorry;",
            server="location /sorry { return 200 sorry; }",
        )
        talk = self.talk(text)
        client = talk.asks()
        talk.server().sends(answer(b"server's own", status="403 No"))
        client.hears(403, b"server's own")

    def test_interceptAuthenticate(self) -> None:
        """
        The challenge of a 401 is kept.
        """
        text = proxy(
            "proxy_intercept_errors on; error_page 401 /sorry;",
            server="location /sorry { return 200 sorry; }",
        )
        talk = self.talk(text)
        client = talk.asks()
        challenge = "WWW-Authenticate: Basic realm=x"
        talk.server().sends(answer(b"", challenge, status="401 Who"))
        heard = client.hears(401, b"sorry")
        self.assertEqual(heard.all("WWW-Authenticate"), ["Basic realm=x"])

    def test_interceptWithinBody(self) -> None:
        """
        A response that is replaced is not waited for.
        """
        text = proxy(
            "proxy_intercept_errors on; error_page 404 /sorry;",
            server="location /sorry { return 200 sorry; }",
        )
        talk = self.talk(text)
        client, server = talk.reaches()
        server.sends(answer(b"0123456789", status="404 No")[:-5])
        client.hears(404, b"sorry")
        server.isClosed()
        talk.isQuiet()

    def test_pageIsProxied(self) -> None:
        """
        The page may come from the same server.
        """
        text = proxy("proxy_intercept_errors on; error_page 404 /page;")
        talk = self.talk(text)
        client, server = talk.reaches(get("/missing"))
        server.hears("GET /missing HTTP/1.1")
        server.sends(answer(b"no", status="404 No"))
        server.isClosed()
        server = talk.server()
        server.hears("GET /page HTTP/1.1")
        server.sends(answer(b"page"))
        client.hears(404, b"page")

    def test_recursion(self) -> None:
        """
        An error of an error page is answered plainly.
        """
        text = proxy("error_page 502 /again;")
        talk = self.talk(text)
        talk.dialer.behaviour["10.0.0.1:80"] = "refuse"
        client = talk.asks()
        client.hears(502)
        self.assertEqual(len(talk.dialer.asked), 2)


class AccelTests(ConversationCase):
    """
    X-Accel-*: what servers tell the proxy to do.
    """

    SERVER = (
        "location /private { internal; return 200 secret; }"
        "location @named { return 200 named; }"
    )

    def test_redirect(self) -> None:
        """
        X-Accel-Redirect answers from another location, with the server's cookies.
        """
        talk = self.talk(proxy(server=self.SERVER))
        client, server = talk.reaches()
        server.sends(
            answer(b"", "X-Accel-Redirect: /private/x", "Set-Cookie: a=b", "X-No: 1")
        )
        heard = client.hears(200, b"secret")
        self.assertEqual(heard["Set-Cookie"], "a=b")
        self.assertIsNone(heard["X-No"])
        self.assertIsNone(heard["X-Accel-Redirect"])
        server.isOpen()
        talk.isQuiet()

    def test_redirectWithBody(self) -> None:
        """
        The body of such a response is dropped, with the connection if need be.
        """
        talk = self.talk(proxy(server=self.SERVER))
        client, server = talk.reaches()
        server.sends(answer(b"0123456789", "X-Accel-Redirect: /private")[:-5])
        client.hears(200, b"secret")
        server.isClosed()
        talk.isQuiet()

    def test_redirectToNamed(self) -> None:
        """
        It may name a location.
        """
        talk = self.talk(proxy(server=self.SERVER))
        client = talk.asks()
        talk.server().sends(answer(b"", "X-Accel-Redirect: @named"))
        client.hears(200, b"named")

    def test_redirectToServer(self) -> None:
        """
        It may lead to a server again.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches(post(b"body", "/a"))
        server.hears("POST /a HTTP/1.1", b"body")
        server.sends(answer(b"", "X-Accel-Redirect: /b?c"))
        heard = server.message()
        self.assertEqual(heard.first, "GET /b?c HTTP/1.1")
        server.sends(answer(b"end"))
        client.hears(200, b"end")

    def test_redirectForEver(self) -> None:
        """
        A circle ends after ten rounds.
        """
        talk = self.talk(proxy())
        client, server = talk.reaches()
        for _ in range(20):
            if not server.socket.outgoing:
                break
            server.raw()
            server.sends(answer(b"", "X-Accel-Redirect: /again"))
        client.hears(500)
        talk.isLogged("rewrite or internal redirection cycle")
        talk.isQuiet()

    def test_ignored(self) -> None:
        """
        proxy_ignore_headers passes it on without a redirect.
        """
        talk = self.talk(
            proxy("proxy_ignore_headers X-Accel-Redirect;", server=self.SERVER)
        )
        client = talk.asks()
        talk.server().sends(answer(b"x", "X-Accel-Redirect: /private"))
        client.hears(200, b"x")

    def test_bufferingNo(self) -> None:
        """
        X-Accel-Buffering: no lets a slow client slow the server down.
        """
        body = bytes(range(256)) * 4096
        talk = self.talk(proxy())
        client = talk.asks()
        client.stalls()
        server = talk.server()
        server.sends(answer(body, "X-Accel-Buffering: no"))
        self.assertGreater(len(server.socket.incoming), len(body) // 2)
        client.takes()
        client.hears(200, body)

    def test_bufferingYes(self) -> None:
        """
        X-Accel-Buffering: yes frees the server.
        """
        body = bytes(range(256)) * 4096
        talk = self.talk(proxy("proxy_buffering off;"))
        client = talk.asks()
        client.stalls()
        server = talk.server()
        server.sends(answer(body, "X-Accel-Buffering: yes"))
        talk.passes(0.2)
        self.assertEqual(len(server.socket.incoming), 0)
        client.takes()
        client.hears(200, body)

    def test_limitRate(self) -> None:
        """
        X-Accel-Limit-Rate slows the response down.
        """
        talk = self.talk(proxy())
        client = talk.asks()
        talk.server().sends(answer(b"x" * 5000, "X-Accel-Limit-Rate: 1000"))
        self.assertLess(len(client.socket.outgoing), 2500)
        talk.passes(10)
        client.hears(200, b"x" * 5000)

    def test_chunkedRedirect(self) -> None:
        """
        A redirect with an empty body in chunks is followed, too.
        """
        talk = self.talk(proxy(server=self.SERVER))
        client = talk.asks()
        talk.server().sends(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
            b"X-Accel-Redirect: /private\r\n\r\n" + chunks()
        )
        client.hears(200, b"secret")
        talk.isQuiet()
