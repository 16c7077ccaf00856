"""
From a configuration to what runs: the one place where reactor, sockets, clocks and
chance are chosen.

nginx: C{ngx_init_cycle()}
"""

from __future__ import annotations

import errno
import glob
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from .. import plugins
from ..access_log import AccessLogOptions
from ..balance.health import HealthRecords
from ..config.build import Block, Grammar
from ..config.syntax import COMMAND_LINE, ConfigError, Document, Node, Problem, parse
from ..http.build import HTTPBuild, Socket
from ..http.listen import ServerOptions
from ..http.options import (
    BlockOptions,
    ConnectionOptions,
    LocationOptions,
    TableOptions,
)
from ..http.phases.access import AccessOptions
from ..http.phases.error_page import ErrorPageOptions
from ..http.phases.gunzip import GunzipOptions
from ..http.phases.gzip import GzipOptions
from ..http.phases.gzip_accept import GzipAcceptOptions
from ..http.phases.headers import HeaderOptions
from ..http.phases.limits import LimitStatusOptions
from ..http.phases.paths import PathOptions
from ..http.phases.realip import RealipOptions
from ..http.phases.rewrite import RewriteOptions
from ..http.phases.select import SelectOptions
from ..http.phases.session_sticky import SessionStickyOptions
from ..http.phases.ssi import SSIOptions
from ..http.phases.static import StaticOptions
from ..http.phases.try_files import TryFilesOptions
from ..http.routing import Address, ServedBy
from ..http.server import HTTPServerFactory
from ..interfaces import IDialect
from ..limits.connections import ConnectionLimitOptions
from ..limits.requests import RequestLimitOptions
from ..limits.zones import Tables
from ..logs import ErrorLogOptions, Logs
from ..maps import define
from ..net.datagrams import DatagramListener, openDatagrams
from ..net.deadline import Deadlines
from ..net.dialer import DialOptions, SocketDialer
from ..net.listeners import Listener, ListenError, Listeners, ListenOptions
from ..net.sockaddr import Sockaddr, lookUp, parseAddress, sockaddrName
from ..net.transport import SocketTransport
from ..stream.access import StreamAccessOptions
from ..stream.build import StreamBuild, StreamSocket
from ..stream.content import StreamContentOptions
from ..stream.listen import StreamServerOptions
from ..stream.options import (
    StreamBlockOptions,
    StreamOptions,
    StreamTableOptions,
)
from ..stream.proxy import StreamProxyOptions
from ..stream.realip import StreamRealipOptions
from ..stream.routing import StreamAddress
from ..stream.tcp import TCPFactory, TCPSession
from ..stream.tls_options import (
    StreamProxyTLSOptions,
    StreamTLSOptions,
    StreamUpstreamTLSOptions,
)
from ..stream.udp import UDPFactory
from ..tls.options import HTTPTLSOptions, TLSFileOptions, TLSOptions
from ..upstream.connection import UpstreamFactory
from ..upstream.group import Surroundings, balancerOptions
from ..upstream.options import (
    GroupOptions,
    PassOptions,
    StreamGroupOptions,
    UpstreamOptions,
    passOptionsOf,
)
from ..upstream.resolve import Resolver
from ..upstream.served import Served
from ..variables import Variables
from .options import EventsOptions, MainOptions, eventsBlock

if TYPE_CHECKING:
    from ..balance.peers import Peer
    from ..upstream.connection import UpstreamProtocol

#: Numbers clients' and servers' connections alike, over all configurations.
_numbers = count(1)
#: Health of servers, over all configurations: a reload makes no server well.
_health = HealthRecords()
#: What C{limit_conn} and C{limit_req} have counted, over all configurations.
_tables = Tables()

