"""
Clients: a closed loop of requests (by wrk where there is one), requests at a rate, a
large download, idle and slow readers.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.nginx import CHECKOUT

_SIZES = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
# recv() may throw bytes away instead of copying them.
_DISCARD = getattr(socket, "MSG_TRUNC", 0)


@dataclass(frozen=True)
class Load:
    """
    What many requests have found.

    @ivar requests: how many responses were complete.
    @ivar errors: connections that failed and responses that were no 2xx.
    @ivar seconds: how long it took.
    @ivar p99: seconds that 99 of 100 requests stayed under; C{None}: nobody knows.
    """

    requests: int
    errors: int
    seconds: float
    p99: float | None


def loop(
    port: int,
    path: str,
    *,
    connections: int,
    seconds: int,
    close: bool,
    core: int,
    tls: bool = False,
) -> Load:
    """
    C{connections} clients ask for C{path} again as soon as they have an answer.

    @param close: each request on a connection of its own.
    @param core: the processor to run on.
    @param tls: by https, which only wrk can.
    """
    wrk = shutil.which("wrk")
    pinned = ["taskset", "-c", str(core)]
    if wrk is None:
        if tls:
            raise ValueError("there is no wrk")
        answer = subprocess.run(
            [
                *(*pinned, sys.executable, "-m", "benchmarks.load", str(port), path),
                *(str(connections), str(seconds), str(int(close))),
            ],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        return Load(int(answer[0]), int(answer[1]), float(answer[2]), float(answer[3]))
    command = [*pinned, wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if close:
        command += ["-H", "Connection: close"]
    said = subprocess.run(
        [*command, f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return _readWrk(said)


def _readWrk(said: str) -> Load:
    done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b", said)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", said)
    if done is None or slow is None:
        raise ValueError(f"wrk said\n{said}")
    errors = sum(
        int(number)
        for line in re.findall(r"Socket errors: .*|Non-2xx or 3xx responses: \d+", said)
        for number in re.findall(r" (\d+)", line)
    )
    return Load(
        int(done[1]),
        errors,
        float(done[2]) * _SIZES[done[3]],
        float(slow[1]) * _SIZES[slow[2]],
    )


class Steady:
    """
    Requests at a rate (L{benchmarks.steady}): a context manager, within which all
    connections are open.
    """

    def __init__(
        self,
        port: int,
        path: str,
        *,
        rate: int,
        connections: int,
        seconds: int,
        core: int,
        tls: bool,
    ) -> None:
        words = [port, path, rate, connections, seconds, int(tls)]
        command = ["taskset", "-c", str(core), sys.executable, "-m"]
        self._command = [*command, "benchmarks.steady", *map(str, words)]

    def __enter__(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._command, cwd=CHECKOUT, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        self._said("ready")

    def run(self) -> Load:
        """
        Make the requests.  Once.

        @raise ValueError: a connection or an answer was lost.
        """
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        requests, seconds, p99 = self._said("done")
        return Load(int(requests), 0, float(seconds), float(p99))

    def _said(self, word: str) -> list[str]:
        assert self._process.stdout is not None and self._process.stderr is not None
        words = self._process.stdout.readline().split()
        if words[:1] != [word]:
            raise ValueError(self._process.stderr.read().strip().rpartition("\n")[2])
        return words[1:]

    def __exit__(self, *failure: object) -> None:
        self._process.kill()
        self._process.communicate()


def download(port: int, path: str, core: int) -> int:
    """
    Read one response as fast as it comes.

    @return: the bytes of its body.
    """
    with _pinned(core), _ask(port, path) as connection:
        count = _bodyStart(connection)
        space = bytearray(1 << 20)
        while got := connection.recv_into(space, len(space), _DISCARD):
            count += got
        return count


def upload(port: int, source: str, core: int) -> int:
    """
    Send a file as fast as it is taken, then wait until L{sink} has got it.

    @param source: its path.
    @return: how many bytes arrived.
    """
    with (
        _pinned(core),
        open(source, "rb") as file,
        socket.create_connection(("127.0.0.1", port), 120) as connection,
    ):
        size = os.stat(source).st_size
        connection.sendall(size.to_bytes(8))
        # A time-out makes the socket non-blocking, which sendfile() does not wait for.
        connection.settimeout(None)
        sent = 0
        while sent < size:
            sent += os.sendfile(connection.fileno(), file.fileno(), sent, size - sent)
        return int.from_bytes(connection.recv(8))


def sink(listening: socket.socket) -> None:
    """
    Throw away what clients send; tell each how much it was.  For ever.
    """
    space = bytearray(1 << 20)
    while True:
        connection, _ = listening.accept()
        with connection:
            size, count = int.from_bytes(connection.recv(8, socket.MSG_WAITALL)), 0
            while count < size:
                got = connection.recv_into(space, len(space), _DISCARD)
                if not got:
                    break
                count += got
            connection.sendall(count.to_bytes(8))


def burst(port: int, path: str, count: int, core: int) -> int:
    """
    Open C{count} connections before any of them is used, make a request on each, and
    wait for the answers.

    @return: how many were not answered well.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    with _pinned(core), contextlib.ExitStack() as stack:
        clients: list[socket.socket] = []
        for _ in range(count):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            clients.append(client)
        for client in clients:
            client.settimeout(30)
        answered = 0
        for client in clients:
            # Waits for its connection, too.
            client.settimeout(30)
            with contextlib.suppress(OSError):
                client.sendall(request)
        for client in clients:
            with contextlib.suppress(OSError):
                answered += client.recv(65536).startswith(b"HTTP/1.1 200")
        return count - answered


