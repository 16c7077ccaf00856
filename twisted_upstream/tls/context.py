"""
From settings to OpenSSL's contexts.

A context cannot be changed once a connection was made with it, so that all is known
before it is made.  Equal settings give the same context, also over a reload: sessions
and tickets stay valid as long as nothing has changed.

nginx: event/ngx_event_openssl.c (ngx_ssl_create, ngx_ssl_certificates and others)
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from OpenSSL import SSL, crypto

from . import openssl
from .commands import Commands
from .files import KeyPair
from .tickets import TicketKeys

if TYPE_CHECKING:
    from ..wire.client_hello import ClientHello

PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_VERSIONS = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
_WITHOUT = {
    "TLSv1": 0x04000000,
    "TLSv1.1": 0x10000000,
    "TLSv1.2": 0x08000000,
    "TLSv1.3": 0x20000000,
}
_NO_TICKET = 0x4000
_NO_COMPRESSION = 0x20000
_SERVER_PREFERENCE = 0x400000
_NO_RENEGOTIATION = 0x40000000
_NO_ANTI_REPLAY = 0x1000000

_CRL_CHECKS = 0x4 | 0x8

#: How long the numbers of a session and its settings are known to OpenSSL.
_SESSIONS_KEPT = 1024


class TLSContextError(Exception):
    """
    OpenSSL does not take a setting; the text is nginx's.

    @ivar directive: which, without prefix: C{"ciphers"}.
    """

    def __init__(self, directive: str, message: str) -> None:
        super().__init__(message)
        self.directive = directive


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """
    All that makes one context differ from another.

    @ivar pairs: our certificates.
    @ivar protocols: words of L{PROTOCOLS}.
    @ivar ciphers: of TLS up to 1.2; empty: OpenSSL's.
    @ivar groups: C{"auto"}: OpenSSL's.
    @ivar trusted: certificates in DER that others' are verified with.
    @ivar named: those of them whose names clients are told.
    @ivar crls: lists of revoked certificates in DER.
    @ivar verify: is the other side asked for a certificate?  Of a client's settings:
        does anybody look at the server's?
    @ivar depth: certificates between that of the other side and a trusted one.
    @ivar commands: names and values for OpenSSL itself.
    @ivar staple: what our certificate's authority says of it, in DER.
    @ivar protocolNames: of the application (ALPN); a server's in order of preference.
    """

    pairs: tuple[KeyPair, ...] = ()
    protocols: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    ciphers: str = ""
    groups: str = "auto"
    dhParameters: bytes = b""
    trusted: tuple[bytes, ...] = ()
    named: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    verify: bool = False
    depth: int = 1
    commands: tuple[tuple[str, str], ...] = ()
    protocolNames: tuple[bytes, ...] = ()
    preferServer: bool = False
    tickets: bool = True
    cache: str = "none"
    timeout: int = 300
    reuse: bool = True
    mark: str = ""
    staple: bytes = b""


class Context:
    """
    An OpenSSL context and what belongs to it.

    @ivar sessions: of a client: to be resumed; by address and name.
    """

    __slots__ = ("__weakref__", "_ssl", "sessions", "settings")

    def __init__(
        self,
        settings: Settings,
        context: SSL.Context | TicketKeys,
    ) -> None:
        self.settings = settings
        self._ssl = context
        self.sessions: dict[Any, Any] = {}

    @property
    def ssl(self) -> SSL.Context:
        """
        pyOpenSSL's; of a server whose keys are renewed, the newest.
        """
        context = self._ssl
        return context.current if isinstance(context, TicketKeys) else context

    def answering(self, hello: ClientHello | None, now: float) -> SSL.Context:
        """
        Of a server: what answers a client.

        @param hello: what the client said; C{None}: that could not be understood.
        @param now: seconds.
        """
        context = self._ssl
        if isinstance(context, TicketKeys):
            return context.contextFor(hello, now)
        return context

    def keepSession(self, key: Any, session: Any) -> None:
        """
        Remember a session; the oldest are forgotten.
        """
        sessions = self.sessions
        sessions.pop(key, None)
        if len(sessions) >= _SESSIONS_KEPT:
            del sessions[next(iter(sessions))]
        sessions[key] = session


_contexts: WeakValueDictionary[tuple[bool, Settings], Context] = WeakValueDictionary()


def serverContext(settings: Settings) -> Context:
    """
    The context of a server.

    @raise TLSContextError: OpenSSL refuses a setting.
    """
    return _context(True, settings)


def clientContext(settings: Settings) -> Context:
    """
    The context of a client.

    @raise TLSContextError: OpenSSL refuses a setting.
    """
    return _context(False, settings)


def _context(isServer: bool, settings: Settings) -> Context:
    key = (isServer, settings)
    found = _contexts.get(key)
    if found is None:
        first = _make(isServer, settings)
        context: SSL.Context | TicketKeys = first
        if isServer and settings.cache == "shared" and _hasTickets(first):
            again = partial(_make, True, settings)
            context = TicketKeys(first, settings.timeout, again)
        found = _contexts[key] = Context(settings, context)
    return found


def _hasTickets(context: SSL.Context) -> bool:
    """
    Do clients keep their sessions?  C{ssl_conf_command} has a say in that, too.
    """
    return not context.set_options(0) & _NO_TICKET


def _make(isServer: bool, settings: Settings) -> SSL.Context:
    commands = Commands(settings.commands)
    protocols = commands.protocols(settings.protocols)
    settings = replace(settings, protocols=protocols)
    method = SSL.TLS_SERVER_METHOD if isServer else SSL.TLS_CLIENT_METHOD
    context = SSL.Context(method)
    openssl.noAutoChain(context)
    openssl.releaseBuffers(context)
    _setOptions(context, isServer, settings, commands)
    _setCiphers(context, settings, commands)
    for pair in settings.pairs:
        _addPair(context, pair)
    _setTrust(context, isServer, settings)
    if isServer:
        _setSessions(context, settings)
        if settings.dhParameters:
            _setParameters(context, settings.dhParameters)
        if settings.protocolNames:
            openssl.selectProtocol(context, settings.protocolNames)
        if settings.staple:
            context.set_ocsp_server_callback(_staple, settings.staple)
    else:
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return context


def _staple(connection: SSL.Connection, data: bytes | None) -> bytes:
    """
    What a client gets that asks for the state of our certificate.
    """
    return data or b""


def _setOptions(
    context: SSL.Context, isServer: bool, settings: Settings, commands: Commands
) -> None:
    chosen = [each for each in _VERSIONS if each in settings.protocols]
    wanted = _NO_COMPRESSION | _NO_RENEGOTIATION
    for name, bit in _WITHOUT.items():
        if name not in chosen:
            wanted |= bit
    if isServer:
        wanted |= _NO_ANTI_REPLAY
        if not settings.tickets:
            wanted |= _NO_TICKET
        if settings.preferServer:
            wanted |= _SERVER_PREFERENCE
    on, off = commands.options()
    context.set_options(wanted & ~off | on)
    if chosen:
        context.set_min_proto_version(_VERSIONS[chosen[0]])
        context.set_max_proto_version(_VERSIONS[chosen[-1]])


def _setCiphers(context: SSL.Context, settings: Settings, commands: Commands) -> None:
    for directive, ciphers in (
        ("ciphers", settings.ciphers),
        ("conf_command", commands.value("cipherstring")),
    ):
        if not ciphers:
            continue
        try:
            context.set_cipher_list(ciphers.encode())
        except SSL.Error as e:
            detail = openssl.textOf(e)
            if "no cipher match" in detail:
                detail = "error:0A0000B9:SSL routines::no cipher match"
            raise TLSContextError(
                directive,
                f'SSL_CTX_set_cipher_list("{ciphers}") failed (SSL: {detail})',
            ) from None
    suites = commands.value("ciphersuites")
    if suites:
        try:
            context.set_tls13_ciphersuites(suites.encode())
        except SSL.Error as e:
            raise commands.failed("Ciphersuites", suites, openssl.textOf(e)) from None
    groups = commands.value("groups") or commands.value("curves")
    if groups:
        wrong = openssl.setGroups(context, groups)
        if wrong:
            raise commands.failed("Groups", groups, wrong)
    elif settings.groups != "auto":
        wrong = openssl.setGroups(context, settings.groups)
        if wrong:
            raise TLSContextError(
                "ecdh_curve",
                f'SSL_CTX_set1_curves_list("{settings.groups}") failed (SSL: {wrong})',
            )
    algorithms = commands.value("signaturealgorithms")
    if algorithms:
        wrong = openssl.setSignatureAlgorithms(context, algorithms)
        if wrong:
            raise commands.failed("SignatureAlgorithms", algorithms, wrong)


def _addPair(context: SSL.Context, pair: KeyPair) -> None:
    # Only a file gives each certificate a chain of its own.
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        for der in pair.chain:
            certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, der)
            file.write(crypto.dump_certificate(crypto.FILETYPE_PEM, certificate))
        file.flush()
        try:
            context.use_certificate_chain_file(file.name)
        except SSL.Error as e:
            raise TLSContextError(
                "certificate",
                f'SSL_CTX_use_certificate("{pair.name}") failed'
                f" (SSL: {openssl.textOf(e)})",
            ) from None
    try:
        context.use_privatekey(pair.key)
    except SSL.Error as e:
        detail = openssl.textOf(e)
        if "key values mismatch" in detail:
            detail = "error:05800074:x509 certificate routines::key values mismatch"
        raise TLSContextError(
            "certificate_key",
            f'SSL_CTX_use_PrivateKey("{pair.keyName}") failed (SSL: {detail})',
        ) from None


def _setTrust(context: SSL.Context, isServer: bool, settings: Settings) -> None:
    mode = SSL.VERIFY_PEER if isServer and settings.verify else SSL.VERIFY_NONE
    openssl.verifyLater(context, mode)
    context.set_verify_depth(settings.depth)
    store = context.get_cert_store()
    assert store is not None
    for der in dict.fromkeys((*settings.named, *settings.trusted)):
        store.add_cert(crypto.load_certificate(crypto.FILETYPE_ASN1, der))
    if settings.crls:
        from cryptography import x509

        for der in settings.crls:
            store.add_crl(x509.load_der_x509_crl(der))
        store.set_flags(_CRL_CHECKS)
    if isServer and settings.verify:
        names = set()
        for der in settings.named:
            certificate = crypto.load_certificate(crypto.FILETYPE_ASN1, der)
            name = certificate.get_subject().der()
            if name not in names:
                names.add(name)
                context.add_client_ca(certificate)


def _setSessions(context: SSL.Context, settings: Settings) -> None:
    # What nginx calls "none" issues sessions that nobody will find again.
    context.set_session_cache_mode(
        {
            "off": SSL.SESS_CACHE_OFF,
            "none": SSL.SESS_CACHE_SERVER
            | SSL.SESS_CACHE_NO_AUTO_CLEAR
            | SSL.SESS_CACHE_NO_INTERNAL_STORE,
        }.get(settings.cache, SSL.SESS_CACHE_SERVER)
    )
    context.set_timeout(settings.timeout)
    digest = hashlib.sha1(settings.mark.encode(), usedforsecurity=False)
    for pair in settings.pairs:
        digest.update(hashlib.sha1(pair.chain[0], usedforsecurity=False).digest())
    for der in settings.named:
        digest.update(hashlib.sha1(der, usedforsecurity=False).digest())
    context.set_session_id(digest.digest())


def _setParameters(context: SSL.Context, text: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(text)
        file.flush()
        try:
            context.load_tmp_dh(file.name)
        except SSL.Error as e:
            raise TLSContextError(
                "dhparam",
                f"PEM_read_bio_DHparams() failed (SSL: {openssl.textOf(e)})",
            ) from None
