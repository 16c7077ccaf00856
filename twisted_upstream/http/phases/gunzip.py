"""
C{gunzip}: responses that are compressed reach clients that cannot read that plain.

What comes in is taken apart step by step, as the client takes what comes out: a small
response that grows without end costs no memory.

nginx: C{ngx_http_gunzip_filter_module.c}
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config.directive import HTTP_ANY, directive, flag
from ..filters import BodyFilter, BrokenBody
from .gzip import buffers
from .gzip_accept import GzipAcceptOptions, addVary, compileAccepts, editChanged

if TYPE_CHECKING:
    from ...config.build import Block
    from ...wire.head import ResponseHead


@dataclass(frozen=True, kw_only=True, slots=True)
class GunzipOptions:
    """
    Unpacking of responses.
    """

    gunzip: bool = directive(
        "gunzip",
        HTTP_ANY,
        flag,
        default=False,
        doc="Unpack responses with Content-Encoding: gzip for clients that do not"
        " accept that.",
    )
    buffers: tuple[int, int] = directive(
        "gunzip_buffers",
        HTTP_ANY,
        buffers,
        arity=(2, 2),
        default=(32, 4096),
        unit="bytes",
        doc="Number and size of the buffers of what is unpacked: their sum is"
        " unpacked ahead of the client.",
    )


_ENCODING = re.compile(rb"\r\ncontent-encoding: *gzip *(?=\r|\Z)", re.I)


class Gunzip(BodyFilter):
    """
    One response that is unpacked on its way.
    """

    __slots__ = ("_inflate",)

    def __init__(self, reply: Any, most: int) -> None:
        """
        @param most: bytes that may wait for the client.
        """
        super().__init__(reply, most)
        self._inflate = zlib.decompressobj(wbits=31)

    def step(self, data: bytes) -> bytes:
        """
        Unpack some, up to what may wait.
        """
        inflate = self._inflate
        if inflate.eof and data:
            # One compressed file after another is one, too.
            inflate = self._inflate = zlib.decompressobj(wbits=31)
        try:
            out = inflate.decompress(data, self._most)
        except zlib.error:
            raise BrokenBody("inflate() failed: 0, -3") from None
        rest = inflate.unconsumed_tail or inflate.unused_data
        if rest:
            self.putBack(rest)
        elif len(out) == self._most and not inflate.eof:
            # There may be more that needs no more input.
            self.putBack(b"")
        return out

    def finish(self) -> bytes:
        """
        There is nothing left, if it was whole.
        """
        if not self._inflate.eof:
            raise BrokenBody("inflate() returned -5 on response end")
        return b""


class _Factory:
    """
    C{gunzip} of one place.
    """

    __slots__ = ("_accepts", "_most", "_vary")

    def __init__(self, block: Block, build: Any) -> None:
        count, each = block.of(GunzipOptions).buffers
        self._most = count * each
        self._accepts = compileAccepts(block, build)
        self._vary = block.of(GzipAcceptOptions).vary

    def applies(self, request: Any, head: ResponseHead) -> bool:
        """
        Will that response be unpacked?
        """
        return _ENCODING.search(head.fields) is not None and not self._accepts(
            request, head
        )

    def begin(self, request: Any, head: ResponseHead) -> Gunzip | None:
        """
        Edit the head, and unpack the body if so.
        """
        fields, found = _ENCODING.subn(b"", head.fields)
        if not found:
            return None
        accepted = self._accepts(request, head)
        if not accepted:
            head.fields = fields
            editChanged(head)
        if self._vary:
            addVary(head)
        return None if accepted else Gunzip(request, self._most)


def compileGunzip(block: Block, build: Any) -> _Factory | None:
    """
    Compile C{gunzip} of one place; C{None} when it is off.
    """
    return _Factory(block, build) if block.of(GunzipOptions).gunzip else None
