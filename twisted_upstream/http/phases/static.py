"""
Files: C{index}, and content of our own where no other handler is.

nginx: ngx_http_static_module.c, ngx_http_index_module.c
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import EACCES, ELOOP, EMLINK, ENAMETOOLONG, ENOENT, ENOTDIR
from itertools import count
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any

from ...config.directive import (
    HTTP_ANY,
    Where,
    directive,
    flag,
    number,
    offset,
    oneOf,
    size,
    words,
)
from ...config.values import Template, parseTemplate
from ...wire.dates import formatDate
from ...wire.head import ResponseHead
from ...wire.uri import escapeUri
from .conditional import UNLIMITED, Multipart, conditional, selectRanges, unsatisfied
from .error_page import ownHead
from .gzip_accept import GzipAcceptOptions, addVary, compileAccepts
from .paths import Paths, compilePaths, compileType
from .script import shown

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ..request import Request

#: Several ranges larger than this together are put together on disk.
_SPOOL = 1024 * 1024
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_MISSING = (ENOENT, ENOTDIR, ENAMETOOLONG)


@dataclass(frozen=True, slots=True)
class IndexLine:
    """
    One C{index}.
    """

    names: tuple[Template, ...]
    node: Node


def _index(node: Node) -> IndexLine:
    """
    nginx: ngx_http_index_set_index()
    """
    names = []
    for at, word in enumerate(node.words):
        if not word:
            raise node.error('index "" in "index" directive is invalid', word=at)
        if word.startswith("/") and at < len(node.words) - 1:
            node.warning('only the last index in "index" directive should be absolute')
        names.append(parseTemplate(word))
    return IndexLine(tuple(names), node)


def _directio(node: Node) -> int | None:
    return None if node.words[0] == "off" else offset(node)


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticOptions:
    """
    How files are answered.
    """

    index: tuple[IndexLine, ...] = directive(
        "index",
        HTTP_ANY,
        _index,
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
    sendfile: bool = directive(
        "sendfile",
        HTTP_ANY | Where.IF,
        flag,
        default=False,
        doc="Accepted; sendfile(2) is used where it can be.",
    )
    sendfileMaxChunk: int = directive(
        "sendfile_max_chunk",
        HTTP_ANY,
        size,
        default=2 * 1024 * 1024,
        unit="bytes",
        doc="Accepted; nothing to tune.",
    )
    tcpNopush: bool = directive(
        "tcp_nopush", HTTP_ANY, flag, default=False, doc="Accepted; nothing to tune."
    )
    directio: int | None = directive(
        "directio",
        HTTP_ANY,
        _directio,
        default=None,
        unit="bytes",
        type="size | off",
        doc="Accepted; files are always read through the page cache.",
    )
    directioAlignment: int = directive(
        "directio_alignment",
        HTTP_ANY,
        offset,
        default=512,
        unit="bytes",
        doc="Accepted; files are always read through the page cache.",
    )
    readAhead: int = directive(
        "read_ahead",
        HTTP_ANY,
        size,
        default=0,
        unit="bytes",
        doc="Accepted; the kernel's read-ahead is used.",
    )
    gzipStatic: str = directive(
        "gzip_static",
        HTTP_ANY,
        oneOf("off", "on", "always"),
        default="off",
        doc="Send FILE.gz instead of FILE to clients that accept gzip, or to all.",
    )
    aio: tuple[str, ...] = directive(
        "aio",
        HTTP_ANY,
        words,
        arity=(1, 1),
        default=("off",),
        doc="Accepted; files are read when the client takes them.",
    )


def openFile(path: bytes) -> tuple[int, os.stat_result]:
    """
    Open a file for reading, or a directory; never wait for a FIFO's writer.

    @raise OSError: it cannot be opened.
    """
    fd = os.open(path, _OPEN)
    try:
        return fd, os.fstat(fd)
    except BaseException:
        os.close(fd)
        raise


def _pieces(fd: int, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        piece = os.pread(fd, min(end - start, 65536), start)
        if not piece:
            return
        start += len(piece)
        yield piece


class Packed:
    """
    C{gzip_static} of one place.

    nginx: ngx_http_gzip_static_handler()
    """

    __slots__ = ("_accepts", "_always", "_vary")

    def __init__(self, block: Block, build: Any, always: bool) -> None:
        self._always = always
        self._accepts = compileAccepts(block, build)
        self._vary = block.of(GzipAcceptOptions).vary

    def find(
        self, request: Request, path: bytes
    ) -> tuple[tuple[int, os.stat_result] | None, bool] | None:
        """
        Open the compressed file, if it is there and wanted.

        @return: it, and whether the answer depends on what the client accepts;
            C{None}: an error was answered.
        """
        wanted = self._always or self._accepts(request, _NO_HEAD)
        if not wanted and not self._vary:
            return None, False
        try:
            fd, found = openFile(path)
        except (OSError, ValueError) as e:
            errno = getattr(e, "errno", None) or ENOENT
            if errno not in _MISSING:
                level = "error" if errno in (EACCES, EMLINK, ELOOP) else "crit"
                request.logError(level, f'open() "{shown(path)}" failed', errno)
            return None, False
        vary = self._vary and not self._always
        if wanted and S_ISREG(found.st_mode):
            return (fd, found), vary
        os.close(fd)
        if wanted and not S_ISDIR(found.st_mode):
            request.logError("crit", f'"{shown(path)}" is not a regular file')
            request.failResponse(404)
            return None
        return None, vary


#: What is known of a response that is still looked for.
_NO_HEAD = ResponseHead(200)


class Static:
    """
    Answers from files as one location wants it.
    """

    def __init__(
        self,
        options: StaticOptions,
        paths: Paths,
        typeOf: Callable[[bytes], bytes | None],
        index: tuple[Callable[[Any], bytes], ...],
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
            self._directory(request)
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
        if errno in _MISSING:
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

    def _directory(self, request: Request) -> None:
        """
        Go to the first index that is there.

        nginx: ngx_http_index_handler()
        """
        if request.method not in (b"GET", b"HEAD", b"POST"):
            request.failResponse(405)
            return
        tested = False
        base = b""
        for value in self._index:
            name = value(request)
            if name.startswith(b"/"):
                request.internalRedirect(name, request.args)
                return
            if not base:
                if not self._paths.usable(request):
                    request.failResponse(500)
                    return
                base = self._paths.path(request)
            path = base + name
            try:
                os.stat(path)
            except (OSError, ValueError) as e:
                errno = getattr(e, "errno", None) or ENOENT
                status = self._indexFailed(request, base, path, errno, tested)
                if status:
                    request.failResponse(status)
                    return
                tested = True
                continue
            request.internalRedirect(request.uri + name, request.args)
            return
        if not self._paths.usable(request):
            # nginx says the alert and 403: the index was declined before.
            request.failResponse(403)
            return
        path = self._paths.path(request)
        request.logError("error", f'directory index of "{shown(path)}" is forbidden')
        request.failResponse(403)

    def _indexFailed(
        self, request: Request, base: bytes, path: bytes, errno: int, tested: bool
    ) -> int:
        """
        @return: the status to fail with; 0: try the next one.
        """
        if errno in (EMLINK, ELOOP):
            return 403
        if errno in (ENOTDIR, ENAMETOOLONG, EACCES):
            return self._indexError(request, path, errno)
        if not tested:
            status = self._testDirectory(request, base, path)
            if status:
                return status
        if errno == ENOENT:
            return 0
        request.logError("crit", f'stat() "{shown(path)}" failed', errno)
        return 500

    def _testDirectory(self, request: Request, base: bytes, path: bytes) -> int:
        """
        Is it the index that is missing, or the directory?

        nginx: ngx_http_index_test_dir()
        """
        directory = base[:-1] if base.endswith(b"/") and len(base) > 1 else base
        try:
            mode = os.stat(directory).st_mode
        except OSError as e:
            if e.errno in (EMLINK, ELOOP):
                return 403
            if e.errno == ENOENT:
                return self._indexError(request, path, ENOENT)
            if e.errno == EACCES:
                return 0
            request.logError(
                "crit", f'stat() "{shown(directory)}" failed', e.errno or 0
            )
            return 500
        if S_ISDIR(mode):
            return 0
        request.logError("alert", f'"{shown(directory)}" is not a directory')
        return 500

    def _indexError(self, request: Request, path: bytes, errno: int) -> int:
        """
        nginx: ngx_http_index_error()
        """
        if errno == EACCES:
            request.logError("error", f'"{shown(path)}" is forbidden', errno)
            return 403
        if self._options.logNotFound:
            request.logError("error", f'"{shown(path)}" is not found', errno)
        return 404


def compileStatic(block: Block, build: Any) -> Callable[[Request], None]:
    """
    Compile the content handler of a place without any other.

    @param build: the composition at hand: C{compile} and C{prefix}.
    @return: to be called with the request; answers it, or redirects it to an index.
    @raise ConfigError: an unknown variable; both C{root} and C{alias}.
    """
    options = block.of(StaticOptions)
    index = tuple(
        build.compile(name, line.node) for line in options.index for name in line.names
    )
    if not index:
        index = (lambda request: b"index.html",)
    packed = None
    if options.gzipStatic != "off":
        packed = Packed(block, build, options.gzipStatic == "always")
    static = Static(
        options, compilePaths(block, build), compileType(block), index, packed
    )
    return static.answer
