"""
Tests of L{twisted_upstream.config.build}.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.build import MAX_SUGGESTIONS, Block, Grammar
from twisted_upstream.config.directive import (
    HTTP_ANY,
    InvalidValue,
    Where,
    directive,
    flag,
    nothing,
    number,
    oneOf,
    seconds,
    size,
    template,
    text,
    words,
)
from twisted_upstream.config.syntax import ConfigError, Node, Problem, parse
from twisted_upstream.config.values import Template, parseTemplate


def pair(node: Node) -> tuple[str, str]:
    """
    A converter that has something to say of each of its arguments.
    """
    if node.words[0] == node.words[1]:
        raise node.error("twins", word=1, hint="take another")
    if node.words[0] == "odd":
        raise ValueError("is odd")
    if node.words[0] == "empty":
        raise ValueError
    if node.words[1] == "no":
        raise InvalidValue("no", 'it must be "yes"', "say yes")
    if node.words[0] == "old":
        node.warning("this is old")
    parseTemplate(node.words[1])
    return node.words[0], node.words[1]


def rawLines(node: Node) -> tuple[tuple[str, ...], ...]:
    """
    The lines of a block that nobody else looks at.
    """
    return tuple((line.name, *line.words) for line in node.block or ())


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """
    What has braces.
    """

    pid: str = directive("pid", Where.MAIN, text, default="", doc="")
    http: bool = directive(
        "http", Where.MAIN, nothing, default=False, opens=Where.HTTP, doc=""
    )
    stream: bool = directive(
        "stream", Where.MAIN, nothing, default=False, opens=Where.STREAM, doc=""
    )
    servers: tuple[bool, ...] = directive(
        "server",
        Where.HTTP,
        nothing,
        default=(),
        repeat=True,
        opens=Where.SERVER,
        doc="",
    )
    locations: tuple[str, ...] = directive(
        "location",
        Where.SERVER | Where.LOCATION,
        text,
        default=(),
        repeat=True,
        opens=Where.LOCATION,
        doc="",
    )
    groups: tuple[str, ...] = directive(
        "upstream",
        Where.HTTP,
        text,
        default=(),
        repeat=True,
        opens=Where.UPSTREAM,
        doc="",
    )
    types: tuple[tuple[str, ...], ...] = directive(
        "types",
        HTTP_ANY,
        rawLines,
        arity=(0, 0),
        default=(),
        opens=Where.RAW,
        doc="",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Core:
    """
    Options of all kinds.
    """

    sendfile: bool = directive("sendfile", HTTP_ANY, flag, default=False, doc="")
    keepaliveTimeout: float = directive(
        "keepalive_timeout", HTTP_ANY, seconds, default=75.0, doc=""
    )
    bodySize: int = directive(
        "client_max_body_size", HTTP_ANY, size, default=1 << 20, doc=""
    )
    keepaliveRequests: int = directive(
        "keepalive_requests", HTTP_ANY, number, default=1000, doc=""
    )
    satisfy: str = directive(
        "satisfy", HTTP_ANY, oneOf("all", "any"), default="all", doc=""
    )
    index: tuple[str, ...] = directive("index", HTTP_ANY, words, default=(), doc="")
    root: Template | None = directive("root", HTTP_ANY, template, default=None, doc="")
    headers: tuple[tuple[str, str], ...] = directive(
        "add_header", HTTP_ANY, pair, arity=(2, 2), default=(), repeat=True, doc=""
    )
    rules: tuple[str, ...] = directive(
        ("allow", "deny"),
        HTTP_ANY,
        lambda node: f"{node.name} {node.words[0]}",
        default=(),
        repeat=True,
        doc="",
    )
    internal: bool = directive(
        "internal", Where.LOCATION, nothing, default=False, inherit=False, doc=""
    )
    hidden: tuple[str, ...] = directive(
        "hidden", HTTP_ANY, text, default=(), repeat=True, inherit=False, doc=""
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """
    What C{upstream} has in common with C{http}, by name.
    """

    keepaliveTimeout: float = directive(
        "keepalive_timeout", Where.UPSTREAM, seconds, default=60.0, doc=""
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """
    Options with a prefix, one of which depends on another.
    """

    timeout: float = directive(
        "*_read_timeout", HTTP_ANY, seconds, default=60.0, doc=""
    )
    buffer: int = directive("*_buffer_size", HTTP_ANY, size, default=4096, doc="")
    busy: int = directive("*_busy_size", HTTP_ANY, size, default=0, doc="")

    def merged(self, block: Block) -> Pass:
        if self.busy and self.busy < self.buffer:
            lines = block.nodes("proxy_busy_size") or block.nodes("proxy_buffer_size")
            raise (lines or (block.node,))[0].error("busy must be larger")
        return replace(self, busy=self.busy or 2 * self.buffer)


def grammar() -> Grammar:
    """
    All of the above.
    """
    made = Grammar()
    made.add(Blocks)
    made.add(Core)
    made.add(Group)
    made.add(Pass, "proxy")
    made.add(Pass, "memcached")
    return made


def build(source: str) -> Block:
    """
    The main level of a configuration.
    """
    return grammar().build(parse(source, "x.conf"))


def location(source: str) -> Block:
    """
    The innermost first block of a configuration.
    """
    block = build(source)
    while block.inner:
        block = block.inner[0]
    return block


def problems(source: str, path: str = "x.conf") -> list[Problem]:
    """
    What is wrong with a configuration.
    """
    try:
        grammar().build(parse(source, path))
    except ConfigError as e:
        return list(e.problems)
    return []


def inHTTP(source: str) -> Problem:
    """
    The only thing that is wrong with a line of C{http}.
    """
    (found,) = problems(f"http {{\n{source}\n}}")
    return found


class MessageTests(SynchronousTestCase):
    """
    What is wrong with a directive, in nginx's words.
    """

    def complains(
        self, source: str, message: str, *, column: int = 1, hint: str | None = None
    ) -> None:
        """
        The line has this mistake in this column.
        """
        found = inHTTP(source)
        self.assertEqual(str(found), f"{message} in x.conf:2")
        self.assertEqual((found.level, found.column), ("emerg", column))
        if hint is not None:
            self.assertEqual(found.hint, hint)

    def test_unknown(self) -> None:
        """
        A directive that nobody knows is unknown; one like it is suggested.
        """
        self.complains(
            "sendfiel on;",
            'unknown directive "sendfiel"',
            hint='did you mean "sendfile"?',
        )
        self.complains("xyzzy;", 'unknown directive "xyzzy"', hint="")

    def test_suggestsWhatIsAllowed(self) -> None:
        """
        Only directives of this place are suggested.
        """
        self.complains("internl;", 'unknown directive "internl"', hint="")

    def test_notSupported(self) -> None:
        """
        A directive of nginx that is not here names its module.
        """
        self.complains(
            "slice 1m;",
            '"slice" directive of nginx\'s ngx_http_slice_filter_module is not supported',
        )

    def test_notSupportedInStream(self) -> None:
        """
        That http has a directive does not mean that stream has.
        """
        (found,) = problems("stream { allow all; }")
        self.assertEqual(
            found.message,
            '"allow" directive of nginx\'s ngx_stream_access_module is not supported',
        )
        (found,) = problems("stream { sendfile on; }")
        self.assertEqual(found.message, '"sendfile" directive is not allowed here')

    def test_notHere(self) -> None:
        """
        A directive that belongs elsewhere is not allowed; the hint says where it is.
        """
        self.complains(
            "internal;",
            '"internal" directive is not allowed here',
            hint="it belongs in: location",
        )

    def test_arguments(self) -> None:
        """
        The number of arguments is checked; the hint says what it should be.
        """
        for line, hint in [
            ("sendfile;", "it takes 1 argument"),
            ("sendfile on off;", "it takes 1 argument"),
            ("add_header a;", "it takes 2 arguments"),
            ("index;", "it takes at least 1 argument"),
            ("types x { }", "it takes no arguments"),
        ]:
            name = line.split()[0].rstrip(";")
            self.complains(
                line, f'invalid number of arguments in "{name}" directive', hint=hint
            )

    def test_block(self) -> None:
        """
        A directive without a block has none, and one with a block must have it.
        """
        self.complains(
            "sendfile on { a; }", 'directive "sendfile" is not terminated by ";"'
        )
        self.complains("server;", 'directive "server" has no opening "{"')

    def test_duplicate(self) -> None:
        """
        What can be said once is not said twice; the hint names the first line.
        """
        (found,) = problems("http {\nsendfile on;\nsendfile on; }")
        self.assertEqual(str(found), '"sendfile" directive is duplicate in x.conf:3')
        self.assertEqual(found.hint, "it was given in x.conf:2")

    def test_duplicateAfterMistake(self) -> None:
        """
        A second line is a duplicate even if the first one is wrong.
        """
        self.assertEqual(
            [each.message for each in problems("http { sendfile x; sendfile on; }")],
            [
                'invalid value "x" in "sendfile" directive, it must be "on" or "off"',
                '"sendfile" directive is duplicate',
            ],
        )

    def test_duplicateBlock(self) -> None:
        """
        There is one C{http}.
        """
        (found,) = problems("http { }\nhttp { }")
        self.assertEqual(str(found), '"http" directive is duplicate in x.conf:2')

    def test_flag(self) -> None:
        """
        A flag that is none.
        """
        self.complains(
            "sendfile maybe;",
            'invalid value "maybe" in "sendfile" directive, it must be "on" or "off"',
            column=10,
        )

    def test_values(self) -> None:
        """
        Values that cannot be converted.
        """
        for line, reason in [
            ("keepalive_requests -1;", "invalid number"),
            ("client_max_body_size 1x;", "invalid value"),
            ("keepalive_timeout 1y;", "invalid value"),
        ]:
            name = line.split()[0]
            self.complains(line, f'"{name}" directive {reason}', column=len(name) + 2)

    def test_choice(self) -> None:
        """
        A word that is none of the known ones.
        """
        self.complains(
            "satisfy some;",
            'invalid value "some"',
            column=9,
            hint="it must be one of: all, any",
        )

    def test_template(self) -> None:
        """
        A C{$} without a name, whatever converter meets it.
        """
        message = 'invalid variable name in "/a$"'
        self.complains("root /a$;", message, column=6)
        self.complains("add_header a /a$;", message, column=14)

    def test_ownErrors(self) -> None:
        """
        Converters have errors of their own.
        """
        self.complains("add_header a a;", "twins", column=14, hint="take another")
        self.complains("add_header odd b;", '"add_header" directive is odd')
        self.complains("add_header empty b;", '"add_header" directive invalid value')
        self.complains(
            "add_header a no;",
            'invalid value "no" in "add_header" directive, it must be "yes"',
            column=14,
            hint="say yes",
        )

    def test_missingSemicolon(self) -> None:
        """
        A directive that took the next line for arguments gets a hint.
        """
        (found,) = problems("http {\n  sendfile on\n  index a;\n}")
        self.assertEqual(
            str(found),
            'invalid number of arguments in "sendfile" directive in x.conf:2',
        )
        self.assertEqual(found.hint, 'is a ";" missing at the end of line 2?')

    def test_manyLines(self) -> None:
        """
        Arguments on several lines that are no directives get no such hint.
        """
        (found,) = problems("http {\n  sendfile on\n  off;\n}")
        self.assertEqual(found.hint, "it takes 1 argument")

    def test_commandLine(self) -> None:
        """
        Mistakes of C{-g} name no line; C{-g} and the file are one configuration.
        """
        (found,) = problems("sendfile on;", "command line")
        self.assertEqual(
            str(found), '"sendfile" directive is not allowed here in command line'
        )
        whole = parse("pid a;", "command line") + parse("\npid b;", "x.conf")
        error = self.assertRaises(ConfigError, grammar().build, whole)
        (found,) = error.problems
        self.assertEqual(str(found), '"pid" directive is duplicate in x.conf:2')
        self.assertEqual(found.hint, "it was given on the command line")

    def test_order(self) -> None:
        """
        All mistakes are told in the order of the file, inner blocks included.
        """
        found = problems(
            "http {\n sendfile x;\n server y {\n  rot /;\n  location / {\n"
            "   index;\n  }\n  what { is; this; }\n }\n sendfile on off;\n}\nmail;"
        )
        self.assertEqual(
            [(each.line, each.column) for each in found],
            [(2, 11), (3, 2), (4, 3), (6, 4), (8, 3), (10, 2), (12, 1)],
        )

    def test_manyUnknown(self) -> None:
        """
        A file of something else is refused without a guess at every line.
        """
        found = problems("htp;\n" * 3000)
        self.assertEqual(len(found), 3000)
        self.assertEqual(len([each for each in found if each.hint]), MAX_SUGGESTIONS)


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


class WarningTests(SynchronousTestCase):
    """
    What is worth a word.
    """

    def test_collected(self) -> None:
        """
        Warnings of converters do not stop anything; the grammar has them.
        """
        made = grammar()
        made.build(parse("http {\nadd_header old b; }", "x.conf"))
        self.assertEqual([str(w) for w in made.warnings], ["this is old in x.conf:2"])
        self.assertEqual(made.warnings[0].level, "warn")

    def test_anew(self) -> None:
        """
        Each configuration has its own warnings.
        """
        made = grammar()
        made.build(parse("http { add_header old b; }", "x.conf"))
        earlier = made.warnings
        made.build(parse("http { }", "x.conf"))
        self.assertEqual((len(earlier), made.warnings), (1, []))


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
