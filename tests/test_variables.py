"""
Tests for L{twisted_upstream.variables}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.config.syntax import parse
from twisted_upstream.variables import Variables, escapeJSON, escapeLog

NODE = parse("directive word;", "t.conf", lambda pattern, node: []).nodes[0]


class VariablesTests(SynchronousTestCase):
    """
    L{Variables}.
    """

    def setUp(self) -> None:
        """
        A table with a variable, an absent one and a family.
        """
        self.variables = Variables()
        self.variables.add({"one": lambda request: b"1", "none": lambda request: None})
        self.variables.addPrefix("f_", lambda name: lambda request: name.encode())
        self.warnings: list[str] = []
        self.request: Any = SimpleNamespace(
            values={},
            captures=(b"all", b"group", None),
            logError=lambda level, message: self.warnings.append(message),
        )

    def text(self, text: str) -> bytes:
        """
        The value of a text.
        """
        return self.variables.compile(text, NODE)(self.request)

    def test_texts(self) -> None:
        """
        Constant parts and variables, absent ones empty.
        """
        for text, expected in (
            ("", b""),
            ("plain", b"plain"),
            ("$one", b"1"),
            ("a$one", b"a1"),
            ("${one}b$one", b"1b1"),
            ("[$none]", b"[]"),
            ("$f_x-$f_y", b"x-y"),
            ("$1$2$3.", b"group."),
        ):
            self.assertEqual(self.text(text), expected, text)

    def test_optional(self) -> None:
        """
        What need not be set has no value then, and nobody is warned; what is set or
        defined elsewhere has its value.
        """
        value = self.variables.optional("maybe")
        self.variables.setter("maybe", NODE)
        self.assertIsNone(value(self.request))
        self.request.values["maybe"] = b"now"
        self.assertEqual(value(self.request), b"now")
        self.assertEqual(self.variables.optional("one")(self.request), b"1")
        self.assertEqual((self.warnings, self.variables.check()), ([], []))

    def test_assigned(self) -> None:
        """
        What is assigned per request has that request's value.
        """
        value = self.variables.compile("<$mine>", NODE)
        assign = self.variables.setter("mine", NODE)
        self.assertEqual(value(self.request), b"<>")
        self.assertEqual(self.warnings, ['using uninitialized "mine" variable'])
        assign(self.request, b"x")
        self.assertEqual(value(self.request), b"<x>")
        self.assertEqual(self.variables.check(), [])

    def test_unknown(self) -> None:
        """
        What nobody defines or assigns is told at the end, with its place.
        """
        self.variables.compile("$nobody", NODE)
        [error] = self.variables.check()
        self.assertIn('unknown "nobody" variable in t.conf:1', str(error))

    def test_builtInNotAssigned(self) -> None:
        """
        A built-in variable cannot be assigned, unless it says how.
        """
        error = self.assertRaises(ConfigError, self.variables.setter, "one", NODE)
        self.assertIn('the duplicate "one" variable', str(error))
        done: list[bytes] = []
        self.variables.addSetter("one", lambda request, value: done.append(value))
        self.variables.setter("one", NODE)(self.request, b"2")
        self.assertEqual(done, [b"2"])

    def test_log(self) -> None:
        """
        In logs, values are escaped, absent ones are dashes, and % is no format.
        """
        self.variables.add({"odd": lambda request: b'a"\x01\xff\\'})
        line = self.variables.compileLog("100% $none $odd", escapeLog, b"-", NODE)
        self.assertEqual(line(self.request), b"100% - a\\x22\\x01\\xFF\\x5C")


class EscapeTests(SynchronousTestCase):
    """
    L{escapeLog} and L{escapeJSON}.
    """

    def test_json(self) -> None:
        """
        Short escapes where JSON has them; bytes above 127 are left alone.
        """
        self.assertEqual(
            escapeJSON(b'a"\\\n\r\t\x08\x0c\x01\xc3\xa9'),
            b'a\\"\\\\\\n\\r\\t\\b\\f\\u0001\xc3\xa9',
        )

    def test_log(self) -> None:
        """
        What is harmless stays as it is.
        """
        self.assertEqual(escapeLog(b"GET /a?b=c HTTP/1.1"), b"GET /a?b=c HTTP/1.1")
        self.assertEqual(escapeLog(b""), b"")
