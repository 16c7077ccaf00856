"""
C{gzip_static}: a file that was compressed beforehand in the place of the other.

nginx: C{ngx_http_gzip_static_module.c}
"""

from __future__ import annotations

import os
from errno import EACCES, ELOOP, EMLINK, ENOENT
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Any

from ...wire.head import ResponseHead
from .files import MISSING, openFile
from .gzip_accept import GzipAcceptOptions, compileAccepts
from .script import shown

if TYPE_CHECKING:
    from ...config.build import Block
    from ..request import Request


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
            if errno not in MISSING:
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
