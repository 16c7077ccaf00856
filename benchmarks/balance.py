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

    # Compilers want to be warm.
    count = 10
    end = time.perf_counter() + 0.3
    while choose(count) < 0.02 or time.perf_counter() < end:
        count = min(2 * count, 20_000)
    return min(choose(count) for _ in range(rounds)) / count


def measure(only: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """
    Seconds of one choice, by size, and last those of making the largest group.
    """
    client = Client()
    table: dict[str, list[float]] = {}
    for name, (make, weights) in methods(client).items():
        if only and name not in only:
            continue
        row: list[float] = []
        for size in SIZES:
            peers, balancer = makePeers(size, weights), make()
            start = time.perf_counter()
            balancer.initUpstream(peers)
            made = time.perf_counter() - start
            row.append(timeOf(balancer, client, rounds))
        table[name] = [*row, made]
    return table


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
    parser.add_argument("--only", action="append", help="a method, repeatable")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="into RESULTS.md")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        version = sys.version.partition(" ")[0]
        name = f"{sys.implementation.name} {version}"
        print(json.dumps([name, measure(options.only or (), options.rounds)]))
        return 0
    tables: dict[str, dict[str, list[float]]] = {}
    for python in options.python or [sys.executable]:
        command = [python, "-m", "benchmarks.balance", "--measure"]
        command += ["--rounds", str(options.rounds)]
        for method in options.only or ():
            command += ["--only", method]
        output = subprocess.run(
            command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE
        ).stdout
        name, table = json.loads(output)
        tables[name] = table
    section = report(tables)
    print(section)
    if options.write:
        write(section)
    return 0


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main(sys.argv[1:]))
