"""
Tests for L{twisted_upstream.upstream.zones}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.support.fakerequest import messages
from twisted_upstream.config.nodes import Node
from twisted_upstream.config.syntax import ConfigError, parse
from twisted_upstream.interfaces import IKept
from twisted_upstream.upstream.zones import ZoneError, Zones


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
        zones.keep(name, size, kept, group, node("sticky"))
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
                ConfigError, zones.keep, name, size, Kept(), "g", node(directive)
            )
            self.assertIn(expected, messages(error)[0])
