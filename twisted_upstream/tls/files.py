"""
Certificates, keys and lists of revoked ones, from files or from the configuration.

nginx: event/ngx_event_openssl_cache.c
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from weakref import WeakSet

_DATA = "data:"
_STORE = "store:file:"
_BLOCK = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n(.*?)-----END \1-----", re.DOTALL
)
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")
_NO_START = "error:0480006C:PEM routines::no start line:Expecting: "
_BAD_DECODE = "error:04800064:PEM routines::bad base64 decode"
#: nginx: NGX_SSL_PASSWORD_BUFFER_SIZE
_MOST_LINE = 4096


class TLSFileError(Exception):
    """
    A file is missing or of no use; the text is nginx's.
    """


#: What tells whether a file is still the same: as in nginx its number, and the second
#: of its last change.
Mark: TypeAlias = tuple[int, int]


def markOf(path: str) -> Mark | None:
    """
    The mark of a file; C{None}: it is none that could be read twice.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_ino, int(found.st_mtime)) if stat.S_ISREG(found.st_mode) else None


@dataclass(frozen=True, slots=True)
class KeyPair:
    """
    A chain of certificates and the key of the first one.

    @ivar name: of the file, or C{data:…}.
    @ivar chain: certificates in DER, the server's own first.
    @ivar key: an C{OpenSSL.crypto.PKey}, as loaded.
    @ivar keyText: tells one key from another.
    """

    name: str
    chain: tuple[bytes, ...]
    keyName: str
    keyText: bytes = field(repr=False)
    key: Any = field(compare=False, repr=False)


