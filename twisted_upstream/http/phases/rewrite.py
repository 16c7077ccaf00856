"""
C{set}, C{if}, C{rewrite}, C{return} and C{break}: a small program per place.

The directives of a place are compiled to a flat list of steps, in the order of the
file and with those of an C{if} in between.  A step answers how to go on: with the next
one, some steps further on (an C{if} that is false), or not at all.

nginx: ngx_http_rewrite_module.c
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config.directive import HTTP_ANY, Where, directive, flag
from ...config.regex import Matcher, compileMatcher
from ...config.values import parseNumber
from ...wire.uri import unescapeRedirect
from .conditional import conditional
from .error_page import ownHead
from .paths import compileType
from .script import Condition, Text, compileCondition, compilePieces, compileText, shown

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ..request import Request

#: One step: takes the request and whether captures are escaped (L{Text});
#: answers how many steps to skip, or one of the constants below.
Step = Callable[[Any, bool], int]

#: Go on with the next step.
NEXT = 0
#: The request has been answered or will be: stop, and leave it alone.
TAKEN = -1
#: C{break}, C{rewrite ... break}: stop, the request stays in its location.
BREAK = -2
#: The URI was changed: go on, and look for the location again at the end.
CHANGED = -3
#: The URI was changed: look for the location again now.
LAST = -4

_PLACES = Where.SERVER | Where.SERVER_IF | Where.LOCATION | Where.IF
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_URLS = ("http://", "https://", "$scheme")


def _line(node: Node) -> Node:
    # A line means something only between its neighbours: compiled per place.
    return node


@dataclass(frozen=True, kw_only=True, slots=True)
class RewriteOptions:
    """
    The program of a place, as written.
    """

    lines: tuple[Node, ...] = directive(
        "rewrite",
        _PLACES,
        _line,
        arity=(2, 3),
        default=(),
        repeat=True,
        inherit=False,
        type="regex replacement [last | break | redirect | permanent]",
        doc="Change the URI by a regular expression, or redirect.",
    )
    returns: tuple[Node, ...] = directive(
        "return",
        _PLACES,
        _line,
        arity=(1, 2),
        default=(),
        repeat=True,
        inherit=False,
        type="code [text | url] | url",
        doc="Answer with a status, a text or a redirect.",
    )
    breaks: tuple[Node, ...] = directive(
        "break",
        _PLACES,
        _line,
        arity=(0, 0),
        default=(),
        repeat=True,
        inherit=False,
        doc="Stop rewriting; the request stays in its location.",
    )
    sets: tuple[Node, ...] = directive(
        "set",
        _PLACES,
        _line,
        arity=(2, 2),
        default=(),
        repeat=True,
        inherit=False,
        type="$variable value",
        doc="Assign to a variable.",
    )
    serverIfs: tuple[Node, ...] = directive(
        "if",
        Where.SERVER,
        _line,
        arity=(1, None),
        default=(),
        repeat=True,
        inherit=False,
        opens=Where.SERVER_IF,
        type="(condition)",
        doc="Run the block if a condition is true.",
    )
    ifs: tuple[Node, ...] = directive(
        "if",
        Where.LOCATION,
        _line,
        arity=(1, None),
        default=(),
        repeat=True,
        inherit=False,
        opens=Where.IF,
        type="(condition)",
        doc="Run the block, and use its configuration, if a condition is true.",
    )
    rewriteLog: bool = directive(
        "rewrite_log",
        HTTP_ANY | Where.IF | Where.SERVER_IF,
        flag,
        default=False,
        doc="Log what rewrite does, at level notice.",
    )
    uninitializedWarn: bool = directive(
        "uninitialized_variable_warn",
        HTTP_ANY | Where.IF | Where.SERVER_IF,
        flag,
        default=True,
        doc="Accepted; variables without a value are empty, without a word.",
    )


def _set(node: Node, build: Any) -> Step:
    name, word = node.words
    if not name.startswith("$"):
        raise node.error(f'invalid variable name "{name}"', word=0)
    assign = build.variables.setter(name[1:], node)
    value = compileText(word, node, build)

    def step(request: Any, quote: bool) -> int:
        assign(request, value(request, quote))
        return NEXT

    return step


def _break(request: Any, quote: bool) -> int:
    return BREAK


def _return(node: Node, build: Any, typeOf: Callable[[bytes], bytes | None]) -> Step:
    """
    nginx: ngx_http_rewrite_return(), ngx_http_script_return_code()
    """
    word = node.words[0]
    text = node.words[1] if len(node.words) == 2 else ""
    try:
        status = parseNumber(word)
    except ValueError:
        status = 1000
        if len(node.words) == 1 and word.startswith(_URLS):
            status, text = 302, word
    if status > 999:
        raise node.error(f'invalid return code "{word}"', word=0)
    value = build.compile(text, node)
    if status in _REDIRECTS:

        def redirect(request: Any, quote: bool) -> int:
            request.redirectTo = value(request)
            request.failResponse(status)
            return TAKEN

        return redirect
    if status >= 400 and not text:

        def fail(request: Any, quote: bool) -> int:
            request.failResponse(status)
            return TAKEN

        return fail

    def send(request: Any, quote: bool) -> int:
        # The text may speak of the status, and of the body that came.
        request.plannedStatus = status
        if request.discardsBody():
            sendText(request, status, value(request), typeOf(request.uri))
        return TAKEN

    return send


def sendText(request: Request, status: int, body: bytes, kind: bytes | None) -> None:
    """
    Answer with a text, or with 304 or 412 if that is what the client's conditions ask
    for.

    @param kind: the content type; C{None}: none.

    nginx: ngx_http_send_response()
    """
    head = ownHead(request, status)
    head.contentType = kind
    head.contentLength = len(body)
    planned = head.status
    failed = conditional(request, head)
    if failed:
        request.failResponse(failed)
        return
    if head.status == 204 or head.status != planned:
        # Nothing to send, or 304: the client has it already.
        head.contentType = None
        head.contentLength = None
        head.noBody = True
        body = b""
    request.sendResponse(head, body)


@dataclass(slots=True)
class _Replacement:
    """
    What C{rewrite} puts in place of the URI.

    @ivar uri: the pieces of it; with C{redirect} all of the URL.
    @ivar args: the pieces of the arguments; C{None}: there is no C{?}.
    @ivar addArgs: append the request's own arguments.
    """

    uri: list[Text]
    args: list[Text] | None
    addArgs: bool
    hasArgs: bool


def _replacement(text: str, node: Node, build: Any, redirect: bool) -> _Replacement:
    addArgs = not text.endswith("?")
    if not addArgs:
        text = text[:-1]
    uri, mark, args = text.partition("?")
    if redirect or not mark:
        return _Replacement(compilePieces(text, node, build), None, addArgs, bool(mark))
    return _Replacement(
        compilePieces(uri, node, build), compilePieces(args, node, build), addArgs, True
    )


class _Rewrite:
    """
    One C{rewrite}.

    nginx: ngx_http_script_regex_start_code(), ngx_http_script_regex_end_code()
    """

    __slots__ = ("_done", "_log", "_match", "_pattern", "_replacement", "_status")

    def __init__(self, node: Node, build: Any, log: bool) -> None:
        pattern, text = node.words[:2]
        if not text:
            raise node.error("empty replacement", word=1)
        word = node.words[2] if len(node.words) == 3 else ""
        if word not in ("", "last", "break", "redirect", "permanent"):
            raise node.error(f'invalid parameter "{word}"', word=2)
        self._status = 302 if text.startswith(_URLS) else 0
        self._status = {"redirect": 302, "permanent": 301}.get(word, self._status)
        self._done = {"last": LAST, "break": BREAK}.get(word, CHANGED)
        self._pattern = pattern
        self._log = log
        self._match: Matcher = compileMatcher(pattern, node, build)
        self._replacement = _replacement(text, node, build, bool(self._status))

    def _tell(self, request: Any, message: str) -> None:
        if self._log:
            request.logError("notice", message)

    def step(self, request: Any, quote: bool) -> int:
        uri = request.uri
        if not self._match(request, uri):
            request.captures = ()
            self._tell(request, f'"{self._pattern}" does not match "{shown(uri)}"')
            return NEXT
        self._tell(request, f'"{self._pattern}" matches "{shown(uri)}"')
        request.internal = True
        request.validUnparsed = False
        if self._status:
            self._redirect(request)
            return TAKEN
        return self._change(request)

    def _redirect(self, request: Any) -> None:
        replacement = self._replacement
        url = unescapeRedirect(
            b"".join([get(request, True) for get in replacement.uri])
        )
        if replacement.addArgs and request.args:
            url += (b"&" if replacement.hasArgs else b"?") + request.args
        self._tell(request, f'rewritten redirect: "{shown(url)}"')
        request.redirectTo = url
        request.failResponse(self._status)

    def _change(self, request: Any) -> int:
        replacement = self._replacement
        uri = b"".join([get(request, False) for get in replacement.uri])
        if replacement.args is not None:
            args = b"".join([get(request, True) for get in replacement.args])
            if replacement.addArgs and request.args:
                args += b"&" + request.args
            request.args = args
        elif not replacement.addArgs:
            request.args = b""
        self._tell(
            request, f'rewritten data: "{shown(uri)}", args: "{shown(request.args)}"'
        )
        request.uri = uri
        if not uri:
            request.logError("error", "the rewritten URI has a zero length")
            request.failResponse(500)
            return TAKEN
        if self._done == BREAK:
            request.validLocation = False
        return self._done


def _if(condition: Condition, location: Any, length: int) -> Step:
    """
    @param location: what applies if the condition is true; C{None}: nothing changes.
    @param length: how many steps follow in the block.
    """

    def step(request: Any, quote: bool) -> int:
        if not condition(request, quote):
            return length
        if location is not None:
            request.location = location
        return NEXT

    return step


def _program(block: Block, build: Any) -> Iterator[Step]:
    options = block.of(RewriteOptions)
    typeOf = compileType(block)
    for node in block.node.block or ():
        if node.name == "set":
            yield _set(node, build)
        elif node.name == "break":
            yield _break
        elif node.name == "return":
            yield _return(node, build, typeOf)
        elif node.name == "rewrite":
            yield _Rewrite(node, build, options.rewriteLog).step
        elif node.name == "if":
            condition = compileCondition(node, build)
            inner = next(one for one in block.inner if one.node is node)
            location = None
            if inner.where is Where.IF:
                location = build.locationFor(inner)
            steps = list(_program(inner, build))
            yield _if(condition, location, len(steps))
            yield from steps


def compileRewrite(block: Block, build: Any) -> Callable[[Request], bool] | None:
    """
    Compile the program of a server or a location.

    The blocks of C{if} are compiled into it: they have no program of their own, and
    the answer for them is C{None}.

    @param build: the composition at hand: C{compile}, C{variables}, and
        C{locationFor(block)}, the location that a true C{if} moves the request to.
    @return: C{None} when nothing is written; else a phase.  It may change the
        request's C{location}, C{uri}, C{args}, C{captures}, C{values}, C{internal},
        C{validUnparsed} and C{validLocation}.  At the level of a server a changed URI
        is only that; in a location it calls C{request.relocate()}.
    @raise ConfigError: a line is wrong.

    nginx: ngx_http_rewrite_handler(), ngx_http_core_post_rewrite_phase()
    """
    if block.where not in (Where.SERVER, Where.LOCATION):
        return None
    steps = tuple(_program(block, build))
    if not steps:
        return None
    relocates = block.where is Where.LOCATION

    def run(request: Request) -> bool:
        position, count = 0, len(steps)
        changed = False
        # Captures are those of the decoded URI; until the first rewrite that matches,
        # nginx escapes them again wherever they are put.
        quote = True
        while position < count:
            outcome = steps[position](request, quote)
            position += 1
            if outcome >= 0:
                position += outcome
            elif outcome == CHANGED:
                changed, quote = True, False
            elif outcome == LAST:
                changed = True
                break
            elif outcome == BREAK:
                if changed:
                    request.validLocation = False
                changed = False
                break
            else:
                return True
        if changed and relocates:
            request.relocate()
            return True
        return False

    return run
