"""
HTTP beside nginx and twisted.web.proxy: writes RESULTS.md.

    python -m benchmarks [--python PATH]... [--only SCENARIO]...
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.balance import kept
from benchmarks.contenders import (
    LARGE,
    LARGE_BYTES,
    MIDDLE,
    SMALL,
    VALUE,
    Contender,
    Place,
    Program,
    interpreter,
    nginxAndOurs,
    startOrigin,
    startStore,
)
from benchmarks.load import SlowReader, download, loop
from benchmarks.measures import atRate, perDownload, perIdleClient, perRequest
from benchmarks.processes import forgetPeak, peakBytes, residentBytes
from benchmarks.report import (
    CPU,
    CPU_GIB,
    EQUAL_RATE,
    GROWTH,
    MEMORY,
    P99,
    RATE,
    SECONDS,
    Column,
    Figures,
    heading,
    tables,
)
from benchmarks.rounds import Scenario, addRate, makeParser, measured, parse
from tests.support.nginx import CHECKOUT

#: The same file for nginx and for ours.
_PROXY = """
daemon off;
pid nginx.pid;
worker_processes 1;
error_log error.log;
worker_rlimit_nofile 16384;
events {
    worker_connections 16000;
}
http {
    access_log off;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    upstream origin {
        server 127.0.0.1:%(origin)d;
        keepalive 32;
        keepalive_requests 1000000000;
    }
    upstream store {
        server 127.0.0.1:%(store)d;
        keepalive 32;
        keepalive_requests 1000000000;
    }
    server {
        listen 127.0.0.1:%(port)d;
        location = /value {
            set $memcached_key value;
            memcached_pass store;
        }
        location / {
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
"""

_WEB_PROXY = "%(port)d %(origin)d"


class Benchmark:
    """
    The scenarios, and what they need.
    """

    def __init__(self, options: argparse.Namespace, place: Place) -> None:
        """
        Start the servers behind.
        """
        self._options = options
        self._place = place
        self._core = place.otherCore
        self._origin, origin = startOrigin(
            options.nginx, place.folder / "origin", self._core
        )
        download(origin, LARGE, self._core)  # into the page cache
        self._store = startStore(place.folder, self._core)
        if self._store is None:
            print("memcached: it is not installed", flush=True)
        values = {"origin": origin, "store": self._store.port if self._store else 1}
        programs = nginxAndOurs(options.nginx, options.python, _PROXY)
        if not options.no_web_proxy:
            python = options.python[0]
            command = [python, "-m", "benchmarks.webproxy"]
            name = f"twisted.web.proxy, {interpreter(python)}"
            programs.append(Program(name, "web.proxy", command, _WEB_PROXY))
        self.starters = [
            partial(place.start, program, ["port"], values) for program in programs
        ]

    def stop(self) -> None:
        """
        End the servers behind.
        """
        if self._store is not None:
            self._store.stop()
        self._origin.stop()

    def scenarios(self) -> list[Scenario]:
        """
        All, in the order of the report.
        """
        options = self._options
        rate = f"{options.rate:,} requests/s for all"
        requests, equal = [RATE, P99, CPU], [P99, CPU]
        found = [
            self._loop("small", "Small GET, connections kept", SMALL, requests),
            self._steady("small-rate", f"Small GET, {rate}", SMALL, equal),
            self._loop("close", "Small GET, a connection for each", SMALL, requests),
            self._loop("100k", "Body of 100 kB, connections kept", MIDDLE, requests),
        ]
        if self._store is not None:
            name = "Value of 100 bytes from memcached"
            found += [
                self._loop("memcached", name, VALUE, requests),
                self._steady("memcached-rate", f"{name}, {rate}", VALUE, equal),
            ]
        small = partial(self._requests, SMALL, False, options.warmup)
        larger = partial(self._requests, MIDDLE, False, 1)
        return [
            *found,
            Scenario(
                name="1g",
                title="Body of 1 GiB",
                columns=[SECONDS, CPU_GIB],
                measure=self._large,
                warmUp=[small, larger] if options.warmup else [],
                mostRounds=3,
            ),
            Scenario(
                name="idle",
                title="Idle clients",
                columns=[MEMORY],
                measure=self._idle,
                warmUp=[small] if options.warmup else [],
                isFresh=True,
            ),
            Scenario(
                name="slow",
                title="Body of 1 GiB to a slow reader (4 MiB/s for 10 s, then as fast"
                " as it can)",
                columns=[GROWTH],
                measure=self._slow,
                warmUp=[small, larger] if options.warmup else [],
                isFresh=True,
            ),
        ]

    def _loop(
        self, name: str, title: str, path: str, columns: list[Column]
    ) -> Scenario:
        measure = partial(self._requests, path, name == "close")
        return self._timed(name, title, path, columns, measure)

    def _steady(
        self, name: str, title: str, path: str, columns: list[Column]
    ) -> Scenario:
        return self._timed(name, title, path, columns, partial(self._atRate, path))

    def _timed(
        self,
        name: str,
        title: str,
        path: str,
        columns: list[Column],
        measure: Callable[[int, Contender], Figures],
    ) -> Scenario:
        options = self._options
        return Scenario(
            name=name,
            title=title,
            columns=columns,
            measure=partial(measure, options.seconds),
            warmUp=[partial(measure, options.warmup)] if options.warmup else [],
            # It speaks HTTP only.
            without=["web.proxy"] if path == VALUE else [],
        )

    def _requests(
        self, path: str, close: bool, seconds: int, contender: Contender
    ) -> Figures:
        return perRequest(
            contender,
            partial(
                loop,
                contender.ports["port"],
                path,
                connections=self._options.connections,
                seconds=seconds,
                close=close,
                core=self._core,
            ),
        )

    def _atRate(self, path: str, seconds: int, contender: Contender) -> Figures:
        return atRate(
            contender,
            contender.ports["port"],
            path,
            rate=self._options.rate,
            connections=self._options.connections,
            seconds=seconds,
            core=self._core,
        )

    def _large(self, contender: Contender) -> Figures:
        port = contender.ports["port"]
        return perDownload(contender, partial(download, port, LARGE, self._core))

    def _idle(self, contender: Contender) -> Figures:
        port = contender.ports["port"]
        return perIdleClient(contender, port, SMALL, self._options.idle)

    def _slow(self, contender: Contender) -> Figures:
        pid = contender.server.pid
        forgetPeak(pid)
        before = residentBytes(pid)
        reader = SlowReader(contender.ports["port"], LARGE)
        reader.read(10, 4 << 20)
        count = reader.finish()
        if count != LARGE_BYTES:
            raise ValueError(f"{count} bytes of {LARGE_BYTES}")
        return Figures(memory=peakBytes(pid) - before)


SCENARIOS = (
    *("small", "small-rate", "close", "100k", "memcached", "memcached-rate"),
    *("1g", "idle", "slow"),
)


def main(arguments: list[str]) -> int:
    """
    Run, print, write.

    @return: the exit status.
    """
    parser = makeParser(
        "benchmarks",
        "Ours beside nginx and twisted.web.proxy.",
        rounds=5,
        seconds=4,
        warmup=3,
    )
    parser.add_argument(
        "--only", action="append", choices=SCENARIOS, help="a scenario, repeatable"
    )
    parser.add_argument("--idle", type=int, default=5000, help="idle clients")
    parser.add_argument(
        "--no-web-proxy", action="store_true", help="leave twisted.web.proxy out"
    )
    addRate(parser)
    options = parse(parser, arguments)
    scenarios, rounds = measured(options, Benchmark)
    lines = heading(
        "Benchmark results",
        "benchmarks",
        f"{options.connections} connections; {options.idle:,} idle clients.",
        "Each proxy alone on one core; nginx as the back end and the clients share"
        " another, which limits the rate of the fastest: compare CPU time.",
        *EQUAL_RATE,
    )
    text = "\n".join([*lines, *tables(scenarios, rounds)]) + "\n"
    print(text)
    output = options.output or Path(__file__).parent / "RESULTS.md"
    # What benchmarks.balance has measured is not ours to forget.
    other = kept(output.read_text()) if output.exists() else ""
    output.write_text(text + other)
    return 0


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main(sys.argv[1:]))
