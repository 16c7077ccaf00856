"""
One C{*_pass} of one location: everything that a request on its way needs, bound when
the configuration is built.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Hashable
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from twisted.logger import Logger

from . import fields, retry
from .options import PassOptions
from .request import UpstreamRequest

if TYPE_CHECKING:
    from ..balance.peer import Peer
    from ..interfaces import IClient, IDialWaiter, IExchange
    from ..net.deadline import Deadlines
    from ..wire.head import ResponseHead
    from .connection import UpstreamFactory
    from .group import UpstreamGroup
    from .groups import UpstreamGroups
    from .tls import UpstreamTLS
    from .tls_options import LateTLS

_RATE = re.compile(rb"(\d+)([kKmM]?)\Z")
_UNITS = {b"": 1, b"k": 1024, b"m": 1024 * 1024}

#: Opens a connection: takes peer, what to build the protocol with, who waits, the
#: seconds it may take and the local address text, if one was asked for.
Dial = Callable[..., Callable[[], None]]


class Passing:
    """
    A location's way to a group.

    @ivar hide: takes the hidden fields out of a block: C{hide(b"", block)}.
    @ivar acted: names (lower case) of the fields that are acted upon.
    @ivar noted: of those, and of fields that may be rewritten: a response without them
        is passed on as it is.
    @ivar shown: are Date or Server of the server passed on?
    """

    __slots__ = (
        "_dial",
        "_exchangeFactory",
        "_factory",
        "_group",
        "_groups",
        "_options",
        "_showDate",
        "_showServer",
        "_target",
        "account",
        "acted",
        "bind",
        "bufferSize",
        "buffering",
        "deadlines",
        "forceRanges",
        "hide",
        "highWater",
        "ignoreClientAbort",
        "intercept404",
        "interceptErrors",
        "limitRate",
        "maxTempFileSize",
        "nextUpstream",
        "nextUpstreamTimeout",
        "noted",
        "readTimeout",
        "requestBuffering",
        "seconds",
        "sendTimeout",
        "shown",
        "tempPath",
        "tls",
        "tries",
    )

    _logger = Logger()

    def __init__(
        self,
        options: PassOptions,
        exchangeFactory: Callable[[IClient], IExchange],
        group: UpstreamGroup | None,
        groups: UpstreamGroups,
        *,
        dial: Dial,
        factory: UpstreamFactory,
        deadlines: Deadlines,
        seconds: Callable[[], float],
        target: Callable[[Any], bytes] | None = None,
        bind: Callable[[Any], bytes] | None,
        limitRate: Callable[[Any], bytes] | None,
        tempPath: str | None,
        tls: UpstreamTLS | LateTLS | None = None,
        account: Hashable = None,
    ) -> None:
        """
        @param group: where requests go; C{None}: C{target} tells it per request.
        @param dial: opens connections.
        @param account: who connections are logged in as; they are not kept for others.
        @param tls: of servers that want it; C{None}: none does.
        """
        self._options = options
        self._exchangeFactory = exchangeFactory
        self._group = group
        self._groups = groups
        self._target = target
        self._dial = dial
        self._factory = factory
        self.deadlines = deadlines
        self.seconds = seconds
        self.bind = bind
        self.limitRate = limitRate
        self.tls = tls
        self.account = account
        self.tempPath = tempPath
        self.bufferSize = options.bufferSize
        self.buffering = options.buffering
        self.requestBuffering = options.requestBuffering
        self.highWater = options.highWater
        self.ignoreClientAbort = options.ignoreClientAbort
        self.forceRanges = options.forceRanges
        self.interceptErrors = options.interceptErrors
        self.intercept404 = options.intercept404
        self.maxTempFileSize = options.maxTempFileSize
        self.nextUpstream = retry.combined(options.nextUpstream)
        self.nextUpstreamTimeout = options.nextUpstreamTimeout
        self.readTimeout = options.readTimeout
        self.sendTimeout = options.sendTimeout
        self.tries = options.nextUpstreamTries
        self.hide = fields.hider(
            options.hideHeaders, options.passHeaders, options.hidden
        )
        shown = set(options.passHeaders)
        self._showDate = b"date" in shown
        self._showServer = b"server" in shown
        self.shown = self._showDate or self._showServer
        acted = {b"x-accel-redirect", b"x-accel-buffering", b"x-accel-limit-rate"}
        acted -= options.ignoreHeaders
        self.acted = frozenset(acted)
        self.noted = self.acted | fields.REWRITTEN

    def handle(self, client: Any) -> None:
        """
        Pass C{client}'s request: a location's content.
        """
        try:
            exchange = client.exchange = self._exchangeFactory(client)
            body = client.body
            if body is None:
                group = self._group
                if group is not None and not client.connection.isHalfClosed:
                    UpstreamRequest(self, client, exchange, group).start()
                else:
                    self._start(client, exchange)
            elif self.requestBuffering or not exchange.mayStream:
                body.read(partial(self._bodyRead, client, exchange))
            else:
                body.begin(streaming=True)
                if not body.failed:
                    self._start(client, exchange)
        except Exception as e:
            self._raised(client, e)

    def handleBodiless(self, client: Any) -> None:
        """
        Pass C{client}'s request without its body, which nobody looks at.
        """
        if client.discardsBody():
            try:
                exchange = client.exchange = self._exchangeFactory(client)
                self._start(client, exchange)
            except Exception as e:
                self._raised(client, e)

    def begin(self, client: Any) -> None:
        """
        Pass the request of somebody who has no connection, nor a body that is still to
        come, to the group.
        """
        assert self._group is not None
        exchange = client.exchange = self._exchangeFactory(client)
        UpstreamRequest(self, client, exchange, self._group).start()

    def _bodyRead(self, client: Any, exchange: IExchange) -> None:
        try:
            self._start(client, exchange)
        except Exception as e:
            self._raised(client, e)

    def _start(self, client: Any, exchange: IExchange) -> None:
        if client.connection.isHalfClosed and not self.ignoreClientAbort:
            client.failResponse(499)
            return
        group = self._group
        if group is not None:
            UpstreamRequest(self, client, exchange, group).start()
            return
        assert self._target is not None
        authority = exchange.authority(self._target(client))
        if authority is None:
            client.failResponse(500)
            return
        text, defaultPort = authority
        self._groups.find(
            text, defaultPort, client, partial(self._ask, client, exchange)
        )

    def _ask(self, client: Any, exchange: IExchange, group: UpstreamGroup) -> None:
        try:
            UpstreamRequest(self, client, exchange, group).start()
        except Exception as e:
            self._raised(client, e)

    def _raised(self, client: Any, error: Exception) -> None:
        """
        A balancer, a protocol or we ourselves have a fault, before any server was
        waited for: the client is answered all the same.
        """
        self._logger.failure("unhandled error in a balancer or a protocol")
        client.logError("alert", f"a balancer or a protocol failed: {error!r}")
        upstream, client.upstream = client.upstream, None
        if upstream is not None and not upstream.isOver:
            upstream.discard()
        if not client.isFinished:
            client.failResponse(500)

    def identity(self, client: Any, exchange: Any, group: UpstreamGroup) -> Hashable:
        """
        Who a request wants to talk to, other than an address.

        @return: C{None}: to anybody there; C{False}: that cannot be said, and was
            logged.
        """
        tls = self.tls
        if tls is None or not exchange.secure:
            return None
        found = tls.identity(client, exchange.secureName, group.nameBytes)
        return False if found is None else found

    def dial(
        self, peer: Peer, waiter: IDialWaiter, client: Any, identity: Any = None
    ) -> Callable[[], None]:
        """
        Open a connection to C{peer} for C{waiter}.

        @param identity: who is to answer there.
        @return: "give up".
        """
        local = None if self.bind is None else self.bind(client)
        protocol = self._factory.buildProtocol()
        if identity is None:
            return self._dial(peer, protocol, waiter, self._options, local, client)
        assert self.tls is not None
        return self._dial(
            peer,
            protocol,
            waiter,
            self._options,
            local,
            client,
            partial(self.tls.secure, identity),
        )

    def show(self, head: ResponseHead) -> None:
        """
        Let Date and Server be the server's, absent if it sent none, where
        C{*_pass_header} says so.
        """
        if self._showDate:
            head.date = b""
        if self._showServer:
            head.server = b""

    def openTempFile(self) -> IO[bytes]:
        """
        An unlinked temporary file for one response.
        """
        return tempfile.TemporaryFile(dir=self.tempPath, buffering=0)

    @staticmethod
    def parseRate(text: bytes) -> int:
        """
        Bytes per second of a C{*_limit_rate}; 0 for none, and for nonsense.
        """
        match = _RATE.match(text)
        if match is None:
            return 0
        return int(match[1]) * _UNITS[match[2].lower()]
