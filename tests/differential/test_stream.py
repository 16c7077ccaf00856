"""
C{stream} beside nginx: the same connections, the same logs.
"""

from __future__ import annotations

import re
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.nginx import (
    RunningServer,
    findNginx,
    freePort,
    oursCommand,
    reservePort,
)

CONFIGURATION = """
daemon off; pid nginx.pid; error_log error.log info; events { }
stream {
    log_format test '$protocol $status $bytes_received $bytes_sent $upstream_addr'
        ' $upstream_bytes_sent $upstream_bytes_received $server_port';
    access_log access.log test;
    upstream two { server 127.0.0.1:%(refused)d; server 127.0.0.1:%(echo)d; }
    server { listen 127.0.0.1:%(a)d; proxy_pass two; }
    server { listen 127.0.0.1:%(b)d; proxy_pass 127.0.0.1:%(refused)d; }
    server { listen 127.0.0.1:%(c)d; proxy_protocol on; proxy_pass 127.0.0.1:%(echo)d; }
    server { listen 127.0.0.1:%(d)d; deny all; return never; }
    server { listen 127.0.0.1:%(e)d; return "$remote_addr $server_port $protocol"; }
    server { listen 127.0.0.1:%(f)d proxy_protocol; set_real_ip_from 127.0.0.1;
        return "$remote_addr $remote_port $realip_remote_addr"; }
    server { listen 127.0.0.1:%(g)d; pass 127.0.0.1:%(e)d; }
}
"""

PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 5678\r\n"


class StreamTests(SynchronousTestCase):
    """
    What clients hear and what is logged is the same.
    """

    def setUp(self) -> None:
        nginx = findNginx()
        if nginx is None:
            raise SkipTest("there is no nginx")
        self.nginx = nginx

    def play(self, command: list[str]) -> list[str]:
        """
        The scene with one program.

        @return: what was heard and logged, without what differs between two runs.
        """
        refused = reservePort()
        echo = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(refused.close)
        self.addCleanup(echo.close)
        ports = {name: freePort() for name in "abcdefg"}
        ports["refused"] = refused.getsockname()[1]
        ports["echo"] = echo.getsockname()[1]
        prefix = Path(tempfile.mkdtemp())
        server = RunningServer(command, prefix, CONFIGURATION % ports)
        heard = []
        try:
            for name, data in (
                ("a", b"hello"),
                ("b", b"hello"),
                ("c", b"hello"),
                ("d", b""),
                ("e", b""),
                ("f", PROXY),
                ("f", b"no header at all\r\n"),
                ("f", PROXY.replace(b"TCP4", b"TCP9")),
                ("g", b""),
            ):
                client = socket.create_connection(("127.0.0.1", ports[name]))
                client.settimeout(10)
                client.sendall(data)
                if name in "ac":
                    other, _ = echo.accept()
                    other.settimeout(10)
                    text = b""
                    while not text.endswith(b"hello"):
                        text += other.recv(1000)
                    other.sendall(b"<" + text + b">")
                    other.close()
                text = b""
                try:
                    while more := client.recv(1000):
                        text += more
                except ConnectionResetError:
                    # Whether what the client has sent was read before is chance.
                    pass
                port = client.getsockname()[1]
                client.close()
                heard.append(text.decode().replace(f" {port} ", " CLIENT "))
        finally:
            server.stop()
        logged = server.lines("access.log") + [
            line
            for line in server.lines("error.log")
            if "client" in line and "temporarily disabled" not in line
        ]
        lines = []
        for line in heard + logged:
            line = re.sub(
                r"^[0-9/]+ [0-9:]+ (\[\w+\]) [0-9#]+: (\*\d+ )?", r"\1 ", line
            )
            line = re.sub(r"^(\[\w+\] )\*\d+ ", r"\1", line)
            line = re.sub(r"(client|proxy) 127.0.0.1:\d+", r"\1 127.0.0.1:PORT", line)
            for name, number in ports.items():
                line = line.replace(str(number), name.upper())
            lines.append(line)
        return lines

    def test_same(self) -> None:
        """
        Next servers, failures, PROXY headers, access, return, pass: as nginx.
        """
        expected = self.play([self.nginx])
        actual = self.play(oursCommand())
        self.maxDiff = None
        self.assertEqual(actual, expected)
