"""
Tests of L{twisted_upstream.upstream.tls_identity}.
"""

from __future__ import annotations

from OpenSSL import crypto

from tests.support.certificates import authority
from tests.upstream.meeting import TLSTestCase
from twisted_upstream.tls.files import KeyPair
from twisted_upstream.upstream.tls_identity import identityOf


class IdentityTests(TLSTestCase):
    """
    Who is the same, and who is not: connections are lent by this alone.
    """

    def test_same(self) -> None:
        """
        All that is the same gives the same object.
        """
        self.assertIs(self.identity(), self.identity())

    def test_differs(self) -> None:
        """
        Anything that differs gives another one.
        """
        key = crypto.PKey.from_cryptography_key(self.root.key)
        pair = KeyPair("c", (self.root.der,), "k", self.root.keyPem, key)
        kept = [
            self.identity(),
            self.identity("other.example"),
            self.identity(strict=True),
            self.identity(verify=False),
            self.identity(trusted=[authority("Other")]),
            self.identity(crls=[self.root.revoke()]),
            self.identity(depth=2),
            self.identity(protocols=("TLSv1.2",)),
            self.identity(pairs=(pair,)),
        ]
        first = kept[0]
        for other in (
            identityOf(b"other", first.context, b"", b"", None),
            identityOf(b"group", first.context, first.name, b"", first.check),
            identityOf(
                b"group",
                first.context,
                first.name,
                first.serverName,
                first.check,
                (b"h2",),
            ),
        ):
            kept.append(other)
        self.assertEqual(len(set(kept)), len(kept))
