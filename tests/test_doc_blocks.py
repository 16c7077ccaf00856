"""
Every block of code in the documentation is run, or there is a reason why not.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.certificates import authority, issue
from tests.support.nginx import CHECKOUT, oursCommand
from tests.test_docs import DOCS, PAGES, blocks

_FENCE = re.compile(r"(?m)^ *(?:```|~~~)(.*)$")

#: How many blocks of a language pages have that tests run: those of ``test_docs`` and
#: of ``embed.test_pages``; configurations and commands are run wherever they stand.
_RUN = {
    ("embedding", "python"): 7,
    ("own_protocol", "python"): 5,
    ("picks", "json"): 1,
    ("picks", "python"): 1,
    ("plugins", "python"): 4,
    ("start", "python"): 1,
    ("testing", "python"): 9,
}
#: Blocks that are nothing to run.
_SHOWN = {
    ("README", "console"): (1, "what a client of the demonstration sees"),
    ("configuration", "text"): (1, "messages"),
    ("index", "{toctree}"): (5, "the site's contents"),
    ("operations", "text"): (1, "a line of the error log"),
    ("own_protocol", "text"): (2, "a tree of files; servers that run until stopped"),
    ("plugins", "text"): (2, "a tree of files; an outline with an ellipsis"),
}
#: What configurations need that they do not show.
_AROUND = """
    upstream backend { server 127.0.0.1:8001; }
    map $host $password { default secret; }
"""


class EveryBlockTests(SynchronousTestCase):
    """
    Tests for all blocks.
    """

    def test_known(self) -> None:
        """
        There is no block that nobody has thought of.
        """
        found: dict[tuple[str, str], int] = {}
        for page in PAGES:
            fences = _FENCE.findall(page.read_text())
            self.assertEqual(fences[1::2], [""] * len(fences[1::2]), page.name)
            for language in fences[::2]:
                place = (page.stem, language.strip())
                found[place] = found.get(place, 0) + 1
        for place, count in found.items():
            if place[1] not in ("nginx", "sh"):
                shown, _ = _SHOWN.get(place, (0, ""))
                self.assertEqual(count, _RUN.get(place, shown), place)
        self.assertEqual(sorted({*_RUN, *_SHOWN} - set(found)), [])


class ConfigurationTests(SynchronousTestCase):
    """
    Tests for configurations, and what is part of one.
    """

    def setUp(self) -> None:
        self.prefix = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.prefix)
        root = authority()
        (self.prefix / "ca.crt").write_bytes(root.pem)
        for name in ("www.example.com", "db.example.com"):
            leaf = issue(name, issuer=root, alternatives=(name,))
            (self.prefix / f"{name}.crt").write_bytes(leaf.pem)
            (self.prefix / f"{name}.key").write_bytes(leaf.keyPem)

    def whole(self, text: str) -> str:
        """
        A configuration with a part of one.
        """
        # Names are looked up.
        text = re.sub(r"\bdb\d*\.example(\.com)?:", "127.0.0.1:", text)
        first = set(re.findall(r"(?m)^(\w+)", text))
        if "location" in first:
            text = f"server {{ listen 127.0.0.1:8080; {text} }}"
        if not first & {"http", "stream"}:
            text = f"http {{ {_AROUND} {text} }}"
        return text if "events" in first else f"events {{}} {text}"

    def test_all(self) -> None:
        """
        Each passes -t.
        """
        count = 0
        for page in PAGES:
            for text in blocks(page, "nginx"):
                count += 1
                (self.prefix / "page.conf").write_text(self.whole(text))
                done = subprocess.run(
                    [*oursCommand(), "-t", "-p", str(self.prefix), "-c", "page.conf"],
                    capture_output=True,
                    text=True,
                    cwd=CHECKOUT,
                    check=False,
                )
                self.assertEqual(done.returncode, 0, f"{page.name}: {done.stderr}")
        self.assertGreater(count, 7)


class PluginsPageTests(SynchronousTestCase):
    """
    Tests for docs/plugins.md.
    """

    def test_options(self) -> None:
        """
        Options of a dialect's own can be declared as the last block does.
        """
        names: dict[str, Any] = {"__name__": __name__}
        exec(
            "from dataclasses import dataclass\n"
            "from twisted_upstream.config.directive import Where, directive, number\n",
            names,
        )
        for text in blocks(DOCS / "plugins.md", "python"):
            exec(compile(text, "docs/plugins.md", "exec"), names)
        self.assertEqual(names["RespOptions"]().database, 0)
        self.assertEqual(names["resp"].name, "resp")
