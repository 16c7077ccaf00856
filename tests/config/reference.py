"""
The tokenizer as a table of states, one character at a time: slow, and plain enough to
be compared with what nginx is documented to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SPACES = " \t\r\n"
_ESCAPES = {'"': '"', "'": "'", "\\": "\\", "t": "\t", "r": "\r", "n": "\n"}


@dataclass
class Outcome:
    """
    What one directive turned out to be.

    @ivar end: C{";"}, C{"{"}, C{"}"}, C{""} at the end of the file, or C{"error"}.
    @ivar line: the line of an error.
    """

    end: str
    words: list[str] = field(default_factory=list)
    position: int = 0
    message: str = ""
    line: int = 0


def value(raw: str) -> str:
    """
    The text of a word, its escapes replaced.
    """
    result, index = "", 0
    while index < len(raw):
        follows = raw[index + 1 : index + 2]
        if raw[index] == "\\" and follows in _ESCAPES and follows:
            result += _ESCAPES[follows]
            index += 2
        else:
            result += raw[index]
            index += 1
    return result


def readDirective(text: str, position: int = 0) -> Outcome:
    """
    Read one directive, to its C{;} or brace.
    """
    words: list[str] = []
    betweenWords, afterQuote, escaped, comment, variable = (
        True,
        False,
        False,
        False,
        False,
    )
    quote = ""
    start = position
    line = 1 + text.count("\n", 0, position)

    def failed(message: str) -> Outcome:
        return Outcome("error", words, position, message, line)

    while position < len(text):
        c = text[position]
        position += 1
        if c == "\n":
            line += 1
            comment = False
        if comment:
            continue
        if escaped:
            escaped = False
            continue
        if afterQuote:
            if c in SPACES:
                betweenWords, afterQuote = True, False
                continue
            if c in ";{":
                return Outcome(c, words, position)
            if c != ")":
                return failed(f'unexpected "{c}"')
            betweenWords, afterQuote = True, False
        if betweenWords:
            start = position - 1
            if c in SPACES:
                continue
            if c in ";{":
                if not words:
                    return failed(f'unexpected "{c}"')
                return Outcome(c, words, position)
            if c == "}":
                if words:
                    return failed('unexpected "}"')
                return Outcome(c, words, position)
            if c == "#":
                comment = True
                continue
            betweenWords = False
            if c == "\\":
                escaped = True
            elif c in "\"'":
                start += 1
                quote = c
            elif c == "$":
                variable = True
            continue
        if c == "{" and variable:
            continue
        variable = False
        if c == "\\":
            escaped = True
            continue
        if c == "$":
            variable = True
            continue
        if quote:
            if c != quote:
                continue
            quote = ""
            afterQuote = True
        elif c in SPACES or c in ";{":
            betweenWords = True
        else:
            continue
        words.append(value(text[start : position - 1]))
        if c in ";{":
            return Outcome(c, words, position)
    if words or not betweenWords:
        return failed('unexpected end of file, expecting ";" or "}"')
    return Outcome("", words, position)
