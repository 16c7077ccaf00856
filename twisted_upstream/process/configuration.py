"""
A configuration's files read and checked: nothing runs yet.

nginx: C{ngx_conf_parse()}, C{ngx_conf_include()}
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..config.build import Block
from ..config.syntax import COMMAND_LINE, ConfigError, Document, Node, Problem, parse
from .grammar import makeGrammar
from .options import eventsBlock


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """
    A configuration as read and understood; nothing runs yet.

    @ivar prefix: the directory that relative paths are under.
    @ivar warnings: grows while it is built.
    """

    root: Block
    document: Document
    warnings: list[Problem]
    prefix: str
    path: str


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()


def includeFrom(directory: str) -> Callable[[str, Node], Sequence[tuple[str, str]]]:
    """
    What reads the files that C{include} names.

    @param directory: relative names are under it.
    """

    def include(pattern: str, node: Node) -> Sequence[tuple[str, str]]:
        full = os.path.join(directory, pattern)
        found = sorted(glob.glob(full)) if glob.has_magic(full) else [full]
        files = []
        for name in found:
            try:
                files.append((name, _read(name)))
            except OSError as e:
                raise node.error(
                    f'open() "{name}" failed ({e.errno}: {e.strerror})', word=0
                ) from None
        return files

    return include


def readDocument(path: str, directives: str = "") -> Document:
    """
    Read the files of a configuration.

    @param directives: of C{-g}.
    @raise ConfigError: with everything that is wrong.
    """
    include = includeFrom(os.path.dirname(path))
    try:
        text = _read(path)
    except OSError as e:
        message = f'open() "{path}" failed ({e.errno}: {e.strerror})'
        raise ConfigError([Problem(level="emerg", message=message, path="")]) from None
    document = parse(text, path, include)
    if directives:
        document = parse(directives, COMMAND_LINE, include) + document
    return document


def loadConfiguration(
    path: str, prefix: str, directives: str = "", errorLogPath: str = ""
) -> Configuration:
    """
    Read the files of a configuration and check their grammar.

    @param directives: of C{-g}.
    @raise ConfigError: with everything that is wrong.
    """
    document = readDocument(path, directives)
    grammar = makeGrammar()
    root = grammar.build(document)
    eventsBlock(root)
    return Configuration(
        root=root,
        document=document,
        warnings=grammar.warnings,
        prefix=prefix,
        path=path,
    )
