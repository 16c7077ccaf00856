"""
A configuration of nginx's run in memory, between servers and clients that tests play.

Nothing listens, nothing connects and nobody waits: time is a
C{Clock} that goes as fast as there is something to do.
What lies between is what serves in production.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from random import Random
from types import TracebackType
from typing import Any

from ..balance.peer import Peer
from ..config.syntax import Document, Node, parse
from ..process.configuration import includeFrom
from .block import MemoryHTTP
from .clients import Answer, Call, requestBytes
from .load import Load
from .servers import FakeNetwork, FakeServer

#: Where names live that nobody gave an address: RFC 2544's network for benchmarks.
_FIRST_ADDRESS = int(IPv4Address("198.18.0.1"))
#: What the clock shows first: long after servers were last looked at.
_BEGIN = 1000.0
#: Seconds after which a test is told that an answer will not come.
_PATIENCE = 3600.0
#: Connections of clients that need not be looked through for what is over.
_SMALL = 1000


class Leak(AssertionError):
    """
    When all was over, something was left.

    @ivar left: each of these things.
    """

    def __init__(self, left: Sequence[str]) -> None:
        super().__init__("left over: " + "; ".join(left))
        self.left = left


class _Names:
    """
    A resolver that knows what the world knows.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def resolve(self, name: str, found: Any, failed: Any) -> Any:
        reactor = self._world.reactor

        def answer() -> None:
            try:
                hosts = self._world.lookUp(name)
            except OSError:
                failed(f"{name} could not be resolved (3: Host not found)")
            else:
                found(hosts)

        return reactor.callLater(0, answer).cancel

    def close(self) -> None:
        """
        Nothing is open.
        """


