"""
Every block of docs/embedding.md works.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.web.client import Agent, readBody

from tests.embed.test_live import LiveCase
from tests.test_docs import DOCS, blocks


class PageTests(LiveCase):
    """
    docs/embedding.md.
    """

    if find_spec("treq") is None:
        skip = "treq is not installed"

    page: Path = DOCS / "embedding.md"

    def runs(self, text: str) -> dict[str, Any]:
        """
        Run a block, with servers that there are.
        """
        for number, server in enumerate(self.servers):
            text = text.replace(
                f"127.0.0.1:800{number + 1}", f"127.0.0.1:{server.number}"
            )
        names: dict[str, Any] = {"__name__": "page"}
        names["print"] = lambda *values: self.printed.append(values)
        exec(compile(text, str(self.page), "exec"), names)
        return names

    @inlineCallbacks
    def test_blocks(self) -> Any:
        """
        Each C{main} does what it does, and closes its group; the site serves.
        """
        self.printed: list[Any] = []
        mains = sites = 0
        for text in blocks(self.page, "python"):
            names = self.runs(text)
            if "main" in names:
                mains += 1
                yield Deferred.fromCoroutine(names["main"](self.reactor))
            else:
                sites += 1
                site = names["makeSite"](self.reactor)
                port = self.reactor.listenTCP(0, site, interface="127.0.0.1")
                self.addCleanup(port.stopListening)
                self.addCleanup(site.resource.children[b"api"].upstream.close)
                uri = b"http://127.0.0.1:%d/api/x" % port.getHost().port
                response = yield Agent(self.reactor).request(b"GET", uri)
                body = yield readBody(response)
                self.assertIsNotNone(re.match(rb"\d /v1/x ", body))
        self.assertEqual((mains, sites), (6, 1))
        self.assertEqual(self.printed[0][0], 200)
        self.assertIn("/users", self.printed[0][1])
        self.assertEqual(self.printed[1][:2], (200, "from"))
