"""
Tests for L{twisted_upstream.process.configuration}.
"""

from __future__ import annotations

import os

from tests.support.fakerequest import messages
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.process.configuration import loadConfiguration

from .cycles import CycleCase


class LoadTests(CycleCase):
    """
    L{loadConfiguration}.
    """

    def test_missing(self) -> None:
        """
        A file that is not there is told.
        """
        error = self.assertRaises(
            ConfigError, loadConfiguration, self.path("none"), self.prefix
        )
        self.assertEqual(
            messages(error),
            [f'open() "{self.path("none")}" failed (2: No such file or directory)'],
        )

    def test_include(self) -> None:
        """
        Included files are found next to the one that includes them, by patterns, too.
        """
        for name in ("b.inc", "a.inc"):
            with open(self.path(name), "w") as file:
                file.write(f"# {name}\n")
        configuration = self.load("include *.inc; include none*.inc; events {}")
        names = [os.path.basename(path) for path, _ in configuration.document.files]
        self.assertEqual(names, ["nginx.conf", "a.inc", "b.inc"])

    def test_includeMissing(self) -> None:
        """
        One that is named must be there.
        """
        error = self.assertRaises(ConfigError, self.load, "include none.inc; events {}")
        self.assertIn("failed (2: No such file or directory)", messages(error)[0])

    def test_directives(self) -> None:
        """
        What C{-g} says counts as if it stood in the file.
        """
        error = self.assertRaises(
            ConfigError, self.load, "pid a;\nevents {}", directives="pid b;"
        )
        self.assertIn('"pid" directive is duplicate', messages(error)[0])
