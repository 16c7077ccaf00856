"""
Files: what a location answers with where no other handler is.

nginx: C{ngx_http_static_module.c}
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import EACCES, ELOOP, EMLINK, ENOENT
from itertools import count
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any

from ...config.directive import (
    HTTP_ANY,
    directive,
    flag,
    number,
    oneOf,
)
from ...wire.dates import formatDate
from ...wire.head import ResponseHead
from ...wire.uri import escapeUri
from .conditional import UNLIMITED, Multipart, conditional, selectRanges, unsatisfied
from .error_page import ownHead
from .files import MISSING, openFile
from .gzip_accept import addVary
from .gzip_static import Packed
from .index import Index, IndexLine, compileNames, indexLine
from .paths import Paths, compilePaths, compileType
from .script import shown

if TYPE_CHECKING:
    from ...config.build import Block
    from ..request import Request

#: Several ranges larger than this together are put together on disk.
_SPOOL = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticOptions:
    """
    How files are answered.
    """

    index: tuple[IndexLine, ...] = directive(
        "index",
        HTTP_ANY,
        indexLine,
        arity=(1, None),
        default=(),
        repeat=True,
        type="file ...",
        doc="Files that stand for a directory.",
    )
    etag: bool = directive(
        "etag", HTTP_ANY, flag, default=True, doc="Send an ETag with files."
    )
    ifModifiedSince: str = directive(
        "if_modified_since",
        HTTP_ANY,
        oneOf("off", "exact", "before"),
        default="exact",
        doc="How If-Modified-Since is compared.",
    )
    maxRanges: int = directive(
        "max_ranges",
        HTTP_ANY,
        number,
        default=UNLIMITED,
        doc="Send the whole file to who asks for more ranges; 0: no ranges at all.",
    )
    logNotFound: bool = directive(
        "log_not_found", HTTP_ANY, flag, default=True, doc="Log files not found."
    )
    gzipStatic: str = directive(
        "gzip_static",
        HTTP_ANY,
        oneOf("off", "on", "always"),
        default="off",
        doc="Send FILE.gz instead of FILE to clients that accept gzip, or to all.",
    )


def _pieces(fd: int, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        piece = os.pread(fd, min(end - start, 65536), start)
        if not piece:
            return
        start += len(piece)
        yield piece


class Static:
    """
    Answers from files as one location wants it.
    """

    def __init__(
        self,
        options: StaticOptions,
        paths: Paths,
        typeOf: Callable[[bytes], bytes | None],
        index: Index,
        packed: Packed | None,
    ) -> None:
        self._options = options
        self._paths = paths
        self._typeOf = typeOf
        self._index = index
        self._packed = packed
        self._numbers = count(1)

    def answer(self, request: Request) -> None:
        """
        Answer with a file, an index, a redirect to a directory, or an error.
        """
        if request.uri.endswith(b"/"):
            self._index.answer(request)
        else:
            self._file(request)

    def _file(self, request: Request) -> None:
        """
        nginx: ngx_http_static_handler()
        """
        if request.method not in (b"GET", b"HEAD", b"POST"):
            request.failResponse(405)
            return
        if not self._paths.usable(request):
            request.failResponse(500)
            return
        path = self._paths.path(request)
        vary = False
        packed = self._packed
        if packed is not None and request.method != b"POST":
            sought = packed.find(request, path + b".gz")
            if sought is None:
                return
            file, vary = sought
            if file is not None:
                self._send(request, *file, vary, True)
                return
        try:
            fd, found = openFile(path)
        except (OSError, ValueError) as e:
            # A ValueError is a NUL in the path: no file has that.
            self._failed(request, path, getattr(e, "errno", None) or ENOENT)
            return
        if S_ISREG(found.st_mode) and request.method != b"POST":
            self._send(request, fd, found, vary, False)
            return
        os.close(fd)
        if S_ISDIR(found.st_mode):
            location = escapeUri(request.uri) + b"/"
            if request.args:
                location += b"?" + request.args
            request.redirectTo = location
            request.failResponse(301)
        elif not S_ISREG(found.st_mode):
            request.logError("crit", f'"{shown(path)}" is not a regular file')
            request.failResponse(404)
        else:
            request.failResponse(405)

    def _failed(self, request: Request, path: bytes, errno: int) -> None:
        if errno in MISSING:
            level, status = "error", 404
        elif errno in (EACCES, EMLINK, ELOOP):
            level, status = "error", 403
        else:
            level, status = "crit", 500
        if status != 404 or self._options.logNotFound:
            request.logError(level, f'open() "{shown(path)}" failed', errno)
        request.failResponse(status)

    def _send(
        self,
        request: Request,
        fd: int,
        found: os.stat_result,
        vary: bool,
        packed: bool,
    ) -> None:
        """
        @param vary: does it depend on what the client accepts?
        @param packed: is it compressed?
        """
        length, modified = found.st_size, int(found.st_mtime)
        head = ownHead(request, 200)
        head.contentLength = length
        head.contentType = self._typeOf(request.uri)
        head.lastModified = formatDate(modified)
        if self._options.etag:
            head.fields += b'\r\nETag: "%x-%x"' % (modified, length)
        if packed:
            head.fields += b"\r\nContent-Encoding: gzip"
        if vary:
            addVary(head)
        status = conditional(request, head, self._options.ifModifiedSince)
        if status == 0:
            ranges = selectRanges(request, head, self._options.maxRanges)
            if ranges is None:
                request.sendFile(head, fd, 0, 0 if head.noBody else length)
                return
            if len(ranges) == 1:
                start, end = ranges[0]
                request.sendFile(head, fd, start, end - start)
                return
            if ranges:
                self._sendParts(request, head, fd, ranges)
                return
            os.close(fd)
            request.failResponse(416, unsatisfied(length))
            return
        os.close(fd)
        request.failResponse(status)

    def _sendParts(
        self,
        request: Request,
        head: ResponseHead,
        fd: int,
        ranges: list[tuple[int, int]],
    ) -> None:
        """
        nginx: ngx_http_range_multipart_body()
        """
        parts = Multipart(head, ranges, next(self._numbers))
        with tempfile.SpooledTemporaryFile(_SPOOL) as body:
            for before, (start, end) in parts.parts:
                body.write(before)
                for piece in _pieces(fd, start, end):
                    body.write(piece)
            body.write(parts.end)
            os.close(fd)
            if (head.contentLength or 0) <= _SPOOL:
                body.seek(0)
                request.sendResponse(head, body.read())
                return
            body.flush()
            copy = os.dup(body.fileno())
        request.sendFile(head, copy, 0, head.contentLength or 0)


def compileStatic(block: Block, build: Any) -> Callable[[Request], None]:
    """
    Compile the content handler of a place without any other.

    @param build: the composition at hand: C{compile} and C{prefix}.
    @return: to be called with the request; answers it, or redirects it to an index.
    @raise ConfigError: an unknown variable; both C{root} and C{alias}.
    """
    options = block.of(StaticOptions)
    names = compileNames(options.index, build)
    packed = None
    if options.gzipStatic != "off":
        packed = Packed(block, build, options.gzipStatic == "always")
    paths = compilePaths(block, build)
    index = Index(names, paths, options.logNotFound)
    static = Static(options, paths, compileType(block), index, packed)
    return static.answer
