"""
Resources in a site with HTTP/2.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import inlineCallbacks
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.http import H2_ENABLED
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.embed.test_live import LiveCase, wait


class StreamTests(LiveCase):
    """
    Each stream is a request.
    """

    if find_spec("h2") is None or not H2_ENABLED:
        skip = "h2 and priority are not installed"

    @inlineCallbacks
    def asks(self, site: Site) -> Any:
        """
        A client asks twice at a time, once with a body, and a third time, to leave
        before it is answered.
        """
        # They may be absent.
        configuration = import_module("h2.config").H2Configuration(client_side=True)
        events = import_module("h2.events")
        address = IPv4Address("TCP", "192.0.2.7", 4321)
        transport: Any = StringTransport(peerAddress=address)
        transport.negotiatedProtocol = b"h2"
        protocol: Any = site.buildProtocol(address)
        protocol.makeConnection(transport)
        client = import_module("h2.connection").H2Connection(configuration)
        client.initiate_connection()
        usual = [(":scheme", "https"), (":authority", "a")]
        client.send_headers(
            1, [(":method", "GET"), (":path", "/api/1?a"), *usual], end_stream=True
        )
        client.send_headers(3, [(":method", "PUT"), (":path", "/api/3"), *usual])
        client.send_data(3, b"body", end_stream=True)
        protocol.dataReceived(client.data_to_send())
        bodies: dict[int, bytes] = {1: b"", 3: b""}
        heads: dict[int, dict[bytes, bytes]] = {}
        open = {1, 3}
        while open:
            yield wait(0.01)
            data = transport.value()
            transport.clear()
            for event in client.receive_data(data) if data else ():
                if isinstance(event, events.ResponseReceived):
                    heads[event.stream_id] = dict(event.headers)
                elif isinstance(event, events.DataReceived):
                    bodies[event.stream_id] += event.data
                elif isinstance(event, events.StreamEnded):
                    open.remove(event.stream_id)
        self.assertRegex(bodies[1], rb"\A\d /v1/1\?a \Z")
        self.assertRegex(bodies[3], rb"\A\d /v1/3 body\Z")
        for head in heads.values():
            names = {
                (name if isinstance(name, bytes) else name.encode()): value
                for name, value in head.items()
            }
            self.assertIn(b"content-length", names)
        client.send_headers(
            5, [(":method", "GET"), (":path", "/api/5"), *usual], end_stream=True
        )
        protocol.dataReceived(client.data_to_send())
        protocol.connectionLost(Failure(ConnectionDone()))

    def test_site(self) -> Any:
        """
        In everybody's site.
        """
        root = Resource()
        root.putChild(b"api", self.group().resource(b"/v1"))
        return self.asks(Site(root))
