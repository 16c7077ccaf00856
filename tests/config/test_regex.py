"""
Tests for L{twisted_upstream.config.regex}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import FakeBuild, FakeRequest, messages
from twisted_upstream.config.regex import compileMatcher, compileRegex, translate
from twisted_upstream.config.syntax import ConfigError, Node

NODE = Node("location")


class TranslateTests(SynchronousTestCase):
    """
    What PCRE means is what Python is told.
    """

    def assertMatches(self, pattern: str, *texts: bytes) -> None:
        for text in texts:
            found = compileRegex(pattern, NODE).search(text)
            self.assertIsNotNone(found, f"{pattern} {text!r}")

    def assertDiffers(self, pattern: str, *texts: bytes) -> None:
        for text in texts:
            found = compileRegex(pattern, NODE).search(text)
            self.assertIsNone(found, f"{pattern} {text!r}")

    def test_plain(self) -> None:
        """
        Most patterns stay as they are.
        """
        for pattern in (r"^/a(b|c)+\.html?$", r"\d{2,3}(?:x|y)*?", r"(?=a)(?!b)(?<=c)"):
            self.assertEqual(translate(pattern), pattern)

    def test_names(self) -> None:
        """
        All three ways to name a group are known.
        """
        for pattern in ("(?<a>x)", "(?P<a>x)", "(?'a'x)"):
            compiled = compileRegex(pattern, NODE)
            self.assertEqual(dict(compiled.groupindex), {"a": 1})

    def test_lookbehindIsNoName(self) -> None:
        """
        C{(?<=} and C{(?<!} look behind.
        """
        self.assertMatches("(?<=a)b", b"ab")
        self.assertDiffers("(?<!a)b", b"ab")

    def test_references(self) -> None:
        """
        Back references by name, number and distance.
        """
        for pattern in (
            r"(?<a>x|y)\k<a>$",
            r"(?<a>x|y)\k{a}$",
            r"(?<a>x|y)\k'a'$",
            r"(?<a>x|y)\g{a}$",
            r"(x|y)\g1$",
            r"(x|y)\g{-1}$",
            r"(?<a>x|y)(?P=a)$",
            r"(x|y)\1$",
        ):
            self.assertMatches(pattern, b"xx", b"yy")
            self.assertDiffers(pattern, b"xy")

    def test_referenceBeforeDigit(self) -> None:
        """
        A digit after C{\\g{1}} belongs to the text.
        """
        self.assertMatches(r"^(a)\g{1}1$", b"aa1")

    def test_ends(self) -> None:
        """
        C{$} and C{\\Z} match before a final newline, C{\\z} only at the end.
        """
        self.assertMatches("a$", b"a", b"a\n")
        self.assertMatches(r"a\Z", b"a", b"a\n")
        self.assertMatches(r"\Aa\z", b"a")
        self.assertDiffers(r"a\z", b"a\n")

    def test_spaces(self) -> None:
        """
        Horizontal and vertical space, line ends.
        """
        self.assertMatches(r"^a\hb$", b"a b", b"a\tb")
        self.assertDiffers(r"^a\hb$", b"a\nb")
        self.assertMatches(r"^a\Hb$", b"axb")
        self.assertMatches(r"^a\vb$", b"a\nb", b"a\rb")
        self.assertMatches(r"^a\Rb$", b"a\r\nb", b"a\nb")
        self.assertMatches(r"^[\h]$", b"\t")
        self.assertMatches(r"^a\Nb$", b"a b")

    def test_posixClasses(self) -> None:
        """
        POSIX classes within brackets, negated ones where Python has a letter for it.
        """
        self.assertMatches("^[[:alpha:]_]+$", b"aZ_")
        self.assertDiffers("^[[:alpha:]]+$", b"a1")
        self.assertMatches("^[^[:space:][:digit:]]$", b"x")
        self.assertMatches("^[[:xdigit:]]{2}$", b"fF")
        self.assertMatches("^[[:^digit:]]$", b"x")
        self.assertMatches("^[[:punct:]]$", b"[", b"]", b"-", b"~")

    def test_brackets(self) -> None:
        """
        A bracket that comes first is one of the set, as is an opening one.
        """
        self.assertMatches(r"^[]a]$", b"]", b"a")
        self.assertMatches(r"^[^]a]$", b"b")
        self.assertMatches(r"^[[a&&b||c]$", b"[", b"&", b"|")

    def test_quoting(self) -> None:
        """
        C{\\Q...\\E} takes everything for itself.
        """
        self.assertMatches(r"^\Qa.b*\E+$", b"a.b*")
        self.assertDiffers(r"^\Qa.b\E$", b"axb")
        self.assertMatches(r"^\Qa.", b"a.")

    def test_codes(self) -> None:
        """
        Characters by their number.
        """
        self.assertMatches(r"^\x41\x{42}\x9$", b"AB\t")
        self.assertMatches(r"^\cA\e\0$", b"\x01\x1b\0")

    def test_flagsInside(self) -> None:
        """
        A flag counts until its group ends, in all alternatives that follow.
        """
        self.assertMatches("a(?i)b|c", b"aB", b"C")
        self.assertDiffers("^(?:a(?i)b|c)d$", b"abD", b"Abd")
        self.assertMatches("^(?:a(?i)b|c)d$", b"aBd", b"Cd")
        self.assertMatches("(?i)A(?-i)b", b"ab")
        self.assertDiffers("(?i)A(?-i)b", b"aB")
        self.assertMatches("^(?i:a)b$", b"Ab")

    def test_possessive(self) -> None:
        """
        Atomic groups and possessive quantifiers never give back.
        """
        self.assertDiffers("^(?>a+)a$", b"aaa")
        self.assertDiffers("^a++a$", b"aaa")

    def test_conditions(self) -> None:
        """
        A group may decide which branch is taken.
        """
        self.assertMatches("^(a)?(?(1)b|c)$", b"ab", b"c")
        self.assertMatches("^(?<x>a)?(?(<x>)b|c)$", b"ab", b"c")

    def test_comment(self) -> None:
        """
        Comments vanish.
        """
        self.assertMatches("^a(?# not a group)b$", b"ab")

    def test_bytes(self) -> None:
        """
        Bytes that are no ASCII match as they were written.
        """
        self.assertMatches("^/\u00e4$", "/\u00e4".encode())

    def test_ignoreCase(self) -> None:
        """
        C{~*} ignores case.
        """
        self.assertTrue(compileRegex("^AB$", NODE, ignoreCase=True).search(b"ab"))


class RefusedTests(SynchronousTestCase):
    """
    What Python cannot do, and what is wrong, is refused in PCRE's words.
    """

    def assertRefused(self, pattern: str, reason: str) -> None:
        error = self.assertRaises(ConfigError, compileRegex, pattern, NODE)
        self.assertEqual(
            messages(error), [f'pcre2_compile() failed: {reason} in "{pattern}"']
        )

    def test_unsupported(self) -> None:
        """
        The message names what is not supported.
        """
        self.assertRefused(r"a\Kb", r"\K is not supported")
        self.assertRefused("(?|a|b)", '"(?|" is not supported')
        self.assertRefused("(?R)", '"(?R" is not supported')
        self.assertRefused("(*UTF8)a", "(*VERB) is not supported")
        self.assertRefused("(?(DEFINE)a)", "(?(DEFINE) is not supported")
        self.assertRefused(r"[\H]", r"\H in a character class is not supported")
        self.assertRefused("[[:^alpha:]]", "[:^alpha:] is not supported")

    def test_wrong(self) -> None:
        """
        Mistakes are called as PCRE calls them.
        """
        self.assertRefused("(a", "missing closing parenthesis")
        self.assertRefused("a)", "unmatched closing parenthesis")
        self.assertRefused("[a", "missing terminating ] for character class")
        self.assertRefused("*a", "quantifier does not follow a repeatable item")
        self.assertRefused("a\\", "\\ at end of pattern")
        self.assertRefused("[[:foo:]]", "unknown POSIX class name")
        self.assertRefused("[b-a]", "range out of order in character class")
        self.assertRefused(
            r"\x{100}", r"character code point value in \x{} or \o{} is too large"
        )

    def test_references(self) -> None:
        """
        A reference to nothing is refused.
        """
        self.assertRefused(r"\2(a)", "reference to non-existent subpattern")
        self.assertRefused(r"\k<x>(a)", "reference to non-existent subpattern")


class MatcherTests(SynchronousTestCase):
    """
    What a match leaves behind.
    """

    def setUp(self) -> None:
        self.build = FakeBuild()
        self.request = FakeRequest(build=self.build)

    def test_captures(self) -> None:
        """
        Groups become C{$1} and so on, names become variables.
        """
        match = compileMatcher("^/(?<first>[^/]*)/(x)?", NODE, self.build)
        self.assertTrue(match(self.request, b"/a/b"))
        self.assertEqual(self.request.captures, (b"/a/", b"a", None))
        self.assertEqual(self.request.variable("first"), b"a")
        self.assertEqual(self.build.unknown(), [])

    def test_noGroups(self) -> None:
        """
        A pattern without groups that matches forgets the captures.
        """
        self.request.captures = (b"a", b"b")
        self.assertTrue(compileMatcher("x", NODE, self.build)(self.request, b"x"))
        self.assertEqual(self.request.captures, ())

    def test_noMatch(self) -> None:
        """
        A pattern that does not match leaves the captures alone.
        """
        self.request.captures = (b"a", b"b")
        for pattern in ("x", "(x)"):
            match = compileMatcher(pattern, NODE, self.build)
            self.assertFalse(match(self.request, b"y"))
        self.assertEqual(self.request.captures, (b"a", b"b"))
