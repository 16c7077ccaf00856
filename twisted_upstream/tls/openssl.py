"""
The one module that reaches through pyOpenSSL to OpenSSL itself.

pyOpenSSL's own methods cost several Python calls each and an exception where nothing is
to be read; some functions it does not have at all.  C{_lib} and C{_ffi} are what it is
made of itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from OpenSSL import SSL

_lib: Any = SSL._lib  # type: ignore[attr-defined]
_ffi: Any = SSL._ffi  # type: ignore[attr-defined]

#: What one TLS record carries at most, in bytes.
RECORD = 16384

NONE = 0
ERROR_SSL = _lib.SSL_ERROR_SSL
WANT_READ = _lib.SSL_ERROR_WANT_READ
WANT_WRITE = _lib.SSL_ERROR_WANT_WRITE
SYSCALL = _lib.SSL_ERROR_SYSCALL
ZERO_RETURN = _lib.SSL_ERROR_ZERO_RETURN

# Not named by cryptography's bindings.
_MODE_NO_AUTO_CHAIN = 0x8
_REASON_UNEXPECTED_EOF = 294
_LIBRARY_SSL = 20
# In a session, the field that has the ticket.
_TICKET = 0xAA
#: Reasons from here on are alerts of the other side.
_ALERTS = 1000

read = _lib.SSL_read
write = _lib.SSL_write
getError = _lib.SSL_get_error
fromBuffer = _ffi.from_buffer
unpack = _ffi.unpack

#: Where every record is decrypted to, before it is copied out.
inputBuffer = _ffi.new("char[]", RECORD)


def raw(connection: SSL.Connection) -> Any:
    """
    OpenSSL's own object, as long as the connection lives.
    """
    return connection._ssl


def rawContext(context: SSL.Context) -> Any:
    """
    OpenSSL's own object, as long as the context lives.
    """
    return context._context


def errno() -> int:
    """
    The system's error of the last call.
    """
    number: int = _ffi.errno
    return number


class Complaint:
    """
    What OpenSSL's queue of errors said.

    @ivar text: as nginx prints it, without the parentheses; may be empty.
    @ivar truncated: the other side has closed without saying so first.
    """

    __slots__ = ("text", "truncated")

    def __init__(self, text: str, truncated: bool) -> None:
        self.text = text
        self.truncated = truncated


def complaint() -> Complaint:
    """
    Empty the queue of errors.
    """
    texts = []
    truncated = False
    while True:
        number = _lib.ERR_get_error()
        if not number:
            break
        library, reason = (number >> 23) & 0xFF, number & 0x7FFFFF
        truncated = truncated or (
            library == _LIBRARY_SSL and reason == _REASON_UNEXPECTED_EOF
        )
        text = f"error:{number:08X}:{_text(_lib.ERR_lib_error_string(number))}"
        text += f"::{_text(_lib.ERR_reason_error_string(number))}"
        if library == _LIBRARY_SSL and _ALERTS <= reason < _ALERTS + 256:
            text += f":SSL alert number {reason - _ALERTS}"
        texts.append(text)
    return Complaint(" ".join(texts), truncated)


def textOf(error: SSL.Error) -> str:
    """
    What an exception of pyOpenSSL's says, as nginx would.
    """
    queue = error.args[0] if error.args else ()
    if not isinstance(queue, (list, tuple)):
        return str(error)
    return " ".join(
        f"{library}:{function}:{reason}" for library, function, reason in queue
    )


def _text(pointer: Any) -> str:
    if pointer == _ffi.NULL:
        return ""
    text: str = _ffi.string(pointer).decode("utf-8", "replace")
    return text


# ---- handshakes and ends ------------------------------------------------------------


def handshake(ssl: Any) -> int:
    """
    One step of a handshake.

    @return: L{NONE}: it is over; else what C{getError} says.
    """
    # Whatever others left in the queue would be taken for this call's.
    _lib.ERR_clear_error()
    done = _lib.SSL_do_handshake(ssl)
    if done == 1:
        return NONE
    error: int = _lib.SSL_get_error(ssl, done)
    return error


def isAwaited(ssl: Any) -> bool:
    """
    Was a server's the last word of the handshake?  Then its client, who waits for that,
    cannot have said more yet; in TLS 1.3, and where a session is resumed, the client
    ends it.
    """
    return bool(
        _lib.SSL_version(ssl) < SSL.TLS1_3_VERSION and not _lib.SSL_session_reused(ssl)
    )


def sendCloseNotify(ssl: Any) -> None:
    """
    Say that no more comes.  An answer is not waited for.
    """
    _lib.SSL_shutdown(ssl)
    _lib.ERR_clear_error()


def forget(ssl: Any) -> None:
    """
    Let the connection's session outlive it: OpenSSL takes one that was closed without
    a word for broken.
    """
    _lib.SSL_set_shutdown(ssl, _lib.SSL_SENT_SHUTDOWN | _lib.SSL_RECEIVED_SHUTDOWN)


# ---- verification -------------------------------------------------------------------


def _acceptAll(ok: int, store: Any) -> int:
    return 1


# Must live as long as any context.
_accepting = _ffi.callback("int(*)(int, X509_STORE_CTX *)", _acceptAll)


def verifyLater(context: SSL.Context, mode: int) -> None:
    """
    Let the handshake succeed whatever is wrong with the other side's certificate;
    L{verifyResult} says what it is.

    Without a callback OpenSSL would stop at the first thing that is wrong; nginx
    reports the last one.
    """
    _lib.SSL_CTX_set_verify(rawContext(context), mode, _accepting)


def verifyResult(ssl: Any) -> int:
    """
    0, or what is wrong with the other side's chain of certificates.
    """
    result: int = _lib.SSL_get_verify_result(ssl)
    return result


def verifyText(number: int) -> str:
    """
    A result in words.
    """
    return _text(_lib.X509_verify_cert_error_string(number))


def peerCertificate(ssl: Any) -> bytes:
    """
    The other side's certificate in DER; empty if it has sent none.
    """
    certificate = _lib.SSL_get_peer_certificate(ssl)
    if certificate == _ffi.NULL:
        return b""
    try:
        bio = _lib.BIO_new(_lib.BIO_s_mem())
        try:
            _lib.i2d_X509_bio(bio, certificate)
            pointer = _ffi.new("char **")
            size = _lib.BIO_get_mem_data(bio, pointer)
            data: bytes = _ffi.buffer(pointer[0], size)[:]
        finally:
            _lib.BIO_free(bio)
    finally:
        _lib.X509_free(certificate)
    return data


def oneLine(name: Any) -> bytes:
    """
    The old form of a distinguished name: C{/C=CZ/O=x/CN=y}.

    @param name: an C{X509Name}.
    """
    text = _lib.X509_NAME_oneline(name._name, _ffi.NULL, 0)
    try:
        data: bytes = _ffi.string(text)
    finally:
        _lib.OPENSSL_free(text)
    return data


# ---- contexts -----------------------------------------------------------------------


def noAutoChain(context: SSL.Context) -> None:
    """
    Send no certificates but those that were loaded.
    """
    _lib.SSL_CTX_set_mode(rawContext(context), _MODE_NO_AUTO_CHAIN)


def releaseBuffers(context: SSL.Context) -> None:
    """
    An idle connection holds no buffers.
    """
    _lib.SSL_CTX_set_mode(rawContext(context), _lib.SSL_MODE_RELEASE_BUFFERS)


def setGroups(context: SSL.Context, names: str) -> str:
    """
    Which groups the key exchange may use, separated by colons.

    @return: what is wrong with them; empty: nothing.
    """
    setList = getattr(_lib, "SSL_CTX_set1_curves_list", None)
    if setList is None:
        return _setGroup(context, names)
    if setList(rawContext(context), names.encode()) == 1:
        return ""
    return complaint().text or "error"


def _setGroup(context: SSL.Context, name: str) -> str:
    """
    Older versions of cryptography can set one group, if it is a curve of NIST's.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    curves: dict[str, ec.EllipticCurve] = {
        "prime256v1": ec.SECP256R1(),
        "P-256": ec.SECP256R1(),
        "secp384r1": ec.SECP384R1(),
        "P-384": ec.SECP384R1(),
        "secp521r1": ec.SECP521R1(),
        "P-521": ec.SECP521R1(),
    }
    if name not in curves:
        return f"group '{name}' cannot be set with this version of cryptography"
    context.set_tmp_ecdh(curves[name])
    return ""


