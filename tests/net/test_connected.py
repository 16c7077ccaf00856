"""
Tests for L{twisted_upstream.net.connected}.
"""

from __future__ import annotations

import socket

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.net.connected import ConnectedSocket


class ConnectedSocketTests(SynchronousTestCase):
    """
    Tests for L{ConnectedSocket}.
    """

    def setUp(self) -> None:
        self.socket, peer = socket.socketpair()
        self.addCleanup(self.socket.close)
        self.addCleanup(peer.close)

    def test_known(self) -> None:
        """
        A name that is known is not asked for.
        """
        connected = ConnectedSocket(self.socket, ("1.2.3.4", 5))
        self.assertEqual(connected.peerName, ("1.2.3.4", 5))
        self.assertEqual(connected.getPeer(), IPv4Address("TCP", "1.2.3.4", 5))

    def test_inet6(self) -> None:
        """
        IPv6 addresses keep their scope.
        """
        connected = ConnectedSocket(self.socket, ("fe80::1", 5, 0, 2))
        self.assertEqual(connected.getPeer(), IPv6Address("TCP", "fe80::1", 5, 0, 2))

    def test_unix(self) -> None:
        """
        The name of a unix socket is its path.
        """
        connected = ConnectedSocket(self.socket, "/tmp/s")
        self.assertEqual(connected.getPeer(), UNIXAddress("/tmp/s"))

    def test_tooLate(self) -> None:
        """
        Who asks for the first time after closing learns nothing.
        """
        connected = ConnectedSocket(self.socket, None)
        self.socket.close()
        self.assertEqual((connected.peerName, connected.hostName), ("", ""))
        connected.setTcpNoDelay(True)
