"""
Bodies of requests: what a C{IBodyProducer} makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.web.iweb import IBodyProducer

    from ..upstream.request import UpstreamRequest


class WrongLength(Exception):
    """
    A producer has made more or less than it said.
    """


@implementer(IConsumer)
class ProducedBody:
    """
    A body that is being produced.

    It is sent as it comes, or collected before if it is short: only then can it be sent
    to another server.

    @ivar complete: is all of it there?
    @ivar size: bytes that it has, if that is known; else what has come so far.
    @ivar parts: what was collected.
    """

    __slots__ = (
        "_count",
        "_failed",
        "_finished",
        "_isStarted",
        "_length",
        "_producer",
        "_receiver",
        "complete",
        "parts",
        "size",
    )

    file = None

    def __init__(
        self, producer: IBodyProducer, failed: Callable[[Failure], None]
    ) -> None:
        """
        @param failed: told that the body could not be produced.
        """
        length: Any = producer.length
        self._producer: Any = producer
        self._length: int | None = length if isinstance(length, int) else None
        self._failed = failed
        self._receiver: UpstreamRequest | None = None
        self._finished: Callable[[], None] | None = None
        self._isStarted = False
        self._count = 0
        self.complete = False
        self.size = self._length or 0
        self.parts: list[bytes] = []

    @property
    def length(self) -> int | None:
        """
        How long it says that it will be.
        """
        return self._length

    def collect(self, finished: Callable[[], None]) -> None:
        """
        Produce all of it now.

        @param finished: called when it is there.
        """
        self._finished = finished
        self._start()

    def stream(self, receiver: UpstreamRequest) -> bytes:
        """
        Pass to C{receiver} what is produced.

        @return: what is there at once.
        """
        if not self._isStarted:
            self._start()
        early = b"".join(self.parts)
        self.parts = []
        self._receiver = receiver
        return early

    def _start(self) -> None:
        self._isStarted = True
        try:
            done: Deferred[None] = self._producer.startProducing(self)
        except Exception:
            self._broken(Failure())
            return
        done.addCallbacks(self._produced, self._broken)

    def _produced(self, result: object) -> None:
        if self._producer is None:
            return
        if self._length is not None and self._count != self._length:
            self._broken(Failure(WrongLength(self._count, self._length)))
            return
        self._producer = None
        self.complete = True
        self.size = self._count
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.bodyReceived(b"", True)
        elif self._finished is not None:
            self._finished()

    def _broken(self, reason: Failure) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._failed(reason)

    def write(self, data: bytes) -> None:
        """
        The producer has made this.
        """
        if self._producer is None:
            return
        self._count += len(data)
        if self._length is not None and self._count > self._length:
            self.stop()
            self._failed(Failure(WrongLength(self._count, self._length)))
        elif self._receiver is None:
            self.parts.append(data)
        elif data:
            self._receiver.bodyReceived(data, False)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Part of C{IConsumer}, as the next one: the producer is known.
        """

    def unregisterProducer(self) -> None:
        return None

    def pause(self) -> None:
        """
        The receiver has too much for now.
        """
        if self._producer is not None and self._isStarted:
            self._producer.pauseProducing()

    def resume(self) -> None:
        """
        The receiver can take more.
        """
        if self._producer is not None and self._isStarted:
            self._producer.resumeProducing()

    def stop(self) -> None:
        """
        Nobody wants it any more.
        """
        producer, self._producer = self._producer, None
        self._receiver = None
        if producer is not None and self._isStarted:
            producer.stopProducing()
