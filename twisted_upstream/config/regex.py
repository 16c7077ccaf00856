"""
Regular expressions as nginx's users write them (PCRE), for Python's C{re} on bytes.

What PCRE and Python spell differently is translated; what Python cannot do is refused
when the configuration is read.  There is no guard against patterns whose matching
takes exponential time: PCRE has a match limit, C{re} has none, so C{(a+)+$} on hostile
input is as dangerous here as it would be in any Python program.

nginx: ngx_regex_compile(), ngx_http_regex_compile(), ngx_http_regex_exec()
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Callable
from re import Pattern
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .syntax import Node

_POSIX = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r" \t\n\r\f\x0b",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9A-Fa-f",
    "word": r"\w",
    "print": r"\x20-\x7e",
    "graph": r"\x21-\x7e",
    "cntrl": r"\x00-\x1f\x7f",
    "ascii": r"\x00-\x7f",
}
#: What a letter after a backslash means outside and inside of C{[]}.
_ESCAPES = {
    "h": (r"[\t \xa0]", r"\t \xa0"),
    "H": (r"[^\t \xa0]", None),
    "v": (r"[\n-\r\x85]", r"\n-\r\x85"),
    "V": (r"[^\n-\r\x85]", None),
    "R": (r"(?>\r\n|[\n-\r\x85])", None),
    "N": (r"[^\n]", None),
    "e": (r"\x1b", r"\x1b"),
    "z": (r"\Z", None),
    "Z": (r"(?=\n?\Z)", None),
    "E": ("", ""),
}
_UNSUPPORTED = {"K": "\\K", "G": "\\G", "X": "\\X", "C": "\\C"}
#: Python's words for a mistake, and PCRE's.
_MESSAGES = (
    ("nothing to repeat", "quantifier does not follow a repeatable item"),
    ("multiple repeat", "quantifier does not follow a repeatable item"),
    ("unterminated character set", "missing terminating ] for character class"),
    ("missing ), unterminated", "missing closing parenthesis"),
    ("unbalanced parenthesis", "unmatched closing parenthesis"),
    ("bad character range", "range out of order in character class"),
    ("min repeat greater than max", "numbers out of order in {} quantifier"),
    ("bad escape (end of pattern)", "\\ at end of pattern"),
    (
        "look-behind requires fixed-width",
        "length of lookbehind assertion is not limited",
    ),
    ("invalid group reference", "reference to non-existent subpattern"),
    ("unknown group name", "reference to non-existent subpattern"),
    ("redefinition of group name", "two named subpatterns have the same name"),
)
_NAMED = re.compile(r"\(\?(?:P?<(?![=!])|')(\w*)[>']")
_FLAGS = re.compile(r"\(\?([imsx]*(?:-[imsx]+)?)([:)])")
_REFERENCE = re.compile(r"\\k(?:<(\w+)>|'(\w+)'|\{(\w+)\})|\\g(?:\{(-?\w+)\}|(-?\d+))")
_PROPERTY = re.compile(r"\\([pP])(?:\{(\^?)(\w+)\}|(\w))")
_HEX = re.compile(r"\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{0,2}))")
_CLASS = re.compile(r"\[:(\^?)(\w+):\]")
_CONDITION = re.compile(r"\(\?\((?:(\w+)|<(\w+)>|'(\w+)')\)")


_CATEGORY = re.compile("Any|[CLMNPSZ][a-z]?")


class Untranslatable(ValueError):
    """
    A construct of PCRE that Python's C{re} does not have.
    """


class _Translator:
    """
    Walks once over a PCRE pattern and writes Python's.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._out: list[str] = []
        self._groups = 0
        # For each group that is open: the flags set inside of it so far, each as the
        # "(?i:" that must be closed at its end and opened again after a "|".
        self._flags: list[list[str]] = [[]]

    def translate(self) -> str:
        pattern = self._pattern
        while self._at < len(pattern):
            c = pattern[self._at]
            if c == "\\":
                self._escape()
            elif c == "[":
                self._set()
            elif c == "(":
                self._open()
            elif c == ")":
                self._close()
            elif c == "|":
                flags = self._flags[-1]
                self._emit(")" * len(flags) + "|" + "".join(flags), 1)
            else:
                self._emit(c, 1)
        if len(self._flags) == 1:
            self._out.append(")" * len(self._flags[0]))
        return "".join(self._out)

    def _emit(self, text: str, length: int) -> None:
        self._out.append(text)
        self._at += length

    def _close(self) -> None:
        flags = self._flags.pop() if len(self._flags) > 1 else []
        self._emit(")" * len(flags) + ")", 1)

    def _open(self) -> None:
        pattern, at = self._pattern, self._at
        named = _NAMED.match(pattern, at)
        if named:
            self._groups += 1
            self._flags.append([])
            return self._emit(f"(?P<{named[1]}>", named.end() - at)
        flags = _FLAGS.match(pattern, at)
        if flags and flags[2] == ")":
            # From here on to the end of the group: Python only knows flags for a
            # group of their own.
            opening = f"(?{flags[1]}:" if flags[1].strip("-") else "(?:"
            self._flags[-1].append(opening)
            return self._emit(opening, flags.end() - at)
        condition = _CONDITION.match(pattern, at)
        if condition:
            name = condition[1] or condition[2] or condition[3]
            if name == "R" or name == "DEFINE":
                raise Untranslatable(f"(?({name}) is not supported")
            self._flags.append([])
            return self._emit(f"(?({name})", condition.end() - at)
        if pattern.startswith("(*", at):
            raise Untranslatable("(*VERB) is not supported")
        if pattern.startswith("(?#", at):
            end = pattern.find(")", at)
            return self._emit("", (end + 1 if end >= 0 else len(pattern)) - at)
        for opening in ("(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"):
            if pattern.startswith(opening, at):
                self._flags.append([])
                return self._emit(opening, len(opening))
        if flags:
            self._flags.append([])
            return self._emit(flags[0], len(flags[0]))
        if pattern.startswith("(?P=", at):
            end = pattern.find(")", at) + 1 or len(pattern)
            return self._emit(pattern[at:end], end - at)
        if pattern.startswith("(?", at):
            raise Untranslatable(f'"{pattern[at : at + 3]}" is not supported')
        self._groups += 1
        self._flags.append([])
        self._emit("(", 1)
        return None

    def _escape(self, inside: bool = False) -> None:
        pattern, at = self._pattern, self._at
        c = pattern[at + 1 : at + 2]
        if c in _ESCAPES and c:
            text = _ESCAPES[c][inside]
            if text is None:
                raise Untranslatable(f"\\{c} in a character class is not supported")
            return self._emit(text, 2)
        if c in _UNSUPPORTED:
            raise Untranslatable(f"{_UNSUPPORTED[c]} is not supported")
        if c == "Q":
            end = pattern.find("\\E", at)
            literal = pattern[at + 2 : end if end >= 0 else len(pattern)]
            return self._emit(re.escape(literal), len(literal) + 2)
        if c == "c" and at + 2 < len(pattern):
            return self._emit(f"\\x{ord(pattern[at + 2].upper()) ^ 64:02x}", 3)
        if c == "x":
            found = _HEX.match(pattern, at)
            assert found is not None
            code = int(found[1] or found[2] or "0", 16)
            if code > 255:
                raise Untranslatable(
                    "character code point value in \\x{} or \\o{} is too large"
                )
            return self._emit(f"\\x{code:02x}", found.end() - at)
        if c in "gk" and c:
            return self._reference()
        if c in "pP" and c:
            return self._property(inside)
        return self._emit(pattern[at : at + 2], 2)

    def _property(self, inside: bool) -> None:
        """
        A Unicode property.  Without PCRE's UTF mode a character is a byte, and stands
        for one of the first 256.
        """
        found = _PROPERTY.match(self._pattern, self._at)
        if found is None:
            raise Untranslatable("malformed \\P or \\p sequence")
        name = found[3] or found[4]
        negated = (found[1] == "P") != bool(found[2])
        members = [
            code
            for code in range(256)
            if name == "Any" or unicodedata.category(chr(code)).startswith(name)
        ]
        if not members or not _CATEGORY.fullmatch(name):
            raise Untranslatable("unknown property after \\P or \\p")
        if negated:
            members = [code for code in range(256) if code not in members]
        text = "".join(f"\\x{code:02x}" for code in members)
        self._emit(text if inside else f"[{text}]", found.end() - self._at)

    def _reference(self) -> None:
        found = _REFERENCE.match(self._pattern, self._at)
        if found is None:
            raise Untranslatable(
                "a numbered reference must not be zero"
                if self._pattern.startswith("\\g", self._at)
                else "\\k is not followed by a braced, angle-bracketed, or quoted name"
            )
        name = next(part for part in found.groups() if part)
        if name.lstrip("-").isdigit():
            number = int(name)
            if number < 0:
                number += self._groups + 1
            # A group of its own keeps a digit that follows apart.
            text = f"(?:\\{number})"
        else:
            text = f"(?P={name})"
        self._emit(text, found.end() - self._at)

    def _set(self) -> None:
        pattern = self._pattern
        self._emit("[", 1)
        if pattern.startswith("^", self._at):
            self._emit("^", 1)
        if pattern.startswith("]", self._at):
            self._emit("\\]", 1)
        while self._at < len(pattern):
            c = pattern[self._at]
            if c == "]":
                return self._emit("]", 1)
            if c == "\\":
                self._escape(inside=True)
                continue
            if c == "[":
                named = _CLASS.match(pattern, self._at)
                if named:
                    self._named(named[1], named[2])
                    self._at = named.end()
                    continue
            # "[", "&&", "||" and "~~" may come to mean something to Python one day.
            self._emit("\\" + c if c in "[&|~" else c, 1)
        return None

    def _named(self, negated: str, name: str) -> None:
        members = _POSIX.get(name)
        if members is None:
            raise Untranslatable("unknown POSIX class name")
        if negated:
            inverse = {"digit": r"\D", "space": r"\S", "word": r"\W"}.get(name)
            if inverse is None:
                raise Untranslatable(f"[:^{name}:] is not supported")
            members = inverse
        self._out.append(members)


