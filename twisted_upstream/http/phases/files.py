"""
Files, opened.

nginx: C{ngx_open_cached_file()}
"""

from __future__ import annotations

import os
from errno import ENAMETOOLONG, ENOENT, ENOTDIR

_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
#: There is no such file.
MISSING = (ENOENT, ENOTDIR, ENAMETOOLONG)


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
