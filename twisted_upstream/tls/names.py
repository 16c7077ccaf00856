"""
Does a certificate belong to a name?  As nginx decides, and as RFC 9525 does.

nginx: event/ngx_event_openssl.c (ngx_ssl_check_host), which asks OpenSSL's
C{X509_check_host()}
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

#: Decides whether a certificate belongs to a name.
NameCheck = Callable[["Certificate", bytes], bool]

_PATTERN = re.compile(rb"(?:[a-z0-9-]*\*[a-z0-9-]*)(?:\.[a-z0-9-]+){2,}\Z", re.I)
_STAR = re.compile(rb"[a-z0-9-]*\Z", re.I)


def matchesLeniently(certificate: Certificate, name: bytes) -> bool:
    """
    What nginx accepts: a wildcard may stand for a part of the first label, and where
    the certificate has no DNS names at all its common names count.  Addresses are
    compared as text only.

    @param name: without port; empty: nothing matches.
    """
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    if not name or b"\0" in name:
        return False
    candidates: list[bytes] = []
    try:
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
        candidates = [
            each.value.encode("utf-8")
            for each in names
            if isinstance(each, x509.DNSName)
        ]
    except x509.ExtensionNotFound:
        pass
    except ValueError:
        # Names that cannot be read are no reason to look for others elsewhere.
        return False
    if not candidates:
        try:
            for attribute in certificate.subject.get_attributes_for_oid(
                NameOID.COMMON_NAME
            ):
                value = attribute.value
                candidates.append(
                    value if isinstance(value, bytes) else value.encode("utf-8")
                )
        except ValueError:
            return False
    return any(matchesPattern(each, name) for each in candidates)


def matchesPattern(pattern: bytes, name: bytes) -> bool:
    """
    Does a name in a certificate, perhaps with a wildcard, mean C{name}?
    """
    if b"\0" in pattern:
        return False
    pattern, name = pattern.lower(), name.lower()
    if name.startswith(b"."):
        return len(pattern) > len(name) and pattern.endswith(name)
    if not _isWildcard(pattern):
        return pattern == name
    first, _, rest = pattern.partition(b".")
    before, _, after = first.partition(b"*")
    label, _, tail = name.partition(b".")
    if tail != rest or len(label) < len(before) + len(after):
        return False
    if not (label.startswith(before) and label.endswith(after)):
        return False
    star = label[len(before) : len(label) - len(after)]
    if first == b"*":
        return star == b"*" or (bool(star) and _STAR.match(star) is not None)
    if label.startswith(b"xn--"):
        return False
    return star == b"*" or _STAR.match(star) is not None


def _isWildcard(pattern: bytes) -> bool:
    if b"*" not in pattern or _PATTERN.match(pattern) is None:
        return False
    labels = pattern.split(b".")
    first = labels[0]
    if first.count(b"*") != 1 or not (first.startswith(b"*") or first.endswith(b"*")):
        return False
    if first.startswith(b"xn--"):
        return False
    plain = [first.replace(b"*", b"") or b"x", *labels[1:]]
    return not any(each.startswith(b"-") or each.endswith(b"-") for each in plain)


def matchesStrictly(certificate: Certificate, name: bytes) -> bool:
    """
    What RFC 9525 allows: names of hosts by C{dNSName}, with a wildcard for a whole
    label only, and addresses by C{iPAddress}; a common name never counts.
    """
    from service_identity import cryptography as verifier
    from service_identity.exceptions import CertificateError, VerificationError

    try:
        text = name.decode("ascii")
    except UnicodeDecodeError:
        return False
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        if _isAddress(text):
            verifier.verify_certificate_ip_address(certificate, text)
        else:
            verifier.verify_certificate_hostname(certificate, text)
    except (VerificationError, CertificateError, ValueError):
        return False
    return True


def _isAddress(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


#: What C{*_ssl_verify_names} chooses from.
CHECKS: dict[str, NameCheck] = {
    "nginx": matchesLeniently,
    "strict": matchesStrictly,
}


def withoutPort(text: bytes) -> bytes:
    """
    The name in what was configured: up to the first colon after an address in
    brackets.  nginx: ngx_http_upstream_ssl_name()
    """
    at = text.find(b"]") if text.startswith(b"[") else 0
    colon = text.find(b":", max(at, 0))
    return text if colon < 0 else text[:colon]


def mayIndicate(name: bytes) -> bool:
    """
    May C{name} be sent to the server (SNI)?  Addresses may not.
    """
    return bool(name) and not name.startswith(b"[") and not _isDottedQuad(name)


def _isDottedQuad(name: bytes) -> bool:
    parts: Sequence[bytes] = name.split(b".")
    return len(parts) == 4 and all(
        part.isdigit() and len(part) <= 3 and int(part) < 256 for part in parts
    )