_OPTIONS = (
    MainOptions,
    EventsOptions,
    ErrorLogOptions,
    BlockOptions,
    ConnectionOptions,
    LocationOptions,
    TableOptions,
    ServerOptions,
    AccessLogOptions,
    AccessOptions,
    ErrorPageOptions,
    HeaderOptions,
    PathOptions,
    RealipOptions,
    RewriteOptions,
    SelectOptions,
    SessionStickyOptions,
    StaticOptions,
    GunzipOptions,
    GzipOptions,
    GzipAcceptOptions,
    SSIOptions,
    TryFilesOptions,
    *define.OPTIONS,
    TLSOptions,
    TLSFileOptions,
    HTTPTLSOptions,
    ConnectionLimitOptions,
    RequestLimitOptions,
    LimitStatusOptions,
    GroupOptions,
    UpstreamOptions,
    StreamAccessOptions,
    StreamBlockOptions,
    StreamContentOptions,
    StreamGroupOptions,
    StreamOptions,
    StreamProxyOptions,
    StreamRealipOptions,
    StreamServerOptions,
    StreamTableOptions,
    StreamTLSOptions,
    StreamProxyTLSOptions,
)

#: What makes the protocols of a listening address.
_Factory = HTTPServerFactory | TCPFactory | UDPFactory
#: What is listened on: an address, and whether for datagrams.
_Place = tuple[Sockaddr, bool]


def makeGrammar() -> Grammar:
    """
    Every directive there is, those of installed plugins included.
    """
    grammar = Grammar()
    for options in _OPTIONS:
        grammar.add(options)
    grammar.add(balancerOptions())
    grammar.add(StreamUpstreamTLSOptions, "proxy")
    dialects = plugins.find(IDialect)
    for name in dialects:
        grammar.add(passOptionsOf(dialects, name), name)
        try:
            dialect: Any = dialects[name]
        except plugins.PluginError:
            # It is complained of where it is used.
            continue
        for more in (dialect.options, *getattr(dialect, "moreOptions", ())):
            if more is not None:
                grammar.add(more, name)
    return grammar


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """
    A configuration as read and understood; nothing runs yet.

    @ivar prefix: the directory that relative paths are under.
    @ivar warnings: grows while it is built.
    """

    root: Block
    document: Document
    warnings: list[Problem]
    prefix: str
    path: str


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()


def includeFrom(directory: str) -> Callable[[str, Node], Sequence[tuple[str, str]]]:
    """
    What reads the files that C{include} names.

    @param directory: relative names are under it.
    """

    def include(pattern: str, node: Node) -> Sequence[tuple[str, str]]:
        full = os.path.join(directory, pattern)
        found = sorted(glob.glob(full)) if glob.has_magic(full) else [full]
        files = []
        for name in found:
            try:
                files.append((name, _read(name)))
            except OSError as e:
                raise node.error(
                    f'open() "{name}" failed ({e.errno}: {e.strerror})', word=0
                ) from None
        return files

    return include


def readDocument(path: str, directives: str = "") -> Document:
    """
    Read the files of a configuration.

    @param directives: of C{-g}.
    @raise ConfigError: with everything that is wrong.
    """
    include = includeFrom(os.path.dirname(path))
    try:
        text = _read(path)
    except OSError as e:
        message = f'open() "{path}" failed ({e.errno}: {e.strerror})'
        raise ConfigError([Problem(level="emerg", message=message, path="")]) from None
    document = parse(text, path, include)
    if directives:
        document = parse(directives, COMMAND_LINE, include) + document
    return document


def loadConfiguration(
    path: str, prefix: str, directives: str = "", errorLogPath: str = ""
) -> Configuration:
    """
    Read the files of a configuration and check their grammar.

    @param directives: of C{-g}.
    @raise ConfigError: with everything that is wrong.
    """
    document = readDocument(path, directives)
    grammar = makeGrammar()
    root = grammar.build(document)
    eventsBlock(root)
    return Configuration(
        root=root,
        document=document,
        warnings=grammar.warnings,
        prefix=prefix,
        path=path,
    )


@dataclass(eq=False)
class _Open:
    """
    A listening socket and who is served there.

    @ivar factories: by local address, where a wildcard stands for others, too.
    """

    listener: Listener | DatagramListener
    factory: _Factory
    factories: dict[Sockaddr, _Factory] = field(default_factory=dict)