def setSignatureAlgorithms(context: SSL.Context, names: str) -> str:
    """
    The same for signatures.
    """
    if _lib.SSL_CTX_set1_sigalgs_list(rawContext(context), names.encode()) == 1:
        return ""
    return complaint().text or "error"


def selectProtocol(context: SSL.Context, protocols: tuple[bytes, ...]) -> None:
    """
    Choose the protocol of the application (ALPN): the first of C{protocols} that the
    client has, or an alert.
    """

    def select(
        ssl: Any, out: Any, size: Any, offered: Any, length: int, argument: Any
    ) -> int:
        data: bytes = _ffi.buffer(offered, length)[:]
        found = set()
        at = 0
        while at < len(data):
            end = at + 1 + data[at]
            found.add(data[at + 1 : end])
            at = end
        for protocol, kept in keep:
            if protocol in found:
                out[0] = kept
                size[0] = len(protocol)
                return 0
        return 2

    keep = [(each, _ffi.new("unsigned char[]", each)) for each in protocols]
    callback = _ffi.callback(
        "int(*)(SSL *, unsigned char **, unsigned char *, const unsigned char *,"
        " unsigned int, void *)",
        select,
        error=2,
    )
    _lib.SSL_CTX_set_alpn_select_cb(rawContext(context), callback, _ffi.NULL)
    # OpenSSL knows addresses only.
    _hold(context, callback)


