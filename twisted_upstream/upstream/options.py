"""
What every C{*_pass} may be told.

The star in a name is a dialect's name: C{*_read_timeout} is C{proxy_read_timeout},
C{memcached_read_timeout} and so on.  nginx: the C{ngx_command_t} tables of
C{ngx_http_upstream.c} and of each protocol module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..config.build import Block
from ..config.directive import (
    HTTP_ANY,
    InvalidValue,
    Where,
    countAndSize,
    directive,
    flag,
    number,
    seconds,
    size,
    sizeTemplate,
    template,
    words,
)
from ..config.syntax import Node
from ..config.values import Template
from ..plugins import PluginError
from .fields import HIDDEN
from .retry import HTTP_WORDS, UnknownCondition, parseConditions

_PAGE = 4096

#: Response fields that nginx acts upon and C{*_ignore_headers} may turn off.
IGNORABLE = {
    "X-Accel-Redirect",
    "X-Accel-Expires",
    "X-Accel-Limit-Rate",
    "X-Accel-Buffering",
    "X-Accel-Charset",
    "Expires",
    "Cache-Control",
    "Set-Cookie",
    "Vary",
}


def _ignored(node: Node) -> frozenset[bytes]:
    known = {name.lower(): name for name in IGNORABLE}
    for word in node.words:
        if word.lower() not in known:
            raise InvalidValue(word, "")
    return frozenset(word.lower().encode() for word in node.words)


def nextUpstreamDirective(words: Mapping[str, int]) -> Any:
    """
    The field of a C{*_next_upstream} that knows these words.
    """

    def conditions(node: Node) -> int:
        for index, word in enumerate(node.words):
            if word.lower() in (each.lower() for each in node.words[:index]):
                node.warning(f'duplicate value "{word}"')
        try:
            return parseConditions(node.words, words)
        except UnknownCondition as e:
            raise node.error(str(e), word=e.index) from None

    return directive(
        "*_next_upstream",
        HTTP_ANY,
        conditions,
        arity=(1, None),
        repeat=True,
        default=(parseConditions(("error", "timeout")),),
        type=" | ".join(words) + " ...",
        doc="When another server is asked.",
    )


def _bind(node: Node) -> Template | None:
    if node.words[0] == "off":
        return None
    if len(node.words) == 2 and node.words[1] != "transparent":
        raise node.error(f'invalid parameter "{node.words[1]}"', word=1)
    if len(node.words) == 2:
        raise node.error("transparent proxying is not supported on this platform")
    found: Template = template(node)
    return found


def _field(node: Node) -> bytes:
    return node.words[0].lower().encode("utf-8", "surrogateescape")


def _unsupported(node: Node) -> int:
    node.warning(f'"{node.name}" is not supported, ignored')
    return 0


def passDirective(where: Where) -> Any:
    """
    The field of a C{*_pass} that may stand in these places.
    """
    return directive(
        "*_pass",
        where,
        template,
        default=None,
        inherit=False,
        doc="Pass requests to this server or group.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PassOptions:
    """
    Options common to all dialects.

    A dialect that lacks some of them has a subclass, whose plain fields (without
    C{directive}) say what counts in their place.

    @ivar hidden: fields that clients do not get to see by default, in lower case.
    @ivar intercept404: is 404 answered by C{error_page}, or the built-in page, whatever
        C{interceptErrors} says?
    """

    hidden: tuple[bytes, ...] = HIDDEN
    intercept404: bool = False
    target: Template | None = passDirective(
        Where.LOCATION | Where.IF | Where.LIMIT_EXCEPT
    )
    connectTimeout: float = directive(
        "*_connect_timeout",
        HTTP_ANY,
        seconds,
        default=60.0,
        unit="seconds",
        doc="How long connecting to a server may take.",
    )
    sendTimeout: float = directive(
        "*_send_timeout",
        HTTP_ANY,
        seconds,
        default=60.0,
        unit="seconds",
        doc="How long a server may take nothing of the request.",
    )
    readTimeout: float = directive(
        "*_read_timeout",
        HTTP_ANY,
        seconds,
        default=60.0,
        unit="seconds",
        doc="How long a server may send nothing of the response.",
    )
    buffering: bool = directive(
        "*_buffering",
        HTTP_ANY,
        flag,
        default=True,
        doc="Read the response as fast as the server sends it, whatever the client"
        " takes.",
    )
    requestBuffering: bool = directive(
        "*_request_buffering",
        HTTP_ANY,
        flag,
        default=True,
        doc="Read the whole request body before asking a server.",
    )
    ignoreClientAbort: bool = directive(
        "*_ignore_client_abort",
        HTTP_ANY,
        flag,
        default=False,
        doc="Go on when the client leaves before the response.",
    )
    interceptErrors: bool = directive(
        "*_intercept_errors",
        HTTP_ANY,
        flag,
        default=False,
        doc="Let error_page replace responses of status 300 and above.",
    )
    bufferSize: int = directive(
        "*_buffer_size",
        HTTP_ANY,
        size,
        default=_PAGE,
        unit="bytes",
        doc="Limit of a response's head; size of the buffer of unbuffered responses.",
    )
    buffers: tuple[int, int] = directive(
        "*_buffers",
        HTTP_ANY,
        countAndSize,
        arity=(2, 2),
        default=(8, _PAGE),
        unit="bytes",
        doc="Number and size of the buffers of one response.",
    )
    busyBuffersSize: int = directive(
        "*_busy_buffers_size",
        HTTP_ANY,
        size,
        default=0,
        unit="bytes",
        doc="Checked as nginx does; there is no copy to limit: what the client has not"
        " taken waits in the buffers.",
    )
    maxTempFileSize: int = directive(
        "*_max_temp_file_size",
        HTTP_ANY,
        size,
        default=1024 * 1024 * 1024,
        unit="bytes",
        doc="How much of one response may wait in a temporary file; 0: none.",
    )
    tempFileWriteSize: int = directive(
        "*_temp_file_write_size",
        HTTP_ANY,
        size,
        default=0,
        unit="bytes",
        doc="Checked as nginx does; what is read at a time is written at a time.",
    )
    tempPath: tuple[str, ...] = directive(
        "*_temp_path",
        HTTP_ANY,
        words,
        arity=(1, 4),
        default=(),
        doc="Directory of temporary files (levels are accepted; files are unlinked"
        " at once, so there is nothing to spread over sub-directories).",
    )
    nextUpstream: tuple[int, ...] = nextUpstreamDirective(HTTP_WORDS)
    nextUpstreamTries: int = directive(
        "*_next_upstream_tries",
        HTTP_ANY,
        number,
        default=0,
        doc="How many servers are asked at most; 0: all.",
    )
    nextUpstreamTimeout: float = directive(
        "*_next_upstream_timeout",
        HTTP_ANY,
        seconds,
        default=0.0,
        unit="seconds",
        doc="How long after the first attempt another server is still asked; 0: ever.",
    )
    bind: Template | None = directive(
        "*_bind",
        HTTP_ANY,
        _bind,
        arity=(1, 2),
        default=None,
        doc="The local address of connections to servers.",
    )
    socketKeepalive: bool = directive(
        "*_socket_keepalive",
        HTTP_ANY,
        flag,
        default=False,
        doc="TCP keep-alive (SO_KEEPALIVE) on connections to servers.",
    )
    socketReceiveBuffer: int = directive(
        "*_socket_rcvbuf",
        HTTP_ANY,
        size,
        default=0,
        unit="bytes",
        doc="SO_RCVBUF of connections to servers; 0: the system's.",
    )
    socketSendBuffer: int = directive(
        "*_socket_sndbuf",
        HTTP_ANY,
        size,
        default=0,
        unit="bytes",
        doc="SO_SNDBUF of connections to servers; 0: the system's.",
    )
    sendLowat: int = directive(
        "*_send_lowat",
        HTTP_ANY,
        _unsupported,
        arity=(1, 1),
        default=0,
        doc="Without effect on this platform, as in nginx on Linux.",
    )
    limitRate: Template | None = directive(
        "*_limit_rate",
        HTTP_ANY,
        sizeTemplate,
        default=None,
        unit="bytes per second",
        doc="How fast a buffered response is read from the server.",
    )
    forceRanges: bool = directive(
        "*_force_ranges",
        HTTP_ANY,
        flag,
        default=False,
        doc="Answer requests for one part of a response, whatever the server says of"
        " that.",
    )
    ignoreHeaders: frozenset[bytes] = directive(
        "*_ignore_headers",
        HTTP_ANY,
        _ignored,
        arity=(1, None),
        default=frozenset(),
        doc="Response fields that are passed on but not acted upon.",
    )
    hideHeaders: tuple[bytes, ...] = directive(
        "*_hide_header",
        HTTP_ANY,
        _field,
        arity=(1, 1),
        repeat=True,
        default=(),
        doc="A response field that clients do not get to see.",
    )
    passHeaders: tuple[bytes, ...] = directive(
        "*_pass_header",
        HTTP_ANY,
        _field,
        arity=(1, 1),
        repeat=True,
        default=(),
        doc="A response field that clients get although it is hidden by default.",
    )
    passRequestBody: bool = directive(
        "*_pass_request_body",
        HTTP_ANY,
        flag,
        default=True,
        doc="Send the client's body to the server.",
    )
    passRequestHeaders: bool = directive(
        "*_pass_request_headers",
        HTTP_ANY,
        flag,
        default=True,
        doc="Send the client's fields to the server.",
    )

    @property
    def highWater(self) -> int:
        """
        Bytes of a buffered response that may wait in memory for the client.
        """
        count, each = self.buffers
        return self.bufferSize + count * each

    def merged(self, block: Block) -> PassOptions:
        """
        Check the sizes against each other, with nginx's words, and fill in defaults
        that depend on them.
        """
        count, each = self.buffers
        most = max(self.bufferSize, each)
        checks: list[tuple[str, bool, str]] = [
            ("_buffers", count < 2, 'there must be at least 2 "{}_buffers"'),
            (
                "_busy_buffers_size",
                self.busyBuffersSize != 0 and self.busyBuffersSize < most,
                '"{}_busy_buffers_size" must be equal to or greater than the maximum'
                ' of the value of "{}_buffer_size" and one of the "{}_buffers"',
            ),
            (
                "_busy_buffers_size",
                (self.busyBuffersSize or 2 * most) > (count - 1) * each,
                '"{}_busy_buffers_size" must be less than the size of all'
                ' "{}_buffers" minus one buffer',
            ),
            (
                "_temp_file_write_size",
                self.tempFileWriteSize != 0 and self.tempFileWriteSize < most,
                '"{}_temp_file_write_size" must be equal to or greater than the'
                ' maximum of the value of "{}_buffer_size" and one of the "{}_buffers"',
            ),
            (
                "_max_temp_file_size",
                self.maxTempFileSize != 0 and self.maxTempFileSize < most,
                '"{}_max_temp_file_size" must be equal to zero to disable temporary'
                " files usage or must be equal to or greater than the maximum of the"
                ' value of "{}_buffer_size" and one of the "{}_buffers"',
            ),
        ]
        for suffix, wrong, message in checks:
            if not wrong:
                continue
            for node in block.node.block or ():
                prefix = node.name.split("_")[0]
                if node.name.endswith((suffix, "_buffer_size", "_buffers")):
                    raise node.error(message.replace("{}", prefix))
        return replace(
            self,
            busyBuffersSize=self.busyBuffersSize or 2 * most,
            tempFileWriteSize=self.tempFileWriteSize or 2 * most,
        )


def passOptionsOf(dialects: Mapping[str, Any], name: str) -> type[PassOptions]:
    """
    The class of the options that a dialect has in common with others.

    @param dialects: plugins by name; one that cannot be loaded has all options, and is
        complained of where it is used.
    """
    try:
        found: type[PassOptions] | None = dialects[name].passOptions
    except PluginError:
        found = None
    return PassOptions if found is None else found
