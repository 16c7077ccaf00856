"""
C{ssi}: commands in pages, among them those that include other pages.

nginx: C{ngx_http_ssi_filter_module.c}: C{ngx_http_ssi_header_filter()}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config.directive import HTTP_ANY, Where, directive, flag, size
from .gzip_accept import editChanged
from .media_types import compileTypes, mediaTypes
from .ssi_page import SSI, TIME
from .ssi_text import formatTime

if TYPE_CHECKING:
    from ...config.build import Block
    from ...wire.head import ResponseHead


@dataclass(frozen=True, kw_only=True, slots=True)
class SSIOptions:
    """
    Commands in pages.
    """

    ssi: bool = directive(
        "ssi",
        HTTP_ANY | Where.IF,
        flag,
        default=False,
        doc="Carry out the SSI commands in responses.",
    )
    silentErrors: bool = directive(
        "ssi_silent_errors",
        HTTP_ANY,
        flag,
        default=False,
        doc="Put nothing in the place of a command that is wrong.",
    )
    ignoreRecycled: bool = directive(
        "ssi_ignore_recycled_buffers",
        HTTP_ANY,
        flag,
        default=False,
        doc="Accepted; nothing to tune.",
    )
    minFileChunk: int = directive(
        "ssi_min_file_chunk",
        HTTP_ANY,
        size,
        default=1024,
        unit="bytes",
        doc="Accepted; pages with commands are read, not sent from the file.",
    )
    valueLength: int = directive(
        "ssi_value_length",
        HTTP_ANY,
        size,
        default=255,
        unit="bytes",
        doc="Longest value of a command's parameter.",
    )
    types: tuple[tuple[str, ...], ...] = directive(
        "ssi_types",
        HTTP_ANY,
        mediaTypes,
        arity=(1, None),
        default=(),
        repeat=True,
        type="mime-type ...",
        doc="Content types in which commands are looked for besides text/html; * is"
        " all.",
    )
    lastModified: bool = directive(
        "ssi_last_modified",
        HTTP_ANY,
        flag,
        default=False,
        doc="Keep Last-Modified, and the ETag as a weak one.",
    )


def dateVariable(request: Any, gmt: bool) -> bytes | None:
    """
    C{$date_local}, C{$date_gmt}.
    """
    page = request.notes.get(SSI)
    form = TIME if page is None else page.timeFormat
    now = request.connection.factory.served.wallClock()
    return formatTime(form, now, gmt)


_LAST_MODIFIED = re.compile(rb"\r\nlast-modified:[^\r]*", re.I)
_ETAG = re.compile(rb"\r\netag:[^\r]*", re.I)


class _Factory:
    """
    C{ssi} of one place.
    """

    __slots__ = ("_matches", "_options")

    def __init__(self, options: SSIOptions) -> None:
        self._options = options
        self._matches = compileTypes(options.types)

    def applies(self, request: Any, head: ResponseHead) -> bool:
        """
        Are there commands to be looked for?
        """
        return head.contentLength != 0 and self._matches(head.contentType)

    def begin(self, request: Any, head: ResponseHead) -> SSI | None:
        """
        Edit the head, and carry commands out if so.
        """
        if not self.applies(request, head):
            return None
        editChanged(head)
        if not self._options.lastModified:
            head.lastModified = None
            head.fields = _ETAG.sub(b"", _LAST_MODIFIED.sub(b"", head.fields))
        return SSI(request, self._options)


def compileSSI(block: Block, build: Any) -> _Factory | None:
    """
    Compile C{ssi} of one place; C{None} when it is off.
    """
    options = block.of(SSIOptions)
    return _Factory(options) if options.ssi else None
