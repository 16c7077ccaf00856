"""
Real programs, clients and servers, that talk through C{stream}.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.process.launch import environment
from tests.support.nginx import RunningServer, freePort, oursCommand

#: How much goes each way in the largest transfer.
TRANSFER = int(os.environ.get("STREAM_TRANSFER_MIB", "64")) << 20

_FRAME = """
daemon off;
pid nginx.pid;
error_log error.log info;
events {{ }}
stream {{
    log_format done '$protocol $status $bytes_received $bytes_sent';
    access_log access.log done;
    {0}
}}
"""

# Answers every name with its length, and writes a line when it listens.
_NAME_SERVER = """
import sys
from twisted.internet import reactor
from twisted.names import dns, server
class Names:
    def query(self, query, timeout=None):
        from twisted.internet.defer import succeed
        name = query.name.name
        if query.type == dns.TXT:
            payload = dns.Record_TXT(*[name * 4] * 20)
        else:
            payload = dns.Record_A("10.0.0.%d" % len(name))
        return succeed(([dns.RRHeader(name, query.type, dns.IN, 60, payload)], [], []))
factory = server.DNSServerFactory(clients=[Names()])
number = int(sys.argv[1])
reactor.listenUDP(number, dns.DNSDatagramProtocol(factory), interface="127.0.0.1")
reactor.listenTCP(number, factory, interface="127.0.0.1")
print("listens", flush=True)
reactor.run()
"""


class LiveCase(SynchronousTestCase):
    """
    One proxy, and programs around it.
    """

    def setUp(self) -> None:
        """
        A folder that programs of other users can read.
        """
        self.folder = Path(tempfile.mkdtemp())
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def proxy(self, text: str) -> RunningServer:
        """
        Start ours.

        @param text: the inside of C{stream}.
        """
        prefix = self.folder / "proxy"
        prefix.mkdir()
        made = RunningServer(oursCommand(), prefix, _FRAME.format(text))
        self.addCleanup(made.stop)
        return made

    def start(self, command: list[str], **more: Any) -> subprocess.Popen[str]:
        """
        Run a program until the test ends.
        """
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env=environment(),
            cwd=self.folder,
            **more,
        )
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def program(self, name: str) -> str:
        """
        The path of a program.

        @raise SkipTest: it is not there.
        """
        found = shutil.which(name)
        if found is None:
            raise SkipTest(f"there is no {name} here")
        return found

    def connect(self, port: int) -> socket.socket:
        """
        A connection to a port that somebody will listen on soon.
        """
        deadline = time.monotonic() + 20
        while True:
            try:
                made = socket.create_connection(("127.0.0.1", port), 20)
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                self.addCleanup(made.close)
                return made

    def awaitLines(
        self, server: RunningServer, name: str, number: int = 1
    ) -> list[str]:
        """
        The lines of a log, once there are so many.
        """
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            lines = server.lines(name)
            if len(lines) >= number:
                return lines
            time.sleep(0.01)
        raise AssertionError(f"{name} has {server.lines(name)}")

    def thread(self, work: Callable[[], None]) -> threading.Thread:
        """
        Do something beside the test.
        """
        made = threading.Thread(target=work, daemon=True)
        made.start()
        return made


def receive(sock: socket.socket, size: int) -> bytes:
    """
    So many bytes.
    """
    found = bytearray()
    while len(found) < size:
        data = sock.recv(size - len(found))
        if not data:
            raise AssertionError(f"the end after {bytes(found[-100:])!r}")
        found += data
    return bytes(found)


def receiveLine(sock: socket.socket) -> bytes:
    """
    Bytes up to the end of a line.
    """
    found = b""
    while not found.endswith(b"\r\n"):
        found += receive(sock, 1)
    return found


class ProgramTests(LiveCase):
    """
    Programs that somebody else has written.
    """

    def test_memcached(self) -> None:
        """
        A session with memcached: small and large values, noreply, the end.
        """
        program = self.program("memcached")
        back, front = freePort(), freePort()
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        self.start([program, "-p", str(back), "-U", "0", "-l", "127.0.0.1", *user])
        self.connect(back).close()
        proxy = self.proxy(
            f"server {{ listen 127.0.0.1:{front}; proxy_pass 127.0.0.1:{back}; }}"
        )
        client = self.connect(front)

        def tell(command: bytes, answer: bytes) -> None:
            client.sendall(command)
            self.assertEqual(receive(client, len(answer)), answer)

        tell(b"set a 5 0 3\r\nxyz\r\n", b"STORED\r\n")
        tell(b"get a b\r\n", b"VALUE a 5 3\r\nxyz\r\nEND\r\n")
        tell(b"set n 0 0 2 noreply\r\n41\r\nincr n 1\r\n", b"42\r\n")
        large = os.urandom(900000)
        tell(b"set large 0 0 900000\r\n" + large + b"\r\n", b"STORED\r\n")
        tell(b"get large\r\n", b"VALUE large 0 900000\r\n" + large + b"\r\nEND\r\n")
        client.sendall(b"quit\r\n")
        self.assertEqual(client.recv(1), b"")
        (line,) = self.awaitLines(proxy, "access.log")
        self.assertTrue(line.startswith("TCP 200 9"), line)

    def test_redis(self) -> None:
        """
        Sessions with Redis: many commands at once, a megabyte, and one client's message
        to another.
        """
        program = self.program("redis-server")
        back, front = freePort(), freePort()
        words = ["--port", str(back), "--bind", "127.0.0.1", "--save", ""]
        self.start([program, *words, "--dir", str(self.folder)])
        self.connect(back).close()
        self.proxy(
            f"server {{ listen 127.0.0.1:{front}; proxy_pass 127.0.0.1:{back}; }}"
        )
        client, listener = self.connect(front), self.connect(front)
        client.sendall(b"INCR n\r\n" * 5000)
        answers = b"".join(b":%d\r\n" % n for n in range(1, 5001))
        self.assertEqual(receive(client, len(answers)), answers)
        large = os.urandom(1 << 20)
        bulk = b"$%d\r\n" % len(large) + large + b"\r\n"
        client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n" + bulk)
        self.assertEqual(receiveLine(client), b"+OK\r\n")
        client.sendall(b"GET x\r\n")
        self.assertEqual(receive(client, len(bulk)), bulk)
        listener.sendall(b"SUBSCRIBE news\r\n")
        heard = b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
        self.assertEqual(receive(listener, len(heard)), heard)
        client.sendall(b"PUBLISH news hello\r\n")
        self.assertEqual(receiveLine(client), b":1\r\n")
        heard = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n"
        self.assertEqual(receive(listener, len(heard)), heard)

    def test_dns(self) -> None:
        """
        Queries to a name server, over UDP and TCP through one port: each query over UDP
        is a session that ends with its answer.
        """
        program = self.program("dig")
        back, front = freePort(), freePort()
        server = self.start([sys.executable, "-c", _NAME_SERVER, str(back)])
        assert server.stdout is not None
        self.assertEqual(server.stdout.readline(), "listens\n")
        proxy = self.proxy(
            f"server {{ listen 127.0.0.1:{front} udp; listen 127.0.0.1:{front};"
            f" proxy_pass 127.0.0.1:{back}; proxy_responses 1; }}"
        )

        def dig(*words: str) -> str:
            done = subprocess.run(
                [program, "@127.0.0.1", "-p", str(front), "+short", "+tries=1", *words],
                capture_output=True,
                encoding="utf-8",
                timeout=30,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return done.stdout.strip()

        self.assertEqual(dig("+notcp", "a.example.org"), "10.0.0.13")
        self.assertEqual(dig("+notcp", "abc.example.org"), "10.0.0.15")
        self.assertEqual(dig("+tcp", "a.example.org"), "10.0.0.13")
        long = dig("+notcp", "a.example.org", "TXT")
        self.assertEqual(long.count("a.example.org" * 4), 20)
        lines = self.awaitLines(proxy, "access.log", 4)
        self.assertEqual(
            [line[:7] for line in lines], ["UDP 200", "UDP 200", "TCP 200", "UDP 200"]
        )


class OurTests(LiveCase):
    """
    Servers of ours.
    """

    def serve(
        self, talk: Callable[[socket.socket], None]
    ) -> tuple[int, threading.Thread]:
        """
        A server of one connection.

        @return: its port, and what ends when it has ended.
        """
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(20)

        def run() -> None:
            with listener:
                sock, _ = listener.accept()
            with sock:
                sock.settimeout(60)
                talk(sock)

        port: int = listener.getsockname()[1]
        return port, self.thread(run)

    def test_interactive(self) -> None:
        """
        An exchange like that of a terminal: a greeting, key by key back and forth; the
        client ends its input and still gets the rest.
        """

        def shell(sock: socket.socket) -> None:
            sock.sendall(b"SSH-2.0-shell\r\n$ ")
            count = 0
            while True:
                data = sock.recv(100)
                if not data:
                    break
                count += len(data)
                sock.sendall(data.upper())
            sock.sendall(b"\r\nread %d\r\nlogout\r\n" % count)

        back, _ = self.serve(shell)
        front = freePort()
        proxy = self.proxy(
            f"server {{ listen 127.0.0.1:{front}; proxy_pass 127.0.0.1:{back};"
            " proxy_half_close on; }"
        )
        client = self.connect(front)
        self.assertEqual(receive(client, 17), b"SSH-2.0-shell\r\n$ ")
        for number in range(200):
            key = b"%c" % (97 + number % 26)
            client.sendall(key)
            self.assertEqual(receive(client, 1), key.upper())
        client.shutdown(socket.SHUT_WR)
        rest = b"\r\nread 200\r\nlogout\r\n"
        self.assertEqual(receive(client, len(rest)), rest)
        self.assertEqual(client.recv(1), b"")
        self.assertEqual(self.awaitLines(proxy, "access.log"), ["TCP 200 200 237"])

    def test_transfer(self) -> None:
        """
        Much, both ways at once, arrives as it was sent.
        """
        sums: dict[str, int] = {}

        def exchange(sock: socket.socket, name: str) -> None:
            def send() -> None:
                sums[f"{name} sent"] = self._send(sock)

            sender = self.thread(send)
            sums[f"{name} heard"] = self._hear(sock)
            sender.join(60)

        back, server = self.serve(lambda sock: exchange(sock, "server"))
        front = freePort()
        proxy = self.proxy(
            f"server {{ listen 127.0.0.1:{front}; proxy_pass 127.0.0.1:{back};"
            " proxy_half_close on; }"
        )
        client = self.connect(front)
        client.settimeout(60)
        begun = time.monotonic()
        exchange(client, "client")
        server.join(60)
        elapsed = time.monotonic() - begun
        line = self.awaitLines(proxy, "access.log")[0]
        self.assertEqual(line, f"TCP 200 {TRANSFER} {TRANSFER}")
        self.assertEqual(sums["client heard"], sums["server sent"])
        self.assertEqual(sums["server heard"], sums["client sent"])
        if "STREAM_TRANSFER_MIB" in os.environ:
            rate = 2 * (TRANSFER >> 20) / elapsed
            print(f"{TRANSFER >> 20} MiB each way in {elapsed:.1f} s: {rate:.0f} MiB/s")

    def _send(self, sock: socket.socket) -> int:
        """
        @return: the checksum.
        """
        noise = memoryview(os.urandom(2 << 20))
        found = 0
        for number in range(TRANSFER >> 20):
            # Each megabyte is another one.
            begin = number * 7919 % (1 << 20)
            piece = noise[begin : begin + (1 << 20)]
            found = zlib.crc32(piece, found)
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)
        return found

    def _hear(self, sock: socket.socket) -> int:
        """
        @return: the checksum.
        """
        buffer = bytearray(1 << 18)
        view = memoryview(buffer)
        found = 0
        while size := sock.recv_into(buffer):
            found = zlib.crc32(view[:size], found)
        return found

    def test_reload(self) -> None:
        """
        A reload loses no datagram: an answer under way arrives, and the next datagram
        goes where the new configuration says.
        """
        servers = []
        for _ in range(2):
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(made.close)
            made.bind(("127.0.0.1", 0))
            made.settimeout(20)
            servers.append(made)
        front = freePort()
        text = f"server {{ listen 127.0.0.1:{front} udp; proxy_pass 127.0.0.1:%d; }}"
        proxy = self.proxy(text % servers[0].getsockname()[1])
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        client.settimeout(20)
        client.connect(("127.0.0.1", front))
        client.send(b"one")
        data, place = servers[0].recvfrom(100)
        self.assertEqual(data, b"one")
        (proxy.prefix / "nginx.conf").write_text(
            _FRAME.format(text % servers[1].getsockname()[1])
        )
        proxy.send(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while not any(
            "gracefully shutting down" in x for x in proxy.lines("error.log")
        ):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        client.send(b"two")
        self.assertEqual(servers[1].recv(100), b"two")
        servers[0].sendto(b"1", place)
        self.assertEqual(client.recv(100), b"1")
        lines = self.awaitLines(proxy, "access.log")
        self.assertEqual(lines, ["UDP 200 3 1"])
