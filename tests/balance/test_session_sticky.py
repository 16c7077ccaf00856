"""
Tests for L{twisted_upstream.balance.session_sticky} and its cookie.
"""

from __future__ import annotations

from hashlib import md5

from zope.interface.verify import verifyObject

from twisted_upstream.balance.hashing import IpHash
from twisted_upstream.balance.peer import DOWN, DRAINING, Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.session_cookie import parseSettings
from twisted_upstream.balance.session_sticky import SessionSticky, sessionSticky
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.interfaces import IBalancer, IPeerGetter, IPeerInit

from .sticking import NOW, Browser, StickingCase, StickyLine


def sidOf(letter: str) -> bytes:
    """
    What the peer of that name is called.
    """
    return md5(f"{letter}:80".encode()).hexdigest().encode()


class SessionStickyCase(StickingCase):
    """
    Groups with C{session_sticky}.
    """

    directive = sessionSticky

    def visitor(self, init: IPeerInit, cookie: bytes, hidden: bool) -> Browser:
        """
        A client with a cookie.

        @param hidden: is it taken out before the request is passed on?  The Cookie
            field that the server gets is in C{values} then.
        """
        client = Browser({"http_cookie": cookie})
        if hidden:
            assert isinstance(init, SessionSticky)
            fields = init.hide(client, b"\r\nCookie: " + cookie if cookie else b"")
            client.values["http_cookie"] = fields.removeprefix(b"\r\nCookie: ")
        return client

    def talk(
        self,
        init: IPeerInit,
        cookie: bytes = b"",
        answer: bytes = b"",
        hidden: bool = False,
        status: int = 200,
    ) -> tuple[str, bytes]:
        """
        A request: who answers it, and with what fields.
        """
        client = self.visitor(init, cookie, hidden)
        return self.ask(init, client), client.response(answer, status)

    def now(self) -> int:
        """
        Seconds since 1970.
        """
        return int(NOW + self.clock.seconds())


class DirectiveTests(SessionStickyCase):
    """
    What C{session_sticky} may say.
    """

    def test_interfaces(self) -> None:
        """
        The plugin and what it makes provide what is asked of them.
        """
        verifyObject(IBalancer, sessionSticky)
        init = self.make("")
        verifyObject(IPeerInit, init)
        verifyObject(IPeerGetter, init.initPeer(Browser()))

    def test_defaults(self) -> None:
        """
        Without parameters: insert, for the browser's session, by digests, fall back.
        """
        found = parseSettings(())
        self.assertEqual((found.cookie, found.path, found.domain), ("route", "/", ""))
        self.assertEqual((found.mode, found.indirect), ("insert", False))
        self.assertEqual((found.fallback, found.hashed), (True, True))
        self.assertEqual((found.maxIdle, found.maxLife, found.maxAge), (None, None, ""))

    def test_times(self) -> None:
        """
        Either of the two times makes the other endless.
        """
        found = parseSettings(("maxidle=0",))
        self.assertEqual((found.maxIdle, found.maxLife), (0, 2**31 - 1))
        found = parseSettings(("maxlife=60",))
        self.assertEqual((found.maxIdle, found.maxLife), (2**31 - 1, 60))

    def test_refused(self) -> None:
        """
        Each mistake is told.
        """
        for text, expected in (
            ("cookie=", "invalid cookie"),
            ("domain=", "invalid domain"),
            ("path=", "invalid path"),
            ("maxage=1h", "invalid maxage"),
            ("maxage=" + "9" * 5000, "invalid maxage"),
            ("maxidle=-1", "invalid maxidle"),
            ("maxlife=", "invalid maxlife"),
            ("mode=insertXYZ", "invalid mode"),
            ("option=", "invalid option"),
            ("fallback=maybe", "invalid fallback"),
            ("hash=sha1", "invalid hash mode"),
            ("indirect", "invalid argument"),
            ("expires=1", "invalid argument"),
        ):
            self.refuses(text, expected)

    def test_onlyHTTP(self) -> None:
        """
        Streams have no cookies.
        """
        expected = '"session_sticky" directive is not allowed here'
        self.refuses("", expected, place="stream")

    def test_otherMethod(self) -> None:
        """
        There is no other method beside it.
        """
        line = StickyLine("", self.clock)
        error = self.assertRaises(ConfigError, sessionSticky.peerInit, line, IpHash())
        self.assertIn("allows no other load balancing method", str(error))


