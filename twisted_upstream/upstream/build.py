"""
From an C{http} or C{stream} block to what serves it: what both have in common.

nginx: C{ngx_http_block()}, C{ngx_stream_block()}
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..config.regex import compileMatcher
from ..config.syntax import ConfigError, Node, Problem
from ..config.zones import Zones
from ..logs.access_log import AccessLogs
from ..logs.error_log import ErrorLogOptions
from ..maps.define import defineMaps
from ..maps.names import addNames
from ..tls.options import checkCertificates, declareCaches, lineOf
from .groups import UpstreamGroups
from .listening import ListeningAddress
from .resolve import Resolvers
from .resolver_options import ResolverOptions

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.directive import Where
    from ..config.regex import Matcher
    from ..config.values import Template
    from ..logs.error_log import ErrorLog
    from ..logs.logs import Logs
    from ..maps.geo import Forwarded
    from ..net.listen import ListenLine
    from ..net.sockaddr import Sockaddr
    from ..tls.build import TLSBuild
    from ..variables import Value, Variables
    from .connection import UpstreamFactory
    from .surroundings import Surroundings

A = TypeVar("A", bound=ListeningAddress[Any])


@dataclass(frozen=True, kw_only=True)
class Given:
    """
    What a build is given.

    @ivar prefix: the directory that relative paths of files are under.
    @ivar directory: that of the configuration, which files of TLS are under.
    @ivar variables: gets those of the block.
    @ivar makeResolver: takes the words and the line of C{resolver}, and its time-out in
        seconds.
    @ivar zones: those of the whole configuration.
    """

    prefix: str
    directory: str
    logs: Logs
    variables: Variables
    surroundings: Surroundings
    factory: UpstreamFactory
    makeResolver: Callable[[Sequence[str], Node, float], Any]
    zones: Zones = field(default_factory=Zones)


class BlockBuild(Generic[A]):
    """
    One C{http} or C{stream} block being built.

    Phases, contents and dialects get it as C{build}: to compile texts, and for the
    paths and the clock.

    @ivar prefix: the directory that relative paths of files are under.
    @ivar seconds: seconds since 1970.
    @ivar addresses: the listening addresses, by what is bound and whether for
        datagrams.
    @ivar groups: all groups of servers.
    @ivar zones: the names of memory that outlives the configuration.
    """

    #: The places of groups and of servers.
    groupPlace: Where
    serverPlace: Where
    #: Where nothing is said of logs, are there some?
    logsByDefault = False
    #: What C{proxy} in C{geo} needs.
    forwarded: Forwarded | None = None

    def __init__(self, block: Block, given: Given) -> None:
        self.block = block
        self.prefix = given.prefix
        self.seconds: Callable[[], float] = time.time
        self.variables = given.variables
        self.logs = given.logs
        self.factory = given.factory
        self.zones = given.zones
        self.resolvers = Resolvers(given.makeResolver)
        self.tempPaths: set[str] = set()
        self.addresses: dict[tuple[Sockaddr, bool], A] = {}
        self.accessLogs: AccessLogs | None = None
        self.groups = UpstreamGroups(
            given.surroundings,
            self.compile,
            given.prefix,
            self._findResolver,
            given.zones,
        )
        self._problems: list[Problem] = []
        self._clock = given.surroundings.clock
        self._directory = given.directory
        self._tls: TLSBuild | None = None

    # ---- what phases and contents ask -----------------------------------------------

    def compile(self, text: Template | str, node: Node) -> Value:
        """
        Compile a text with variables.
        """
        return self.variables.compile(text, node)

    def compileIfAny(self, text: Template | None, node: Node) -> Value | None:
        """
        The same for what may be missing.
        """
        return None if text is None else self.compile(text, node)

    def compileMatcher(
        self, text: str, node: Node, ignoreCase: bool = False
    ) -> Matcher:
        """
        Compile a regular expression; its named groups become variables.
        """
        return compileMatcher(text, node, self, ignoreCase)

    @property
    def tls(self) -> TLSBuild:
        """
        What all TLS of a configuration shares.  OpenSSL is imported with it: only who
        uses it asks.
        """
        if self._tls is None:
            from ..tls.build import TLSBuild

            self._tls = TLSBuild(self.block, self._directory, self._clock, self.compile)
        return self._tls

    def tempPath(self, path: str) -> str:
        """
        A directory of temporary files, which will be there.
        """
        full = os.path.join(self.prefix, path)
        self.tempPaths.add(full)
        return full

    def errorLog(self, block: Block) -> ErrorLog:
        """
        The error log of one place.
        """
        return self.logs.errorLog(block.of(ErrorLogOptions).errorLog)

    def resolverOf(self, block: Block) -> Any:
        """
        What finds names that are known only per request, or session; C{None}: nothing.
        """
        options = block.of(ResolverOptions)
        if not options.resolver:
            return None
        return self.resolvers.of(
            options.resolver, options.resolverTimeout, lineOf(block, "resolver")
        )

    def _findResolver(
        self, words: Sequence[str], timeout: float | None, node: Node
    ) -> tuple[Any, float]:
        """
        The resolver of a group that says this; where it says nothing, that of the
        block.
        """
        outer = self.block.of(ResolverOptions)
        seconds = outer.resolverTimeout if timeout is None else timeout
        if words:
            return self.resolvers.of(words, seconds, node), seconds
        return self.resolverOf(self.block), seconds

    # ---- all of it ------------------------------------------------------------------

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """
        Go on after a mistake, to find the others.
        """
        try:
            yield
        except ConfigError as e:
            self._complain(e.problems)

    def _complain(self, problems: Iterable[Problem]) -> None:
        self._problems += [each for each in problems if each not in self._problems]

    @property
    def sockets(self) -> list[A]:
        """
        The listening addresses, once built.
        """
        return list(self.addresses.values())

    def build(self) -> None:
        """
        Build everything.

        @raise ConfigError: with every mistake there is.
        """
        self.defineVariables()
        with self.collecting():
            defineMaps(self.block, self, self.forwarded)
        with self.collecting():
            self.accessLogs = AccessLogs(
                self.block,
                self.logs,
                self.variables,
                self.prefix,
                combined=self.logsByDefault,
            )
        with self.collecting():
            self.defineLimits()
        blocks = self.block.inner
        for block in blocks:
            if block.where is self.groupPlace:
                with self.collecting():
                    self.defineGroup(block)
        for block in (self.block, *blocks):
            with self.collecting():
                declareCaches(block, self.zones, self.block.node.name)
        for block in blocks:
            if block.where is self.serverPlace:
                with self.collecting():
                    self.defineServer(block)
        for each in self.sockets:
            with self.collecting():
                self.bindTLS(each)
        for error in self.variables.check():
            self._complain(error.problems)
        if self._problems:
            raise ConfigError(self._problems)

    def defineVariables(self) -> None:
        """
        Declare the variables that there are in every block of this kind.
        """
        raise NotImplementedError

    def defineLimits(self) -> None:
        """
        Make the zones of limits.
        """
        raise NotImplementedError

    def defineGroup(self, block: Block) -> None:
        """
        Make a group of servers.
        """
        raise NotImplementedError

    def defineServer(self, block: Block) -> None:
        """
        Make a virtual server.
        """
        raise NotImplementedError

    def bindTLS(self, found: A) -> None:
        """
        Let an address speak TLS, if it has to.
        """
        raise NotImplementedError

    # ---- parts of it ----------------------------------------------------------------

    def listen(
        self,
        server: Any,
        block: Block,
        lines: Iterable[ListenLine],
        names: Sequence[tuple[str, Node]],
        make: Callable[[Sockaddr, ListenLine], A],
    ) -> None:
        """
        Let a server be found at its addresses by its names.

        @param make: an address that no line has named before, with this server as its
            default.
        @raise ConfigError: a line contradicts others.
        """
        for line in lines:
            for sockaddr in line.sockaddrs:
                place = (sockaddr, line.udp)
                found = self.addresses.get(place)
                if found is None:
                    found = self.addresses[place] = make(sockaddr, line)
                found.add(line, server, block)
                with self.collecting():
                    addNames(
                        found.address,
                        names,
                        server,
                        address=found.address.name,
                        compileMatcher=partial(self.compileMatcher, ignoreCase=True),
                    )

    def serversTLS(
        self, found: A, kind: str, protocolNames: Callable[[Block], tuple[bytes, ...]]
    ) -> dict[Any, Any]:
        """
        The TLS of each server of an address.

        @raise ConfigError: a server that clients can get to has no certificate.
        """
        assert found.tls is not None
        made = {}
        for server, block in found.servers.items():
            with self.collecting():
                made[server] = self.tls.server(block, kind, protocolNames(block))
        default = made.get(found.address.default)
        if default is not None:
            checkCertificates(default, made.values(), found.tls.node)
        return made
