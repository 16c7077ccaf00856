"""
Tests for L{twisted_upstream.wire.host}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.wire.host import splitHost


class SplitHostTests(SynchronousTestCase):
    """
    Tests for L{splitHost}.
    """

    def test_hosts(self) -> None:
        """
        Names and addresses, with and without a port.
        """
        for text, name, port in [
            (b"l", b"l", b""),
            (b"abcd-ef.g02.xyz", b"abcd-ef.g02.xyz", b""),
            (b"a:", b"a", b""),
            (b"a:8080", b"a", b"8080"),
            (b"a:65535", b"a", b"65535"),
            (b"a:0", b"a", b""),
            (b"a:00000080", b"a", b"80"),
            (b"a:" + b"0" * 5000, b"a", b""),
            (b"a.", b"a", b""),
            (b"a.:88", b"a", b"88"),
            (b"127.0.0.1:1", b"127.0.0.1", b"1"),
            (b"a_b~!$&'()*+,;=%41", b"a_b~!$&'()*+,;=%41", b""),
            (b"[::1]", b"[::1]", b""),
            (b"[::ffff:1.2.3.4]:80", b"[::ffff:1.2.3.4]", b"80"),
            (b"[v1.~:_]", b"[v1.~:_]", b""),
            (b"[]", b"[]", b""),
        ]:
            self.assertEqual(splitHost(text), (name, port))

    def test_others(self) -> None:
        """
        What is neither.
        """
        for text in [
            b"",
            b".",
            b":80",
            b".:80",
            b"a..b",
            b"a..",
            b"..a",
            b"a b",
            b"a/b",
            b"a\\b",
            b"a?b",
            b"a@b",
            b"a#b",
            b"a\tb",
            b"a\x02",
            b"a\x80",
            b"a:65536",
            b"a:123456",
            b"a:" + b"1" * 5000,
            b"a:1.2",
            b"a:1:2",
            b"a:x",
            b"[::1",
            b"[::1].",
            b"[::1]x",
            b"[a..b]",
            b"[a%b]",
            b"x[::1]",
            b"::1",
        ]:
            self.assertIsNone(splitHost(text), text)
