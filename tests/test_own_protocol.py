"""
The protocols of the walk-through, in use: the very module and configuration of
docs/examples, in our process over real sockets.
"""

from __future__ import annotations

import http.client
import os
import re
import runpy
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.nginx import CHECKOUT, RunningServer, freePort, oursCommand
from tests.support.stores import Daemon
from tests.wire.splits import everySplit
from twisted_upstream.plugins import InvalidBody, InvalidHead

EXAMPLES = CHECKOUT / "docs" / "examples"
MODULE = EXAMPLES / "own_upstream.py"


class Client:
    """
    A client with one variable.
    """

    def __init__(self, value: bytes) -> None:
        self.value = value

    def variable(self, name: str) -> bytes:
        """
        The value of whatever is asked for.
        """
        return self.value


class ParserTests(SynchronousTestCase):
    """
    The parsers, without a server.
    """

    def setUp(self) -> None:
        self.names = runpy.run_path(str(MODULE))

    def exchange(self, name: str, value: bytes) -> Any:
        """
        An exchange whose request was made.
        """
        made = self.names[name](None, Client(value))
        made.createRequest()
        return made

    def test_echoSplits(self) -> None:
        """
        An echo is an echo from its first byte on; anything else is refused.
        """
        for data, expected in ((b"abc\n", 200), (b"abc\nmore", 200)):
            exchange = self.exchange("Echo", b"abc")
            for _, head in everySplit(exchange.processHeader, data):
                self.assertEqual((head.status, head.contentLength), (expected, 4))
        exchange = self.exchange("Echo", b"abc")
        self.assertRaises(InvalidHead, exchange.processHeader, b"abd\n")

    def test_searchSplits(self) -> None:
        """
        Lines are found however they are cut.
        """
        text = b"apple pie\npear\npineapple\nplum"
        for length in (None, len(text)):
            for at in range(len(text) + 1):
                body = self.names["Matching"](b"apple", length)
                out = body.inputFilter(text[:at]) + body.inputFilter(text[at:])
                self.assertEqual(out, b"apple pie\npineapple\n")
                self.assertEqual(body.remaining, None if length is None else 0)

    def test_searchLimits(self) -> None:
        """
        What comes after the end is excess, and no line is kept without end.
        """
        body = self.names["Matching"](b"a", 2)
        self.assertEqual(body.inputFilter(b"a\nmore"), b"a\n")
        self.assertEqual((body.remaining, body.excess), (0, b"more"))
        body = self.names["Matching"](b"a", None)
        self.assertRaises(InvalidBody, body.inputFilter, b"a" * 70000)

    def test_searchQuotes(self) -> None:
        """
        Nothing that a client sends makes a line of its own.
        """
        exchange = self.names["Search"](None, Client(b"a%0D%0AX:%20y"))
        self.assertEqual(
            exchange.createRequest(),
            b"GET /find?text=a%0D%0AX%3A%20y HTTP/1.0\r\n\r\n",
        )

    def test_short(self) -> None:
        """
        Neither takes more than thirty lines besides a decoder.
        """
        _, *parts = re.split(r"(?m)^# ---- .*\n|^class Matching", MODULE.read_text())
        self.assertEqual(len(parts), 3)
        for part in parts:
            self.assertLessEqual(len(part.strip().splitlines()), 30)


class RunningTests(SynchronousTestCase):
    """
    The configuration of the walk-through.
    """

    def test_runs(self) -> None:
        """
        What the page says can be asked for is answered.
        """
        folder = Path(tempfile.mkdtemp(prefix="own"))
        self.addCleanup(shutil.rmtree, folder)
        plugins = folder / "mine" / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        shutil.copy(MODULE, plugins)
        server = Daemon(
            (sys.executable, str(EXAMPLES / "echo_server.py"), "%port%"), str(folder)
        )
        self.addCleanup(server.stop)
        text = (EXAMPLES / "own_upstream.conf").read_text()
        front = freePort()
        for port, other in ((8007, server.port), (8080, front), (8091, freePort())):
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{other}")
        path = os.pathsep.join((str(folder / "mine"), str(CHECKOUT)))
        running = RunningServer(
            ["env", f"PYTHONPATH={path}", *oursCommand()], folder, text
        )
        self.addCleanup(running.stop)
        client = http.client.HTTPConnection("127.0.0.1", front, timeout=10)
        self.addCleanup(client.close)
        for uri, method, status, body in (
            ("/echo?hello", "GET", 200, b"hello\n"),
            ("/echo", "GET", 200, b"\n"),
            ("/echo?hello", "HEAD", 200, b""),
            ("/search?q=apple", "GET", 200, b"apple pie\npineapple\n"),
            ("/search?q=%70lum", "GET", 200, b"plum\n"),
            ("/search?q=none", "GET", 200, b""),
        ):
            client.request(method, uri)
            response = client.getresponse()
            self.assertEqual((response.status, response.read()), (status, body), uri)
        client.request("POST", "/echo?hello", body=b"x")
        self.assertEqual(client.getresponse().status, 405)
