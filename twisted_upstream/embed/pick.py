"""
The peer only, without connecting: for programs with connections of their own.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError

from ..balance.peer import Outcome
from ..upstream.asker import Asker
from .arguments import ArgumentError

if TYPE_CHECKING:
    from ..balance.peer import Peer
    from ..interfaces import IPeerGetter


def chooser(
    key: bytes | str | None = None, address: bytes | str | None = None
) -> Asker:
    """
    Who wants a peer.

    @param key: for methods that hash.
    @param address: of whose behalf it is: text, or 4 or 16 bytes.
    @raise ArgumentError: one is neither.
    """
    client = Asker(b"", b"", b"", None)
    if isinstance(key, str):
        client.key = key.encode("utf-8", "surrogateescape")
    elif key is None or isinstance(key, bytes):
        client.key = key
    else:
        raise ArgumentError(f"key: neither bytes nor text: {key!r}")
    if isinstance(address, str):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            client.address = socket.inet_pton(family, address)
        except OSError:
            raise ArgumentError(f"address: no IP address: {address!r}") from None
    elif address is not None:
        if not isinstance(address, bytes) or len(address) not in (4, 16):
            raise ArgumentError(f"address: neither 4 nor 16 bytes: {address!r}")
        client.address = address
    return client


class Pick:
    """
    A peer that was chosen.  It counts as busy until L{succeeded} or L{failed} is
    called, of which only the first call counts; as a context manager it does that
    itself: a block that raises an C{Exception}, other than being cancelled, has
    failed.

    @ivar host: its address, or the path of its socket.
    @ivar port: its port; C{None}: it is a unix socket.
    @ivar name: both, as logs say it.
    @ivar server: the text of its C{server} line.
    """

    __slots__ = ("_begun", "_getter", "_peer", "_seconds", "host", "name", "port")

    def __init__(
        self, getter: IPeerGetter, peer: Peer, seconds: Callable[[], float]
    ) -> None:
        self._getter: IPeerGetter | None = getter
        self._peer = peer
        self._seconds = seconds
        self._begun = seconds()
        sockaddr = peer.sockaddr
        self.host: str = sockaddr if isinstance(sockaddr, str) else sockaddr[0]
        self.port: int | None = None if isinstance(sockaddr, str) else sockaddr[1]
        self.name = peer.name

    def __repr__(self) -> str:
        return f"<Pick {self.name}>"

    @property
    def server(self) -> str:
        """
        The text of its C{server} line.
        """
        return self._peer.server

    def succeeded(self) -> None:
        """
        The peer has done what was wanted.
        """
        getter = self._getter
        if getter is not None:
            elapsed = self._seconds() - self._begun
            getter.notifyPeer(self._peer, "header", elapsed)
            self._free(Outcome.OK)

    def failed(self) -> None:
        """
        The peer has failed.
        """
        self._free(Outcome.FAILED)

    def _free(self, outcome: int) -> None:
        getter, self._getter = self._getter, None
        if getter is not None:
            getter.freePeer(self._peer, outcome)

    def __enter__(self) -> Pick:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.succeeded()
        elif isinstance(error, Exception) and not isinstance(error, CancelledError):
            self.failed()
        else:
            # It is us who have stopped.
            self._free(Outcome.OK)
