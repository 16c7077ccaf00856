"""
Tests of L{twisted_upstream.config.directive}.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.directive import (
    HTTP_ANY,
    Converter,
    InvalidValue,
    Where,
    bind,
    converter,
    countAndSize,
    directive,
    flag,
    nothing,
    number,
    offset,
    oneOf,
    seconds,
    size,
    template,
    text,
    wholeSeconds,
    words,
)
from twisted_upstream.config.syntax import Node
from twisted_upstream.config.values import Variable


def own(node: Node) -> str:
    """
    A converter of somebody else.
    """
    return node.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """
    Options for trying.
    """

    timeout: float = directive(
        "*_timeout",
        HTTP_ANY,
        seconds,
        default=60.0,
        unit="seconds",
        doc="A time.",
    )
    rules: tuple[str, ...] = directive(
        ("allow", "deny"),
        Where.LOCATION,
        own,
        default=(),
        repeat=True,
        doc="Who may.",
        type="address | all",
        origin="ours",
    )
    other: int = 3


class WhereTests(SynchronousTestCase):
    """
    Places.
    """

    def test_names(self) -> None:
        """
        Places have the names of nginx's documentation.
        """
        self.assertEqual(HTTP_ANY.names, ("http", "server", "location"))
        self.assertEqual((Where.IF | Where.MAIN).names, ("main", "if in location"))
        for place in Where:
            self.assertEqual(len(place.names), 1)


class ConverterTests(SynchronousTestCase):
    """
    Ready converters.
    """

    def test_flag(self) -> None:
        """
        A flag is C{on} or C{off} in any case.
        """
        self.assertIs(flag(Node("x", ("On",))), True)
        self.assertIs(flag(Node("x", ("oFF",))), False)
        for word in ("", "yes", "1", "o\ufb00"):
            with self.assertRaises(InvalidValue) as caught:
                flag(Node("x", (word,)))
            self.assertEqual(
                caught.exception.message("x"),
                f'invalid value "{word}" in "x" directive, it must be "on" or "off"',
            )

    def test_oneOf(self) -> None:
        """
        A choice is found in any case and given as declared.
        """
        choose = oneOf("a", "Bc")
        self.assertEqual(choose(Node("x", ("bC",))), "Bc")
        with self.assertRaises(InvalidValue) as caught:
            choose(Node("x", ("d",)))
        self.assertEqual(caught.exception.message("x"), 'invalid value "d"')
        self.assertEqual(caught.exception.hint, "it must be one of: a, Bc")
        self.assertEqual(choose.type, "a | Bc")

    def test_values(self) -> None:
        """
        Each converter reads its kind of value.
        """
        cases: list[tuple[Converter[Any], str, object]] = [
            (number, "7", 7),
            (size, "1k", 1024),
            (offset, "1g", 1 << 30),
            (seconds, "50ms", 0.05),
            (wholeSeconds, "1M", 2592000.0),
            (text, "a$", "a$"),
            (words, "a", ("a",)),
            (nothing, "", True),
        ]
        for convert, word, value in cases:
            self.assertEqual(convert(Node("x", (word,))), value)
        self.assertEqual(template(Node("x", ("$a",))).parts, (Variable("a"),))

    def test_countAndSize(self) -> None:
        """
        There is at least one buffer, and it has a size.
        """
        self.assertEqual(countAndSize(Node("x", ("4", "8k"))), (4, 8192))
        for given in (("0", "8k"), ("4", "0"), ("x", "8k"), ("4", "x"), ("²", "1")):
            error = self.assertRaises(ValueError, countAndSize, Node("x", given))
            self.assertEqual(str(error), "invalid value")

    def test_arity(self) -> None:
        """
        Converters know how many arguments they take.
        """
        for convert in (
            flag,
            number,
            size,
            offset,
            seconds,
            wholeSeconds,
            text,
            template,
        ):
            self.assertEqual(convert.arity, (1, 1))
        self.assertEqual(words.arity, (1, None))
        self.assertEqual(nothing.arity, (0, 0))

    def test_decorator(self) -> None:
        """
        A function becomes a converter by a decorator.
        """

        @converter("pair", (2, 2))
        def pair(node: Node) -> tuple[str, ...]:
            return node.words

        self.assertIsInstance(pair, Converter)
        self.assertEqual((pair.type, pair.arity), ("pair", (2, 2)))
        self.assertEqual(pair(Node("x", ("a", "b"))), ("a", "b"))
        self.assertIn("pair", repr(pair))


class DirectiveTests(SynchronousTestCase):
    """
    Declarations.
    """

    def test_default(self) -> None:
        """
        A declaration is a dataclass field with its default.
        """
        self.assertEqual((Sample().timeout, Sample().rules), (60.0, ()))
        self.assertEqual(Sample(timeout=5.0).timeout, 5.0)

    def test_bind(self) -> None:
        """
        Every name of every declaration is a directive; a star is the prefix.
        """
        found = bind(Sample, "proxy")
        self.assertEqual(
            [(each.name, each.fieldName) for each in found],
            [("proxy_timeout", "timeout"), ("allow", "rules"), ("deny", "rules")],
        )
        self.assertEqual({each.options for each in found}, {Sample})

    def test_facts(self) -> None:
        """
        A directive knows all that its documentation needs.
        """
        timeout, allow, _ = bind(Sample, "proxy")
        self.assertEqual(
            (timeout.where, timeout.arity, timeout.type, timeout.default),
            (HTTP_ANY, (1, 1), "time", 60.0),
        )
        self.assertEqual(
            (timeout.unit, timeout.doc, timeout.origin), ("seconds", "A time.", "nginx")
        )
        self.assertEqual(
            (allow.arity, allow.type, allow.origin, allow.repeat),
            ((1, 1), "address | all", "ours", True),
        )

    def test_unit(self) -> None:
        """
        The unit is that of the converter, where no other one is given.
        """

        @dataclass(frozen=True, kw_only=True, slots=True)
        class Sizes:
            own: int = directive("own", HTTP_ANY, size, default=0, doc="")
            rate: int = directive(
                "rate", HTTP_ANY, size, default=0, unit="bytes per second", doc=""
            )

        self.assertEqual(
            [each.unit for each in bind(Sizes, "")], ["bytes", "bytes per second"]
        )

    def test_blocks(self) -> None:
        """
        Blocks whose inside is checked are not inherited, others are if not told.
        """

        @dataclass(frozen=True, kw_only=True, slots=True)
        class Blocks:
            server: bool = directive(
                "server", Where.HTTP, nothing, default=False, opens=Where.SERVER, doc=""
            )
            types: str = directive(
                "types", HTTP_ANY, own, default="", opens=Where.RAW, doc=""
            )

        server, types = bind(Blocks, "")
        self.assertFalse(server.inherit)
        self.assertTrue(types.inherit)
