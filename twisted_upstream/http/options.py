"""
The directives of nginx's http core that belong to connections and requests.

nginx: C{ngx_http_core_module.c}
"""

from __future__ import annotations

from dataclasses import dataclass

from ..config.directive import (
    HTTP_ANY,
    InvalidValue,
    Where,
    countAndSize,
    directive,
    flag,
    nothing,
    number,
    oneOf,
    seconds,
    size,
    sizeTemplate,
    words,
)
from ..config.syntax import Node
from ..config.values import Template, parseTime

_SERVER = Where.HTTP | Where.SERVER
_ANY = HTTP_ANY
_RATE = HTTP_ANY | Where.IF


def _timeouts(node: Node) -> tuple[float, int]:
    """
    @return: C{keepalive_timeout} and what the Keep-Alive field says, in seconds; 0:
        there is no such field.
    """
    announced = 0
    if len(node.words) == 2:
        announced = int(parseTime(node.words[1], milliseconds=False))
    return parseTime(node.words[0]), announced


def _browsers(node: Node) -> tuple[str, ...]:
    for word in node.words:
        if word not in ("none", "msie6", "safari"):
            raise InvalidValue(word, "")
    return node.words


def _inFile(node: Node) -> str:
    word = node.words[0]
    if word not in ("on", "off", "clean"):
        raise InvalidValue(word, "")
    return word


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockOptions:
    """
    The blocks of http.
    """

    http: bool = directive(
        "http",
        Where.MAIN,
        nothing,
        default=False,
        opens=Where.HTTP,
        doc="Everything about HTTP.",
    )
    server: tuple[bool, ...] = directive(
        "server",
        Where.HTTP,
        nothing,
        repeat=True,
        default=(),
        opens=Where.SERVER,
        doc="A virtual server.",
    )
    location: tuple[tuple[str, ...], ...] = directive(
        "location",
        Where.SERVER | Where.LOCATION,
        words,
        arity=(1, 2),
        repeat=True,
        default=(),
        opens=Where.LOCATION,
        doc="What applies to some URIs.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ConnectionOptions:
    """
    What counts before a request's location is known.
    """

    headerBufferSize: int = directive(
        "client_header_buffer_size",
        _SERVER,
        size,
        default=1024,
        doc="Size of the first buffer of a request's head; larger ones are used for"
        " what does not fit.",
    )
    largeBuffers: tuple[int, int] = directive(
        "large_client_header_buffers",
        _SERVER,
        countAndSize,
        default=(4, 8192),
        doc="Number and size of the buffers of a request's head; a line must fit one.",
    )
    maxHeaders: int = directive(
        "max_headers",
        _SERVER,
        number,
        default=1000,
        doc="How many fields a request may have.",
    )
    headerTimeout: float = directive(
        "client_header_timeout",
        _SERVER,
        seconds,
        default=60.0,
        doc="How long a client may take to send a request's head.",
    )
    ignoreInvalidHeaders: bool = directive(
        "ignore_invalid_headers",
        _SERVER,
        flag,
        default=True,
        doc="Drop fields whose names are not valid, instead of refusing the request.",
    )
    underscoresInHeaders: bool = directive(
        "underscores_in_headers",
        _SERVER,
        flag,
        default=False,
        doc="Are names of fields with underscores valid?",
    )
    mergeSlashes: bool = directive(
        "merge_slashes",
        _SERVER,
        flag,
        default=True,
        doc="Take several slashes in a row for one when a location is looked for.",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class LocationOptions:
    """
    What counts once a request's location is known.
    """

    subrequestOutputBufferSize: int = directive(
        "subrequest_output_buffer_size",
        HTTP_ANY,
        size,
        default=4096,
        doc="How long a response may be that a plugin asks for, to have it in memory.",
    )

    maxBodySize: int = directive(
        "client_max_body_size",
        _ANY,
        size,
        default=1024 * 1024,
        doc="Limit of a request's body; 0: none.",
    )
    bodyBufferSize: int = directive(
        "client_body_buffer_size",
        _ANY,
        size,
        default=8192,
        doc="How much of a request's body is held in memory; what is larger goes into a"
        " temporary file.",
    )
    bodyTimeout: float = directive(
        "client_body_timeout",
        _ANY,
        seconds,
        default=60.0,
        doc="How long a client may send nothing of a body.",
    )
    bodyTempPath: tuple[str, ...] = directive(
        "client_body_temp_path",
        _ANY,
        words,
        arity=(1, 4),
        default=("client_body_temp",),
        doc="Directory of temporary files with request bodies.",
    )
    bodyInFileOnly: str = directive(
        "client_body_in_file_only",
        _ANY,
        _inFile,
        arity=(1, 1),
        default="off",
        doc="Hold every request body in a temporary file; with C{on} the file stays.",
    )
    sendTimeout: float = directive(
        "send_timeout",
        _ANY,
        seconds,
        default=60.0,
        doc="How long a client may take nothing of a response.",
    )
    keepaliveTimeout: tuple[float, int] = directive(
        "keepalive_timeout",
        _ANY,
        _timeouts,
        arity=(1, 2),
        default=(75.0, 0),
        unit="seconds",
        doc="How long an idle connection is kept; 0: connections are not kept.  A"
        " second value is told to the client.",
    )
    keepaliveRequests: int = directive(
        "keepalive_requests",
        _ANY,
        number,
        default=1000,
        doc="How many requests one connection may bring.",
    )
    keepaliveTime: float = directive(
        "keepalive_time",
        _ANY,
        seconds,
        default=3600.0,
        doc="How old a connection may get before it is closed after a request.",
    )
    keepaliveDisable: tuple[str, ...] = directive(
        "keepalive_disable",
        _ANY,
        _browsers,
        arity=(1, None),
        default=("msie6",),
        doc="Browsers whose connections are not kept: msie6 (after POST), safari,"
        " none.",
    )
    lingeringClose: str = directive(
        "lingering_close",
        _ANY,
        oneOf("off", "on", "always"),
        default="on",
        doc="Read what a client still sends before its connection is closed.",
    )
    lingeringTime: float = directive(
        "lingering_time", _ANY, seconds, default=30.0, doc="How long that may take."
    )
    lingeringTimeout: float = directive(
        "lingering_timeout",
        _ANY,
        seconds,
        default=5.0,
        doc="How long to wait for more.",
    )
    limitRate: Template | None = directive(
        "limit_rate",
        _RATE,
        sizeTemplate,
        default=None,
        unit="bytes per second",
        doc="How fast a response is sent.",
    )
    limitRateAfter: Template | None = directive(
        "limit_rate_after",
        _RATE,
        sizeTemplate,
        default=None,
        unit="bytes",
        doc="How much of a response is sent before limit_rate counts.",
    )
    absoluteRedirect: bool = directive(
        "absolute_redirect",
        _ANY,
        flag,
        default=True,
        doc="Give a Location of our own the host.",
    )
    serverNameInRedirect: bool = directive(
        "server_name_in_redirect",
        _ANY,
        flag,
        default=False,
        doc="In such a Location, use server_name instead of the client's Host.",
    )
    portInRedirect: bool = directive(
        "port_in_redirect",
        _ANY,
        flag,
        default=True,
        doc="In such a Location, say the port.",
    )
    chunkedTransferEncoding: bool = directive(
        "chunked_transfer_encoding",
        _ANY,
        flag,
        default=True,
        doc="Use chunked transfer coding for responses of unknown length.",
    )
    resetTimedOut: bool = directive(
        "reset_timedout_connection",
        _ANY,
        flag,
        default=False,
        doc="Reset, instead of close, connections that time out.",
    )
    earlyHints: tuple[str, ...] = directive(
        "early_hints",
        _ANY,
        words,
        arity=(1, None),
        default=(),
        doc="Pass 103 responses on where one of these values is neither empty nor 0.",
    )
