"""
What texts in SSI commands mean: variables, conditions, dates.

nginx: C{ngx_http_ssi_evaluate_string()}, C{ngx_http_ssi_if()},
C{ngx_http_ssi_regex_match()}, C{ngx_http_ssi_date_gmt_local_variable()}
"""

from __future__ import annotations

import re
import time
from typing import Any

from ...config.regex import InvalidPattern, compilePattern


class Invalid(Exception):
    """
    A command cannot be carried out; the text is what the error log says.
    """


class Shared:
    """
    What all pages of one response have in common.

    @ivar variables: values by name.
    @ivar captures: the groups of the last regular expression that matched.
    @ivar blocks: texts that may stand for an inclusion, by name.
    """

    __slots__ = ("blocks", "captures", "variables")

    def __init__(self) -> None:
        self.variables: dict[bytes, bytes] = {}
        self.captures: tuple[bytes | None, ...] = ()
        self.blocks: dict[bytes, list[bytes]] = {}

    def assign(self, name: bytes, value: bytes) -> None:
        """
        Give a variable a value.

        @raise Invalid: there would be too much.
        """
        kept = sum(len(each) for each in self.variables.values())
        if kept - len(self.variables.get(name, b"")) + len(value) > MOST_TEXT:
            raise Invalid(f'too much in SSI variables for "{_show(name)}"')
        self.variables[name] = value

    def value(self, request: Any, name: bytes) -> bytes | None:
        """
        The value of a variable, of SSI or of the request; C{None}: it has none.
        """
        if len(name) == 1 and name.isdigit() and int(name) < len(self.captures):
            return self.captures[int(name)] or b""
        if name in self.variables:
            return self.variables[name]
        text = name.decode("latin-1")
        values: dict[str, bytes] = request.values
        if text in values:
            return values[text]
        getter = request.connection.factory.served.find(text)
        return None if getter is None else getter(request)


_PART = re.compile(
    rb"\\(?P<escaped>.)|\\|\$(?:\{(?P<braced>\w*)(?P<closed>\}?)|(?P<name>\w*))", re.S
)


def _show(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


#: Longest text that may come of one, and longest texts that may be kept.
MOST_TEXT = 1024 * 1024


def evaluate(shared: Shared, request: Any, text: bytes) -> bytes:
    """
    Replace variables and escapes.

    @raise Invalid: what follows a C{$} is no name, or the values are too long.
    """
    if b"$" not in text and b"\\" not in text:
        return text
    room = MOST_TEXT

    def replace(found: re.Match[bytes]) -> bytes:
        nonlocal room
        escaped = found["escaped"]
        if escaped is not None:
            return bytes(escaped) if escaped in b"\\'\"$" else b"\\" + escaped
        if found[0] == b"\\":
            return b""
        name = found["name"]
        if name is None:
            name = found["braced"]
            if not found["closed"]:
                if not name and found.end() == len(text):
                    raise Invalid(f'invalid variable name in "{_show(text)}"')
                raise Invalid(
                    f'the closing bracket in "{_show(name)}" variable is missing'
                )
        if not name:
            raise Invalid(f'invalid variable name in "{_show(text)}"')
        value = shared.value(request, name.lower()) or b""
        room -= len(value)
        if room < 0:
            raise Invalid(f'too long value of "{_show(text)}"')
        return value

    return _PART.sub(replace, text)


_LEFT = re.compile(rb"""[A-Za-z0-9${}_"']*""")


def holds(shared: Shared, request: Any, expression: bytes) -> bool:
    """
    Is a condition true?

    @raise Invalid: it is none.
    """
    found = _LEFT.match(expression)
    left = b"" if found is None else found[0]
    rest = expression[len(left) :].lstrip(b" ")
    value = evaluate(shared, request, left.lower())
    if not rest:
        return bool(value)
    negative = rest.startswith(b"!=")
    if not negative and not rest.startswith(b"="):
        raise Invalid(f'invalid expression in "{_show(expression)}"')
    rest = rest[1 + negative :].lstrip(b" ")
    if len(rest) > 1 and rest.startswith(b"/"):
        if not rest.endswith(b"/"):
            raise Invalid(f'invalid expression in "{_show(expression)}"')
        pattern = evaluate(shared, request, rest[1:-1])
        return _matches(shared, pattern, value) is not negative
    if len(rest) > 1 and rest.startswith(rb"\/"):
        rest = rest[1:]
    return (evaluate(shared, request, rest) == value) is not negative


def _matches(shared: Shared, pattern: bytes, value: bytes) -> bool:
    try:
        compiled = compilePattern(pattern.decode("utf-8", "surrogateescape"))
    except InvalidPattern as e:
        raise Invalid(str(e)) from None
    found = compiled.search(value)
    if found is None:
        return False
    shared.captures = (found[0], *found.groups())
    for name in compiled.groupindex:
        shared.variables[name.lower().encode()] = found[name] or b""
    return True


_ZONE = re.compile(r"%(%|Z)")


def formatTime(form: bytes, now: float, gmt: bool) -> bytes | None:
    """
    A moment as C{strftime} would write it; C{None}: it cannot.

    @param form: C{%s}: seconds since 1970.
    """
    if form == b"%s":
        return b"%d" % int(now)
    text = form.decode("latin-1")
    parts = time.gmtime(now) if gmt else time.localtime(now)
    if gmt:
        text = _ZONE.sub(lambda found: "%%" if found[1] == "%" else "GMT", text)
    try:
        return time.strftime(text, parts).encode("latin-1", "replace") or None
    except ValueError:
        return None
