"""
Clients of C{stream} that stay with their server.
"""

from __future__ import annotations

import errno

from tests.support.datagrams import MemoryUDP, UDPCase

FORMAT = (
    "log_format p '$upstream_addr $upstream_persist_status $upstream_persist_key"
    " $upstream_persist_age';"
)


def group(*more: str) -> str:
    """
    A configuration with a group that keeps its clients.

    @param more: parameters of C{persist}.
    """
    return (
        f"{FORMAT} upstream u {{ persist $remote_addr {' '.join(more)};"
        " server 10.0.0.1:53; server 10.0.0.2:53; }"
    )


LOG = "access_log persist.log p;"
TCP = f"server {{ {LOG} listen 8080; proxy_pass u; }}"
UDP = f"server {{ {LOG} listen 192.0.2.254:53 udp; proxy_pass u; proxy_responses 1; }}"


class ConnectionTests(UDPCase):
    """
    C{persist} for connections.
    """

    def test_stays(self) -> None:
        """
        One client, one server; others take turns.  The access log tells.
        """
        stream = self.stream(group() + TCP)
        for host in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"):
            stream.ends(stream.connect(peer=(host, 4711)))
            stream.reactor.passes(1)
        self.assertEqual(
            self.accessLog("persist.log"),
            [
                "10.0.0.1:53 miss 192.0.2.1 0.000",
                "10.0.0.1:53 hit 192.0.2.1 1.000",
                "10.0.0.2:53 miss 192.0.2.2 0.000",
                "10.0.0.1:53 hit 192.0.2.1 3.000",
            ],
        )

    def test_moves(self) -> None:
        """
        A client whose server refuses goes to another one, and stays there.
        """
        stream = self.stream(group() + TCP)
        stream.ends(stream.connect(peer=("192.0.2.1", 1)))
        stream.dialer.behaviour["10.0.0.1:53"] = "refuse"
        stream.ends(stream.connect(peer=("192.0.2.1", 2)))
        del stream.dialer.behaviour["10.0.0.1:53"]
        stream.reactor.passes(20)
        stream.ends(stream.connect(peer=("192.0.2.1", 3)))
        self.assertEqual(
            [line.split(" 192")[0] for line in self.accessLog("persist.log")],
            ["10.0.0.1:53 miss", "10.0.0.1:53, 10.0.0.2:53 moved", "10.0.0.2:53 hit"],
        )

    def test_firstByte(self) -> None:
        """
        Where the first byte counts, a silent server is not remembered.
        """
        stream = self.stream(group("commit=first_byte") + TCP)
        for _ in range(2):
            client = stream.connect(peer=("192.0.2.1", 1))
        stream.says(stream.dialer.accepted[1].socket, b"x")  # type: ignore[arg-type]  # it is there
        stream.ends(client)
        stream.ends(stream.connect(peer=("192.0.2.1", 2)))
        self.assertEqual(
            [line.split(" 192")[0] for line in self.accessLog("persist.log")],
            ["10.0.0.2:53 miss", "10.0.0.2:53 hit"],
        )

    def test_nobody(self) -> None:
        """
        A session without servers has none of it.
        """
        stream = self.stream(f"{FORMAT} server {{ {LOG} listen 8080; return x; }}")
        stream.connect()
        self.assertEqual(self.accessLog("persist.log"), ["- - - -"])


class DatagramTests(UDPCase):
    """
    C{persist} over UDP.
    """

    def asks(self, udp: MemoryUDP, port: int) -> str:
        """
        One more session of the same client.

        @return: the server.
        """
        udp.sends(b"?", client=("192.0.2.1", port))
        return udp.dialer.names[-1]

    def test_stays(self) -> None:
        """
        A new session goes where the client's last one went, answered or not.
        """
        udp = self.udpBlock(group() + UDP)
        found = {self.asks(udp, port) for port in range(4)}
        self.assertEqual(found, {"10.0.0.1:53"})

    def test_moves(self) -> None:
        """
        After a failure it is another server.
        """
        udp = self.udpBlock(group() + UDP)
        self.asks(udp, 1)
        udp.answers(0, errno.ECONNREFUSED)
        self.assertEqual(self.asks(udp, 2), "10.0.0.2:53")
        udp.reactor.passes(20)
        self.assertEqual(self.asks(udp, 3), "10.0.0.2:53")
