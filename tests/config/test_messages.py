"""
Tests of L{twisted_upstream.config.build}: what is said of configurations that are wrong.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.config.sample import grammar, inHTTP, problems
from twisted_upstream.config.build import MAX_SUGGESTIONS
from twisted_upstream.config.syntax import ConfigError, parse


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
