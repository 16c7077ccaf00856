"""
Signals of the operating system, and in which order they are obeyed.

nginx: os/unix/ngx_process.c (ngx_signal_handler)
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

# In the order in which pending ones are obeyed: who must end need not reload first.
OBEYED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGHUP,
    signal.SIGUSR2,
)

MEANING = {
    signal.SIGTERM: ", exiting",
    signal.SIGINT: ", exiting",
    signal.SIGQUIT: ", shutting down",
    signal.SIGUSR1: ", reopening logs",
    signal.SIGHUP: ", reconfiguring",
    signal.SIGUSR2: ", ignoring",
}


class SignalHandlers:
    """
    Operating system signals, given to a function in the main thread.
    """

    def __init__(
        self, signals: Iterable[int], received: Callable[[int], object]
    ) -> None:
        self._received = received
        self._previous: dict[int, Any] = {}
        self._signals = tuple(signals)

    def install(self) -> None:
        """
        Take over.
        """
        for number in self._signals:
            self._previous[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._received(number)
        previous = self._previous.get(number)
        if number == signal.SIGUSR1 and callable(previous):
            # twistd rotates its own log with this signal.
            previous(number, frame)

    def restore(self) -> None:
        """
        Give back.
        """
        while self._previous:
            number, handler = self._previous.popitem()
            signal.signal(number, handler)
