"""
UDP in C{stream} beside nginx: the same datagrams, the same logs.
"""

from __future__ import annotations

import re
import shutil
import socket
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.nginx import RunningServer, findNginx, freePort, oursCommand

CONFIGURATION = """
daemon off; pid nginx.pid; error_log error.log info; events { }
stream {
    log_format test '$protocol $status $bytes_received $bytes_sent $upstream_addr'
        ' $upstream_bytes_sent $upstream_bytes_received $server_port';
    access_log access.log test;
    proxy_timeout 400ms;
    upstream two { server 127.0.0.1:%(refused)d; server 127.0.0.1:%(echo)d; }
    server { listen 127.0.0.1:%(one)d udp; proxy_responses 1;
        proxy_pass 127.0.0.1:%(echo)d; }
    server { listen 127.0.0.1:%(none)d udp; proxy_pass 127.0.0.1:%(mute)d;
        proxy_responses 0; }
    server { listen 127.0.0.1:%(many)d udp; proxy_pass 127.0.0.1:%(echo)d; }
    server { listen 127.0.0.1:%(missing)d udp; proxy_responses 1;
        proxy_pass 127.0.0.1:%(mute)d; }
    server { listen 127.0.0.1:%(next)d udp; proxy_pass two;
        proxy_responses 1; }
    server { listen 127.0.0.1:%(two)d udp; proxy_responses 1;
        proxy_pass 127.0.0.1:%(echo)d;
        proxy_requests 2; }
    server { listen 127.0.0.1:%(header)d udp; proxy_responses 1;
        proxy_pass 127.0.0.1:%(echo)d;
        proxy_protocol on; }
    server { listen 127.0.0.1:%(deny)d udp; deny all; return never; }
    server { listen 127.0.0.1:%(text)d udp;
        return "$remote_addr $server_addr $server_port $protocol"; }
    server { listen 127.0.0.1:%(pass)d udp; pass 127.0.0.1:1; }
}
"""

#: To which server, the datagrams, and how many of them are answered.
STEPS: tuple[tuple[str, tuple[bytes, ...], int], ...] = (
    ("one", (b"hello",), 1),
    ("one", (b"",), 1),
    ("one", (b"x" * 9000,), 1),
    ("none", (b"hello",), 0),
    ("many", (b"a", b"b", b""), 3),
    ("missing", (b"hello",), 0),
    # The first server refuses, which stands for an answer; then it is not asked.
    ("next", (b"hello",), 0),
    ("next", (b"hello",), 1),
    ("next", (b"hello",), 1),
    ("two", (b"a", b"b"), 2),
    ("two", (b"a",), 1),
    ("header", (b"hello",), 1),
    ("deny", (b"hello",), 0),
    ("text", (b"hello",), 1),
    ("pass", (b"hello",), 0),
)


class UDPTests(SynchronousTestCase):
    """
    What clients hear and what is logged is the same.
    """

    def setUp(self) -> None:
        nginx = findNginx()
        if nginx is None:
            raise SkipTest("there is no nginx")
        self.nginx = nginx

    def bound(self) -> socket.socket:
        """
        A socket of ours.
        """
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.bind(("127.0.0.1", 0))
        made.settimeout(10)
        return made

    def play(self, command: list[str]) -> list[str]:
        """
        All steps with one program, each to the end of its session.

        @return: what was heard and logged, without what differs between two runs.
        """
        echo, mute, refused = self.bound(), self.bound(), self.bound()
        names = re.findall(r"listen 127.0.0.1:%\((\w+)\)d", CONFIGURATION)
        ports = {name: freePort() for name in names}
        for name, sock in (("echo", echo), ("mute", mute), ("refused", refused)):
            ports[name] = sock.getsockname()[1]
        refused.close()
        prefix = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, prefix)
        server = RunningServer(command, prefix, CONFIGURATION % ports)
        heard = []
        try:
            for number, (name, datagrams, answers) in enumerate(STEPS, 1):
                client = self.bound()
                client.connect(("127.0.0.1", ports[name]))
                for index, datagram in enumerate(datagrams):
                    client.send(datagram)
                    if index < answers and name not in ("text",):
                        data, place = echo.recvfrom(65536)
                        echo.sendto(b"<" + data + b">", place)
                    if index < answers:
                        text = client.recv(65536)
                        port = b" %d " % client.getsockname()[1]
                        heard.append(f"{name}: {text.replace(port, b' CLIENT ')!r}")
                self._await(server, number)
        finally:
            server.stop()
        logged = server.lines("access.log") + [
            line for line in server.lines("error.log") if "*" in line
        ]
        lines = []
        for line in heard + logged:
            line = re.sub(
                r"^[0-9/]+ [0-9:]+ (\[\w+\]) [0-9#]+: (\*\d+ )?", r"\1 ", line
            )
            line = re.sub(r"^(\[\w+\] )\*\d+ ", r"\1", line)
            line = re.sub(r"(client|proxy) 127.0.0.1:\d+", r"\1 127.0.0.1:PORT", line)
            # Texts of errors differ between C libraries.
            line = re.sub(r"\((\d+): [^)]*\)", r"(\1)", line)
            for name, number in ports.items():
                line = re.sub(rf"\b{number}\b", name.upper(), line)
            lines.append(line)
        return lines

    def _await(self, server: RunningServer, number: int) -> None:
        deadline = time.monotonic() + 10
        while len(server.lines("access.log")) < number:
            self.assertLess(time.monotonic(), deadline, f"step {number} does not end")
            time.sleep(0.005)

    def test_same(self) -> None:
        """
        Counts, time-outs, refusals, next sessions, PROXY headers, access, return, pass:
        as nginx.
        """
        expected = self.play([self.nginx])
        actual = self.play(oursCommand())
        self.maxDiff = None
        self.assertEqual(actual, expected)
