"""
One part of a response that was asked for with Range, cut out of the whole as it comes.

nginx: C{ngx_http_range_singlepart_body()}
"""

from __future__ import annotations


class Window:
    """
    What of a body is passed on.
    """

    __slots__ = ("_left", "_skip")

    def __init__(self, start: int, end: int) -> None:
        """
        @param start: where the part begins in the whole.
        @param end: where it ends.
        """
        self._skip = start
        self._left = end - start

    def cut(self, data: bytes) -> bytes:
        """
        What of the next bytes is in the part; may be nothing.
        """
        start, count = self.cutRegion(0, len(data))
        return data[start : start + count]

    def cutRegion(self, offset: int, count: int) -> tuple[int, int]:
        """
        The same of bytes in a file.

        @return: offset and count of what is in the part.
        """
        skip = min(self._skip, count)
        self._skip -= skip
        count = min(count - skip, self._left)
        self._left -= count
        return offset + skip, count
