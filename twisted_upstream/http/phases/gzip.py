"""
C{gzip}: responses are compressed for clients that accept that.

Nothing is kept but what zlib holds back to do better; where the response must not be
held back (C{proxy_buffering off}), each piece of it is flushed.

nginx: C{ngx_http_gzip_filter_module.c}
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config.directive import HTTP_ANY, Where, directive, flag, number, size
from ...config.values import parseNumber, parseSize
from ..filters import BodyFilter
from .gzip_accept import GzipAcceptOptions, addVary, compileAccepts, editChanged
from .media_types import compileTypes, mediaTypes

if TYPE_CHECKING:
    from ...config.build import Block
    from ...config.syntax import Node
    from ...wire.head import ResponseHead


def buffers(node: Node) -> tuple[int, int]:
    """
    Number and size of buffers.  nginx: C{ngx_conf_set_bufs_slot()}
    """
    count = parseNumber(node.words[0])
    if count == 0:
        raise ValueError("invalid value")
    each = parseSize(node.words[1])
    if each == 0:
        raise ValueError("invalid value")
    return count, each


def _level(node: Node) -> int:
    level = number(node)
    if level < 1:
        raise node.error("value must be equal to or greater than 1")
    if level > 9:
        raise node.error("value must be equal to or less than 9")
    return level


def _window(node: Node) -> int:
    given = size(node)
    if given not in [1 << bits for bits in range(9, 16)]:
        raise node.error("must be 512, 1k, 2k, 4k, 8k, 16k, or 32k")
    return given.bit_length() - 1


def _hash(node: Node) -> int:
    given = size(node)
    if given not in [1 << bits for bits in range(9, 18)]:
        raise node.error("must be 512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k")
    return given.bit_length() - 9


@dataclass(frozen=True, kw_only=True, slots=True)
class GzipOptions:
    """
    Compression of responses.
    """

    gzip: bool = directive(
        "gzip",
        HTTP_ANY | Where.IF,
        flag,
        default=False,
        doc="Compress responses for clients that accept gzip.",
    )
    buffers: tuple[int, int] = directive(
        "gzip_buffers",
        HTTP_ANY,
        buffers,
        arity=(2, 2),
        default=(32, 4096),
        type="number size",
        unit="bytes",
        doc="Number and size of the buffers of what is compressed: their sum is"
        " compressed ahead of the client.",
    )
    types: tuple[tuple[str, ...], ...] = directive(
        "gzip_types",
        HTTP_ANY,
        mediaTypes,
        arity=(1, None),
        default=(),
        repeat=True,
        type="mime-type ...",
        doc="Content types that are compressed besides text/html; * is all.",
    )
    level: int = directive(
        "gzip_comp_level",
        HTTP_ANY,
        _level,
        default=1,
        type="number",
        doc="From 1, fast, to 9, small.",
    )
    window: int = directive(
        "gzip_window",
        HTTP_ANY,
        _window,
        default=15,
        type="size",
        doc="How far back a repetition may lie: 512 bytes to 32k.",
    )
    hash: int = directive(
        "gzip_hash",
        HTTP_ANY,
        _hash,
        default=8,
        type="size",
        doc="Memory to look for repetitions with: 512 bytes to 128k.",
    )
    minLength: int = directive(
        "gzip_min_length",
        HTTP_ANY,
        size,
        default=20,
        unit="bytes",
        doc="Shorter responses are not compressed, where Content-Length tells.",
    )


class Gzip(BodyFilter):
    """
    One response that is compressed on its way.
    """

    __slots__ = (
        "_buffer",
        "_flushes",
        "_given",
        "_least",
        "_pack",
        "_taken",
        "_values",
    )

    def __init__(
        self, reply: Any, most: int, least: int, level: int, bits: int, hash: int
    ) -> None:
        """
        @param most: bytes that may wait for the client.
        @param least: bytes that are worth a chunk.
        @param level: from 1 to 9.
        @param bits: of the window's size.
        @param hash: zlib's C{memLevel}.
        """
        super().__init__(reply, most)
        self._values = (level, zlib.DEFLATED, bits + 16, hash)
        self._pack: Any = None
        self._least = least
        self._buffer = b""
        self._taken = self._given = 0
        self._flushes = reply.flushes

    def step(self, data: bytes) -> bytes:
        """
        Compress some.
        """
        if self._pack is None:
            self._pack = zlib.compressobj(*self._values)
        self._taken += len(data)
        out: bytes = self._pack.compress(data)
        self._given += len(out)
        out = self._buffer + out
        if len(out) < self._least:
            self._buffer = out
            return b""
        self._buffer = b""
        return out

    def pause(self) -> bytes:
        """
        What a response that is not buffered has so far, or one that was cut.
        """
        if not self._flushes and self._ending == 0:
            return b""
        return self._flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """
        The end, with length and check sum.
        """
        out = self._flush(zlib.Z_FINISH)
        self._pack = None
        self._reply.notes[Gzip] = (self._taken, self._given)
        return out

    def _flush(self, mode: int) -> bytes:
        if self._pack is None:
            self._pack = zlib.compressobj(*self._values)
        out: bytes = self._pack.flush(mode)
        self._given += len(out)
        out, self._buffer = self._buffer + out, b""
        return out

    def stop(self) -> None:
        """
        Forget what waits, and the memory for it.
        """
        super().stop()
        self._pack = None


def gzipRatio(request: Any) -> bytes | None:
    """
    C{$gzip_ratio}: how much smaller a response has become.
    """
    taken, given = request.notes.get(Gzip, (0, 0))
    if not given:
        return None
    # A hundredth is rounded by its next digit only.
    ratio = taken * 1000 // given
    ratio = ratio // 10 + (ratio % 10 > 4)
    return b"%d.%02d" % divmod(ratio, 100)


_STATUSES = frozenset((200, 403, 404))
_ENCODING = re.compile(rb"\r\ncontent-encoding: *[^ \r]", re.I)


class _Factory:
    """
    C{gzip} of one place.
    """

    __slots__ = ("_accepts", "_buffers", "_matches", "_options", "_vary")

    def __init__(self, block: Block, build: Any) -> None:
        options = self._options = block.of(GzipOptions)
        self._accepts = compileAccepts(block, build)
        self._vary = block.of(GzipAcceptOptions).vary
        self._matches = compileTypes(options.types)
        self._buffers = options.buffers

    def _suits(self, head: ResponseHead) -> bool:
        length = head.contentLength
        return (
            head.status in _STATUSES
            and (length is None or length >= self._options.minLength)
            and self._matches(head.contentType)
            and _ENCODING.search(head.fields) is None
        )

    def applies(self, request: Any, head: ResponseHead) -> bool:
        """
        Will that response be compressed?
        """
        return self._suits(head) and self._accepts(request, head)

    def begin(self, request: Any, head: ResponseHead) -> Gzip | None:
        """
        Edit the head, and compress the body if so.
        """
        if not self._suits(head):
            return None
        accepted = self._accepts(request, head)
        if self._vary:
            addVary(head)
        if not accepted:
            return None
        options, length = self._options, head.contentLength
        bits, hash = options.window, options.hash
        if length:
            # The window need not be larger than the body, but zlib's loses 262 bytes.
            while length < (1 << (bits - 1)) - 262:
                bits -= 1
                hash -= 1
        editChanged(head)
        head.fields += b"\r\nContent-Encoding: gzip"
        count, least = self._buffers
        return Gzip(request, count * least, least, options.level, bits, max(hash, 1))


def compileGzip(block: Block, build: Any) -> _Factory | None:
    """
    Compile C{gzip} of one place; C{None} when it is off.
    """
    return _Factory(block, build) if block.of(GzipOptions).gzip else None
