"""
Tests of L{twisted_upstream.tls.ocsp}.
"""

from __future__ import annotations

import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.trial.unittest import SynchronousTestCase

from tests.support.certificates import Issued, authority, issue
from twisted_upstream.tls.ocsp import OCSPCache, Responder, ResponderError
from twisted_upstream.tls.ocsp_response import REVOKED, UNKNOWN, verified

_HOUR = datetime.timedelta(hours=1)
GOOD = ocsp.OCSPCertStatus.GOOD


def answer(
    certificate: Issued,
    issuer: Issued,
    status: ocsp.OCSPCertStatus = GOOD,
    *,
    signer: Issued | None = None,
    since: float = -1,
    until: float | None = 1,
    enclosed: bool = False,
) -> bytes:
    """
    What a responder says.

    @param since: in hours from now, as C{until}.
    @param enclosed: does the signer's certificate come along?
    """
    now = datetime.datetime.now(datetime.UTC)
    signer = signer or issuer
    revoked: Any = now - _HOUR if status is ocsp.OCSPCertStatus.REVOKED else None
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            certificate.certificate,
            issuer.certificate,
            hashes.SHA1(),
            status,
            now + since * _HOUR,
            None if until is None else now + until * _HOUR,
            revoked,
            None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    )
    if enclosed:
        builder = builder.certificates([signer.certificate])
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


class VerifiedTests(SynchronousTestCase):
    """
    What is believed.
    """

    def setUp(self) -> None:
        """
        An authority and a client's certificate.
        """
        self.root = authority()
        self.leaf = issue("somebody", self.root)

    def status(self, data: bytes) -> str:
        """
        What a response comes to.
        """
        return verified(data, self.leaf.certificate, self.root.certificate)[0]

    def assertRefused(self, data: bytes, text: str) -> None:
        """
        The response is not believed.
        """
        error = self.assertRaises(ValueError, self.status, data)
        self.assertIn(text, str(error))

    def test_statuses(self) -> None:
        """
        Good, revoked, and unknown.
        """
        status = ocsp.OCSPCertStatus
        for given, expected in (
            (status.GOOD, ""),
            (status.REVOKED, REVOKED),
            (status.UNKNOWN, UNKNOWN),
        ):
            self.assertEqual(self.status(answer(self.leaf, self.root, given)), expected)

    def test_signer(self) -> None:
        """
        The authority signs, or whom it has allowed to; nobody else.
        """
        usages = [ExtendedKeyUsageOID.OCSP_SIGNING]
        deputy = issue("deputy", self.root, usages=usages)
        data = answer(self.leaf, self.root, signer=deputy, enclosed=True)
        self.assertEqual(self.status(data), "")
        others = [
            issue("deputy", self.root),
            issue("deputy", self.root, usages=usages, until=-0.5, since=-2),
            issue("deputy", authority("Other"), usages=usages),
            authority("Root"),
            self.leaf,
        ]
        for other in others:
            data = answer(self.leaf, self.root, signer=other, enclosed=True)
            self.assertRefused(data, "OCSP_basic_verify() failed")

    def test_other(self) -> None:
        """
        A response about another certificate says nothing of this one.
        """
        data = answer(issue("other", self.root), self.root)
        self.assertRefused(data, "certificate status not found")

    def test_time(self) -> None:
        """
        Out of its time it says nothing.
        """
        for since, until in ((-3, -1), (1, 2)):
            data = answer(self.leaf, self.root, since=since, until=until)
            self.assertRefused(data, "OCSP_check_validity() failed")
        self.assertEqual(self.status(answer(self.leaf, self.root, until=None)), "")

    def test_nonsense(self) -> None:
        """
        What cannot be read, or says that there is no answer.
        """
        for data in (b"", b"nonsense", answer(self.leaf, self.root)[:-9]):
            self.assertRaises(ValueError, self.status, data)
        refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(
            ocsp.OCSPResponseStatus.TRY_LATER
        )
        self.assertRefused(
            refusal.public_bytes(Encoding.DER), "OCSP response not successful (3"
        )

    def test_tampered(self) -> None:
        """
        No byte may be changed.
        """
        data = bytearray(answer(self.leaf, self.root))
        data[-1] ^= 1
        self.assertRaises(ValueError, self.status, bytes(data))


class ResponderTests(SynchronousTestCase):
    """
    L{Responder}.
    """

    def test_urls(self) -> None:
        """
        Address, port and path.
        """
        responder = Responder("http://127.0.0.1:8080/a")
        self.assertEqual(responder.sockaddr, ("127.0.0.1", 8080))
        self.assertEqual(responder.path, "/a")
        responder = Responder("HTTP://a.example")
        self.assertIsNone(responder.sockaddr)
        self.assertEqual((responder.host, responder.port), ("a.example", 80))
        self.assertEqual(responder.path, "/")

    def test_wrong(self) -> None:
        """
        Only HTTP, and only to somewhere.
        """
        for url in ("https://a", "a", "http://a:b/", "http://"):
            self.assertRaises(ResponderError, Responder, url)


class CacheTests(SynchronousTestCase):
    """
    L{OCSPCache}.
    """

    def test_time(self) -> None:
        """
        What is out of date is forgotten.
        """
        cache = OCSPCache()
        now = datetime.datetime.now(datetime.UTC)
        cache.put(b"a", "", now + _HOUR)
        cache.put(b"b", REVOKED, now - _HOUR)
        self.assertEqual(cache.get(b"a"), "")
        self.assertIsNone(cache.get(b"b"))
        self.assertIsNone(cache.get(b"c"))