class ChoiceTests(SessionStickyCase):
    """
    Which server gets a request.
    """

    def test_names(self) -> None:
        """
        Servers are called by digests of their addresses, or plainly by label or name.
        """
        for name, expected in (
            ("127.0.0.1:8081", b"df2b80dc43705d28db9be6f29fe58da3"),
            ("127.0.0.1:8080", b"5958c386bf5e9109ac10d2a628645aea"),
        ):
            init = self.make("")
            assert isinstance(init, SessionSticky)
            peers = [
                Peer(name, ("127.0.0.1", 8081), sid=b"route"),
                Peer("b", "b", label="B"),
            ]
            group = self.make("hash=plain")
            assert isinstance(group, SessionSticky)
            for each in (init, group):
                each.initUpstream(
                    Peers("g", peers, seconds=self.clock.seconds, random=None)  # type: ignore[arg-type]  # not asked
                )
            self.assertEqual(init.names[peers[0]], expected)
            self.assertEqual([*group.peers], [b"B", name.encode()])

    def test_sticks(self) -> None:
        """
        A first visit is balanced; the cookie leads to the same server ten times of ten.
        """
        init = self.make("")
        for letter in "abc":
            name, fields = self.talk(init)
            self.assertEqual(name, letter)
            self.assertEqual(
                fields, b"\r\nSet-Cookie: route=%b; Path=/" % sidOf(letter)
            )
        for _ in range(10):
            self.assertEqual(self.talk(init, b"a=b; route=" + sidOf("b")), ("b", b""))

    def test_unknown(self) -> None:
        """
        A server that is not there: another one, or with C{fallback=off} nobody.
        """
        for cookie in (b"route=x", b"route=\xff", b"route=" + b"a" * 100_000):
            init = self.make("")
            name, fields = self.talk(init, cookie)
            self.assertEqual(name, "a")
            self.assertIn(b"route=" + sidOf("a"), fields)
            init = self.make("fallback=off")
            self.assertEqual(self.talk(init, cookie), ("-", b""))
            self.assertEqual(self.talk(init)[0], "a")

    def test_wholeNames(self) -> None:
        """
        A cookie whose name only contains ours is none of ours.
        """
        init = self.make("")
        for cookie in (b"xroute=", b"routes=", b"Route=", b"a=route="):
            for letter in "abc":
                self.assertEqual(self.talk(init, cookie + sidOf("c"))[0], letter)

    def test_failing(self) -> None:
        """
        After one failure the request goes on elsewhere, and the client is told; with
        C{fallback=off} the same server is asked again.
        """
        cookie = b"route=" + sidOf("b")
        init = self.make("")
        client = self.visitor(init, cookie, False)
        getter = init.initPeer(client)
        self.assertEqual(self.take(getter), "b")
        getter.freePeer(self.peer("b"), Outcome.FAILED)
        self.assertEqual(self.take(getter), "a")
        getter.freePeer(self.peer("a"), Outcome.OK)
        self.assertIn(b"route=" + sidOf("a"), client.response())
        self.assertEqual(len(client.edits), 1)
        # Failures do not keep old sessions away.
        self.assertEqual(self.talk(init, cookie), ("b", b""))

        init = self.make("fallback=off")
        getter = init.initPeer(self.visitor(init, cookie, False))
        for tries in (3, 2, 1):
            self.assertEqual(getter.tries, tries)
            self.assertEqual(self.take(getter), "b")
            getter.freePeer(self.peer("b"), Outcome.FAILED)
        self.assertEqual([peer.conns for peer in self.peers], [0] * len(self.peers))

    def test_closed(self) -> None:
        """
        Servers that are down or full are left, or with C{fallback=off} awaited; a
        draining one is not left.
        """
        cookie = b"route=" + sidOf("b")
        for text, expected in (("", "a"), ("fallback=off", "-")):
            init = self.make(text, maxConns=1)
            self.peer("b").down = DRAINING
            self.assertEqual(self.talk(init, cookie)[0], "b")
            self.peer("b").down = DOWN
            self.assertEqual(self.talk(init, cookie)[0], expected)
            self.peer("b").down = 0
            self.peer("b").conns = 1
            self.assertNotEqual(self.talk(init, cookie)[0], "b")

    def test_backup(self) -> None:
        """
        A backup server has a name of its own, but does not keep sessions.
        """
        init = self.make("", "a", "b")
        self.peer("a").down = DOWN
        name, fields = self.talk(init)
        self.assertEqual(name, "b")
        self.assertIn(sidOf("b"), fields)
        self.peer("a").down = 0
        self.assertEqual(self.talk(init, b"route=" + sidOf("b"))[0], "a")


