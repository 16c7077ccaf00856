"""
Tests for L{twisted_upstream.config.zones}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.support.fakerequest import messages
from twisted_upstream.config.nodes import Node
from twisted_upstream.config.syntax import ConfigError, parse
from twisted_upstream.config.zones import ZoneError, Zones
from twisted_upstream.interfaces import IKept


@implementer(IKept)
class Kept:
    """
    Something kept.
    """

    def __init__(self) -> None:
        self.adopted: list[object] = []
        self.closed = 0

    def adopt(self, previous: object) -> None:
        self.adopted.append(previous)

    def close(self) -> None:
        self.closed += 1


def node(name: str) -> Node:
    """
    A directive of that name.
    """
    return parse(f"{name};", "f", lambda pattern, node: []).nodes[0]


class ZonesTests(SynchronousTestCase):
    """
    Zones of one configuration and the next.
    """

    def keep(self, zones: Zones, name: str, size: int, group: str = "g") -> Kept:
        """
        The balancer of C{group} keeps something.
        """
        kept = Kept()
        zones.keep(name, size, "sticky", kept, node("sticky"), group=group)
        return kept

    def test_handedOn(self) -> None:
        """
        What has the same name and size is handed on.
        """
        old, new = Zones(), Zones()
        before = [self.keep(old, name, 8) for name in ("same", "larger", "gone")]
        after = [
            self.keep(new, name, size)
            for name, size in (("same", 8), ("larger", 9), ("fresh", 8))
        ]
        new.check(old)
        new.adopt(old)
        self.assertEqual([each.adopted for each in after], [[before[0]], [], []])
        old.close()
        self.assertEqual([each.closed for each in before], [1, 1, 1])
        self.assertEqual([each.closed for each in after], [0, 0, 0])

    def test_otherUse(self) -> None:
        """
        A zone of peers is nothing to hand on.
        """
        old, new = Zones(), Zones()
        old.declare("z", 8, "zone", node("zone"))
        kept = self.keep(new, "z", 8)
        new.check(old)
        new.adopt(old)
        self.assertEqual(kept.adopted, [])

    def test_otherGroup(self) -> None:
        """
        What one group kept is not for another one, if the sizes are equal.
        """
        old, new = Zones(), Zones()
        self.keep(old, "z", 8, "before")
        self.keep(new, "z", 8, "after")
        error = self.assertRaises(ZoneError, new.check, old)
        self.assertEqual(
            str(error),
            'sticky zone "z" is used in upstream "after" while previously it was used'
            ' in upstream "before"',
        )

    def test_refused(self) -> None:
        """
        A zone has one use, one size and one group that keeps something in it.
        """
        zones = Zones()
        zones.declare("a", 0, "zone", node("zone"))
        zones.declare("a", 8, "zone", node("zone"))
        self.keep(zones, "b", 8, "first")
        for name, size, directive, expected in (
            ("a", 9, "zone", "the size 9 of shared memory zone"),
            ("b", 8, "zone", 'zone "b" is already declared for a different use'),
            ("a", 8, "sticky", 'zone "a" is already declared for a different use'),
            ("b", 8, "sticky", 'sticky zone "b" is already used in upstream "first"'),
        ):
            error = self.assertRaises(
                ConfigError,
                zones.keep,
                name,
                size,
                directive,
                Kept(),
                node(directive),
                group="g",
            )
            self.assertIn(expected, messages(error)[0])

    def test_bound(self) -> None:
        """
        What is kept by key names the key that came first.
        """
        zones = Zones()
        line = node("limit_conn_zone")
        zones.keep("a", 8, "limit_conn", Kept(), line, key="$uri")
        error = self.assertRaises(
            ConfigError, zones.keep, "a", 8, "limit_conn", Kept(), line, key="$args"
        )
        self.assertEqual(
            messages(error), ['limit_conn_zone "a" is already bound to key "$uri"']
        )

    def test_otherKey(self) -> None:
        """
        What is kept by another key is not handed on.
        """
        old, new = Zones(), Zones()
        before, after = Kept(), Kept()
        old.keep("a", 8, "limit_conn", before, node("limit_conn_zone"), key="$uri")
        new.keep("a", 8, "limit_conn", after, node("limit_conn_zone"), key="$args")
        new.check(old)
        new.adopt(old)
        self.assertEqual(after.adopted, [])

    def test_unsized(self) -> None:
        """
        Some line must say the size.
        """
        zones = Zones()
        zones.declare("a", 0, "zone", node("zone"))
        zones.declare("b", 0, "zone", node("zone"))
        zones.declare("b", 8, "zone", node("zone"))
        self.assertEqual(
            [problem.message for problem in zones.unsized()],
            ['zero size shared memory zone "a"'],
        )


class OrderTests(SynchronousTestCase):
    """
    Whatever is declared first, the line that comes later in the file is wrong.
    """

    def both(self, declare: Callable[[Zones, Node], object]) -> list[str]:
        """
        What is complained of when the lines C{first} and C{second} of a file are
        declared in either order.
        """
        whole = parse("a {\nfirst;\n}\nsecond;", "f", lambda pattern, node: [])
        lines = [(whole.nodes[0].block or ())[0], whole.nodes[1]]
        found: list[str] = []
        for order in (lines, lines[::-1]):
            zones = Zones(Node("", block=whole.nodes))
            declare(zones, order[0])
            error = self.assertRaises(ConfigError, declare, zones, order[1])
            found += map(str, error.problems)
        return found

    def test_use(self) -> None:
        """
        Two uses of one zone.
        """
        self.assertEqual(
            self.both(lambda zones, node: zones.declare("z", 8, node.name, node)),
            [
                'the shared memory zone "z" is already declared for a different use in f:4'
            ]
            * 2,
        )

    def test_size(self) -> None:
        """
        Two sizes of one zone.
        """
        sizes = {"first": 8, "second": 9}
        self.assertEqual(
            self.both(lambda z, node: z.declare("z", sizes[node.name], "", node)),
            [
                'the size 9 of shared memory zone "z" conflicts with already declared'
                " size 8 in f:4"
            ]
            * 2,
        )

    def test_keeper(self) -> None:
        """
        Two that keep something in one zone.
        """
        self.assertEqual(
            self.both(lambda z, n: z.keep("z", 8, "", Kept(), n, group=f"of {n.name}")),
            ['second zone "z" is already used in upstream "of first" in f:4'] * 2,
        )
        self.assertEqual(
            self.both(lambda z, n: z.keep("z", 8, "", Kept(), n, key=f"of {n.name}")),
            ['second "z" is already bound to key "of first" in f:4'] * 2,
        )
