"""
Tests for L{twisted_upstream.process.cycle}.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.net.reactors import RecordingReactor
from tests.support.fakerequest import messages
from tests.support.nginx import freePort
from twisted_upstream.balance.sticky_learn import Sessions, StickyLearn
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.config.zones import ZoneError
from twisted_upstream.logs import ErrorLogLine, Logs
from twisted_upstream.net.listeners import ListenError
from twisted_upstream.process.configuration import Configuration, loadConfiguration
from twisted_upstream.process.cycle import Cycle
from twisted_upstream.upstream.group import UpstreamGroup
from twisted_upstream.upstream.services import Found, Target
from twisted_upstream.upstream.watch import WatchedServer


class CycleCase(SynchronousTestCase):
    """
    Configurations in files, listening on unix sockets.
    """

    def setUp(self) -> None:
        """
        A short directory, as paths of sockets have to be.
        """
        self.prefix = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.prefix)
        self.reactor = RecordingReactor()

    def path(self, name: str) -> str:
        """
        A file of the prefix.
        """
        return os.path.join(self.prefix, name)

    def load(self, text: str, **more: Any) -> Configuration:
        """
        Read a configuration.
        """
        with open(self.path("nginx.conf"), "w") as file:
            file.write(text)
        return loadConfiguration(self.path("nginx.conf"), self.prefix, **more)

    def cycle(self, *sockets: str, answer: str = "x", http: str = "") -> Cycle:
        """
        A cycle that listens on these sockets of the prefix.

        @param http: what else stands in C{http}.
        """
        listens = " ".join(f"listen unix:{self.path(each)};" for each in sockets)
        server = f"server {{ {listens} return 200 {answer}; }}"
        configuration = self.load(
            f"events {{}} http {{ access_log off; {http} {server} }}"
        )
        logs = Logs(self.reactor, self.prefix, (ErrorLogLine("error.log", "info"),))
        cycle = Cycle(configuration, self.reactor, logs)
        self.addCleanup(cycle.stop)
        return cycle

    def ask(self, name: str) -> bytes:
        """
        What a client hears on a socket; the reactor's turns are ours.
        """
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(self.path(name))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        for _ in range(10):
            for reader in list(self.reactor.readers):
                if reader in self.reactor.readers:
                    reader.doRead()
            self.reactor.turn()
        client.setblocking(False)
        return client.recv(65536)


class LoadTests(CycleCase):
    """
    L{loadConfiguration}.
    """

    def test_missing(self) -> None:
        """
        A file that is not there is told.
        """
        error = self.assertRaises(
            ConfigError, loadConfiguration, self.path("none"), self.prefix
        )
        self.assertEqual(
            messages(error),
            [f'open() "{self.path("none")}" failed (2: No such file or directory)'],
        )

    def test_include(self) -> None:
        """
        Included files are found next to the one that includes them, by patterns, too.
        """
        for name in ("b.inc", "a.inc"):
            with open(self.path(name), "w") as file:
                file.write(f"# {name}\n")
        configuration = self.load("include *.inc; include none*.inc; events {}")
        names = [os.path.basename(path) for path, _ in configuration.document.files]
        self.assertEqual(names, ["nginx.conf", "a.inc", "b.inc"])

    def test_includeMissing(self) -> None:
        """
        One that is named must be there.
        """
        error = self.assertRaises(ConfigError, self.load, "include none.inc; events {}")
        self.assertIn("failed (2: No such file or directory)", messages(error)[0])

    def test_directives(self) -> None:
        """
        What C{-g} says counts as if it stood in the file.
        """
        error = self.assertRaises(
            ConfigError, self.load, "pid a;\nevents {}", directives="pid b;"
        )
        self.assertIn('"pid" directive is duplicate', messages(error)[0])


class LifeTests(CycleCase):
    """
    L{Cycle}.
    """

    def test_serves(self) -> None:
        """
        A cycle that was opened and started serves.
        """
        cycle = self.cycle("s")
        cycle.open(None)
        cycle.start()
        self.assertIn(b"\r\n\r\nx", self.ask("s"))
        self.assertEqual(
            [name for name, _ in cycle.addresses], [f"unix:{self.path('s')}"]
        )

    def test_stop(self) -> None:
        """
        Stopping closes and removes the sockets.
        """
        cycle = self.cycle("s")
        cycle.open(None)
        cycle.start()
        cycle.stop()
        self.assertFalse(os.path.exists(self.path("s")))
        self.assertEqual(self.reactor.readers, set())

    def test_allOrNothing(self) -> None:
        """
        When one address cannot be had, none is kept.
        """
        cycle = self.cycle("s", "nowhere/t")
        self.assertRaises(ListenError, cycle.open, None)
        self.assertFalse(os.path.exists(self.path("s")))
        self.assertEqual(list(cycle.addresses), [])

    def test_handOver(self) -> None:
        """
        A new cycle takes over the sockets that it has in common with the old; the
        others are closed.
        """
        old = self.cycle("kept", "gone", answer="old")
        old.open(None)
        old.start()
        inode = os.stat(self.path("kept")).st_ino
        new = self.cycle("kept", "fresh", answer="new")
        new.open(old)
        new.start()
        self.assertEqual(os.stat(self.path("kept")).st_ino, inode)
        self.assertFalse(os.path.exists(self.path("gone")))
        self.assertIn(b"\r\n\r\nnew", self.ask("kept"))
        self.assertIn(b"\r\n\r\nnew", self.ask("fresh"))
        self.successResultOf(old.drain())
        self.assertIn(b"\r\n\r\nnew", self.ask("kept"))

    def test_failedHandOver(self) -> None:
        """
        When the new one cannot be opened, the old one goes on.
        """
        old = self.cycle("kept", answer="old")
        old.open(None)
        old.start()
        new = self.cycle("kept", "nowhere/t", answer="new")
        self.assertRaises(ListenError, new.open, old)
        self.assertIn(b"\r\n\r\nold", self.ask("kept"))

    def streams(self, text: str) -> Cycle:
        """
        A cycle with these blocks.
        """
        logs = Logs(self.reactor, self.prefix, (ErrorLogLine("error.log", "info"),))
        cycle = Cycle(self.load(f"events {{}} {text}"), self.reactor, logs)
        self.addCleanup(cycle.stop)
        return cycle

    def test_streams(self) -> None:
        """
        C{stream} may be alone or beside C{http}; sockets and what watched names have
        found go from one cycle to the next, whatever order the blocks have.
        """
        http = f"http {{ server {{ listen unix:{self.path('h')}; return 200 %s; }} }}"
        stream = (
            "stream { resolver 127.0.0.1:1; upstream u { zone z 64k;"
            " server x.test:80 resolve; }"
            f" server {{ listen unix:{self.path('s')}; return %s; }} }}"
        )
        old = self.streams(stream % "old")
        old.open(None)
        old.start()
        self.assertIn(b"old", self.ask("s"))
        found = Found(0, [Target("10.0.0.1")], self.reactor.seconds() + 99)
        self.watched(old)._found(found)
        for number, text in enumerate((http + stream, stream + http, stream)):
            text = text.replace("%s", f"new{number}")
            new = self.streams(text)
            new.open(old)
            new.start()
            self.successResultOf(old.drain())
            self.assertIn(b"new%d" % number, self.ask("s"))
            if "http" in text:
                self.assertIn(b"new%d" % number, self.ask("h"))
            self.assertTrue(self.watched(new).follows(self.watched(old)))
            group = self.watched(new)._group
            assert isinstance(group, UpstreamGroup)
            self.assertEqual([peer.name for peer in group.peers.peers], ["10.0.0.1:80"])
            old = new

    def watched(self, cycle: Cycle) -> WatchedServer:
        """
        The only server whose name is watched.
        """
        [found] = [
            each
            for build in cycle._builds
            for group in build.groups
            for each in group.watched
        ]
        assert isinstance(found, WatchedServer)
        return found

    def test_otherRoom(self) -> None:
        """
        When C{http} takes the place of C{stream}, the socket is taken over, too.
        """
        place = f"server {{ listen unix:{self.path('s')};"
        old = self.streams(f"stream {{ {place} return stream; }} }}")
        old.open(None)
        old.start()
        new = self.streams(f"http {{ {place} return 200 http; }} }}")
        new.open(old)
        new.start()
        self.successResultOf(old.drain())
        self.assertIn(b"\r\n\r\nhttp", self.ask("s"))

    def learning(self, group: str, *sockets: str) -> tuple[Cycle, Sessions]:
        """
        A cycle with a group that learns sessions, and those.
        """
        learn = "sticky learn create=$uri lookup=$uri zone=z:32k;"
        http = f"upstream {group} {{ server 127.0.0.1:1; {learn} }}"
        cycle = self.cycle(*sockets, http=http)
        (made,) = cycle._builds[0].groups
        layer = made.layer(StickyLearn)
        assert layer is not None
        return cycle, layer.sessions

    def test_sessions(self) -> None:
        """
        What balancers remember is handed over, and forgotten at the end.
        """
        old, before = self.learning("u", "kept")
        old.open(None)
        before.learn(b"s", b"sid", create=True)
        new, after = self.learning("u", "kept")
        self.assertIsNone(after.find(b"s"))
        new.open(old)
        self.successResultOf(old.drain())
        self.assertEqual(after.find(b"s"), b"sid")
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.successResultOf(new.drain())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_othersSessions(self) -> None:
        """
        Sessions of another group are a mistake, found before anything has changed.
        """
        old, _ = self.learning("u", "kept")
        old.open(None)
        new, _ = self.learning("v", "kept", "fresh")
        self.assertRaises(ZoneError, new.open, old)
        self.assertFalse(os.path.exists(self.path("fresh")))
        self.assertEqual(len(old.addresses), 1)

    def test_drain(self) -> None:
        """
        Draining an idle cycle is over at once.
        """
        cycle = self.cycle("s")
        cycle.open(None)
        cycle.start()
        self.successResultOf(cycle.drain())
        self.assertFalse(os.path.exists(self.path("s")))

    def test_tempPaths(self) -> None:
        """
        Opening makes the directories of temporary files.
        """
        cycle = self.cycle("s")
        cycle.open(None)
        self.assertTrue(os.path.isdir(self.path("client_body_temp")))


class DatagramTests(CycleCase):
    """
    C{listen ... udp} of L{Cycle}.
    """

    def begin(self, text: str, previous: Cycle | None = None) -> Cycle:
        """
        A cycle that serves.

        @param text: the inside of C{stream}.
        """
        configuration = self.load(f"events {{}} stream {{ {text} }}")
        logs = Logs(self.reactor, self.prefix, (ErrorLogLine("error.log", "info"),))
        cycle = Cycle(configuration, self.reactor, logs)
        self.addCleanup(cycle.stop)
        cycle.open(previous)
        cycle.start()
        return cycle

    def bound(self, host: str = "127.0.0.1") -> socket.socket:
        """
        A socket of ours.
        """
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.bind((host, 0))
        made.settimeout(5)
        return made

    def turn(self) -> None:
        """
        Whatever there is to read is read.
        """
        for reader in list(self.reactor.readers):
            reader.doRead()
        self.reactor.turn()

    def ask(self, place: Any, client: socket.socket | None = None) -> bytes:
        """
        What a client hears for one datagram.
        """
        client = client or self.bound()
        client.sendto(b"?", place)
        self.turn()
        return client.recv(100)

    def test_besideTCP(self) -> None:
        """
        One address may be listened on for connections and for datagrams, each with
        servers of its own.
        """
        port = freePort()
        cycle = self.begin(
            f"server {{ listen 127.0.0.1:{port} udp; return udp; }}"
            f"server {{ listen 127.0.0.1:{port}; return tcp; }}"
        )
        self.assertEqual(self.ask(("127.0.0.1", port)), b"udp")
        client = socket.create_connection(("127.0.0.1", port), 5)
        self.addCleanup(client.close)
        self.turn()
        self.assertEqual(client.recv(100), b"tcp")
        self.assertEqual(len(cycle.addresses), 2)

    def test_underWildcard(self) -> None:
        """
        An address under a wildcard has servers of its own.
        """
        port = freePort()
        self.begin(
            f"server {{ listen {port} udp; return any; }}"
            f"server {{ listen 127.0.0.2:{port} udp; return second; }}"
        )
        self.assertEqual(self.ask(("127.0.0.1", port)), b"any")
        self.assertEqual(self.ask(("127.0.0.2", port)), b"second")

    def test_handOver(self) -> None:
        """
        A new cycle takes the socket over: it gets the clients' datagrams, while answers
        under way still arrive.
        """
        port, server, client = freePort(), self.bound(), self.bound()
        place = ("127.0.0.1", port)
        number = server.getsockname()[1]
        listen = f"listen 127.0.0.1:{port} udp;"
        old = self.begin(f"server {{ {listen} proxy_pass 127.0.0.1:{number}; }}")
        client.sendto(b"?", place)
        self.turn()
        back = server.recvfrom(100)[1]
        new = self.begin(f"server {{ {listen} return new; }}", old)
        drained = old.drain()
        self.assertEqual(self.ask(place, client), b"new")
        self.assertNoResult(drained)
        server.sendto(b"late", back)
        self.turn()
        self.assertEqual(client.recv(100), b"late")
        self.successResultOf(drained)
        self.assertEqual(self.ask(place, client), b"new")
        self.successResultOf(new.drain())

    def test_addressGone(self) -> None:
        """
        Where a new cycle does not listen, sessions end.
        """
        port, server, client = freePort(), self.bound(), self.bound()
        number = server.getsockname()[1]
        old = self.begin(
            f"server {{ listen 127.0.0.1:{port} udp; proxy_pass 127.0.0.1:{number}; }}"
        )
        client.sendto(b"?", ("127.0.0.1", port))
        self.turn()
        self.begin(f"server {{ listen 127.0.0.1:{freePort()} udp; return x; }}", old)
        self.successResultOf(old.drain())
