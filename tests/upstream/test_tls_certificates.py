"""
Tests of L{twisted_upstream.upstream.tls_handshake}: whose certificates are refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.certificates import CLIENT, SERVER, Issued, authority, issue
from tests.upstream.meeting import TLSTestCase


class ChainTests(TLSTestCase):
    """
    Chains of certificates.
    """

    def test_good(self) -> None:
        """
        A certificate of a trusted authority is accepted.
        """
        self.assertAccepted([issue(issuer=self.root)])

    def test_selfSigned(self) -> None:
        """
        One that signed itself is refused, unless it is the trusted one.
        """
        alone = issue()
        self.assertRefused(18, [alone])
        self.assertAccepted([alone], trusted=[alone])

    def test_unknownAuthority(self) -> None:
        """
        Another authority's is refused, whether it is sent along or not.
        """
        other = authority("Other")
        leaf = issue(issuer=other)
        self.assertRefused(21, [leaf])
        self.assertRefused(19, [leaf, other])

    def test_intermediate(self) -> None:
        """
        What stands between the certificate and a trusted one must be sent, or be in
        the file.
        """
        middle = authority("Middle", self.root)
        leaf = issue(issuer=middle)
        self.assertRefused(21, [leaf])
        self.assertAccepted([leaf, middle])
        self.assertAccepted([leaf], trusted=[self.root, middle])
        self.assertRefused(2, [leaf], trusted=[middle])
        self.assertRefused(21, [leaf], trusted=[leaf])

    def test_depth(self) -> None:
        """
        No more of them than C{*_ssl_verify_depth}.
        """
        first = authority("First", self.root)
        second = authority("Second", first)
        leaf = issue(issuer=second)
        self.assertRefused(20, [leaf, second, first])
        self.assertAccepted([leaf, second, first], depth=2)
        self.assertRefused(20, [issue(issuer=first), first], depth=0)

    def test_expired(self) -> None:
        """
        Certificates out of their time, anywhere in the chain.
        """
        self.assertRefused(10, [issue(issuer=self.root, since=-9, until=-1)])
        old = authority("Old", self.root, since=-9, until=-1)
        self.assertRefused(10, [issue(issuer=old), old])
        self.root = authority(since=-9, until=-1)
        self.assertRefused(10, [issue(issuer=self.root)])

    def test_notYetValid(self) -> None:
        """
        Before its time.
        """
        self.assertRefused(9, [issue(issuer=self.root, since=1)])

    def test_wrongPurpose(self) -> None:
        """
        A client's certificate is no server's.
        """
        self.assertRefused(26, [issue(issuer=self.root, usages=[CLIENT])])
        self.assertAccepted([issue(issuer=self.root, usages=[SERVER, CLIENT])])

    def test_noAuthority(self) -> None:
        """
        Who may not sign has not signed.
        """
        for said in ({"authority": False}, {"authority": None}):
            middle = authority("Middle", self.root, **said)
            self.assertRefused(26, [issue(issuer=middle), middle])
        middle = authority("Middle", self.root, keyUsage=["digital_signature"])
        self.assertRefused(32, [issue(issuer=middle), middle])

    def test_pathLength(self) -> None:
        """
        An authority that may make no authorities.
        """
        first = authority("First", self.root, pathLength=0)
        second = authority("Second", first)
        leaf = issue(issuer=second)
        self.assertRefused(25, [leaf, second, first], depth=3)

    def test_nameConstraints(self) -> None:
        """
        An authority for other names.
        """
        other, good = x509.DNSName("other.example"), x509.DNSName("good.example")
        for constraint, number in (
            (x509.NameConstraints([other], None), 47),
            (x509.NameConstraints(None, [good]), 48),
        ):
            middle = authority("Middle", self.root, more=[(constraint, True)])
            self.assertRefused(number, [issue(issuer=middle), middle])

    def test_criticalExtension(self) -> None:
        """
        What nobody understands must be understood.
        """
        unknown = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"
        )
        self.assertRefused(34, [issue(issuer=self.root, more=[(unknown, True)])])
        self.assertAccepted([issue(issuer=self.root, more=[(unknown, False)])])

    def test_signature(self) -> None:
        """
        Signed by somebody else in the authority's name.
        """
        other = ec.generate_private_key(ec.SECP256R1())
        self.assertRefused(
            7, [issue(issuer=self.root, signer=other, identifiers=False)]
        )

    def test_weakKey(self) -> None:
        """
        A key that is too short.
        """
        key = rsa.generate_private_key(65537, 1024)
        self.assertRefused(66, [issue(issuer=self.root, key=key)], seclevel=0)

    def test_otherKeys(self) -> None:
        """
        RSA is fine, and so are longer keys.
        """
        self.assertAccepted(
            [issue(issuer=self.root, key=rsa.generate_private_key(65537, 2048))]
        )
        self.root = authority(key=ec.generate_private_key(ec.SECP384R1()))
        self.assertAccepted([issue(issuer=self.root)])


class RevocationTests(TLSTestCase):
    """
    Lists of revoked certificates.
    """

    def test_revoked(self) -> None:
        """
        The server's, or an authority's.
        """
        leaf = issue(issuer=self.root)
        self.assertRefused(23, [leaf], crls=[self.root.revoke(leaf)])
        self.assertAccepted([issue(issuer=self.root)], crls=[self.root.revoke(leaf)])
        middle = authority("Middle", self.root)
        crls = [self.root.revoke(middle), middle.revoke()]
        self.assertRefused(23, [issue(issuer=middle), middle], crls=crls)

    def test_missing(self) -> None:
        """
        Every authority must have one.
        """
        other = authority("Other")
        self.assertRefused(3, [issue(issuer=self.root)], crls=[other.revoke()])
        middle = authority("Middle", self.root)
        chain = [issue(issuer=middle), middle]
        self.assertRefused(3, chain, crls=[self.root.revoke()])
        self.assertAccepted(chain, crls=[self.root.revoke(), middle.revoke()])

    def test_stale(self) -> None:
        """
        Lists out of their time, and those signed by somebody else.
        """
        leaf = issue(issuer=self.root)
        self.assertRefused(12, [leaf], crls=[self.root.revoke(since=-9, until=-1)])
        self.assertRefused(11, [leaf], crls=[self.root.revoke(since=1)])
        other = ec.generate_private_key(ec.SECP256R1())
        self.assertRefused(8, [leaf], crls=[self.root.revoke(key=other)])


class NameTests(TLSTestCase):
    """
    Names that are not those wanted.
    """

    def leaf(self, *alternatives: str, names: Sequence[str] = ("x",)) -> list[Issued]:
        """
        A certificate with these names.
        """
        return [issue(names, self.root, alternatives=alternatives)]

    def test_other(self) -> None:
        """
        Another name, also where the common name would fit.
        """
        self.assertRefused(None, self.leaf("bad.example"))
        self.assertRefused(None, self.leaf("bad.example", names=["good.example"]))

    def test_commonName(self) -> None:
        """
        It counts where there is no other, but not when names are strict.
        """
        leaf = self.leaf(names=["good.example"])
        self.assertAccepted(leaf)
        self.assertRefused(None, leaf, strict=True)
        leaf = self.leaf("127.0.0.1", names=["good.example"])
        self.assertAccepted(leaf)
        self.assertRefused(None, leaf, strict=True)

    def test_wildcard(self) -> None:
        """
        It stands for one label.
        """
        leaf = self.leaf("*.good.example")
        self.assertAccepted(leaf, name="a.good.example")
        self.assertAccepted(leaf, name="a.good.example", strict=True)
        self.assertRefused(None, leaf)
        self.assertRefused(None, leaf, name="a.b.good.example")
        self.assertRefused(None, leaf, name="a.b.good.example", strict=True)
        self.assertRefused(None, self.leaf("*.example"))
        self.assertRefused(None, self.leaf("*"), name="localhost")

    def test_partialWildcard(self) -> None:
        """
        Or for a part of one, but not when names are strict.
        """
        leaf = self.leaf("g*.very.example")
        self.assertAccepted(leaf, name="good.very.example")
        self.assertRefused(None, leaf, name="good.very.example", strict=True)
        self.assertRefused(None, leaf, name="bad.very.example")

    def test_address(self) -> None:
        """
        nginx compares addresses with names; who is strict compares them with
        addresses.
        """
        leaf = self.leaf("127.0.0.1")
        self.assertRefused(None, leaf, name="127.0.0.1")
        self.assertAccepted(leaf, name="127.0.0.1", strict=True)
        self.assertRefused(None, leaf, name="127.0.0.2", strict=True)
        byName = self.leaf(names=["127.0.0.1"])
        self.assertAccepted(byName, name="127.0.0.1")
        self.assertRefused(None, byName, name="127.0.0.1", strict=True)

    def test_empty(self) -> None:
        """
        Who has no name, and whom we call by none.
        """
        self.assertRefused(None, self.leaf(), name="good.example")
        self.assertRefused(None, self.leaf("good.example"), name="")
        self.assertRefused(None, self.leaf("good.example"), name="", strict=True)

    def test_nul(self) -> None:
        """
        A name with a NUL byte is nobody's.
        """
        der = b"good.example\0.bad"
        names = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("2.5.29.17"),
            bytes([0x30, len(der) + 2, 0x82, len(der)]) + der,
        )
        leaf = [issue("x", self.root, alternatives=(), more=[(names, False)])]
        self.assertRefused(None, leaf)
        self.assertRefused(None, leaf, strict=True)
