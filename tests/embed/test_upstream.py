"""
Tests for L{twisted_upstream.embed.upstream}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.embed import (
    ArgumentError,
    PeerStatus,
    Server,
    Upstream,
    UpstreamClosed,
    UpstreamFailed,
)

A, B, C = "127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"


def chosen(upstream: Upstream, count: int, **who: Any) -> list[str]:
    """
    The names of so many picks that go well.
    """
    names = []
    for _ in range(count):
        with upstream.pick(**who) as peer:
            names.append(peer.name)
    return names


class SourceTests(SynchronousTestCase):
    """
    Groups from arguments, texts and files.
    """

    def test_arguments(self) -> None:
        """
        Servers take turns by their weights.
        """
        upstream = Upstream(Clock(), f"{A} weight=2", Server(B), name="api")
        self.assertEqual(chosen(upstream, 6), [A, B, A, A, B, A])
        self.assertEqual(upstream.status.name, "api")

    def test_text(self) -> None:
        """
        A text has the group, and what its variables need.
        """
        text = f"""
            map $arg_user $user {{ default x; }}
            upstream one {{ server {A}; }}
            upstream two {{ hash $user; server {B}; server {C}; keepalive 3; }}
        """
        upstream = Upstream.fromText(Clock(), text, "two")
        self.assertEqual({each.name for each in upstream.status.peers}, {B, C})
        self.assertEqual(len(set(chosen(upstream, 9, key="k"))), 1)

    def test_watched(self) -> None:
        """
        Names are watched until the group is closed; a server that joins later has
        none to be watched.
        """
        clock = Clock()
        text = (
            "resolver 127.0.0.1:1; upstream u { zone z 64k; server x.test:80 resolve; }"
        )
        upstream = Upstream.fromText(clock, text)
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        error = self.assertRaises(ArgumentError, upstream.add, "y.test:80 resolve")
        self.assertIn("cannot be watched", str(error))
        upstream.close()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_only(self) -> None:
        """
        The only group need not be named; where there are several, they are told.
        """
        text = f"upstream one {{ server {A}; }}"
        self.assertEqual(Upstream.fromText(Clock(), text).name, "one")
        error = self.assertRaises(
            ArgumentError,
            Upstream.fromText,
            Clock(),
            text + f"upstream two {{ server {A}; }}",
        )
        self.assertEqual(str(error), "name: no upstream None; there are: one, two")

    def test_file(self) -> None:
        """
        A whole configuration serves as well: what it would listen on does not matter.
        """
        path = self.mktemp()
        with open(path, "w") as file:
            file.write(f"""
                events {{ }}
                http {{
                    include {os.path.basename(path)}.more;
                    server {{ listen 1; access_log /nowhere/x; return 200; }}
                }}
            """)
        with open(path + ".more", "w") as file:
            file.write(f"upstream u {{ least_conn; server {A}; server {B}; }}")
        upstream = Upstream.fromFile(Clock(), path, "u")
        self.assertEqual(len(upstream.status.peers), 2)

    def test_stream(self) -> None:
        """
        Groups of C{stream} serve, too.
        """
        text = f"stream {{ upstream s {{ hash $key; server {A}; server {B}; }} }}"
        upstream = Upstream.fromText(Clock(), text)
        self.assertEqual(len(set(chosen(upstream, 5, key="k"))), 1)

    def test_wrongText(self) -> None:
        """
        A text that is wrong tells everything with its lines.
        """
        error = self.assertRaises(
            ConfigError,
            Upstream.fromText,
            Clock(),
            "upstream u {\n server 127.0.0.1:1 x;\n nonsense; }",
        )
        self.assertEqual(
            [(each.line, each.message) for each in error.problems],
            [(2, 'invalid parameter "x"'), (3, 'unknown directive "nonsense"')],
        )


class MemberTests(SynchronousTestCase):
    """
    Membership that changes.
    """

    def setUp(self) -> None:
        """
        Two servers.
        """
        self.clock = Clock()
        self.upstream = Upstream(self.clock, A, B, queue="5 timeout=10s")

    def state(self, name: str) -> PeerStatus:
        """
        One peer's.
        """
        [found] = [each for each in self.upstream.status.peers if each.name == name]
        return found

    def test_add(self) -> None:
        """
        Servers join; backups are asked when nobody else is there.
        """
        self.upstream.add(f"{C} weight=2", Server("127.0.0.1:9", backup=True))
        self.assertEqual(sorted(chosen(self.upstream, 4)), [A, B, C, C])
        for name in (A, B, C):
            self.upstream.down(name)
        self.assertEqual(chosen(self.upstream, 1), ["127.0.0.1:9"])
        self.assertTrue(self.state("127.0.0.1:9").backup)

    def test_addWrong(self) -> None:
        """
        Of several servers all join, or none.
        """
        for wrong in (B, f"{C} x", "nowhere.invalid:1"):
            error = self.assertRaises(ArgumentError, self.upstream.add, C, wrong)
            self.assertTrue(str(error).startswith("servers[1]: "), str(error))
        self.assertEqual(len(self.upstream.status.peers), 2)

    def test_remove(self) -> None:
        """
        Who leaves is not chosen any more; attempts under way end as usual, and the
        count of requests stays.
        """
        pick = self.upstream.pick()
        self.assertEqual(pick.name, A)
        self.upstream.remove(A)
        self.assertEqual(chosen(self.upstream, 2), [B, B])
        pick.failed()
        status = self.upstream.status
        self.assertEqual([each.name for each in status.peers], [B])
        self.assertEqual((status.active, status.requests), (0, 3))

    def test_removeAll(self) -> None:
        """
        A group may be empty for a while: who waits is served by whoever joins.
        """
        self.upstream.remove(A)
        self.upstream.remove(B)
        waiting = self.upstream.pickWhenFree()
        self.assertNoResult(waiting)
        self.upstream.add(C)
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(waiting).name, C)

    def test_drainDownUp(self) -> None:
        """
        Servers that drain or are down get nothing; those that are up again do.
        """
        self.upstream.drain(A)
        self.assertEqual(self.state(A).state, "draining")
        self.assertEqual(chosen(self.upstream, 2), [B, B])
        self.upstream.down(B)
        self.assertEqual(self.state(B).state, "down")
        waiting = self.upstream.pickWhenFree()
        self.upstream.up(A)
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(waiting).name, A)
        self.assertEqual(self.state(A).state, "up")

    def test_weigh(self) -> None:
        """
        A new weight counts at once.
        """
        self.upstream.weigh(B, 3)
        self.assertEqual(sorted(chosen(self.upstream, 8)), [A] * 2 + [B] * 6)
        self.assertEqual(self.state(B).weight, 3)
        for wrong in (0, -1, 1.5, "2"):
            error = self.assertRaises(
                ArgumentError,
                self.upstream.weigh,
                B,
                wrong,
            )
            self.assertTrue(str(error).startswith("weight: "))

    def test_unknown(self) -> None:
        """
        A server that is not there is named.
        """
        for change in (self.upstream.remove, self.upstream.down, self.upstream.up):
            error = self.assertRaises(ArgumentError, change, C)
            self.assertEqual(str(error), f"server: upstream has no '{C}'")

    def test_keptByRequests(self) -> None:
        """
        Requests under way keep the members that they began with.
        """
        getter = self.upstream.group.initPeer(_client())
        self.upstream.remove(A)
        peer = getter.getPeer()
        self.assertEqual(peer.name, A)  # type: ignore[union-attr]
        getter.freePeer(peer, 0)  # type: ignore[arg-type]


def _client() -> Any:
    from twisted_upstream.embed.pick import chooser

    return chooser()


class StatusTests(SynchronousTestCase):
    """
    L{Upstream.status}.
    """

    def test_states(self) -> None:
        """
        Full servers are busy, failed ones unavailable.
        """
        clock = Clock()
        upstream = Upstream(clock, f"{A} max_conns=1", B)
        first = upstream.pick()
        upstream.pick().failed()
        states = [(e.state, e.active, e.fails) for e in upstream.status.peers]
        self.assertEqual(states, [("busy", 1, 0), ("unavail", 0, 1)])
        first.succeeded()
        clock.advance(12)
        chosen(upstream, 2)
        self.assertEqual({each.state for each in upstream.status.peers}, {"up"})


class CloseTests(SynchronousTestCase):
    """
    L{Upstream.close}.
    """

    def test_waiting(self) -> None:
        """
        Whoever waits is told, and no timer is left.
        """
        clock = Clock()
        upstream = Upstream(clock, f"{A} max_conns=1", queue="5")
        pick = upstream.pick()
        waiting = upstream.pickWhenFree()
        upstream.close()
        self.failureResultOf(waiting, UpstreamClosed)
        self.failureResultOf(upstream.pickWhenFree(), UpstreamClosed)
        self.assertRaises(UpstreamClosed, upstream.pick)
        self.assertRaises(UpstreamClosed, upstream.add, B)
        self.assertRaises(UpstreamClosed, upstream.drain, A)
        self.assertRaises(UpstreamClosed, upstream.weigh, A, 2)
        [peer] = upstream.status.peers
        self.assertEqual((peer.state, peer.weight), ("busy", 1))
        pick.succeeded()
        upstream.close()
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertEqual(upstream.status.active, 0)

    def test_empty(self) -> None:
        """
        A group without servers says so.
        """
        upstream = Upstream(Clock(), A)
        upstream.remove(A)
        self.assertRaises(UpstreamFailed, upstream.pick)