def translate(pattern: str) -> str:
    """
    Rewrite a PCRE pattern so that C{re} compiles it to the same meaning.

    @raise Untranslatable: it uses what C{re} does not have.
    """
    return _Translator(pattern).translate()


class InvalidPattern(ValueError):
    """
    A text is no valid pattern, or uses what Python does not have; says so as nginx.
    """


def compilePattern(text: str, ignoreCase: bool = False) -> Pattern[bytes]:
    """
    Compile a PCRE pattern.

    @return: to be used with C{search}; the names of its groups are
        C{pattern.groupindex}.
    @raise InvalidPattern: it cannot be compiled.
    """
    try:
        source = translate(text).encode("utf-8", "surrogateescape")
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            return re.compile(source, re.IGNORECASE if ignoreCase else 0)
    except Untranslatable as e:
        reason = str(e)
    except (re.error, FutureWarning, OverflowError) as e:
        reason = getattr(e, "msg", str(e))
        for theirs, pcre in _MESSAGES:
            if reason.startswith(theirs):
                reason = pcre
                break
    raise InvalidPattern(f'pcre2_compile() failed: {reason} in "{text}"')


def compileRegex(text: str, node: Node, ignoreCase: bool = False) -> Pattern[bytes]:
    """
    Compile a PCRE pattern of the configuration.

    @raise ConfigError: as L{compilePattern}.
    """
    try:
        return compilePattern(text, ignoreCase)
    except InvalidPattern as e:
        message = str(e)
    raise node.error(message)


