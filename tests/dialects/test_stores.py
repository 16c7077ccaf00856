"""
memcached and Redis themselves, our process over real sockets.
"""

from __future__ import annotations

import http.client
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import stores
from tests.support.nginx import RunningServer, fillIn, freePort, oursCommand
from twisted_upstream.dialects.redis import command

TEXT = """
daemon off;
pid nginx.pid;
events {
}
http {
    access_log off;
    upstream store {
        server 127.0.0.1:%%store%%;
        keepalive 1;
    }
    server {
        listen 127.0.0.1:%%front%%;
        %%server%%
    }
}
"""


class StoreCase(SynchronousTestCase):
    """
    A test with our process before a real server.
    """

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="stores")
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, store: stores.Daemon, server: str) -> None:
        """
        Start our process.
        """
        self.addCleanup(store.stop)
        front = freePort()
        text = fillIn(TEXT, {"store": store.port, "front": front, "server": server})
        running = RunningServer(oursCommand(), Path(self.folder), text)
        self.addCleanup(running.stop)
        self.client = http.client.HTTPConnection("127.0.0.1", front, timeout=10)
        self.addCleanup(self.client.close)

    def get(self, uri: str, method: str = "GET") -> tuple[int, bytes]:
        """
        Ask for something.
        """
        self.client.request(method, uri)
        response = self.client.getresponse()
        return response.status, response.read()


class MemcachedTests(StoreCase):
    """
    memcached.
    """

    def test_values(self) -> None:
        """
        Values, large ones, missing ones; all over one connection, but for HEAD.
        """
        store = stores.memcached(self.folder)
        large = bytes(range(256)) * 3000
        for key, value in ((b"/a", b"hello"), (b"/large", large), (b"/a%20b", b"")):
            said = store.ask(
                b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value), b"\r\n"
            )
            self.assertEqual(said, b"STORED\r\n")
        before = self.connections(store)
        self.start(
            store, "location / { set $memcached_key $uri; memcached_pass store; }"
        )
        self.assertEqual(self.get("/a"), (200, b"hello"))
        self.assertEqual(self.get("/large"), (200, large))
        self.assertEqual(self.get("/a%20b"), (200, b""))
        self.assertEqual(self.get("/none")[0], 404)
        self.assertEqual(self.get("/" + "k" * 300)[0], 502)
        self.assertEqual(self.get("/a"), (200, b"hello"))
        self.assertEqual(self.get("/a", "HEAD"), (200, b""))
        self.assertEqual(self.connections(store) - before, 3)

    def connections(self, store: stores.Daemon) -> int:
        """
        How many there were before this one.
        """
        for line in store.ask(b"stats\r\n", b"END\r\n").split(b"\r\n"):
            if line.startswith(b"STAT total_connections "):
                return int(line.split()[2])
        raise AssertionError("memcached does not count")


class RedisTests(StoreCase):
    """
    Redis.
    """

    def test_values(self) -> None:
        """
        Values of several databases behind a password; what is missing, what is no
        text, and a wrong password.
        """
        store = stores.redis(self.folder, "--requirepass", "secret")
        large = bytes(range(256)) * 3000
        login = command(b"AUTH", b"secret")
        store.ask(
            login
            + command(b"SET", b"/a", b"hello")
            + command(b"SET", b"/large", large)
            + command(b"RPUSH", b"/list", b"x")
            + command(b"SELECT", b"3")
            + command(b"SET", b"k", b"")
            + command(b"ECHO", b"done"),
            b"done\r\n",
        )
        self.start(
            store,
            "location / { redis_pass store; redis_auth secret; }"
            "location /three { set $redis_key k; set $redis_db 3;"
            "  redis_pass store; redis_auth default secret; }"
            "location /anybody { redis_pass store; }",
        )
        self.assertEqual(self.get("/a"), (200, b"hello"))
        self.assertEqual(self.get("/large"), (200, large))
        self.assertEqual(self.get("/three"), (200, b""))
        self.assertEqual(self.get("/none")[0], 404)
        self.assertEqual(self.get("/list")[0], 502)
        self.assertEqual(self.get("/anybody")[0], 502)
        self.assertEqual(self.get("/a", "HEAD"), (200, b""))
