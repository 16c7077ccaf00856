"""
What is known of a connected socket besides its bytes: addresses and options.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

if TYPE_CHECKING:
    from .sockaddr import Sockaddr

    Address: TypeAlias = IPv4Address | IPv6Address


class ConnectedSocket:
    """
    The part of C{ITCPTransport} that asks
    and tells the kernel.
    """

    __slots__ = ("_hostName", "_peerName", "_socket")

    def __init__(self, sock: socket.socket, peerName: Sockaddr | None) -> None:
        """
        @param peerName: C{None}: to be asked for when somebody wants to know.
        """
        self._socket = sock
        self._peerName = peerName
        self._hostName: Sockaddr | None = None

    @property
    def peerName(self) -> Sockaddr:
        """
        The other side's address; C{""} for a unix client, or if it was never asked for
        while the connection was open.
        """
        if self._peerName is None:
            self._peerName = _name(self._socket.getpeername)
        return self._peerName

    @property
    def hostName(self) -> Sockaddr:
        """
        Our own address, under the same condition.
        """
        if self._hostName is None:
            self._hostName = _name(self._socket.getsockname)
        return self._hostName

    @hostName.setter
    def hostName(self, name: Sockaddr) -> None:
        self._hostName = name

    def getPeer(self) -> Address:
        """
        L{peerName} as Twisted has it.
        """
        return _address(self.peerName)

    def getHost(self) -> Address:
        """
        L{hostName} as Twisted has it.
        """
        return _address(self.hostName)

    def getHandle(self) -> socket.socket:
        """
        The socket, for options.
        """
        return self._socket

    def getTcpNoDelay(self) -> bool:
        """
        Are small packets sent without delay?
        """
        return bool(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Send small packets without delay.  Nothing happens for a unix socket.
        """
        self._setOption(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """
        Does the kernel probe a silent peer?
        """
        return bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Let the kernel probe a silent peer.
        """
        self._setOption(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

    def _setOption(self, level: int, name: int, enabled: bool) -> None:
        try:
            self._socket.setsockopt(level, name, enabled)
        except OSError:
            pass  # a unix socket, or one just reset: the next read will notice


def _name(ask: Callable[[], Sockaddr]) -> Sockaddr:
    """
    An address from the kernel.
    """
    try:
        return ask()
    except OSError:
        return ""


def _address(sockaddr: Sockaddr) -> Address:
    """
    Twisted's object for an address.
    """
    if not isinstance(sockaddr, tuple):
        # The interface promises TCP; Twisted's own unix transports break it likewise.
        return UNIXAddress(sockaddr or None)  # type: ignore[return-value]
    if ":" in sockaddr[0]:
        return IPv6Address("TCP", *sockaddr)
    return IPv4Address("TCP", sockaddr[0], sockaddr[1])
