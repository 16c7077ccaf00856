"""
TCP through C{stream} beside nginx and HAProxy: bulk in both directions, request and
response, connections, idle sessions, bursts.

    python -m benchmarks.stream [--python PATH]... [--haproxy PATH]
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.contenders import (
    LARGE,
    SMALL,
    Contender,
    Place,
    Program,
    nginxAndOurs,
    pinned,
    startOrigin,
    versionOf,
)
from benchmarks.load import burst, download, loop, sink, upload
from benchmarks.measures import perDownload, perIdleClient, perRequest
from benchmarks.report import (
    CPU,
    CPU_GIB,
    MEMORY,
    P99,
    RATE,
    SECONDS,
    Column,
    Figures,
    heading,
    tables,
)
from benchmarks.rounds import Measure, Scenario, makeParser, measured, parse
from tests.support.nginx import CHECKOUT, RunningServer

SCENARIOS = ("download", "upload", "pingpong", "connect", "burst", "idle")

#: The same file for nginx and for ours.
_PROXY = """
daemon off;
pid nginx.pid;
worker_processes 1;
error_log error.log;
worker_rlimit_nofile 20000;
events {
    worker_connections 19000;
}
stream {
    upstream origin { server 127.0.0.1:%(origin)d; }
    upstream sink { server 127.0.0.1:%(sink)d; }
    server { listen 127.0.0.1:%(port)d; proxy_pass origin; }
    server { listen 127.0.0.1:%(upload)d; proxy_pass sink; }
}
"""

_HAPROXY = """
global
    nbthread 1
    maxconn 9000
    pidfile nginx.pid
defaults
    mode tcp
    timeout connect 60s
    timeout client 600s
    timeout server 600s
listen origin
    bind 127.0.0.1:%(port)d
    server one 127.0.0.1:%(origin)d
listen sink
    bind 127.0.0.1:%(upload)d
    server one 127.0.0.1:%(sink)d
"""


class HAProxy(RunningServer):
    """
    C{haproxy}, which takes its configuration in another way and is ready as soon as it
    listens.
    """

    def __init__(self, command: list[str], prefix: Path, configuration: str) -> None:
        path = prefix / "haproxy.cfg"
        path.write_text(configuration)
        with open(prefix / "output", "wb") as output:
            self._process = subprocess.Popen(
                [*command, "-db", "-f", str(path)],
                cwd=prefix,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.prefix = prefix
        self.pid = self._process.pid


class Benchmark:
    """
    The scenarios, and what they need.
    """

    def __init__(self, options: argparse.Namespace, place: Place) -> None:
        """
        Start the origin and the sink.
        """
        self._options = options
        self._core = core = place.otherCore
        self._origin, origin = startOrigin(options.nginx, place.folder / "origin", core)
        self._source = str(place.folder / "origin" / "files" / LARGE[1:])
        download(origin, LARGE, core)  # into the page cache
        listening = socket.create_server(("127.0.0.1", 0))
        values = {"origin": origin, "sink": listening.getsockname()[1]}
        with listening:
            self._sink = subprocess.Popen(
                pinned(core, [sys.executable, "-m", "benchmarks.stream"])
                + ["--sink", str(listening.fileno())],
                cwd=CHECKOUT,
                pass_fds=[listening.fileno()],
            )
        programs = nginxAndOurs(options.nginx, options.python, _PROXY)
        if options.haproxy is not None:
            version = versionOf([options.haproxy, "-v"]).split()[2].partition("-")[0]
            command = [options.haproxy]
            programs.append(
                Program(f"HAProxy {version}", "haproxy", command, _HAPROXY, HAProxy)
            )
        self.starters = [
            partial(place.start, program, ["port", "upload"], values)
            for program in programs
        ]

    def stop(self) -> None:
        """
        End the origin and the sink; contenders end with their scenarios.
        """
        self._sink.kill()
        self._sink.wait()
        self._origin.stop()

    def scenarios(self) -> list[Scenario]:
        """
        All, in the order of the report.
        """
        options = self._options
        large, requests = [SECONDS, CPU_GIB], [RATE, P99, CPU]
        kept = partial(self._requests, False)
        each = partial(self._requests, True)
        said: list[tuple[str, str, list[Column], Measure]] = [
            ("download", "1 GiB from the server", large, self._download),
            ("upload", "1 GiB from the client", large, self._upload),
            (
                "pingpong",
                "Request and response, connections kept",
                requests,
                partial(kept, options.seconds),
            ),
            (
                "connect",
                "Request and response, a connection for each",
                requests,
                partial(each, options.seconds),
            ),
            (
                "burst",
                "A burst of connections, each with a request",
                [SECONDS],
                self._burst,
            ),
            (
                "idle",
                "Idle sessions",
                [replace(MEMORY, title="KiB/session")],
                self._idle,
            ),
        ]
        warmUp: list[Measure] = []
        if options.warmup:
            warmUp = [partial(kept, options.warmup), partial(each, options.warmup)]
        return [
            Scenario(
                name=name,
                title=title,
                columns=columns,
                measure=measure,
                warmUp=warmUp,
                isFresh=name == "idle",
            )
            for name, title, columns, measure in said
        ]

    def _download(self, contender: Contender) -> Figures:
        port = contender.ports["port"]
        return perDownload(contender, partial(download, port, LARGE, self._core))

    def _upload(self, contender: Contender) -> Figures:
        port = contender.ports["upload"]
        return perDownload(contender, partial(upload, port, self._source, self._core))

    def _requests(self, close: bool, seconds: int, contender: Contender) -> Figures:
        return perRequest(
            contender,
            partial(
                loop,
                contender.ports["port"],
                SMALL,
                connections=self._options.connections,
                seconds=seconds,
                close=close,
                core=self._core,
            ),
        )

    def _idle(self, contender: Contender) -> Figures:
        port = contender.ports["port"]
        return perIdleClient(contender, port, SMALL, self._options.idle)

    def _burst(self, contender: Contender) -> Figures:
        start = time.monotonic()
        port = contender.ports["port"]
        lost = burst(port, SMALL, self._options.burst, self._core)
        return Figures(seconds=time.monotonic() - start, errors=lost)


def main(arguments: list[str]) -> int:
    """
    Run, print, write.

    @return: the exit status.
    """
    parser = makeParser(
        "benchmarks.stream",
        "TCP through stream beside nginx and HAProxy.",
        rounds=5,
        seconds=3,
        warmup=2,
    )
    parser.add_argument(
        "--haproxy", default=shutil.which("haproxy"), help="HAProxy's binary"
    )
    parser.add_argument(
        "--only", action="append", choices=SCENARIOS, help="a scenario, repeatable"
    )
    parser.add_argument("--idle", type=int, default=8000, help="idle sessions")
    parser.add_argument("--burst", type=int, default=1000, help="connections at once")
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    options = parse(parser, arguments)
    if options.sink is not None:
        sink(socket.socket(fileno=options.sink))
    scenarios, rounds = measured(options, Benchmark)
    lines = heading(
        "Benchmark results of stream",
        "benchmarks.stream",
        f"{options.connections} connections; {options.idle:,} idle sessions; bursts of"
        f" {options.burst:,}.",
        "Each proxy alone on one core, TCP through `stream` or `mode tcp` with the"
        " defaults of each; nginx as the server and the clients share another, which"
        " limits rates and seconds: compare CPU time, which the scheduler counts.",
    )
    text = "\n".join([*lines, *tables(scenarios, rounds)]) + "\n"
    print(text)
    (options.output or Path(__file__).parent / "STREAM.md").write_text(text)
    return 0


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main(sys.argv[1:]))
