"""
Commands as processes of their own, for tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

UPSTREAM = [sys.executable, "-m", "twisted_upstream"]
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


def environment() -> dict[str, str]:
    """
    For processes that shall find the same packages.
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def command(
    words: list[str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """
    Run a command to its end.
    """
    return subprocess.run(
        words,
        capture_output=True,
        cwd=folder,
        encoding="utf-8",
        env=environment(),
        timeout=30,
    )
