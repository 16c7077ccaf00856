"""
The documentation's site: C{python -m sphinx -W docs build/docs}; the reference of the
Python API is made by C{pydoctor}.
"""

from __future__ import annotations

project = "twisted_upstream"
author = "the authors of twisted_upstream"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["examples/*"]
html_theme = "furo"
html_title = project
# Headings are linked as they are in a repository's page.
myst_heading_anchors = 3
