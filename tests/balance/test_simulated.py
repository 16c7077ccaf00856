"""
A million picks in simulated time: servers fail and recover, slow down, come and go.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.balance.hashing import ConsistentHash, Hash, IpHash
from twisted_upstream.balance.load import LeastConn, RandomChoice
from twisted_upstream.balance.peers import Peer
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.interfaces import IClient, IPeerInit
from twisted_upstream.testing.simulation import Servers, SimulatedClient, Simulation

#: Picks of all methods together; more with this variable.
PICKS = int(os.environ.get("SIMULATED_PICKS", "1000000"))

#: Weights at first, and after the change of membership.
WEIGHTS = {"a": 5, "b": 3, "c": 2, "d": 1, "e": 1}
LATER = {"a": 5, "b": 3, "c": 2, "d": 1, "f": 2}

#: Seconds of the script.
LENGTH = 80


def keyOf(client: IClient) -> bytes:
    """
    What C{hash} looks at.
    """
    return client.variable("key")


@dataclass(frozen=True)
class Method:
    """
    A method and what may be expected of it.

    @ivar tolerance: by which part a share may differ from the weight's.
    @ivar looks: does it give less to a slow server?
    """

    make: Callable[[], IPeerInit]
    tolerance: float
    looks: bool = False


METHODS = {
    "round robin": Method(RoundRobin, 0.01),
    # With a handful of requests under way a light server's one is soon its turn.
    "least_conn": Method(LeastConn, 0.25, looks=True),
    "random": Method(lambda: RandomChoice(two=False), 0.05),
    "random two": Method(lambda: RandomChoice(two=True), 0.1, looks=True),
    "hash": Method(lambda: Hash(keyOf), 0.05),
    "hash consistent": Method(lambda: ConsistentHash(keyOf), 0.4),
    "ip_hash": Method(IpHash, 0.05),
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
            method.make(),
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
        Round robin keeps to the weights, whoever is slow.
        """
        self.check("round robin")

    def test_leastConn(self) -> None:
        """
        least_conn keeps to the weights and spares a slow server.
        """
        self.check("least_conn")

    def test_random(self) -> None:
        """
        random keeps to the weights on average.
        """
        self.check("random")

    def test_randomTwo(self) -> None:
        """
        random two spares a slow server.
        """
        self.check("random two")

    def test_hash(self) -> None:
        """
        hash spreads many keys by weight.
        """
        self.check("hash")

    def test_consistentHash(self) -> None:
        """
        hash consistent spreads many keys roughly by weight.
        """
        self.check("hash consistent")

    def test_ipHash(self) -> None:
        """
        ip_hash spreads many networks by weight.
        """
        self.check("ip_hash")
