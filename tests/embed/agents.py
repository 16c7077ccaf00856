"""
An agent whose servers tests play, who takes its responses, and who makes bodies.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.iweb import (
    UNKNOWN_LENGTH,
    IBodyProducer,
)
from zope.interface import implementer

from tests.embed.memory import MemoryCase
from twisted_upstream.embed import (
    Upstream,
)


class Taker(Protocol):
    """
    Takes a body.

    @ivar data: what has come.
    @ivar reason: why no more comes.
    """

    def __init__(self, pause: bool = False) -> None:
        self.data = b""
        self.reason: Any = None
        self._pause = pause

    def connectionMade(self) -> None:
        """
        It begins.
        """
        if self._pause:
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """
        More.
        """
        assert self.reason is None
        self.data += data

    def connectionLost(self, reason: Failure = None) -> None:  # type: ignore[assignment]
        """
        The end.
        """
        assert self.reason is None
        self.reason = reason.value


@implementer(IBodyProducer)
class Producer:
    """
    A body that the test makes.
    """

    def __init__(self, length: Any = UNKNOWN_LENGTH) -> None:
        self.length = length
        self.done: Deferred[None] = Deferred()
        self.said: list[str] = []

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """
        The test has the consumer now.
        """
        self.consumer = consumer
        self.said.append("start")
        return self.done

    def pauseProducing(self) -> None:
        """
        Noted, as all that follow.
        """
        self.said.append("pause")

    def resumeProducing(self) -> None:
        self.said.append("resume")

    def stopProducing(self) -> None:
        self.said.append("stop")


class AgentCase(MemoryCase):
    """
    An agent in memory.
    """

    def begin(self, *servers: str, **options: Any) -> Upstream:
        """
        A group and its agent.
        """
        self.upstream = self.make(*servers)
        self.agent = self.upstream.agent(**options)
        return self.upstream

    def get(self, uri: bytes = b"http://api/x", **more: Any) -> Deferred[Any]:
        """
        Ask.
        """
        return self.agent.request(b"GET", uri, **more)

    def fails(self) -> list[int]:
        """
        The failures of each peer; nobody is busy.
        """
        self.assertEqual(self.upstream.status.active, 0)
        return [each.fails for each in self.upstream.status.peers]
