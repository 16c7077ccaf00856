"""
Tests for L{twisted_upstream.limits.zones}.
"""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import FakeBuild, configure, messages
from twisted_upstream.config.build import Block
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.limits.connections import (
    ConnectionLimitOptions,
    ConnectionLimits,
    ConnectionTable,
)
from twisted_upstream.limits.zones import Memory, Tables, ZoneLine


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
                limits = ConnectionLimits(block, FakeBuild(), Tables(), "http")
                limits.compile(block)

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


class TablesTests(SynchronousTestCase):
    """
    Tests for L{Tables}.
    """

    def test_continued(self) -> None:
        """
        A zone is continued by the next configuration, if it is the same.
        """
        tables = Tables()
        line = lineOf("$args zone=a:1m")
        table = tables.table("http", line, ConnectionTable)
        self.assertIs(tables.table("http", line, ConnectionTable), table)
        for owner, text in (
            ("stream", "$args zone=a:1m"),
            ("http", "$args zone=b:1m"),
            ("http", "$args zone=a:2m"),
            ("http", "$uri zone=a:1m"),
        ):
            other = tables.table(owner, lineOf(text), ConnectionTable)
            self.assertIsNot(other, table)

    def test_forgotten(self) -> None:
        """
        A zone that no configuration has is forgotten.
        """
        tables = Tables()
        table = tables.table("http", lineOf("$args zone=a:1m"), ConnectionTable)
        self.assertEqual(len(tables), 1)
        del table
        gc.collect()
        self.assertEqual(len(tables), 0)