#: Tries a regular expression on a text: takes the request and the text.
Matcher = Callable[[Any, bytes], bool]


def matcher(pattern: Pattern[bytes]) -> Matcher:
    """
    A function that searches in a text and, when it is found, leaves the groups in
    C{request.captures} and the named ones in C{request.values}.

    A pattern without groups that matches forgets what earlier ones captured, as in
    nginx; one that does not match leaves it.

    nginx: ngx_http_regex_exec()
    """
    search = pattern.search
    names = tuple(pattern.groupindex)
    if not pattern.groups:

        def plain(request: Any, subject: bytes) -> bool:
            if search(subject) is None:
                return False
            request.captures = ()
            return True

        return plain

    def match(request: Any, subject: bytes) -> bool:
        found = search(subject)
        if found is None:
            return False
        request.captures = (found[0], *found.groups())
        for name in names:
            request.values[name] = found[name] or b""
        return True

    return match


def compileMatcher(
    text: str, node: Node, build: Any, ignoreCase: bool = False
) -> Matcher:
    """
    Compile a pattern and declare its named groups as variables.

    @param build: the composition at hand; C{build.variables} takes the names.
    @raise ConfigError: as L{compileRegex}.
    """
    pattern = compileRegex(text, node, ignoreCase)
    for name in pattern.groupindex:
        build.variables.declare(name)
    return matcher(pattern)
