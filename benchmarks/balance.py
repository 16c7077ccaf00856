"""
What choosing a server costs: one getPeer() and freePeer() of each method, in groups of
3 to 10,000 servers.

    python -m benchmarks.balance [--python PATH]... [--write]

The best of some rounds counts, as anything else on the machine only adds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random

from benchmarks.contenders import interpreter
from tests.support.nginx import CHECKOUT
from twisted_upstream.balance.bounded import BoundedHash
from twisted_upstream.balance.hashing import ConsistentHash, Hash, IpHash
from twisted_upstream.balance.iwrr import Interleaved
from twisted_upstream.balance.least_time import LeastTime
from twisted_upstream.balance.load import LeastConn, RandomChoice
from twisted_upstream.balance.peer import Outcome, Peer
from twisted_upstream.balance.peers import Peers
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.balance.schedule import Scheduled
from twisted_upstream.balance.tengine_hash import TengineHash
from twisted_upstream.balance.vnswrr import VirtualNodes
from twisted_upstream.interfaces import IPeerInit

SIZES = (3, 100, 1_000, 10_000)
HEADING = "## Choosing a server"

#: Seconds that one round takes, about; and how long rounds do not count yet.
_ROUND, _WARM = 0.02, 0.3

_RESULTS = Path(__file__).parent / "RESULTS.md"


class Client:
    """
    A client of many: each request has another key and another address.
    """

    def __init__(self) -> None:
        chance = Random(1)
        self._keys = cycle([b"/%d" % chance.randrange(1 << 30) for _ in range(997)])
        self._addresses = cycle([chance.randbytes(4) for _ in range(997)])

    @property
    def address(self) -> bytes:
        return next(self._addresses)

    def variable(self, name: str) -> bytes:
        return next(self._keys)

    def key(self, client: object) -> bytes:
        return next(self._keys)


def makePeers(count: int, weights: Sequence[int]) -> Peers:
    """
    A group of so many servers.
    """
    given = cycle(weights)
    return Peers(
        "group",
        [
            Peer(f"10.0.{n >> 8}.{n & 255}:80", ("10.0.0.1", n), weight=next(given))
            for n in range(count)
        ],
        seconds=time.monotonic,
        random=Random(1),
    )


def methods(client: Client) -> dict[str, tuple[Callable[[], IPeerInit], Sequence[int]]]:
    """
    Each method, and the weights of its servers.
    """
    key = client.key
    makers: dict[str, Callable[[], IPeerInit]] = {
        "round robin": RoundRobin,
        "least_conn": LeastConn,
        "least_time header": lambda: LeastTime("header"),
        "hash": lambda: Hash(key),
        "hash consistent": lambda: ConsistentHash(key),
        "hash bounded=1.25": lambda: BoundedHash(key, Fraction(5, 4)),
        "ip_hash": IpHash,
        "random": RandomChoice,
        "random two": lambda: RandomChoice(two=True),
        "vnswrr": lambda: Scheduled(partial(VirtualNodes, 0)),
        "iwrr": lambda: Scheduled(Interleaved),
        "consistent_hash": lambda: TengineHash(key),
    }
    found: dict[str, tuple[Callable[[], IPeerInit], Sequence[int]]] = {
        name: (maker, (1,)) for name, maker in makers.items()
    }
    found["round robin, weights 1 to 10"] = (RoundRobin, range(1, 11))
    return found


def timeOf(balancer: IPeerInit, client: Client, rounds: int) -> float:
    """
    Seconds of one choice.
    """

    def choose(count: int) -> float:
        initPeer = balancer.initPeer
        start = time.perf_counter()
        for _ in range(count):
            getter = initPeer(client)  # type: ignore[arg-type]
            peer = getter.getPeer()
            getter.freePeer(peer, Outcome.OK)  # type: ignore[arg-type]
        return time.perf_counter() - start

    # Compilers want to be warm, and a warm one may need many for a round that can be
    # timed.
    count = 10
    end = time.perf_counter() + _WARM
    while (took := choose(count)) < _ROUND or time.perf_counter() < end:
        if took < _ROUND:
            count *= 2
    return min(choose(count) for _ in range(rounds)) / count


def measure(method: str, rounds: int) -> list[float]:
    """
    Seconds of one choice, by size, and last those of making the largest group.
    """
    client = Client()
    make, weights = methods(client)[method]
    row: list[float] = []
    for size in SIZES:
        peers, balancer = makePeers(size, weights), make()
        start = time.perf_counter()
        balancer.initUpstream(peers)
        made = time.perf_counter() - start
        row.append(timeOf(balancer, client, rounds))
    return [*row, made]


def measureIn(python: str, method: str, rounds: int) -> list[float]:
    """
    The same in a process of its own: what a compiler has learnt from one method is no
    good for the next.
    """
    command = [python, "-m", "benchmarks.balance", "--measure", method]
    command += ["--rounds", str(rounds)]
    done = subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE)
    row: list[float] = json.loads(done.stdout)
    return row


def report(tables: dict[str, dict[str, list[float]]]) -> str:
    """
    The section of RESULTS.md.

    @param tables: by the name of the interpreter.
    """
    lines = [
        HEADING,
        "",
        "Written by `python -m benchmarks.balance`: µs of one `getPeer()` and"
        " `freePeer()`, by the number of servers; the last column is what making the"
        " group of 10,000 costs besides.",
    ]
    for name, table in tables.items():
        sizes = " | ".join(f"{size:,}" for size in SIZES)
        lines += ["", f"| {name} | {sizes} | ms to make |", "|---|" + "---:|" * 5]
        for method, (*row, made) in table.items():
            cells = " | ".join(f"{seconds * 1e6:,.2f}" for seconds in row)
            lines.append(f"| {method} | {cells} | {made * 1e3:,.1f} |")
    return "\n".join(lines) + "\n"


def kept(text: str) -> str:
    """
    The section of a RESULTS.md that L{report} has written, which is the last one.
    """
    _, found, rest = text.partition("\n" + HEADING)
    return found + rest


def write(section: str, path: Path = _RESULTS) -> None:
    """
    Replace that section.
    """
    text = path.read_text()
    path.write_text(text.removesuffix(kept(text)) + "\n" + section)


def main(arguments: list[str]) -> int:
    """
    Run it with all interpreters.

    @return: the exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.balance")
    parser.add_argument(
        "--python", action="append", metavar="PATH", help="an interpreter, repeatable"
    )
    names = list(methods(Client()))
    parser.add_argument(
        "--only", action="append", choices=names, help="a method, repeatable"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    parser.add_argument("--measure", choices=names, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measure(options.measure, options.rounds)))
        return 0
    tables: dict[str, dict[str, list[float]]] = {}
    for python in options.python or [sys.executable]:
        tables[interpreter(python)] = {
            method: measureIn(python, method, options.rounds)
            for method in options.only or names
        }
    section = report(tables)
    print(section)
    if options.write:
        write(section)
    return 0


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main(sys.argv[1:]))
