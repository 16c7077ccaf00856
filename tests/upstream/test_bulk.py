"""
Tests for L{twisted_upstream.upstream.bulk}: large responses through a proxy on a real
reactor, between sockets that the tests hold.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.net.reactors import OnLeanEPoll
from tests.support.nginx import freePort
from twisted_upstream.logs.error_log import ErrorLogLine
from twisted_upstream.logs.logs import Logs
from twisted_upstream.net import splice
from twisted_upstream.net.splice import PIPES
from twisted_upstream.process.configuration import loadConfiguration
from twisted_upstream.process.cycle import Cycle
from twisted_upstream.upstream.bulk import BulkBody

MIB = 1 << 20
#: A body of which every part is different.
BODY = b"".join(b"%07d\n" % number for number in range(MIB))


class BulkTests(OnLeanEPoll, SynchronousTestCase):
    """
    A client, the proxy, and a server.
    """

    if not splice.available():
        skip = "this system has no splice(2)"

    def setUp(self) -> None:
        super().setUp()
        self.prefix = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.prefix)
        PIPES.close()
        self.assertEqual(PIPES.open, 0)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.server.close)
        self.piped: list[int] = []
        received = BulkBody._pipeReceived

        def counted(bulk: BulkBody, pipe: Any) -> None:
            self.piped.append(len(pipe))
            received(bulk, pipe)

        self.patch(BulkBody, "_pipeReceived", counted)

    def proxy(self, location: str = "", http: str = "") -> socket.socket:
        """
        Start the proxy.

        @return: a connection to it.
        """
        port = freePort()
        text = f"""
            error_log error.log info;
            events {{}}
            http {{
                log_format main "$status $body_bytes_sent $upstream_response_length";
                access_log access.log main;
                upstream back {{
                    server 127.0.0.1:{self.server.getsockname()[1]} max_conns=1;
                    keepalive 1;
                }}
                {http}
                server {{
                    listen 127.0.0.1:{port};
                    location / {{ proxy_pass http://back; {location} }}
                }}
            }}
        """
        path = os.path.join(self.prefix, "nginx.conf")
        with open(path, "w") as file:
            file.write(text)
        configuration = loadConfiguration(path, self.prefix)
        line = ErrorLogLine("error.log", "info")
        logs = Logs(self.reactor, self.prefix, (line,))
        cycle = Cycle(configuration, self.reactor, logs)
        logs.open()
        self.addCleanup(logs.close)
        cycle.open(None)
        cycle.start()
        self.addCleanup(self.reactor.iterate)
        self.addCleanup(cycle.stop)
        client = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(client.close)
        client.setblocking(False)
        return client

    def accept(self) -> socket.socket:
        """
        The proxy's connection to the server, with its request read.
        """
        self.server.settimeout(0)
        found: list[socket.socket] = []

        def accepted() -> bool:
            try:
                connection, _ = self.server.accept()
            except BlockingIOError:
                return False
            found.append(connection)
            return True

        self.spin(accepted)
        self.addCleanup(found[0].close)
        self.readRequest(found[0])
        return found[0]

    def readRequest(self, connection: socket.socket) -> None:
        """
        Let the server get a request.
        """
        connection.setblocking(False)
        self.spin(lambda: receive(connection).endswith(b"\r\n\r\n"))

    def transfer(
        self, server: socket.socket, data: bytes, client: socket.socket, until: bytes
    ) -> bytes:
        """
        Let the server send C{data} as fast as it is taken.

        @return: what the client got, up to C{until}.
        """
        got: list[bytes] = []
        left = memoryview(data)

        def moved() -> bool:
            nonlocal left
            if left:
                try:
                    left = left[server.send(left) :]
                except BlockingIOError:
                    pass
            got.append(receive(client))
            return not left and b"".join(got[-3:]).endswith(until)

        self.spin(moved)
        return b"".join(got)

    def logged(self, count: int) -> None:
        """
        Wait for so many lines of the access log.
        """
        self.spin(lambda: len(self.access()) == count)

    def untilEnded(self, connection: socket.socket) -> None:
        """
        Wait for the proxy's end of a connection.
        """
        self.spin(lambda: ended(connection))

    def access(self) -> list[str]:
        """
        The access log.
        """
        with open(os.path.join(self.prefix, "access.log")) as file:
            return file.read().splitlines()

    def test_counted(self) -> None:
        """
        A body of known length goes through a pipe, but for its begin and end; peer and
        connection are free again, and the next response is on the same connection.
        """
        client = self.proxy()
        for number in (1, 2):
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            if number == 1:
                server = self.accept()
            else:
                self.readRequest(server)
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
            got = self.transfer(server, head + BODY, client, BODY[-10:])
            self.assertEqual(got.partition(b"\r\n\r\n")[2], BODY)
            self.assertGreater(sum(self.piped), number * len(BODY) // 2)
            self.logged(number)
            self.assertEqual(self.access()[-1], f"200 {len(BODY)} {len(BODY)}")
        self.assertLess(sum(self.piped), 2 * len(BODY))

    def test_untilClose(self) -> None:
        """
        So does one that ends with its connection.
        """
        client = self.proxy()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        server = self.accept()
        client.setblocking(False)
        got = [self.transfer(server, b"HTTP/1.0 200 OK\r\n\r\n" + BODY, client, b"")]
        server.close()

        def ended() -> bool:
            try:
                data = client.recv(MIB)
            except BlockingIOError:
                return False
            got.append(data)
            return not data

        self.spin(ended)
        self.assertEqual(b"".join(got).partition(b"\r\n\r\n")[2], BODY)
        self.assertGreater(sum(self.piped), len(BODY) // 4)

    def test_slowClient(self) -> None:
        """
        A client that stops reading gets the rest from a file, and the server is free.
        """
        client = self.proxy("proxy_max_temp_file_size 100m;")
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server = self.accept()
        body = BODY * 6
        left = memoryview(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        got = []

        def begun() -> bool:
            nonlocal left
            try:
                left = left[server.send(left) :]
            except BlockingIOError:
                pass
            if not self.piped:
                got.append(receive(client))
            return not left

        self.spin(begun)
        with open(os.path.join(self.prefix, "error.log")) as file:
            self.assertIn("buffered to a temporary file", file.read())

        def finished() -> bool:
            got.append(receive(client))
            return got[-1].endswith(BODY[-10:])

        self.spin(finished)
        self.assertEqual(b"".join(got).partition(b"\r\n\r\n")[2], body)

    def test_clientGone(self) -> None:
        """
        A client that goes in the middle takes its connection to the server with it.
        """
        client = self.proxy()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server = self.accept()
        left = memoryview(
            b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + BODY
        )

        def begun() -> bool:
            nonlocal left
            try:
                left = left[server.send(left) :]
            except BlockingIOError:
                pass
            receive(client)
            return bool(self.piped)

        self.spin(begun)
        client.close()
        self.untilEnded(server)
        self.assertEqual(len(self.access()), 1)
        self.assertEqual(self.access()[0][:4], "200 ")

    def test_serverGone(self) -> None:
        """
        A body that is cut is not completed.
        """
        client = self.proxy()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server = self.accept()
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + BODY
        got = self.transfer(server, data, client, BODY[-10:])
        self.assertEqual(got.partition(b"\r\n\r\n")[2], BODY)
        server.close()
        self.untilEnded(client)
        with open(os.path.join(self.prefix, "error.log")) as file:
            self.assertIn("upstream prematurely closed connection", file.read())

    def test_lookedAt(self) -> None:
        """
        Where somebody changes the body, or paces it, no pipe is used.
        """
        for location in (
            "gzip on; gzip_types *; gzip_comp_level 1; gzip_proxied any;",
            "limit_rate 100m;",
            "proxy_limit_rate 100m;",
        ):
            client = self.proxy(location)
            client.send(
                b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n"
                b"Connection: close\r\n\r\n"
            )
            server = self.accept()
            data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
            self.transfer(server, data, client, b"")
            self.untilEnded(client)
            self.assertEqual(self.piped, [], location)


def receive(sock: socket.socket) -> bytes:
    """
    What has come.
    """
    try:
        return sock.recv(4 * MIB)
    except BlockingIOError:
        return b""


def ended(sock: socket.socket) -> bool:
    """
    Has the other side ended, in whatever way?
    """
    try:
        return not sock.recv(MIB)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
