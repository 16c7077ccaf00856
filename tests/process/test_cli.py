"""
Tests for L{twisted_upstream.process.cli}.
"""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stderr
from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.process.cli import (
    CommandLine,
    OptionError,
    main,
    nurseryCommand,
    parseCommandLine,
)


class ParseCommandLineTests(SynchronousTestCase):
    """
    L{parseCommandLine}.
    """

    def said(self, *words: str) -> dict[str, object]:
        """
        What differs from an empty command line.
        """
        found, empty = parseCommandLine(words), CommandLine()
        return {
            each.name: getattr(found, each.name)
            for each in fields(CommandLine)
            if getattr(found, each.name) != getattr(empty, each.name)
        }

    def test_understood(self) -> None:
        """
        Flags alone and combined, values attached and separate are nginx's.
        """
        for words, expected in (
            ((), {}),
            (("-?",), {"version": True, "help": True}),
            (("-h",), {"version": True, "help": True}),
            (("-v",), {"version": True}),
            (("-V",), {"version": True, "arguments": True}),
            (("-t",), {"test": True}),
            (("-T",), {"test": True, "dump": True}),
            (("-tq",), {"test": True, "quiet": True}),
            (("-t", "-q"), {"test": True, "quiet": True}),
            (("-p", "/x"), {"prefix": "/x"}),
            (("-p/x",), {"prefix": "/x"}),
            (("-tp/x",), {"test": True, "prefix": "/x"}),
            (
                ("-tqc", "a.conf"),
                {"test": True, "quiet": True, "configuration": "a.conf"},
            ),
            (("-c", "-t"), {"configuration": "-t"}),
            (("-e", "stderr"), {"errorLog": "stderr"}),
            (("-g", "daemon off; pid x;"), {"directives": "daemon off; pid x;"}),
            (("-s", "reload"), {"signal": "reload"}),
            (("-sstop",), {"signal": "stop"}),
            (("-c", "a", "-c", "b"), {"configuration": "b"}),
            (("-",), {}),
        ):
            self.assertEqual(self.said(*words), expected, words)

    def test_refused(self) -> None:
        """
        What is wrong gets nginx's message.
        """
        for words, message in (
            (("x",), 'invalid option: "x"'),
            (("-x",), 'invalid option: "x"'),
            (("-tx",), 'invalid option: "x"'),
            (("--help",), 'invalid option: "-"'),
            (("-p",), 'option "-p" requires directory name'),
            (("-e",), 'option "-e" requires file name'),
            (("-c",), 'option "-c" requires file name'),
            (("-g",), 'option "-g" requires parameter'),
            (("-s",), 'option "-s" requires parameter'),
            (("-s", "kill"), 'invalid option: "-s kill"'),
        ):
            error = self.assertRaises(OptionError, parseCommandLine, words)
            self.assertEqual(str(error), message)


class CommandLineTests(SynchronousTestCase):
    """
    Paths of L{CommandLine}.
    """

    def test_defaults(self) -> None:
        """
        Without options everything lies under the current directory.
        """
        here = os.getcwd()
        command = CommandLine()
        self.assertEqual(command.fullPrefix, f"{here}/")
        self.assertEqual(command.path, f"{here}/conf/nginx.conf")
        self.assertEqual(command.errorLogPath, f"{here}/logs/error.log")

    def test_relative(self) -> None:
        """
        Configuration and error log are relative to the prefix.
        """
        command = CommandLine(prefix="/p", configuration="a.conf", errorLog="e.log")
        self.assertEqual(command.path, "/p/a.conf")
        self.assertEqual(command.errorLogPath, "/p/e.log")

    def test_absolute(self) -> None:
        """
        Absolute paths stay as they are, and C{stderr} is no file.
        """
        command = CommandLine(prefix="/p", configuration="/a.conf", errorLog="stderr")
        self.assertEqual(command.path, "/a.conf")
        self.assertEqual(command.errorLogPath, "stderr")


class MainTests(SynchronousTestCase):
    """
    L{main} as far as it needs no configuration.
    """

    def run_(self, *words: str) -> tuple[int, str]:
        """
        Exit code and standard error.
        """
        error = io.StringIO()
        with redirect_stderr(error):
            return main(words), error.getvalue()

    def test_wrongOption(self) -> None:
        """
        A wrong option is told and ends with 1.
        """
        self.assertEqual(self.run_("-x"), (1, 'nginx: invalid option: "x"\n'))

    def test_bytes(self) -> None:
        """
        What is complained of is shown byte for byte, whatever the terminal speaks.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"caf\xe9 \xc3\xa9;\n")
        data = io.BytesIO()
        error = io.TextIOWrapper(data, "ascii", "backslashreplace")
        with redirect_stderr(error):
            self.assertEqual(main(("-t", "-c", os.path.abspath(path))), 1)
            error.flush()
        self.assertIn(b'unknown directive "caf\xe9"', data.getvalue())
        self.assertIn(b"    caf\xe9 \xc3\xa9;\n", data.getvalue())

    def test_version(self) -> None:
        """
        C{-v} prints our version and the version of nginx whose behaviour we follow.
        """
        code, text = self.run_("-v")
        self.assertEqual(code, 0)
        first, second = text.splitlines()
        self.assertTrue(first.startswith("twisted_upstream version: "))
        self.assertEqual(second, "nginx version: nginx/1.31.5")

    def test_help(self) -> None:
        """
        C{-h} explains every option.
        """
        code, text = self.run_("-h")
        self.assertEqual(code, 0)
        for letter in "?hvVtTqspecg":
            self.assertRegex(text, rf"(?m)^  (-\?,)?-{re.escape(letter)}[ ,]")

    def test_versionEnds(self) -> None:
        """
        A version that is asked for ends the command, whatever else it says.
        """
        code, _ = self.run_("-v", "-s", "stop", "-c", "/no/such/file")
        self.assertEqual(code, 0)


class NurseryTests(SynchronousTestCase):
    """
    How PyPy is started anew.
    """

    def test_sameWords(self) -> None:
        """
        PyPy starts once more with the very words that it was started with.
        """
        words = ["pypy3", "-I", "/usr/bin/twisted-upstream", "-t"]
        self.assertEqual(
            nurseryCommand("pypy", {}, "/usr/bin/pypy3", words),
            ["/usr/bin/pypy3", "-I", "/usr/bin/twisted-upstream", "-t"],
        )

    def test_notTwice(self) -> None:
        """
        Not if the environment says how large the nursery is, not if nobody knows where
        the interpreter is, and no other interpreter.
        """
        said = {"PYPY_GC_NURSERY": "4M"}
        self.assertIsNone(nurseryCommand("pypy", said, "/usr/bin/pypy3", ["x"]))
        self.assertIsNone(nurseryCommand("pypy", {}, "", ["x"]))
        self.assertIsNone(nurseryCommand("cpython", {}, "/usr/bin/python3", ["x"]))
