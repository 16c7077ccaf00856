"""
The rest of a large response through a pipe, where nobody looks at it.

A response that has proved to be large and fast moves from the server's socket to the
client's by L{twisted_upstream.net.splice}, for as long as the client keeps up and there
is a pipe's worth left of it.  The end of it comes as bytes again, and with it all that
is to be decided then.

No nginx counterpart: nginx copies what it passes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..net.splice import PIPE_SIZE, PIPES
from ..net.transport import MOST_READ_SIZE, READ_SIZE
from ..wire.body import Length, UntilClose
from .piped import PipedInput, canPipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..interfaces import IInputFilter
    from ..net.splice import Pipe, Pipes
    from .attempt import Attempt
    from .connection import UpstreamProtocol


class BulkBody:
    """
    A body's way through a pipe.
    """

    __slots__ = (
        "_attempt",
        "_client",
        "_connection",
        "_hold",
        "_input",
        "_received",
        "_timeout",
    )

    def __init__(
        self,
        connection: UpstreamProtocol,
        client: Any,
        received: IInputFilter,
        attempt: Attempt,
        timeout: float,
        hold: Callable[[], None],
        pipe: Pipe,
    ) -> None:
        """
        @param timeout: seconds that the server may be silent.
        @param hold: let the server wait for the client.
        @param pipe: empty, and held for us.
        """
        self._connection = connection
        self._client = client
        self._received = received
        self._attempt = attempt
        self._timeout = timeout
        self._hold = hold
        self._input: PipedInput | None = PipedInput(
            connection, pipe, self._pipeReceived
        )
        connection.transport.setReadSize(PIPE_SIZE)

    def _pipeReceived(self, pipe: Pipe) -> None:
        """
        C{pipe} holds more of the body.
        """
        size = len(pipe)
        received = self._received
        self._attempt.responseLength += size
        if received.remaining is not None:
            received.remaining -= size
        self._client.sendPipe(pipe)
        self._connection.deadline.set(self._timeout)
        if size < READ_SIZE or _little(received):
            self.leave()
        if pipe:
            if self._client.connection.transport.pending:
                self._hold()
            else:
                # The client is gone, and what comes is for nobody.
                self.leave()

    def leave(self) -> None:
        """
        Let bytes come as bytes again.
        """
        piped, self._input = self._input, None
        if piped is not None:
            piped.leave()
            self._connection.transport.setReadSize(READ_SIZE, MOST_READ_SIZE)


def _little(received: IInputFilter) -> bool:
    """
    May what is read at once be more than the body?
    """
    return received.remaining is not None and received.remaining < PIPE_SIZE


def enter(
    connection: UpstreamProtocol,
    client: Any,
    received: IInputFilter,
    attempt: Attempt,
    timeout: float,
    hold: Callable[[], None],
    pipes: Pipes = PIPES,
) -> BulkBody | None:
    """
    Let a pipe carry what follows of a body, if nobody has to look at it, both ends can
    and a pipe is free.
    """
    if (
        type(received) not in (Length, UntilClose)
        or _little(received)
        or not canPipe(connection.transport)
        or not client.takesPipes()
    ):
        return None
    pipe = pipes.take()
    if pipe is None:
        return None
    return BulkBody(connection, client, received, attempt, timeout, hold, pipe)
