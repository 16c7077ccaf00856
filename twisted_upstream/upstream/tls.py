"""
TLS with servers, of one location: who a request wants to talk to, and how.

nginx: C{ngx_http_upstream_ssl_init_connection()}, C{ngx_http_upstream_ssl_name()},
C{ngx_http_upstream_ssl_certificate()}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ..config.syntax import ConfigError
from ..tls.cache import CertificateCache
from ..tls.commands import CommandError
from ..tls.context import Context, Settings, TLSContextError, clientContext
from ..tls.files import TLSFileError
from ..tls.names import CHECKS, mayIndicate, withoutPort
from ..tls.options import lineOf
from ..tls.server import KeptContexts, readPhrases, withFiles, withPairs
from .tls_handshake import UpstreamHandshake
from .tls_identity import Identity, identityOf
from .tls_options import UpstreamTLSOptions

if TYPE_CHECKING:
    import socket as sockets

    from ..config.build import Block
    from ..net.deadline import Deadlines
    from ..net.dialer import Dialing
    from ..net.sockaddr import Sockaddr
    from ..net.transport import Reactor
    from ..tls.build import TLSBuild

_MOST_NAME = 255
_MOST_GROUPS = 64


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
