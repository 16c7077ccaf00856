"""
Tests of L{twisted_upstream.config.values}.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.values import (
    LARGEST,
    InvalidTemplate,
    Variable,
    parseNumber,
    parseOffset,
    parseSize,
    parseTemplate,
    parseTime,
)

#: Numbers with and without units, and what only looks like them.
PIECES = [
    number + unit
    for number in ("", "5")
    for unit in ("", "y", "M", "w", "d", "h", "m", "s", "ms", " ", "x")
]


class NumberTests(SynchronousTestCase):
    """
    Numbers and sizes.
    """

    def refuses(
        self, parse: Callable[[str], object], message: str, *words: str
    ) -> None:
        for word in words:
            with self.assertRaises(ValueError) as caught:
                parse(word)
            self.assertEqual(str(caught.exception), message, word)

    def test_numbers(self) -> None:
        """
        A number is digits.
        """
        self.assertEqual([parseNumber(w) for w in ("0", "007", "12")], [0, 7, 12])
        self.refuses(
            parseNumber,
            "invalid number",
            "",
            "-1",
            "+1",
            "1k",
            " 1",
            "1_0",
            "1\n",
            "²",
            "٣",
        )

    def test_largest(self) -> None:
        """
        Numbers end where nginx's do; leading zeros do not count.
        """
        self.assertEqual(parseNumber("0" * 5000 + str(LARGEST)), LARGEST)
        self.refuses(parseNumber, "invalid number", str(LARGEST + 1), "9" * 5000)
        self.refuses(parseSize, "invalid value", f"{LARGEST // 1024 + 1}k")

    def test_sizes(self) -> None:
        """
        A size has C{k} or C{m} in either case.
        """
        self.assertEqual(
            [parseSize(w) for w in ("0", "3", "1k", "2K", "1m", "1M")],
            [0, 3, 1024, 2048, 1 << 20, 1 << 20],
        )
        self.refuses(
            parseSize, "invalid value", "", "k", "1g", "1kk", "1 k", "-1", "1\u212a"
        )

    def test_offsets(self) -> None:
        """
        An offset may have C{g} as well.
        """
        self.assertEqual(
            [parseOffset(w) for w in ("1", "1k", "1M", "1g", "2G")],
            [1, 1024, 1 << 20, 1 << 30, 1 << 31],
        )
        self.refuses(parseOffset, "invalid value", "", "g", "1t", "1.5g")


class TimeTests(SynchronousTestCase):
    """
    Times.
    """

    def refuses(self, *words: str, milliseconds: bool = True) -> None:
        for word in words:
            with self.assertRaises(ValueError, msg=word) as caught:
                parseTime(word, milliseconds=milliseconds)
            self.assertEqual(str(caught.exception), "invalid value")

    def test_units(self) -> None:
        """
        Every unit is so many seconds; without a unit a number counts seconds.
        """
        for word, seconds in [
            ("0", 0.0),
            ("5", 5.0),
            ("5s", 5.0),
            ("50ms", 0.05),
            ("2m", 120.0),
            ("1h", 3600.0),
            ("1d", 86400.0),
            ("1w", 604800.0),
        ]:
            self.assertEqual(parseTime(word), seconds, word)

    def test_several(self) -> None:
        """
        Units come from large to small, with spaces between them or not.
        """
        self.assertEqual(parseTime("1w2d3h4m5s6ms"), 788645.006)
        self.assertEqual(parseTime("1h 30m"), 5400.0)
        self.assertEqual(parseTime("1h   5"), 3605.0)
        self.assertEqual(parseTime("1m 5 7"), 72.0)
        self.refuses("1s1m", "1m1m", "1ms1s", "5s5s")

    def test_nothing(self) -> None:
        """
        There must be a number, and nothing else.
        """
        self.refuses("", " ", "s", "1x", "-1", "1.5s", "1S", "1MS", "1s 5 ", "1 ms")
        self.assertEqual(parseTime("1hm"), 3600.0)

    def test_milliseconds(self) -> None:
        """
        Times with milliseconds know no years and months.
        """
        self.refuses("1y", "1M")

    def test_wholeSeconds(self) -> None:
        """
        Times in whole seconds know years and months, but no milliseconds.
        """
        self.assertEqual(parseTime("1y", milliseconds=False), 31536000.0)
        self.assertEqual(parseTime("1M1s", milliseconds=False), 2592001.0)
        self.refuses("1ms", "1M1y", "1y1y", milliseconds=False)

    def test_largest(self) -> None:
        """
        A time that nginx could not hold is refused.
        """
        self.refuses("9" * 30, "9" * 30 + "w", str(LARGEST))
        self.assertEqual(parseTime(str(LARGEST), milliseconds=False), float(LARGEST))

    def test_likeTheLoop(self) -> None:
        """
        What is accepted, and as what, is what a loop over the letters says: tried
        with all ways to put three pieces in a row.
        """
        for pieces in product(PIECES, repeat=3):
            word = "".join(pieces)
            for milliseconds in (True, False):
                found: float | None
                try:
                    found = parseTime(word, milliseconds=milliseconds)
                except ValueError:
                    found = None
                expected = loop(word, milliseconds)
                if found is None or expected is None:
                    self.assertEqual(found, expected, word)
                else:
                    self.assertAlmostEqual(found, expected, msg=word)


def loop(word: str, milliseconds: bool) -> float | None:
    """
    The rules for times, letter by letter; C{None}: refused.
    """
    order = ["start", "y", "M", "w", "d", "h", "m", "s", "ms", "last"]
    lengths: dict[str, float] = {"y": 31536000, "M": 2592000, "w": 604800, "d": 86400}
    lengths |= {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    step = order.index("M") if milliseconds else 0
    total = 0.0
    digits = ""
    seen = False
    index = 0
    while index < len(word):
        letter = word[index]
        index += 1
        if letter.isdigit():
            digits += letter
            seen = True
            continue
        value = int(digits or "0")
        digits = ""
        if letter == "m" and word[index : index + 1] == "s":
            letter = "ms"
            index += 1
            if not milliseconds:
                return None
        if letter not in lengths and letter != " ":
            return None
        if letter == " ":
            if step >= order.index("s"):
                return None
            step = order.index("last")
            total += value
        else:
            if step >= order.index(letter):
                return None
            step = order.index(letter)
            total += value * lengths[letter]
        while word[index : index + 1] == " ":
            index += 1
    return total + int(digits or "0") if seen else None


class TemplateTests(SynchronousTestCase):
    """
    Texts with variables.
    """

    def parts(self, text: str) -> list[str]:
        """
        The parts of a text, variables in angle brackets.
        """
        return [
            f"<{part.name}>" if isinstance(part, Variable) else part
            for part in parseTemplate(text).parts
        ]

    def test_parts(self) -> None:
        """
        Variables are found bare and in braces, next to text and to each other.
        """
        self.assertEqual(
            self.parts("$a${b}c$d_1-e"), ["<a>", "<b>", "c", "<d_1>", "-e"]
        )
        self.assertEqual(self.parts("a{b}c}"), ["a{b}c}"])
        self.assertEqual(parseTemplate("$a").text, "$a")

    def test_captures(self) -> None:
        """
        A capture is one digit from 1 to 9.
        """
        self.assertEqual(self.parts("$12$9a"), ["<1>", "2", "<9>", "a"])
        self.assertEqual(self.parts("$0x"), ["<0x>"])

    def test_ascii(self) -> None:
        """
        Names end at the first character that is not an ASCII letter, digit or C{_}.
        """
        self.assertEqual(self.parts("$a\u00e9"), ["<a>", "\u00e9"])

    def test_constant(self) -> None:
        """
        Without variables, the bytes of the text are known.
        """
        self.assertEqual(parseTemplate("a\u00e9").constant, b"a\xc3\xa9")
        self.assertEqual(parseTemplate("\udcff").constant, b"\xff")
        self.assertEqual(parseTemplate("").constant, b"")
        self.assertEqual(parseTemplate("").parts, ())
        self.assertIsNone(parseTemplate("a$b").constant)

    def test_noName(self) -> None:
        """
        A C{$} without a name is refused with nginx's message; it cannot be escaped.
        """
        for text in ("$", "a$", "$$a", "$-", "${}", "a${", "\\$ "):
            with self.assertRaises(InvalidTemplate, msg=text) as caught:
                parseTemplate(text)
            self.assertEqual(
                str(caught.exception), f'invalid variable name in "{text}"'
            )

    def test_noBracket(self) -> None:
        """
        A brace that is not closed is refused with nginx's message.
        """
        for text, name in (("${a", "a"), ("x${a-b}", "a"), ("${-}", "")):
            with self.assertRaises(InvalidTemplate) as caught:
                parseTemplate(text)
            self.assertEqual(
                str(caught.exception),
                f'the closing bracket in "{name}" variable is missing',
            )

    @given(st.text(alphabet="ab1_${}- \u00e9", max_size=20))
    def test_anyText(self, text: str) -> None:
        """
        Every text is a template or an L{InvalidTemplate}; parts alternate.
        """
        try:
            template = parseTemplate(text)
        except InvalidTemplate as e:
            self.assertEqual(e.text, text)
            return
        for one, other in zip(template.parts, template.parts[1:], strict=False):
            self.assertFalse(isinstance(one, str) and isinstance(other, str))
        self.assertNotIn("", template.parts)
