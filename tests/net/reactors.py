"""
Reactors for the tests: one that only records, and the real ones without installing.
"""

from __future__ import annotations

import time
from asyncio import new_event_loop
from collections.abc import Callable
from typing import Any

from twisted.internet import asyncioreactor, epollreactor, pollreactor, task
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor, IWriteDescriptor
from zope.interface import implementer

from twisted_upstream.net.reactor import LeanEPollReactor


@implementer(IReactorFDSet)
class RecordingReactor(task.Clock):
    """
    A clock that remembers who wants to read and write; tests make the calls.

    @ivar changes: how often it was told anything.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.changes = 0

    def addReader(self, reader: IReadDescriptor) -> None:
        """
        Part of L{IReactorFDSet}, like those that follow.
        """
        self.changes += 1
        self.readers.add(reader)

    def addWriter(self, writer: IWriteDescriptor) -> None:
        self.changes += 1
        self.writers.add(writer)

    def removeReader(self, reader: IReadDescriptor) -> None:
        self.changes += 1
        self.readers.discard(reader)

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        self.changes += 1
        self.writers.discard(writer)

    def removeAll(self) -> list[IReadDescriptor | IWriteDescriptor]:
        everybody = list(self.readers | self.writers)
        self.readers.clear()
        self.writers.clear()
        return everybody

    def getReaders(self) -> list[IReadDescriptor]:
        return list(self.readers)

    def getWriters(self) -> list[IWriteDescriptor]:
        return list(self.writers)

    def turn(self) -> None:
        """
        The delayed calls that are due.
        """
        self.advance(0)


class RealReactors:
    """
    Mixed into a test case with one method per behaviour: runs it on one real reactor.
    """

    reactor: Any

    def makeReactor(self) -> Any:
        """
        Overridden per kind of reactor.
        """
        raise NotImplementedError()

    def setUp(self) -> None:
        self.reactor = self.makeReactor()

    def tearDown(self) -> None:
        reactor = self.reactor
        reactor.disconnectAll()
        for internal in list(reactor._internalReaders):
            reactor.removeReader(internal)
            internal.connectionLost(None)
        poller = getattr(reactor, "_poller", None)
        close = getattr(poller, "close", None)
        if close is not None:
            close()
        loop = getattr(reactor, "_asyncioEventloop", None)
        if loop is not None:
            loop.close()

    def spin(self, until: Callable[[], object]) -> None:
        """
        Run the reactor until something is true, five seconds at most.
        """
        end = time.monotonic() + 5
        while not until():
            if time.monotonic() > end:
                raise AssertionError("nothing happens any more")
            self.reactor.iterate(0.01)


class OnEPoll(RealReactors):
    """
    On epoll(7).
    """

    def makeReactor(self) -> Any:
        return epollreactor.EPollReactor()


class OnLeanEPoll(RealReactors):
    """
    On our own epoll(7) reactor.
    """

    def makeReactor(self) -> Any:
        return LeanEPollReactor()


class OnPoll(RealReactors):
    """
    On poll(2).
    """

    def makeReactor(self) -> Any:
        return pollreactor.PollReactor()


class OnAsyncio(RealReactors):
    """
    On asyncio's event loop.
    """

    def makeReactor(self) -> Any:
        return asyncioreactor.AsyncioSelectorReactor(new_event_loop())
