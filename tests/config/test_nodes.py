"""
Tests of L{twisted_upstream.config.nodes}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.nodes import ConfigError, Document, Node, Problem, Source
from twisted_upstream.config.syntax import parse


def problem(**changes: object) -> Problem:
    """
    A problem in the third column of C{x.conf:7}.
    """
    values: dict[str, object] = {
        "level": "emerg",
        "message": "bad",
        "path": "x.conf",
        "line": 7,
        "column": 3,
        "source": "ab cd;",
    }
    return Problem(**{**values, **changes})  # type: ignore[arg-type]  # by name


class ProblemTests(SynchronousTestCase):
    """
    What an operator reads.
    """

    def test_line(self) -> None:
        """
        As text, a problem is the line that nginx writes.
        """
        self.assertEqual(str(problem()), "bad in x.conf:7")

    def test_commandLine(self) -> None:
        """
        A problem of C{-g} names no line.
        """
        self.assertEqual(str(problem(path="command line")), "bad in command line")

    def test_nowhere(self) -> None:
        """
        A problem of the whole configuration names no file.
        """
        self.assertEqual(str(problem(path="")), "bad")
        self.assertEqual(problem(path="", source="", column=0).pretty(), "bad")

    def test_pretty(self) -> None:
        """
        The long form has the line, the place, the source, a caret and the hint.
        """
        self.assertEqual(
            problem(hint="try cd").pretty().split("\n"),
            ["bad in x.conf:7", "  x.conf:7:3", "    ab cd;", "      ^", "  try cd"],
        )

    def test_tabs(self) -> None:
        """
        The caret stands below its character although tabs come before it.
        """
        lines = problem(source="\ta\tbc", column=4).pretty().split("\n")
        self.assertEqual(lines[2:], ["    \ta\tbc", "    \t \t^"])

    def test_longLine(self) -> None:
        """
        Of a very long line only what is around the place is shown.
        """
        source = "x" * 5000 + "!" + "y" * 5000
        shown, caret = problem(source=source, column=5001).pretty().split("\n")[2:]
        self.assertLess(len(shown), 130)
        self.assertEqual(shown[caret.index("^")], "!")


class ConfigErrorTests(SynchronousTestCase):
    """
    L{ConfigError}.
    """

    def test_text(self) -> None:
        """
        The text of an error has one line per problem.
        """
        error = ConfigError([problem(), problem(line=9)])
        self.assertEqual(str(error), "bad in x.conf:7\nbad in x.conf:9")
        self.assertEqual(len(error.problems), 2)


class SourceTests(SynchronousTestCase):
    """
    Lines and columns.
    """

    def test_places(self) -> None:
        """
        Lines and columns count from 1; the end of a text has a place, too.
        """
        source = Source("x", "a\nbc\n")
        self.assertEqual(
            [source.place(index) for index in range(6)],
            [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1)],
        )

    def test_lines(self) -> None:
        """
        A line is given without its end; lines that are not there are empty.
        """
        source = Source("x", "a\r\nb")
        self.assertEqual([source.line(n) for n in range(4)], ["", "a", "b", ""])


class NodeTests(SynchronousTestCase):
    """
    Complaints about a directive.
    """

    def node(self) -> Node:
        return parse("\n  name one\n  two;\n", "x.conf").nodes[0]

    def test_error(self) -> None:
        """
        An error stands where the directive begins.
        """
        (found,) = self.node().error("bad", hint="why").problems
        self.assertEqual(
            (found.level, found.path, found.line, found.column, found.source),
            ("emerg", "x.conf", 2, 3, "  name one"),
        )
        self.assertEqual(found.hint, "why")

    def test_errorAtWord(self) -> None:
        """
        An error of one argument stands where the argument does.
        """
        (found,) = self.node().error("bad", word=1).problems
        self.assertEqual((found.line, found.column, found.source), (3, 3, "  two;"))

    def test_errorAtNoWord(self) -> None:
        """
        An argument that is not there is the directive's fault.
        """
        (found,) = self.node().error("bad", word=2).problems
        self.assertEqual((found.line, found.column), (2, 3))

    def test_warning(self) -> None:
        """
        A warning is returned and collected with its text.
        """
        document = parse("name;", "x.conf")
        found = document.nodes[0].warning("odd")
        self.assertEqual(found.level, "warn")
        self.assertEqual(document.sources[0].warnings, [found])

    def test_parameter(self) -> None:
        """
        What cannot be read of an argument is told with the argument; other errors
        stay.
        """
        node = self.node()

        def read(error: Exception) -> None:
            with node.parameter(1):
                raise error

        for error, message, line in (
            (ValueError("any"), 'invalid parameter "two"', 3),
            (node.error("own"), "own", 2),
        ):
            caught = self.assertRaises(ConfigError, read, error)
            (found,) = caught.problems
            self.assertEqual((found.message, found.line), (message, line))

    def test_handmade(self) -> None:
        """
        A node can be made without a text, and still complain.
        """
        node = Node("name", ("word",))
        self.assertEqual(str(node.error("bad", word=0)), "bad")
        self.assertIn("name word", repr(node))


class DocumentTests(SynchronousTestCase):
    """
    L{Document}.
    """

    def test_add(self) -> None:
        """
        C{-g} and a file make one configuration, in that order.
        """
        whole: Document = parse("a;", "command line") + parse("b;", "x.conf")
        self.assertEqual([node.name for node in whole.nodes], ["a", "b"])
        self.assertEqual(whole.files, (("x.conf", "b;"),))
        self.assertEqual(len(whole.sources), 2)
