"""
TLS beside nginx: CPU time per small request, per handshake and per byte, with TLS
towards clients, towards servers, and both.

Run as C{python -m benchmarks.tls}; needs wrk and openssl.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import cpuSeconds
from tests.support.certificates import authority, issue
from tests.support.nginx import RunningServer, findNginx, freePort, oursCommand

_HEAD = """
daemon off;
pid nginx.pid;
worker_processes 1;
error_log error.log;
worker_rlimit_nofile 16384;
events { worker_connections 16000; }
http {
    access_log off;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    ssl_certificate %(folder)s/server.crt;
    ssl_certificate_key %(folder)s/server.key;
    ssl_session_cache shared:s:10m;
"""

_ORIGIN = (
    _HEAD
    + """
    server {
        listen 127.0.0.1:%(plain)d;
        listen 127.0.0.1:%(tls)d ssl;
        root %(folder)s;
        location = /small { default_type text/plain; return 200 "hello, world\\n"; }
        location = /once { keepalive_timeout 0; return 200 "hello, world\\n"; }
    }
}
"""
)

_PROXY = (
    _HEAD
    + """
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate %(folder)s/root.crt;
    proxy_ssl_name good.example;
    upstream plain { server 127.0.0.1:%(originPlain)d; keepalive 32; }
    upstream secure { server 127.0.0.1:%(originTLS)d; keepalive 32; }
    server {
        listen 127.0.0.1:%(plain)d;
        listen 127.0.0.1:%(tls)d ssl;
        location /plain/ { proxy_pass http://plain/; }
        location /secure/ { proxy_pass https://secure/; }
        location /secure/once {
            proxy_ssl_session_reuse off;
            proxy_pass https://secure/once;
        }
        location /secure/again { proxy_pass https://secure/once; }
        location = /own { default_type text/plain; return 200 "hello, world\\n"; }
    }
}
"""
)


@dataclass
class Proxy:
    """
    A running proxy.
    """

    name: str
    server: RunningServer
    plain: int
    tls: int


@dataclass
class Bench:
    """
    Where everything is.
    """

    folder: Path
    seconds: int

    def wrk(self, url: str, *, close: bool = False, connections: int = 32) -> int:
        """
        Requests in a closed loop.

        @return: how many were answered.
        """
        command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}"]
        command += [f"-d{self.seconds}s"]
        if close:
            command += ["-H", "Connection: close"]
        said = self.said([*command, url])
        found = re.search(r"(\d+) requests in", said)
        if found is None or "Non-2xx" in said:
            raise ValueError(said)
        return int(found[1])

    def times(self, port: int, path: str, *options: str) -> int:
        """
        Connections of OpenSSL's own client, one after the other.

        @return: how many there were.
        """
        said = self.said(
            [
                *("taskset", "-c", "1", "openssl", "s_time"),
                *("-connect", f"127.0.0.1:{port}", "-www", path),
                *("-time", str(self.seconds), *options),
            ]
        )
        found = re.findall(r"(\d+) connections in \d+ real seconds", said)
        if not found:
            raise ValueError(said)
        return int(found[-1])

    @staticmethod
    def said(command: list[str]) -> str:
        """
        What a program prints.
        """
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout + done.stderr


Scenario = Callable[[Bench, Proxy], int]


def _https(path: str, close: bool = False) -> Scenario:
    return lambda bench, proxy: bench.wrk(
        f"https://127.0.0.1:{proxy.tls}{path}", close=close
    )


def _http(path: str) -> Scenario:
    return lambda bench, proxy: bench.wrk(f"http://127.0.0.1:{proxy.plain}{path}")


#: Name: what is counted, and how.
SCENARIOS: dict[str, Scenario] = {
    "no TLS, small": _http("/plain/small"),
    "clients, small": _https("/plain/small"),
    "servers, small": _http("/secure/small"),
    "both, small": _https("/secure/small"),
    "clients, 100 kB": _https("/plain/100k"),
    "servers, 100 kB": _http("/secure/100k"),
    "clients, full handshake 1.3": _https("/own", close=True),
    "clients, full handshake 1.2": lambda bench, proxy: bench.times(
        proxy.tls, "/own", "-new", "-tls1_2"
    ),
    "clients, resumed 1.2": lambda bench, proxy: bench.times(
        proxy.tls, "/own", "-reuse", "-tls1_2"
    ),
    "clients, resumed 1.3": lambda bench, proxy: bench.times(
        proxy.tls, "/own", "-reuse", "-tls1_3"
    ),
    "servers, full handshake 1.3": _http("/secure/once"),
    "servers, resumed 1.3": _http("/secure/again"),
}


def main(arguments: list[str]) -> None:
    """
    Measure and print a table.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tls")
    parser.add_argument("--nginx", default=findNginx())
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seconds", type=int, default=4, help="of one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", help="part of a scenario's name")
    said = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    running: list[RunningServer] = []
    try:
        _prepare(folder)
        origin = _start(running, [said.nginx], folder, "origin", _ORIGIN, {})
        more = {"originPlain": origin.plain, "originTLS": origin.tls}
        proxies = [
            _start(running, [said.nginx], folder, "nginx", _PROXY, more),
            _start(running, oursCommand(said.python), folder, "ours", _PROXY, more),
        ]
        bench = Bench(folder, said.seconds)
        print("| CPU µs | nginx | ours | ratio |\n|---|--:|--:|--:|")
        for name, scenario in SCENARIOS.items():
            if said.only and not any(each in name for each in said.only):
                continue
            figures = [
                min(_round(bench, proxy, scenario) for _ in range(said.rounds))
                for proxy in proxies
            ]
            ratio = figures[1] / figures[0]
            print(
                f"| {name} | {figures[0]:.1f} | {figures[1]:.1f} | {ratio:.2f} |",
                flush=True,
            )
    finally:
        for each in running:
            each.stop()
        shutil.rmtree(folder)


def _prepare(folder: Path) -> None:
    root = authority()
    server = issue("good.example", root)
    (folder / "root.crt").write_bytes(root.pem)
    (folder / "server.crt").write_bytes(server.pem)
    (folder / "server.key").write_bytes(server.keyPem)
    (folder / "100k").write_bytes(os.urandom(100_000))


def _start(
    running: list[RunningServer],
    command: list[str],
    folder: Path,
    name: str,
    text: str,
    more: dict[str, int],
) -> Proxy:
    place = folder / name
    place.mkdir()
    place.chmod(0o755)
    plain, tls = freePort(), freePort()
    said = {"folder": folder, "plain": plain, "tls": tls, **more}
    core = "1" if name == "origin" else "0"
    server = RunningServer(["taskset", "-c", core, *command], place, text % said)
    running.append(server)
    return Proxy(name, server, plain, tls)


def _round(bench: Bench, proxy: Proxy, scenario: Scenario) -> float:
    """
    @return: microseconds of CPU per request or connection.
    """
    before = cpuSeconds(proxy.server.pid)
    count = scenario(bench, proxy)
    return (cpuSeconds(proxy.server.pid) - before) / max(count, 1) * 1e6


if __name__ == "__main__":
    main(sys.argv[1:])
