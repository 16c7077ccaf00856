"""
Tests for L{twisted_upstream.process.sockets}: addresses of datagrams.
"""

from __future__ import annotations

import socket
from typing import Any

from tests.support.nginx import freePort
from twisted_upstream.logs.error_log import ErrorLogLine
from twisted_upstream.logs.logs import Logs
from twisted_upstream.process.cycle import Cycle

from .cycles import CycleCase


class DatagramTests(CycleCase):
    """
    C{listen ... udp} of L{Cycle}.
    """

    def begin(self, text: str, previous: Cycle | None = None) -> Cycle:
        """
        A cycle that serves.

        @param text: the inside of C{stream}.
        """
        configuration = self.load(f"events {{}} stream {{ {text} }}")
        logs = Logs(self.reactor, self.prefix, (ErrorLogLine("error.log", "info"),))
        cycle = Cycle(configuration, self.reactor, logs)
        self.addCleanup(cycle.stop)
        cycle.open(previous)
        cycle.start()
        return cycle

    def bound(self, host: str = "127.0.0.1") -> socket.socket:
        """
        A socket of ours.
        """
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.bind((host, 0))
        made.settimeout(5)
        return made

    def turn(self) -> None:
        """
        Whatever there is to read is read.
        """
        for reader in list(self.reactor.readers):
            reader.doRead()
        self.reactor.turn()

    def ask(self, place: Any, client: socket.socket | None = None) -> bytes:
        """
        What a client hears for one datagram.
        """
        client = client or self.bound()
        client.sendto(b"?", place)
        self.turn()
        return client.recv(100)

    def test_besideTCP(self) -> None:
        """
        One address may be listened on for connections and for datagrams, each with
        servers of its own.
        """
        port = freePort()
        cycle = self.begin(
            f"server {{ listen 127.0.0.1:{port} udp; return udp; }}"
            f"server {{ listen 127.0.0.1:{port}; return tcp; }}"
        )
        self.assertEqual(self.ask(("127.0.0.1", port)), b"udp")
        client = socket.create_connection(("127.0.0.1", port), 5)
        self.addCleanup(client.close)
        self.turn()
        self.assertEqual(client.recv(100), b"tcp")
        self.assertEqual(len(cycle.addresses), 2)

    def test_underWildcard(self) -> None:
        """
        An address under a wildcard has servers of its own.
        """
        port = freePort()
        self.begin(
            f"server {{ listen {port} udp; return any; }}"
            f"server {{ listen 127.0.0.2:{port} udp; return second; }}"
        )
        self.assertEqual(self.ask(("127.0.0.1", port)), b"any")
        self.assertEqual(self.ask(("127.0.0.2", port)), b"second")

    def test_handOver(self) -> None:
        """
        A new cycle takes the socket over: it gets the clients' datagrams, while answers
        under way still arrive.
        """
        port, server, client = freePort(), self.bound(), self.bound()
        place = ("127.0.0.1", port)
        number = server.getsockname()[1]
        listen = f"listen 127.0.0.1:{port} udp;"
        old = self.begin(f"server {{ {listen} proxy_pass 127.0.0.1:{number}; }}")
        client.sendto(b"?", place)
        self.turn()
        back = server.recvfrom(100)[1]
        new = self.begin(f"server {{ {listen} return new; }}", old)
        drained = old.drain()
        self.assertEqual(self.ask(place, client), b"new")
        self.assertNoResult(drained)
        server.sendto(b"late", back)
        self.turn()
        self.assertEqual(client.recv(100), b"late")
        self.successResultOf(drained)
        self.assertEqual(self.ask(place, client), b"new")
        self.successResultOf(new.drain())

    def test_addressGone(self) -> None:
        """
        Where a new cycle does not listen, sessions end.
        """
        port, server, client = freePort(), self.bound(), self.bound()
        number = server.getsockname()[1]
        old = self.begin(
            f"server {{ listen 127.0.0.1:{port} udp; proxy_pass 127.0.0.1:{number}; }}"
        )
        client.sendto(b"?", ("127.0.0.1", port))
        self.turn()
        self.begin(f"server {{ listen 127.0.0.1:{freePort()} udp; return x; }}", old)
        self.successResultOf(old.drain())
