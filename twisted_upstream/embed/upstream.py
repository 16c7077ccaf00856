"""
A group of servers in somebody else's program.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakMethod

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorCore, IReactorTime
from twisted.python.failure import Failure

from .. import plugins
from ..balance.peer import DOWN, DRAINING, Peer
from ..config.directive import Where, bind
from ..config.nodes import Document, Node
from ..config.syntax import parse
from ..interfaces import IBalancer
from ..process.configuration import readDocument
from ..process.grammar import makeGrammar
from ..upstream.group_options import UpstreamOptions
from ..upstream.server_line import parseServer
from .arguments import ArgumentError, Server, naming, optionNodes, serverNode, textNode
from .composition import Composition
from .errors import FailedAttempt, UpstreamClosed, UpstreamFailed
from .pick import Pick, chooser
from .status import GroupStatus, statusOf

if TYPE_CHECKING:
    from ..upstream.group import UpstreamGroup
    from .agent import UpstreamAgent
    from .endpoint import UpstreamEndpoint
    from .resource import UpstreamResource


class Upstream:
    """
    A group of servers: peers, endpoints, agents and resources come from it.

    @ivar name: what messages call it.
    @ivar reactor: that was given.
    @cvar dial: opens the connections of agents and resources, for tests of subclasses;
        C{None}: sockets are opened.
    """

    dial: ClassVar[Any] = None

    def __init__(
        self,
        reactor: Any,
        *servers: str | Server,
        method: str = "round_robin",
        name: str = "upstream",
        **options: Any,
    ) -> None:
        """
        @param servers: each as in a configuration, C{"10.0.0.1:80 weight=2"}, or as a
            L{Server}.  Names are looked up now, which may block.
        @param method: how servers are chosen, as in a configuration: C{least_conn};
            C{hash $key consistent}, where C{$key} is what callers give.
        @param options: what else stands in C{upstream{}}: C{keepalive=64},
            C{keepaliveTimeout=30.0}, C{queue="100 timeout=5s"},
            C{sticky="cookie srv"}, ....
        @raise ArgumentError: an argument is wrong; the text begins with its name.
        @raise TypeError: there is no such argument.
        """
        if not IReactorTime.providedBy(reactor):
            raise ArgumentError(f"reactor: not a reactor: {reactor!r}")
        if not servers:
            raise ArgumentError("servers: there are none")
        if not name or not isinstance(name, str):
            raise ArgumentError(f"name: not a name: {name!r}")
        lines = [
            serverNode(f"servers[{index}]", each) for index, each in enumerate(servers)
        ]
        balancers = plugins.find(IBalancer)
        chosen = textNode("method", method)
        if chosen.name != "round_robin" or chosen.words:
            if chosen.name not in balancers or balancers[chosen.name].layer:
                raise ArgumentError(f"method: there is no {chosen.name!r}")
            lines.insert(0, chosen)
        names = [each.name for each in bind(UpstreamOptions, "")]
        names += [each for each in balancers if balancers[each].layer]
        lines += optionNodes(makeGrammar(), Where.UPSTREAM, names, options)
        node = Node("upstream", (name,), path="servers", block=tuple(lines))
        with naming():
            composition = Composition(reactor, Document((node,)), dial=self.dial)
        self._begin(reactor, composition, name)

    @classmethod
    def fromText(cls, reactor: Any, text: str, name: str | None = None) -> Upstream:
        """
        The group that a text describes: C{upstream{}} blocks, with whatever else their
        variables need (C{map}), or a whole configuration.

        @param name: which group; C{None}: the only one.
        @raise ConfigError: with everything that is wrong in the text.
        @raise ArgumentError: there is no such group.
        """
        return cls._fromDocument(reactor, parse(text, "text"), name, ".")

    @classmethod
    def fromFile(cls, reactor: Any, path: str, name: str | None = None) -> Upstream:
        """
        The same from a configuration file and what it includes.
        """
        prefix = os.path.dirname(os.path.abspath(path))
        return cls._fromDocument(reactor, readDocument(path), name, prefix)

    @classmethod
    def _fromDocument(
        cls, reactor: Any, document: Document, name: str | None, prefix: str
    ) -> Upstream:
        composition = Composition(reactor, document, prefix, cls.dial)
        groups = composition.groups
        if name is None and len(groups) == 1:
            [name] = groups
        if name is None or name not in groups:
            there = ", ".join(groups) or "none"
            composition.close()
            raise ArgumentError(f"name: no upstream {name!r}; there are: {there}")
        self = cls.__new__(cls)
        self._begin(reactor, composition, name)
        return self

    def _begin(self, reactor: Any, composition: Composition, name: str) -> None:
        self.reactor = reactor
        self.name = name
        self._composition = composition
        self._group: UpstreamGroup = composition.groups[name]
        self._isClosed = False
        #: Stops something that waits: it has to be told that the group was closed.
        self._waiting: dict[Any, Callable[[], None]] = {}
        self._trigger: Any = None
        if IReactorCore.providedBy(reactor):
            close = WeakMethod(self.close)

            def stop() -> None:
                found = close()
                if found is not None:
                    found()

            self._trigger = reactor.addSystemEventTrigger("before", "shutdown", stop)

    def __repr__(self) -> str:
        return f"<Upstream {self.name}>"

    # ---- what it gives --------------------------------------------------------------

    def pick(
        self,
        *,
        key: bytes | str | None = None,
        address: bytes | str | None = None,
    ) -> Pick:
        """
        A peer, now.

        @param key: what methods that hash are to hash.
        @param address: on whose behalf, for C{ip_hash}.
        @raise UpstreamFailed: there is none now.
        @raise UpstreamClosed: the group was closed.
        """
        if self._isClosed:
            raise UpstreamClosed(self.name)
        getter = self._group.initPeer(chooser(key, address))
        peer = getter.getPeer()
        if isinstance(peer, Deferred):
            # Who cannot wait leaves the queue.
            peer.addErrback(_ignore)
            peer.cancel()
            peer = None
        if peer is None:
            raise UpstreamFailed(self.name, ())
        return Pick(getter, peer, self.reactor.seconds)

    def pickWhenFree(
        self,
        *,
        key: bytes | str | None = None,
        address: bytes | str | None = None,
    ) -> Deferred[Pick]:
        """
        A peer, as soon as one is available: where the group has a C{queue}, callers
        wait in it.

        @return: fails with L{UpstreamFailed} or L{UpstreamClosed}; to cancel it is to
            leave the queue.
        """
        client = chooser(key, address)
        if self._isClosed:
            return fail(UpstreamClosed(self.name))
        begun = self.reactor.seconds()
        getter = self._group.initPeer(client)
        found = getter.getPeer()
        if isinstance(found, Peer):
            return succeed(Pick(getter, found, self.reactor.seconds))
        if found is None:
            return fail(UpstreamFailed(self.name, ()))
        waiting: Deferred[Peer | None] = found

        def cancelled(result: Deferred[Pick]) -> None:
            self.forget(result)
            waiting.cancel()

        result: Deferred[Pick] = Deferred(cancelled)

        def chosen(peer: Peer | None) -> None:
            if not self.forget(result):
                return
            if peer is None:
                seconds = self.reactor.seconds() - begun
                attempt = FailedAttempt(
                    self.name,
                    "waiting for an upstream server",
                    "no live upstreams",
                    seconds,
                )
                result.errback(UpstreamFailed(self.name, (attempt,)))
            else:
                result.callback(Pick(getter, peer, self.reactor.seconds))

        def failed(reason: Failure) -> None:
            if self.forget(result):
                result.errback(reason)

        def close() -> None:
            waiting.cancel()
            result.errback(UpstreamClosed(self.name))

        self.tellWhenClosed(result, close)
        waiting.addCallbacks(chosen, failed)
        return result

    def endpoint(
        self, *, connectTimeout: float = 60.0, **more: Any
    ) -> UpstreamEndpoint:
        """
        An endpoint that connects to a server of the group.

        @param connectTimeout: seconds for each server.
        @param more: of L{UpstreamEndpoint}: C{tries}, C{key}, C{address},
            C{bindAddress}.
        """
        from .endpoint import UpstreamEndpoint

        return UpstreamEndpoint(self, connectTimeout=connectTimeout, **more)

    def agent(self, **options: Any) -> UpstreamAgent:
        """
        An HTTP client whose requests go to the group's servers.

        @param options: of L{UpstreamAgent}: C{proxy_*} of a configuration, in camelCase
            and without C{proxy_}.
        """
        from .agent import UpstreamAgent

        return UpstreamAgent(self, **options)

    def resource(self, path: bytes = b"", **options: Any) -> UpstreamResource:
        """
        A part of a C{twisted.web} site that the group's servers answer.

        @param path: what stands before the rest of a request's path there.
        @param options: of L{UpstreamResource}.
        """
        from .resource import UpstreamResource

        return UpstreamResource(self, path, **options)

    # ---- members --------------------------------------------------------------------

    def add(self, *servers: str | Server) -> None:
        """
        Let servers join.

        @raise ArgumentError: one is wrong, or is there already; none has joined then.
        """
        primary, backup = self._members()
        known = {peer.name for peer in (*primary, *backup)}
        for index, each in enumerate(servers):
            argument = f"servers[{index}]"
            with naming():
                line = parseServer(serverNode(argument, each))
                joining = self._group.makePeers(line)
            for peer in joining:
                if peer.name in known:
                    raise ArgumentError(f"{argument}: {peer.name} is there already")
                known.add(peer.name)
                (backup if line.backup else primary).append(peer)
        self._replace(primary, backup)

    def remove(self, server: str) -> None:
        """
        Let a server leave.  Attempts under way go on, idle connections are closed.

        @param server: the address, or the text of its C{server} line.
        @raise ArgumentError: there is no such server.
        """
        leaving = self._find(server)
        primary, backup = self._members()
        self._replace(
            [peer for peer in primary if peer not in leaving],
            [peer for peer in backup if peer not in leaving],
        )

    def drain(self, server: str) -> None:
        """
        Send a server only those who were there before (C{sticky}, C{persist}).
        """
        self._setDown({peer: peer.down | DRAINING for peer in self._find(server)})

    def down(self, server: str) -> None:
        """
        Send a server nothing any more.
        """
        self._setDown({peer: peer.down | DOWN for peer in self._find(server)})

    def up(self, server: str) -> None:
        """
        Let a server take part again that is down or draining.
        """
        self._setDown(dict.fromkeys(self._find(server), 0))

    def weigh(self, server: str, weight: int) -> None:
        """
        Give a server another weight.

        @raise ArgumentError: it is not a whole number from 1 on.
        """
        if not isinstance(weight, int) or weight < 1:
            raise ArgumentError(f"weight: not a whole number from 1 on: {weight!r}")
        found = self._find(server)
        self._checkOpen()
        self._group.setWeight(dict.fromkeys(found, weight))

    def _setDown(self, changes: Mapping[Peer, int]) -> None:
        self._checkOpen()
        self._group.setDown(changes)

    def _checkOpen(self) -> None:
        if self._isClosed:
            raise UpstreamClosed(self.name)

    def _members(self) -> tuple[list[Peer], list[Peer]]:
        primary, backup = self._group.members()
        return list(primary), list(backup)

    def _find(self, server: str) -> Sequence[Peer]:
        primary, backup = self._members()
        found = [
            peer for peer in (*primary, *backup) if server in (peer.name, peer.server)
        ]
        if not found:
            raise ArgumentError(f"server: {self.name} has no {server!r}")
        return found

    def _replace(self, primary: Iterable[Peer], backup: Sequence[Peer]) -> None:
        self._checkOpen()
        self._group.setMembers(primary, backup)

    # ---- counters -------------------------------------------------------------------

    @property
    def status(self) -> GroupStatus:
        """
        How the group is now.
        """
        return statusOf(self.name, self._group)

    # ---- for what it gives ----------------------------------------------------------

    @property
    def group(self) -> UpstreamGroup:
        """
        What chooses.
        """
        return self._group

    @property
    def composition(self) -> Composition:
        """
        What it was built by.
        """
        return self._composition

    @property
    def isClosed(self) -> bool:
        """
        Was it closed?
        """
        return self._isClosed

    def tellWhenClosed(self, who: Any, closed: Callable[[], None]) -> None:
        """
        C{who} waits: C{closed} is called once if the group is closed before L{forget}.
        """
        self._waiting[who] = closed

    def forget(self, who: Any) -> bool:
        """
        C{who} does not wait any more.

        @return: did it still?
        """
        return self._waiting.pop(who, None) is not None

    def close(self) -> None:
        """
        Close idle connections, and tell everybody who waits that it is in vain.
        Connections of L{endpoint}s that are established are left alone.
        """
        if self._isClosed:
            return
        self._isClosed = True
        if self._trigger is not None:
            trigger, self._trigger = self._trigger, None
            self.reactor.removeSystemEventTrigger(trigger)
        while self._waiting:
            _, closed = self._waiting.popitem()
            closed()
        self._composition.close()


def _ignore(reason: Failure) -> None:
    """
    Whoever cancels knows.
    """