class SlowReader:
    """
    A client that reads a response at some speed.
    """

    def __init__(self, port: int, path: str) -> None:
        self._connection = _ask(port, path)
        self.count = _bodyStart(self._connection)

    def read(self, seconds: float, bytesPerSecond: float) -> None:
        """
        Read for so long, so fast.
        """
        start = time.monotonic()
        took = 0
        while (elapsed := time.monotonic() - start) < seconds:
            owed = int(elapsed * bytesPerSecond) - took
            if owed > 0:
                got = len(self._connection.recv(min(owed, 65536)))
                if not got:
                    break
                took += got
            else:
                time.sleep(0.01)
        self.count += took

    def finish(self) -> int:
        """
        Read the rest as fast as it comes.

        @return: the bytes of the whole body.
        """
        space = bytearray(1 << 20)
        while got := self._connection.recv_into(space, len(space), _DISCARD):
            self.count += got
        self._connection.close()
        return self.count


class IdleClients:
    """
    Connections that made one request each and keep quiet since.
    """

    def __init__(self, port: int, path: str, count: int) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
        self._connections: list[socket.socket] = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(request)
            if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                raise ValueError("an idle client was refused")
            self._connections.append(connection)

    def alive(self) -> int:
        """
        How many are still connected.
        """
        poll = select.poll()
        for connection in self._connections:
            poll.register(connection, select.POLLIN)
        return len(self._connections) - len(poll.poll(0))

    def close(self) -> None:
        """
        All go.
        """
        for connection in self._connections:
            connection.close()


@contextlib.contextmanager
def _pinned(core: int) -> Iterator[None]:
    """
    The current process on one processor, for a while.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _ask(port: int, path: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 120)
    head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def _bodyStart(connection: socket.socket) -> int:
    """
    Read the head.

    @return: how many bytes of the body came with it.
    """
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(4096)
        if not data:
            raise ValueError(f"no response: {head!r}")
        head += data
    if b" 200 " not in head[:15]:
        raise ValueError(f"no good response: {head[:100]!r}")
    return len(head) - head.index(b"\r\n\r\n") - 4


def _ownLoop(
    port: int, path: str, connections: int, seconds: float, close: bool
) -> Load:
    """
    The loop without wrk: slower itself, so rates are lower, but times are true.
    """
    extra = "Connection: close\r\n" if close else ""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n{extra}\r\n".encode()
    epoll = select.epoll()
    started: dict[int, float] = {}
    clients: dict[int, socket.socket] = {}
    wanted: dict[int, int] = {}
    times: list[float] = []
    errors = 0

    def begin() -> None:
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        epoll.register(client, select.EPOLLIN)
        clients[client.fileno()] = client
        ask(client)

    def ask(client: socket.socket) -> None:
        number = client.fileno()
        wanted[number] = -1
        started[number] = time.perf_counter()
        client.sendall(request)

    for _ in range(connections):
        begin()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        for number, _ in epoll.poll(1):
            client = clients[number]
            data = client.recv(262144)
            remaining = wanted[number]
            if remaining < 0 and data:
                head, _, body = data.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\nContent-Length: (\d+)", head)
                if length is None or b" 200 " not in head[:15]:
                    errors += 1
                    data = b""
                else:
                    remaining = int(length[1]) - len(body)
            else:
                remaining -= len(data)
            wanted[number] = remaining
            if data and remaining:
                continue
            if data:
                times.append(time.perf_counter() - started[number])
            if close or not data:
                epoll.unregister(client)
                del clients[number]
                client.close()
                begin()
            else:
                ask(client)
    took = time.perf_counter() - start
    times.sort()
    return Load(len(times), errors, took, times[int(len(times) * 0.99)] if times else 0)


if __name__ == "__main__":
    result = _ownLoop(
        int(sys.argv[1]),
        sys.argv[2],
        int(sys.argv[3]),
        float(sys.argv[4]),
        sys.argv[5] == "1",
    )
    print(result.requests, result.errors, result.seconds, result.p99)