class InsertTests(SessionStickyCase):
    """
    C{mode=insert}.
    """

    def test_attributes(self) -> None:
        """
        Domain, path, age, in this order; the cookie comes after the server's fields.
        """
        init = self.make("cookie=c path=/p domain=d maxage=60")
        _, fields = self.talk(init, answer=b"\r\nA: b")
        self.assertEqual(
            fields,
            b"\r\nA: b\r\nSet-Cookie: c=%b; Domain=d; Path=/p; Max-Age=60;"
            b" Expires=Sun, 09-Sep-01 02:04:20 GMT" % sidOf("a"),
        )

    def test_failedResponse(self) -> None:
        """
        Errors set no cookie.
        """
        self.assertEqual(self.talk(self.make(""), status=400)[1], b"")
        self.assertNotEqual(self.talk(self.make(""), status=304)[1], b"")

    def test_times(self) -> None:
        """
        With times, the cookie says when the session was used last and began, and is
        renewed with each response; an old one begins anew.
        """
        init = self.make("maxidle=10 maxlife=30 maxage=5")
        began = self.now()

        def cookie(first: int, letter: str) -> bytes:
            times = (sidOf(letter), self.now(), first)
            return b"route=%b|%d|%d" % times

        _, fields = self.talk(init)
        self.assertEqual(fields, b"\r\nSet-Cookie: " + cookie(began, "a") + b"; Path=/")
        for _ in range(3):
            last = cookie(began, "a")
            self.clock.advance(10)
            name, fields = self.talk(init, last)
            self.assertEqual(name, "a")
            self.assertIn(cookie(began, "a"), fields)
        last = cookie(began, "a")
        self.clock.advance(1)
        # It began too long ago.
        name, fields = self.talk(init, last)
        self.assertEqual(name, "b")
        self.assertIn(cookie(self.now(), "b"), fields)
        last = cookie(self.now(), "b")
        self.clock.advance(11)
        # It was used too long ago.
        self.assertEqual(self.talk(init, last)[0], "c")

    def test_badTimes(self) -> None:
        """
        What is no session with times is a first visit.
        """
        init = self.make("maxidle=10", "abcdefghijklm")
        now = self.now()
        sid = sidOf("m")
        for value in (
            sid,
            sid + b"|",
            b"%b|%d" % (sid, now),
            b"%b|%d|" % (sid, now),
            b"%b||%d" % (sid, now),
            b"%b|x|%d" % (sid, now),
            b"%b|%d|%dx" % (sid, now, now),
            b"%b|%d|%d|" % (sid, now, now),
            b"|%d|%d" % (now, now),
            b"%b|%d|%d" % (sid, now + 86401, now),
            b"%b|-1|%d" % (sid, now),
            b"%b|%b|%d" % (sid, b"9" * 10_000, now),
        ):
            name, fields = self.talk(init, b"route=" + value)
            self.assertNotEqual(name, "m", value)
            self.assertIn(b"|%d|%d;" % (now, now), fields, value)
        self.assertEqual(
            self.talk(init, b"route=%b|%d|%d" % (sid, now + 86400, now))[0], "m"
        )

    def test_indirect(self) -> None:
        """
        The server does not get to see the cookie, and its own of that name is replaced.
        """
        init = self.make("option=indirect")
        client = self.visitor(init, b"a=b; route=%b; c=d" % sidOf("b"), True)
        self.assertEqual(client.values["http_cookie"], b"a=b; c=d")
        self.assertEqual(self.ask(init, client), "b")
        self.assertEqual(client.response(), b"")
        answer = b"\r\nset-cookie: routes=1\r\nSet-Cookie: route=x; Path=/x\r\nA: b"
        _, fields = self.talk(init, answer=answer, hidden=True)
        self.assertEqual(
            fields,
            b"\r\nset-cookie: routes=1\r\nSet-Cookie: route=%b; Path=/\r\nA: b"
            % sidOf("a"),
        )

    def test_indirectIllegal(self) -> None:
        """
        Also what is no session is taken out.
        """
        init = self.make("option=indirect maxidle=5")
        client = self.visitor(init, b"route=junk", True)
        self.assertEqual(client.values["http_cookie"], b"")
        self.assertEqual(self.ask(init, client), "a")

    def test_notHidden(self) -> None:
        """
        Where nobody hides it from the server, C{indirect} sets no cookie, but obeys.
        """
        init = self.make("option=indirect")
        self.assertEqual(self.talk(init), ("a", b""))
        self.assertEqual(self.talk(init, b"route=" + sidOf("c"))[0], "c")

    def test_hiddenOnce(self) -> None:
        """
        A request that comes by again is not a first visit.
        """
        init = self.make("option=indirect")
        assert isinstance(init, SessionSticky)
        client = self.visitor(init, b"route=" + sidOf("b"), True)
        self.assertEqual(init.hide(client, b"\r\nA: b"), b"\r\nA: b")
        self.assertEqual(self.ask(init, client), "b")

    def test_direct(self) -> None:
        """
        C{direct} leaves the request as it is.
        """
        init = self.make("")
        cookie = b"a=b; route=" + sidOf("b")
        client = self.visitor(init, cookie, True)
        self.assertEqual(client.values["http_cookie"], cookie)


