"""
C{queue} over real sockets.
"""

from __future__ import annotations

import http.client
import shutil
import tempfile
import threading
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.differential.backends import Reply, ScriptedBackend, Seen
from tests.support.nginx import RunningServer, fillIn, freePort, oursCommand

CONFIGURATION = """
daemon off;
pid nginx.pid;
events {
}
http {
    log_format q '$uri $status $upstream_queue_time';
    access_log access.log q;
    upstream u {
        zone u 64k;
        state u.state;
        queue 8 timeout=10s;
    }
    server {
        listen 127.0.0.1:%%front%%;
        location / {
            proxy_pass http://u;
        }
    }
}
"""


class QueueTests(SynchronousTestCase):
    """
    A server that takes one request at a time, and eight clients at once.
    """

    def test_eight(self) -> None:
        """
        All are served, one after the other, and one server was enough.
        """
        record: list[Seen] = []
        most = 0
        lock = threading.Lock()
        under = 0

        def answer(head: bytes, count: int) -> Reply:
            nonlocal most, under
            with lock:
                under += 1
                most = max(most, under)
            time.sleep(0.02)
            with lock:
                under -= 1
            return Reply((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",))

        backend = ScriptedBackend("only", answer, record)
        self.addCleanup(backend.stop)
        prefix = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, prefix)
        (prefix / "u.state").write_text(
            f"server 127.0.0.1:{backend.port} max_conns=1;\n"
        )
        front = freePort()
        server = RunningServer(
            oursCommand(), prefix, fillIn(CONFIGURATION, {"front": front})
        )
        self.addCleanup(server.stop)
        statuses: list[int] = []

        def ask() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", front, timeout=20)
            connection.request("GET", "/")
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        self.assertEqual(statuses, [200] * 8)
        self.assertEqual((len(record), most), (8, 1))
        server.stop()
        times = [line.split()[2] for line in server.lines("access.log")]
        self.assertEqual(times.count("-"), 1)
        waited = sorted(float(each) for each in times if each != "-")
        self.assertGreater(waited[-1], 0.1)
