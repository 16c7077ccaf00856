"""
Certificates of every kind, good and bad, made for one test.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH

_DAY = datetime.timedelta(days=1)


def _name(names: Sequence[str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in names])


def _alternative(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@dataclass(frozen=True)
class Issued:
    """
    A certificate and its key.
    """

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        """
        The certificate as it stands in files.
        """
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        """
        The certificate as it is sent.
        """
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def keyPem(self) -> bytes:
        """
        The key as it stands in files.
        """
        return self.encryptedKey(None)

    def encryptedKey(self, phrase: bytes | None) -> bytes:
        """
        The same, encrypted.
        """
        text: bytes = self.key.private_bytes(
            Encoding.PEM,
            PrivateFormat.TraditionalOpenSSL,
            NoEncryption() if phrase is None else BestAvailableEncryption(phrase),
        )
        return text

    def revoke(
        self,
        *revoked: Issued,
        since: float = -1,
        until: float = 30,
        key: Any = None,
    ) -> bytes:
        """
        The list of what this authority has revoked, as PEM.

        @param since: in days from now, as C{until}.
        @param key: signs it instead of the authority's own.
        """
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now + since * _DAY)
            .next_update(now + until * _DAY)
        )
        for each in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(each.certificate.serial_number)
                .revocation_date(now - _DAY)
                .build()
            )
        signed = builder.sign(key or self.key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM)


def issue(
    names: str | Sequence[str] = "good.example",
    issuer: Issued | None = None,
    *,
    alternatives: Sequence[str] | None = None,
    authority: bool | None = False,
    pathLength: int | None = None,
    since: float = -1,
    until: float = 30,
    usages: Sequence[x509.ObjectIdentifier] = (),
    keyUsage: Sequence[str] | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
    key: Any = None,
    signer: Any = None,
    algorithm: Any = None,
    identifiers: bool = True,
) -> Issued:
    """
    Make a certificate.

    @param names: common names.
    @param issuer: C{None}: it signs itself.
    @param alternatives: DNS names and addresses; by default the common name, if it is
        no authority's; empty: none.
    @param authority: C{None}: nothing is said about it.
    @param since: in days from now, as C{until}.
    @param usages: of the key, extended; none: nothing is said.
    @param keyUsage: of the key, by cryptography's names.
    @param signer: signs it instead of the issuer's key.
    """
    common = (names,) if isinstance(names, str) else names
    key = key or ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = _name(common)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since * _DAY)
        .not_valid_after(now + until * _DAY)
    )
    if authority is not None:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=authority, path_length=pathLength), critical=True
        )
    if alternatives is None:
        alternatives = () if authority else common
    if alternatives:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(each) for each in alternatives]),
            critical=not common,
        )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if keyUsage is not None:
        said = {
            each: each in keyUsage
            for each in (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            )
        }
        builder = builder.add_extension(x509.KeyUsage(**said), critical=True)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    signingKey = key if issuer is None else issuer.key
    if identifiers:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signingKey.public_key()),
            critical=False,
        )
    certificate = builder.sign(signer or signingKey, algorithm or hashes.SHA256())
    return Issued(certificate, key)


def authority(name: str = "Root", issuer: Issued | None = None, **said: Any) -> Issued:
    """
    A certificate that may sign others.
    """
    return issue(name, issuer, **{"authority": True, **said})
