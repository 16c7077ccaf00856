"""
Tests for L{twisted_upstream.http.phases.ssi_parser}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.http.phases.ssi_parser import Command, Event, Parser, Wrong


def read(*pieces: bytes, most: int = 20) -> list[Event]:
    """
    What is in a body; text in a row is one.
    """
    parser = Parser(most)
    found: list[Event] = []
    for event in [e for piece in pieces for e in parser.feed(piece)] + [parser.rest()]:
        if isinstance(event, bytes):
            if found and isinstance(found[-1], bytes):
                found[-1] += event
                continue
            if not event:
                continue
        found.append(event)
    return found


class ParserTests(SynchronousTestCase):
    """
    L{Parser}.
    """

    def test_commands(self) -> None:
        """
        Commands between text, with any spaces and both kinds of quotes.
        """
        for data, expected in (
            (b"", []),
            (b"text", [b"text"]),
            (b"a<!--# else -->b", [b"a", Command(b"else", ()), b"b"]),
            (b"<!--#else-->", [Command(b"else", ())]),
            (
                b'<!--#\r\n echo\tvar = "x" default=\'-->"\' -->',
                [Command(b"echo", ((b"var", b"x"), (b"default", b'-->"')))],
            ),
            (
                rb'<!--#set var="a\"b" value="\\"-->',
                [Command(b"set", ((b"var", rb"a\"b"), (b"value", rb"\\")))],
            ),
            (b"<<!--#x-->", [b"<", Command(b"x", ())]),
            (b"<!-<!--#x-->", [b"<!-", Command(b"x", ())]),
            (b"<!-- text --><", [b"<!-- text --><"]),
            (b"a<!--# never ended", [b"a"]),
        ):
            self.assertEqual(read(data), expected, data)

    def test_wrong(self) -> None:
        """
        What is wrong is told at once, and skipped up to its end.
        """
        for inside, message in (
            (b"x" * 33, f'the "{"x" * 33}..." SSI command is too long'),
            (b"x-a", 'unexpected "a" symbol in "x" SSI command'),
            (b"x --a", 'unexpected "a" symbol in "x" SSI command'),
            (
                b"x " + b"p" * 33,
                f'too long "{"p" * 33}..." parameter in "x" SSI command',
            ),
            (b"x p", 'unexpected "-" symbol after "p" parameter in "x" SSI command'),
            (b"x p y", 'unexpected "y" symbol after "p" parameter in "x" SSI command'),
            (
                b"x p=y",
                'unexpected "y" symbol before value of "p" parameter in "x"'
                " SSI command",
            ),
            (
                b'x p="v"y',
                'unexpected "y" symbol after "v" value of "p" parameter in "x"'
                " SSI command",
            ),
            (
                b'x p="' + b"v" * 21 + b'"',
                f'too long "{"v" * 21}..." value of "p" parameter in "x" SSI command',
            ),
            (
                b'x p="' + b"v" * 20 + b'\\""',
                f'too long "{"v" * 20}\\..." value of "p" parameter in "x" SSI command',
            ),
        ):
            found = read(b"a<!--#" + inside + b"-->b")
            self.assertEqual(found[0], b"a")
            self.assertEqual(found[1], Wrong(message, False))
            self.assertEqual(found[2], Wrong("", True), inside)
            self.assertEqual(found[3], b"b")

    @given(
        st.lists(
            st.sampled_from(
                [
                    b"<",
                    b"!",
                    b"-",
                    b"#",
                    b"<!--#",
                    b"-->",
                    b"x",
                    b" ",
                    b'"',
                    b"=",
                    b"\\",
                ]
            ),
            max_size=25,
        ).map(b"".join)
    )
    def test_splits(self, data: bytes) -> None:
        """
        However a body is cut, the same is found in it.
        """
        whole = read(data)
        for at in range(len(data) + 1):
            self.assertEqual(read(data[:at], data[at:]), whole)
        self.assertEqual(read(*[data[at : at + 1] for at in range(len(data))]), whole)

    def test_bounded(self) -> None:
        """
        A command that does not end keeps nothing but what it needs.
        """
        parser = Parser(20)
        parser.feed(b"<!--#x" + b' p="v"' * 10_000 + b" " * 10_000)
        (found,) = parser.feed(b"-->")
        assert isinstance(found, Command)
        self.assertEqual(len(found.parameters), 17)
