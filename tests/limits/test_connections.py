"""
Tests for L{twisted_upstream.limits.connections}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakerequest import FakeBuild, configure, messages
from twisted_upstream.config.syntax import ConfigError
from twisted_upstream.limits.connections import (
    ConnectionLimiter,
    ConnectionLimitOptions,
    ConnectionLimits,
    ConnectionTable,
    Held,
)


class Client:
    """
    A request or session, of http or stream: all that a limiter needs.
    """

    def __init__(self, args: bytes = b"k", uri: bytes = b"u") -> None:
        self.args = args
        self.uri = uri
        self.held: Held | None = None
        self.limitConnStatus: bytes | None = None
        self.logged: list[tuple[str, str]] = []

    def logError(self, level: str, message: str) -> None:
        self.logged.append((level, message))


class TableTests(SynchronousTestCase):
    """
    Tests for L{ConnectionTable} and L{Held}.
    """

    def test_counts(self) -> None:
        """
        Keys are counted until the last has left; then nothing is kept of them.
        """
        table = ConnectionTable(1 << 15)
        one, two = Held(), Held()
        self.assertTrue(one.enter(table, b"a"))
        self.assertTrue(two.enter(table, b"a"))
        self.assertEqual((table.count(b"a"), table.count(b"b")), (2, 0))
        one.release()
        one.release()
        self.assertEqual(table.count(b"a"), 1)
        two.release()
        self.assertEqual((table.count(b"a"), len(table)), (0, 0))

    def test_full(self) -> None:
        """
        A full table takes no new keys, and what leaves makes room.
        """
        table = ConnectionTable(1 << 15)
        held = [Held()]
        while held[-1].enter(table, b"%d" % len(held)):
            held.append(Held())
        self.assertTrue(table.enter(b"1"))
        table.leave(b"1")
        held[0].release()
        self.assertTrue(held[-1].enter(table, b"new"))
        for each in held:
            each.release()
        self.assertEqual(len(table), 0)


class LimiterTests(SynchronousTestCase):
    """
    Tests for L{ConnectionLimiter}.
    """

    def limiter(self, text: str) -> ConnectionLimiter:
        zones = (
            "limit_conn_zone $args zone=a:32k; limit_conn_zone $uri zone=b:32k;" + text
        )
        block = configure(zones, ConnectionLimitOptions)
        made = ConnectionLimits(block, FakeBuild(), "http").compile(block)
        assert made is not None
        return made

    def test_limit(self) -> None:
        """
        So many at a time with the same key.
        """
        limiter = self.limiter("limit_conn a 2;")
        one, two, three, other = Client(), Client(), Client(), Client(b"o")
        self.assertTrue(limiter.admit(one))
        self.assertTrue(limiter.admit(two))
        self.assertIs(limiter.admit(three, last=False), None)
        self.assertEqual((three.limitConnStatus, three.logged), (None, []))
        self.assertIs(limiter.admit(three), False)
        self.assertTrue(limiter.admit(other))
        self.assertEqual(
            [each.limitConnStatus for each in (one, three)], [b"PASSED", b"REJECTED"]
        )
        self.assertEqual(three.logged, [("error", 'limiting connections by zone "a"')])
        assert one.held is not None
        one.held.release()
        self.assertTrue(limiter.admit(Client()))

    def test_once(self) -> None:
        """
        A request counts once, however often it is looked at.
        """
        limiter = self.limiter("limit_conn a 1;")
        client = Client()
        self.assertTrue(limiter.admit(client))
        self.assertTrue(limiter.admit(client))

    def test_several(self) -> None:
        """
        Who is rejected by one limit does not count for the others.
        """
        limiter = self.limiter("limit_conn a 5; limit_conn b 1;")
        self.assertTrue(limiter.admit(Client(b"x")))
        for _ in range(9):
            self.assertIs(limiter.admit(Client(b"x"), last=False), None)
            self.assertIs(limiter.admit(Client(b"x")), False)
        self.assertTrue(limiter.admit(Client(b"x", b"other")))

    def test_keys(self) -> None:
        """
        Without a key, and with one that is too long, there is no limit.
        """
        limiter = self.limiter("limit_conn a 1;")
        for key in (b"", b"x" * 256):
            for _ in range(2):
                client = Client(key)
                self.assertTrue(limiter.admit(client))
                self.assertIs(client.limitConnStatus, None)
                self.assertIs(client.held, None)
        self.assertEqual(
            client.logged[0][1],
            'the value of the "$args" key is more than 255 bytes: "%s"' % ("x" * 256),
        )

    def test_dryRun(self) -> None:
        """
        A dry run logs and rejects nobody.
        """
        limiter = self.limiter(
            "limit_conn a 1; limit_conn_dry_run on; limit_conn_log_level info;"
        )
        one, two = Client(), Client()
        self.assertTrue(limiter.admit(one))
        self.assertTrue(limiter.admit(two))
        self.assertEqual(two.limitConnStatus, b"REJECTED_DRY_RUN")
        self.assertEqual(
            two.logged, [("info", 'limiting connections, dry run, by zone "a"')]
        )

    def test_noRoom(self) -> None:
        """
        New keys are rejected while the zone is full.
        """
        limiter = self.limiter("limit_conn a 1;")
        number = 0
        while limiter.admit(client := Client(b"%d" % number)):
            number += 1
        self.assertEqual(client.logged[0][0], "crit")
        self.assertEqual(client.limitConnStatus, b"REJECTED")

    def test_wrong(self) -> None:
        """
        Mistakes, in nginx's words.
        """
        for text, message in (
            ("a 0", 'invalid number of connections "0"'),
            ("a x", 'invalid number of connections "x"'),
            ("a 65536", "connection limit must be less 65536"),
        ):
            error = self.assertRaises(ConfigError, self.limiter, f"limit_conn {text};")
            self.assertEqual(messages(error), [message])
