"""
What an authority's answer about a certificate says, and whether it can be believed.

nginx: event/ngx_event_openssl_stapling.c: C{ngx_ssl_ocsp_verify()}
"""

from __future__ import annotations

import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

REVOKED = "certificate revoked"
UNKNOWN = "certificate status unknown"
#: How much clocks may differ.
_TOLERANCE = datetime.timedelta(seconds=300)


def verified(
    data: bytes, certificate: x509.Certificate, issuer: x509.Certificate
) -> tuple[str, datetime.datetime]:
    """
    What a response says of a certificate.

    @return: what is wrong with it, and how long that can be believed.
    @raise ValueError: it says nothing, or cannot be believed.
    """
    response = ocsp.load_der_ocsp_response(data)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        status = response.response_status
        raise ValueError(
            f"OCSP response not successful ({status.value}: {status.name.lower()})"
        )
    if not any(_hasSigned(signer, response) for signer in _signers(response, issuer)):
        raise ValueError("OCSP_basic_verify() failed")
    name = hashes.Hash(hashes.SHA1())
    name.update(issuer.subject.public_bytes())
    nameHash = name.finalize()
    keyHash = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest
    for each in response.responses:
        if (
            each.serial_number != certificate.serial_number
            or each.issuer_name_hash != nameHash
            or each.issuer_key_hash != keyHash
        ):
            continue
        now = utcNow()
        until = each.next_update_utc
        if each.this_update_utc > now + _TOLERANCE or (
            until is not None and until < now - _TOLERANCE
        ):
            raise ValueError("OCSP_check_validity() failed")
        if until is None:
            until = datetime.datetime.max.replace(tzinfo=datetime.UTC)
        found = {
            ocsp.OCSPCertStatus.GOOD: "",
            ocsp.OCSPCertStatus.REVOKED: REVOKED,
        }.get(each.certificate_status, UNKNOWN)
        return found, until
    raise ValueError("certificate status not found in the OCSP response")


def _signers(
    response: ocsp.OCSPResponse, issuer: x509.Certificate
) -> list[x509.Certificate]:
    """
    Who may answer: the authority itself, and whom it has given that right.
    """
    found = [issuer]
    now = utcNow()
    for each in response.certificates:
        try:
            usage = each.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
            each.verify_directly_issued_by(issuer)
        except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
            continue
        if (
            ExtendedKeyUsageOID.OCSP_SIGNING in usage.value
            and each.not_valid_before_utc <= now <= each.not_valid_after_utc
        ):
            found.append(each)
    return found


def _hasSigned(signer: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    key: Any = signer.public_key()
    algorithm = response.signature_hash_algorithm
    more: tuple[Any, ...] = ()
    if isinstance(key, rsa.RSAPublicKey):
        more = (padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if algorithm is None:
            return False
        more = (ec.ECDSA(algorithm),)
    try:
        key.verify(response.signature, response.tbs_response_bytes, *more)
    except (InvalidSignature, TypeError, ValueError, AttributeError):
        return False
    return True


def utcNow() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
