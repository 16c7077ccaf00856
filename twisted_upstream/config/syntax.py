"""
Characters to tokens to a tree of L{Node}s: what was written, nothing known of it.

The tokenizer is nginx's, to the letter but for one thing: a comment may be longer than
nginx's buffer.  Unlike nginx it goes on after a mistake, so that one run tells all.

nginx: C{ngx_conf_parse()}, C{ngx_conf_read_token()}, C{ngx_conf_include()} in
C{core/ngx_conf_file.c}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from .nodes import COMMAND_LINE, ConfigError, Document, Node, Problem, Source

__all__ = [
    "COMMAND_LINE",
    "ConfigError",
    "Document",
    "Include",
    "Node",
    "Problem",
    "Source",
    "noInclude",
    "parse",
    "unescape",
]

#: nginx reads through a buffer of this many bytes, which a word has to fit in.
BUFFER = 4096

#: Blocks in blocks may go this deep.  nginx has no limit but its stack.
MAX_DEPTH = 100

#: Files including files may go this deep.  nginx has no limit but its open files.
MAX_INCLUDES = 50

#: Further problems of a file are not worth reading.
MAX_PROBLEMS = 100

_skip = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
# After a "$", braces belong to the word.  A backslash takes any character along; as the
# last character of a file it has none.
_bare = re.compile(r"[^ \t\r\n;{\\$]*(?:(?:\\[\s\S]?|\$\{*)[^ \t\r\n;{\\$]*)*")
_quoted = {
    '"': re.compile(r'"[^"\\]*(?:\\[\s\S][^"\\]*)*"'),
    "'": re.compile(r"'[^'\\]*(?:\\[\s\S][^'\\]*)*'"),
}
_escape = re.compile(r"\\([\"'\\trn])")
_control = {"t": "\t", "r": "\r", "n": "\n"}
_spaces = frozenset(" \t\r\n")
# The empty text is the end of the file.
_afterQuote = _spaces | frozenset((";", "{", ")", ""))
_end = re.compile(r"[;{}]")
_wildcard = re.compile(r"[*?\[]")

#: Takes the word after C{include} and its node, answers C{(path, text)} of each file.
Include = Callable[[str, Node], Sequence[tuple[str, str]]]


def unescape(raw: str) -> str:
    r"""
    What a word means: C{\"}, C{\'} and C{\\} lose a backslash, C{\t}, C{\r} and
    C{\n} are control characters, every other backslash stays.
    """
    return _escape.sub(lambda found: _control.get(found[1], found[1]), raw)


def noInclude(pattern: str, node: Node) -> Sequence[tuple[str, str]]:
    """
    An C{include} for texts that stand alone: no file is there.
    """
    return ()


def parse(text: str, path: str, include: Include = noInclude) -> Document:
    """
    Read a configuration.

    @param path: how messages name it; L{COMMAND_LINE} for C{-g}, where blocks are
        refused.
    @param include: finds the files of an C{include}.  It sorts what a pattern with
        wildcards matches; it may raise C{OSError} or L{ConfigError}.
    @raise ConfigError: with every problem that could be found.
    """
    reading = _Reading(include)
    try:
        nodes = _FileReader(reading, Source(path, text), (), 0).read()
    except _Enough:
        nodes = ()
    if reading.problems:
        raise ConfigError(reading.problems)
    # -T prints files, and -g is none.
    files = tuple((p, t) for p, t in reading.files.items() if p != COMMAND_LINE)
    return Document(nodes, files, tuple(reading.sources))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class _Enough(Exception):
    """
    There are so many problems that reading on is useless.
    """


class _Reading:
    """
    What the files of one configuration have in common.
    """

    __slots__ = ("include", "problems", "files", "sources")

    def __init__(self, include: Include) -> None:
        self.include = include
        self.problems: list[Problem] = []
        self.files: dict[str, str] = {}
        self.sources: list[Source] = []

    def complain(self, problems: Iterable[Problem]) -> None:
        self.problems += problems
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Enough


class _FileReader:
    """
    Reads one file.  What it includes is read by others.

    @ivar _nodes: what was read of the innermost open block.
    @ivar _blocks: the open blocks, each with the nodes around it.  C{None} instead of
        a node: a block without a use, as its directive is wrong; it is there so that
        braces balance.
    """

    def __init__(
        self, reading: _Reading, source: Source, chain: tuple[str, ...], depth: int
    ) -> None:
        """
        @param chain: the files that include one another down to this one.
        @param depth: how many blocks are open around this file.
        """
        self._reading = reading
        self._source = source
        self._chain = (*chain, source.path)
        self._depth = depth
        self._parameter = source.path == COMMAND_LINE
        self._nodes: list[Node] = []
        self._blocks: list[tuple[Node | None, list[Node]]] = []
        self._words: list[str] = []
        self._starts: list[int] = []
        # Only texts that can hold a word too long for nginx are measured.
        self._limited = not self._parameter and len(source.text) >= BUFFER // 4
        reading.sources.append(source)
        reading.files.setdefault(source.path, source.text)

    def read(self) -> tuple[Node, ...]:
        """
        Read it all; problems go to the L{_Reading}.
        """
        text = self._source.text
        size = len(text)
        words, starts = self._words, self._starts
        position = 0
        while True:
            found = _skip.match(text, position)
            assert found is not None
            position = found.end()
            if position >= size:
                return self._fileDone(size)
            character = text[position]
            if character == ";":
                position = self._directiveDone(position)
                continue
            if character == "{":
                position = self._blockStart(position)
                continue
            if character == "}":
                position = self._blockDone(position)
                continue
            pattern = _quoted.get(character)
            found = (_bare if pattern is None else pattern).match(text, position)
            if found is None:
                position = self._unclosed(position)
                continue
            end = found.end()
            inside = end if pattern is None else end - 1
            if (
                self._limited
                and end - position >= BUFFER // 4 - 2
                and self._tooLong(position, end, inside)
            ):
                position = self._recover(inside)
                continue
            if pattern is None:
                raw = found[0]
            else:
                raw = text[position + 1 : inside]
                if text[end : end + 1] not in _afterQuote:
                    self._complain(f'unexpected "{text[end]}"', end)
                    position = self._recover(end)
                    continue
            words.append(unescape(raw) if "\\" in raw else raw)
            starts.append(position)
            position = end

    def _complain(self, message: str, position: int, hint: str = "") -> None:
        source = self._source
        problem = source.problem(
            message, source.place(position), hint=hint, level="emerg"
        )
        self._reading.complain((problem,))

    def _recover(self, position: int) -> int:
        """
        Go on behind the next end of a directive, whatever it is the end of.
        """
        self._forget()
        found = _end.search(self._source.text, position)
        if found is None:
            return len(self._source.text)
        if found[0] == "}":
            return found.start()
        if found[0] == "{":
            self._open(None)
        return found.end()

    def _forget(self) -> None:
        self._words.clear()
        self._starts.clear()

    def _node(self) -> Node:
        """
        The directive whose words were read.
        """
        source = self._source
        places = tuple([source.place(start) for start in self._starts])
        name, *words = self._words
        line, column = places[0]
        self._forget()
        return Node(
            name,
            tuple(words),
            path=source.path,
            line=line,
            column=column,
            places=places[1:],
            source=source,
        )

    def _directiveDone(self, position: int) -> int:
        if not self._words:
            self._complain('unexpected ";"', position)
            return position + 1
        node = self._node()
        if node.name == "include":
            self._include(node)
        else:
            self._nodes.append(node)
        return position + 1

    def _blockStart(self, position: int) -> int:
        if not self._words:
            self._complain('unexpected "{"', position)
            self._open(None)
            return position + 1
        node = self._node()
        message = ""
        if self._parameter:
            message = "block directives are not supported in -g option"
        elif node.name == "include":
            message = 'directive "include" is not terminated by ";"'
        elif self._depth + len(self._blocks) >= MAX_DEPTH:
            message = "too many blocks inside one another"
            self._reading.complain(node.error(message).problems)
            raise _Enough
        if message:
            self._reading.complain(node.error(message).problems)
            self._open(None)
        else:
            self._nodes.append(node)
            self._open(node)
        return position + 1

    def _open(self, node: Node | None) -> None:
        self._blocks.append((node, self._nodes))
        self._nodes = []

    def _blockDone(self, position: int) -> int:
        if self._words:
            line = self._source.place(self._starts[-1])[0]
            hint = f'is a ";" missing at the end of line {line}?'
            self._complain('unexpected "}"', position, hint)
            self._forget()
        elif not self._blocks:
            self._complain('unexpected "}"', position)
        if self._blocks:
            node, around = self._blocks.pop()
            if node is not None:
                node.block = tuple(self._nodes)
            self._nodes = around
        return position + 1

    def _fileDone(self, position: int) -> tuple[Node, ...]:
        if self._words:
            line = self._source.place(self._starts[-1])[0]
            self._unfinished(position, f'is a ";" missing at the end of line {line}?')
        elif self._blocks:
            node = self._blocks[-1][0]
            # A block without a use has had its message.
            if node is not None:
                self._complain(
                    'unexpected end of file, expecting "}"',
                    position,
                    f'"{node.name}" of line {node.line} is not closed',
                )
        while self._blocks:
            self._nodes = self._blocks.pop()[1]
        return tuple(self._nodes)

    def _unfinished(self, position: int, hint: str) -> None:
        if self._parameter:
            message = 'unexpected end of parameter, expecting ";"'
        else:
            message = 'unexpected end of file, expecting ";" or "}"'
        self._complain(message, position, hint)
        self._forget()
        # What is open now is so because of this.
        self._blocks = [(None, around) for _, around in self._blocks]

    def _unclosed(self, position: int) -> int:
        """
        A quote that nothing closes.
        """
        source = self._source
        size = len(source.text)
        if self._limited and self._tooLong(position, size, size):
            return self._recover(position + 1)
        line, column = source.place(position)
        self._unfinished(size, f"a quote opens at line {line}, column {column}")
        return size

    def _tooLong(self, start: int, end: int, inside: int) -> bool:
        """
        Complain of a word that is too long for nginx: it has to fit in the buffer,
        with what is read before the next word begins, unless the file ends first.

        @param start: where the word or its quote stands.
        @param end: behind the word and its quotes.
        @param inside: behind the word, before a closing quote.
        """
        text = self._source.text
        quote = text[start]
        begin = start + 1 if quote in _quoted else start
        # The space behind a word is read together with it.
        read = end + 1 if text[end : end + 1] in _spaces else end
        word = _encode(text[begin:read])
        if len(word) < BUFFER or (len(word) == BUFFER and read >= len(text)):
            return False
        if quote in _quoted and len(_encode(text[begin:inside])) >= BUFFER:
            message = (
                f'too long parameter, probably missing terminating "{quote}" character'
            )
        else:
            head = word[:10].decode("utf-8", "surrogateescape")
            message = f'too long parameter "{head}..." started'
        self._complain(message, start)
        return True

    def _include(self, node: Node) -> None:
        """
        Read the files that C{include} names into the block where it stands.
        """
        try:
            for path, text in self._included(node):
                depth = self._depth + len(self._blocks)
                source = Source(path, text)
                reader = _FileReader(self._reading, source, self._chain, depth)
                self._nodes += reader.read()
        except ConfigError as e:
            self._reading.complain(e.problems)

    def _included(self, node: Node) -> Sequence[tuple[str, str]]:
        """
        Path and text of the files that an C{include} names.

        @raise ConfigError: one of them cannot be read, or is being read.
        """
        if len(node.words) != 1:
            raise node.error('invalid number of arguments in "include" directive')
        pattern = node.words[0]
        try:
            files = self._reading.include(pattern, node)
            if not files and not _wildcard.search(pattern):
                raise FileNotFoundError(2, "No such file or directory", pattern)
        except OSError as e:
            reason = f" ({e.errno}: {e.strerror})" if e.errno is not None else ""
            path = e.filename or pattern
            raise node.error(f'open() "{path}" failed{reason}', word=0) from None
        except ValueError as e:
            # A path that no file can have.
            raise node.error(f'open() "{pattern}" failed ({e})', word=0) from None
        for path, _ in files:
            hint = " includes ".join((*self._chain[-5:], path))
            if path in self._chain:
                raise node.error(f'"{path}" includes itself', word=0, hint=hint)
            if len(self._chain) > MAX_INCLUDES:
                message = "too many files that include one another"
                raise node.error(message, word=0, hint=hint)
        return files
