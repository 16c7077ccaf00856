"""
C{python -m twisted_upstream}: the same as C{twisted-upstream}.
"""

from __future__ import annotations

import sys

from .process.cli import main

if __name__ == "__main__":
    sys.exit(main())
