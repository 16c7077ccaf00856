"""
TLS with servers: who we want to talk to, and whether it is them who answer.

nginx: C{ngx_http_upstream_ssl_init_connection()},
C{ngx_http_upstream_ssl_handshake()}, C{ngx_http_upstream_ssl_name()}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakValueDictionary

from OpenSSL import SSL

from ..config.syntax import ConfigError
from ..net.dialer import ConnectTimedOut
from ..tls import openssl
from ..tls.cache import CertificateCache
from ..tls.commands import CommandError
from ..tls.context import Context, Settings, TLSContextError, clientContext
from ..tls.files import TLSFileError
from ..tls.handshake import Handshake, HandshakeFailed
from ..tls.names import CHECKS, NameCheck, mayIndicate, withoutPort
from ..tls.options import lineOf
from ..tls.server import KeptContexts, readPhrases, withFiles, withPairs
from ..tls.socket import TLSSocket
from ..tls.transport import TLSTransport
from .tls_options import UpstreamTLSOptions

if TYPE_CHECKING:
    import socket as sockets

    from ..config.build import Block
    from ..net.deadline import Deadlines
    from ..net.dialer import Dialing
    from ..net.sockaddr import Sockaddr
    from ..net.transport import Reactor
    from ..tls.build import TLSBuild
    from ..tls.handshake import Turns

HANDSHAKING = "SSL handshaking to upstream"
_MOST_NAME = 255
#: Names of certificates that were looked at lately; then all are forgotten.
_MOST_CHECKED = 1024
_MOST_GROUPS = 64


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


class Identity:
    """
    Who a connection is with, as far as we care: a connection serves only requests that
    want the very same.  There is one object for each: L{identityOf} finds it.

    @ivar group: the name of the group of servers.
    @ivar context: with all settings and our own certificate.
    @ivar name: that the certificate must have; empty: nobody looks.
    @ivar serverName: that the server is told; empty: none.
    @ivar check: how names are compared; C{None}: the certificate is not verified.
    """

    __slots__ = (
        "__weakref__",
        "check",
        "context",
        "group",
        "name",
        "protocolNames",
        "serverName",
    )

    def __init__(
        self,
        group: bytes,
        context: Context,
        name: bytes,
        serverName: bytes,
        check: NameCheck | None,
        protocolNames: tuple[bytes, ...],
    ) -> None:
        self.group = group
        self.context = context
        self.name = name
        self.serverName = serverName
        self.check = check
        self.protocolNames = protocolNames


_identities: WeakValueDictionary[tuple[Any, ...], Identity] = WeakValueDictionary()


def identityOf(
    group: bytes,
    context: Context,
    name: bytes,
    serverName: bytes,
    check: NameCheck | None,
    protocolNames: tuple[bytes, ...] = (),
) -> Identity:
    """
    The one object that stands for all this.
    """
    key = (group, context, name, serverName, check, protocolNames)
    found = _identities.get(key)
    if found is None:
        found = _identities[key] = Identity(*key)
    return found


class UpstreamTLS:
    """
    The C{*_ssl_*} of one location.
    """

    def __init__(
        self,
        block: Block,
        prefix: str,
        tls: TLSBuild,
        optionsClass: type[Any] = UpstreamTLSOptions,
    ) -> None:
        """
        @param prefix: of the directives: C{proxy}.
        @raise ConfigError: a file cannot be used, or OpenSSL refuses a setting.
        """
        options = cast("UpstreamTLSOptions", block.of(optionsClass, prefix))
        self._block = block
        self._prefix = prefix
        self._files = tls.files
        self._turns = tls.turns
        self._kept = KeptContexts(clientContext)
        self._options = options
        self._serverName = options.serverName
        self._check = CHECKS[options.verifyNames] if options.verify else None
        self._name = None
        if options.name is not None:
            line = lineOf(block, f"{prefix}_ssl_name")
            self._name = tls.compile(options.name.text, line)
        self._phrases: tuple[bytes, ...] | None = None
        if options.passwordFile:
            self._phrases = readPhrases(
                tls.files,
                options.passwordFile,
                lineOf(block, f"{prefix}_ssl_password_file"),
            )
        self._cache = CertificateCache(tls.files, options.certificateCache, tls.seconds)
        self._settings = self._makeSettings()
        self._certificate: Callable[[Any], bytes] | None = None
        self._key: Callable[[Any], bytes] | None = None
        self._bindCertificate(tls)
        self._context = self._make(self._settings)
        #: By host and group, where nothing else of the request matters.
        self._identities: dict[tuple[bytes, bytes], Identity] = {}
        self._isConstant = self._certificate is None and (
            options.name is None or options.name.constant is not None
        )

    # ---- building -------------------------------------------------------------------

    def _makeSettings(self) -> Settings:
        options = self._options
        trusted: tuple[bytes, ...] = ()
        crls: tuple[bytes, ...] = ()
        if options.verify:
            if not options.trustedCertificate:
                raise lineOf(self._block, f"{self._prefix}_ssl_verify").error(
                    f"no {self._prefix}_ssl_trusted_certificate for"
                    f" {self._prefix}_ssl_verify"
                )
            trusted = self._file(
                options.trustedCertificate,
                "trusted_certificate",
                self._files.certificates,
            )
            if options.crl:
                crls = self._file(options.crl, "crl", self._files.revoked)
        return Settings(
            protocols=options.protocols,
            ciphers=options.ciphers,
            trusted=trusted,
            crls=crls,
            verify=options.verify,
            depth=options.verifyDepth,
            commands=options.commands,
            reuse=options.sessionReuse,
        )

    def _file(self, name: str, directive: str, read: Callable[[str], Any]) -> Any:
        try:
            return read(name)
        except TLSFileError as e:
            raise lineOf(self._block, f"{self._prefix}_ssl_{directive}").error(
                str(e)
            ) from None

    def _bindCertificate(self, tls: TLSBuild) -> None:
        options = self._options
        certificate, key = options.certificate, options.key
        if certificate is None or certificate.text == "":
            return
        node = lineOf(self._block, f"{self._prefix}_ssl_certificate")
        if key is None:
            raise node.error(
                f'no "{self._prefix}_ssl_certificate_key" is defined for certificate'
                f' "{certificate.text}"'
            )
        if certificate.constant is None or key.constant is None:
            self._certificate = tls.compile(certificate.text, node)
            self._key = tls.compile(
                key.text, lineOf(self._block, f"{self._prefix}_ssl_certificate_key")
            )
            return
        try:
            pair = self._files.pair(
                certificate.constant.decode("utf-8", "surrogateescape"),
                key.constant.decode("utf-8", "surrogateescape"),
                self._phrases,
            )
        except TLSFileError as e:
            raise node.error(str(e)) from None
        self._settings = withPairs(self._settings, (pair,))

    def _make(self, settings: Settings) -> Context:
        prefix = f"{self._prefix}_ssl_"
        try:
            return self._kept.get(withFiles(settings, self._files))
        except TLSContextError as e:
            raise lineOf(self._block, prefix + e.directive).error(str(e)) from None
        except (CommandError, TLSFileError) as e:
            raise lineOf(self._block, prefix + "conf_command").error(str(e)) from None

    # ---- per attempt ----------------------------------------------------------------

    def identity(
        self,
        client: Any,
        host: bytes,
        group: bytes,
        protocolNames: tuple[bytes, ...] = (),
    ) -> Identity | None:
        """
        Who a request wants to talk to.

        @param host: what the C{*_pass} names; its port is cut off.
        @return: C{None}: that cannot be said, which was logged.
        """
        key = (host, group)
        if self._isConstant and not protocolNames:
            found = self._identities.get(key)
            if found is not None:
                return found
        context = self._context
        if self._certificate is not None:
            chosen = self._chooseCertificate(client)
            if chosen is None:
                return None
            context = chosen
        name = serverName = b""
        if self._check is not None or self._serverName:
            name = withoutPort(host if self._name is None else self._name(client))
            if self._serverName and mayIndicate(name):
                if len(name) > _MOST_NAME or b"\0" in name:
                    shown = name.decode("utf-8", "replace")
                    client.logError(
                        "error",
                        f'SSL_set_tlsext_host_name("{shown}") failed',
                    )
                    return None
                serverName = name
            if self._check is None:
                name = b""
        found = identityOf(group, context, name, serverName, self._check, protocolNames)
        if self._isConstant and not protocolNames:
            if len(self._identities) >= _MOST_GROUPS:
                self._identities.clear()
            self._identities[key] = found
        return found

    def _chooseCertificate(self, client: Any) -> Context | None:
        assert self._certificate is not None and self._key is not None
        name = self._certificate(client).decode("utf-8", "surrogateescape")
        if not name:
            return self._context
        key = self._key(client).decode("utf-8", "surrogateescape")
        try:
            pair = self._cache.pair(name, key, self._phrases)
            return self._make(replace(self._settings, pairs=(pair,)))
        except TLSFileError as e:
            client.logError("error", str(e))
        except ConfigError as e:
            text = e.problems[0].message.replace("_CTX", "", 1)
            client.logError("error", text)
        return None

    def secure(
        self,
        identity: Identity,
        reactor: Reactor,
        deadlines: Deadlines,
        *,
        header: bytes = b"",
        timeout: float = 0.0,
    ) -> Callable[..., Callable[[], None]]:
        """
        What a dialer does with a connected socket.

        @param header: sent before the handshake.
        @param timeout: seconds; 0: what connecting has left.
        """

        def begin(
            sock: sockets.socket,
            sockaddr: Sockaddr,
            protocol: Any,
            waiter: Dialing,
            seconds: float,
        ) -> Callable[[], None]:
            handshake = UpstreamHandshake(
                identity, sock, sockaddr, protocol, waiter, reactor, self._turns
            )
            handshake.start(deadlines, timeout or seconds, header)
            return handshake.giveUp

        return begin


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
        transport = TLSTransport(tls, self._reactor, protocol, self._sockaddr)
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
