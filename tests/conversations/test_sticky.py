"""
Clients that stay with their server.
"""

from __future__ import annotations

from hashlib import md5

from tests.support.conversation import (
    Client,
    ConversationCase,
    Message,
    Talk,
    answer,
    configuration,
    get,
    message,
    proxy,
    upstream,
)
from tests.support.fakerequest import messages
from tests.support.memory import MemoryHTTP
from twisted_upstream.balance.sticky_learn import StickyLearn
from twisted_upstream.config.nodes import ConfigError

SERVERS = ("10.0.0.1:80 route=a", "10.0.0.2:80 route=b")
COOKIE = upstream(*SERVERS, more="sticky cookie s; keepalive 0;")


class CookieTests(ConversationCase):
    """
    C{sticky cookie}: where its field stands, and in which responses.
    """

    def asks(self, talk: Talk, cookie: str = "") -> Client:
        """
        A client asks.
        """
        client = talk.asks(get("/", *([f"Cookie: {cookie}"] if cookie else [])))
        return client

    def test_place(self) -> None:
        """
        It comes before the server's fields, after our own; C{add_header} comes last.
        """
        talk = self.talk(proxy("add_header X-Last 1;", http=COOKIE))
        client = self.asks(talk)
        server = talk.server()
        self.assertIsNone(server.hears("GET / HTTP/1.1")["Cookie"])
        server.sends(answer(b"x", "X-First: 1", "Set-Cookie: s=own"))
        heard = client.hears(200, b"x")
        self.assertEqual(
            heard.fields[-4:],
            [
                ("Set-Cookie", "s=a"),
                ("X-First", "1"),
                ("Set-Cookie", "s=own"),
                ("X-Last", "1"),
            ],
        )
        self.assertEqual(heard.fields[-5][0], "Connection")

    def test_stays(self) -> None:
        """
        The client that sends it gets the same server, and the cookie again.
        """
        talk = self.talk(proxy(http=COOKIE))
        for _ in range(3):
            client = self.asks(talk, "x=y; s=b")
            server = talk.server()
            self.assertEqual(server.name, "10.0.0.2:80")
            self.assertEqual(server.message()["Cookie"], "x=y; s=b")
            server.sends(answer(b"", status="404 Not Found"))
            self.assertEqual(client.hears(404).all("Set-Cookie"), ["s=b"])

    def test_hostile(self) -> None:
        """
        Whatever a cookie holds, the request is served.
        """
        talk = self.talk(proxy(http=COOKIE))
        for value in (b"\xff\xfe\x80", b"x" * 3000, b"", b"=;=;", b'"s=b"', b"; s"):
            client = talk.client()
            client.sends(
                b"GET / HTTP/1.1\r\nHost: e\r\nCookie: s=" + value + b"\r\n\r\n"
            )
            server = talk.server()
            server.sends(answer(b"x"))
            self.assertIn(client.hears(200, b"x")["Set-Cookie"], ("s=a", "s=b"))

    def test_retry(self) -> None:
        """
        After a failure the cookie is that of the server that answered.
        """
        talk = self.talk(proxy("proxy_next_upstream http_500;", http=COOKIE))
        client = self.asks(talk, "s=a")
        talk.server().sends(answer(b"", status="500 Bad"))
        talk.server().sends(answer(b"x"))
        self.assertEqual(client.hears(200).all("Set-Cookie"), ["s=b"])

    def test_allFailed(self) -> None:
        """
        Errors of ours have the cookie of the server asked last, error pages too.
        """
        page = "error_page 502 /e; location = /e { return 200 sorry; }"
        for more, status in (("", 502), (page, 502)):
            text = proxy(http=COOKIE).replace("location /", f"{more} location /", 1)
            talk = self.talk(text)
            for address in ("10.0.0.1:80", "10.0.0.2:80"):
                talk.dialer.behaviour[address] = "refuse"
            client = self.asks(talk)
            heard = client.hears(status)
            self.assertEqual(heard.all("Set-Cookie"), ["s=b"])
            # Nobody is left to be asked: there is nothing to tell.
            client = self.asks(talk)
            self.assertEqual(client.hears(status).all("Set-Cookie"), [])

    def test_redirected(self) -> None:
        """
        X-Accel-Redirect keeps it, before what the server set.
        """
        talk = self.talk(
            proxy(http=COOKIE, server="location /i { internal; return 200 i; }")
        )
        client = self.asks(talk)
        talk.server().sends(answer(b"", "X-Accel-Redirect: /i", "Set-Cookie: own=1"))
        self.assertEqual(client.hears(200, b"i").all("Set-Cookie"), ["s=a", "own=1"])

    def test_intercepted(self) -> None:
        """
        An error page instead of the response has it.
        """
        talk = self.talk(
            proxy(
                "proxy_intercept_errors on; error_page 404 /i;",
                http=COOKIE,
                server="location /i { return 200 i; }",
            )
        )
        client = self.asks(talk)
        talk.server().sends(answer(b"", "Set-Cookie: own=1", status="404 No"))
        self.assertEqual(client.hears(404, b"i").all("Set-Cookie"), ["s=a"])

    def test_upgraded(self) -> None:
        """
        101 has it, as every response.
        """
        talk = self.talk(
            proxy(
                "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
                " proxy_set_header Connection upgrade;",
                http=COOKIE,
            )
        )
        client, server = talk.reaches(get("/", "Upgrade: x", "Connection: upgrade"))
        server.sends(
            message("HTTP/1.1 101 Switching", ("Upgrade: x", "Connection: upgrade"))
        )
        self.assertEqual(client.hears(101).all("Set-Cookie"), ["s=a"])
        server.hangsUp()
        client.hangsUp()

    def test_notPassed(self) -> None:
        """
        A request that is not passed on gets no cookie.
        """
        talk = self.talk(proxy(http=COOKIE, server="location /own { return 200 own; }"))
        client = talk.asks(get("/own"))
        self.assertEqual(client.hears(200, b"own").all("Set-Cookie"), [])

    def test_pipelined(self) -> None:
        """
        Each request of a connection has its own.
        """
        talk = self.talk(proxy(http=COOKIE))
        client = talk.client()
        for name in "ab":
            client.sends(get())
            talk.server().sends(answer(b"x"))
            self.assertEqual(client.hears(200).all("Set-Cookie"), [f"s={name}"])


