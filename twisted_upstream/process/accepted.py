"""
Directives of nginx's http and stream that nothing has to be done for: they are read, so
that its configurations need no change, and have no effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directive import (
    HTTP_ANY,
    Where,
    directive,
    flag,
    number,
    offset,
    seconds,
    size,
    text,
    words,
)

if TYPE_CHECKING:
    from ..config.syntax import Node

_STREAM = Where.STREAM | Where.STREAM_SERVER
_MAPS = Where.HTTP | Where.STREAM
_TLS = Where.HTTP | Where.SERVER | _STREAM


def _accepted(
    name: str,
    where: Where,
    convert: Callable[[Node], Any],
    default: Any,
    why: str,
    **more: Any,
) -> Any:
    return directive(
        name, where, convert, default=default, doc=f"Accepted{why}.", **more
    )


def _directio(node: Node) -> int | None:
    return None if node.words[0] == "off" else offset(node)


@dataclass(frozen=True, kw_only=True, slots=True)
class AcceptedOptions:
    """
    What nobody looks at.
    """

    sizes: tuple[str, ...] = directive(
        (
            "variables_hash_max_size",
            "variables_hash_bucket_size",
            "server_names_hash_max_size",
            "server_names_hash_bucket_size",
            "proxy_headers_hash_max_size",
            "proxy_headers_hash_bucket_size",
            "connection_pool_size",
            "request_pool_size",
            "output_buffers",
            "postpone_output",
        ),
        HTTP_ANY,
        text,
        arity=(1, 2),
        repeat=True,
        default=(),
        doc="Accepted: there is nothing of that kind to size.",
    )
    streamSizes: tuple[str, ...] = directive(
        (
            "variables_hash_max_size",
            "variables_hash_bucket_size",
            "server_names_hash_max_size",
            "server_names_hash_bucket_size",
        ),
        Where.STREAM,
        number,
        repeat=True,
        default=(),
        doc="Accepted: there is nothing of that kind to size.",
    )
    typesHashMaxSize: int = _accepted(
        "types_hash_max_size", HTTP_ANY, number, 1024, "; types are kept in a dict"
    )
    typesHashBucketSize: int = _accepted(
        "types_hash_bucket_size", HTTP_ANY, number, 64, "; types are kept in a dict"
    )
    mapHashMaxSize: int = _accepted(
        "map_hash_max_size", _MAPS, number, 2048, "; maps are kept in a dict"
    )
    mapHashBucketSize: int = _accepted(
        "map_hash_bucket_size", _MAPS, size, 64, "; maps are kept in a dict"
    )
    bodyInSingleBuffer: bool = _accepted(
        "client_body_in_single_buffer",
        HTTP_ANY,
        flag,
        False,
        ": C{$request_body} is always in one piece",
    )
    keepaliveMinTimeout: float = _accepted(
        "keepalive_min_timeout",
        HTTP_ANY,
        seconds,
        0.0,
        ": idle connections are closed at once when the server shuts down",
    )
    tcpNoDelay: bool = _accepted(
        "tcp_nodelay",
        HTTP_ANY,
        flag,
        True,
        "; TCP_NODELAY is always on, as nothing is sent in small pieces",
    )
    tcpNoPush: bool = _accepted(
        "tcp_nopush", HTTP_ANY, flag, False, "; nothing to tune"
    )
    sendfile: bool = _accepted(
        "sendfile",
        HTTP_ANY | Where.IF,
        flag,
        False,
        "; sendfile(2) is used where it can be",
    )
    sendfileMaxChunk: int = _accepted(
        "sendfile_max_chunk", HTTP_ANY, size, 2 * 1024 * 1024, "; nothing to tune"
    )
    directio: int | None = _accepted(
        "directio",
        HTTP_ANY,
        _directio,
        None,
        "; files are always read through the page cache",
        unit="bytes",
        type="size | off",
    )
    directioAlignment: int = _accepted(
        "directio_alignment",
        HTTP_ANY,
        offset,
        512,
        "; files are always read through the page cache",
    )
    readAhead: int = _accepted(
        "read_ahead", HTTP_ANY, size, 0, "; the kernel's read-ahead is used"
    )
    aio: tuple[str, ...] = _accepted(
        "aio",
        HTTP_ANY,
        words,
        ("off",),
        "; files are read when the client takes them",
        arity=(1, 1),
    )
    openLogFileCache: str = _accepted(
        "open_log_file_cache",
        HTTP_ANY | Where.IF | Where.LIMIT_EXCEPT | _STREAM,
        lambda node: node.words[0],
        "off",
        ": files whose names have variables are always kept open",
        arity=(1, 4),
    )
    staplingResponder: str = _accepted(
        "ssl_stapling_responder",
        _TLS,
        text,
        "",
        ", and without effect: nothing is fetched",
    )
    staplingVerify: bool = _accepted(
        "ssl_stapling_verify",
        _TLS,
        flag,
        False,
        ", and without effect: nothing is fetched",
    )
