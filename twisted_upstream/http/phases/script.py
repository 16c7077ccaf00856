"""
Texts and conditions of C{set}, C{if} and C{rewrite}.

nginx: ngx_http_script.c, ngx_http_rewrite_if_condition()
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from errno import ENAMETOOLONG, ENOENT, ENOTDIR
from typing import TYPE_CHECKING, Any

from ...config.regex import compileMatcher
from ...config.values import Variable, parseTemplate
from ...wire.uri import escapeArgs

if TYPE_CHECKING:
    from ...config.syntax import Node

#: A text computed at a step: takes the request and whether captures are escaped.
Text = Callable[[Any, bool], bytes]

_MISSING = (ENOENT, ENOTDIR, ENAMETOOLONG)


def shown(text: bytes) -> str:
    """
    Bytes of a request as messages show them.
    """
    return text.decode("utf-8", "surrogateescape")


def _rawQuoted(request: Any) -> bool:
    """
    Was anything escaped in the path the client sent?  nginx: quoted_uri, plus_in_uri
    """
    path: bytes = request.target.partition(b"?")[0]
    return b"%" in path or b"+" in path


def _capture(number: int) -> Text:
    """
    nginx: ngx_http_script_copy_capture_code()
    """

    def get(request: Any, quote: bool) -> bytes:
        captures = request.captures
        value: bytes = (captures[number] if number < len(captures) else None) or b""
        return escapeArgs(value) if quote and _rawQuoted(request) else value

    return get


def _constant(text: str) -> Text:
    value = text.encode("utf-8", "surrogateescape")
    return lambda request, quote: value


def _variable(name: str, node: Node, build: Any) -> Text:
    value = build.compile("${" + name + "}", node)
    return lambda request, quote: value(request)


def compilePieces(text: str, node: Node, build: Any) -> list[Text]:
    """
    Compile a text whose captures are escaped again where that is asked for, and if the
    client had escaped anything: what was matched is the decoded URI.

    nginx: ngx_http_script_compile()
    """
    try:
        parts = parseTemplate(text).parts
    except ValueError as e:
        raise node.error(str(e)) from None
    pieces: list[Text] = []
    for part in parts:
        if not isinstance(part, Variable):
            pieces.append(_constant(part))
        elif part.name.isdigit() and part.name != "0" and len(part.name) == 1:
            pieces.append(_capture(int(part.name)))
        else:
            pieces.append(_variable(part.name, node, build))
    return pieces


def compileText(text: str, node: Node, build: Any) -> Text:
    """
    Compile a text of C{set} or C{if}.  nginx: ngx_http_rewrite_value()
    """
    pieces = compilePieces(text, node, build)
    if len(pieces) == 1:
        return pieces[0]
    return lambda request, quote: b"".join([get(request, quote) for get in pieces])


#: A condition: takes what a step takes.
Condition = Callable[[Any, bool], bool]


def _words(node: Node) -> list[str]:
    """
    The words between the brackets.
    """
    words = list(node.words)
    if not words[0].startswith("("):
        raise node.error(f'invalid condition "{words[0]}"', word=0)
    words[0] = words[0][1:]
    if not words[-1].endswith(")"):
        raise node.error(f'invalid condition "{words[-1]}"', word=-1)
    words[-1] = words[-1][:-1]
    if not words[0]:
        words.pop(0)
    if words and not words[-1] and len(node.words) > 1 and node.words[-1] == ")":
        words.pop()
    return words or [""]


def compileCondition(node: Node, build: Any) -> Condition:
    """
    nginx: ngx_http_rewrite_if_condition()
    """
    words = _words(node)
    first = words[0]
    if len(first) > 1 and first.startswith("$"):
        if len(words) not in (1, 3):
            raise node.error(f'invalid condition "{first}"')
        get = build.variables.getter(first[1:], node)
        if len(words) == 1:
            return lambda request, quote: (get(request) or b"0") != b"0"
        return _comparison(get, words[1], words[2], node, build)
    test = first.removeprefix("!")
    if test in _FILE_TESTS and len(words) == 2:
        return _fileTest(test, first != test, words[1], node, build)
    raise node.error(f'invalid condition "{first}"')


def _comparison(
    get: Callable[[Any], bytes | None], operator: str, word: str, node: Node, build: Any
) -> Condition:
    if operator in ("=", "!="):
        value = compileText(word, node, build)
        if operator == "=":
            return lambda request, quote: (get(request) or b"") == value(request, quote)
        return lambda request, quote: (get(request) or b"") != value(request, quote)
    if operator not in ("~", "~*", "!~", "!~*"):
        raise node.error(f'unexpected "{operator}" in condition')
    match = compileMatcher(word, node, build, operator.endswith("*"))
    wanted = not operator.startswith("!")

    def matches(request: Any, quote: bool) -> bool:
        if match(request, get(request) or b""):
            return wanted
        request.captures = ()
        return not wanted

    return matches


_FILE_TESTS: dict[str, Callable[[int], bool]] = {
    "-f": stat.S_ISREG,
    "-d": stat.S_ISDIR,
    "-e": lambda mode: stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode),
    "-x": lambda mode: bool(mode & stat.S_IXUSR),
}


def _fileTest(
    test: str, negative: bool, word: str, node: Node, build: Any
) -> Condition:
    """
    nginx: ngx_http_script_file_code()
    """
    value = compileText(word, node, build)
    check = _FILE_TESTS[test]

    def tested(request: Any, quote: bool) -> bool:
        path = value(request, quote)
        try:
            return check(os.stat(path).st_mode) is not negative
        except ValueError:
            return negative
        except OSError as e:
            if e.errno not in _MISSING:
                request.logError("crit", f'stat() "{shown(path)}" failed', e.errno or 0)
            return negative

    return tested