class ConfigurationTests(ConversationCase):
    """
    C{sticky} among other lines.
    """

    def refuses(self, more: str, expected: str) -> None:
        """
        A group with these lines is refused.
        """
        text = proxy(http=upstream(*SERVERS, more=more))
        error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
        self.assertTrue(
            any(expected in each for each in messages(error)), messages(error)
        )

    def test_refused(self) -> None:
        """
        Once in a group; variables must be there; a zone is for one group.
        """
        self.refuses("sticky cookie a; sticky route $uri;", "is duplicate")
        self.refuses("sticky route $uri; sticky_cookie_insert a;", "is duplicate")
        self.refuses("sticky route $nobody;", 'unknown "nobody" variable')
        self.refuses(
            "sticky learn create=$uri lookup=$uri zone=u:1m; zone u 1m;",
            "is already declared for a different use",
        )
        learn = "sticky learn create=$uri lookup=$uri zone=z:1m;"
        text = upstream(*SERVERS, more=learn) + upstream(
            "10.0.0.3", more=learn
        ).replace("upstream u", "upstream v")
        error = self.assertRaises(ConfigError, MemoryHTTP, proxy(http=text), "x")
        self.assertIn('sticky zone "z" is already used in upstream "u"', str(error))

    def test_order(self) -> None:
        """
        A method after C{sticky} is warned of, and C{sticky} is kept.
        """
        talk = self.talk(
            proxy(http=upstream(*SERVERS, more="sticky cookie s; least_conn;"))
        )
        client, server = talk.reaches(get("/", "Cookie: s=b"))
        self.assertEqual(server.name, "10.0.0.2:80")
        server.sends(answer(b"x"))
        client.hears(200)

    def test_drain(self) -> None:
        """
        A draining server keeps its clients, also as the only one.
        """
        text = upstream("10.0.0.1:80 route=a drain", more="sticky cookie s;")
        talk = self.talk(proxy(http=text))
        client = talk.asks(get("/", "Cookie: s=a"))
        talk.server().sends(answer(b"x"))
        client.hears(200)
        client.sends(get())
        client.hears(502)
        talk.noServer()


class LearnTests(ConversationCase):
    """
    C{sticky learn}.
    """

    def learns(self, more: str = "") -> Talk:
        """
        A group that learns from Set-Cookie.
        """
        learn = (
            "sticky learn create=$upstream_cookie_sid lookup=$cookie_sid zone=z:64k"
            f" timeout=60 {more};"
        )
        return self.talk(proxy(http=upstream(*SERVERS, more=f"{learn} keepalive 0;")))

    def visit(self, talk: Talk, sid: str, given: str = "") -> tuple[str, Message]:
        """
        A request with a session, whose server gives another one.
        """
        client, server = talk.reaches(get("/", f"Cookie: sid={sid}"))
        server.sends(
            answer(b"x", *([f"Set-Cookie: SID={given}; Path=/"] if given else []))
        )
        heard = client.hears(200)
        return server.name, heard

    def test_learns(self) -> None:
        """
        The server that gave a session gets it back; clients are told nothing else.
        """
        talk = self.learns()
        name, heard = self.visit(talk, "", "one")
        self.assertEqual(heard.all("Set-Cookie"), ["SID=one; Path=/"])
        for _ in range(3):
            self.assertEqual(self.visit(talk, "one")[0], name)
        talk.passes(61)
        names = {self.visit(talk, "one")[0] for _ in range(2)}
        self.assertEqual(len(names), 2)

    def test_notYet(self) -> None:
        """
        A session is known when its first response has ended; with C{header}, when it
        has begun.
        """
        for more, expected in (("", {"10.0.0.2:80"}), ("header", {"10.0.0.1:80"})):
            talk = self.learns(more)
            client, server = talk.reaches()
            self.assertEqual(server.name, "10.0.0.1:80")
            server.sends(answer(b"1234", "Set-Cookie: sid=one")[:-2])
            client.hearsPart(200, b"12")
            name, _ = self.visit(talk, "one")
            self.assertEqual({name}, expected)
            server.sends(b"34")
            talk.isQuiet()

    def test_otherGroupsFields(self) -> None:
        """
        What an earlier passing of the request was answered is no session of the next.
        """
        learn = "sticky learn create=$upstream_cookie_sid lookup=$uri zone=z:64k;"
        talk = self.talk(
            configuration(
                "location / { proxy_pass http://v; proxy_intercept_errors on;"
                " error_page 404 @next; } location @next { proxy_pass http://u; }",
                upstream(*SERVERS, more=learn) + " upstream v { server 10.0.0.9; }",
            )
        )
        client = talk.asks()
        talk.server().sends(answer(b"", "Set-Cookie: sid=x", status="404 No"))
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.1:80")
        client.hangsUp()
        server.isClosed()
        sessions = [group.layer(StickyLearn) for group in talk.http.groups]
        self.assertEqual([len(each.sessions) for each in sessions if each], [0])


