"""
Contradictions about zones of memory: told as real nginx tells them, of the same line,
whichever directive comes first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from itertools import permutations
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.net.reactors import RecordingReactor
from tests.support.nginx import findNginx
from twisted_upstream.config.nodes import ConfigError
from twisted_upstream.logs.error_log import ErrorLogLine
from twisted_upstream.logs.logs import Logs
from twisted_upstream.process.configuration import loadConfiguration
from twisted_upstream.process.cycle import Cycle

#: A use of the zone C{z} by each kind of directive, and the block that it stands in;
#: names that must differ have a %d.
USES = {
    "limit_conn_zone": ("http", "limit_conn_zone $uri zone=z:64k;"),
    "limit_req_zone": ("http", "limit_req_zone $uri zone=z:64k rate=1r/s;"),
    "limit_conn": ("http", "server { location / { limit_conn z 1; } }"),
    "limit_req": ("http", "server {\n limit_req zone=z; }"),
    "zone": ("http", "upstream u%d { server 127.0.0.1;\n zone z 64k; }"),
    "zone without size": ("http", "upstream u%d { zone z; server 127.0.0.1; }"),
    "sticky": (
        "http",
        "upstream u%d { server 127.0.0.1;\n"
        " sticky learn create=$uri lookup=$uri zone=z:64k; }",
    ),
    "ssl_session_cache": ("http", "server { ssl_session_cache shared:z:64k; }"),
    "ssl_ocsp_cache": ("http", "ssl_ocsp_cache shared:z:64k;"),
    "limit_conn_zone in stream": (
        "stream",
        "limit_conn_zone $remote_addr zone=z:64k;",
    ),
    "limit_conn in stream": (
        "stream",
        "server { listen 1%d; limit_conn z 1; return x; }",
    ),
    "zone in stream": ("stream", "upstream u%d {\n server 127.0.0.1:1; zone z 64k; }"),
    "ssl_session_cache in stream": (
        "stream",
        "server { listen 1%d; ssl_session_cache shared:z:64k; return x; }",
    ),
}


def written(*uses: tuple[str, str]) -> str:
    """
    A configuration with these, in this order.
    """
    whole = "events { }\n"
    around = ""
    for number, (place, text) in enumerate(uses):
        if place != around:
            whole += ("}\n" if around else "") + place + " {\n"
            around = place
        whole += (text % number if "%" in text else text) + "\n"
    return whole + "}\n"


class ZoneTests(SynchronousTestCase):
    """
    The first complaint about a configuration, nginx's and ours.
    """

    def setUp(self) -> None:
        """
        A folder for both.
        """
        self.nginx = findNginx()
        if self.nginx is None:
            raise SkipTest("nginx is not installed")
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        os.mkdir(os.path.join(self.folder, "logs"))
        self.path = os.path.join(self.folder, "nginx.conf")

    def theirs(self) -> str:
        """
        What nginx says, without time and process; empty: nothing.
        """
        assert self.nginx is not None
        ran = subprocess.run(
            [self.nginx, "-t", "-q", "-p", self.folder, "-e", "stderr"]
            + ["-c", self.path],
            capture_output=True,
            text=True,
        )
        lines = [line for line in ran.stderr.splitlines() if "[emerg]" in line]
        return lines[0].partition(": ")[2] if lines else ""

    def ours(self) -> str:
        """
        The same of ours.
        """
        reactor = RecordingReactor()
        logs = Logs(reactor, self.folder, (ErrorLogLine("error.log", "info"),))
        try:
            cycle = Cycle(loadConfiguration(self.path, self.folder), reactor, logs)
        except ConfigError as e:
            return str(e.problems[0])
        cycle.stop()
        return ""

    def compare(self, text: str) -> None:
        """
        Both say the same.
        """
        Path(self.path).write_text(text)
        theirs, ours = self.theirs(), self.ours()
        if theirs.startswith("zero size"):
            # nginx does not know any more which line it was.
            ours = ours.partition(" in /")[0]
        self.assertEqual(ours, theirs, text)

    def test_twoUses(self) -> None:
        """
        Two directives of different kinds, in either order.
        """
        for pair in permutations(USES.values(), 2):
            self.compare(written(*pair))

    def test_twice(self) -> None:
        """
        The same directive twice.
        """
        for use in USES.values():
            self.compare(written(use, use))

    def test_sizes(self) -> None:
        """
        One kind, two sizes.
        """
        for _, text in (USES["zone"], USES["ssl_session_cache"], USES["sticky"]):
            other = text.replace("64k", "65k")
            for pair in permutations((text, other)):
                self.compare(written(*(("http", each) for each in pair)))

    def test_keys(self) -> None:
        """
        Two keys for one zone of limits; with another size, that is told.
        """
        text = "limit_conn_zone $uri zone=z:64k;\nlimit_conn_zone $args zone=z:%sk;"
        for size in ("64", "65"):
            self.compare(written(("http", text.replace("%s", size))))

    def test_servers(self) -> None:
        """
        Addresses that servers contradict each other about.
        """
        for first, second in (
            ("listen 81; listen 81;", ""),
            ("listen [::1]:81 default_server;", "listen [::1]:81 default_server;"),
            ("listen *:81 backlog=5;", "listen 81 default_server backlog=6;"),
        ):
            for place in ("http", "stream"):
                servers = f"server {{ {first} return 200; }}"
                if second:
                    servers += f"\nserver {{ {second} return 200; }}"
                self.compare(written((place, servers)))
