"""
Tests for L{twisted_upstream.maps.split_clients}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import FakeBuild, FakeRequest, configure, messages
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.maps.define import defineMaps
from twisted_upstream.maps.split_clients import SplitOptions, murmurHash2


class HashTests(SynchronousTestCase):
    """
    Tests for L{murmurHash2}.
    """

    def test_known(self) -> None:
        """
        Texts of all lengths modulo four, with the numbers that the definition gives.
        """
        for text in (b"", b"a", b"ab", b"abc", b"abcd", b"\xff" * 9, bytes(range(99))):
            self.assertEqual(murmurHash2(text), self.slowly(text), text)
        self.assertEqual(murmurHash2(b""), 0)

    def slowly(self, text: bytes) -> int:
        """
        MurmurHash2 byte by byte.
        """
        m, h = 0x5BD1E995, len(text)
        while len(text) >= 4:
            k = text[0] | text[1] << 8 | text[2] << 16 | text[3] << 24
            k = (k * m) % 2**32
            k ^= k >> 24
            k = (k * m) % 2**32
            h = (h * m) % 2**32 ^ k
            text = text[4:]
        for place in range(len(text)):
            h ^= text[place] << 8 * place
        if text:
            h = (h * m) % 2**32
        h ^= h >> 13
        h = (h * m) % 2**32
        return h ^ (h >> 15)


class SplitTests(SynchronousTestCase):
    """
    C{split_clients}
    """

    def shares(self, lines: str, count: int = 4000) -> dict[bytes, float]:
        """
        How often each value comes, in percent.
        """
        build = FakeBuild()
        text = f"split_clients $args $x {{ {lines} }}"
        defineMaps(configure(text, SplitOptions), build)
        found: dict[bytes, float] = {}
        for number in range(count):
            value = FakeRequest(b"/?%d" % number, build=build).variable("x")
            found[value] = found.get(value, 0) + 100 / count
        return found

    def test_shares(self) -> None:
        """
        Parts are as large as their percentages; the rest has no value, or that of the
        asterisk.
        """
        for lines, expected in (
            ("51.2% a; 10% b; * c;", {b"a": 51.2, b"b": 10, b"c": 38.8}),
            ("25% a; 25.50% b;", {b"a": 25, b"b": 25.5, b"": 49.5}),
            ("50% a; 50.% b;", {b"a": 50, b"b": 50}),
            ("100% a; * b;", {b"a": 100}),
            ("* a; * b;", {b"a": 100}),
            ("", {b"": 100}),
        ):
            found = self.shares(lines)
            self.assertEqual(set(found), set(expected), lines)
            for value, share in expected.items():
                self.assertApproximates(found[value], share, 3)

    def test_wrong(self) -> None:
        """
        Mistakes, in nginx's words.
        """
        for lines, message in (
            ("a b;", 'invalid percent value "a"'),
            ("0% b;", 'invalid percent value "0%"'),
            ("1.123% b;", 'invalid percent value "1.123%"'),
            ("60% a; 41% b;", "percent total is greater than 100%"),
            ("* a; 1% b;", "percent total is greater than 100%"),
            ("1% a b;", "invalid number of the split_clients parameters"),
        ):
            error = self.assertRaises(ConfigError, self.shares, lines)
            self.assertEqual(messages(error), [message])
        error = self.assertRaises(
            ConfigError, configure, "split_clients $args x { }", SplitOptions
        )
        self.assertEqual(messages(error), ['invalid variable name "x"'])
