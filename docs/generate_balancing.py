"""
Draws what each method of choosing does while servers fail, slow down and come back:
the pictures of balancing.md, from the simulation itself.

    python docs/generate_balancing.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from twisted_upstream.balance.peer import Peer
from twisted_upstream.interfaces import IClient
from twisted_upstream.testing.simulation import Servers, SimulatedClient, Simulation

FOLDER = Path(__file__).resolve().parent / "pictures"

WEIGHTS = {"a": 3, "b": 2, "c": 1, "d": 1}
COLOURS = {"a": "#4e79a7", "b": "#f28e2b", "c": "#59a14f", "d": "#b07aa1"}
SECONDS = 80
RATE = 1000

#: What happens, in seconds: the marks under each picture.
EVENTS = ((15, 30, "b fails"), (40, 55, "a is 10x slower"), (65, 80, "d is down"))

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 180, 48, 24, 40


#: File name and line of each method.
METHODS = {
    "round_robin": "",
    "least_conn": "least_conn;",
    "least_time": "least_time header;",
    "random": "random;",
    "random_two": "random two;",
    "random_two_least_time": "random two least_time;",
    "random_two_ewma": "random two least_time=ewma;",
    "hash": "hash $key;",
    "hash_consistent": "hash $key consistent;",
    "hash_bounded": "hash $key bounded=1.25;",
    "ip_hash": "ip_hash;",
    "vnswrr": "vnswrr;",
    "iwrr": "iwrr;",
    "consistent_hash": "consistent_hash $key;",
}


def clientOf(number: int) -> IClient:
    """
    500 clients with keys and networks of their own.
    """
    spread = number % 500 * 2654435761 & 0xFFFFFFFF
    return SimulatedClient(spread.to_bytes(4, "big"), b"%d" % spread)


def simulate(method: str, slowStart: int = 0) -> Simulation:
    """
    The script that all pictures share.
    """
    servers = Servers(0.02)
    servers.fail("b", 15, 30)
    servers.slow("a", 40, 55, 0.2)
    peers = {
        name: Peer(name, name, weight=weight, failTimeout=3, slowStart=slowStart)
        for name, weight in WEIGHTS.items()
    }
    simulation = Simulation(method, peers.values(), servers)

    def down() -> None:
        simulation.replacePeers([peers[name] for name in "abc"])

    simulation.at(65, down)
    simulation.run(SECONDS, RATE, clientOf)
    return simulation


def picture(title: str, simulation: Simulation) -> str:
    """
    Shares of the servers, one on top of the other, second by second.
    """
    attempts = simulation.attempts
    totals = [
        sum(_at(attempts.get(name, ()), second) for name in WEIGHTS) or 1
        for second in range(SECONDS)
    ]
    step = (WIDTH - LEFT - 10) / SECONDS
    below = [0.0] * SECONDS
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH}'
        f' {TOP + HEIGHT + BOTTOM}" font-family="sans-serif" font-size="12">',
        f'<text x="{LEFT}" y="15" font-weight="bold">{title}</text>',
    ]
    for name in WEIGHTS:
        above = [
            each + _at(attempts.get(name, ()), second) / totals[second]
            for second, each in enumerate(below)
        ]
        points = [*_edge(above, step), *reversed(list(_edge(below, step)))]
        lines.append(
            f'<polygon fill="{COLOURS[name]}" points="'
            + " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
            + '"/>'
        )
        middle = TOP + HEIGHT * (1 - (above[2] + below[2]) / 2) + 4
        lines.append(f'<text x="{LEFT + 6}" y="{middle:.0f}" fill="#fff">{name}</text>')
        below = above
    for share in (0, 50, 100):
        y = TOP + HEIGHT * (1 - share / 100)
        lines.append(f'<text x="2" y="{y + 4:.0f}">{share} %</text>')
    for begin, end, text in EVENTS:
        x, width = LEFT + begin * step, (end - begin) * step
        y = TOP + HEIGHT + 6
        lines.append(
            f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="6" fill="#999"/>'
        )
        lines.append(f'<text x="{x:.0f}" y="{y + 22}">{text}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _at(counts: Sequence[int], second: int) -> int:
    return counts[second] if second < len(counts) else 0


def _edge(shares: Iterable[float], step: float) -> Iterable[tuple[float, float]]:
    for second, share in enumerate(shares):
        y = TOP + HEIGHT * (1 - share)
        yield LEFT + second * step, y
        yield LEFT + (second + 1) * step, y


def pictures() -> dict[str, str]:
    """
    Every picture, by the name of its file.
    """
    drawn = {
        f"{name}.svg": picture(text.rstrip(";") or "round robin", simulate(text))
        for name, text in METHODS.items()
    }
    drawn["slow_start.svg"] = picture("round robin, slow_start=8s", simulate("", 8))
    return drawn


def main() -> None:
    """
    Write every picture.
    """
    FOLDER.mkdir(exist_ok=True)
    for name, text in pictures().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
