"""
A session over its attempts at servers.

nginx: C{ngx_stream_proxy_module.c}: C{ngx_stream_proxy_connect()},
C{ngx_stream_proxy_next_upstream()}, C{ngx_stream_proxy_finalize()}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zope.interface import implementer

from ..balance.peer import Outcome, Peer
from ..interfaces import IDialWaiter, IPeerGetter
from ..net.dialer import ConnectFailed, ConnectTimedOut
from ..net.sockaddr import sockaddrName
from ..upstream.attempt import Attempt
from ..upstream.retry import IN_A_ROW

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from ..upstream.connection import UpstreamProtocol
    from ..upstream.group import UpstreamGroup
    from .proxy import StreamProxy
    from .session import Session


@implementer(IDialWaiter)
class UpstreamSession:
    """
    One session on its way to a server.  What happens once there is a connection, is the
    subclasses'.

    @ivar began: when it began, in seconds: limits of rates count from here.
    @ivar connection: to the server, once there is one.
    @ivar bytesReceived: bytes that came from servers.
    """

    __slots__ = (
        "_attempt",
        "_getter",
        "_giveUp",
        "_peer",
        "_tried",
        "began",
        "connection",
        "group",
        "proxy",
        "session",
    )

    _getter: IPeerGetter

    def __init__(self, proxy: StreamProxy, session: Session) -> None:
        self.proxy = proxy
        self.session = session
        self.began = proxy.seconds()
        self.connection: UpstreamProtocol | None = None
        self.group: UpstreamGroup | None = None
        self._attempt: Attempt | None = None
        self._peer: Peer | None = None
        self._giveUp: Callable[[], None] | None = None
        self._tried = b""

    # ---- what the two kinds do differently ------------------------------------------

    def connected(self) -> None:
        """
        There is a connection to a server: pass on.
        """
        raise NotImplementedError

    @property
    def bytesReceived(self) -> int:
        """
        Bytes that came from the server.
        """
        connection = self.connection
        return 0 if connection is None else connection.transport.bytesReceived

    @property
    def bytesSent(self) -> int:
        """
        Bytes that went to the server.
        """
        connection = self.connection
        return 0 if connection is None else connection.transport.bytesSent

    # ---- attempts -------------------------------------------------------------------

    def start(self, group: UpstreamGroup) -> None:
        """
        Ask the first server.
        """
        self.group = group
        session = self.session
        session.attempts = []
        getter = self._getter = group.initPeer(session)
        if self.proxy.tries:
            getter.limitTries(self.proxy.tries)
        self._connect()

    def _connect(self) -> None:
        self.session.action = "connecting to upstream"
        attempt = self._attempt
        if attempt is not None:
            attempt.responseTime = self.proxy.seconds() - attempt.begun
        peer = self._getter.getPeer()
        if isinstance(peer, Peer):
            self._peerChosen(peer)
        elif peer is None:
            self._noPeer()
        else:
            self._waitForPeer(peer)

    def _waitForPeer(self, waiting: Deferred[Peer | None]) -> None:
        self._giveUp = waiting.cancel

        def chosen(peer: Peer | None) -> None:
            self._giveUp = None
            if peer is None:
                self._noPeer()
            else:
                self._peerChosen(peer)

        def failed(reason: object) -> None:
            if self._giveUp is not None:
                self._giveUp = None
                self._noPeer()

        waiting.addCallbacks(chosen, failed)

    def _noPeer(self) -> None:
        group = self.group
        assert group is not None and self.session.attempts is not None
        attempt = self._attempt = Attempt(group.nameBytes, self.proxy.seconds())
        self._tried = group.nameBytes
        self.session.attempts.append(attempt)
        self.session.logError("error", "no live upstreams")
        self.finalize(502)

    def _peerChosen(self, peer: Peer) -> None:
        proxy = self.proxy
        session = self.session
        self._peer = peer
        self._tried = peer.nameBytes
        attempt = self._attempt = Attempt(peer.nameBytes, proxy.seconds())
        assert session.attempts is not None
        session.attempts.append(attempt)
        giveUp = proxy.dial(peer, self, session)
        # The outcome may be known already, and the next attempt under way.
        if self._attempt is attempt and self._peer is peer and self.connection is None:
            self._giveUp = giveUp

    def connectionReady(self, connection: Any) -> None:
        """
        A connection to the chosen peer is open.
        """
        self._giveUp = None
        self.connection = connection
        attempt, peer = self._attempt, self._peer
        assert attempt is not None and peer is not None
        elapsed = attempt.connectTime = self.proxy.seconds() - attempt.begun
        session = self.session
        if session.server.logsInfo:
            local = sockaddrName(connection.transport.hostName)
            session.logPlainly(
                "info", f"{session.logPrefix}proxy {local} connected to {peer.name}"
            )
        self._getter.notifyPeer(peer, "connect", elapsed)
        self.connected()

    def firstByte(self) -> None:
        """
        The server has said something for the first time, or has ended.
        """
        attempt, peer = self._attempt, self._peer
        assert attempt is not None and peer is not None
        elapsed = attempt.headerTime = self.proxy.seconds() - attempt.begun
        self._getter.notifyPeer(peer, "first_byte", elapsed)

    def connectionFailed(self, reason: Exception) -> None:
        """
        There is no connection to the chosen peer.
        """
        self._giveUp = None
        session = self.session
        if isinstance(reason, ConnectFailed):
            session.logError(reason.level, reason.message, reason.errno)
            if reason.syscall != "connect":
                # Our own trouble: no other server would fare better.
                self.finalize(500)
                return
        elif isinstance(reason, ConnectTimedOut):
            if not hasattr(reason, "action"):
                # As in nginx, a handshake that takes too long is not told.
                session.logError(reason.level, reason.message, reason.errno)
        else:
            session.action = getattr(reason, "action", session.action)
            message = getattr(reason, "message", str(reason))
            session.logError("error", message, getattr(reason, "errno", 0))
        self._next()

    def _next(self) -> None:
        """
        An attempt has failed: is there another server?
        """
        proxy = self.proxy
        self._freePeer(Outcome.FAILED)
        getter = self._getter
        if (
            not getter.tries
            or not proxy.nextUpstream
            or (
                proxy.nextUpstreamTimeout
                and proxy.seconds() - self.began >= proxy.nextUpstreamTimeout
            )
        ):
            self.finalize(502)
            return
        self._closeConnection()
        assert self.session.attempts is not None
        if len(self.session.attempts) % IN_A_ROW:
            self._connect()
        else:
            later = self.session.served.deadlines.new(self._connectLater)
            self._giveUp = later.drop
            later.set(0)

    def _connectLater(self) -> None:
        self._giveUp = None
        self._connect()

    # ---- the end --------------------------------------------------------------------

    def _freePeer(self, outcome: int) -> None:
        peer, self._peer = self._peer, None
        if peer is None:
            return
        self._getter.freePeer(peer, outcome)
        if outcome & Outcome.FAILED and peer.isDisabled:
            self.session.logError("warn", "upstream server temporarily disabled")

    def _closeConnection(self) -> None:
        connection, attempt = self.connection, self._attempt
        if connection is not None and attempt is not None:
            attempt.bytesReceived = self.bytesReceived
            attempt.bytesSent = self.bytesSent
            self.connection = None
            connection.close()

    def finalize(self, status: int, outcome: int = Outcome.OK) -> None:
        """
        Free what is held and end the session.

        @param outcome: what the balancer is told of the server.
        """
        if self._giveUp is not None:
            giveUp, self._giveUp = self._giveUp, None
            giveUp()
        attempt = self._attempt
        if attempt is not None and attempt.responseTime < 0:
            attempt.responseTime = self.proxy.seconds() - attempt.begun
        self._freePeer(outcome)
        self._closeConnection()
        self.session.finalize(status)

    def described(self) -> str:
        """
        What the error log says of servers.

        nginx: C{ngx_stream_proxy_log_error()}
        """
        session = self.session
        name = self._tried.decode("utf-8", "surrogateescape")
        upstream = f', upstream: "{name}"' if name else ""
        return (
            f"{upstream}, bytes from/to client:{session.bytesReceived}/"
            f"{session.bytesSent}, bytes from/to upstream:{self.bytesReceived}/"
            f"{self.bytesSent}"
        )
