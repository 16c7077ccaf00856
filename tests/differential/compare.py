"""
What two runs of a scene left behind, written as lines that may be compared.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping

from tests.differential.backends import Seen
from tests.differential.client import Answer, Transcript

_LEVELS = ["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"]
_ERROR_LINE = re.compile(
    r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(\w+)\] \d+#\d+: (?:\*\d+ )?(.*)", re.S
)
# Which of the two it was doing is a matter of timing.
_RELAYING = re.compile("while (reading upstream|sending to client)")
_LINE_START = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[")
_UNPRINTABLE = re.compile("[^ -~]")
_CLIENT_FAULTS = ("client sent", "client timed out", "client prematurely closed")
_DATE = re.compile(r"(?m)^(Date: )\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
_LOG_TIME = re.compile(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]")
_SECONDS = re.compile(r"(?<![\d.])\d+\.\d{3}(?![\d.])")


class Names:
    """
    Replaces what must differ between two runs by names: ports, the folder, versions.
    """

    def __init__(self, ports: Mapping[str, int], prefix: str) -> None:
        """
        @param ports: the ports of one run by name.
        @param prefix: its folder.
        """
        numbers = {str(number): name for name, number in ports.items()}
        self._ports = re.compile(
            r"(?<!\d)(?:" + "|".join(numbers or ["$^"]) + r")(?!\d)"
        )
        self._numbers = numbers
        self._prefix = prefix

    def __call__(self, text: str) -> str:
        """
        C{text} with names.
        """
        text = text.replace(self._prefix, "%%prefix%%")
        text = self._ports.sub(lambda match: f"%%{self._numbers[match[0]]}%%", text)
        return re.sub(r"nginx/\d+\.\d+\.\d+", "nginx/VERSION", text)


def _visible(data: bytes) -> str:
    r"""
    Bytes as text: latin-1, with control bytes as C{\x01}.
    """
    return _UNPRINTABLE.sub(
        lambda match: f"\\x{ord(match[0]):02x}", data.decode("latin-1")
    )


def _bodyLines(body: bytes, names: Names) -> list[str]:
    if len(body) > 2000:
        # The digest is of what is equal on both sides.
        text = names(_visible(body))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return [f"  | {len(body)} bytes, sha256 {digest}, {text[:100]}..."]
    lines = body.split(b"\n")
    return ["  | " + names(_visible(line)) for line in lines] if body else []


def answerLines(transcript: Transcript, names: Names) -> list[str]:
    """
    What the client of one play got.
    """
    lines: list[str] = []
    for answer in transcript.answers:
        lines.extend(_oneAnswer(answer, names))
    if transcript.rest:
        lines.append("  rest:")
        lines.extend(_bodyLines(transcript.rest, names))
    lines.append(f"  connection {transcript.ending}")
    return lines


def _oneAnswer(answer: Answer, names: Names) -> list[str]:
    lines = [_DATE.sub(r"\1NOW", names(_visible(line))) for line in answer.head]
    lines.append(
        f"  framing {answer.framing}{'' if answer.complete else ', cut short'}"
    )
    lines.extend(_bodyLines(answer.body, names))
    lines.extend("  trailer " + names(_visible(line)) for line in answer.trailers)
    return lines


def seenLines(record: Iterable[Seen], names: Names) -> list[str]:
    """
    What the back ends got during one play, in order.
    """
    lines: list[str] = []
    for seen in record:
        lines.append(f"{seen.backend}, connection {seen.connection}:")
        lines.extend(_bodyLines(seen.data, names))
    return lines


def accessLines(lines: Iterable[str], names: Names) -> list[str]:
    """
    An access log with times as C{NOW} and C{T}, sorted: after a lingering close a
    request is logged late.
    """
    return sorted(
        _SECONDS.sub("T", _LOG_TIME.sub("NOW", names(line))) for line in lines
    )


def errorLines(lines: Iterable[str], names: Names, level: str) -> list[str]:
    """
    The lines of an error log from C{level} up, without time and numbers; at level
    info and below only what clients did wrong, and only the message.
    """
    least = _LEVELS.index(level)
    result: list[str] = []
    for line in _joined(lines):
        match = _ERROR_LINE.fullmatch(line)
        if match is None:
            result.append("not nginx's format: " + names(line))
            continue
        text = _errorText(names(match[2]))
        if match[1] in _LEVELS[:3]:
            text = text.partition(", client: ")[0]
            if not text.startswith(_CLIENT_FAULTS):
                continue
        if _LEVELS.index(match[1]) >= least:
            result.append(f"[{match[1]}] {text}")
    return result


def _joined(lines: Iterable[str]) -> list[str]:
    r"""
    Log lines with what nginx writes as it came, line feeds too, as C{\x0a}, the way
    that ours are written.
    """
    result: list[str] = []
    for line in lines:
        line = _UNPRINTABLE.sub(
            lambda match: "".join(
                f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "surrogateescape")
            ),
            line,
        )
        if result and not _LINE_START.match(line):
            result[-1] += "\\x0a" + line
        else:
            result.append(line)
    return result


def _errorText(text: str) -> str:
    text = _RELAYING.sub("while relaying", _SECONDS.sub("T", text))
    # The words for an error number are the C library's.
    text = re.sub(r"\((\d+): [^)]*\)", r"(\1)", text)
    # How much of a long line is shown is not compared.
    return re.sub(r"(.)\1{50,}(\.\.\.)?", r"\1\1\1...", text)


def difference(title: str, expected: list[str], actual: list[str]) -> str:
    """
    Empty when equal; else the lines, C{-} what only nginx has, C{+} what only ours has.
    """
    if expected == actual:
        return ""
    lines = difflib.unified_diff(expected, actual, n=12, lineterm="")
    shown = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return "\n".join([f"## {title}", *shown])
