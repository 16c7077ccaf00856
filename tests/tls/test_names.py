"""
Tests of L{twisted_upstream.tls.names}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.tls.names import matchesPattern, mayIndicate, withoutPort

#: Name, what stands in the certificate, and whether OpenSSL's X509_check_host() agrees.
VECTORS = (
    (b"foo.example.com", b"*.example.com", True),
    (b"a.b.example.com", b"*.example.com", False),
    (b"example.com", b"*.example.com", False),
    (b"a_b.example.com", b"*.example.com", False),
    (b"xn--bcher-kva.example.com", b"*.example.com", True),
    (b"xn--bcher-kva.example.com", b"x*.example.com", False),
    (b"foo.example.com", b"f*.example.com", True),
    (b"foo.example.com", b"*oo.example.com", True),
    (b"foo.example.com", b"foo*.example.com", True),
    (b"foo.example.com", b"f*o.example.com", False),
    (b"a.b.example.com", b"*.*.example.com", False),
    (b"a.b.example.com", b"a.*.example.com", False),
    (b"example.com", b"*.com", False),
    (b"localhost", b"*", False),
    (b"good.EXAMPLE", b"GOOD.Example", True),
    (b"good.example.", b"good.example", False),
    (b".good.example", b"a.good.example", True),
    (b".good.example", b"good.example", False),
    (b"*.example.com", b"*.example.com", True),
    (b".example.com", b"*.example.com", True),
    (b"a.-b.example.com", b"*.-b.example.com", False),
    (b"good.example", b"good.example\0.bad", False),
)


class NameTests(SynchronousTestCase):
    """
    Names and patterns.
    """

    def test_patterns(self) -> None:
        """
        As OpenSSL decides.
        """
        for name, pattern, expected in VECTORS:
            self.assertIs(matchesPattern(pattern, name), expected, (name, pattern))

    def test_withoutPort(self) -> None:
        """
        The first colon ends a name, one in brackets does not.
        """
        for text, expected in (
            (b"a:80", b"a"),
            (b"a", b"a"),
            (b"a:b:c", b"a"),
            (b"::1", b""),
            (b"[::1]:80", b"[::1]"),
            (b"[::1]", b"[::1]"),
        ):
            self.assertEqual(withoutPort(text), expected)

    def test_mayIndicate(self) -> None:
        """
        Addresses are not told to servers.
        """
        for name, expected in (
            (b"a.example", True),
            (b"127.0.0.1", False),
            (b"127.0.0.256", True),
            (b"1.2.3", True),
            (b"[::1]", False),
            (b"", False),
        ):
            self.assertIs(mayIndicate(name), expected, name)