class World:
    """
    A configuration that serves, the servers behind it and the clients before it::

        with World(open("nginx.conf").read()) as world:
            world.server("10.0.0.1:8080").inject(Refuse())
            world.get("/login").assertStatus(200).assertWithin(1.0)

    Access logs and temporary files go to a directory of the world's own, and error
    logs into L{errors}, wherever the configuration wants them.  TLS is taken for done
    on both sides.

    @ivar reactor: the clock, and turns.
    @ivar random: the chance of clients and faults.
    @ivar http: the block that serves.
    """

    def __init__(
        self,
        conf: str,
        *,
        hosts: Mapping[str, Sequence[str]] | None = None,
        folder: str | os.PathLike[str] = ".",
        name: str = "nginx.conf",
        seed: int = 1,
    ) -> None:
        """
        @param conf: the text of a configuration with C{http}.
        @param hosts: addresses of names; no address: there is no such name.  Names that
            are not given get an address each.
        @param folder: what relative paths in it are under, C{include} and C{root} too.
        @param name: how its errors call it.
        @param seed: of all chance: equal worlds have equal histories.
        @raise ConfigError: the configuration is wrong.
        """
        folder = os.path.abspath(folder)
        document = parse(conf, name, includeFrom(folder))
        self._folder = tempfile.TemporaryDirectory(prefix="twisted_upstream")
        self._hosts: dict[str, Sequence[str]] = dict(hosts or {})
        self._given = frozenset(self._hosts)
        self._servers: dict[str, FakeServer] = {}
        self._calls: dict[Any, Call] = {}
        self._pruneAt = _SMALL
        self._isClosed = False
        self.random = Random(f"{seed} world")
        try:
            self.http = MemoryHTTP(
                self._keptHere(document),
                folder,
                seed=seed,
                begin=_BEGIN,
                lookUp=self.lookUp,
                makeDialer=FakeNetwork,
                names=_Names(self),
            )
        except BaseException:
            self._folder.cleanup()
            raise
        self.reactor = self.http.reactor
        network = self.http.dialer
        assert isinstance(network, FakeNetwork)
        network.find = self._serverOf
        self._network = network
        for group in self.http.groups:
            self._learn(group.peers)
        for location in self.http.build.locations:
            location.accessLogs = (*location.accessLogs, self._finished)

    @classmethod
    def fromFile(cls, path: str | os.PathLike[str], **arguments: Any) -> World:
        """
        The world of a configuration's file.

        @param arguments: as for the world of a text.
        @raise OSError: it cannot be read.
        """
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
        arguments.setdefault("folder", os.path.dirname(os.path.abspath(path)))
        return cls(text, name=os.fspath(path), **arguments)

    def _keptHere(self, document: Document) -> Document:
        """
        Let nothing be written outside of the world's own directory.
        """
        here = self._folder.name

        def kept(nodes: Iterable[Node]) -> Iterator[Node]:
            for node in nodes:
                if node.name == "error_log":
                    continue
                words = node.words
                if node.name == "access_log":
                    if words and words[0] != "off":
                        base = os.path.basename(words[0])
                        if words[0].startswith("syslog:"):
                            base = "syslog"
                        node.words = (f"{here}/{base}", *words[1:])
                elif node.name.endswith("_temp_path") and words:
                    node.words = (f"{here}/{node.name}", *words[1:])
                if node.block is not None:
                    node.block = tuple(kept(node.block))
                yield node

        nodes = tuple(kept(document.nodes))
        for node in nodes:
            if node.name == "http" and node.block is not None:
                there = {each.name for each in node.block}
                paths = {f"{name}_temp_path": f"{name}_temp" for name in _WRITERS}
                paths["access_log"] = "access.log"
                more = [
                    Node(name, (f"{here}/{path}",), path="world", line=1)
                    for name, path in paths.items()
                    if name not in there
                ]
                node.block = (*more, *node.block)
        return Document(nodes, document.files, document.sources)

    # ---- names and servers ----------------------------------------------------------

    def lookUp(self, host: str) -> Sequence[str]:
        """
        The addresses of a name.

        @raise OSError: it was said to have none.
        """
        found = self._hosts.get(host)
        if found is None:
            address = IPv4Address(_FIRST_ADDRESS + len(self._hosts) - len(self._given))
            found = self._hosts[host] = (str(address),)
        if not found:
            raise OSError("unknown host")
        return found

    def _learn(self, peers: Any) -> None:
        while peers is not None:
            for peer in peers.peers:
                self._serverOf(peer)
            peers = peers.next

    def _serverOf(self, peer: Peer) -> FakeServer:
        found = self._servers.get(peer.name)
        if found is None:
            host = peer.server.rpartition(":")[0] or peer.server
            addresses = self._hosts.get(host, ())
            found = self._servers[peer.name] = FakeServer(
                peer.server if len(addresses) == 1 else peer.name,
                peer.name,
                self.reactor,
                self._now,
                self.random,
            )
        return found

    def _nameOf(self, address: str) -> str:
        found = self._servers.get(address)
        return address if found is None else found.name

    def server(self, name: str) -> FakeServer:
        """
        A server.

        @param name: as its C{server} line has it, or its address with the port.
        @raise LookupError: there is none.
        """
        for found in self._servers.values():
            if name in (found.name, found.address):
                return found
        known = ", ".join(each.name for each in self._servers.values())
        raise LookupError(f"no server {name!r}; there are: {known or 'none'}")

    def servers(self, group: str = "") -> list[FakeServer]:
        """
        The servers of C{upstream GROUP}, backups last; all, if none is named.

        @raise LookupError: there is no such group.
        """
        if not group:
            return list(self._servers.values())
        found = self.http.build.groups.explicit(group)
        if found is None:
            raise LookupError(f"no upstream {group!r}")
        members: list[FakeServer] = []
        peers: Any = found.peers
        while peers is not None:
            members += [self._serverOf(peer) for peer in peers.peers]
            peers = peers.next
        return list(dict.fromkeys(members))

    # ---- time -----------------------------------------------------------------------

    def _now(self) -> float:
        # What is a tenth of a second for the test should be one here.
        return round(self.reactor.seconds() - _BEGIN, 6)

    @property
    def seconds(self) -> float:
        """
        Simulated seconds since the world began.
        """
        return self._now()

    def passes(self, seconds: float) -> None:
        """
        Let time pass: everything that is due meanwhile happens.
        """
        self.reactor.passes(seconds)

    # ---- clients --------------------------------------------------------------------

    def start(
        self,
        target: str = "/",
        *,
        method: str = "GET",
        body: bytes | str | None = None,
        fields: Mapping[str, str] | None = None,
        host: str = "localhost",
        address: str = "192.0.2.1",
        port: int = 0,
    ) -> Call:
        """
        Send a request on a connection of its own, and do not wait.

        @param target: path and query.
        @param fields: more fields of the head, or others.
        @param address: the client's.
        @param port: that of the C{listen} line; 0: the first.
        @return: for L{wait}.
        """
        sockets = self.http.build.sockets
        index = 0
        if port:
            ports = [
                None if isinstance(each.sockaddr, str) else each.sockaddr[1]
                for each in sockets
            ]
            if port not in ports:
                raise LookupError(f"nothing listens on {port}")
            index = ports.index(port)
        data = requestBytes(method, target, body, fields or {}, host)
        socket = self.http.connect(index, address)
        call = self._calls[socket.getpeername()] = Call(
            socket, data, self._now, self.errors, headOnly=method == "HEAD"
        )
        clients = self.http.clients
        if len(clients) > self._pruneAt:
            clients[:] = [each for each in clients if not each.closed]
            self._pruneAt = 2 * len(clients) + _SMALL
        return call

    def _finished(self, request: Any) -> None:
        call = self._calls.pop(request.connection.peer, None)
        if call is not None:
            call.finished(request, self._nameOf)

    def wait(self, *calls: Call) -> list[Answer]:
        """
        Let time pass until these requests are over.

        @raise AssertionError: they are not after an hour.
        """

        left = list(calls)

        def isOver() -> bool:
            while left and left[-1].isOver:
                left.pop()
            return not left

        if not self.reactor.passesUntil(isOver, _PATIENCE):
            raise AssertionError(f"no answer within {_PATIENCE:g} s")
        self.reactor.settle()
        return [call.answer for call in calls]

    def request(self, method: str, target: str = "/", **arguments: Any) -> Answer:
        """
        Send a request and wait for the answer.

        @param arguments: as for L{start}.
        """
        return self.wait(self.start(target, method=method, **arguments))[0]

    def get(self, target: str = "/", **arguments: Any) -> Answer:
        """
        Get something.
        """
        return self.request("GET", target, **arguments)

    def post(self, target: str, body: bytes | str, **arguments: Any) -> Answer:
        """
        Post something.
        """
        return self.request("POST", target, body=body, **arguments)

    def many(
        self, target: str = "/", *, rate: float, seconds: float, **arguments: Any
    ) -> Load:
        """
        Send requests at random moments, and wait for all answers.

        @param rate: how many a second, on average.
        @param seconds: for how long.
        @param arguments: as for L{start}.
        """
        if not rate > 0:
            raise ValueError("rate must be more than 0")
        calls: list[Call] = []
        end = self.seconds + seconds
        moment = self.seconds
        while True:
            moment += self.random.expovariate(rate)
            if moment >= end:
                break
            self.passes(moment - self.seconds)
            calls.append(self.start(target, **arguments))
        self.passes(max(0.0, end - self.seconds))
        return Load(self.wait(*calls))

    # ---- what is written ------------------------------------------------------------

    @property
    def errors(self) -> list[str]:
        """
        The lines of the error log, from C{info} on, without their dates.
        """
        return self.http.log.lines

    def accessLog(self, name: str = "access.log") -> list[str]:
        """
        The lines of an access log.

        @param name: the last part of its path; C{syslog} for what would go there.
        """
        path = os.path.join(self._folder.name, name)
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()

    # ---- the end --------------------------------------------------------------------

    def close(self) -> None:
        """
        End the world: all requests that are under way are given up.

        @raise Leak: a count, a connection, a timer or a file is left.
        """
        if self._isClosed:
            return
        self._isClosed = True
        try:
            left = self._end()
        finally:
            self._folder.cleanup()
        if left:
            raise Leak(left)

    def _end(self) -> list[str]:
        for call in list(self._calls.values()):
            call.hangUp()
        self.reactor.settle()
        http = self.http
        # Where clients that go away change nothing, servers decide.
        self.reactor.passesUntil(lambda: not http.problems(), _PATIENCE)
        for server in self._servers.values():
            server.close()
        self._network.stop()
        return http.shutDown()

    def __enter__(self) -> World:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        # What went wrong first is what the test is about.
        try:
            self.close()
        except Exception as e:
            error.add_note(str(e))


#: Whose bodies may go into files: clients' and the dialects'.
_WRITERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
