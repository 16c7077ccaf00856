"""
Twisted's epoll reactor with a shorter way from an event to its descriptor.

Twisted runs each event in a logging context of its own: eight calls, about 2.5 µs, that
nothing of ours needs.  Here what is only readable is read at once; every other event
goes Twisted's way.  Small writes leave together
(L{twisted_upstream.net.round}).
"""

from __future__ import annotations

import errno
import select
import sys
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.python import log

from .round import ROUND

_READABLE = select.EPOLLIN


class LeanEPollReactor(EPollReactor):
    """
    An epoll reactor for many small events.
    """

    def doPoll(self, timeout: float | None) -> None:
        """
        Wait for events and serve them.

        @param timeout: seconds to wait; C{None}: for ever.
        """
        try:
            events = self._poller.poll(
                -1 if timeout is None else timeout, len(self._selectables)
            )
        except OSError as error:
            if error.errno == errno.EINTR:
                return
            raise
        if len(events) > 1:
            ROUND.begin()
        try:
            self._serve(events)
        finally:
            if ROUND.waiting is not None:
                ROUND.end()

    def _serve(self, events: list[tuple[int, int]]) -> None:
        """
        Let each event's descriptor read or write.
        """
        selectables: dict[int, Any] = self._selectables
        for fd, event in events:
            selectable = selectables.get(fd)
            if selectable is None:
                continue
            if event != _READABLE:
                log.callWithLogger(
                    selectable, self._doReadOrWrite, selectable, fd, event
                )
                continue
            try:
                why = selectable.doRead()
            except BaseException:
                why = sys.exc_info()[1]
                log.err()
            if why:
                self._disconnectSelectable(selectable, why, True)

    def replaceReader(self, fd: int, reader: Any) -> None:
        """
        Let C{reader} read from now on what another one did: it has taken C{fd} over,
        and the kernel need not be told.
        """
        self._selectables[fd] = reader

    doIteration = doPoll


def install() -> None:
    """
    Make it the reactor of this process.
    """
    installReactor(LeanEPollReactor())
