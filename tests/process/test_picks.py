"""
C{upstream_select} over real sockets and a reload.
"""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.nginx import RunningServer, fillIn, freePort, oursCommand

CONFIGURATION = """
daemon off;
pid nginx.pid;
error_log error.log notice;
events {
}
http {
    access_log off;
    upstream u {
        server 127.0.0.1:9 max_conns=1;
    }
    server {
        listen 127.0.0.1:%%front%%;
        location /pick {
            upstream_select u timeout=1m;
        }
        location /generation {
            return 200 %%generation%%;
        }
    }
}
"""


class PicksTests(SynchronousTestCase):
    """
    A program picks, and the configuration is read again before it reports.
    """

    def ask(self, method: str, target: str, body: str | None = None) -> tuple[int, str]:
        """
        One request on a connection of its own.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.front, timeout=20)
        try:
            connection.request(method, target, body)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def test_reload(self) -> None:
        """
        The report is taken after the reload, once.
        """
        prefix = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, prefix)
        self.front = freePort()

        def configuration(generation: str) -> str:
            return fillIn(
                CONFIGURATION.replace("%%generation%%", generation),
                {"front": self.front},
            )

        server = RunningServer(oursCommand(), prefix, configuration("first"))
        self.addCleanup(server.stop)
        status, text = self.ask("GET", "/pick")
        self.assertEqual(status, 200)
        pick = json.loads(text)
        self.assertEqual((pick["host"], pick["port"]), ("127.0.0.1", 9))
        # The only server is taken.
        self.assertEqual(self.ask("GET", "/pick")[0], 502)
        (prefix / "nginx.conf").write_text(configuration("second"))
        server.send(signal.SIGHUP)
        until = time.monotonic() + 20
        while self.ask("GET", "/generation")[1] != "second":
            self.assertLess(time.monotonic(), until, server.output())
            time.sleep(0.05)
        report = f"token={pick['token']}&outcome=ok"
        self.assertEqual(self.ask("POST", "/pick", report)[0], 204)
        self.assertEqual(self.ask("POST", "/pick", report)[0], 404)
        self.assertEqual(server.stop(), 0)
