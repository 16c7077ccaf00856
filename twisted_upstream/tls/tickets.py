"""
Keys of session tickets, renewed in time.

OpenSSL keeps a context's keys as long as the context.  Whoever learns such a key can
read what was said in the sessions of TLS 1.2 that were resumed with it, so it should
not live for months: a context is followed by another one each session timeout.  The one
before stays for the clients that come back with its tickets.

nginx: event/ngx_event_openssl.c (ngx_ssl_rotate_ticket_keys)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from OpenSSL import SSL
from twisted.logger import Logger

from . import openssl

if TYPE_CHECKING:
    from ..wire.client_hello import ClientHello

#: Turns that a handshake takes at most.
_TURNS = 6
_MOST = 1 << 16


def keyName(context: SSL.Context) -> bytes:
    """
    The name of the key that a server's context makes tickets with: a client is told it,
    so one is.

    @return: empty: this cannot be found out, because only special clients are served.
    """
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
    client.set_connect_state()
    server = SSL.Connection(context)
    server.set_accept_state()
    try:
        converse(client, server)
    except SSL.Error:
        return b""
    return openssl.ticketName(openssl.raw(client))


def converse(client: SSL.Connection, server: SSL.Connection) -> None:
    """
    Let two connections in memory shake hands, and hear of tickets.

    @raise SSL.Error: they do not get on.
    """
    for _ in range(_TURNS):
        for mine, other in ((client, server), (server, client)):
            try:
                mine.do_handshake()
                mine.recv(1)
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(mine.bio_read(_MOST))
            except SSL.WantReadError:
                pass


class TicketKeys:
    """
    The contexts of one server that differ in nothing but their keys.

    @ivar current: makes tickets now.  One that is neither this nor the one before is
        kept by nobody: its key is gone.
    """

    __slots__ = ("_life", "_make", "_name", "_previous", "_until", "current")

    _log = Logger()

    def __init__(
        self, first: SSL.Context, life: float, make: Callable[[], SSL.Context]
    ) -> None:
        """
        @param life: of a session, in seconds.
        @param make: makes another context.
        """
        self.current = first
        self._life = max(life, 1.0)
        self._make = make
        self._previous: SSL.Context | None = None
        #: Of the previous one's key.
        self._name = b""
        self._until: float | None = None

    def contextFor(self, hello: ClientHello | None, now: float) -> SSL.Context:
        """
        Who answers a client.

        @param now: seconds.
        """
        if self._until is None:
            self._until = now + self._life
        elif now >= self._until:
            self._until = now + self._life
            self._renew()
        previous = self._previous
        if previous is not None and hello is not None and hello.ticketName:
            if hello.ticketName == self._name:
                return previous
        return self.current

    def _renew(self) -> None:
        try:
            name = keyName(self.current)
            new = self._make()
        except Exception:
            self._log.failure("keys of session tickets could not be renewed")
            return
        self._name = name
        self._previous, self.current = self.current, new
