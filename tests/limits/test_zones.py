"""
Tests for L{twisted_upstream.limits.zones}.
"""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import FakeBuild, configure, messages
from twisted_upstream.config.build import Block
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.config.zones import Zones
from twisted_upstream.limits.connections import (
    ConnectionLimitOptions,
    ConnectionLimits,
    ConnectionTable,
)
from twisted_upstream.limits.zones import LimitZones, Memory, ZoneLine


def lineOf(text: str) -> ZoneLine:
    """
    A zone as the options have it.
    """
    block = configure(f"limit_conn_zone {text};", ConnectionLimitOptions)
    return block.of(ConnectionLimitOptions).zones[0]


class ParseTests(SynchronousTestCase):
    """
    Zones as written.
    """

    def test_parse(self) -> None:
        """
        Key, name and size in bytes.
        """
        line = lineOf("$args$uri zone=a:32k")
        self.assertEqual((line.key, line.name, line.size), ("$args$uri", "a", 32768))

    def test_wrong(self) -> None:
        """
        Mistakes, in nginx's words.
        """
        for text, message in (
            ("$a zone=b", 'invalid zone size "zone=b"'),
            ("$a zone=b:x", 'invalid zone size "zone=b:x"'),
            ("$a zone=b:31k", 'zone "zone=b:31k" is too small'),
            ("$a zone=:1m", '"limit_conn_zone" must have "zone" parameter'),
            ("$a name=b", 'invalid parameter "name=b"'),
        ):
            error = self.assertRaises(ConfigError, lineOf, text)
            self.assertEqual(messages(error), [message])

    def test_twice(self) -> None:
        """
        A name is given once; a limit's zone must be there.
        """
        zone = "limit_conn_zone $args zone=a:1m;"
        for text, message in (
            (zone * 2, 'limit_conn_zone "a" is already bound to key "$args"'),
            (zone + "limit_conn b 1;", 'zero size shared memory zone "b"'),
            (
                zone + "limit_conn a 1; limit_conn a 2;",
                '"limit_conn" directive is duplicate',
            ),
        ):
            block = configure(text, ConnectionLimitOptions)

            def compile(block: Block = block) -> None:
                build = FakeBuild()
                ConnectionLimits(block, build, "http").compile(block)
                raise ConfigError(build.zones.unsized())

            self.assertEqual(
                messages(self.assertRaises(ConfigError, compile)), [message]
            )


class MemoryTests(SynchronousTestCase):
    """
    Tests for L{Memory}.
    """

    def test_states(self) -> None:
        """
        A megabyte is about 16,000 states of 64 bytes, as nginx's documentation says.
        """
        memory = Memory(1 << 20, 36)
        count = 0
        while memory.take(b"1234"):
            count += 1
        self.assertApproximates(count, 16200, 300)
        memory.give(b"1234")
        self.assertFalse(memory.take(b"x" * 29))
        self.assertTrue(memory.take(b"x" * 28))


class LimitZonesTests(SynchronousTestCase):
    """
    Tests for L{LimitZones}.
    """

    def table(self, text: str, use: str, previous: Zones | None) -> tuple[Any, Zones]:
        """
        The table of a zone in a configuration that follows another one.
        """
        build = FakeBuild()
        [zone] = LimitZones((lineOf(text),), use, build, ConnectionTable)
        if previous is not None:
            build.zones.check(previous)
            build.zones.adopt(previous)
        return zone.table, build.zones

    def test_continued(self) -> None:
        """
        A zone is continued by the next configuration, if it is the same: who came
        before counts there, and what the old configuration sees go counts no more.
        """
        old, zones = self.table("$args zone=a:1m", "http", None)
        old.enter(b"x")
        new, _ = self.table("$args zone=a:1m", "http", zones)
        self.assertEqual(new.count(b"x"), 1)
        new.enter(b"x")
        old.leave(b"x")
        self.assertEqual(new.count(b"x"), 1)
        for use, text in (
            ("stream", "$args zone=a:1m"),
            ("http", "$args zone=b:1m"),
            ("http", "$args zone=a:2m"),
            ("http", "$uri zone=a:1m"),
        ):
            other, _ = self.table(text, use, zones)
            self.assertEqual(other.count(b"x"), 0)

    def test_forgotten(self) -> None:
        """
        A zone that no configuration has is forgotten.
        """
        table, zones = self.table("$args zone=a:1m", "http", None)
        gone = ref(table)
        other, _ = self.table("$args zone=b:1m", "http", zones)
        del table, zones
        gc.collect()
        self.assertIs(gone(), None)
        self.assertEqual(len(other), 0)

    def test_otherUse(self) -> None:
        """
        A limit's zone may be there for something else.
        """
        block = configure(
            "limit_conn_zone $args zone=a:1m; limit_conn b 1;", ConnectionLimitOptions
        )
        build = FakeBuild()
        build.zones.declare("b", 0, "http zone", block.node)
        limits = ConnectionLimits(block, build, "http")
        self.assertEqual(
            messages(self.assertRaises(ConfigError, limits.compile, block)),
            [
                'the shared memory zone "b" is already declared for a different use',
            ],
        )
