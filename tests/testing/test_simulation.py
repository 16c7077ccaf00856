"""
L{twisted_upstream.testing.simulation}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.peer import Peer
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.testing.simulation import Servers, SimulatedClient, Simulation


def simulation(servers: Servers, *names: str, backup: str = "") -> Simulation:
    """
    Round robin over peers of equal weight, a penalty of 10 s.
    """
    return Simulation(
        RoundRobin(),
        [Peer(name, name) for name in names],
        servers,
        backup=[Peer(name, name) for name in backup],
    )


class SimulationTests(SynchronousTestCase):
    """
    Load, scripts and counts.
    """

    def test_counts(self) -> None:
        """
        Every request is answered once, and the intervals add up to all attempts.
        """
        done = simulation(Servers(), "a", "b")
        done.run(10, 100)
        self.assertEqual(done.busy, 0)
        self.assertGreater(done.answered, 800)
        self.assertEqual(done.total("a") + done.total("b"), done.answered)
        self.assertEqual(
            sum(done.between("a", second, second + 1) for second in range(10)),
            done.total("a"),
        )

    def test_sameAgain(self) -> None:
        """
        The same seed gives the same history, another seed another one.
        """
        histories = []
        for seed in (1, 1, 2):
            done = Simulation(
                RoundRobin(), [Peer("a", "a"), Peer("b", "b")], Servers(), seed=seed
            )
            done.run(5, 100)
            histories.append(done.attempts)
        self.assertEqual(histories[0], histories[1])
        self.assertNotEqual(histories[0], histories[2])

    def test_failingOver(self) -> None:
        """
        A request whose server fails is answered by another one, which then gets all.
        """
        servers = Servers()
        servers.fail("a", 0, 100)
        done = simulation(servers, "a", "b")
        done.run(5, 100)
        self.assertEqual((done.failed, done.refused), (0, 0))
        self.assertEqual(done.total("b"), done.answered)
        self.assertLess(done.total("a"), 5)

    def test_lastOne(self) -> None:
        """
        When the last attempt fails the request has failed; later ones are refused
        while every server is unavailable.
        """
        servers = Servers()
        servers.fail("a", 0, 1000)
        servers.fail("b", 0, 1000)
        done = simulation(servers, "a", "b")
        done.run(5, 100)
        self.assertGreater(done.failed, 0)
        self.assertGreater(done.refused, 100)
        self.assertEqual(done.answered, 0)

    def test_backup(self) -> None:
        """
        Backup servers take over.
        """
        servers = Servers()
        servers.fail("a", 0, 1000)
        servers.fail("b", 0, 1000)
        done = simulation(servers, "a", "b", backup="c")
        done.run(5, 100)
        self.assertEqual(done.total("c"), done.answered)

    def test_slow(self) -> None:
        """
        What a script slows down is still busy when the load has ended, and the run
        lasts until it is over.
        """
        servers = Servers()
        servers.slow("a", 0, 10, 50.0)
        done = simulation(servers, "a", "b")
        done.run(2, 50)
        self.assertEqual(done.busy, 0)
        self.assertGreater(done.elapsed, 50)

    def test_at(self) -> None:
        """
        What is asked for at a time happens then, in order.
        """
        seen: list[float] = []
        done = simulation(Servers(), "a")
        done.at(3, lambda: seen.append(done.elapsed))
        done.at(1, lambda: seen.append(done.elapsed))
        done.run(5, 10)
        self.assertEqual([round(each, 6) for each in seen], [1, 3])

    def test_clientOf(self) -> None:
        """
        A simulated client has one value for all variables.
        """
        client = SimulatedClient(b"\x7f\0\0\1", b"key")
        self.assertEqual(client.variable("any"), b"key")
        self.assertEqual(client.address, b"\x7f\0\0\1")


class BalancerOfTests(SynchronousTestCase):
    """
    Balancers by their lines.
    """

    def test_layers(self) -> None:
        """
        Lines are nested as in a configuration, whatever their order; a queue lets
        requests wait for a server.
        """
        servers = Servers(1.0)
        done = Simulation(
            "queue 100 timeout=50; least_conn;",
            [Peer("a", "a", maxConns=1), Peer("b", "b", maxConns=1)],
            servers,
        )
        done.run(10, 3)
        self.assertEqual((done.busy, done.refused), (0, 0))
        self.assertGreater(done.elapsed, 11)
        self.assertEqual(done.clock.getDelayedCalls(), [])

    def test_wrong(self) -> None:
        """
        A line that is wrong is told of; so is one that is unknown.
        """
        for text in ("random three;", "rando;"):
            self.assertRaises(
                ConfigError, Simulation, text, [Peer("a", "a")], Servers()
            )
