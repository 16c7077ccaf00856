"""
Requests at a rate, evenly spread: an open loop.

C{python -m benchmarks.steady PORT PATH RATE CONNECTIONS SECONDS TLS} prints C{ready}
when it is connected, waits for a line, and prints C{done}, how many requests were
answered, in how many seconds, and the time that 99 of 100 stayed under.

A request is due at its time whatever became of those before: C{wrk} with a delay asks
again some time after an answer, so a slower proxy is asked less often and in other
bursts.  Here each contender sees the same arrivals, mostly one at a time, and the time
of an answer counts from when its request was due.
"""

from __future__ import annotations

import ctypes
import re
import select
import socket
import ssl
import sys
import time
from collections import deque
from contextlib import suppress

_LENGTH = re.compile(rb"(?i)\r\nContent-Length: (\d+)")
# Of prctl(): how late a timer may be, in nanoseconds.
_SET_TIMER_SLACK = 29


class Client:
    """
    One connection.

    @ivar due: when its request should have been made.
    """

    def __init__(self, port: int, tls: bool) -> None:
        connection = socket.create_connection(("127.0.0.1", port), 10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = context.wrap_socket(connection)
        connection.setblocking(False)
        self.connection = connection
        self.due = 0.0
        self._received = b""

    def fileno(self) -> int:
        return self.connection.fileno()

    def ask(self, request: bytes, due: float) -> None:
        """
        Make a request.
        """
        self.due = due
        self.connection.sendall(request)

    def isAnswered(self) -> bool:
        """
        Read what is there: is the answer complete?

        @raise ValueError: it is not a good one.
        """
        try:
            data = self.connection.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        if not data:
            raise ValueError("a connection was closed")
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return False
        length = _LENGTH.search(head)
        if length is None or b" 200 " not in head[:15]:
            raise ValueError(f"no good answer: {head[:100]!r}")
        if len(body) < int(length[1]):
            return False
        self._received = b""
        return True


def run(
    clients: list[Client], request: bytes, rate: int, seconds: float
) -> tuple[int, float, float]:
    """
    Make requests for so long, and wait for the last answers.

    @return: how many were answered, the seconds, and the 99th percentile.
    """
    now = time.perf_counter
    idle = deque(clients)
    busy: set[Client] = set()
    times: list[float] = []
    made, total = 0, int(rate * seconds)
    start = now()
    end = start + seconds
    while made < total or busy:
        moment = now()
        # Who cannot keep up has not reached the rate, that is all there is to know.
        if moment > end + 1 or (moment > end and made < total):
            break
        while made < total and idle and start + made / rate <= moment:
            client = idle.popleft()
            client.ask(request, start + made / rate)
            busy.add(client)
            made += 1
        wait = 1.0
        if made < total and idle:
            wait = max(0.0, start + made / rate - now())
        readable, _, _ = select.select(busy, (), (), wait)
        for client in readable:
            if client.isAnswered():
                times.append(now() - client.due)
                busy.remove(client)
                idle.append(client)
    took = max(now() - start, seconds)
    times.sort()
    return len(times), took, times[int(len(times) * 0.99)] if times else 0.0


def main(arguments: list[str]) -> None:
    """
    Connect, wait, run, tell.
    """
    port, path, rate, connections, seconds, tls = arguments
    with suppress(OSError, AttributeError):
        # A timer that is 50 us late would be half of the time between two requests.
        ctypes.CDLL(None).prctl(_SET_TIMER_SLACK, 1000, 0, 0, 0)
    clients = [Client(int(port), tls == "1") for _ in range(int(connections))]
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    print("ready", flush=True)
    sys.stdin.readline()
    print("done", *run(clients, request, int(rate), float(seconds)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
