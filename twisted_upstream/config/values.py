"""
What words mean: numbers, sizes, times, and texts with C{$variables}.

nginx: C{core/ngx_parse.c}, C{ngx_atoi()}, C{ngx_http_script_compile()}
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Numbers, sizes and times end here, as in nginx on 64 bits.
LARGEST = 2**63 - 1

_digits = re.compile(r"[0-9]+", re.ASCII)
_timePart = re.compile(r"([0-9]*)(ms|[yMwdhms ]) *", re.ASCII)
_variable = re.compile(
    r"\$(?:([1-9])|\{([A-Za-z0-9_]*)(\}?)|([A-Za-z0-9_]+)|)", re.ASCII
)

# Unit to rank and milliseconds: units come in order of rank, each at most once.  A
# space after a number is as good as "s" but comes last.
_UNITS = {
    "y": (1, 365 * 86400_000),
    "M": (2, 30 * 86400_000),
    "w": (3, 7 * 86400_000),
    "d": (4, 86400_000),
    "h": (5, 3600_000),
    "m": (6, 60_000),
    "s": (7, 1000),
    "ms": (8, 1),
    " ": (9, 1000),
}
_SCALES = {"k": 1024, "m": 1024**2, "g": 1024**3}


class InvalidTemplate(ValueError):
    """
    A C{$} without the name of a variable; the message is nginx's, all of it.

    @ivar text: the whole text.
    """

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


def _decimal(word: str, message: str) -> int:
    if not _digits.fullmatch(word):
        raise ValueError(message)
    word = word.lstrip("0") or "0"
    # Too many digits are refused before anybody multiplies them.
    value = int(word) if len(word) < 20 else LARGEST + 1
    if value > LARGEST:
        raise ValueError(message)
    return value


def parseNumber(word: str) -> int:
    """
    Digits.  nginx: C{ngx_atoi()}

    @raise ValueError: C{"invalid number"}
    """
    return _decimal(word, "invalid number")


def _scaled(word: str, units: str) -> int:
    unit = word[-1:].lower()
    # str.lower() knows letters that are no ASCII: U+212A, the Kelvin sign, is one.
    if not unit or unit not in units or not word.isascii():
        return _decimal(word, "invalid value")
    value = _decimal(word[:-1], "invalid value") * _SCALES[unit]
    if value > LARGEST:
        raise ValueError("invalid value")
    return value


def parseSize(word: str) -> int:
    """
    Bytes: digits and perhaps C{k} or C{m} in either case.  nginx: C{ngx_parse_size()}

    @raise ValueError: C{"invalid value"}
    """
    return _scaled(word, "km")


def parseOffset(word: str) -> int:
    """
    Bytes of a file: as L{parseSize}, and C{g}.  nginx: C{ngx_parse_offset()}

    @raise ValueError: C{"invalid value"}
    """
    return _scaled(word, "kmg")


def parseTime(word: str, *, milliseconds: bool = True) -> float:
    """
    Seconds: numbers with units from large to small, C{y M w d h m s ms}; a number
    without a unit counts seconds.  nginx: C{ngx_parse_time()}

    @param milliseconds: C{ms} is known, and C{y} and C{M} are not.  Otherwise the
        other way round, and the answer is a whole number.
    @raise ValueError: C{"invalid value"}
    """
    wrong = ValueError("invalid value")
    rank = 2 if milliseconds else 0
    total = 0
    position = 0
    numbers = False
    while found := _timePart.match(word, position):
        value, unit = found.groups()
        follows, scale = _UNITS[unit]
        # After seconds nginx takes no space: "1s 5" ends with a number, "1s5 " fails.
        if follows <= rank or (unit == " " and rank >= 7):
            raise wrong
        if unit == "ms" and not milliseconds:
            raise wrong
        rank = follows
        if value:
            numbers = True
            total += _decimal(value, "invalid value") * scale
        position = found.end()
    last = word[position:]
    if last:
        numbers = True
        total += _decimal(last, "invalid value") * 1000
    if not numbers or total > LARGEST * (1 if milliseconds else 1000):
        raise wrong
    return total / 1000 if milliseconds else float(total // 1000)


@dataclass(frozen=True, slots=True)
class Variable:
    """
    C{$name} in a text.  C{$1} is the variable C{"1"}.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """
    A text that may contain variables.

    @ivar text: as written.
    @ivar parts: constant texts, none empty and no two in a row, and variables.
    """

    text: str
    parts: tuple[str | Variable, ...]

    @property
    def constant(self) -> bytes | None:
        """
        The text if there is no variable in it, otherwise C{None}.
        """
        if any(isinstance(part, Variable) for part in self.parts):
            return None
        return self.text.encode("utf-8", "surrogateescape")


def parseTemplate(text: str) -> Template:
    """
    Find the variables in a text.  A C{$} cannot be escaped.

    @raise InvalidTemplate: a variable has no name, or no end.
    """
    parts: list[str | Variable] = []
    position = 0
    for found in _variable.finditer(text):
        if found.start() > position:
            parts.append(text[position : found.start()])
        digit, braced, close, bare = found.groups()
        position = found.end()
        name = digit or braced or bare
        if braced is not None and not close and (braced or position < len(text)):
            raise InvalidTemplate(
                f'the closing bracket in "{braced}" variable is missing', text
            )
        if not name:
            raise InvalidTemplate(f'invalid variable name in "{text}"', text)
        parts.append(Variable(name))
    if position < len(text):
        parts.append(text[position:])
    return Template(text, tuple(parts))