class PrefixTests(SessionStickyCase):
    """
    C{mode=prefix}.
    """

    def test_roundTrip(self) -> None:
        """
        The client's cookie has the server's name before the value, the server's has
        not.
        """
        init = self.make("cookie=id mode=prefix")
        answer = b"\r\nSet-Cookie: ids=1\r\nSet-Cookie: id=42; HttpOnly\r\nA: b"
        _, fields = self.talk(init, answer=answer, hidden=True)
        self.assertEqual(
            fields, answer.replace(b" id=42", b" id=" + sidOf("a") + b"~42")
        )
        client = self.visitor(init, b"id=%b~42; x=y" % sidOf("a"), True)
        self.assertEqual(client.values["http_cookie"], b"id=42; x=y")
        self.assertEqual(self.ask(init, client), "a")

    def test_none(self) -> None:
        """
        A server without a cookie sets none; a cookie without a prefix says nothing.
        """
        init = self.make("cookie=id mode=prefix")
        self.assertEqual(
            self.talk(init, answer=b"\r\nA: b", hidden=True)[1], b"\r\nA: b"
        )
        client = self.visitor(init, b"id=42", True)
        self.assertEqual(client.values["http_cookie"], b"id=42")
        self.assertEqual(self.ask(init, client), "b")
        # Not hidden: the server would get what it has not set.
        answer = b"\r\nSet-Cookie: id=42"
        self.assertEqual(self.talk(init, answer=answer)[1], answer)


class RewriteTests(SessionStickyCase):
    """
    C{mode=rewrite}.
    """

    def test_rewritten(self) -> None:
        """
        The server's cookie has the server's name for its value; attributes are kept.
        """
        init = self.make("cookie=id mode=rewrite")
        for given, kept in (
            (b"id=42; HttpOnly", b"; HttpOnly"),
            (b"id", b""),
            (b"id=", b""),
            (b"id; Path=/", b"; Path=/"),
        ):
            answer = b"\r\nSet-Cookie: xid=1\r\nSet-Cookie: "
            name, fields = self.talk(init, answer=answer + given + b"\r\nA: b")
            self.assertEqual(fields, answer + b"id=" + sidOf(name) + kept + b"\r\nA: b")
        self.assertEqual(self.talk(init, b"id=" + sidOf("c"))[0], "c")

    def test_none(self) -> None:
        """
        A server without a cookie sets none, and nothing is hidden from it.
        """
        init = self.make("cookie=id mode=rewrite")
        self.assertEqual(self.talk(init, answer=b"\r\nA: b")[1], b"\r\nA: b")
        client = self.visitor(init, b"id=1", True)
        self.assertEqual(client.values["http_cookie"], b"id=1")
