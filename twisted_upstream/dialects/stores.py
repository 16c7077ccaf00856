"""
What the dialects have in common that ask a store for one value by its key: memcached,
Redis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..config.build import Block
from ..config.directive import Where
from ..config.values import Template
from ..interfaces import IInputFilter
from ..plugins import Exchange
from ..upstream.options import PassOptions, nextUpstreamDirective, passDirective
from ..upstream.retry import MEMCACHED_WORDS
from ..wire.body import Length, Trailed
from ..wire.head import ResponseHead


@dataclass(frozen=True, kw_only=True, slots=True)
class ValuePassOptions(PassOptions):
    """
    Options of dialects that ask a store for one value by its key: memcached, Redis.
    There are no fields to look at, nothing but the key is sent, and the value is passed
    as it comes.
    """

    target: Template | None = passDirective(Where.LOCATION | Where.IF)
    nextUpstream: tuple[int, ...] = nextUpstreamDirective(MEMCACHED_WORDS)
    hidden: tuple[bytes, ...] = ()
    intercept404: bool = True
    interceptErrors: bool = True
    forceRanges: bool = True
    buffering: bool = False
    requestBuffering: bool = True
    ignoreClientAbort: bool = False
    buffers: tuple[int, int] = (0, 0)
    busyBuffersSize: int = 0
    maxTempFileSize: int = 0
    tempFileWriteSize: int = 0
    tempPath: tuple[str, ...] = ()
    socketReceiveBuffer: int = 0
    socketSendBuffer: int = 0
    sendLowat: int = 0
    limitRate: Template | None = None
    ignoreHeaders: frozenset[bytes] = frozenset()
    hideHeaders: tuple[bytes, ...] = ()
    passHeaders: tuple[bytes, ...] = ()
    passRequestBody: bool = False
    passRequestHeaders: bool = False

    def merged(self, block: Block) -> PassOptions:
        """
        There are no sizes to check.
        """
        return self


class ValueExchange(Exchange):
    """
    One value.

    @cvar end: what follows every value.
    """

    excessLevel = "error"
    end: bytes

    def __init__(self, options: Any, client: Any) -> None:
        self.options: Any = options
        self.client: Any = client

    def inputFilterInit(self, head: ResponseHead) -> IInputFilter:
        """
        The value, and what follows it.
        """
        if head.status == 404:
            self.reusable = True
            return Length(0)
        if self.client.method == b"HEAD":
            # The value is on its way; to close is cheaper than to read it.
            return Length(0)
        self.reusable = True
        assert head.contentLength is not None
        return Trailed(head.contentLength, self.end)
