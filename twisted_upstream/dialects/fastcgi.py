"""
C{fastcgi_pass}: FastCGI, as PHP-FPM and others speak it.

nginx: C{ngx_http_fastcgi_module.c}: C{ngx_http_fastcgi_create_request()},
C{ngx_http_fastcgi_process_header()}, C{ngx_http_fastcgi_input_filter()},
C{ngx_http_fastcgi_split()}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from zope.interface import implementer

from ..config.build import Block
from ..config.directive import HTTP_ANY, directive, flag, text
from ..config.regex import compileRegex
from ..config.syntax import Node
from ..interfaces import IDialect, IInputFilter
from ..plugins import Dialect
from ..wire.body import InvalidBody
from ..wire.cgi import parseResponse
from ..wire.fastcgi import (
    END_REQUEST,
    MOST_CONTENT,
    STDERR,
    STDOUT,
    InvalidRecord,
    RecordReader,
    beginRequest,
    encodeBody,
    encodePair,
    encodeParams,
)
from ..wire.head import ResponseHead
from ..wire.response1 import InvalidHead
from .cgi import READING, CGIExchange, CGIPass, CGIPassOptions
from .params import ParamOptions


def _one(node: Node) -> Node:
    return node


@dataclass(frozen=True, kw_only=True, slots=True)
class FastCGIOptions:
    """
    What only FastCGI has.
    """

    index: str = directive(
        "*_index",
        HTTP_ANY,
        text,
        default="",
        doc="Appended to C{$fastcgi_script_name} where that ends in a slash.",
    )
    splitPathInfo: Node | None = directive(
        "*_split_path_info",
        HTTP_ANY,
        _one,
        arity=(1, 1),
        default=None,
        doc="A regular expression whose two groups are C{$fastcgi_script_name} and"
        " C{$fastcgi_path_info}.",
    )
    keepConnection: bool = directive(
        "*_keep_conn",
        HTTP_ANY,
        flag,
        default=False,
        doc="Ask the server to leave the connection open.",
    )
    catchStderr: tuple[str, ...] = directive(
        "*_catch_stderr",
        HTTP_ANY,
        text,
        repeat=True,
        default=(),
        doc="A response is invalid if the server complains with this text.",
    )


class FastCGIPass(CGIPass):
    """
    C{fastcgi_pass} of one location.
    """

    def __init__(self, block: Block, name: str, build: Any) -> None:
        """
        @raise ConfigError: an option is wrong.
        """
        super().__init__(block, name, build)
        options = block.of(FastCGIOptions, name)
        self.keep = options.keepConnection
        self.index = options.index.encode("utf-8", "surrogateescape")
        self.caught = tuple(
            each.encode("utf-8", "surrogateescape") for each in options.catchStderr
        )
        self._split: re.Pattern[bytes] | None = None
        node = options.splitPathInfo
        if node is not None:
            pattern = node.words[0]
            self._split = compileRegex(pattern, node)
            if self._split.groups != 2:
                raise node.error(f'pattern "{pattern}" must have 2 captures', word=0)

    def scriptName(self, client: Any) -> bytes:
        """
        C{$fastcgi_script_name}.
        """
        name, _ = self._parts(client)
        return name + self.index if name.endswith(b"/") else name

    def pathInfo(self, client: Any) -> bytes:
        """
        C{$fastcgi_path_info}.
        """
        return self._parts(client)[1]

    def _parts(self, client: Any) -> tuple[bytes, bytes]:
        uri: bytes = client.uri
        if self._split is not None:
            match = self._split.search(uri)
            if match is not None:
                return match[1] or b"", match[2] or b""
        return uri, b""


class FastCGIExchange(CGIExchange):
    """
    One request to a FastCGI server.
    """

    scheme = b"fastcgi://"
    mayStream = True

    def __init__(self, options: FastCGIPass, client: Any) -> None:
        super().__init__(options, client)
        self._forget()

    def _forget(self) -> None:
        self._reader = RecordReader()
        # Of the bytes received so far: where the reader goes on, and what was output.
        self._position = 0
        self._output = b""

    def createRequest(self) -> bytes | None:
        """
        The records up to the body, all of them if there is none; C{None}: the
        parameters are longer than can be told.
        """
        options = self.options
        pairs = b"".join([encodePair(*pair) for pair in options.params.of(self.client)])
        if len(pairs) > MOST_CONTENT:
            self.client.logError(
                "alert", f"fastcgi request record is too big: {len(pairs)}"
            )
            return None
        out = beginRequest(options.keep) + encodeParams(pairs)
        if self.client.body is None or not self.takesBody:
            return out + encodeBody(b"", True)
        self.bodyFilter = encodeBody
        return out

    def reinitRequest(self) -> None:
        """
        Forget what was parsed.
        """
        self._forget()

    def processHeader(self, data: bytes) -> ResponseHead | None:
        """
        Parse the head out of the records' output.
        """
        reader = self._reader
        position = self._position
        self.headOffset = 0
        while True:
            try:
                position = reader.next(data, position)
            except InvalidRecord as e:
                raise InvalidHead(str(e)) from None
            if position < 0:
                self._position = len(data) - self.headOffset
                return None
            content = data[reader.begin : reader.end]
            if reader.kind == STDERR:
                self.complain(content)
                if not self._output:
                    # Servers may complain at length before they answer.
                    self.headOffset = position
            elif reader.kind != STDOUT:
                raise InvalidHead(
                    f"upstream sent unexpected FastCGI record: {reader.kind}"
                )
            elif not content:
                raise InvalidHead("upstream prematurely closed FastCGI stdout")
            else:
                output = self._output + content
                response = parseResponse(output, self.options.bufferSize)
                if response is None:
                    self._output = output
                    continue
                rest = len(output) - response.consumed
                reader.giveBack(rest)
                response.consumed = position - rest
                self._output = b""
                self._position = 0
                return self.headOf(response)

    def complain(self, content: bytes) -> None:
        """
        Log what the server says of itself.

        @raise InvalidHead: that makes its response useless.
        """
        if not content:
            return
        # At least one byte is shown, as nginx does.
        shown = content[:1] + content[1:].rstrip(b"\r\n. ")
        self.client.logError(
            "error",
            'FastCGI sent in stderr: "{}"'.format(shown.decode("utf-8", "replace")),
            action=READING,
        )
        for pattern in self.options.caught:
            if pattern in shown:
                raise InvalidHead("FastCGI stderr is caught")

    def inputFilterInit(self, head: ResponseHead) -> IInputFilter:
        """
        The output of the records that follow.
        """
        length = head.contentLength
        if head.status in (204, 304):
            length = 0
        if self.client.method == b"HEAD":
            return super().inputFilterInit(head)
        return Output(self, self._reader, length)


@implementer(IInputFilter)
class Output:
    """
    A body in records.

    @ivar remaining: 0: complete; C{None}: the connection's end completes it.
    @ivar excess: what came after its end.
    """

    __slots__ = (
        "_ended",
        "_exchange",
        "_keep",
        "_left",
        "_reader",
        "excess",
        "remaining",
    )

    def __init__(
        self, exchange: FastCGIExchange, reader: RecordReader, length: int | None
    ) -> None:
        """
        @param length: bytes of the body, if that was told.
        """
        self._exchange = exchange
        self._keep = exchange.options.keep
        self._reader = reader
        self._left = length
        self._ended = False
        self.excess = b""
        self.remaining: int | None = None
        self._count()

    def _count(self) -> None:
        """
        Say how much is missing.  Without C{fastcgi_keep_conn} the server ends the
        connection, and may do so instead of ending the request.
        """
        if self._left:
            self.remaining = self._left
        elif self._keep:
            self.remaining = 1
        else:
            self.remaining = None

    def inputFilter(self, data: bytes) -> bytes:
        """
        Take the next bytes received, return bytes of the body.

        @raise InvalidBody: these bytes break the protocol.
        """
        reader = self._reader
        pieces: list[bytes] = []
        position = 0
        while self.remaining != 0:
            if self._ended and not reader.left:
                self._takePadding(data, position)
                break
            try:
                position = reader.next(data, position)
            except InvalidRecord as e:
                raise InvalidBody(str(e)) from None
            if position < 0:
                self._count()
                break
            content = data[reader.begin : reader.end]
            if reader.kind == STDERR:
                self._exchange.complain(content)
            elif reader.kind == END_REQUEST:
                self._checkComplete("request")
                self._ended = True
            elif content:
                pieces.append(self._take(content))
            else:
                self._checkComplete("stdout")
        return b"".join(pieces)

    def _takePadding(self, data: bytes, position: int) -> None:
        """
        After the last record only its padding may follow.
        """
        reader = self._reader
        padding = min(reader.unread, len(data) - position)
        reader.unread -= padding
        if reader.unread:
            self._count()
            return
        self.remaining = 0
        # More than that: nginx gives such a connection up without a word.
        self._exchange.reusable = self._keep and position + padding == len(data)

    def _checkComplete(self, what: str) -> None:
        if self._left:
            raise InvalidBody(f"upstream prematurely closed FastCGI {what}")

    def _take(self, content: bytes) -> bytes:
        """
        Bytes of the body, but no more than were announced.
        """
        left = self._left
        if left is None:
            return content
        if len(content) <= left:
            self._left = left - len(content)
            return content
        self._left = 0
        self.remaining = 0
        self.excess = content[left:]
        return content[:left]


@implementer(IDialect)
class FastCGIDialect(Dialect):
    """
    FastCGI.
    """

    def __init__(self) -> None:
        super().__init__(
            "fastcgi", FastCGIExchange, ParamOptions, passOptions=CGIPassOptions
        )
        self.moreOptions = (FastCGIOptions,)

    def exchangeFactory(self, block: Block, build: Any) -> Callable[[Any], Any]:
        """
        Bind one location.
        """
        return partial(FastCGIExchange, FastCGIPass(block, self.name, build))

    def variables(self) -> dict[str, Callable[[Any], bytes | None]]:
        """
        C{$fastcgi_script_name} and C{$fastcgi_path_info}.
        """

        def scriptName(request: Any) -> bytes:
            options = getattr(request.exchange, "options", None)
            if isinstance(options, FastCGIPass):
                return options.scriptName(request)
            uri: bytes = request.uri
            return uri

        def pathInfo(request: Any) -> bytes:
            options = getattr(request.exchange, "options", None)
            if isinstance(options, FastCGIPass):
                return options.pathInfo(request)
            return b""

        return {"fastcgi_script_name": scriptName, "fastcgi_path_info": pathInfo}


fastcgi = FastCGIDialect()
