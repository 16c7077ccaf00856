"""
TLS with clients, as one virtual server wants it: built from its directives.

nginx: http/modules/ngx_http_ssl_module.c (ngx_http_ssl_merge_srv_conf),
event/ngx_event_openssl.c
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..config.syntax import ConfigError
from .cache import CertificateCache
from .commands import CommandError, Commands
from .context import Context, Settings, TLSContextError, serverContext
from .files import KeyPair, TLSFileError, TLSFiles
from .options import TLSOptions, lineOf, linesOf

if TYPE_CHECKING:
    from ..config.build import Block
    from ..config.syntax import Node
    from .ocsp import OCSPChecker

#: What a server with C{optional_no_ca} does not mind.
_UNKNOWN_CA = frozenset((18, 19, 20, 21, 27))
#: Contexts of certificates that variables have named.
_MOST_KEPT = 64
_VARIABLE = re.compile(r"\$[a-zA-Z0-9_{]")

#: Compiles a text with variables.
Compile = Callable[[str, "Node"], Callable[[Any], bytes]]


class ServerTLS:
    """
    What one virtual server does with TLS.

    @ivar verify: C{off}, C{on}, C{optional} or C{optional_no_ca}.
    @ivar reject: is everybody refused?
    @ivar hasContext: can it answer a handshake by itself?
    """

    def __init__(
        self,
        block: Block,
        files: TLSFiles,
        compile: Compile,
        seconds: Callable[[], float],
        *,
        ocspCaches: dict[str, Any],
        kind: str = "HTTP",
        protocolNames: tuple[bytes, ...] = (),
    ) -> None:
        """
        @param ocspCaches: by name.
        @param kind: sessions of one kind are not resumed by another.
        @raise ConfigError: a file cannot be used, or OpenSSL refuses a setting.
        """
        options = block.of(TLSOptions)
        self._block = block
        self._files = files
        self.options = options
        self.verify = options.verifyClient
        self.reject = options.rejectHandshake
        self.hasContext = bool(options.certificates) or self.reject
        self._kept = KeptContexts(serverContext)
        self._context: Context | None = None
        self._variable: list[tuple[Any, Any]] = []
        self._phrases = self._readPhrases()
        self._checkTicketKeys()
        self.ocsp: OCSPChecker | None = None
        if not self.hasContext:
            return
        if options.ocsp != "off":
            self.ocsp = self._makeChecker(ocspCaches)
        if (
            self.verify in ("on", "optional")
            and not options.clientCertificate
            and not options.trustedCertificate
        ):
            raise lineOf(block, "ssl_verify_client").error(
                "no ssl_client_certificate or ssl_trusted_certificate for"
                " ssl_verify_client"
            )
        self._settings = self._makeSettings(kind, protocolNames)
        self._cache = CertificateCache(files, options.certificateCache, seconds)
        self._bindCertificates(compile)
        if not self._variable and not (self.reject and not options.certificates):
            self._context = self._make(self._settings)

    # ---- building -------------------------------------------------------------------

    def _readPhrases(self) -> tuple[bytes, ...] | None:
        name = self.options.passwordFile
        if not name:
            return None
        node = lineOf(self._block, "ssl_password_file")
        return readPhrases(self._files, name, node)

    def _checkTicketKeys(self) -> None:
        names = self.options.ticketKeys
        for name, node in zip(
            names, linesOf(self._block, "ssl_session_ticket_key"), strict=False
        ):
            path = self._files.path(name)
            try:
                size = len(self._files.text(name))
            except OSError as e:
                raise node.error(
                    f'open() "{path}" failed ({e.errno}: {e.strerror})'
                ) from None
            if size not in (48, 80):
                raise node.error(f'"{path}" must be 48 or 80 bytes')
            node.warning(
                "keys of session tickets cannot be set here, random ones are used"
            )

    def _makeChecker(self, caches: dict[str, Any]) -> OCSPChecker:
        from .ocsp import OCSPCache, OCSPChecker, Responder, ResponderError

        options = self.options
        if self.verify == "optional_no_ca":
            raise lineOf(self._block, "ssl_ocsp").error(
                '"ssl_ocsp" is incompatible with "ssl_verify_client optional_no_ca"'
            )
        responder = cache = None
        if options.ocspResponder:
            try:
                responder = Responder(options.ocspResponder)
            except ResponderError as e:
                raise lineOf(self._block, "ssl_ocsp_responder").error(str(e)) from None
        if options.ocspCache:
            cache = caches.setdefault(options.ocspCache, OCSPCache())
        return OCSPChecker(
            leafOnly=options.ocsp == "leaf", responder=responder, cache=cache
        )

    def _file(self, name: str, directive: str, read: Callable[[str], Any]) -> Any:
        if not name:
            return ()
        try:
            return read(name)
        except TLSFileError as e:
            raise lineOf(self._block, directive).error(str(e)) from None

    def _makeSettings(self, kind: str, names: tuple[bytes, ...]) -> Settings:
        options = self.options
        files = self._files
        dhParameters = b""
        if options.dhParameters:
            node = lineOf(self._block, "ssl_dhparam")
            path = files.path(options.dhParameters)
            try:
                dhParameters = files.text(options.dhParameters)
            except OSError as e:
                raise node.error(
                    f'BIO_new_file("{path}") failed (SSL: error:80000002:system'
                    f" library::{e.strerror})"
                ) from None
        verifies = self.verify != "off"
        named = self._file(
            options.clientCertificate if verifies else "",
            "ssl_client_certificate",
            files.certificates,
        )
        trusted = self._file(
            options.trustedCertificate, "ssl_trusted_certificate", files.certificates
        )
        crls = self._file(options.crl, "ssl_crl", files.revoked)
        return Settings(
            protocols=options.protocols,
            ciphers=options.ciphers,
            groups=options.groups,
            dhParameters=dhParameters,
            trusted=trusted,
            named=named,
            crls=crls,
            verify=verifies,
            depth=options.verifyDepth,
            commands=options.commands,
            protocolNames=names,
            preferServer=options.preferServer,
            tickets=options.sessionTickets,
            cache=options.sessionCache,
            timeout=int(options.sessionTimeout),
            staple=self._readStaple(),
            mark=kind + "".join(options.certificates if self._hasVariables() else ()),
        )

    def _readStaple(self) -> bytes:
        options = self.options
        if not options.stapling:
            return b""
        if not options.staplingFile:
            lineOf(self._block, "ssl_stapling").warning(
                '"ssl_stapling" ignored, it needs "ssl_stapling_file" here'
            )
            return b""
        from cryptography.x509 import ocsp

        node = lineOf(self._block, "ssl_stapling_file")
        path = self._files.path(options.staplingFile)
        try:
            data = self._files.text(options.staplingFile)
            ocsp.load_der_ocsp_response(data)
        except OSError as e:
            raise node.error(
                f'BIO_new_file("{path}") failed (SSL: error:80000002:system'
                f" library::{e.strerror})"
            ) from None
        except ValueError:
            raise node.error(f'd2i_OCSP_RESPONSE_bio("{path}") failed') from None
        return data

    def _hasVariables(self) -> bool:
        return any(
            _VARIABLE.search(each) is not None
            for each in (*self.options.certificates, *self.options.keys)
        )

    def _bindCertificates(self, compile: Compile) -> None:
        options = self.options
        block = self._block
        names, keys = options.certificates, options.keys
        lines = linesOf(block, "ssl_certificate")
        if len(keys) < len(names):
            raise lines[-1].error(
                f'no "ssl_certificate_key" is defined for certificate "{names[-1]}"'
            )
        if self._hasVariables():
            self._variable = [
                (compile(name, line), compile(key, line))
                for name, key, line in zip(names, keys, lines, strict=False)
            ]
            # What can be checked now is checked now.
            self._make(self._settings)
            return
        pairs = []
        for name, key, line in zip(names, keys, lines, strict=False):
            try:
                pairs.append(self._files.pair(name, key, self._phrases))
            except TLSFileError as e:
                raise line.error(str(e)) from None
        self._settings = withPairs(self._settings, tuple(pairs))

    def _make(self, settings: Settings) -> Context:
        try:
            settings = withFiles(settings, self._files)
            return self._kept.get(settings)
        except TLSContextError as e:
            raise lineOf(self._block, f"ssl_{e.directive}").error(str(e)) from None
        except (CommandError, TLSFileError) as e:
            raise lineOf(self._block, "ssl_conf_command").error(str(e)) from None

    # ---- serving --------------------------------------------------------------------

    def context(self, client: Any) -> Context | None:
        """
        What to answer a handshake with.

        @param client: asks: for variables, and for the error log.
        @return: C{None}: a certificate could not be loaded, which was logged.
        """
        if not self._variable:
            return self._context
        pairs = []
        try:
            for name, key in self._variable:
                pairs.append(
                    self._cache.pair(
                        _text(name(client)), _text(key(client)), self._phrases
                    )
                )
            return self._make(withPairs(self._settings, tuple(pairs)))
        except TLSFileError as e:
            client.logError("error", str(e))
        except ConfigError as e:
            client.logError("error", e.problems[0].message.replace("_CTX", "", 1))
        return None

    def complaint(
        self, result: int, certificate: bool, status: str = ""
    ) -> tuple[int, str] | None:
        """
        What is wrong with a client's certificate.

        @param result: of the verification.
        @param certificate: was there one?
        @param status: what its authority says against it.
        @return: the status and what the error log says.
        """
        if self.verify == "off":
            return None
        if result and not (self.verify == "optional_no_ca" and result in _UNKNOWN_CA):
            from .openssl import verifyText

            return (
                495,
                f"client SSL certificate verify error: ({result}:{verifyText(result)})",
            )
        if self.verify == "on" and not certificate:
            return 496, "client sent no required SSL certificate"
        if status:
            return 495, f"client SSL certificate verify error: {status}"
        return None


class KeptContexts:
    """
    Contexts that depend on a request: the last ones are kept, with their sessions.
    """

    def __init__(self, make: Callable[[Settings], Context]) -> None:
        self._make = make
        self._kept: dict[Settings, Context] = {}

    def get(self, settings: Settings) -> Context:
        """
        The context of some settings.

        @raise TLSContextError: OpenSSL refuses one.
        """
        kept = self._kept
        found = kept.pop(settings, None)
        if found is None:
            found = self._make(settings)
            if len(kept) >= _MOST_KEPT:
                del kept[next(iter(kept))]
        kept[settings] = found
        return found


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def withPairs(settings: Settings, pairs: tuple[KeyPair, ...]) -> Settings:
    """
    The same settings with other certificates.
    """
    return replace(settings, pairs=pairs)


def withFiles(settings: Settings, files: TLSFiles) -> Settings:
    """
    The same settings with what commands for OpenSSL say of files.

    @raise TLSFileError: one cannot be used.
    """
    if not settings.commands:
        return settings
    found = dict(Commands(settings.commands).files)
    certificate = found.get("certificate")
    if certificate is not None:
        key = found.get("privatekey", certificate)
        pair = files.pair(certificate, key, None)
        settings = replace(settings, pairs=(*settings.pairs, pair))
    if "dhparameters" in found:
        settings = replace(settings, dhParameters=files.text(found["dhparameters"]))
    if "verifycafile" in found:
        more = files.certificates(found["verifycafile"])
        settings = replace(settings, trusted=(*settings.trusted, *more))
    return settings


def readPhrases(files: TLSFiles, name: str, node: Node) -> tuple[bytes, ...]:
    """
    The pass phrases in a file.

    @raise ConfigError: it cannot be read.
    """
    try:
        return files.phrases(name)
    except OSError as e:
        raise node.error(
            f'open() "{files.path(name)}" failed ({e.errno}: {e.strerror})'
        ) from None
    except TLSFileError as e:
        raise node.error(str(e)) from None
