"""
A group as an endpoint: any Twisted protocol runs over its balancing.

nginx: C{ngx_stream_proxy_connect()}, C{ngx_stream_proxy_next_upstream()}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
)
from twisted.internet.interfaces import (
    IFileDescriptorReceiver,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

from ..balance.peer import Outcome, Peer
from ..upstream.request import CONNECTING, QUEUED
from .arguments import ArgumentError
from .errors import FailedAttempt, UpstreamClosed, UpstreamFailed
from .pick import chooser

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress

    from .upstream import Upstream

_FURTHER = (IHalfCloseableProtocol, IFileDescriptorReceiver, IHandshakeListener)


class _Counted(Protocol):
    """
    Between a transport and the protocol that was asked for, to see when the connection
    ends.
    """

    def __init__(self, wrapped: IProtocol, ended: Callable[[], None]) -> None:
        self.wrapped = wrapped
        self._ended = ended
        further = [each for each in _FURTHER if each.providedBy(wrapped)]
        if further:
            directlyProvides(self, *further)

    def logPrefix(self) -> str:
        """
        The protocol's.
        """
        found = getattr(self.wrapped, "logPrefix", None)
        prefix: str = type(self.wrapped).__name__ if found is None else found()
        return prefix

    def connectionMade(self) -> None:
        """
        Let the protocol begin.
        """
        assert self.transport is not None
        self.wrapped.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        For the protocol, as all that follow.
        """
        self.wrapped.dataReceived(data)

    def fileDescriptorReceived(self, descriptor: int) -> None:
        self.wrapped.fileDescriptorReceived(descriptor)  # type: ignore[attr-defined]

    def readConnectionLost(self) -> None:
        self.wrapped.readConnectionLost()  # type: ignore[attr-defined]

    def writeConnectionLost(self) -> None:
        self.wrapped.writeConnectionLost()  # type: ignore[attr-defined]

    def handshakeCompleted(self) -> None:
        self.wrapped.handshakeCompleted()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The peer is free; the protocol is told.
        """
        self._ended()
        self.wrapped.connectionLost(reason)


@implementer(IProtocolFactory)
class _Factory:
    """
    The caller's factory for one attempt.

    @ivar asked: has the server been reached?
    """

    noisy = False

    def __init__(self, wrapped: IProtocolFactory, ended: Callable[[], None]) -> None:
        self._wrapped = wrapped
        self._ended = ended
        self.asked = False
        # Part of what transports of TLS ask factories for.
        for name in ("acceptableProtocols",):
            if hasattr(wrapped, name):
                setattr(self, name, getattr(wrapped, name))

    def doStart(self) -> None:
        """
        For the factory, as all that follow.
        """
        self._wrapped.doStart()

    def doStop(self) -> None:
        self._wrapped.doStop()

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        self.asked = True
        protocol = self._wrapped.buildProtocol(addr)
        return None if protocol is None else _Counted(protocol, self._ended)


@implementer(IStreamClientEndpoint)
class UpstreamEndpoint:
    """
    Connects to a server of a group: the one whose turn it is, and to another one when
    that fails.  A connection counts as one of its server's until it ends.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        connectTimeout: float = 60.0,
        tries: int = 0,
        key: bytes | str | None = None,
        address: bytes | str | None = None,
        bindAddress: tuple[str, int] | None = None,
    ) -> None:
        """
        @param connectTimeout: seconds for each server.
        @param tries: how many servers are asked at most; 0: all.
        @param key: what methods that hash are to hash.
        @param address: on whose behalf, for C{ip_hash}.
        @param bindAddress: host and port to connect from.
        """
        if not connectTimeout > 0:
            raise ArgumentError(f"connectTimeout: not above 0: {connectTimeout!r}")
        if tries < 0:
            raise ArgumentError(f"tries: below 0: {tries!r}")
        chooser(key, address)
        self.upstream = upstream
        self.connectTimeout = connectTimeout
        self.tries = tries
        self.bindAddress = bindAddress
        self._who = (key, address)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.

        @return: fails with L{UpstreamFailed}, which lists all attempts, or
            L{UpstreamClosed}; it can be cancelled.
        """
        if self.upstream.isClosed:
            return fail(UpstreamClosed(self.upstream.name))
        connecting = _Connecting(self, protocolFactory, chooser(*self._who))
        connecting.next()
        return connecting.result

    def to(self, peer: Peer) -> Any:
        """
        The endpoint of one server.
        """
        reactor = self.upstream.reactor
        sockaddr = peer.sockaddr
        timeout: Any = self.connectTimeout
        if isinstance(sockaddr, str):
            return UNIXClientEndpoint(reactor, sockaddr, timeout)
        kind = TCP4ClientEndpoint if len(sockaddr) == 2 else TCP6ClientEndpoint
        return kind(reactor, sockaddr[0], sockaddr[1], timeout, self.bindAddress)


class _Connecting:
    """
    One call of L{UpstreamEndpoint.connect}.
    """

    def __init__(
        self, endpoint: UpstreamEndpoint, factory: IProtocolFactory, client: Any
    ) -> None:
        self._endpoint = endpoint
        self._upstream = upstream = endpoint.upstream
        self._factory = factory
        self._attempts: list[FailedAttempt] = []
        self._begun = upstream.reactor.seconds()
        #: What is under way: a place in the queue, or a connection.
        self._waiting: Deferred[Any] | None = None
        self._getter = upstream.group.initPeer(client)
        if endpoint.tries:
            self._getter.limitTries(endpoint.tries)
        self.result: Deferred[IProtocol] = Deferred(self._cancelled)
        upstream.tellWhenClosed(self, self._closed)

    def next(self) -> None:
        """
        Ask a server.
        """
        self._begun = self._upstream.reactor.seconds()
        found = self._getter.getPeer()
        if isinstance(found, Deferred):
            self._waiting = found
            found.addCallbacks(self._chosen, self._over)
        else:
            self._chosen(found)

    def _chosen(self, peer: Peer | None) -> None:
        waited, self._waiting = self._waiting, None
        if not self._isWanted:
            if peer is not None:
                self._getter.freePeer(peer, Outcome.OK)
            return
        if peer is None:
            phase = CONNECTING if waited is None else QUEUED
            self._note(self._upstream.name, phase, "no live upstreams")
            self._fail()
            return
        chosen = peer
        self._begun = self._upstream.reactor.seconds()
        isBusy = True

        def free(outcome: int = Outcome.OK) -> None:
            nonlocal isBusy
            if isBusy:
                isBusy = False
                self._getter.freePeer(chosen, outcome)

        factory = _Factory(self._factory, free)
        connecting = self._endpoint.to(peer).connect(factory)
        if not connecting.called:
            self._waiting = connecting

        def connected(protocol: _Counted) -> None:
            self._waiting = None
            elapsed = self._upstream.reactor.seconds() - self._begun
            self._getter.notifyPeer(chosen, "connect", elapsed)
            if self._upstream.forget(self):
                self.result.callback(protocol.wrapped)

        def failed(reason: Failure) -> None:
            self._waiting = None
            isOurs = factory.asked or not self._isWanted
            free(Outcome.OK if isOurs else Outcome.FAILED)
            if isOurs:
                self._over(reason)
                return
            self._note(chosen.name, CONNECTING, reason.getErrorMessage())
            if self._getter.tries:
                self.next()
            else:
                self._fail()

        connecting.addCallbacks(connected, failed)

    def _note(self, peer: str, phase: str, error: str) -> None:
        seconds = self._upstream.reactor.seconds() - self._begun
        self._attempts.append(FailedAttempt(peer, phase, error, seconds))

    def _fail(self) -> None:
        self._over(Failure(UpstreamFailed(self._upstream.name, self._attempts)))

    _isWanted = True

    def _over(self, reason: Failure) -> None:
        """
        There is no connection; tell, unless nobody wants to know.
        """
        self._waiting = None
        if self._upstream.forget(self):
            self.result.errback(reason)

    def _cancelled(self, result: object) -> None:
        self._upstream.forget(self)
        self._stop()

    def _closed(self) -> None:
        self._stop()
        self.result.errback(UpstreamClosed(self._upstream.name))

    def _stop(self) -> None:
        self._isWanted = False
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()
