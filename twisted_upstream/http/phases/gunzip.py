"""
C{gunzip}: responses that are compressed reach clients that cannot read that plain.

What comes in is taken apart step by step, as the client takes what comes out: a small
response that grows without end costs no memory.

nginx: C{ngx_http_gunzip_filter_module.c}, C{ngx_http_gzip_ok()}
"""

from __future__ import annotations

import os
import re
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config.build import Block
from ...config.directive import HTTP_ANY, directive, flag
from ...config.syntax import Node
from ...config.values import parseNumber, parseSize
from ...wire.fields import firstValue

if TYPE_CHECKING:
    from ...wire.head import ResponseHead


def _buffers(node: Node) -> tuple[int, int]:
    count = parseNumber(node.words[0])
    if count == 0:
        raise ValueError("invalid value")
    return count, parseSize(node.words[1])


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
        _buffers,
        arity=(2, 2),
        default=(32, 4096),
        unit="bytes",
        doc="Number and size of the buffers of what is unpacked: their sum is"
        " unpacked ahead of the client.",
    )


_ENCODING = re.compile(rb"\r\ncontent-encoding: *gzip *(?=\r|\Z)", re.I)
_RANGES = re.compile(rb"\r\naccept-ranges:[^\r]*", re.I)
_ETAG = re.compile(rb'(\r\netag: *)(?=")', re.I)
_NO_ETAG = re.compile(rb'\r\netag: *(?![ "]|W/)[^\r]*', re.I)

_ACCEPTED = re.compile(
    rb"(?:^|[, ])gzip(?:(?=[, ])|; *q=([01](?:\.\d{0,3})?)(?=[, ]|$)|(?:; *)?$)", re.I
)


def acceptsGzip(request: Any) -> bool:
    """
    May the response to this request be compressed?  Not by proxies, nor HTTP/1.0.
    """
    fields = request.head.fields
    value = firstValue(fields, b"accept-encoding")
    if value is None or request.version < 11:
        return False
    found = _ACCEPTED.search(value)
    if found is None or (found[1] is not None and not 0 < float(found[1]) <= 1):
        return False
    return firstValue(fields, b"via") is None


class Gunzip:
    """
    One response that is unpacked on its way.

    @ivar waiting: is there something that was not unpacked yet?
    @ivar drained: called once when there is nothing any more.
    """

    __slots__ = (
        "_ended",
        "_inflate",
        "_most",
        "_parts",
        "_reply",
        "drained",
        "waiting",
    )

    def __init__(self, reply: Any, most: int) -> None:
        """
        @param reply: takes what comes out: C{putBody}, C{putEnd}; tells when it took
            that.
        @param most: bytes that may wait for the client.
        """
        self._reply: Any = reply
        self._most = most
        self._inflate = zlib.decompressobj(wbits=31)
        self._parts: deque[bytes | tuple[int, int, int]] = deque()
        self._ended = False
        self.waiting = False
        self.drained: Callable[[], None] | None = None

    def add(self, data: bytes) -> None:
        """
        More of the compressed body.
        """
        self._parts.append(data)
        self._begin()

    def addRegion(self, fd: int, offset: int, count: int) -> None:
        """
        More of it, from a file.
        """
        self._parts.append((fd, offset, count))
        self._begin()

    def end(self) -> None:
        """
        It is complete.
        """
        self._ended = True
        self._begin()

    def stop(self) -> None:
        """
        Forget what waits.
        """
        self._reply = None
        self._parts.clear()
        self.waiting = False
        self.drained = None

    def _begin(self) -> None:
        if not self.waiting and self._reply is not None:
            self.waiting = True
            self._go()

    def _go(self) -> None:
        """
        Unpack until the client has enough, or nothing is left.
        """
        reply = self._reply
        parts = self._parts
        while self.waiting and parts:
            if not reply.canPut(self._most):
                reply.whenPut(self._go)
                return
            try:
                out = self._step(self._next())
            except zlib.error:
                self._broken("inflate() failed: 0, -3")
                return
            except OSError as e:
                self._broken(f"pread() failed ({e.errno}: {e.strerror})")
                return
            if out:
                reply.putBody(out)
        if not self.waiting:
            return
        self.waiting = False
        if self._ended:
            if self._inflate.eof:
                reply.putEnd()
            else:
                self._broken("inflate() returned -5 on response end")
            return
        drained, self.drained = self.drained, None
        if drained is not None:
            drained()

    def _next(self) -> bytes:
        part = self._parts.popleft()
        if isinstance(part, bytes):
            return part
        fd, offset, count = part
        data = os.pread(fd, min(count, self._most), offset)
        if data and len(data) < count:
            self._parts.appendleft((fd, offset + len(data), count - len(data)))
        return data

    def _step(self, data: bytes) -> bytes:
        inflate = self._inflate
        if inflate.eof and data:
            # One compressed file after another is one, too.
            inflate = self._inflate = zlib.decompressobj(wbits=31)
        out = inflate.decompress(data, self._most)
        rest = inflate.unconsumed_tail or inflate.unused_data
        if rest:
            self._parts.appendleft(rest)
        elif len(out) == self._most and not inflate.eof:
            # There may be more that needs no more input.
            self._parts.appendleft(b"")
        return out

    def _broken(self, message: str) -> None:
        reply = self._reply
        self.stop()
        reply.logError("error", message)
        reply.cutResponse()


def compileGunzip(block: Block) -> Callable[[Any, ResponseHead], Gunzip | None] | None:
    """
    Compile C{gunzip} of one place.

    @return: takes request and head; where the response is to be unpacked, the head is
        edited.
    """
    options = block.of(GunzipOptions)
    if not options.gunzip:
        return None
    count, each = options.buffers
    most = count * each

    def gunzip(request: Any, head: ResponseHead) -> Gunzip | None:
        fields, found = _ENCODING.subn(b"", head.fields)
        if not found or acceptsGzip(request):
            return None
        head.contentLength = None
        head.fields = _NO_ETAG.sub(b"", _ETAG.sub(rb"\1W/", _RANGES.sub(b"", fields)))
        return Gunzip(request, most)

    return gunzip
