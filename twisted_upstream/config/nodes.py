"""
Directives as written, and what can be wrong with them, and where.

Only L{Node.error} and L{Node.warning} make complaints about a directive, so that each
names file, line and column.

nginx: C{ngx_conf_log_error()}
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: The path of directives that were given with C{-g}.
COMMAND_LINE = "command line"

_EXCERPT = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """
    Something wrong with a configuration, and where.

    @ivar level: C{"emerg"} or C{"warn"}.
    @ivar path: the file; empty when the problem has no place, L{COMMAND_LINE} for
        what came with C{-g}.
    @ivar line: counted from 1.  Where nginx names the line on which a directive ends,
        this is the line of the word in question.
    @ivar column: in characters, counted from 1; 0: the whole line.
    @ivar source: the text of the line.
    @ivar hint: how it could be mended; may be empty.
    """

    level: str
    message: str
    path: str
    line: int = 0
    column: int = 0
    source: str = ""
    hint: str = ""

    def __str__(self) -> str:
        """
        The line as nginx writes it.  nginx: C{ngx_conf_log_error()}
        """
        if not self.path:
            return self.message
        if self.path == COMMAND_LINE:
            return f"{self.message} in {self.path}"
        place = f" in {self.path}:{self.line}"
        # Some of nginx's messages name it themselves.
        return self.message if self.message.endswith(place) else self.message + place

    def pretty(self) -> str:
        """
        Several lines: nginx's, the exact place, the line there with a caret, the hint.
        """
        lines = [str(self)]
        if self.path and self.line and self.path != COMMAND_LINE:
            lines.append(f"  {self.path}:{self.line}:{self.column}")
        source = self.source.rstrip()
        if source:
            # Of a very long line, what stands around the place is enough.
            start = max(0, self.column - _EXCERPT // 2) if len(source) > _EXCERPT else 0
            source = source[start : start + _EXCERPT]
            lines.append("    " + source)
            if self.column:
                before = source[: self.column - 1 - start]
                # Tabs stay, or the caret would stand elsewhere.
                lines.append("    " + re.sub(r"[^\t]", " ", before) + "^")
        if self.hint:
            lines.append("  " + self.hint)
        return "\n".join(lines)


class ConfigError(Exception):
    """
    A configuration that cannot be used.

    @ivar problems: all that is wrong with it, at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class Source:
    """
    The text of one file, and where its lines begin.

    @ivar warnings: where warnings about this file go.
    """

    __slots__ = ("path", "text", "warnings", "_starts")

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.warnings: list[Problem] = []
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def place(self, index: int) -> tuple[int, int]:
        """
        Line and column of the character at C{index}, both from 1.
        """
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """
        The text of a line, without its end; empty when there is no such line.
        """
        if not 0 < number <= len(self._starts):
            return ""
        start = self._starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else None].rstrip("\r")

    def problem(
        self, message: str, place: tuple[int, int], *, hint: str = "", level: str
    ) -> Problem:
        """
        A problem at C{place}: line and column.
        """
        return Problem(
            level=level,
            message=message,
            path=self.path,
            line=place[0],
            column=place[1],
            source=self.line(place[0]),
            hint=hint,
        )


class Node:
    """
    One directive as written.

    @ivar words: the arguments, unquoted.
    @ivar line: where its name stands, from 1; C{column} in characters from 1.
    @ivar places: line and column of each argument.
    @ivar block: what stands between its braces; C{None}: it ends with C{;}.
    """

    __slots__ = (
        "name",
        "words",
        "path",
        "line",
        "column",
        "places",
        "block",
        "_source",
    )

    def __init__(
        self,
        name: str,
        words: tuple[str, ...] = (),
        *,
        path: str = "",
        line: int = 0,
        column: int = 0,
        places: tuple[tuple[int, int], ...] = (),
        block: tuple[Node, ...] | None = None,
        source: Source | None = None,
    ) -> None:
        self.name = name
        self.words = words
        self.path = path
        self.line = line
        self.column = column
        self.places = places
        self.block = block
        self._source = source if source is not None else Source(path, "")

    def __repr__(self) -> str:
        text = " ".join((self.name, *self.words))
        return f"<Node {text!r} {self.path}:{self.line}>"

    def error(
        self, message: str, *, word: int | None = None, hint: str = ""
    ) -> ConfigError:
        """
        An error that names this directive's file and line; the caller raises it.

        @param word: the index in C{words} of what is wrong; C{None}: the directive.
        """
        place = (self.line, self.column)
        if word is not None and -len(self.places) <= word < len(self.places):
            place = self.places[word]
        problem = self._source.problem(message, place, hint=hint, level="emerg")
        return ConfigError((problem,))

    @contextmanager
    def parameter(self, word: int) -> Iterator[None]:
        """
        Read an argument: a C{ValueError} means that it is invalid.

        @param word: its index in C{words}.
        @raise ConfigError: it is invalid.
        """
        try:
            yield
        except ValueError:
            message = f'invalid parameter "{self.words[word]}"'
            raise self.error(message, word=word) from None

    def warning(self, message: str, *, hint: str = "") -> Problem:
        """
        Warn of this directive: what builds the configuration collects the warnings.
        """
        place = (self.line, self.column)
        problem = self._source.problem(message, place, hint=hint, level="warn")
        self._source.warnings.append(problem)
        return problem


@dataclass(frozen=True, slots=True)
class Document:
    """
    A whole configuration as written, its C{include}s replaced by what they name.

    @ivar files: path and text of each file in order of first reading, for C{-T}.
    @ivar sources: every text read; one that is included twice is here twice.
    """

    nodes: tuple[Node, ...]
    files: tuple[tuple[str, str], ...] = ()
    sources: tuple[Source, ...] = ()

    def __add__(self, other: Document) -> Document:
        """
        Both, one after the other: C{-g} and then the file.
        """
        return Document(
            self.nodes + other.nodes,
            self.files + other.files,
            self.sources + other.sources,
        )
