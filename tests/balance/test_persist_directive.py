"""
Tests for L{twisted_upstream.balance.persist_directive}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from twisted_upstream.balance.persist_directive import network, persist
from twisted_upstream.balance.round_robin import RoundRobin
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.interfaces import IPeerInit

from .test_load import Line


class NetworkTests(SynchronousTestCase):
    """
    C{mask=}.
    """

    def test_text(self) -> None:
        """
        Addresses of a network become one key; the kinds do not meet.
        """
        mask = network(False, 24, 64)
        self.assertEqual(mask(b"192.0.2.1"), mask(b"192.0.2.200"))
        self.assertNotEqual(mask(b"192.0.2.1"), mask(b"192.0.3.1"))
        self.assertEqual(mask(b"2001:db8::1"), mask(b"2001:db8::2"))
        self.assertNotEqual(mask(b"2001:db8:0:1::1"), mask(b"2001:db8::1"))
        self.assertNotEqual(mask(b"0.0.0.0"), mask(b"::"))

    def test_binary(self) -> None:
        """
        $binary_remote_addr means the same as $remote_addr.
        """
        text, binary = network(False, 24, 64), network(True, 24, 64)
        self.assertEqual(binary(b"\xc0\0\2\1"), text(b"192.0.2.9"))

    def test_other(self) -> None:
        """
        What is no address stays as it is.
        """
        for mask in (network(False, 24, 64), network(True, 24, 64)):
            for key in (b"unix:", b"\xff\xfe", b"a" * 40):
                self.assertEqual(mask(key), key)


class DirectiveTests(SynchronousTestCase):
    """
    C{persist} as it is written.
    """

    def line(self, *words: str, beside: str = "persist") -> Line:
        line = Line(*words)
        line.beside = frozenset(beside.split())
        return line

    def test_wrong(self) -> None:
        """
        What cannot be meant is refused.
        """
        for word in (
            *("nope", "nope=1", "size=0", "size=", "size=x", "timeout=x", "zone="),
            *("zone=a:1k", "zone=:32k", "on_full=off", "on_fail=wait", "commit=now"),
            *("failback=maybe", "mask=33", "mask=8,129", "mask=x", "lifetime=-1"),
        ):
            line = self.line("$key", word)
            error = self.assertRaises(ConfigError, persist.peerInit, line, RoundRobin())
            self.assertIn(f'invalid parameter "{word}"', str(error))
        line = self.line("$key", "size=1", "size=2")
        self.assertRaises(ConfigError, persist.peerInit, line, RoundRobin())
        self.assertRaises(ConfigError, persist.peerInit, self.line(), RoundRobin())

    def test_right(self) -> None:
        """
        What can be meant is taken.
        """
        words = (
            "zone=a:32k timeout=1h lifetime=1d on_full=spill on_fail=reject"
            " commit=first_byte failback=on mask=24,56 size=5"
        )
        made = persist.peerInit(self.line("$key", *words.split()), RoundRobin())
        verifyObject(IPeerInit, made)

    def test_neighbours(self) -> None:
        """
        Waiting needs a queue; two layers that remember contradict each other.
        """
        line = self.line("$key", "on_full=wait")
        error = self.assertRaises(ConfigError, persist.peerInit, line, RoundRobin())
        self.assertIn("queue", str(error))
        line = self.line("$key", "on_full=wait", beside="persist queue")
        persist.peerInit(line, RoundRobin())
        line = self.line("$key", beside="persist sticky")
        error = self.assertRaises(ConfigError, persist.peerInit, line, RoundRobin())
        self.assertIn("sticky", str(error))
