"""
What C{$ssl_*} variables say of a connection and of the certificate of its client.

Each takes what holds C{socket} (a L{TLSSocket<twisted_upstream.tls.socket.TLSSocket>},
or C{None}), C{hello}, C{certificate} (DER) and C{result} of the verification.

nginx: event/ngx_event_openssl.c (ngx_ssl_get_protocol and those that follow)
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from OpenSSL import crypto

from . import openssl

Describe = Callable[[Any], "bytes | None"]

_GROUPS = {
    0x0016: "secp256k1",
    0x0017: "prime256v1",
    0x0018: "secp384r1",
    0x0019: "secp521r1",
    0x001A: "brainpoolP256r1",
    0x001B: "brainpoolP384r1",
    0x001C: "brainpoolP512r1",
    0x001D: "X25519",
    0x001E: "X448",
    0x001F: "brainpoolP256r1tls13",
    0x0020: "brainpoolP384r1tls13",
    0x0021: "brainpoolP512r1tls13",
    0x0100: "ffdhe2048",
    0x0101: "ffdhe3072",
    0x0102: "ffdhe4096",
    0x0103: "ffdhe6144",
    0x0104: "ffdhe8192",
    0x0200: "MLKEM512",
    0x0201: "MLKEM768",
    0x0202: "MLKEM1024",
    0x11EB: "SecP256r1MLKEM768",
    0x11EC: "X25519MLKEM768",
    0x11ED: "SecP384r1MLKEM1024",
}
_GROUP_NAMES = {"secp256r1": "prime256v1", "x25519": "X25519", "x448": "X448"}

_SIGNATURES = {
    0x0201: "rsa_pkcs1_sha1",
    0x0203: "ecdsa_sha1",
    0x0401: "rsa_pkcs1_sha256",
    0x0403: "ecdsa_secp256r1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0807: "ed25519",
    0x0808: "ed448",
    0x0809: "rsa_pss_pss_sha256",
    0x080A: "rsa_pss_pss_sha384",
    0x080B: "rsa_pss_pss_sha512",
    0x081A: "ecdsa_brainpoolP256r1tls13_sha256",
    0x081B: "ecdsa_brainpoolP384r1tls13_sha384",
    0x081C: "ecdsa_brainpoolP512r1tls13_sha512",
    0x0904: "mldsa44",
    0x0905: "mldsa65",
    0x0906: "mldsa87",
}

#: OpenSSL's short names of what stands in names.
_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.15": "businessCategory",
    "2.5.4.16": "postalAddress",
    "2.5.4.17": "postalCode",
    "2.5.4.20": "telephoneNumber",
    "2.5.4.41": "name",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.45": "x500UniqueIdentifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.72": "role",
    "2.5.4.97": "organizationIdentifier",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.2.840.113549.1.9.8": "unstructuredAddress",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.3": "mail",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

_TEXTS = {
    0x0C: "utf-8",
    0x12: "latin-1",
    0x13: "latin-1",
    0x14: "latin-1",
    0x16: "latin-1",
    0x1A: "latin-1",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}
_SPECIAL = re.compile(rb'[,+"\\<>;]')
_CONTROL = re.compile(rb"[\x00-\x1f\x7f-\xff]")


# ---- the connection -----------------------------------------------------------------


def _ofSocket(describe: Callable[[Any], str | None]) -> Describe:
    def get(tls: Any) -> bytes | None:
        if tls.socket is None:
            return None
        text = describe(tls)
        return None if text is None else text.encode("utf-8", "surrogateescape")

    return get


def _protocol(tls: Any) -> str:
    name: str = tls.socket.connection.get_protocol_version_name()
    return name


def _cipher(tls: Any) -> str | None:
    name: str | None = tls.socket.connection.get_cipher_name()
    return name


def _ciphers(tls: Any) -> str | None:
    if tls.hello is None:
        return None
    ssl = tls.socket.ssl
    return ":".join(openssl.cipherName(ssl, code) for code in tls.hello.ciphers)


def _curve(tls: Any) -> str:
    name = openssl.groupName(tls.socket.ssl)
    return _GROUP_NAMES.get(name, name)


def _curves(tls: Any) -> str | None:
    if tls.hello is None:
        return None
    return ":".join(_GROUPS.get(code, f"0x{code:04x}") for code in tls.hello.groups)


def _signatureAlgorithms(tls: Any) -> str | None:
    if tls.hello is None:
        return None
    return ":".join(
        _SIGNATURES.get(code, f"0x{code:04x}") for code in tls.hello.signatureAlgorithms
    )


def _sessionReused(tls: Any) -> str:
    return "r" if openssl.isReused(tls.socket.ssl) else "."


def _alpn(tls: Any) -> str | None:
    name: bytes = tls.socket.connection.get_alpn_proto_negotiated()
    return name.decode("latin-1") or None


def _serverName(tls: Any) -> bytes | None:
    # Certificates may be named by it, so that it counts before the handshake.
    if tls.hello is None:
        return None
    name: bytes | None = tls.hello.serverName
    return name


# ---- the client's certificate -------------------------------------------------------


def _ofCertificate(describe: Callable[[bytes], bytes]) -> Describe:
    def get(tls: Any) -> bytes | None:
        certificate: bytes = tls.certificate
        return describe(certificate) if certificate else None

    return get


def _pem(der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join(
        (b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----\n")
    )


def _tabbed(der: bytes) -> bytes:
    return _pem(der)[:-1].replace(b"\n", b"\n\t")


def _escaped(der: bytes) -> bytes:
    return quote(_pem(der), safe="").encode()


def _load(der: bytes) -> crypto.X509:
    return crypto.load_certificate(crypto.FILETYPE_ASN1, der)


def _subject(der: bytes) -> bytes:
    return distinguishedName(_load(der).get_subject().der())


def _issuer(der: bytes) -> bytes:
    return distinguishedName(_load(der).get_issuer().der())


def _subjectLegacy(der: bytes) -> bytes:
    return openssl.oneLine(_load(der).get_subject())


def _issuerLegacy(der: bytes) -> bytes:
    return openssl.oneLine(_load(der).get_issuer())


def _serial(der: bytes) -> bytes:
    number = _load(der).get_serial_number()
    sign = "-" if number < 0 else ""
    digits = f"{abs(number):X}"
    if len(digits) % 2:
        digits = "0" + digits
    return (sign + digits).encode()


def _fingerprint(der: bytes) -> bytes:
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().encode()


def _time(text: bytes | None) -> time.struct_time:
    return time.strptime((text or b"").decode(), "%Y%m%d%H%M%SZ")


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def _shown(when: time.struct_time) -> bytes:
    return (
        f"{_MONTHS[when.tm_mon - 1]} {when.tm_mday:2} {when.tm_hour:02}:"
        f"{when.tm_min:02}:{when.tm_sec:02} {when.tm_year} GMT"
    ).encode()


def _start(der: bytes) -> bytes:
    return _shown(_time(_load(der).get_notBefore()))


def _end(der: bytes) -> bytes:
    return _shown(_time(_load(der).get_notAfter()))


def _remain(der: bytes) -> bytes:
    import calendar

    end = calendar.timegm(_time(_load(der).get_notAfter()))
    return b"%d" % max(0, (end - int(time.time())) // 86400)


def _verify(tls: Any) -> bytes | None:
    if tls.socket is None:
        return None
    if not tls.certificate:
        return b"NONE"
    if not tls.result:
        return b"FAILED:" + tls.ocspStatus.encode() if tls.ocspStatus else b"SUCCESS"
    return b"FAILED:" + openssl.verifyText(tls.result).encode()


# ---- names --------------------------------------------------------------------------


def _header(der: bytes, at: int) -> tuple[int, int, int]:
    """
    @return: the tag, where the content begins, and where it ends.
    """
    tag = der[at]
    begin, size = openssl.derHeader(der, at)
    return tag, begin, begin + size


def distinguishedName(der: bytes) -> bytes:
    """
    A name as RFC 2253 writes it, with OpenSSL's names of its parts.
    """
    _, at, end = _header(der, 0)
    sets = []
    while at < end:
        _, inner, at = _header(der, at)
        parts = []
        while inner < at:
            _, oidAt, inner = _header(der, inner)
            _, begin, valueAt = _header(der, oidAt)
            tag, valueBegin, valueEnd = _header(der, valueAt)
            parts.append(
                _part(
                    _oid(der[begin:valueAt]),
                    tag,
                    der[valueBegin:valueEnd],
                    der[valueAt:valueEnd],
                )
            )
        sets.append(b"+".join(reversed(parts)))
    return b",".join(reversed(sets))


def _part(oid: str, tag: int, value: bytes, whole: bytes) -> bytes:
    name = _NAMES.get(oid)
    coding = _TEXTS.get(tag)
    if name is None or coding is None:
        return (name or oid).encode() + b"=#" + whole.hex().upper().encode()
    try:
        text = value.decode(coding).encode("utf-8")
    except UnicodeError:
        text = value
    text = _SPECIAL.sub(lambda found: b"\\" + found[0], text)
    if text[:1] in (b"#", b" "):
        text = b"\\" + text
    if text[-1:] == b" " and len(text) > 1 and text != b"\\ ":
        text = text[:-1] + b"\\ "
    text = _CONTROL.sub(lambda found: b"\\%02X" % found[0][0], text)
    return name.encode() + b"=" + text


def _oid(data: bytes) -> str:
    numbers = []
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _nothing(tls: Any) -> bytes | None:
    return None


#: By the name of the variable.
DESCRIPTIONS: dict[str, Describe] = {
    "ssl_protocol": _ofSocket(_protocol),
    "ssl_cipher": _ofSocket(_cipher),
    "ssl_ciphers": _ofSocket(_ciphers),
    "ssl_curve": _ofSocket(_curve),
    "ssl_curves": _ofSocket(_curves),
    "ssl_sigalg": _nothing,
    "ssl_client_sigalg": _nothing,
    "ssl_sigalgs": _ofSocket(_signatureAlgorithms),
    "ssl_session_id": _ofSocket(lambda tls: openssl.sessionId(tls.socket.ssl).hex()),
    "ssl_session_reused": _ofSocket(_sessionReused),
    "ssl_early_data": _nothing,
    "ssl_server_name": _serverName,
    "ssl_alpn_protocol": _ofSocket(_alpn),
    "ssl_ech_status": _nothing,
    "ssl_ech_outer_server_name": _nothing,
    "ssl_client_cert": _ofCertificate(_tabbed),
    "ssl_client_raw_cert": _ofCertificate(_pem),
    "ssl_client_escaped_cert": _ofCertificate(_escaped),
    "ssl_client_s_dn": _ofCertificate(_subject),
    "ssl_client_i_dn": _ofCertificate(_issuer),
    "ssl_client_s_dn_legacy": _ofCertificate(_subjectLegacy),
    "ssl_client_i_dn_legacy": _ofCertificate(_issuerLegacy),
    "ssl_client_serial": _ofCertificate(_serial),
    "ssl_client_fingerprint": _ofCertificate(_fingerprint),
    "ssl_client_verify": _verify,
    "ssl_client_v_start": _ofCertificate(_start),
    "ssl_client_v_end": _ofCertificate(_end),
    "ssl_client_v_remain": _ofCertificate(_remain),
}
