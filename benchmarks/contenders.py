"""
Who is measured: nginx, ours under one or more interpreters, others; and the origin
behind all of them.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import SkipTest

from tests.support import stores
from tests.support.nginx import RunningServer, StartFailed, freePort, oursCommand

SMALL = "/small"
MIDDLE = "/100k"
LARGE = "/1g"
VALUE = "/value"
LARGE_BYTES = 1 << 30

_ORIGIN = """
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
    sendfile on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    server {
        listen 127.0.0.1:%(port)d backlog=4096;
        root files;
        location = /small { default_type text/plain; return 200 "hello, world\\n"; }
    }
}
"""


@dataclass(frozen=True)
class Program:
    """
    A proxy that can be started.

    @ivar name: as it stands in the table.
    @ivar kind: C{nginx}, C{ours}, C{web.proxy} or C{haproxy}.
    @ivar command: the program and its first arguments.
    @ivar text: its configuration, with places for ports.
    @ivar start: makes the process.
    """

    name: str
    kind: str
    command: Sequence[str]
    text: str
    start: type[RunningServer] = RunningServer


@dataclass
class Contender:
    """
    A running proxy.

    @ivar ports: where it listens, by the names that they have in its configuration.
    """

    name: str
    kind: str
    server: RunningServer
    ports: Mapping[str, int]


def nginxAndOurs(nginx: str, pythons: Iterable[str], text: str) -> list[Program]:
    """
    Real nginx, and ours under each interpreter, with one configuration.
    """
    return [
        Program(versionOf([nginx, "-v"]), "nginx", [nginx], text),
        *(
            Program(
                f"twisted_upstream, {interpreter(python)}",
                "ours",
                oursCommand(python),
                text,
            )
            for python in pythons
        ),
    ]


class Place:
    """
    Where everything runs.

    @ivar folder: for everybody's files.
    @ivar proxyCore: the processor that the proxies have for themselves.
    @ivar otherCore: that of servers and clients.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        cores = sorted(os.sched_getaffinity(0))
        self.proxyCore, self.otherCore = cores[0], cores[-1]
        self._number = 0

    def start(
        self, program: Program, ports: Sequence[str], values: Mapping[str, object]
    ) -> Contender:
        """
        Start a contender, and return when it listens.

        @param ports: names of ports that it listens on.
        @param values: what else its configuration has places for.
        """
        self._number += 1
        folder = self.folder / f"proxy{self._number}"
        folder.mkdir()
        folder.chmod(0o755)
        chosen = {name: freePort() for name in ports}
        command = pinned(self.proxyCore, program.command)
        server = program.start(command, folder, program.text % {**values, **chosen})
        _awaitListening(chosen[ports[0]])
        return Contender(program.name, program.kind, server, chosen)


def _awaitListening(port: int) -> None:
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise StartFailed("a proxy does not listen")


def startOrigin(nginx: str, folder: Path, core: int) -> tuple[RunningServer, int]:
    """
    nginx with a small answer, a file of 100 kB and one of 1 GiB (of zeros).
    """
    folder.mkdir()
    folder.chmod(0o755)
    files = folder / "files"
    files.mkdir()
    (files / MIDDLE[1:]).write_bytes(b"x" * 100_000)
    with open(files / LARGE[1:], "wb") as large:
        large.truncate(LARGE_BYTES)
    port = freePort()
    server = RunningServer(pinned(core, [nginx]), folder, _ORIGIN % {"port": port})
    return server, port


def startStore(folder: Path, core: int) -> stores.Daemon | None:
    """
    memcached with one value of 100 bytes; C{None}: it is not there.
    """
    try:
        store = stores.memcached(str(folder), "taskset", "-c", str(core))
    except SkipTest:
        return None
    store.ask(b"set value 0 0 100\r\n" + b"x" * 100 + b"\r\n", b"STORED\r\n")
    return store


def interpreter(python: str) -> str:
    """
    An interpreter's name and version: C{CPython 3.11.2}, C{PyPy 7.3.19 (3.11)}.
    """
    script = (
        "import platform, sys; p = platform.python_version();"
        " i = '.'.join(map(str, sys.implementation.version[:3]));"
        " n = platform.python_implementation();"
        " print(n, p if n == 'CPython' else i + ' (' + p + ')')"
    )
    return versionOf([python, "-c", script])


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """
    C{command} on one processor.
    """
    return ["taskset", "-c", str(core), *command]


def versionOf(command: Sequence[str]) -> str:
    """
    What a program says that it is.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = (done.stdout + done.stderr).strip()
    return said.removeprefix("nginx version: ").replace("nginx/", "nginx ")
