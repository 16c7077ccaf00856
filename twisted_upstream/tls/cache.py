"""
Certificates whose names have variables, kept for a while.

nginx: event/ngx_event_openssl_cache.c (ngx_ssl_cache_connection_fetch)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from .fields import CacheOptions
from .files import KeyPair, TLSFileError, TLSFiles, isEncrypted, markOf

#: At most so many that were not used lately are dropped with each that comes.
_MOST_DROPPED = 2


class _Entry:
    __slots__ = ("checked", "mark", "used", "value")

    def __init__(self, value: Any, mark: Any, now: float) -> None:
        self.value = value
        self.mark = mark
        self.checked = self.used = now


class CertificateCache:
    """
    One C{*_certificate_cache}.
    """

    def __init__(
        self, files: TLSFiles, options: CacheOptions, seconds: Callable[[], float]
    ) -> None:
        self._files = files
        self._options = options
        self._seconds = seconds
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()

    def pair(
        self, certificate: str, key: str, phrases: Sequence[bytes] | None
    ) -> KeyPair:
        """
        A certificate and its key, as they are now or were lately.

        @raise TLSFileError: one of them cannot be read.
        """
        files = self._files
        chain, loaded = self._load(certificate, key, phrases)
        if not belong(chain[0], loaded[1]):
            # One of them may have been replaced while the other was kept.
            self._entries.pop(("certificate", certificate), None)
            self._entries.pop(("key", key), None)
            chain, loaded = self._load(certificate, key, phrases)
        return KeyPair(
            files.path(certificate), chain, files.path(key), loaded[0], loaded[1]
        )

    def _load(
        self, certificate: str, key: str, phrases: Sequence[bytes] | None
    ) -> tuple[tuple[bytes, ...], tuple[bytes, Any]]:
        files = self._files
        chain = self._get("certificate", certificate, files.certificates)
        loaded = self._get("key", key, lambda name: files.key(name, phrases))
        return chain, loaded

    def _get(self, kind: str, name: str, load: Callable[[str], Any]) -> Any:
        now = self._seconds()
        place = (kind, name)
        entry = self._entries.get(place)
        if entry is not None:
            entry.used = now
            self._entries.move_to_end(place)
            if now - entry.checked <= self._options.valid or name.startswith("data:"):
                return entry.value
            if entry.mark is not None and entry.mark == self._mark(name):
                entry.checked = now
                return entry.value
            del self._entries[place]
        self._files.forget(name)
        mark = self._mark(name)
        try:
            value = load(name)
        finally:
            self._files.forget(name)
        if self._options.most and not (kind == "key" and isEncrypted(value[0])):
            self._put(place, _Entry(value, mark, now))
        return value

    def _put(self, place: tuple[str, str], entry: _Entry) -> None:
        entries = self._entries
        for _ in range(_MOST_DROPPED):
            if not entries:
                break
            oldest = next(iter(entries))
            if entry.used - entries[oldest].used <= self._options.inactive:
                break
            del entries[oldest]
        if len(entries) >= self._options.most:
            entries.popitem(last=False)
        entries[place] = entry

    def _mark(self, name: str) -> Any:
        """
        What tells whether a file is still the same; C{None}: it is none.
        """
        if name.startswith(("data:", "store:", "engine:")):
            return None
        return markOf(self._files.path(name))


def belong(certificate: bytes, key: Any) -> bool:
    """
    Is C{key} that of the certificate?
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from OpenSSL import crypto

    def text(of: Any) -> bytes:
        data: bytes = of.to_cryptography_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        return data

    try:
        loaded = crypto.load_certificate(crypto.FILETYPE_ASN1, certificate)
        own = key.to_cryptography_key().public_key()
        other: bytes = own.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return text(loaded.get_pubkey()) == other
    except (ValueError, TypeError, crypto.Error) as e:
        raise TLSFileError(f"cannot use a certificate or key: {e}") from None
