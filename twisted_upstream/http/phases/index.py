"""
C{index}: the files that stand for a directory.

nginx: C{ngx_http_index_module.c}
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from errno import EACCES, ELOOP, EMLINK, ENAMETOOLONG, ENOENT, ENOTDIR
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any

from ...config.values import Template, parseTemplate
from .script import shown

if TYPE_CHECKING:
    from ...config.syntax import Node
    from ..request import Request
    from .paths import Paths


@dataclass(frozen=True, slots=True)
class IndexLine:
    """
    One C{index}.
    """

    names: tuple[Template, ...]
    node: Node


def indexLine(node: Node) -> IndexLine:
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


class Index:
    """
    Answers for directories as one location wants it.
    """

    __slots__ = ("_logNotFound", "_names", "_paths")

    def __init__(
        self, names: tuple[Callable[[Any], bytes], ...], paths: Paths, logNotFound: bool
    ) -> None:
        self._names = names
        self._paths = paths
        self._logNotFound = logNotFound

    def answer(self, request: Request) -> None:
        """
        Go to the first index that is there.

        nginx: ngx_http_index_handler()
        """
        if request.method not in (b"GET", b"HEAD", b"POST"):
            request.failResponse(405)
            return
        tested = False
        base = b""
        for value in self._names:
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
                status = self._failed(request, base, path, errno, tested)
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

    def _failed(
        self, request: Request, base: bytes, path: bytes, errno: int, tested: bool
    ) -> int:
        """
        @return: the status to fail with; 0: try the next one.
        """
        if errno in (EMLINK, ELOOP):
            return 403
        if errno in (ENOTDIR, ENAMETOOLONG, EACCES):
            return self._notThere(request, path, errno)
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
                return self._notThere(request, path, ENOENT)
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

    def _notThere(self, request: Request, path: bytes, errno: int) -> int:
        """
        nginx: ngx_http_index_error()
        """
        if errno == EACCES:
            request.logError("error", f'"{shown(path)}" is forbidden', errno)
            return 403
        if self._logNotFound:
            request.logError("error", f'"{shown(path)}" is not found', errno)
        return 404


def compileNames(
    lines: tuple[IndexLine, ...], build: Any
) -> tuple[Callable[[Any], bytes], ...]:
    """
    Compile C{index} of one place; without any it is C{index.html}.

    @raise ConfigError: an unknown variable.
    """
    names = tuple(
        build.compile(name, line.node) for line in lines for name in line.names
    )
    return names or ((lambda request: b"index.html"),)
