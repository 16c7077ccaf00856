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
    number,
    oneOf,
    template,
    text,
)
from ..config.values import Template
from ..tls.options import (
    CacheOptions,
    parseCertificateCache,
    parseCommand,
    parseProtocols,
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
    protocols: tuple[str, ...] = directive(
        "*_ssl_protocols",
        HTTP_ANY,
        parseProtocols,
        arity=(1, None),
        default=("TLSv1.2", "TLSv1.3"),
        doc="Versions of TLS.",
    )
    ciphers: str = directive(
        "*_ssl_ciphers",
        HTTP_ANY,
        text,
        default="DEFAULT",
        doc="Ciphers of TLS up to 1.2, as OpenSSL writes them.",
    )
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
    verifyDepth: int = directive(
        "*_ssl_verify_depth",
        HTTP_ANY,
        number,
        default=1,
        doc="How many certificates may stand between the server's and a trusted one.",
    )
    trustedCertificate: str = directive(
        "*_ssl_trusted_certificate",
        HTTP_ANY,
        text,
        default="",
        doc="A file with trusted certificates.",
    )
    crl: str = directive(
        "*_ssl_crl",
        HTTP_ANY,
        text,
        default="",
        doc="A file with lists of revoked certificates.",
    )
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
    certificateCache: CacheOptions = directive(
        "*_ssl_certificate_cache",
        HTTP_ANY,
        parseCertificateCache,
        arity=(1, 3),
        default=CacheOptions(),
        doc="Keep certificates whose names have variables.",
        type="off | max=number [inactive=time] [valid=time]",
    )
    passwordFile: str = directive(
        "*_ssl_password_file",
        HTTP_ANY,
        text,
        default="",
        doc="A file with pass phrases of keys, one on each line.",
    )
    commands: tuple[tuple[str, str], ...] = directive(
        "*_ssl_conf_command",
        HTTP_ANY,
        parseCommand,
        arity=(2, 2),
        repeat=True,
        default=(),
        doc="A command for OpenSSL itself.",
        type="name value",
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
