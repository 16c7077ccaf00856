"""
Tests for L{twisted_upstream.process.modules}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_upstream.config.build import Grammar
from twisted_upstream.config.directive import Where
from twisted_upstream.process.modules import (
    OPTIONAL,
    ORDINARY,
    configureArguments,
    declaredBy,
    moduleArguments,
)
from twisted_upstream.process.options import MainOptions
from twisted_upstream.upstream.options import PassOptions


def nothing(name: str, where: Where) -> bool:
    """
    Nothing is declared.
    """
    return False


def everything(name: str, where: Where) -> bool:
    """
    All is declared.
    """
    return True


class ModuleArgumentsTests(SynchronousTestCase):
    """
    L{moduleArguments}.
    """

    def test_nothing(self) -> None:
        """
        Without any directive every ordinary module is missing, and of streams
        nothing needs to be said.
        """
        arguments = moduleArguments(nothing)
        self.assertIn("--without-http_proxy_module", arguments)
        self.assertIn("--without-http-cache", arguments)
        others = ("--with-", "--without-stream")
        self.assertEqual([a for a in arguments if a.startswith(others)], [])

    def test_everything(self) -> None:
        """
        With all directives every optional module is there.
        """
        self.assertEqual(
            moduleArguments(everything), [f"--with-{name}" for name in OPTIONAL]
        )

    def test_placesCount(self) -> None:
        """
        The same directive in another place is another module.
        """
        arguments = moduleArguments(
            lambda name, where: (
                (name, where) in (("stream", Where.MAIN), ("zone", Where.UPSTREAM))
            )
        )
        self.assertIn("--with-stream", arguments)
        self.assertNotIn("--without-http_upstream_zone_module", arguments)
        self.assertIn("--without-stream_upstream_zone_module", arguments)

    def test_optionalNeverWithout(self) -> None:
        """
        A module is either ordinary or optional: scripts look for the bare name.
        """
        self.assertEqual(set(OPTIONAL) & set(ORDINARY), set())


class GrammarTests(SynchronousTestCase):
    """
    What a grammar declares.
    """

    def test_declared(self) -> None:
        """
        Names and places are those of the grammar.
        """
        grammar = Grammar()
        grammar.add(MainOptions)
        grammar.add(PassOptions, "proxy")
        declares = declaredBy(grammar)
        self.assertTrue(declares("proxy_pass", Where.LOCATION))
        self.assertFalse(declares("proxy_pass", Where.STREAM_SERVER))
        self.assertFalse(declares("memcached_pass", Where.LOCATION))

    def test_lines(self) -> None:
        """
        C{-V} ends with the arguments; without TLS no library is named.
        """
        grammar = Grammar()
        grammar.add(PassOptions, "proxy")
        built, arguments = configureArguments(grammar)
        self.assertTrue(built.startswith("built by "))
        self.assertTrue(
            arguments.startswith("configure arguments: --without-http-cache")
        )
        self.assertNotIn("http_proxy_module", arguments)
