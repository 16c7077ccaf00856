"""
TLS beside nginx: CPU time per small request, per handshake and per byte, with TLS
towards clients, towards servers, and both.  Writes TLS.md.

    python -m benchmarks.tls [--python PATH]... [--only PART]...

Needs wrk and openssl.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.contenders import Contender, Place, nginxAndOurs, pinned
from benchmarks.load import Load, loop
from benchmarks.measures import atRate, perRequest
from benchmarks.report import CPU, EQUAL_RATE, Figures, heading, table
from benchmarks.rounds import Scenario, addRate, makeParser, measured, parse
from tests.support.certificates import authority, issue
from tests.support.nginx import CHECKOUT, RunningServer, freePort

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


#: Takes seconds.
_Measure = Callable[[int, Contender], Figures]


class Benchmark:
    """
    The scenarios, and what they need.
    """

    def __init__(self, options: argparse.Namespace, place: Place) -> None:
        """
        Make certificates, and start the server behind.
        """
        self._options = options
        self._core = place.otherCore
        folder = place.folder
        _prepare(folder)
        values: dict[str, object] = {"folder": folder}
        origin = folder / "origin"
        origin.mkdir()
        origin.chmod(0o755)
        ports = {"plain": freePort(), "tls": freePort()}
        command = pinned(self._core, [options.nginx])
        self._origin = RunningServer(command, origin, _ORIGIN % {**values, **ports})
        values |= {"originPlain": ports["plain"], "originTLS": ports["tls"]}
        self.starters = [
            partial(place.start, program, ["plain", "tls"], values)
            for program in nginxAndOurs(options.nginx, options.python, _PROXY)
        ]

    def stop(self) -> None:
        """
        End the server behind.
        """
        self._origin.stop()

    def scenarios(self) -> list[Scenario]:
        """
        Those that were asked for by a part of their names.
        """
        plain, tls = self._plain, self._tls
        full, again = (
            partial(self._handshakes, "-new"),
            partial(self._handshakes, "-reuse"),
        )
        rate = f"{self._options.rate:,}/s for all"
        said: dict[str, _Measure] = {
            "no TLS, small": plain("/plain/small"),
            "clients, small": tls("/plain/small"),
            "servers, small": plain("/secure/small"),
            "both, small": tls("/secure/small"),
            f"clients, small, {rate}": self._steady("/plain/small", "tls"),
            f"servers, small, {rate}": self._steady("/secure/small", "plain"),
            f"both, small, {rate}": self._steady("/secure/small", "tls"),
            "clients, 100 kB": tls("/plain/100k"),
            "servers, 100 kB": plain("/secure/100k"),
            "clients, full handshake 1.3": tls("/own", close=True),
            "clients, full handshake 1.2": partial(full, "-tls1_2"),
            "clients, resumed 1.2": partial(again, "-tls1_2"),
            "clients, resumed 1.3": partial(again, "-tls1_3"),
            "servers, full handshake 1.3": plain("/secure/once"),
            "servers, resumed 1.3": plain("/secure/again"),
        }
        options = self._options
        return [
            Scenario(
                name=name,
                title=name,
                columns=[CPU],
                measure=partial(measure, options.seconds),
                warmUp=[partial(measure, options.warmup)] if options.warmup else [],
            )
            for name, measure in said.items()
            if not options.part or any(part in name for part in options.part)
        ]

    def _plain(self, path: str) -> _Measure:
        return partial(self._requests, path, "plain", False)

    def _tls(self, path: str, close: bool = False) -> _Measure:
        return partial(self._requests, path, "tls", close)

    def _requests(
        self, path: str, port: str, close: bool, seconds: int, contender: Contender
    ) -> Figures:
        return perRequest(
            contender,
            partial(
                loop,
                contender.ports[port],
                path,
                connections=self._options.connections,
                seconds=seconds,
                close=close,
                core=self._core,
                tls=port == "tls",
            ),
        )

    def _steady(self, path: str, port: str) -> _Measure:
        return lambda seconds, contender: atRate(
            contender,
            contender.ports[port],
            path,
            rate=self._options.rate,
            connections=self._options.connections,
            seconds=seconds,
            core=self._core,
            tls=port == "tls",
        )

    def _handshakes(
        self, kind: str, version: str, seconds: int, contender: Contender
    ) -> Figures:
        """
        Connections of OpenSSL's own client, one after the other.
        """
        command = [
            *("openssl", "s_time", "-connect", f"127.0.0.1:{contender.ports['tls']}"),
            *("-www", "/own", "-time", str(seconds), kind, version),
        ]

        def run() -> Load:
            done = subprocess.run(
                pinned(self._core, command), capture_output=True, text=True
            )
            said = done.stdout + done.stderr
            found = re.findall(r"(\d+) connections in \d+ real seconds", said)
            if not found:
                raise ValueError(said)
            return Load(int(found[-1]), 0, seconds, None)

        return perRequest(contender, run)


def _prepare(folder: Path) -> None:
    root = authority()
    server = issue("good.example", root)
    (folder / "root.crt").write_bytes(root.pem)
    (folder / "server.crt").write_bytes(server.pem)
    (folder / "server.key").write_bytes(server.keyPem)
    (folder / "100k").write_bytes(os.urandom(100_000))


def main(arguments: list[str]) -> int:
    """
    Run, print, write.

    @return: the exit status.
    """
    parser = makeParser(
        "benchmarks.tls", "TLS beside nginx.", rounds=3, seconds=4, warmup=2
    )
    addRate(parser)
    parser.add_argument(
        "--only",
        action="append",
        dest="part",
        metavar="PART",
        help="scenarios with this in their names, repeatable",
    )
    parser.set_defaults(only=None)
    options = parse(parser, arguments)
    scenarios, rounds = measured(options, Benchmark)
    lines = heading(
        "Benchmark results of TLS",
        "benchmarks.tls",
        f"{options.connections} connections.",
        "CPU µs of each proxy, alone on one core, for a request or a handshake, with"
        " TLS towards clients, towards servers, or both; nginx as the server and the"
        " clients share another.",
        *EQUAL_RATE,
    )
    text = "\n".join([*lines, *table(scenarios, rounds)]) + "\n"
    print(text)
    (options.output or Path(__file__).parent / "TLS.md").write_text(text)
    return 0


if __name__ == "__main__":
    os.chdir(CHECKOUT)
    sys.exit(main(sys.argv[1:]))
