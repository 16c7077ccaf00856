"""
A site in memory whose servers and clients tests play.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.embed.memory import MemoryCase
from tests.support.conversation import (
    Message,
    readMessage,
)


class SiteCase(MemoryCase):
    """
    A site in memory, with a group below C{/api}.
    """

    def begin(self, *servers: str, path: bytes = b"", **options: Any) -> None:
        """
        Serve, and connect a client.
        """
        self.upstream = self.make(*servers)
        root = Resource()
        self.resource = self.upstream.resource(path, **options)
        root.putChild(b"api", self.resource)
        self.site: Any = self.makeSite(root)
        self.connect()

    def makeSite(self, root: Resource) -> Site:
        """
        A site of everybody's.
        """
        return Site(root, reactor=self.reactor)

    def connect(self) -> None:
        """
        Connect a client.
        """
        address = IPv4Address("TCP", "192.0.2.7", 4321)
        self.client: Any = StringTransport(peerAddress=address)
        self.protocol = self.site.buildProtocol(address)
        self.protocol.makeConnection(self.client)
        self.addCleanup(self.leave)

    def leave(self) -> None:
        """
        The client closes its connection.
        """
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(Failure(ConnectionDone()))

    def says(self, data: bytes) -> None:
        """
        The client sends.
        """
        self.protocol.dataReceived(data)
        self.settle()

    def heard(self, headOnly: bool = False) -> Message:
        """
        The next response.
        """
        data = self.client.value()
        found = readMessage(data, ended=self.client.disconnecting, headOnly=headOnly)
        if found is None:
            raise AssertionError(f"no message in {data!r}")
        self.client.clear()
        self.client.write(found[1])
        return found[0]

    def fails(self) -> list[int]:
        """
        The failures of each peer; nobody is busy.
        """
        self.assertEqual(self.upstream.status.active, 0)
        return [each.fails for each in self.upstream.status.peers]
