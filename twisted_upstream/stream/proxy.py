"""
C{proxy_pass} of C{stream}: options, and what they amount to for the sessions of one
server.

nginx: C{ngx_stream_proxy_module.c}: C{ngx_stream_proxy_handler()}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directive import (
    Where,
    directive,
    flag,
    number,
    oneOf,
    seconds,
    size,
    sizeTemplate,
    template,
)
from ..config.syntax import Node
from ..config.values import Template, parseSize
from ..net.dialer import DialOptions
from ..net.sockaddr import Sockaddr, inetSockaddr, parseAddress, parseLiteral
from ..wire.proxy_protocol import writeProxyHeader1, writeProxyHeader2
from .options import STREAM

if TYPE_CHECKING:
    from ..balance.peer import Peer
    from ..interfaces import IDialWaiter
    from ..net.dialer import SocketDialer
    from ..upstream.connection import UpstreamFactory
    from ..upstream.group import UpstreamGroup
    from ..upstream.groups import UpstreamGroups
    from ..variables import Value
    from .session import Session
    from .upstream_tls import StreamUpstreamTLS


#: Gives up a connection that is being made.
Giveup = Callable[[], None]


@dataclass(frozen=True, slots=True)
class StreamBind:
    """
    C{proxy_bind}.
    """

    text: Template
    transparent: bool


def _rateDirective(name: str, doc: str) -> Any:
    return directive(
        name,
        STREAM,
        sizeTemplate,
        default=None,
        unit="bytes per second",
        doc=doc,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamProxyOptions:
    """
    Where sessions go, and how.
    """

    target: Template | None = directive(
        "proxy_pass",
        Where.STREAM_SERVER,
        template,
        default=None,
        inherit=False,
        doc="Pass sessions to this server or group.",
    )
    connectTimeout: float = directive(
        "proxy_connect_timeout",
        STREAM,
        seconds,
        default=60.0,
        doc="How long connecting to a server may take.",
    )
    timeout: float = directive(
        "proxy_timeout",
        STREAM,
        seconds,
        default=600.0,
        doc="How long neither side may send anything.",
    )
    bufferSize: int = directive(
        ("proxy_buffer_size", "proxy_downstream_buffer", "proxy_upstream_buffer"),
        STREAM,
        size,
        default=16384,
        doc="How much may wait in each direction.",
    )
    nextUpstream: bool = directive(
        "proxy_next_upstream",
        STREAM,
        flag,
        default=True,
        doc="Is another server asked when one cannot be connected to?",
    )
    nextUpstreamTries: int = directive(
        "proxy_next_upstream_tries",
        STREAM,
        number,
        default=0,
        doc="How many servers are asked at most; 0: all.",
    )
    nextUpstreamTimeout: float = directive(
        "proxy_next_upstream_timeout",
        STREAM,
        seconds,
        default=0.0,
        doc="How long after the first attempt another server is still asked; 0: ever.",
    )
    socketKeepalive: bool = directive(
        "proxy_socket_keepalive",
        STREAM,
        flag,
        default=False,
        doc="TCP keep-alive (SO_KEEPALIVE) on connections to servers.",
    )
    socketReceiveBuffer: int = directive(
        "proxy_socket_rcvbuf",
        STREAM,
        size,
        default=0,
        doc="SO_RCVBUF of connections to servers; 0: the system's.",
    )
    socketSendBuffer: int = directive(
        "proxy_socket_sndbuf",
        STREAM,
        size,
        default=0,
        doc="SO_SNDBUF of connections to servers; 0: the system's.",
    )
    bind: StreamBind | None = directive(
        "proxy_bind",
        STREAM,
        lambda node: _bind(node),
        arity=(1, 2),
        default=None,
        type="address [transparent] | off",
        doc="The local address of connections to servers.",
    )
    uploadRate: Template | None = _rateDirective(
        "proxy_upload_rate", "How fast a client is read; 0: as fast as it sends."
    )
    downloadRate: Template | None = _rateDirective(
        "proxy_download_rate", "How fast a server is read; 0: as fast as it sends."
    )
    requests: int = directive(
        "proxy_requests",
        STREAM,
        number,
        default=0,
        doc="How many datagrams of a client make a session over UDP; the next one"
        " begins another. 0: any number.",
    )
    responses: int | None = directive(
        "proxy_responses",
        STREAM,
        number,
        default=None,
        doc="How many datagrams answer one of a client: when they are there, the"
        " session over UDP is over; when they are missing after `proxy_timeout`, the"
        " server has failed. Without it, a session ends by `proxy_timeout` only.",
    )
    proxyProtocol: str = directive(
        "proxy_protocol",
        STREAM,
        oneOf("off", "on", "v2"),
        default="off",
        doc="Begin connections to servers with a PROXY header, which tells who the"
        " client is.",
    )
    halfClose: bool = directive(
        "proxy_half_close",
        STREAM,
        flag,
        default=False,
        doc="Pass the end of one side on, and let the other finish; otherwise both are"
        " closed.",
    )


def _bind(node: Node) -> StreamBind | None:
    word = node.words[0]
    if word == "off" and len(node.words) == 1:
        return None
    text: Template = template(node)
    if text.constant is not None and localAddress(word) is None:
        raise node.error(f'invalid address "{word}"', word=0)
    if len(node.words) == 2 and node.words[1] != "transparent":
        raise node.error(f'invalid parameter "{node.words[1]}"', word=1)
    return StreamBind(text, len(node.words) == 2)


def localAddress(text: str) -> Sockaddr | None:
    """
    The address of C{proxy_bind}: with or without a port.

    nginx: C{ngx_parse_addr_port()}
    """
    literal = parseLiteral(text)
    if literal is not None:
        return inetSockaddr(literal, 0)
    try:
        sockaddr = parseAddress(text, 0).sockaddr
    except ValueError:
        return None
    return sockaddr if isinstance(sockaddr, tuple) else None


class StreamProxy:
    """
    C{proxy_pass} of one server.  One object serves all its sessions.

    @ivar header: makes the PROXY header of a session, unless TLS begins after it;
        C{None}: there is none.
    @ivar datagramHeader: the same over UDP, where there is no TLS.
    @ivar limitsRates: is there any limit?
    @ivar requests: datagrams that a client's session has; 0: any number.
    @ivar responses: datagrams that answer one of a client; C{None}: nobody knows.
    """

    def __init__(
        self,
        options: StreamProxyOptions,
        group: UpstreamGroup | None,
        groups: UpstreamGroups,
        *,
        address: Value | None,
        bind: Value | None,
        tls: StreamUpstreamTLS | None,
        uploadRate: Value | None,
        downloadRate: Value | None,
        dialer: SocketDialer,
        factory: UpstreamFactory,
        seconds: Callable[[], float],
        tcpNodelay: bool,
    ) -> None:
        """
        @param group: C{None}: C{address} says it for each session.
        @param tls: C{None}: there is none.
        """
        self._group = group
        self._groups = groups
        self._address = address
        self._bind = bind
        self._tls = tls
        self._host = options.target.constant if options.target is not None else None
        self._dialer = dialer
        self._factory = factory
        self._connectTimeout = options.connectTimeout
        self._dialOptions = DialOptions(
            keepalive=options.socketKeepalive,
            rcvbuf=options.socketReceiveBuffer or None,
            sndbuf=options.socketSendBuffer or None,
            noDelay=tcpNodelay,
            transparent=options.bind is not None and options.bind.transparent,
        )
        self._uploadRate = uploadRate
        self._downloadRate = downloadRate
        self.limitsRates = uploadRate is not None or downloadRate is not None
        self.seconds = seconds
        self.tries = options.nextUpstreamTries
        self.nextUpstream = options.nextUpstream
        self.nextUpstreamTimeout = options.nextUpstreamTimeout
        self.bufferSize = options.bufferSize
        self.timeout = options.timeout
        self.halfClose = options.halfClose
        self.requests = options.requests
        self.responses = options.responses
        header = self.datagramHeader = _HEADERS[options.proxyProtocol]
        #: Before TLS.
        self._clearHeader = None if tls is None else header
        self.header: Callable[[Session], bytes] | None = header if tls is None else None

    def uploadRate(self, session: Session) -> int:
        """
        Bytes per second from the client; 0: as fast as it can.
        """
        return _evaluated(self._uploadRate, session)

    def downloadRate(self, session: Session) -> int:
        """
        Bytes per second from the server; 0: as fast as it can.
        """
        return _evaluated(self._downloadRate, session)

    def handle(self, session: Session) -> None:
        """
        Pass C{session} on: a server's content.
        """
        upstream = session.upstream = session.newUpstream(self)
        group = self._group
        if group is not None:
            upstream.start(group)
            return
        assert self._address is not None
        self._groups.find(self._address(session), 0, session, upstream.start)

    def dial(self, peer: Peer, waiter: IDialWaiter, session: Session) -> Giveup:
        """
        Open a connection to C{peer} for C{waiter}.

        @return: "give up".
        """
        local: Sockaddr | None = None
        if self._bind is not None:
            text = self._bind(session).decode("utf-8", "surrogateescape")
            local = localAddress(text)
            if local is None and text:
                session.logError("error", f'invalid local address "{text}"')
        more: dict[str, Any] = {}
        if session.protocol == b"UDP":
            more["datagrams"] = True
        elif self._tls is not None:
            clear = self._clearHeader
            host = self._host
            if host is None:
                assert self._address is not None
                host = self._address(session)
            assert session.upstream is not None and session.upstream.group is not None
            secure = self._tls.secure(
                session,
                host,
                session.upstream.group.nameBytes,
                self._dialer,
                header=b"" if clear is None else clear(session),
                timeout=self._connectTimeout,
            )
            if secure is None:
                session.upstream.finalize(500)
                return _nothing
            more["secure"] = secure
        return self._dialer.dial(
            peer.sockaddr,
            self._factory.buildProtocol(),
            waiter,
            timeout=self._connectTimeout,
            localAddress=local,
            options=self._dialOptions,
            **more,
        )


def _nothing() -> None:
    """
    Gives up what is over.
    """


def _evaluated(value: Value | None, session: Session) -> int:
    """
    A size that may have variables.  nginx: C{ngx_stream_complex_value_size()}
    """
    if value is None:
        return 0
    text = value(session).decode("utf-8", "surrogateescape")
    try:
        return parseSize(text)
    except ValueError:
        session.logError("error", f'invalid size "{text}"')
        return 0


def _header1(session: Session) -> bytes:
    return writeProxyHeader1(session.peer, session.hostName)


def _header2(session: Session) -> bytes:
    return writeProxyHeader2(
        session.peer,
        session.hostName,
        isDatagram=session.protocol == b"UDP",
        tlvs=session.tlvs(),
    )


_HEADERS: dict[str, Callable[[Session], bytes] | None] = {
    "off": None,
    "on": _header1,
    "v2": _header2,
}
