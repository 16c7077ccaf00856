"""
Tests for L{twisted_upstream.embed.arguments}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.embed import ArgumentError, Server, Upstream

ONE = "127.0.0.1:8001"


class ServerTests(SynchronousTestCase):
    """
    L{Server}.
    """

    def test_words(self) -> None:
        """
        What is said becomes what a C{server} line says; nothing else does.
        """
        server = Server(
            ONE,
            weight=3,
            maxConns=10,
            maxFails=2,
            failTimeout=5,
            slowStart=1.5,
            route="a",
            id="b",
            backup=True,
            down=True,
            drain=True,
        )
        self.assertEqual(
            server.words(),
            (
                ONE,
                "weight=3",
                "max_conns=10",
                "max_fails=2",
                "fail_timeout=5",
                "route=a",
                "id=b",
                "slow_start=1500ms",
                "backup",
                "down",
                "drain",
            ),
        )
        self.assertEqual(Server(ONE).words(), (ONE,))


class WrongTests(SynchronousTestCase):
    """
    Wrong arguments of L{Upstream}.
    """

    def refused(self, start: str, *servers: Any, **more: Any) -> None:
        """
        The error is an L{ArgumentError} whose text begins so.
        """
        reactor = more.pop("reactor", None) or Clock()
        error = self.assertRaises(ArgumentError, Upstream, reactor, *servers, **more)
        self.assertEqual(str(error)[: len(start)], start)

    def test_servers(self) -> None:
        """
        Which server is wrong is told by its number.
        """
        self.refused("servers: there are none")
        self.refused('servers[1]: invalid parameter "weight=0"', ONE, f"{ONE} weight=0")
        self.refused("servers[0]: more than one directive", f"{ONE}; server x")
        self.refused("servers[0]: neither a text nor a Server", 80)
        self.refused("servers[0]: no address", "")
        self.refused("servers[0]: unexpected", '"a')
        self.refused(
            'servers[0]: invalid parameter "weight=-1"', Server(ONE, weight=-1)
        )
        self.refused("servers: no servers in upstream", f"{ONE} backup")

    def test_method(self) -> None:
        """
        A method that there is not, or whose own arguments are wrong, is refused by
        name.
        """
        self.refused("method: there is no 'foo'", ONE, method="foo")
        self.refused("method: there is no 'queue'", ONE, method="queue 3")
        self.refused("method: invalid number of arguments", ONE, method="hash")
        self.refused("method: not a directive", ONE, method="")
        self.refused("method: not a directive", ONE, method=None)

    def test_options(self) -> None:
        """
        Values are checked as the configuration's are, and named.
        """
        self.refused("keepalive: invalid value", ONE, keepalive="x")
        self.refused("keepaliveTimeout: ", ONE, keepaliveTimeout="x")
        self.refused("keepaliveTimeout: cannot be b'1'", ONE, keepaliveTimeout=b"1")
        self.refused("queue: invalid value", ONE, queue="x")
        self.refused("healthScope: ", ONE, healthScope="x")

    def test_unknown(self) -> None:
        """
        An argument that there is not is a L{TypeError} that guesses what was meant.
        """
        error = self.assertRaises(TypeError, Upstream, Clock(), ONE, keepaliv=1)
        self.assertEqual(str(error), "unexpected argument 'keepaliv'; is it keepalive?")

    def test_reactorAndName(self) -> None:
        """
        So are the reactor and the name.
        """
        self.refused("reactor: not a reactor", ONE, reactor="x")
        self.refused("name: not a name", ONE, name="")

    def test_right(self) -> None:
        """
        Numbers, switches, texts and sequences are taken.
        """
        upstream = Upstream(
            Clock(),
            ONE,
            keepalive=(4, "local"),
            keepaliveTimeout=2.5,
            queue="7 timeout=1s",
            healthScope="address",
            keepaliveRequests=None,
        )
        self.assertEqual([each.name for each in upstream.status.peers], [ONE])
