"""
A balancer and a protocol of a third party, in use: the module of docs/examples in a
folder of its own, our process over real sockets, a small Redis in the test.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.nginx import (
    CHECKOUT,
    RunningServer,
    fillIn,
    freePort,
    oursCommand,
)

ACME = CHECKOUT / "docs" / "examples" / "acme_upstream.py"

CONFIGURATION = """
daemon off;
pid nginx.pid;

events {
}

http {
    log_format attempts '$uri $status $upstream_addr $upstream_status';
    access_log access.log attempts;

    upstream stores {
        server 127.0.0.1:%%dead%% max_fails=0;
        server 127.0.0.1:%%store%%;
        keepalive 1;
    }

    upstream pages {
        failover;
        server 127.0.0.1:%%first%% max_fails=1 fail_timeout=60s;
        server 127.0.0.1:%%second%%;
    }

    upstream turns {
        server 127.0.0.1:%%second%%;
        server 127.0.0.1:%%third%%;
    }

    server {
        listen 127.0.0.1:%%front%%;
        set $resp_key $uri;

        location / {
            resp_pass stores;
            resp_next_upstream error timeout invalid_header;
            resp_intercept_errors on;
            error_page 404 = @missing;
        }
        location /strict/ {
            set $resp_key $arg_key;
            resp_pass 127.0.0.1:%%store%%;
            resp_hide_header X-None;
            resp_read_timeout 5s;
        }
        location @missing {
            return 404 "nothing under $resp_key\\n";
        }
        location /pages/ {
            proxy_pass http://pages;
        }
        location /turns/ {
            proxy_pass http://turns;
        }
    }

    server {
        listen 127.0.0.1:%%second%%;
        access_log off;
        return 200 "second";
    }
    server {
        listen 127.0.0.1:%%third%%;
        access_log off;
        return 200 "third";
    }
}
"""


class ToyRedis(socketserver.ThreadingTCPServer):
    """
    Knows GET.

    @ivar values: by key.
    @ivar connections: how many there were.
    @ivar commands: how many there were.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, values: Mapping[bytes, bytes]) -> None:
        self.values = values
        self.connections = 0
        self.commands = 0
        super().__init__(("127.0.0.1", 0), ToyRedisHandler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        """
        Where it listens.
        """
        number: int = self.server_address[1]
        return number

    def stop(self) -> None:
        """
        Stop listening.
        """
        self.shutdown()
        self._thread.join()
        self.server_close()


class ToyRedisHandler(socketserver.StreamRequestHandler):
    """
    One connection; the protocol is read strictly, so that a wrong request is noticed.
    """

    server: ToyRedis
    timeout = 10

    def handle(self) -> None:
        self.server.connections += 1
        while self.rfile.readline() == b"*2\r\n":
            command, key = self._bulk(), self._bulk()
            self.server.commands += 1
            value = self.server.values.get(key)
            if command != b"GET" or value == b"an error":
                self.wfile.write(b"-ERR something\r\n")
            elif value is None:
                self.wfile.write(b"$-1\r\n")
            else:
                self.wfile.write(b"$%d\r\n%b\r\n" % (len(value), value))

    def _bulk(self) -> bytes:
        length = re.fullmatch(rb"\$(\d+)\r\n", self.rfile.readline())
        assert length is not None
        text = self.rfile.read(int(length[1]))
        assert self.rfile.read(2) == b"\r\n"
        return text


class ThirdPartyTests(SynchronousTestCase):
    """
    Tests with our process as a user starts it.
    """

    def setUp(self) -> None:
        self.store = ToyRedis(
            {
                b"/greeting": b"Hello!\r\n",
                b"/large": bytes(range(256)) * 20_000,
                b"/empty": b"",
                b"/wrong": b"an error",
            }
        )
        self.addCleanup(self.store.stop)
        self.folder = Path(tempfile.mkdtemp(prefix="thirdparty"))
        self.addCleanup(shutil.rmtree, self.folder)
        plugins = self.folder / "acme" / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        shutil.copy(ACME, plugins)
        path = os.pathsep.join((str(self.folder / "acme"), str(CHECKOUT)))
        # RunningServer sets the variable for itself; env is nearer to the program.
        self.command = ["env", f"PYTHONPATH={path}", *oursCommand()]

    def start(self) -> None:
        """
        Start our process.
        """
        ports = {
            name: freePort() for name in ("dead", "first", "front", "second", "third")
        }
        ports["store"] = self.store.port
        self.ports = ports
        prefix = self.folder / "prefix"
        prefix.mkdir()
        self.running = RunningServer(self.command, prefix, fillIn(CONFIGURATION, ports))
        self.addCleanup(self.running.stop)
        self.client = http.client.HTTPConnection("127.0.0.1", ports["front"], 10)
        self.addCleanup(self.client.close)

    def get(self, uri: str, method: str = "GET") -> tuple[int, bytes]:
        """
        Ask for something over the connection of this test.
        """
        self.client.request(method, uri)
        response = self.client.getresponse()
        return response.status, response.read()

    def test_protocol(self) -> None:
        """
        Values come whole, with their length; what is not there is 404, what the
        protocol does not allow is 502; the connection to the server is kept meanwhile.
        """
        self.start()
        # One try goes to the dead server first: next upstream works in any protocol.
        self.assertEqual(self.get("/greeting"), (200, b"Hello!\r\n"))
        self.assertEqual(self.get("/large"), (200, bytes(range(256)) * 20_000))
        self.assertEqual(self.get("/empty"), (200, b""))
        self.assertEqual(self.get("/greeting", "HEAD"), (200, b""))
        self.assertEqual(self.get("/other"), (404, b"nothing under /other\n"))
        self.assertEqual(self.get("/greeting"), (200, b"Hello!\r\n"))
        self.assertEqual((self.store.commands, self.store.connections), (6, 1))
        self.assertEqual(self.get("/wrong")[0], 502)
        self.client.close()
        self.running.stop()
        lines = self.running.lines("access.log")
        dead, store = (f"127.0.0.1:{self.ports[n]}" for n in ("dead", "store"))
        self.assertEqual(lines[0], f"/greeting 200 {dead}, {store} 502, 200")
        log = "\n".join(self.running.lines("error.log"))
        self.assertIn("upstream sent no value of Redis while reading response", log)
        self.assertIn(f'upstream: "resp://{store}"', log)

    def test_address(self) -> None:
        """
        A protocol's *_pass takes an address, its key may come from the query, and
        the options that all protocols have are there.
        """
        self.start()
        self.assertEqual(self.get("/strict/?key=/greeting"), (200, b"Hello!\r\n"))
        self.assertEqual(self.get("/strict/")[0], 404)

    def test_balancer(self) -> None:
        """
        The balancer decides, and the rules common to all balancers hold: a failure
        moves the request on, and its server is left alone for a time.
        """
        self.start()
        for _ in range(4):
            self.assertEqual(self.get("/pages/"), (200, b"second"))
        turns = [self.get("/turns/")[1] for _ in range(4)]
        self.assertEqual(turns, [b"second", b"third"] * 2)
        self.client.close()
        self.running.stop()
        first, second = (f"127.0.0.1:{self.ports[n]}" for n in ("first", "second"))
        self.assertEqual(
            [line for line in self.running.lines("access.log") if "pages" in line],
            [f"/pages/ 200 {first}, {second} 502, 200"]
            + [f"/pages/ 200 {second} 200"] * 3,
        )

    def test_mistakes(self) -> None:
        """
        A wrong use of a third party's directive is told as any other, with its place.
        """
        text = "events {} http { upstream u {\nfailover 3;\nserver 127.0.0.1; }\n}\n"
        (self.folder / "nginx.conf").write_text(text)
        done = subprocess.run(
            [*self.command, "-t", "-p", str(self.folder), "-c", "nginx.conf"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn(
            'invalid number of arguments in "failover" directive in'
            f" {self.folder}/nginx.conf:2",
            done.stderr,
        )

    def test_short(self) -> None:
        """
        The balancer and the protocol take fewer than thirty lines each.
        """
        _, *parts = re.split(r"(?m)^# ---- .*\n", ACME.read_text())
        self.assertEqual(len(parts), 2)
        for part in parts:
            self.assertLess(len(part.strip().splitlines()), 30)
