"""
What a PROXY header of version 2 tells of a client's TLS.

nginx: core/ngx_proxy_protocol.c (ngx_proxy_protocol_v2_eval_ssl)
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL, crypto

from . import openssl

_ALPN = 0x01
_AUTHORITY = 0x02
_SSL = 0x20
_VERSION = 0x21
_NAME = 0x22
_CIPHER = 0x23
_SIGNATURE = 0x24
_KEY = 0x25

_HAS_TLS = 1
_CERTIFICATE_NOW = 2
_CERTIFICATE_ONCE = 4
_UNSPECIFIED = 1
_REVOKED = 23

_KEYS = {crypto.TYPE_RSA: "RSA", crypto.TYPE_EC: "EC", crypto.TYPE_DSA: "DSA"}
#: OpenSSL's short names where pyOpenSSL has the long ones.
_SIGNATURES = {
    f"{name}WithRSAEncryption": f"RSA-{name.upper()}"
    for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
}


def proxyTLVs(tls: Any) -> list[tuple[int, bytes]]:
    """
    Types and values.

    @param tls: what L{twisted_upstream.tls.describe} takes, after its handshake.
    """
    connection: SSL.Connection = tls.socket.connection
    found: list[tuple[int, bytes]] = []
    if tls.hello is not None and tls.hello.serverName:
        found.append((_AUTHORITY, tls.hello.serverName))
    protocol = connection.get_alpn_proto_negotiated()
    if protocol:
        found.append((_ALPN, protocol))
    flags, verify = _HAS_TLS, _UNSPECIFIED
    inner = [(_VERSION, connection.get_protocol_version_name().encode())]
    if tls.certificate:
        flags |= _CERTIFICATE_ONCE
        if not openssl.isReused(tls.socket.ssl):
            flags |= _CERTIFICATE_NOW
        verify = tls.result or (_REVOKED if tls.ocspStatus else 0)
        theirs = crypto.load_certificate(crypto.FILETYPE_ASN1, tls.certificate)
        name = theirs.get_subject().CN
        if name is not None:
            inner.append((_NAME, name.encode()))
    inner.append((_CIPHER, (connection.get_cipher_name() or "").encode()))
    own = connection.get_certificate()
    if own is not None:
        algorithm = own.get_signature_algorithm().decode()
        inner.append((_SIGNATURE, _SIGNATURES.get(algorithm, algorithm).encode()))
        key = own.get_pubkey()
        kind = _KEYS.get(key.type())
        if kind is not None:
            inner.append((_KEY, f"{kind}{key.bits()}".encode()))
    value = bytes((flags,)) + verify.to_bytes(4, "big")
    for type, each in inner:
        value += bytes((type,)) + len(each).to_bytes(2, "big") + each
    found.append((_SSL, value))
    return found
