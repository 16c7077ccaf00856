"""
Tests of L{twisted_upstream.config.syntax}.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import SkipTest

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.config.reference import readDirective
from tests.support.nginx import findNginx
from twisted_upstream.config.syntax import ConfigError, Document, Node, Problem, parse

#: Characters that mean something, and some that do not: hardly ever a configuration.
nasty = st.text(alphabet="ab\"'\\;{}$# \t\r\n()nté", max_size=40)

#: Pieces that fit together often enough to make whole configurations.
pieces = st.lists(
    st.sampled_from(
        [
            *("a", "b c", " ", "\n", "\t", "\r\n", "é", "(", ")", "}", "#", " # ;\n"),
            *("$", "$a", "${", "${a}", "${{", "$\\{", '" ${ "', "$$"),
            *("\\'", '\\"', "\\\\", "\\n", "\\t", "\\r", "\\x", "\\;", "\\{", "\\ "),
            *(" 'a'", ' "b;{}#"', " 'c')", ' "d\\"e\\\'f"', " ''", " '\n'", "'", '"'),
        ]
    ),
    max_size=8,
).map("".join)

#: Directives of such pieces, most of them with an end.
configurations = st.lists(
    st.one_of(
        pieces.map(lambda words: f"a{words};"),
        pieces.map(lambda words: f"b {words} ;"),
        pieces.map(lambda words: f"c {words} {{ d; }}"),
        pieces.map(lambda words: f"e{words}{{}}"),
        pieces,
    ),
    max_size=4,
).map("".join)


def problems(text: str, path: str = "x.conf", **files: str) -> list[Problem]:
    """
    What is wrong with a configuration.
    """
    try:
        parse(text, path, Including(**files))
    except ConfigError as e:
        return list(e.problems)
    return []


def messages(text: str, path: str = "x.conf", **files: str) -> list[str]:
    """
    nginx's lines for all that is wrong with a configuration.
    """
    return [str(problem) for problem in problems(text, path, **files)]


class Including:
    """
    An C{include} over files in memory: C{a_conf} is C{a.conf}; a pattern C{x*} matches
    by its beginning.
    """

    def __init__(self, **files: str) -> None:
        self._files = {name.replace("_", "."): text for name, text in files.items()}
        self.asked: list[str] = []

    def __call__(self, pattern: str, node: Node) -> Sequence[tuple[str, str]]:
        self.asked.append(pattern)
        if pattern.endswith("*"):
            return [
                (name, text)
                for name, text in sorted(self._files.items())
                if name.startswith(pattern[:-1])
            ]
        if pattern not in self._files:
            return ()
        return [(pattern, self._files[pattern])]


def outline(nodes: Sequence[Node]) -> list[object]:
    """
    Nodes as lists of words; a block is a list after them.
    """
    lines: list[object] = []
    for node in nodes:
        lines.append([node.name, *node.words])
        if node.block is not None:
            lines.append(outline(node.block))
    return lines


def words(text: str) -> list[str]:
    """
    The words of the only directive in a text.
    """
    (node,) = parse(text, "x.conf").nodes
    return [node.name, *node.words]


class TokenTests(SynchronousTestCase):
    """
    Characters to words.
    """

    def test_spaces(self) -> None:
        """
        Space, tab, CR and LF separate words.
        """
        self.assertEqual(words("a b\tc\rd\ne;"), ["a", "b", "c", "d", "e"])

    def test_otherSpaces(self) -> None:
        """
        No other white space does.
        """
        self.assertEqual(words("a\vb c\f\xa0d;"), ["a\vb", "c\f\xa0d"])

    def test_blocks(self) -> None:
        """
        Braces make blocks, empty ones as well.
        """
        document = parse("a { b; c d { } } e;", "x.conf")
        self.assertEqual(
            outline(document.nodes), [["a"], [["b"], ["c", "d"], []], ["e"]]
        )
        self.assertIsNone(document.nodes[1].block)

    def test_comments(self) -> None:
        """
        C{#} begins a comment where a word could begin, and nowhere else.
        """
        self.assertEqual(words("# x;\na # } {\nb#c #\n;#"), ["a", "b#c"])

    def test_quotes(self) -> None:
        """
        Quotes keep everything together, line feeds included; words may be empty.
        """
        self.assertEqual(
            words('a "b c" \'d;{}#\n\' "" \'"\';'), ["a", "b c", "d;{}#\n", "", '"']
        )

    def test_quotesInside(self) -> None:
        """
        Inside a word, quotes are letters.
        """
        self.assertEqual(words("a b'c d\"e;"), ["a", "b'c", 'd"e'])

    def test_escapes(self) -> None:
        """
        Quotes and backslashes lose a backslash, C{trn} are controls, others keep it.
        """
        self.assertEqual(
            words(r"""a \"\'\\ \t\r\n \a\; "\"\x\.";"""),
            ["a", "\"'\\", "\t\r\n", "\\a\\;", '"\\x\\.'],
        )

    def test_variables(self) -> None:
        """
        C{${} belongs to a word; other braces open a block.
        """
        self.assertEqual(words("a ${b}c$d $;"), ["a", "${b}c$d", "$"])
        self.assertEqual(
            outline(parse("a $b{c;}", "x.conf").nodes), [["a", "$b"], [["c"]]]
        )

    def test_closingBrace(self) -> None:
        """
        C{}} inside a word is a letter.
        """
        self.assertEqual(words("a b};"), ["a", "b}"])

    def test_afterQuote(self) -> None:
        """
        A parenthesis may follow a quoted word, and begins the next one.
        """
        self.assertEqual(
            outline(parse('if ($a = "b") { }', "x.conf").nodes),
            [["if", "($a", "=", "b", ")"], []],
        )

    def test_quotedName(self) -> None:
        """
        The name of a directive may be quoted.
        """
        self.assertEqual(words("'a b' c;"), ["a b", "c"])

    def test_places(self) -> None:
        """
        Every word knows its line and column.
        """
        (outer,) = parse("a\n  'b' {\n\tc d\n e;}", "x.conf").nodes
        assert outer.block is not None
        (inner,) = outer.block
        self.assertEqual((outer.line, outer.column, outer.places), (1, 1, ((2, 3),)))
        self.assertEqual(
            (inner.line, inner.column, inner.places), (3, 2, ((3, 4), (4, 2)))
        )

    def test_surrogates(self) -> None:
        """
        Bytes that are no UTF-8 come through unharmed.
        """
        raw = b"a \xff\xc3\xa9;"
        (word,) = words(raw.decode("utf-8", "surrogateescape"))[1:]
        self.assertEqual(word.encode("utf-8", "surrogateescape"), b"\xff\xc3\xa9")

    @settings(max_examples=1000, deadline=None)
    @example("a \\")
    @example('a "\\')
    @given(st.one_of(configurations, configurations, nasty))
    def test_likeTheTable(self, text: str) -> None:
        """
        The words and the first mistake are those of the table of states.
        """
        expected: list[list[str]] = []
        depth = 0
        position = 0
        mistake: tuple[str, int] | None = None
        while mistake is None:
            found = readDirective(text, position)
            position = found.position
            if found.end == "error":
                mistake = found.message, found.line
            elif found.end == "":
                if depth:
                    message = 'unexpected end of file, expecting "}"'
                    mistake = message, 1 + text.count("\n")
                break
            elif found.end == "}":
                depth -= 1
                if depth < 0:
                    mistake = 'unexpected "}"', 1 + text.count("\n", 0, position)
            else:
                depth += found.end == "{"
                expected.append(found.words)
        try:
            document = parse(text, "x.conf")
        except ConfigError as e:
            first = e.problems[0]
            self.assertEqual((first.message, first.line), mistake)
        else:
            self.assertIsNone(mistake)
            self.assertEqual(flat(document.nodes), expected)

    @given(st.binary(max_size=80), st.sampled_from(["x.conf", "command line"]))
    def test_anyBytes(self, data: bytes, path: str) -> None:
        """
        Whatever is in a file, it is read or refused with a L{ConfigError}.
        """
        try:
            document = parse(data.decode("utf-8", "surrogateescape"), path)
        except ConfigError as e:
            for problem in e.problems:
                problem.pretty()
        else:
            self.assertIsInstance(document, Document)

    @given(nasty, nasty)
    def test_anyInclude(self, outer: str, inner: str) -> None:
        """
        Whatever is in an included file, reading it ends.
        """
        text = f"include a.conf; {outer} ; include a.conf;"
        for problem in problems(text, a_conf=f"{inner} include b.conf;", b_conf=inner):
            self.assertIn(problem.path, ("x.conf", "a.conf", "b.conf"))

    def test_manyWords(self) -> None:
        """
        A large file takes no more than its size: nothing is searched twice.
        """
        text = "a" + " b$c${d}'e\\;" * 50_000 + ";"
        self.assertEqual(len(words(text)), 50_001)

    def test_openQuotes(self) -> None:
        """
        A file full of backslashes and quotes without an end is refused as soon.
        """
        found = messages("a '" + "\\'" * 200_000)
        self.assertIn("too long parameter, probably missing terminating", found[0])


def flat(nodes: Sequence[Node]) -> list[list[str]]:
    """
    The words of all nodes in order of the file.
    """
    lines: list[list[str]] = []
    for node in nodes:
        lines.append([node.name, *node.words])
        lines += flat(node.block or ())
    return lines


class MistakeTests(SynchronousTestCase):
    """
    Words that cannot be, with nginx's messages.
    """

    def test_afterQuote(self) -> None:
        """
        A letter after a quoted word is unexpected.
        """
        (found,) = problems("a 'b'c;")
        self.assertEqual(str(found), 'unexpected "c" in x.conf:1')
        self.assertEqual(found.column, 6)

    def test_nothing(self) -> None:
        """
        A semicolon or a block without words is unexpected.
        """
        self.assertEqual(messages("a;\n;"), ['unexpected ";" in x.conf:2'])
        self.assertEqual(messages("a;\n{ }"), ['unexpected "{" in x.conf:2'])

    def test_missingSemicolon(self) -> None:
        """
        The end of a block within a directive is unexpected; the hint says why.
        """
        (found,) = problems("a {\n b c\n}\nd;")
        self.assertEqual(str(found), 'unexpected "}" in x.conf:3')
        self.assertEqual(found.hint, 'is a ";" missing at the end of line 2?')

    def test_surplusBrace(self) -> None:
        """
        A brace that closes nothing is unexpected.
        """
        self.assertEqual(messages("a { } }\nb;"), ['unexpected "}" in x.conf:1'])

    def test_openBlock(self) -> None:
        """
        A block must end in its file; the hint names the innermost open one.
        """
        (found,) = problems("a {\n b {\n c;\n }\n")
        self.assertEqual(
            str(found), 'unexpected end of file, expecting "}" in x.conf:5'
        )
        self.assertEqual(found.hint, '"a" of line 1 is not closed')

    def test_openDirective(self) -> None:
        """
        A directive must end in its file.
        """
        expected = 'unexpected end of file, expecting ";" or "}" in x.conf:2'
        self.assertEqual(messages("a;\nb c"), [expected])
        self.assertEqual(messages("a {\nb c"), [expected])
        self.assertEqual(messages("a {\nb \\"), [expected])

    def test_openQuote(self) -> None:
        """
        A quoted word must end in its file; the hint says where it begins.
        """
        self.assertEqual(len(messages("a { b 'c")), 1)
        (found,) = problems("a;\nb 'c;\nd;\n")
        self.assertEqual(
            str(found), 'unexpected end of file, expecting ";" or "}" in x.conf:4'
        )
        self.assertEqual(found.hint, "a quote opens at line 2, column 3")

    def test_several(self) -> None:
        """
        One run tells all mistakes, each with its place.
        """
        found = problems("a 'b'c d;\ne {\n ;\n f 'g'h { i; }\n j k\n}\n}\nl")
        self.assertEqual(
            [(each.message, each.line, each.column) for each in found],
            [
                ('unexpected "c"', 1, 6),
                ('unexpected ";"', 3, 2),
                ('unexpected "h"', 4, 7),
                ('unexpected "}"', 6, 1),
                ('unexpected "}"', 7, 1),
                ('unexpected end of file, expecting ";" or "}"', 8, 2),
            ],
        )

    def test_brokenBlock(self) -> None:
        """
        A block whose first line is broken still ends where it ends.
        """
        self.assertEqual(
            messages("a { b 'c'd { e; } }\nf;"), ['unexpected "d" in x.conf:1']
        )

    def test_limit(self) -> None:
        """
        Of a file that is no configuration at all, not every mistake is told.
        """
        self.assertEqual(len(messages(";" * 100_000)), 100)

    def test_depth(self) -> None:
        """
        Blocks deeper than anybody needs are refused, not a crash.
        """
        self.assertEqual(messages("a {" * 100 + "}" * 100), [])
        self.assertEqual(
            messages("a {" * 100_000),
            ["too many blocks inside one another in x.conf:1"],
        )


class LengthTests(SynchronousTestCase):
    """
    Words have to fit in nginx's buffer of 4096 bytes.
    """

    def test_bare(self) -> None:
        """
        4095 bytes and a semicolon fit, one more does not.
        """
        self.assertEqual(messages("a " + "x" * 4095 + ";\n"), [])
        self.assertEqual(
            messages("a;\nb " + "x" * 4096 + ";\n"),
            ['too long parameter "xxxxxxxxxx..." started in x.conf:2'],
        )

    def test_space(self) -> None:
        """
        A space behind the word counts.
        """
        self.assertEqual(messages("a " + "x" * 4094 + " ;\n"), [])
        self.assertEqual(len(messages("a " + "x" * 4095 + " ;\n")), 1)

    def test_quoted(self) -> None:
        """
        A closing quote counts; a quote that was not met is thought to be missing.
        """
        self.assertEqual(messages("a '" + "x" * 4094 + "';\n"), [])
        self.assertEqual(
            messages("a '" + "x" * 4095 + "';\n"),
            ['too long parameter "xxxxxxxxxx..." started in x.conf:1'],
        )
        self.assertEqual(
            messages("a '" + "x" * 4096 + "';\n"),
            [
                'too long parameter, probably missing terminating "\'" character'
                " in x.conf:1"
            ],
        )

    def test_bytes(self) -> None:
        """
        Bytes count, not characters.
        """
        self.assertEqual(messages("a " + "\u20ac" * 1365 + ";\n"), [])
        self.assertEqual(
            messages("a " + "\u20ac" * 1366 + ";\n"),
            ['too long parameter "\u20ac\u20ac\u20ac\udce2..." started in x.conf:1'],
        )

    def test_goesOn(self) -> None:
        """
        A word that is too long is one mistake among others.
        """
        self.assertEqual(
            messages("a { b " + "x" * 5000 + "; }\n;"),
            [
                'too long parameter "xxxxxxxxxx..." started in x.conf:1',
                'unexpected ";" in x.conf:2',
            ],
        )

    def test_endOfFile(self) -> None:
        """
        At the end of a file, that the directive has no end is what counts.
        """
        expected = ['unexpected end of file, expecting ";" or "}" in x.conf:1']
        self.assertEqual(messages("a " + "x" * 4096), expected)
        self.assertEqual(messages("a '" + "x" * 4096), expected)

    def test_comment(self) -> None:
        """
        Comments may be longer, unlike in nginx.
        """
        self.assertEqual(messages("#" + "x" * 9000 + "\na;"), [])

    def test_commandLine(self) -> None:
        """
        C{-g} is in memory: there is no buffer to fit in.
        """
        self.assertEqual(messages(f"a {'x' * 5000};", "command line"), [])


class CommandLineTests(SynchronousTestCase):
    """
    C{-g}.
    """

    def test_directives(self) -> None:
        """
        Directives are read; C{-T} does not print them.
        """
        document = parse("daemon off; pid x;", "command line")
        self.assertEqual(outline(document.nodes), [["daemon", "off"], ["pid", "x"]])
        self.assertEqual(document.files, ())

    def test_mistakes(self) -> None:
        """
        Messages have no line, and speak of a parameter.
        """
        for text, message in [
            ("a", 'unexpected end of parameter, expecting ";"'),
            ("a 'b", 'unexpected end of parameter, expecting ";"'),
            ("}", 'unexpected "}"'),
            ("a { b; }", "block directives are not supported in -g option"),
            ("a {", "block directives are not supported in -g option"),
        ]:
            self.assertEqual(
                messages(text, "command line"), [f"{message} in command line"]
            )

    def test_include(self) -> None:
        """
        An included file is a file again, and may have blocks.
        """
        self.assertEqual(
            messages("include a.conf;", "command line", a_conf="b { ; }"),
            ['unexpected ";" in a.conf:1'],
        )


class IncludeTests(SynchronousTestCase):
    """
    C{include}.
    """

    def test_inPlace(self) -> None:
        """
        The directives of a file stand where the C{include} stood.
        """
        files = Including(a_conf="b; c { d; }")
        document = parse("a { include a.conf; e; }", "x.conf", files)
        self.assertEqual(
            outline(document.nodes), [["a"], [["b"], ["c"], [["d"]], ["e"]]]
        )
        assert document.nodes[0].block is not None
        self.assertEqual(document.nodes[0].block[0].path, "a.conf")

    def test_wildcard(self) -> None:
        """
        All files of a pattern are read, in the order given; there may be none.
        """
        files = Including(a1="a;", a2="b;", c="c;")
        document = parse("include a*; include z*;", "x.conf", files)
        self.assertEqual(outline(document.nodes), [["a"], ["b"]])
        self.assertEqual(files.asked, ["a*", "z*"])

    def test_missing(self) -> None:
        """
        A file that is named must be there.
        """
        (found,) = problems("a;\ninclude z.conf;")
        self.assertEqual(
            str(found),
            'open() "z.conf" failed (2: No such file or directory) in x.conf:2',
        )
        self.assertEqual(found.column, 9)

    def test_unreadable(self) -> None:
        """
        What the system says of a file is told with the path that was tried.
        """

        def include(pattern: str, node: Node) -> Sequence[tuple[str, str]]:
            raise PermissionError(13, "Permission denied", "/etc/" + pattern)

        error = self.assertRaises(ConfigError, parse, "include a;", "x.conf", include)
        self.assertEqual(
            str(error), 'open() "/etc/a" failed (13: Permission denied) in x.conf:1'
        )

    def test_oddPath(self) -> None:
        """
        A path that no file can have is a mistake of the configuration.
        """

        def include(pattern: str, node: Node) -> Sequence[tuple[str, str]]:
            return [(pattern, open(pattern).read())]

        error = self.assertRaises(
            ConfigError, parse, "include a\0b;", "x.conf", include
        )
        self.assertIn("failed (embedded null byte) in x.conf:1", str(error))

    def test_ownError(self) -> None:
        """
        Who finds the files may complain by himself.
        """

        def include(pattern: str, node: Node) -> Sequence[tuple[str, str]]:
            raise node.error("not today")

        error = self.assertRaises(
            ConfigError, parse, "include a;\n;", "x.conf", include
        )
        self.assertEqual(
            [str(each) for each in error.problems],
            ["not today in x.conf:1", 'unexpected ";" in x.conf:2'],
        )

    def test_arguments(self) -> None:
        """
        C{include} takes one argument and no block.
        """
        message = 'invalid number of arguments in "include" directive in x.conf:1'
        self.assertEqual(messages("include a b;"), [message])
        self.assertEqual(messages("include;"), [message])
        self.assertEqual(
            messages("include a { b; }"),
            ['directive "include" is not terminated by ";" in x.conf:1'],
        )

    def test_loop(self) -> None:
        """
        A file that includes itself is an error that shows the way around.
        """
        (found,) = problems("include a.conf;", a_conf="\ninclude x.conf;", x_conf="")
        self.assertEqual(str(found), '"x.conf" includes itself in a.conf:2')
        self.assertEqual(found.hint, "x.conf includes a.conf includes x.conf")

    def test_endless(self) -> None:
        """
        Files that include ever new ones are stopped.
        """

        def include(pattern: str, node: Node) -> Sequence[tuple[str, str]]:
            return [(f"{pattern}x", f"include {pattern}x;")]

        error = self.assertRaises(ConfigError, parse, "include x;", "x", include)
        self.assertIn("too many files that include one another", str(error))

    def test_twice(self) -> None:
        """
        A file may be included twice; C{-T} prints it once, in order of reading.
        """
        files = Including(a_conf="b;", c_conf="d;")
        text = "include c.conf; e { include a.conf; } include c.conf;"
        document = parse(text, "x.conf", files)
        self.assertEqual(len(document.nodes), 3)
        self.assertEqual(
            document.files, (("x.conf", text), ("c.conf", "d;"), ("a.conf", "b;"))
        )

    def test_balance(self) -> None:
        """
        A file cannot close a block that was opened outside, nor leave one open.
        """
        self.assertEqual(
            messages("a { include a.conf; }", a_conf="b; }"),
            ['unexpected "}" in a.conf:1'],
        )
        self.assertEqual(
            messages("a { include a.conf; }", a_conf="b {"),
            ['unexpected end of file, expecting "}" in a.conf:1'],
        )

    def test_everywhere(self) -> None:
        """
        Mistakes of all files are told in the order of reading.
        """
        self.assertEqual(
            messages(";\ninclude a.conf;\n;", a_conf="\n;"),
            [
                'unexpected ";" in x.conf:1',
                'unexpected ";" in a.conf:2',
                'unexpected ";" in x.conf:3',
            ],
        )


class DifferentialTests(SynchronousTestCase):
    """
    The same text in real nginx.
    """

    def test_messages(self) -> None:
        """
        What nginx says of a broken file is our first message, line included.
        """
        nginx = findNginx()
        if nginx is None:
            raise SkipTest("nginx is not installed")
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "nginx.conf")
            for text in BROKEN:
                Path(path).write_text(text)
                ran = subprocess.run(
                    [nginx, "-t", "-p", folder, "-e", "stderr", "-c", path],
                    capture_output=True,
                    text=True,
                )
                first = messages(text, path)[0]
                said = ran.stderr.splitlines()[0]
                self.assertTrue(said.endswith(": " + first), f"{text!r}: {said}")


#: Directives in front of the mistake are right: nginx stops at the first it dislikes.
BROKEN = [
    ";",
    "{",
    "}",
    "\n\n'a'b;",
    "a",
    "a 'b\n\n",
    "a }",
    "events { }\n}",
    "events {\n",
    "events {\nworker_connections 10",
    "events { worker_connections\n}",
    "pid " + "x" * 5000 + ";\n",
    "pid\n'" + "x" * 5000 + "';\n",
    "pid '" + "x" * 4095 + "' ;\n",
    "pid " + "x" * 4096,
    "\\",
    "events { } env ${{",
    "include a b;",
    "include { }",
]
