"""
Servers that were chosen for somebody else's connections, until it is known how those
went.

nginx: no source.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ..balance.peer import Outcome, Peer
from ..interfaces import IKept

if TYPE_CHECKING:
    from ..interfaces import IPeerGetter
    from ..net.deadline import Deadline, Deadlines

#: Random bytes of a token: nobody guesses one.
_TOKEN_BYTES = 18


class _Pick:
    """
    One server that was chosen.

    @ivar begun: when, in seconds.
    @ivar due: when nobody will tell any more.
    @ivar lost: called when that is so.
    """

    __slots__ = ("begun", "deadline", "due", "getter", "lost", "peer")

    deadline: Deadline

    def __init__(
        self,
        getter: IPeerGetter,
        peer: Peer,
        begun: float,
        due: float,
        lost: Callable[[], None],
    ) -> None:
        self.getter = getter
        self.peer = peer
        self.begun = begun
        self.due = due
        self.lost = lost


@implementer(IKept)
class Picks:
    """
    The picks of one group whose outcome nobody has told yet.

    @ivar waiting: how many more are wanted, and wait for a server.
    """

    __slots__ = ("_deadlines", "_picks", "_seconds", "_successor", "waiting")

    def __init__(self, deadlines: Deadlines, seconds: Callable[[], float]) -> None:
        self.waiting = 0
        self._deadlines = deadlines
        self._seconds = seconds
        self._picks: dict[bytes, _Pick] = {}
        self._successor: Picks | None = None

    @property
    def size(self) -> int:
        """
        How many there are, those that wait included.
        """
        return len(self._picks) + self.waiting

    def add(
        self,
        getter: IPeerGetter,
        peer: Peer,
        timeout: float,
        lost: Callable[[], None],
    ) -> bytes:
        """
        C{peer} was chosen.

        @param timeout: seconds after which it is freed anyway.
        @param lost: told of that.
        @return: what the outcome is told by.
        """
        if self._successor is not None:
            return self._successor.add(getter, peer, timeout, lost)
        now = self._seconds()
        token = token_urlsafe(_TOKEN_BYTES).encode()
        self._keep(token, _Pick(getter, peer, now, now + timeout, lost))
        return token

    def _keep(self, token: bytes, pick: _Pick) -> None:
        self._picks[token] = pick
        pick.deadline = self._deadlines.new(partial(self._expired, token))
        pick.deadline.set(max(0.0, pick.due - self._seconds()))

    def report(self, token: bytes, failed: bool, elapsed: float | None) -> bool:
        """
        The outcome of a pick.

        @param elapsed: seconds until the server answered; C{None}: until now.
        @return: C{False}: there is no such pick (any more).
        """
        if self._successor is not None:
            return self._successor.report(token, failed, elapsed)
        pick = self._picks.pop(token, None)
        if pick is None:
            return False
        pick.deadline.drop()
        if failed:
            pick.getter.freePeer(pick.peer, Outcome.FAILED)
            return True
        if elapsed is None:
            elapsed = self._seconds() - pick.begun
        pick.getter.notifyPeer(pick.peer, "header", elapsed)
        pick.getter.freePeer(pick.peer, Outcome.OK)
        return True

    def _expired(self, token: bytes) -> None:
        pick = self._picks.pop(token)
        pick.deadline.drop()
        # Whoever has it may be dead; that says nothing of the server.
        pick.getter.freePeer(pick.peer, Outcome.NEXT)
        pick.lost()

    def adopt(self, previous: Any) -> None:
        """
        After a reload outcomes are told here; the servers are those of before.
        """
        previous._successor = self
        taken, previous._picks = previous._picks, {}
        for token, pick in taken.items():
            pick.deadline.drop()
            self._keep(token, pick)

    def close(self) -> None:
        """
        Nobody will tell any more.
        """
        picks, self._picks = self._picks, {}
        for pick in picks.values():
            pick.deadline.drop()
            pick.getter.freePeer(pick.peer, Outcome.NEXT)
