"""
The transport of a TLS connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..net.sendqueue import SendQueue
from ..net.transport import SocketTransport

if TYPE_CHECKING:
    import socket as sockets

    from twisted.internet.interfaces import IProtocol

    from ..net.sendqueue import FileRegion
    from ..net.sockaddr import Sockaddr
    from ..net.transport import Reactor
    from .socket import TLSSocket


class _CopyingQueue(SendQueue):
    """
    The kernel cannot encrypt: files are read and written.
    """

    __slots__ = ()

    def _sendRegion(self, region: FileRegion) -> bool:
        return self._copyRegion(region)


class TLSTransport(SocketTransport):
    """
    A connected TLS socket.

    @ivar tls: what is known of its TLS.
    """

    __slots__ = ("tls",)

    queueFactory = _CopyingQueue

    def __init__(
        self,
        sock: TLSSocket,
        reactor: Reactor,
        protocol: IProtocol | None = None,
        peerName: Sockaddr | None = None,
    ) -> None:
        super().__init__(cast("sockets.socket", sock), reactor, protocol, peerName)
        self.tls: TLSSocket = sock

    def takePlace(self, reactor: Any) -> None:
        """
        Read instead of who has the socket no more.

        @param reactor: ours, that can do that.
        """
        reactor.replaceReader(self.fileno(), self)
        self._watchedRead = True

    @property
    def truncated(self) -> bool:  # type: ignore[override]
        """
        Did the other side end without saying so?
        """
        return self.tls.truncated

    def _resetOnClose(self) -> None:
        self.tls.silent = True
        super()._resetOnClose()

    def _detach(self) -> None:
        if self._queue is not None or self._error is not None:
            # Half a record cannot be followed by another one.
            self.tls.silent = True
        super()._detach()
