"""
Tests for L{twisted_upstream.http.phases.script}.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import FakeBuild, FakeRequest, messages
from twisted_upstream.config.syntax import ConfigError, Node
from twisted_upstream.http.phases.script import compileCondition, compileText


class TextTests(SynchronousTestCase):
    """
    Texts escape captures again where they are asked to.
    """

    def evaluate(self, text: str, target: bytes, quote: bool) -> bytes:
        build = FakeBuild()
        request = FakeRequest(target, build=build)
        request.captures = (b"a+b c", b"a+b", None)
        return compileText(text, Node("set"), build)(request, quote)

    def test_plain(self) -> None:
        """
        Constants and variables are never escaped.
        """
        self.assertEqual(self.evaluate("a b", b"/%20", True), b"a b")
        self.assertEqual(self.evaluate("${uri}x", b"/%20", True), b"/ x")
        self.assertEqual(self.evaluate("", b"/%20", True), b"")

    def test_captures(self) -> None:
        """
        Captures are, if the client sent an escape or a plus sign in the path.
        """
        self.assertEqual(self.evaluate("<$1>", b"/%20", True), b"<a%2Bb>")
        self.assertEqual(self.evaluate("$1", b"/a+b", True), b"a%2Bb")
        self.assertEqual(self.evaluate("$1", b"/?%20+", True), b"a+b")
        self.assertEqual(self.evaluate("$1", b"/%20", False), b"a+b")

    def test_absent(self) -> None:
        """
        Groups that took no part, or that are not there, are empty.
        """
        self.assertEqual(self.evaluate("[$2$9]", b"/", True), b"[]")


class ConditionTests(SynchronousTestCase):
    """
    Conditions log what keeps a file from being looked at.
    """

    def test_odd(self) -> None:
        """
        A path that no file can have, or that cannot be looked at, is no file.
        """
        build = FakeBuild()
        condition = compileCondition(Node("if", ("(-f", "$arg_c)")), build)
        request = FakeRequest(b"/", build=build)
        request.args = b"c=a\0b"
        self.assertFalse(condition(request, True))
        self.assertEqual(request.logged, [])
        # A symbolic link that leads to itself.
        path = self.mktemp()
        os.symlink(os.path.basename(path), path)
        request.args = b"c=" + path.encode()
        self.assertFalse(condition(request, True))
        self.assertEqual(request.logged[0][:2], ("crit", f'stat() "{path}" failed'))

    def test_brackets(self) -> None:
        """
        A condition stands in brackets.
        """
        for words, wrong in ((("$a", "=", "b)"), "$a"), (("($a", "=", "b"), "b")):
            error = self.assertRaises(
                ConfigError, compileCondition, Node("if", words), FakeBuild()
            )
            self.assertEqual(messages(error), [f'invalid condition "{wrong}"'])
