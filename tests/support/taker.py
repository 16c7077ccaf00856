"""
The reply at the end of the filters of a response.
"""

from __future__ import annotations

from typing import Any


class Taker:
    """
    Takes what comes, and only as much at a time as it wants.
    """

    flushes = False

    def __init__(self, room: bool = True) -> None:
        self.out: list[bytes] = []
        self.ended = self.cut = False
        self.room = room
        self.callback: Any = None
        self.logged: list[str] = []
        self.notes: dict[Any, Any] = {}

    def canPut(self, most: int) -> bool:
        """
        Is there room?
        """
        return self.room or not self.out

    def whenPut(self, callback: Any) -> None:
        """
        Remember who waits.
        """
        self.callback = callback

    def sendFirst(self, head: bytes, body: bytes, complete: bool) -> None:
        """
        Take the head and the first of the body together.
        """
        self.out.append(head + body)
        self.ended = complete

    def putBody(self, data: bytes) -> None:
        """
        Take it.
        """
        self.out.append(data)

    def putEnd(self) -> None:
        """
        That was all.
        """
        self.ended = True

    def logError(self, level: str, message: str) -> None:
        """
        Remember it.
        """
        self.logged.append(message)

    def putCut(self) -> None:
        """
        That will not be completed.
        """
        self.cut = True
