"""
A million picks in simulated time: servers fail and recover, slow down, come and go.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.peer import Peer
from twisted_upstream.interfaces import IClient
from twisted_upstream.testing.simulation import Servers, SimulatedClient, Simulation

#: Picks of all methods together; more with this variable.
PICKS = int(os.environ.get("SIMULATED_PICKS", "1000000"))

#: Weights at first, and after the change of membership.
WEIGHTS = {"a": 5, "b": 3, "c": 2, "d": 1, "e": 1}
LATER = {"a": 5, "b": 3, "c": 2, "d": 1, "f": 2}

#: Seconds of the script.
LENGTH = 80


@dataclass(frozen=True)
class Method:
    """
    A method and what may be expected of it.

    @ivar text: its line in C{upstream{}}.
    @ivar tolerance: by which part a share may differ from the weight's.
    @ivar looks: does it give less to a slow server?
    @ivar remembers: does it do so for longer than the server is slow?
    """

    text: str
    tolerance: float
    looks: bool = False
    remembers: bool = False


METHODS = {
    "round_robin": Method("", 0.01),
    # With a handful of requests under way a light server's one is soon its turn.
    "least_conn": Method("least_conn;", 0.45, looks=True),
    # And here it is a heavy server that has its next turn the sooner.
    "least_time": Method("least_time header;", 0.45, looks=True, remembers=True),
    "least_time inflight": Method(
        "least_time last_byte inflight;", 0.45, looks=True, remembers=True
    ),
    "random": Method("random;", 0.06),
    "random two": Method("random two;", 0.1, looks=True),
    "random two least_time": Method(
        "random two least_time;", 0.4, looks=True, remembers=True
    ),
    "random two ewma": Method(
        "random two least_time=ewma;", 0.4, looks=True, remembers=True
    ),
    "hash": Method("hash $key;", 0.08),
    "hash consistent": Method("hash $key consistent;", 0.4),
    "hash bounded": Method("hash $key bounded=1.5;", 0.4, looks=True),
    "ip_hash": Method("ip_hash;", 0.08),
    "vnswrr": Method("vnswrr;", 0.02),
    "iwrr": Method("iwrr;", 0.02),
    "consistent_hash": Method("consistent_hash $key;", 0.4),
}


def clientOf(number: int) -> IClient:
    """
    Clients with evenly spread keys and addresses.
    """
    spread = number * 2654435761 & 0xFFFFFFFF
    return SimulatedClient(spread.to_bytes(4, "big"), b"%d" % spread)


class SimulatedTests(SynchronousTestCase):
    """
    Each method under the same script.
    """

    def simulate(self, method: Method) -> Simulation:
        """
        The script: all is well for 10 s; b fails for 10 s; c is ten times slower from
        the 35th to the 45th second; e leaves and f comes after 60 s.
        """
        servers = Servers(0.01)
        servers.fail("b", 10, 20)
        servers.slow("c", 35, 45, 0.1)
        peers = {
            name: Peer(name, name, weight=weight, failTimeout=2)
            for name, weight in {**WEIGHTS, **LATER}.items()
        }
        simulation = Simulation(
            method.text,
            [peers[name] for name in WEIGHTS],
            servers,
            backup=[Peer("backup", "backup")],
        )
        simulation.at(
            60, lambda: simulation.replacePeers([peers[name] for name in LATER])
        )
        simulation.run(LENGTH, PICKS / len(METHODS) / LENGTH, clientOf)
        self.assertEqual(
            {name: peer.conns for name, peer in peers.items()},
            dict.fromkeys(peers, 0),
        )
        return simulation

    def check(self, name: str) -> None:
        """
        Run one method and look at everything.
        """
        method = METHODS[name]
        done = self.simulate(method)
        self.assertEqual((done.busy, done.failed, done.refused), (0, 0, 0))
        self.assertEqual(done.clock.getDelayedCalls(), [])
        self.assertGreater(done.answered, 0.95 * PICKS / len(METHODS))
        self.assertEqual(done.total("backup"), 0)
        for begin, end, weights in (
            (0, 10, WEIGHTS),
            # Weights lost by failures are back.
            (25, 35, WEIGHTS),
            (50, 60, WEIGHTS),
            (61, 80, LATER),
        ):
            shares = done.shares(begin, end)
            if begin > 45 and method.remembers:
                continue
            for each, weight in weights.items():
                ideal = weight / sum(weights.values())
                self.assertApproximates(
                    shares[each],
                    ideal,
                    ideal * method.tolerance,
                    f"{each} from {begin} to {end}",
                )
        # One attempt each time that the penalty is over, and those that were under
        # way when the first one failed.
        self.assertLess(done.between("b", 11, 20), 10)
        self.assertEqual(done.between("e", 61, 80), 0)
        self.assertEqual(done.between("f", 0, 60), 0)
        slow = done.shares(37, 45)["c"] / done.shares(0, 10)["c"]
        if method.looks:
            self.assertLess(slow, 0.7)
        else:
            self.assertApproximates(slow, 1.0, 0.1)

    def test_roundRobin(self) -> None:
        """
        Methods that take turns keep to the weights, whoever is slow.
        """
        for name in ("round_robin", "vnswrr", "iwrr"):
            self.check(name)

    def test_busy(self) -> None:
        """
        Methods that look at how busy servers are keep to the weights, more or less, and
        spare a slow server.
        """
        for name in ("least_conn", "random two"):
            self.check(name)

    def test_times(self) -> None:
        """
        So do those that look at how long servers take.
        """
        for name in (
            "least_time",
            "least_time inflight",
            "random two least_time",
            "random two ewma",
        ):
            self.check(name)

    def test_random(self) -> None:
        """
        random keeps to the weights on average.
        """
        self.check("random")

    def test_hashes(self) -> None:
        """
        Hashes spread many keys by weight, circles roughly.
        """
        for name in ("hash", "hash consistent", "ip_hash", "consistent_hash"):
            self.check(name)

    def test_bounded(self) -> None:
        """
        hash bounded spreads many keys roughly by weight, and spares a slow server.
        """
        self.check("hash bounded")
