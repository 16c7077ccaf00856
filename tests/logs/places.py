"""
Logs in memory, and folders for files.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from twisted_upstream.interfaces import ILogTarget

WHEN = 1_800_000_000.5


@implementer(ILogTarget)
class Lines:
    """
    Remembers what it was given.
    """

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, line: bytes, level: int) -> None:
        """
        Remember it.
        """
        self.lines.append(line)


def folderFor(case: SynchronousTestCase) -> Path:
    """
    An empty folder that is removed after the test.
    """
    folder = tempfile.TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return Path(folder.name)
