"""
A connection whose input comes through a pipe for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..net.transport import MOST_READ_SIZE, SocketTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..net.splice import Pipe

#: A packet of this size is bulk: reads grow to it by being full, one after the other,
#: so a quarter of a MiB came without a pause.
BULK = MOST_READ_SIZE // 2


def canPipe(*transports: Any) -> bool:
    """
    Are these all plain TCP, which a pipe can read and write?
    """
    return all(type(each) is SocketTransport and each.joins for each in transports)


class PipedInput:
    """
    Input through a pipe, until L{leave}.
    """

    __slots__ = ("_connection", "_copied", "_pipe")

    def __init__(
        self, connection: Any, pipe: Pipe, received: Callable[[Any], None]
    ) -> None:
        """
        @param connection: whose C{transport} L{canPipe}; its C{dataReceived} is taken
            over.
        @param pipe: empty, and held for us.
        @param received: told each time that C{pipe} holds something.
        """
        self._connection = connection
        self._copied = connection.dataReceived
        self._pipe = pipe
        connection.transport.receiveInto(pipe)
        connection.dataReceived = received

    def leave(self) -> None:
        """
        Let bytes come as bytes again.  Once.
        """
        connection = self._connection
        connection.transport.receiveInto(None)
        connection.dataReceived = self._copied
        self._pipe.release()
