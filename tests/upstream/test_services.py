"""
Tests for L{twisted_upstream.upstream.services}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.memory import Names
from twisted_upstream.upstream.answer import Service
from twisted_upstream.upstream.services import (
    Found,
    Target,
    lookUpTargets,
    serviceName,
)

HTTP = "_http._tcp.x.test"


class TargetsTests(SynchronousTestCase):
    """
    L{lookUpTargets}.
    """

    def setUp(self) -> None:
        """
        Name servers that tests answer for.
        """
        self.names = Names()
        self.found: list[Found] = []

    def look(self, service: str = "") -> None:
        """
        Ask for C{x.test}.
        """
        self.cancel = lookUpTargets(
            self.names, "x.test", service, 5.0, self.found.append
        )

    def test_addresses(self) -> None:
        """
        A name stands for its addresses.
        """
        self.look()
        self.names.says("x.test", "10.0.0.1", "::1", until=7)
        self.assertEqual(self.found, [Found(0, (Target("10.0.0.1"), Target("::1")), 7)])

    def test_oneFamilyFails(self) -> None:
        """
        A family that cannot be asked for makes the answer useless; one that does not
        exist does not.
        """
        self.look()
        self.names.says("x.test", "10.0.0.1", code=2, until=7)
        self.look()
        self.names.says("x.test", "10.0.0.1", code=3, until=7)
        self.assertEqual(
            self.found, [Found(2, (), 7), Found(0, (Target("10.0.0.1"),), 7)]
        )

    def test_serviceName(self) -> None:
        """
        A service without a dot is one of TCP.
        """
        self.assertEqual(serviceName("http", "x.test"), HTTP)
        self.assertEqual(serviceName("_a._udp", "x.test"), "_a._udp.x.test")

    def test_service(self) -> None:
        """
        All hosts are asked for, each once; the answer is good as long as all are.
        """
        self.look("http")
        self.names.says(
            HTTP,
            Service(1, 5, 80, "a.test"),
            Service(1, 6, 81, "a.test"),
            Service(2, 1, 82, "b.test"),
            until=9,
        )
        self.names.says("b.test", "10.0.0.3", until=8)
        self.assertEqual(self.found, [])
        self.names.says("a.test", "10.0.0.1", "10.0.0.2", until=10)
        [found] = self.found
        self.assertEqual((found.code, found.until, found.failures), (0, 8, []))
        self.assertEqual(
            found.targets,
            [
                Target("10.0.0.1", "a.test", 80, 5, 1),
                Target("10.0.0.2", "a.test", 80, 5, 1),
                Target("10.0.0.1", "a.test", 81, 6, 1),
                Target("10.0.0.2", "a.test", 81, 6, 1),
                Target("10.0.0.3", "b.test", 82, 1, 2),
            ],
        )

    def test_hostFails(self) -> None:
        """
        A host that cannot be found is left out.
        """
        self.look("http")
        self.names.says(
            HTTP, Service(1, 1, 80, "a.test"), Service(1, 1, 80, "b.test"), until=9
        )
        self.names.says("a.test", code=2, until=3)
        self.names.says("b.test", "10.0.0.1", until=8)
        self.assertEqual(
            self.found,
            [Found(0, [Target("10.0.0.1", "b.test", 80, 1, 1)], 8, [("a.test", 2)])],
        )

    def test_allHostsFail(self) -> None:
        """
        With no host left the service fails: that there is none counts most.
        """
        for code, expected in ((5, 2), (3, 3)):
            self.found.clear()
            self.look("http")
            self.names.says(
                HTTP, Service(1, 1, 80, "a.test"), Service(1, 1, 80, "b.test"), until=9
            )
            self.names.says("b.test", code=code, until=4)
            self.names.says("a.test", code=2, until=3)
            self.assertEqual(
                self.found, [Found(expected, [], 3, [("a.test", 2), ("b.test", code)])]
            )

    def test_noService(self) -> None:
        """
        A service that is not there has no hosts.
        """
        self.look("http")
        self.names.looked[HTTP, False] = self.names.looked.pop((HTTP, True))
        self.names.says(HTTP, code=3, until=3)
        self.assertEqual(self.found, [Found(3, (), 3)])

    def test_cancel(self) -> None:
        """
        Whoever has cancelled is told nothing, at whatever stage it was.
        """
        self.look("http")
        self.cancel()
        self.names.says(HTTP, Service(1, 1, 80, "a.test"))
        self.look("http")
        self.names.says(HTTP, Service(1, 1, 80, "a.test"))
        self.cancel()
        self.names.says("a.test", "10.0.0.1")
        self.cancel()
        self.assertEqual(self.found, [])
