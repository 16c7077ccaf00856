"""
Tests of L{twisted_upstream.config.build}: blocks, and grammars.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.sample import (
    Blocks,
    Core,
    Group,
    Pass,
    build,
    grammar,
    location,
    problems,
)
from twisted_upstream.config.directive import (
    Where,
    directive,
    flag,
)
from twisted_upstream.config.syntax import parse


class BlockTests(SynchronousTestCase):
    """
    Blocks within blocks.
    """

    def test_inner(self) -> None:
        """
        Inner blocks come in order of the file, with their words converted.
        """
        http = build(
            "http { upstream u { } server { location /a { } location /b { } } }"
        ).inner[0]
        self.assertEqual(
            [(each.node.name, each.value, each.where) for each in http.inner],
            [("upstream", "u", Where.UPSTREAM), ("server", True, Where.SERVER)],
        )
        self.assertEqual([each.value for each in http.inner[1].inner], ["/a", "/b"])
        self.assertIs(http.inner[1].inner[0].parent, http.inner[1])
        self.assertEqual(http.of(Blocks).groups, ("u",))

    def test_notInherited(self) -> None:
        """
        A block's blocks are its own.
        """
        server = build("http { server { location /a { } } }").inner[0].inner[0]
        self.assertEqual(server.of(Blocks).locations, ("/a",))
        self.assertEqual(server.inner[0].of(Blocks).locations, ())
        self.assertEqual(server.of(Blocks).servers, ())

    def test_raw(self) -> None:
        """
        A block with lines of its own kind is read by its directive, and inherited.
        """
        server = location("http { types { text/html html htm; x y; } server { } }")
        self.assertEqual(
            server.of(Blocks).types, (("text/html", "html", "htm"), ("x", "y"))
        )
        self.assertEqual(server.where, Where.SERVER)

    def test_root(self) -> None:
        """
        The main level is a block without a parent.
        """
        root = build("http { }")
        self.assertIsNone(root.parent)
        self.assertEqual((root.where, root.node.name), (Where.MAIN, ""))
        self.assertIn("main", repr(root))

    def test_deep(self) -> None:
        """
        Blocks may be as deep as the parser lets them.
        """
        source = "http { server {" + " location / {" * 98 + "}" * 100
        self.assertEqual(location(source).of(Core), Core())


class GrammarTests(SynchronousTestCase):
    """
    L{Grammar}.
    """

    def test_again(self) -> None:
        """
        Adding a class again changes nothing.
        """
        made = grammar()
        before = list(made.directives())
        made.add(Core)
        made.add(Pass, "proxy")
        self.assertEqual(list(made.directives()), before)

    def test_conflict(self) -> None:
        """
        A directive cannot mean two things in one place, and a class that tries is not
        added at all.
        """

        @dataclass(frozen=True, kw_only=True, slots=True)
        class Rival:
            new: bool = directive("brand_new", Where.HTTP, flag, default=True, doc="")
            index: bool = directive("index", Where.HTTP, flag, default=True, doc="")

        made = grammar()
        with self.assertRaises(ValueError) as caught:
            made.add(Rival)
        self.assertEqual(
            str(caught.exception), '"index" is both Core.index and Rival.index in http'
        )
        self.assertEqual(made.named("brand_new"), ())

    def test_directives(self) -> None:
        """
        The directives are listed by name; those of one name by their places.
        """
        made = grammar()
        names = [each.name for each in made.directives()]
        self.assertIn("memcached_read_timeout", names)
        self.assertEqual(names.count("keepalive_timeout"), 2)
        self.assertEqual(
            [each.options for each in made.named("keepalive_timeout")], [Core, Group]
        )
        self.assertIn("internal", made.at(Where.LOCATION))
        self.assertNotIn("internal", made.at(Where.HTTP))

    def test_two(self) -> None:
        """
        Two configurations of one grammar do not know of each other.
        """
        made = grammar()
        first = made.build(parse("http { sendfile on; }", "x"))
        second = made.build(parse("http { }", "x"))
        self.assertTrue(first.inner[0].of(Core).sendfile)
        self.assertFalse(second.inner[0].of(Core).sendfile)

    @given(
        st.lists(
            st.sampled_from(
                "http server location types sendfile on index add_header root $a $ 1k"
                " keepalive_timeout upstream internal proxy_busy_size proxy_buffer_size"
                " gzip xyz { } { } ; ; ; / '' \udcff".split(" ")
            ),
            max_size=30,
        )
    )
    def test_anyWords(self, tokens: list[str]) -> None:
        """
        Whatever is written, it is built or refused with a L{ConfigError}.
        """
        for problem in problems(" ".join(tokens)):
            problem.pretty()

    def test_everyCut(self) -> None:
        """
        A configuration that ends too early, wherever, is refused with a L{ConfigError}
        that names a line it has.
        """
        source = (
            '# a\nhttp {\n add_header \'x y\' "${z}\\""; # b\n types { a b; }\n'
            " server {\n  location /\\n {\n root $a;\n }\n }\n}\n"
        )
        self.assertEqual(problems(source), [])
        for cut in range(len(source)):
            for problem in problems(source[:cut]):
                self.assertLessEqual(problem.line, source.count("\n", 0, cut) + 1)
                problem.pretty()

    def test_fast(self) -> None:
        """
        A thousand lines take a small part of a second.
        """
        line = "  location /a {\n index a b;\n root /x/$host;\n proxy_read_timeout 5s;\n}\n"
        source = "http {\nserver {\n" + line * 200 + "}\n}\n"
        made = grammar()
        best = 1.0
        for _ in range(3):
            start = time.perf_counter()
            root = made.build(parse(source, "x.conf"))
            for each in root.inner[0].inner[0].inner:
                each.of(Core)
                each.of(Pass, "proxy")
            best = min(best, time.perf_counter() - start)
        # A tenth of a second is asked for; slow machines get more, loops do not.
        self.assertLess(best, 0.5)
