"""
The agent beside L{twisted.web.client.Agent}, the resource beside
L{twisted.web.proxy.ReverseProxyResource}: C{python -m benchmarks.embed}.

Both of a pair are measured in turns; nginx is the server behind, on another processor.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.contenders import SMALL, startOrigin
from benchmarks.load import loop
from tests.support.nginx import findNginx, freePort

#: The processor of what is measured, and that of everything else.
_OURS, _OTHERS = 0, 1


def _agent(kind: str, port: int, connections: int, seconds: float) -> None:
    """
    Ask again and again, and print requests per second.
    """
    from twisted.internet import reactor
    from twisted.web.client import Agent, HTTPConnectionPool, readBody

    from twisted_upstream.embed import Upstream

    clock: Any = reactor
    agent: Any
    if kind == "ours":
        upstream = Upstream(reactor, f"127.0.0.1:{port}", keepalive=connections)
        agent = upstream.agent()
    else:
        pool = HTTPConnectionPool(reactor)
        pool.maxPersistentPerHost = connections
        agent = Agent(reactor, pool=pool)
    uri = b"http://127.0.0.1:%d%b" % (port, SMALL.encode())
    count = 0
    warm = seconds / 4
    begin = time.monotonic()
    counting = False

    def ask() -> None:
        agent.request(b"GET", uri).addCallbacks(read, failed)

    def read(response: Any) -> None:
        readBody(response).addCallbacks(done, failed)

    def done(body: bytes) -> None:
        nonlocal count, counting, begin
        assert body == b"hello, world\n", body
        count += 1
        now = time.monotonic()
        if not counting and now - begin > warm:
            counting, count, begin = True, 0, now
        if counting and now - begin > seconds:
            print(count / (now - begin), flush=True)
            os._exit(0)
        ask()

    def failed(reason: Any) -> None:
        print(reason, file=sys.stderr, flush=True)
        os._exit(1)

    for _ in range(connections):
        clock.callWhenRunning(ask)
    clock.run()


def _site(kind: str, listen: int, port: int) -> None:
    """
    Serve until killed.
    """
    from twisted.internet import reactor
    from twisted.web.proxy import ReverseProxyResource
    from twisted.web.server import Site

    from twisted_upstream.embed import Upstream

    clock: Any = reactor
    resource: Any
    if kind == "ours":
        resource = Upstream(reactor, f"127.0.0.1:{port}", keepalive=64).resource()
    else:
        resource = ReverseProxyResource("127.0.0.1", port, b"")
    clock.listenTCP(listen, Site(resource), backlog=511, interface="127.0.0.1")
    print("ready", flush=True)
    clock.run()


def _command(*words: object) -> list[str]:
    script = [sys.executable, "-m", "benchmarks.embed", *map(str, words)]
    return ["taskset", "-c", str(_OURS), *script]


def _agents(port: int, options: argparse.Namespace) -> Iterator[tuple[str, float]]:
    for kind in ("theirs", "ours"):
        command = _command("agent", kind, port, options.connections, options.seconds)
        said = subprocess.run(command, check=True, capture_output=True, text=True)
        yield kind, float(said.stdout)


def _sites(port: int, options: argparse.Namespace) -> Iterator[tuple[str, float]]:
    for kind in ("theirs", "ours"):
        listen = freePort()
        command = _command("site", kind, listen, port)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as server:
            assert server.stdout is not None
            server.stdout.readline()
            for seconds in (1, options.seconds):
                load = loop(
                    listen,
                    SMALL,
                    connections=options.connections,
                    seconds=seconds,
                    close=False,
                    core=_OTHERS,
                )
            server.kill()
        if load.errors:
            raise ValueError(f"{kind}: {load.errors} errors")
        yield kind, load.requests / load.seconds


def main(arguments: list[str]) -> int:
    """
    Measure, and print requests per second with their medians' ratio.
    """
    if arguments[:1] == ["agent"]:
        kind, *numbers = arguments[1:]
        _agent(kind, int(numbers[0]), int(numbers[1]), float(numbers[2]))
        return 0
    if arguments[:1] == ["site"]:
        _site(arguments[1], int(arguments[2]), int(arguments[3]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embed")
    parser.add_argument("--nginx", default=findNginx(), help="nginx's binary")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args(arguments)
    if options.nginx is None:
        print("there is no nginx", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        server, port = startOrigin(options.nginx, Path(folder) / "origin", _OTHERS)
        try:
            for name, measure in (("agent", _agents), ("resource", _sites)):
                found: dict[str, list[float]] = {"theirs": [], "ours": []}
                for _ in range(options.rounds):
                    for kind, rate in measure(port, options):
                        found[kind].append(rate)
                ours, theirs = (statistics.median(found[k]) for k in ("ours", "theirs"))
                print(
                    f"{name}: twisted.web {theirs:.0f}/s, ours {ours:.0f}/s,"
                    f" ratio {ours / theirs:.2f}"
                )
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
