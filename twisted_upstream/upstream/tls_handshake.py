"""
TLS with a server that has just been connected to: is it who we wanted?

nginx: C{ngx_http_upstream_ssl_handshake()}, C{ngx_ssl_check_host()}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from OpenSSL import SSL

from ..net.dialer import ConnectTimedOut
from ..net.transport import SocketTransport
from ..tls import openssl
from ..tls.handshake import Handshake, HandshakeFailed
from ..tls.names import NameCheck
from ..tls.socket import TLSSocket
from .tls_identity import Identity

if TYPE_CHECKING:
    import socket as sockets

    from ..net.deadline import Deadlines
    from ..net.dialer import Dialing
    from ..net.sockaddr import Sockaddr
    from ..net.transport import Reactor
    from ..tls.handshake import Turns

HANDSHAKING = "SSL handshaking to upstream"
#: Names of certificates that were looked at lately; then all are forgotten.
_MOST_CHECKED = 1024


class HandshakeTimedOut(ConnectTimedOut):
    """
    The server has not finished its handshake in time.
    """

    action = HANDSHAKING


class ServerRefused(HandshakeFailed):
    """
    There is no TLS with the server, or it is somebody else.
    """

    action = HANDSHAKING


class UpstreamHandshake(Handshake):
    """
    A connection to a server that is being made.
    """

    handsOver = True

    def __init__(
        self,
        identity: Identity,
        sock: sockets.socket,
        sockaddr: Sockaddr,
        protocol: Any,
        waiter: Dialing,
        reactor: Reactor,
        turns: Turns,
    ) -> None:
        super().__init__(sock, reactor, turns)
        self._identity = identity
        self._sockaddr = sockaddr
        self._protocol = protocol
        self._waiter = waiter
        self._resumes = False
        # Of its session: all that a session is not shared by.
        self._key = (
            sockaddr,
            identity.group,
            identity.name,
            identity.serverName,
            identity.check,
            identity.protocolNames,
        )

    def start(self, deadlines: Deadlines, seconds: float, header: bytes = b"") -> None:
        """
        Shake hands, within so many seconds.

        @param header: sent before; a new connection takes that much.
        """
        identity = self._identity
        self._deadline = deadlines.new(self._timedOut)
        self._deadline.set(seconds)
        context = identity.context
        if header and not self._sent(header):
            return
        connection = SSL.Connection(context.ssl, self._socket)
        connection.set_connect_state()
        if identity.serverName:
            connection.set_tlsext_host_name(identity.serverName)
        if identity.protocolNames:
            connection.set_alpn_protos(list(identity.protocolNames))
        session = context.sessions.get(self._key)
        if session is not None:
            self._resumes = True
            connection.set_session(session)
        self.begin(connection)

    def _sent(self, header: bytes) -> bool:
        sock = self._socket
        assert sock is not None
        try:
            if sock.send(header) == len(header):
                return True
            number = 0
        except OSError as e:
            number = e.errno or 0
        self.fail(HandshakeFailed("send() failed", number))
        return False

    def giveUp(self) -> None:
        """
        Close the socket, and tell nobody.
        """
        self._deadline.drop()
        self.stop()

    def _timedOut(self) -> None:
        self._deadline.drop()
        self.stop()
        self._tellFailed(HandshakeTimedOut())

    def handshakeFailed(self, reason: HandshakeFailed) -> None:
        """
        The server did not want, or could not.
        """
        self._deadline.drop()
        if self._resumes:
            # Whatever it was, the next attempt begins afresh.
            self._identity.context.sessions.pop(self._key, None)
        self._tellFailed(ServerRefused(reason.message, reason.errno))

    def _tellFailed(self, reason: Exception) -> None:
        try:
            self._waiter.connectionFailed(reason)
        except Exception:
            self._log.failure("connectionFailed failed")

    def handshakeDone(self, sock: sockets.socket, connection: SSL.Connection) -> None:
        """
        Is it who we wanted?
        """
        self._deadline.drop()
        tls = TLSSocket(sock, connection)
        problem = self._problem(tls)
        if problem:
            # It gets to see no more than that we go.
            tls.silent = True
            self._identity.context.sessions.pop(self._key, None)
            self._reactor.callLater(0, tls.close)
            self._tellFailed(ServerRefused(problem))
            return
        context = self._identity.context
        if context.settings.reuse:
            self._keepSession(tls)
        protocol = self._protocol
        protocol.identity = self._identity
        transport = SocketTransport.overTLS(
            tls, self._reactor, protocol, self._sockaddr
        )
        try:
            protocol.makeConnection(transport)
            self.handOver(transport)
            self._waiter.connectionReady(protocol)
        except Exception:
            self._log.failure("a connection could not be taken")
            transport.abortConnection()

    def _problem(self, tls: TLSSocket) -> str:
        """
        What is wrong with the server's certificate; empty: nothing.
        """
        identity = self._identity
        if identity.check is None:
            return ""
        result = openssl.verifyResult(tls.ssl)
        if result:
            return (
                "upstream SSL certificate verify error:"
                f" ({result}:{openssl.verifyText(result)})"
            )
        if self._resumes and openssl.isReused(tls.ssl):
            # Its certificate is that of the session, which was kept for this name.
            return ""
        certificate = openssl.peerCertificate(tls.ssl)
        if not certificate or not _belongs(certificate, identity.name, identity.check):
            shown = identity.name.decode("utf-8", "replace")
            return f'upstream SSL certificate does not match "{shown}"'
        return ""

    def _keepSession(self, tls: TLSSocket) -> None:
        context, key = self._identity.context, self._key
        connection = tls.connection

        def keep() -> None:
            session = connection.get_session()
            if session is not None:
                context.keepSession(key, session)

        if connection.get_protocol_version() >= SSL.TLS1_3_VERSION:
            # Tickets come after the handshake, with the first response.
            tls.firstRead = keep
        elif not openssl.isReused(tls.ssl):
            keep()


_checked: dict[tuple[bytes, bytes, NameCheck], bool] = {}


def _belongs(certificate: bytes, name: bytes, check: NameCheck) -> bool:
    """
    Does a certificate have a name?  Asked for each connection, answered once.
    """
    key = (certificate, name, check)
    found = _checked.get(key)
    if found is None:
        from cryptography import x509

        try:
            found = check(x509.load_der_x509_certificate(certificate), name)
        except ValueError:
            # OpenSSL understands more than it should.
            found = False
        if len(_checked) >= _MOST_CHECKED:
            _checked.clear()
        _checked[key] = found
    return found
