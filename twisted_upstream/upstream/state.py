"""
The C{state} file: the C{server} lines of a group that changes while it serves.

It is read while a configuration is built, and written whenever the group's members
have been changed by request; addresses that names have at the moment are not members
in this sense.

nginx: no source; NGINX Plus documents the directive.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence

from ..config.syntax import ConfigError, Node, Problem, parse
from .server_line import ServerLine, parseServer

#: Of a file that is new.
_MODE = 0o644


def readState(
    path: str, node: Node, parseLine: Callable[[Node], ServerLine] = parseServer
) -> Sequence[ServerLine]:
    """
    The servers in a state file; none if there is no file yet.

    @param node: the directive, for complaints about the file itself.
    @param parseLine: reads one C{server} line.
    @raise ConfigError: with all that is wrong; about lines of the file, by its name
        and their numbers.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read()
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as e:
        number, reason = getattr(e, "errno", None), getattr(e, "strerror", None)
        why = f"{number}: {reason}" if number is not None else str(e)
        raise node.error(f'open() "{path}" failed ({why})', word=0) from None
    lines: list[ServerLine] = []
    problems: list[Problem] = []
    for each in parse(text, path).nodes:
        try:
            lines.append(_readLine(each, parseLine))
        except ConfigError as e:
            problems += e.problems
    if problems:
        raise ConfigError(problems)
    return lines


def _readLine(node: Node, parseLine: Callable[[Node], ServerLine]) -> ServerLine:
    if node.name != "server":
        raise node.error(f'"{node.name}" directive is not allowed here')
    if node.block is not None:
        raise node.error('directive "server" is not terminated by ";"')
    if not node.words:
        raise node.error('invalid number of arguments in "server" directive')
    return parseLine(node)


def writeState(path: str, lines: Iterable[ServerLine]) -> None:
    """
    Replace a state file by one with these servers.  Whoever reads meanwhile, or after a
    crash, finds the old file or the new one, whole.

    @raise OSError: it could not be written; the old file is as it was.
    """
    data = stateText(lines).encode("utf-8", "surrogateescape")
    # A link to the file stays one.
    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    try:
        mode = os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        mode = _MODE
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{os.path.basename(path)}.", dir=folder
    )
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def stateText(lines: Iterable[ServerLine]) -> str:
    """
    C{server} lines as a configuration has them; what is as ever is not said.
    """
    return "".join(f"{_lineText(line)}\n" for line in lines)


def _lineText(line: ServerLine) -> str:
    words = ["server", quote(line.address)]
    for name, value, usual in (
        ("weight", line.weight, 1),
        ("max_conns", line.maxConns, 0),
        ("max_fails", line.maxFails, 1),
    ):
        if value != usual:
            words.append(f"{name}={value}")
    if line.failTimeout != 10:
        words.append(f"fail_timeout={line.failTimeout}s")
    if line.route:
        words.append(quote(f"route={line.route}"))
    if line.label:
        words.append(quote(f"id={line.label}"))
    if line.resolve:
        words.append("resolve")
    if line.service:
        words.append(quote(f"service={line.service}"))
    if line.backup:
        words.append("backup")
    if line.down & 1:
        words.append("down")
    if line.down & 8:
        words.append("drain")
    return " ".join(words) + ";"


#: Characters that end a word or begin something else.
_SPECIAL = frozenset(" \t\r\n;{}\"'\\#$")


def quote(word: str) -> str:
    """
    A word as a configuration has to write it.
    """
    if word and _SPECIAL.isdisjoint(word):
        return word
    for raw, written in (
        ("\\", "\\\\"),
        ('"', '\\"'),
        ("\t", "\\t"),
        ("\r", "\\r"),
        ("\n", "\\n"),
    ):
        word = word.replace(raw, written)
    return f'"{word}"'
