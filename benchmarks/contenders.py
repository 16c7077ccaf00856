"""
Who is measured: nginx, ours under one or more interpreters, twisted.web.proxy; and the
origin behind all of them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import SkipTest

from tests.support import stores
from tests.support.nginx import RunningServer, freePort, oursCommand

SMALL = "/small"
MIDDLE = "/100k"
LARGE = "/1g"
VALUE = "/value"
LARGE_BYTES = 1 << 30

#: The same file for nginx and for ours.
PROXY = """
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


@dataclass
class Contender:
    """
    A running proxy.

    @ivar name: as it stands in the table.
    @ivar kind: C{nginx}, C{ours} or C{web.proxy}.
    """

    name: str
    kind: str
    server: RunningServer
    port: int


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


@dataclass
class Backends:
    """
    What is behind the proxies, by port.
    """

    origin: int
    store: int


def startNginx(nginx: str, folder: Path, backends: Backends, core: int) -> Contender:
    """
    Real nginx as a proxy.
    """
    return _start(versionOf([nginx, "-v"]), "nginx", [nginx], folder, backends, core)


def startOurs(python: str, folder: Path, backends: Backends, core: int) -> Contender:
    """
    Ours under one interpreter.
    """
    name = f"twisted_upstream, {interpreter(python)}"
    return _start(name, "ours", oursCommand(python), folder, backends, core)


def startWebProxy(python: str, folder: Path, origin: int, core: int) -> Contender:
    """
    C{twisted.web.proxy.ReverseProxyResource}.
    """
    folder.mkdir()
    folder.chmod(0o755)
    port = freePort()
    command = [python, "-m", "benchmarks.webproxy", str(port), str(origin)]
    server = RunningServer(pinned(core, command), folder, "")
    return Contender(
        f"twisted.web.proxy, {interpreter(python)}", "web.proxy", server, port
    )


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


def _start(
    name: str,
    kind: str,
    command: list[str],
    folder: Path,
    backends: Backends,
    core: int,
) -> Contender:
    folder.mkdir()
    folder.chmod(0o755)
    port = freePort()
    text = PROXY % {"port": port, "origin": backends.origin, "store": backends.store}
    return Contender(
        name, kind, RunningServer(pinned(core, command), folder, text), port
    )


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
