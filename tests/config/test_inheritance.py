"""
Tests of L{twisted_upstream.config.build}: values, and how blocks inherit them.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from tests.config.sample import Core, Group, Pass, build, grammar, location, problems
from twisted_upstream.config.build import Block
from twisted_upstream.config.directive import (
    HTTP_ANY,
    directive,
    number,
)
from twisted_upstream.config.syntax import ConfigError, parse


class ValueTests(SynchronousTestCase):
    """
    What blocks say.
    """

    def test_defaults(self) -> None:
        """
        What nobody said has its default.
        """
        self.assertEqual(location("http { server { } }").of(Core), Core())

    def test_own(self) -> None:
        """
        Each option has the converted value.
        """
        core = (
            build(
                "http { sendfile on; keepalive_timeout 1m; client_max_body_size 2k;"
                " keepalive_requests 3; satisfy ANY; index a b; root $x/y;"
                " add_header a b; add_header c d; }"
            )
            .inner[0]
            .of(Core)
        )
        self.assertEqual(
            (core.sendfile, core.keepaliveTimeout, core.bodySize),
            (True, 60.0, 2048),
        )
        self.assertEqual(
            (core.keepaliveRequests, core.satisfy, core.index), (3, "any", ("a", "b"))
        )
        self.assertEqual(core.headers, (("a", "b"), ("c", "d")))
        assert core.root is not None
        self.assertEqual(core.root.text, "$x/y")

    def test_inherited(self) -> None:
        """
        The nearest block that says something counts, wherever in it that stands.
        """
        core = location(
            "http { server { location / { index c; } sendfile on; index b; }"
            " keepalive_timeout 1; index a; sendfile off; }"
        ).of(Core)
        self.assertEqual(
            (core.index, core.sendfile, core.keepaliveTimeout), (("c",), True, 1.0)
        )

    def test_lists(self) -> None:
        """
        A list is inherited as a whole or not at all.
        """
        outer = "http { add_header a b; add_header c d; server { "
        self.assertEqual(
            location(outer + "sendfile on; } }").of(Core).headers,
            (("a", "b"), ("c", "d")),
        )
        self.assertEqual(
            location(outer + "add_header e f; } }").of(Core).headers, (("e", "f"),)
        )

    def test_names(self) -> None:
        """
        Several directives fill one list in the order of the file.
        """
        self.assertEqual(
            location("http { deny a; allow b; deny c; }").of(Core).rules,
            ("deny a", "allow b", "deny c"),
        )

    def test_private(self) -> None:
        """
        What is not inherited counts in its own block only.
        """
        root = build(
            "http { hidden a; hidden b; server { location / { internal;"
            " location /a { } } } }"
        )
        http = root.inner[0]
        outer = http.inner[0].inner[0]
        inner = outer.inner[0]
        self.assertEqual(http.of(Core).hidden, ("a", "b"))
        self.assertEqual(outer.of(Core).hidden, ())
        self.assertTrue(outer.of(Core).internal)
        self.assertFalse(inner.of(Core).internal)

    def test_places(self) -> None:
        """
        One name in two places is two options.
        """
        http = build(
            "http { keepalive_timeout 1; upstream u { keepalive_timeout 2; } }"
        ).inner[0]
        self.assertEqual(http.of(Core).keepaliveTimeout, 1.0)
        self.assertEqual(http.inner[0].of(Group).keepaliveTimeout, 2.0)
        self.assertEqual(http.of(Group).keepaliveTimeout, 60.0)
        self.assertFalse(http.inner[0].has(Core, "keepaliveTimeout"))

    def test_prefixes(self) -> None:
        """
        One class with two prefixes is two sets of options.
        """
        block = location("http { proxy_read_timeout 1; memcached_read_timeout 2; }")
        self.assertEqual(block.of(Pass, "proxy").timeout, 1.0)
        self.assertEqual(block.of(Pass, "memcached").timeout, 2.0)
        self.assertEqual(block.of(Pass, "fastcgi").timeout, 60.0)

    def test_has(self) -> None:
        """
        A block knows what was said in itself.
        """
        block = location(
            "http { sendfile on; server { index a; proxy_read_timeout 1;"
            " location / { internal; root x; } } }"
        )
        assert block.parent is not None
        self.assertTrue(block.parent.has(Core, "index"))
        self.assertFalse(block.parent.has(Core, "sendfile"))
        self.assertTrue(block.parent.has(Pass, "timeout", "proxy"))
        self.assertFalse(block.parent.has(Pass, "timeout", "memcached"))
        self.assertTrue(block.has(Core, "internal"))
        self.assertTrue(block.has(Core, "root"))
        self.assertFalse(block.has(Core, "index"))

    def test_same(self) -> None:
        """
        Options are made once, and shared where nothing new was said.
        """
        block = location("http { sendfile on; server { location / { } } }")
        assert block.parent is not None
        self.assertIs(block.of(Core), block.of(Core))
        self.assertIs(block.of(Core), block.parent.of(Core))

    def test_nodes(self) -> None:
        """
        A block gives its lines for messages about them.
        """
        block = location("http {\nadd_header a b;\nadd_header c d; }")
        self.assertEqual([node.line for node in block.nodes("add_header")], [2, 3])
        self.assertEqual(block.nodes("index"), ())


class MergedTests(SynchronousTestCase):
    """
    Options that depend on others.
    """

    def test_default(self) -> None:
        """
        A default is made of what is inherited, in each block anew.
        """
        block = location(
            "http { proxy_buffer_size 1k; server { proxy_buffer_size 3k; } }"
        )
        assert block.parent is not None
        self.assertEqual(block.of(Pass, "proxy").busy, 6144)
        self.assertEqual(block.parent.of(Pass, "proxy").busy, 2048)
        self.assertEqual(block.of(Pass, "memcached").busy, 8192)

    def test_refused(self) -> None:
        """
        Values that do not fit together are refused when the configuration is built.
        """
        (found,) = problems(
            "http { server { proxy_buffer_size 8k;\nlocation / {\n"
            "proxy_busy_size 4k; } } }"
        )
        self.assertEqual(str(found), "busy must be larger in x.conf:3")

    def test_outer(self) -> None:
        """
        What stands in C{http} is checked in each server, where it may be mended.
        """
        self.assertEqual(
            problems(
                "http { proxy_busy_size 1k;\n"
                "server { proxy_busy_size 8k; }\nserver { proxy_buffer_size 1k; } }"
            ),
            [],
        )
        found = problems("http { proxy_busy_size 1k;\nserver { } }")
        self.assertEqual([each.line for each in found], [2])

    def test_once(self) -> None:
        """
        A mistake outside is told once, not for every block that inherits it.
        """

        @dataclass(frozen=True, kw_only=True, slots=True)
        class Strict:
            limit: int = directive("limit", HTTP_ANY, number, default=0, doc="")

            def merged(self, block: Block) -> Strict:
                assert block.parent is not None
                raise block.parent.nodes("limit")[0].error("too strict")

        made = grammar()
        made.add(Strict)
        document = parse("http { limit 1; server { } server { } }", "x.conf")
        error = self.assertRaises(ConfigError, made.build, document)
        self.assertEqual(str(error), "too strict in x.conf:1")

    def test_afterMistakes(self) -> None:
        """
        While values cannot be read, nobody asks whether they fit together.
        """
        found = problems("http { server { proxy_busy_size 1k; index; } }")
        self.assertEqual(len(found), 1)
