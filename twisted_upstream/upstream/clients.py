"""
Who is served at one listening address, and word of the last one's end: what the
factories of http and stream have in common.

nginx: C{ngx_shutdown_timer_handler()}, C{ngx_worker_process_cycle()}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IProtocol, IProtocolFactory
from zope.interface import implementer

from .served import Served


def noTime() -> None:
    """
    What a client's deadline does that nobody has set.
    """


class Clients:
    """
    The clients of one listening address.

    @ivar served: what all addresses of a configuration share.
    @ivar clients: those that are open; whoever opens one adds it.
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        self.clients: set[Any] = set()
        self._emptied: Callable[[], None] | None = None

    def clientGone(self, client: object) -> None:
        """
        One client less.
        """
        self.clients.discard(client)
        if not self.clients and self._emptied is not None:
            emptied, self._emptied = self._emptied, None
            emptied()

    def drain(self, emptied: Callable[[], None]) -> None:
        """
        Call C{emptied}, once, when there is no client any more: as they like, nobody
        hurries them.
        """
        if self.clients:
            self._emptied = emptied
        else:
            emptied()

    def stop(self) -> None:
        """
        End all at once; they are told if it is for taking too long.
        """
        message = "" if self._emptied is None else "shutdown timeout"
        for client in list(self.clients):
            client.abort(message)


@implementer(IProtocolFactory)
class ClientFactory(Clients):
    """
    The same where clients connect.
    """

    noisy = False

    def doStart(self) -> None:
        """
        Part of C{IProtocolFactory}: nothing to start.
        """

    def doStop(self) -> None:
        """
        Part of C{IProtocolFactory}: nothing to stop.
        """

    def buildProtocol(self, addr: Any = None) -> IProtocol | None:
        """
        The protocol for a new connection.
        """
        raise NotImplementedError