class SessionStickyTests(ConversationCase):
    """
    Tengine's C{session_sticky}.
    """

    def group(self, parameters: str, location: str = "") -> Talk:
        """
        A group with these parameters.
        """
        servers = ("10.0.0.1:80", "10.0.0.2:80")
        return self.talk(
            proxy(
                location,
                http=upstream(*servers, more=f"session_sticky {parameters};"),
            )
        )

    sid = md5(b"10.0.0.2:80").hexdigest()

    def test_insert(self) -> None:
        """
        The cookie is set once; the server gets to see it.
        """
        talk = self.group("")
        client = talk.asks()
        talk.server().sends(answer(b"x", "A: b"))
        first = md5(b"10.0.0.1:80").hexdigest()
        self.assertEqual(
            client.hears(200).fields[-2:],
            [("A", "b"), ("Set-Cookie", f"route={first}; Path=/")],
        )
        client.sends(get("/", f"Cookie: route={self.sid}"))
        server = talk.server()
        self.assertEqual(server.name, "10.0.0.2:80")
        self.assertEqual(server.message()["Cookie"], f"route={self.sid}")
        server.sends(answer(b"x"))
        self.assertEqual(client.hears(200).all("Set-Cookie"), [])

    def test_hidden(self) -> None:
        """
        With C{session_sticky_hide_cookie} the server does not get to see it.
        """
        talk = self.group("option=indirect", "session_sticky_hide_cookie upstream=u;")
        for cookie, seen in (
            (f"a=b; route={self.sid}; c=d", "a=b; c=d"),
            (f"route={self.sid}", None),
        ):
            client, server = talk.reaches(get("/", f"Cookie: {cookie}", "X-After: 1"))
            self.assertEqual(server.name, "10.0.0.2:80")
            heard = server.message()
            self.assertEqual((heard["Cookie"], heard["X-After"]), (seen, "1"))
            server.sends(answer(b"x", "Connection: close"))
            client.hears(200)

    def test_fallbackOff(self) -> None:
        """
        C{fallback=off}: an unknown server is nobody's.
        """
        talk = self.group("fallback=off")
        client = talk.asks(get("/", "Cookie: route=x"))
        client.hears(502)
        talk.noServer()
        client.sends(get())
        talk.server().sends(answer(b"x"))
        client.hears(200)

    def test_label(self) -> None:
        """
        C{hash=plain} uses the servers' C{id}.
        """
        talk = self.talk(
            proxy(
                http=upstream("10.0.0.1:80 id=one", more="session_sticky hash=plain;")
            )
        )
        client = talk.asks()
        talk.server().sends(answer(b"x"))
        self.assertEqual(client.hears(200)["Set-Cookie"], "route=one; Path=/")

    def test_refused(self) -> None:
        """
        What cannot be is told.
        """
        plain = upstream("10.0.0.1:80")
        for location, group, expected in (
            ("session_sticky_hide_cookie upstream=v;", plain, "no session_sticky in"),
            ("session_sticky_hide_cookie upstream=u;", plain, "no session_sticky in"),
            ("session_sticky_hide_cookie u;", plain, 'invalid argument of "u"'),
            ("session_sticky_hide_cookie upstream=;", plain, "invalid upstream name"),
            (
                "",
                upstream("10.0.0.1:80", more="session_sticky; least_conn;"),
                "no other load balancing method",
            ),
            (
                "",
                "upstream u { session_sticky; server 10.0.0.1; server 10.0.0.2 backup; }",
                'does not support parameter "backup"',
            ),
        ):
            text = proxy(location, http=group)
            error = self.assertRaises(ConfigError, MemoryHTTP, text, self.mktemp())
            self.assertIn(expected, str(messages(error)))