def _hold(context: SSL.Context, thing: Any) -> None:
    context._held = thing  # type: ignore[attr-defined]


# ---- sessions -----------------------------------------------------------------------


def isReused(ssl: Any) -> bool:
    """
    Does this connection resume an earlier one?
    """
    return bool(_lib.SSL_session_reused(ssl))


def sessionId(ssl: Any) -> bytes:
    """
    The session's number; empty if it has none.
    """
    der = _session(ssl)
    # Version, protocol and cipher come first.
    for place, (_, content) in enumerate(_elements(der)):
        if place == 3:
            return content
    return b""


def ticketName(ssl: Any) -> bytes:
    """
    The name of the key that the session's ticket was made with, as its client has it;
    empty: it has no ticket.
    """
    for tag, content in _elements(_session(ssl)):
        if tag == _TICKET:
            begin, _ = derHeader(content, 0)
            return content[begin : begin + 16]
    return b""


def _session(ssl: Any) -> bytes:
    """
    The session in DER; empty: there is none.
    """
    session = _lib.SSL_get_session(ssl)
    if session == _ffi.NULL:
        return b""
    size = _lib.i2d_SSL_SESSION(session, _ffi.NULL)
    if size <= 0:
        return b""
    data = _ffi.new("unsigned char[]", size)
    pointer = _ffi.new("unsigned char **", data)
    _lib.i2d_SSL_SESSION(session, pointer)
    der: bytes = _ffi.buffer(data, size)[:]
    return der


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """
    Tag and content of what is in a sequence.
    """
    if not der:
        return
    at, size = derHeader(der, 0)
    end = at + size
    while at < end:
        tag = der[at]
        at, size = derHeader(der, at)
        yield tag, der[at : at + size]
        at += size


def derHeader(der: bytes, at: int) -> tuple[int, int]:
    """
    Where an element's content begins, and how long it is.
    """
    size = der[at + 1]
    at += 2
    if size & 0x80:
        count = size & 0x7F
        size = int.from_bytes(der[at : at + count], "big")
        at += count
    return at, size


# ---- names --------------------------------------------------------------------------


def groupName(ssl: Any) -> str:
    """
    The group that the keys were exchanged with, as OpenSSL calls it.
    """
    return _text(_lib.SSL_get0_group_name(ssl))


def cipherName(ssl: Any, code: bytes) -> str:
    """
    OpenSSL's name of a cipher suite, C{0x1a1a} of one it does not know.
    """
    cipher = _lib.SSL_CIPHER_find(ssl, code)
    if cipher == _ffi.NULL:
        return "0x" + code.hex()
    return _text(_lib.SSL_CIPHER_get_name(cipher))
