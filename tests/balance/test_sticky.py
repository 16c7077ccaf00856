"""
Tests for L{twisted_upstream.balance.sticky}.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from twisted_upstream.balance.hashing import ConsistentHash, Hash, IpHash
from twisted_upstream.balance.least_time import leastTime
from twisted_upstream.balance.load import leastConn, randomChoice
from twisted_upstream.balance.peer import DOWN, DRAINING, Outcome
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.balance.sticky import sticky, stickyCookieInsert
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.interfaces import IBalancer, IHTTPClient, IPeerGetter, IPeerInit

from .sticking import Browser, StickingCase, StickyLine
from .test_load import Line


class DirectiveTests(StickingCase):
    """
    What C{sticky} may say.
    """

    directive = sticky

    def test_interfaces(self) -> None:
        """
        The plugin and what it makes provide what is asked of them.
        """
        verifyObject(IBalancer, sticky)
        verifyObject(IHTTPClient, Browser())
        for text in ("cookie c", "route $r"):
            init = self.make(text)
            verifyObject(IPeerInit, init)
            verifyObject(IPeerGetter, init.initPeer(Browser()))

    def test_refused(self) -> None:
        """
        Each mistake is told in nginx's words.
        """
        about = '"sticky" directive '
        for text, expected in (
            ("", 'invalid number of arguments in "sticky" directive'),
            ("cookie", 'invalid number of arguments in "sticky" directive'),
            ("route", 'invalid number of arguments in "sticky" directive'),
            ("beacon c", 'unknown parameter "beacon"'),
            ("cookie c max", 'unknown parameter "max"'),
            ("cookie c domain", 'unknown parameter "domain"'),
            ("cookie c secure=1", 'unknown parameter "secure=1"'),
            ("cookie c domain=", about + 'no value for "domain"'),
            ("cookie c path=", about + 'no value for "path"'),
            ("cookie c secure secure", about + 'parameter "secure" is duplicate'),
            ("cookie c path=/ path=/", about + 'parameter "path" is duplicate'),
            ("cookie c expires=", about + 'invalid "expires" parameter value'),
            ("cookie c expires=1x", about + 'invalid "expires" parameter value'),
            (
                "cookie c expires=99999999999999999",
                about + 'invalid "expires" parameter value',
            ),
            ("cookie c samesite=", about + 'invalid "samesite" parameter value'),
            ("cookie c samesite=all", about + 'invalid "samesite" parameter value'),
            ("route $a b", 'invalid variable name "b"'),
        ):
            self.refuses(text, expected)

    def test_onlyHTTP(self) -> None:
        """
        Streams have no cookies, nor other fields.
        """
        expected = '"sticky" directive is not allowed here'
        self.refuses("route $x", expected, place="stream")

    def test_emptyName(self) -> None:
        """
        The cookie needs a name.
        """
        line = StickyLine("cookie x", self.clock)
        line.arguments[1] = ""
        error = self.assertRaises(ConfigError, sticky.peerInit, line, RoundRobin())
        self.assertIn("empty cookie name", str(error))


class FormerNameTests(StickingCase):
    """
    C{sticky_cookie_insert}.
    """

    directive = stickyCookieInsert

    def test_same(self) -> None:
        """
        It is C{sticky cookie}.
        """
        client = Browser({"cookie_c": b"b"})
        self.assertEqual(self.ask(self.make("c path=/x"), client), "b")
        self.assertEqual(client.response(), b"\r\nSet-Cookie: c=b; path=/x")
        self.refuses(
            "", 'invalid number of arguments in "sticky_cookie_insert" directive'
        )


class CookieTests(StickingCase):
    """
    C{sticky cookie}.
    """

    directive = sticky

    def test_field(self) -> None:
        """
        The attributes come in nginx's order; the date has a year of two digits.
        """
        for text, values, expected in (
            ("", {}, b""),
            (
                "path=/x samesite=Lax secure domain=d.example httponly expires=1h",
                {},
                b"; expires=Sun, 09-Sep-01 03:03:20 GMT; max-age=3600"
                b"; domain=d.example; httponly; secure; samesite=Lax; path=/x",
            ),
            (
                "expires=max",
                {},
                b"; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000",
            ),
            ("expires=0", {}, b"; expires=Sun, 09-Sep-01 02:03:20 GMT; max-age=0"),
            (
                "expires=40y",
                {},
                b"; expires=Fri, 30-Aug-2041 02:03:20 GMT; max-age=1261440000",
            ),
            ("domain=$d.example", {"d": b"a"}, b"; domain=a.example"),
            ("domain=$d", {}, b""),
            ("samesite=$s", {"s": b"NONE"}, b"; samesite=NONE"),
            ("samesite=$s", {"s": b"nonsense"}, b"; samesite=strict"),
            ("samesite=$s", {}, b""),
        ):
            self.clock = type(self.clock)()
            client = Browser(values)
            self.assertEqual(self.ask(self.make(f"cookie c {text}"), client), "a")
            self.assertEqual(
                client.response(b"\r\nA: b"),
                b"\r\nSet-Cookie: c=a" + expected + b"\r\nA: b",
            )

    def test_known(self) -> None:
        """
        A client with a cookie goes to its server, and gets the cookie again.
        """
        init = self.make("cookie c")
        for _ in range(4):
            client = Browser({"cookie_c": b"b"})
            self.assertEqual(self.ask(init, client), "b")
            self.assertEqual(client.response(status=404), b"\r\nSet-Cookie: c=b")

    def test_hostile(self) -> None:
        """
        A name that no server has, whatever it is, counts as none.
        """
        for value in (b"x", b"", b"\xff\xfe", b"a" * 100_000, b"a\0", b" a", b"A"):
            init = self.make("cookie c")
            client = Browser({"cookie_c": value})
            self.assertEqual(self.ask(init, client), "a")
            self.assertEqual(client.response(), b"\r\nSet-Cookie: c=a")

    def test_retry(self) -> None:
        """
        With another server the field has another value; it is one field.
        """
        init = self.make("cookie c")
        client = Browser({"cookie_c": b"b"})
        getter = init.initPeer(client)
        self.assertEqual(self.take(getter), "b")
        getter.freePeer(self.peer("b"), Outcome.FAILED)
        self.assertEqual(self.take(getter), "a")
        getter.freePeer(self.peer("a"), Outcome.FAILED)
        self.assertEqual(client.response(), b"\r\nSet-Cookie: c=a")
        self.assertEqual(self.take(getter), "c")
        getter.freePeer(self.peer("c"), Outcome.FAILED)
        self.assertEqual(self.take(getter), "-")
        # Nobody else was chosen.
        self.assertEqual(client.response(), b"\r\nSet-Cookie: c=c")
        self.assertEqual([peer.conns for peer in self.peers], [0, 0, 0])

    def test_nobody(self) -> None:
        """
        A request that reached no server gets no cookie.
        """
        client = Browser()
        self.assertEqual(self.ask(self.make("cookie c", down=DOWN), client), "-")
        self.assertEqual(client.response(b"\r\nA: b"), b"\r\nA: b")

    def test_twoGroups(self) -> None:
        """
        Of two groups that one request is passed to, each has a cookie, in that order.
        """
        client = Browser()
        self.ask(self.make("cookie one"), client)
        self.ask(self.make("cookie two"), client)
        self.assertEqual(
            client.response(), b"\r\nSet-Cookie: one=a\r\nSet-Cookie: two=a"
        )

    def test_draining(self) -> None:
        """
        A draining server gets only requests that ask for it; a dead one gets none.
        """
        init = self.make("cookie c")
        self.peer("b").down = DRAINING
        self.assertEqual([self.ask(init, Browser()) for _ in range(4)], [*"acac"])
        self.assertEqual(self.ask(init, Browser({"cookie_c": b"b"})), "b")
        self.peer("b").down = DOWN
        self.assertNotEqual(self.ask(init, Browser({"cookie_c": b"b"})), "b")

    def test_methods(self) -> None:
        """
        Every method obeys.
        """
        makers: tuple[Callable[[], IPeerInit], ...] = (
            RoundRobin,
            IpHash,
            lambda: Hash(lambda client: b"k"),
            lambda: ConsistentHash(lambda client: b"k"),
            lambda: leastConn.peerInit(Line(), None),
            lambda: randomChoice.peerInit(Line(), None),
            lambda: randomChoice.peerInit(Line("two"), None),
            lambda: randomChoice.peerInit(Line("two", "least_time"), None),
            lambda: leastTime.peerInit(Line("header"), None),
            lambda: leastTime.peerInit(Line("last_byte", "inflight"), None),
        )
        for make in makers:
            for name in "abcd":
                init = self.make("cookie c", "abcd", method=make())
                asked = [
                    self.ask(init, Browser({"cookie_c": name.encode()}))
                    for _ in range(3)
                ]
                self.assertEqual(asked, [name] * 3, repr(init))

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.tuples(
                st.one_of(st.sampled_from([b"a", b"b", b"c", b""]), st.binary()),
                st.lists(st.sampled_from([Outcome.OK, Outcome.NEXT, Outcome.FAILED])),
            ),
            max_size=20,
        )
    )
    def test_accounts(self, requests: list[tuple[bytes, list[int]]]) -> None:
        """
        Whatever clients say and servers do, no attempt stays counted, and the cookie is
        that of the last server asked.
        """
        init = self.make("cookie c", backups="de")
        for value, outcomes in requests:
            client = Browser({"cookie_c": value})
            getter = init.initPeer(client)
            last = b""
            for outcome in outcomes:
                name = self.take(getter)
                if name == "-":
                    break
                last = name.encode()
                getter.freePeer(self.peer(name), outcome)
            expected = b"\r\nSet-Cookie: c=" + last if last else b""
            self.assertEqual(client.response(), expected)
        self.assertEqual([peer.conns for peer in self.peers], [0] * len(self.peers))


class RouteTests(StickingCase):
    """
    C{sticky route}.
    """

    directive = sticky

    def test_firstCounts(self) -> None:
        """
        The first variable that is not empty counts, also if it names nobody.
        """
        init = self.make("route $one $two")
        for values, expected in (
            ({"two": b"b"}, "b"),
            ({"one": b"c", "two": b"b"}, "c"),
            ({"one": b"", "two": b"b"}, "b"),
        ):
            self.assertEqual(self.ask(init, Browser(values)), expected)
        init = self.make("route $one $two")
        self.assertEqual(self.ask(init, Browser({"one": b"x", "two": b"b"})), "a")
        self.assertEqual(self.ask(init, Browser()), "b")

    def test_noTrace(self) -> None:
        """
        Clients are told nothing.
        """
        client = Browser({"one": b"b"})
        self.ask(self.make("route $one"), client)
        self.assertEqual(client.edits, [])

    def test_backup(self) -> None:
        """
        A backup server is asked for in vain as long as others live.
        """
        init = self.make("route $r", "ab", "cd")
        client = Browser({"r": b"d"})
        self.assertEqual(self.ask(init, client), "a")
        for name in "ab":
            self.peer(name).down = DOWN
        self.assertEqual([self.ask(init, client) for _ in range(3)], ["d"] * 3)
