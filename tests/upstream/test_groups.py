"""
Tests for L{twisted_upstream.upstream.groups}.
"""

from __future__ import annotations

from tests.support.conversation import (
    ConversationCase,
    configuration,
    get,
    proxy,
    upstream,
)
from tests.upstream.refusing import RefusingCase


class DefineTests(RefusingCase):
    """
    C{upstream{}} blocks.
    """

    def test_empty(self) -> None:
        """
        A group needs a server, and one that is no backup.
        """
        self.refusesGroup(
            proxy(http="upstream u { }"), "no servers are inside upstream"
        )
        self.refusesGroup(
            proxy(http=upstream("10.0.0.1 backup")), 'no servers in upstream "u"'
        )

    def test_resolve(self) -> None:
        """
        Watched names need a zone and a resolver; services need a name without port.
        """
        for line, more, expected in (
            (
                "x.test resolve",
                "resolver 10.0.0.53;",
                'resolving names at run time requires upstream "u" to be in shared'
                " memory",
            ),
            (
                "x.test resolve",
                "zone z 64k;",
                'no resolver defined to resolve names at run time in upstream "u"',
            ),
            (
                "x.test service=http",
                "",
                'service upstream "x.test" requires "resolve" parameter',
            ),
            (
                "x.test:80 resolve service=http",
                "",
                'service upstream "x.test:80" may not have port',
            ),
            (
                "10.0.0.1 resolve service=http",
                "",
                'service upstream "10.0.0.1" requires domain name',
            ),
            ("x.test resolve service=", "", "service is empty"),
            (
                "x.test resolve backup",
                "zone z 64k; resolver 10.0.0.53;",
                'no servers in upstream "u"',
            ),
        ):
            self.refusesGroup(proxy(http=upstream(line, more=more)), expected)

    def test_resolveAccepted(self) -> None:
        """
        The resolver may be that of C{http}; addresses are not watched and need none.
        """
        for line, more, watched in (
            ("x.test resolve", "zone z 64k;", 1),
            ("x.test resolve service=http", "zone z 64k; resolver_timeout 3s;", 1),
            ("10.0.0.1 resolve", "", 0),
            ("[::1]:80 resolve", "", 0),
            ("unix:/s resolve", "", 0),
        ):
            talk = self.talk(
                proxy(http="resolver 10.0.0.53;" + upstream(line, more=more))
            )
            [group] = talk.http.groups
            self.assertEqual(len(group.watched), watched)

    def test_duplicate(self) -> None:
        """
        A name is given once.
        """
        two = upstream("10.0.0.1") + upstream("10.0.0.2")
        self.refusesGroup(proxy(http=two), 'duplicate upstream "u"')

    def test_unknownHost(self) -> None:
        """
        A host that is unknown is told with its line.
        """
        self.refusesGroup(
            proxy(http=upstream("nowhere.test")),
            'host not found in upstream "nowhere.test"',
        )
        self.refusesGroup(
            configuration("location / { proxy_pass http://nowhere.test; }"),
            'host not found in upstream "nowhere.test"',
        )

    def test_groupWithPort(self) -> None:
        """
        A group is meant by its name alone.
        """
        self.refusesGroup(
            configuration(
                "location / { proxy_pass http://u:81; }", upstream("10.0.0.1")
            ),
            'upstream "u" may not have port 81',
        )

    def test_defaultPort(self) -> None:
        """
        A server without a port has the scheme's.
        """
        talk = self.talk(proxy(http=upstream("backend")))
        client = talk.client()
        client.sends(get())
        self.assertEqual(talk.server().name, "10.0.0.1:80")

    def test_unix(self) -> None:
        """
        A server may be a unix socket.
        """
        talk = self.talk(proxy(http=upstream("unix:/run/app.sock")))
        client = talk.client()
        client.sends(get())
        server = talk.server()
        self.assertEqual(server.name, "unix:/run/app.sock")
        self.assertEqual(server.message()["Host"], "u")

    def test_shared(self) -> None:
        """
        Two locations that name the same address share its counts.
        """
        talk = self.talk(
            configuration(
                "location /a { proxy_pass http://10.0.0.1; }"
                "location /b { proxy_pass http://10.0.0.1:80; }"
            )
        )
        self.assertEqual(len(talk.http.groups), 1)


class HealthScopeTests(ConversationCase):
    """
    C{health_scope}
    """

    def test_address(self) -> None:
        """
        Groups that say C{address} share what they know of a server; others do not.
        """
        blocks = "".join(
            f"upstream {name} {{ {scope} server 10.0.0.1; server 10.0.0.{index}; }}"
            for index, (name, scope) in enumerate(
                (
                    ("one", "health_scope address;"),
                    ("two", "health_scope address;"),
                    ("three", "health_scope group;"),
                    ("u", ""),
                ),
                2,
            )
        )
        talk = self.talk(proxy(http=blocks))
        first = {group.host: group.peers.peers[0] for group in talk.http.groups}
        first["one"].fails = 1
        self.assertEqual(
            {name: first[name].fails for name in ("one", "two", "three", "u")},
            {"one": 1, "two": 1, "three": 0, "u": 0},
        )


class AdoptTests(ConversationCase):
    """
    Groups with watched names, after a reload.
    """

    def group(self, name: str, zone: str) -> str:
        """
        An C{upstream{}} block.
        """
        return (
            f"upstream {name} {{ zone {zone} 64k; resolver 10.0.0.53;"
            " server x.test resolve; }"
        )

    def test_adopt(self) -> None:
        """
        Addresses go to the group of the same name and zone.
        """
        old, new = (
            self.talk(configuration("return 200;", "".join(groups))).http
            for groups in (
                [self.group(f"u{n}", "z") for n in range(3)],
                [self.group("u0", "z"), self.group("u1", "y"), self.group("u3", "z")],
            )
        )
        old.reactor.passes(0.01)
        old.names.says("x.test", "10.0.0.1", until=99)
        new.build.groups.adopt(old.build.groups)
        self.assertEqual(
            [[peer.name for peer in group.peers.peers] for group in new.groups],
            [["10.0.0.1:80"], [], []],
        )
