"""
Tests for L{twisted_upstream.process.cycle}.
"""

from __future__ import annotations

import os

from twisted_upstream.balance.sticky_learn import Sessions, StickyLearn
from twisted_upstream.config.zones import ZoneError
from twisted_upstream.logs.error_log import ErrorLogLine
from twisted_upstream.logs.logs import Logs
from twisted_upstream.net.bound import ListenError
from twisted_upstream.process.cycle import Cycle
from twisted_upstream.upstream.group import UpstreamGroup
from twisted_upstream.upstream.services import Found, Target
from twisted_upstream.upstream.watch import WatchedServer

from .cycles import CycleCase


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