class Cycle:
    """
    Everything built from one reading of the configuration.
    """

    def __init__(
        self,
        configuration: Configuration,
        reactor: Any,
        logs: Logs,
        dial: Callable[..., Callable[[], None]] | None = None,
    ) -> None:
        """
        @param dial: opens connections to servers; C{None}: sockets'.
        @raise ConfigError: with everything that cannot be built.
        """
        self._configuration = configuration
        self._reactor = reactor
        self._logs = logs
        self._listeners = Listeners(reactor)
        self._listeners.acceptLimit = 64
        self._deadlines = Deadlines(reactor)
        self._dialer = SocketDialer(reactor, self._deadlines)
        self._opens = self._dial if dial is None else dial
        self._builds: list[HTTPBuild | StreamBuild] = []
        self._open: dict[_Place, _Open] = {}
        self._factories: list[_Factory] = []
        self._handedOver = False
        random = Random()
        for block in configuration.root.inner:
            if block.node.name in ("http", "stream"):
                self._builds.append(self._build(block, random))

    def _build(self, block: Block, random: Random) -> HTTPBuild | StreamBuild:
        reactor = self._reactor
        variables = Variables()
        around: dict[str, Any] = {
            "seconds": reactor.seconds,
            "nextNumber": _numbers.__next__,
            "deadlines": self._deadlines,
            "soon": lambda callback: reactor.callLater(0, callback),
            "variables": variables,
            "wallClock": time.time,
        }
        what: dict[str, Any] = {
            "prefix": self._configuration.prefix,
            "directory": os.path.dirname(os.path.abspath(self._configuration.path)),
            "logs": self._logs,
            "variables": variables,
            "surroundings": Surroundings(
                clock=reactor,
                random=random,
                lookUp=lookUp,
                health=_health,
                wallClock=time.time,
                log=self._logs.main.write,
            ),
            "factory": UpstreamFactory(
                self._deadlines, reactor.seconds, _numbers.__next__
            ),
            "makeResolver": self._makeResolver,
            "tables": _tables,
        }
        build: HTTPBuild | StreamBuild
        if block.node.name == "http":
            build = HTTPBuild(
                block, served=ServedBy(**around), dial=self._opens, **what
            )
        else:
            build = StreamBuild(
                block,
                served=Served(**around),
                dialer=self._dialer,
                findTaker=self._findTaker,
                **what,
            )
        build.build()
        return build

    @property
    def builds(self) -> Sequence[HTTPBuild | StreamBuild]:
        """
        What was built of each block, in order.
        """
        return self._builds

    def _makeResolver(self, words: Sequence[str], node: Node, timeout: float) -> Any:
        return Resolver(words, node, self._reactor, timeout)

    def _dial(
        self,
        peer: Peer,
        protocol: UpstreamProtocol,
        waiter: Any,
        options: PassOptions,
        local: bytes | None,
        client: Any,
        secure: Callable[..., Any] | None = None,
    ) -> Callable[[], None]:
        """
        Connect to a peer as the options of a C{*_pass} say.
        """
        localAddress: Sockaddr | None = None
        if local:
            text = local.decode("utf-8", "surrogateescape")
            try:
                localAddress = parseAddress(text, 0).sockaddr
            except ValueError:
                localAddress = None
            if localAddress is None:
                client.logError("error", f'invalid local address "{text}"')
        more: dict[str, Any] = {}
        if (
            options.socketKeepalive
            or options.socketReceiveBuffer
            or options.socketSendBuffer
        ):
            more["options"] = DialOptions(
                keepalive=options.socketKeepalive,
                rcvbuf=options.socketReceiveBuffer or None,
                sndbuf=options.socketSendBuffer or None,
            )
        if secure is not None:
            more["secure"] = secure(self._reactor, self._deadlines)
        return self._dialer.dial(
            peer.sockaddr,
            protocol,
            waiter,
            timeout=options.connectTimeout,
            localAddress=localAddress,
            **more,
        )

    # ---- life -----------------------------------------------------------------------

    def open(self, previous: Cycle | None) -> None:
        """
        Make temporary directories and bind what C{previous} does not hand over: all or
        nothing.

        @raise ListenError: an address cannot be listened on.
        @raise ZoneError: what C{previous} remembers belongs to another group.
        """
        # There is one http{} at most, and one stream{}.
        known = [] if previous is None else previous._builds
        pairs = [
            (new.groups, old.groups)
            for new in self._builds
            for old in known
            if type(new) is type(old)
        ]
        for groups, before in pairs:
            groups.zones.check(before.zones)
        for build in self._builds:
            for path in build.tempPaths:
                try:
                    os.makedirs(path, 0o700, exist_ok=True)
                except OSError as e:
                    raise ListenError(
                        f'mkdir() "{path}" failed', e.errno or 0
                    ) from None
        sockets = [(build, each) for build in self._builds for each in build.sockets]
        wildcards = {
            (_family(each.sockaddr), each.sockaddr[1], each.isDatagram)
            for _, each in sockets
            if _isWildcard(each.sockaddr)
        }
        inherited = {} if previous is None else previous._open
        bound: list[Listener | DatagramListener] = []
        covered: list[tuple[Socket | StreamSocket, _Factory]] = []
        try:
            for build, each in sockets:
                factory = each.makeFactory(build.served)
                self._factories.append(factory)
                sockaddr = each.sockaddr
                port = (
                    _family(sockaddr),
                    None if isinstance(sockaddr, str) else sockaddr[1],
                    each.isDatagram,
                )
                if port in wildcards and not _isWildcard(sockaddr):
                    covered.append((each, factory))
                    continue
                place = (sockaddr, each.isDatagram)
                old = inherited.get(place)
                if old is not None:
                    listener = old.listener
                else:
                    listener = self._bind(each)
                    bound.append(listener)
                self._open[place] = _Open(listener, factory)
        except ListenError:
            for listener in bound:
                listener.close(unlink=True)
            self._open.clear()
            raise
        for each, factory in covered:
            for (sockaddr, isDatagram), opened in self._open.items():
                if (
                    isDatagram == each.isDatagram
                    and _isWildcard(sockaddr)
                    and _family(sockaddr) == _family(each.sockaddr)
                    and sockaddr[1] == each.sockaddr[1]
                ):
                    opened.factories[each.sockaddr] = factory
        for groups, before in pairs:
            groups.zones.adopt(before.zones)
            groups.adopt(before)
        if previous is not None:
            previous._handOver(set(self._open))

    def _bind(self, each: Socket | StreamSocket) -> Listener | DatagramListener:
        # An old process may be about to leave the address.
        for _ in range(4):
            try:
                return self._bindNow(each)
            except ListenError as e:
                if e.errno != errno.EADDRINUSE:
                    raise
                self._logs.main.write("emerg", e.message, e.errno)
                self._logs.main.write("notice", "try again to bind() after 500ms")
                time.sleep(0.5)
        return self._bindNow(each)

    def _bindNow(self, each: Socket | StreamSocket) -> Listener | DatagramListener:
        options = None if each.line is None else each.line.options
        options = options or ListenOptions()
        if each.isDatagram:
            return openDatagrams(self._reactor, each.sockaddr, options)
        return self._listeners.open(each.sockaddr, options)

    def _handOver(self, kept: set[_Place]) -> None:
        """
        Another cycle has taken over the sockets in C{kept}.
        """
        self._handedOver = True
        for place, opened in list(self._open.items()):
            if place not in kept:
                opened.listener.close(unlink=True)
            del self._open[place]

    def start(self) -> None:
        """
        Begin accepting.
        """
        for opened in self._open.values():
            listener = opened.listener
            if isinstance(listener, DatagramListener):
                listener.received = _dispatching(opened)
            else:
                listener.accepted = self._accepting(opened)
            listener.start()
        for build in self._builds:
            build.groups.start()

    def _accepting(self, opened: _Open) -> Callable[[socket.socket, Any], None]:
        reactor = self._reactor
        ours: Any = opened.factory
        build = ours.buildProtocol
        factories: Mapping[Sockaddr, Any] = opened.factories
        tls = ours.address.tls

        def accepted(sock: socket.socket, peerName: Any) -> None:
            make = build
            if factories:
                factory = factories.get(sock.getsockname())
                if factory is not None:
                    if factory.address.tls is not None:
                        factory.address.tls.accept(sock, peerName, factory, reactor)
                        return
                    make = factory.buildProtocol
            protocol = make()
            transport = SocketTransport(sock, reactor, protocol, peerName)
            protocol.makeConnection(transport)
            transport.resumeProducing()
            # The first request is often there already.
            transport.doRead()

        def acceptedTLS(sock: socket.socket, peerName: Any) -> None:
            factory = factories.get(sock.getsockname()) if factories else None
            if factory is not None and factory.address.tls is None:
                accepted(sock, peerName)
                return
            factory = factory or ours
            factory.address.tls.accept(sock, peerName, factory, reactor)

        return accepted if tls is None else acceptedTLS

    def _findTaker(self, sockaddr: Sockaddr) -> Callable[..., None] | None:
        """
        Who takes connections that C{pass} of C{stream} hands to a listening address.

        nginx: C{ngx_stream_pass_match()}
        """
        opened = self._open.get((sockaddr, False))
        if opened is None and not isinstance(sockaddr, str):
            for (bound, isDatagram), each in self._open.items():
                if (
                    not isDatagram
                    and _isWildcard(bound)
                    and _family(bound) == _family(sockaddr)
                    and bound[1] == sockaddr[1]
                ):
                    opened = each
        if opened is None:
            return None
        factory: Any = opened.factories.get(sockaddr, opened.factory)
        reactor = self._reactor
        gate = factory.address.tls

        def takeSocket(
            transport: SocketTransport, local: Sockaddr, early: bytes, passes: int
        ) -> None:
            peerName = transport.peerName
            gate.accept(transport.release(), peerName, factory, reactor, local, passes)

        def take(
            transport: SocketTransport, local: Sockaddr, early: bytes, passes: int
        ) -> None:
            protocol = factory.buildProtocol()
            if isinstance(protocol, TCPSession):
                protocol.passes = passes
            transport.hostName = local
            transport.protocol = protocol
            protocol.makeConnection(transport)
            if early:
                protocol.dataReceived(early)
            transport.resumeProducing()
            transport.doRead()

        return take if gate is None else takeSocket

    def drain(self) -> Deferred[None]:
        """
        Stop accepting, close what is idle; fires when the last request has ended.
        """
        self._closeSockets()
        done: Deferred[None] = Deferred()
        left = len(self._factories)

        def emptied() -> None:
            nonlocal left
            left -= 1
            if not left:
                self._closeUpstreams()
                done.callback(None)

        if not left:
            self._closeUpstreams()
            done.callback(None)
        for factory in self._factories:
            factory.drain(emptied)
        for build in self._builds:
            for group in build.groups:
                group.close()
        return done

    def stop(self) -> None:
        """
        Close everything at once.
        """
        self._closeSockets()
        for factory in self._factories:
            factory.stop()
        self._closeUpstreams()

    def _closeSockets(self) -> None:
        for opened in self._open.values():
            opened.listener.close(unlink=True)
        self._open.clear()

    def _closeUpstreams(self) -> None:
        for build in self._builds:
            for group in build.groups:
                group.close()
            build.groups.zones.close()
            build.resolvers.close()
        self._deadlines.stop()

    def reopenLogs(self) -> None:
        """
        Open all log files anew.
        """
        self._logs.reopen()

    @property
    def addresses(self) -> Sequence[tuple[str, Address | StreamAddress]]:
        """
        What is listened on: names and what serves there.
        """
        return [
            (sockaddrName(sockaddr), opened.factory.address)
            for (sockaddr, _), opened in self._open.items()
        ]


def _dispatching(
    opened: _Open,
) -> Callable[[bytes, Sockaddr, Sockaddr, DatagramListener], None]:
    """
    What takes datagrams to the servers of the address that they were sent to.
    """
    ours, factories = opened.factory, opened.factories
    assert isinstance(ours, UDPFactory)
    if not factories:
        return ours.datagramReceived

    def dispatch(
        datagram: bytes, client: Sockaddr, local: Sockaddr, listener: DatagramListener
    ) -> None:
        factory: Any = factories.get(local, ours)
        factory.datagramReceived(datagram, client, local, listener)

    return dispatch


def _family(sockaddr: Sockaddr) -> int:
    if isinstance(sockaddr, str):
        return int(socket.AF_UNIX)
    return int(socket.AF_INET6 if len(sockaddr) == 4 else socket.AF_INET)


def _isWildcard(sockaddr: Sockaddr) -> bool:
    return not isinstance(sockaddr, str) and sockaddr[0] in ("0.0.0.0", "::")
