"""
The C{*_ssl_*} directives: TLS with servers.  Nothing here needs OpenSSL.

nginx: C{ngx_http_proxy_module.c}, C{ngx_http_uwsgi_module.c}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.build import Block
from ..config.directive import (
    HTTP_ANY,
    directive,
    flag,
    oneOf,
    template,
)
from ..config.values import Template
from ..tls.fields import (
    CacheOptions,
    certificateCacheDirective,
    ciphersDirective,
    commandsDirective,
    crlDirective,
    passwordFileDirective,
    protocolsDirective,
    trustedDirective,
    verifyDepthDirective,
)

if TYPE_CHECKING:
    from .tls import UpstreamTLS


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamTLSOptions:
    """
    TLS with servers, of one dialect.
    """

    sessionReuse: bool = directive(
        "*_ssl_session_reuse",
        HTTP_ANY,
        flag,
        default=True,
        doc="Resume earlier sessions with a server.",
    )
    protocols: tuple[str, ...] = protocolsDirective("*_ssl_protocols", HTTP_ANY)
    ciphers: str = ciphersDirective("*_ssl_ciphers", HTTP_ANY, "DEFAULT")
    name: Template | None = directive(
        "*_ssl_name",
        HTTP_ANY,
        template,
        default=None,
        doc="The name that the server's certificate must have, instead of the host's.",
    )
    serverName: bool = directive(
        "*_ssl_server_name",
        HTTP_ANY,
        flag,
        default=False,
        doc="Tell the server this name in the handshake (SNI).",
    )
    verify: bool = directive(
        "*_ssl_verify",
        HTTP_ANY,
        flag,
        default=False,
        doc="Talk to a server only when its certificate is valid and has the name.",
    )
    verifyNames: str = directive(
        "*_ssl_verify_names",
        HTTP_ANY,
        oneOf("nginx", "strict"),
        default="nginx",
        doc="Which names match: those that nginx accepts, or what RFC 9525 allows.",
        origin="ours",
    )
    verifyDepth: int = verifyDepthDirective("*_ssl_verify_depth", HTTP_ANY, "server")
    trustedCertificate: str = trustedDirective("*_ssl_trusted_certificate", HTTP_ANY)
    crl: str = crlDirective("*_ssl_crl", HTTP_ANY)
    certificate: Template | None = directive(
        "*_ssl_certificate",
        HTTP_ANY,
        template,
        default=None,
        doc="A file with our certificate; or data:; empty: none.",
    )
    key: Template | None = directive(
        "*_ssl_certificate_key",
        HTTP_ANY,
        template,
        default=None,
        doc="A file with its key; or data:.",
    )
    certificateCache: CacheOptions = certificateCacheDirective(
        "*_ssl_certificate_cache", HTTP_ANY
    )
    passwordFile: str = passwordFileDirective("*_ssl_password_file", HTTP_ANY)
    commands: tuple[tuple[str, str], ...] = commandsDirective(
        "*_ssl_conf_command", HTTP_ANY
    )


def hasTLSOptions(block: Block, prefix: str) -> bool:
    """
    Was anything said about TLS, here or around?
    """
    return block.of(UpstreamTLSOptions, prefix) != UpstreamTLSOptions()


class LateTLS:
    """
    What an L{UpstreamTLS<twisted_upstream.upstream.tls.UpstreamTLS>} does, made when
    the first request turns out to need it: where the address of a server is all
    variables, there may never be one.
    """

    def __init__(self, make: Callable[[], UpstreamTLS]) -> None:
        self._make = make
        self._made: UpstreamTLS | None = None

    def get(self) -> UpstreamTLS:
        """
        The real one.
        """
        if self._made is None:
            self._made = self._make()
        return self._made

    def identity(
        self,
        client: Any,
        host: bytes,
        group: bytes,
        protocolNames: tuple[bytes, ...] = (),
    ) -> Any:
        """
        Who a request wants to talk to.
        """
        return self.get().identity(client, host, group, protocolNames)

    def secure(self, identity: Any, reactor: Any, deadlines: Any) -> Any:
        """
        What a dialer does with a connected socket.
        """
        return self.get().secure(identity, reactor, deadlines)