class TLSFiles:
    """
    The files of one configuration: each is read once.
    """

    def __init__(self, directory: str, inherits: bool = True) -> None:
        """
        @param directory: relative names are under it.
        @param inherits: files that have not changed since another configuration read
            them are not read again.
        """
        self._directory = directory
        self._read: dict[str, bytes] = {}
        self._marks: dict[str, Mark] = {}
        self._inherits = inherits
        _living.add(self)

    def path(self, name: str) -> str:
        """
        The full name of a file.
        """
        return os.path.join(self._directory, name.removeprefix(_STORE))

    def text(self, name: str, *, inherits: bool = False) -> bytes:
        """
        What a name stands for: the content of a file, or what follows C{data:}.

        @param inherits: may it be what another configuration has read?
        @raise OSError: the file cannot be read.
        """
        if name.startswith(_DATA):
            return name[len(_DATA) :].encode("utf-8", "surrogateescape")
        path = self.path(name)
        found = self._read.get(path)
        if found is None:
            mark = markOf(path)
            if mark is not None and inherits and self._inherits:
                found = self._inherited(path, mark)
            if found is None:
                with open(path, "rb") as file:
                    found = file.read()
            self._read[path] = found
            if mark is not None:
                self._marks[path] = mark
        return found

    def _inherited(self, path: str, mark: Mark) -> bytes | None:
        for other in _living:
            if other._marks.get(path) == mark:
                found = other._read.get(path)
                if found is not None and not isEncrypted(found):
                    return found
        return None

    def forget(self, name: str) -> None:
        """
        Let the file be read anew.
        """
        path = self.path(name)
        self._read.pop(path, None)
        self._marks.pop(path, None)

    def _shown(self, name: str) -> str:
        return name if name.startswith(_DATA) else self.path(name)

    def _load(self, what: str, name: str) -> bytes:
        try:
            return self.text(name, inherits=True)
        except OSError as e:
            path = self._shown(name)
            number = 0x80000000 | (e.errno or 0)
            raise TLSFileError(
                f'cannot load {what} "{path}": BIO_new_file() failed (SSL:'
                f" error:{number:08X}:system library::{e.strerror}:calling"
                f" fopen({path}, r) error:10000080:BIO routines::no such file)"
            ) from None

    def certificates(self, name: str) -> tuple[bytes, ...]:
        """
        The certificates in a file, in DER.

        @raise TLSFileError: there is none, or one that cannot be read.
        """
        from OpenSSL import SSL, crypto

        from .openssl import textOf

        text = self._load("certificate", name)
        shown = self._shown(name)

        def wrong(index: int, detail: str) -> TLSFileError:
            reader = "PEM_read_bio_X509_AUX" if not index else "PEM_read_bio_X509"
            return TLSFileError(
                f'cannot load certificate "{shown}": {reader}() failed (SSL: {detail})'
            )

        found = []
        for index, (_, content) in enumerate(_blocks(text, _CERTIFICATES)):
            if content is None:
                raise wrong(index, _BAD_DECODE)
            der = _first(content)
            try:
                crypto.load_certificate(crypto.FILETYPE_ASN1, der)
            except (crypto.Error, SSL.Error) as e:
                raise wrong(index, textOf(e)) from None  # type: ignore[arg-type]
            found.append(der)
        if not found:
            raise wrong(0, _NO_START + "TRUSTED CERTIFICATE")
        return tuple(found)

    def revoked(self, name: str) -> tuple[bytes, ...]:
        """
        The lists of revoked certificates in a file, in DER.

        @raise TLSFileError: there is none, or one that cannot be read.
        """
        from cryptography import x509

        text = self._load("CRL", name)
        shown = self._shown(name)
        found = []
        for _, content in _blocks(text, (b"X509 CRL",)):
            try:
                if content is None:
                    raise ValueError(_BAD_DECODE)
                x509.load_der_x509_crl(content)
            except ValueError as e:
                raise TLSFileError(
                    f'cannot load CRL "{shown}": PEM_read_bio_X509_CRL() failed'
                    f" (SSL: {e})"
                ) from None
            found.append(content)
        if not found:
            raise TLSFileError(
                f'cannot load CRL "{shown}": PEM_read_bio_X509_CRL() failed'
                f" (SSL: {_NO_START}X509 CRL)"
            )
        return tuple(found)

    def key(self, name: str, phrases: Sequence[bytes] | None) -> tuple[bytes, Any]:
        """
        A private key.

        @param phrases: to be tried if it is encrypted; C{None}: there are none.
        @return: its text and an C{OpenSSL.crypto.PKey}.
        @raise TLSFileError: it cannot be read.
        """
        from OpenSSL import SSL, crypto

        from .openssl import textOf

        if name.startswith("engine:"):
            raise TLSFileError(
                f'cannot load certificate key "{name}": engines are not supported'
            )
        if name.startswith("store:") and not name.startswith(_STORE):
            raise TLSFileError(
                f'cannot load certificate key "{name}": OSSL_STORE_open() failed'
                " (only store:file: is supported)"
            )
        text = self._load("certificate key", name)
        detail = _NO_START + "ANY PRIVATE KEY"
        tries: Sequence[bytes] = (b"",)
        if isEncrypted(text):
            detail = (
                "error:07880109:common libcrypto routines::interrupted or cancelled"
            )
            tries = phrases or ()
        for phrase in tries:
            try:
                return text, crypto.load_privatekey(crypto.FILETYPE_PEM, text, phrase)
            except (crypto.Error, SSL.Error, ValueError, TypeError) as e:
                queue = e.args[0] if e.args else ""
                if isinstance(queue, list) and queue:
                    detail = textOf(e)  # type: ignore[arg-type]
        raise TLSFileError(
            f'cannot load certificate key "{self._shown(name)}":'
            f" PEM_read_bio_PrivateKey() failed (SSL: {detail})"
        )

    def pair(
        self, certificate: str, key: str, phrases: Sequence[bytes] | None
    ) -> KeyPair:
        """
        A certificate with its chain, and its key.

        @raise TLSFileError: one of them cannot be read.
        """
        chain = self.certificates(certificate)
        text, loaded = self.key(key, phrases)
        return KeyPair(self._shown(certificate), chain, self._shown(key), text, loaded)

    def phrases(self, name: str) -> tuple[bytes, ...]:
        """
        The pass phrases in a file, one on each line.

        @raise TLSFileError: a line is too long.
        @raise OSError: the file cannot be read.
        """
        text = self.text(name)
        found = []
        for line in text.split(b"\n"):
            line = line.removesuffix(b"\r")
            if len(line) >= _MOST_LINE:
                raise TLSFileError(f'too long line in "{self.path(name)}"')
            if line:
                found.append(line)
        return tuple(found) or (b"",)


#: Of the configurations that there are, during a reload two.
_living: WeakSet[TLSFiles] = WeakSet()


def isEncrypted(text: bytes) -> bool:
    """
    Does a key need a pass phrase?
    """
    return b"ENCRYPTED" in text


def _blocks(text: bytes, kinds: Sequence[bytes]) -> list[tuple[bytes, bytes | None]]:
    """
    The PEM blocks of some kinds: kind and content; C{None}: it is no base64.
    """
    found: list[tuple[bytes, bytes | None]] = []
    for kind, content in _BLOCK.findall(text):
        if kind in kinds:
            try:
                data = base64.b64decode(b"".join(content.split()), validate=True)
                found.append((kind, data))
            except binascii.Error:
                found.append((kind, None))
    return found


def _first(der: bytes) -> bytes:
    """
    A certificate without what OpenSSL says of its trust behind it.
    """
    if len(der) < 2 or not der[1] & 0x80:
        return der
    count = der[1] & 0x7F
    return der[: 2 + count + int.from_bytes(der[2 : 2 + count], "big")]
