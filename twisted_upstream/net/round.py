"""
Small writes of one reactor round leave together, at its end.

A C{send} that wakes the process at the other end of a connection costs an interrupt of
another processor, which may be as much as all else that is done for a small request.
Of sends in a row only the first does: by the time of the others that process is awake.
So while a round has several events to serve, small writes wait until these are served,
or until there are enough of them.  A round with one event has nothing to wait for.
"""

from __future__ import annotations

from typing import Protocol

#: Most connections whose writes wait for each other.
MOST = 32


class Sender(Protocol):
    """
    Who keeps a small write for the end of the round.
    """

    def sendTogether(self) -> None:
        """
        Send it now.
        """


class Round:
    """
    What waits for the end of the round.

    @ivar waiting: who has something to send, in order; C{None}: nobody may wait now.
    """

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: list[Sender] | None = None

    def begin(self) -> None:
        """
        Several events are to be served.
        """
        self.waiting = []

    def flush(self) -> None:
        """
        Enough: send what waits; the round goes on.
        """
        waiting, self.waiting = self.waiting, []
        for sender in waiting or ():
            sender.sendTogether()

    def end(self) -> None:
        """
        All events are served.
        """
        waiting, self.waiting = self.waiting, None
        for sender in waiting or ():
            sender.sendTogether()


#: That of this process's reactor.
ROUND = Round()
