"""
C{twisted-upstream demo}: three toy servers in the process and a group over them.

It is an ordinary configuration that an ordinary start serves; only the file is ours.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence

from .cli import NAME, CommandLine, say
from .commands import run

DEFAULT_PORT = 8080

_SERVERS = ("apple", "banana", "cherry")


def configurationText(port: int) -> str:
    """
    The configuration: the group on C{port}, its servers on the three ports after it.
    """
    ports = [port + 1 + index for index in range(len(_SERVERS))]
    group = "\n".join(f"        server 127.0.0.1:{number};" for number in ports)
    servers = "\n\n".join(
        f"""\
    server {{
        listen 127.0.0.1:{number};
        location / {{
            return 200 "{name} on port $server_port answers $request_uri\\n";
        }}
    }}"""
        for number, name in zip(ports, _SERVERS, strict=True)
    )
    return f"""\
daemon off;
pid nginx.pid;
error_log stderr warn;

events {{
}}

http {{
    access_log off;

    upstream fruits {{
{group}
        keepalive 8;
    }}

    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://fruits;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            add_header X-Served-By $upstream_addr;
        }}
    }}

{servers}
}}
"""


def readPort(words: Sequence[str]) -> int | None:
    """
    C{--port N}, C{--port=N} or nothing; C{None} if it is something else.
    """
    if not words:
        return DEFAULT_PORT
    option, equals, value = words[0].partition("=")
    rest = words[1:]
    if not equals and rest:
        value, rest = rest[0], rest[1:]
    if option != "--port" or rest or not value.isdigit():
        return None
    # Three more ports come after it.
    return int(value) if 0 < int(value) <= 65535 - len(_SERVERS) else None


def demo(words: Sequence[str]) -> int:
    """
    Serve the demonstration until it is interrupted.

    @param words: what follows C{demo} on the command line.
    @return: the exit code.
    """
    port = readPort(words)
    if port is None:
        say(f"usage: {NAME} demo [--port N]")
        return 1
    with tempfile.TemporaryDirectory(prefix=f"{NAME}-") as folder:
        text = configurationText(port)
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        command = CommandLine(prefix=folder, configuration=path, errorLog="stderr")

        def started() -> None:
            print(text)
            print(f"# This configuration is running. Ask it: curl -i 127.0.0.1:{port}/")
            print("# Each answer comes from the next server. Ctrl-C ends.")
            sys.stdout.flush()

        return run(command, started)
