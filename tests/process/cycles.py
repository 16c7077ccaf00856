"""
Configurations in files, and cycles made of them.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.net.reactors import RecordingReactor
from twisted_upstream.logs.error_log import ErrorLogLine
from twisted_upstream.logs.logs import Logs
from twisted_upstream.process.configuration import Configuration, loadConfiguration
from twisted_upstream.process.cycle import Cycle


class CycleCase(SynchronousTestCase):
    """
    Configurations in files, listening on unix sockets.
    """

    def setUp(self) -> None:
        """
        A short directory, as paths of sockets have to be.
        """
        self.prefix = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.prefix)
        self.reactor = RecordingReactor()

    def path(self, name: str) -> str:
        """
        A file of the prefix.
        """
        return os.path.join(self.prefix, name)

    def load(self, text: str, **more: Any) -> Configuration:
        """
        Read a configuration.
        """
        with open(self.path("nginx.conf"), "w") as file:
            file.write(text)
        return loadConfiguration(self.path("nginx.conf"), self.prefix, **more)

    def cycle(self, *sockets: str, answer: str = "x", http: str = "") -> Cycle:
        """
        A cycle that listens on these sockets of the prefix.

        @param http: what else stands in C{http}.
        """
        listens = " ".join(f"listen unix:{self.path(each)};" for each in sockets)
        server = f"server {{ {listens} return 200 {answer}; }}"
        configuration = self.load(
            f"events {{}} http {{ access_log off; {http} {server} }}"
        )
        logs = Logs(self.reactor, self.prefix, (ErrorLogLine("error.log", "info"),))
        cycle = Cycle(configuration, self.reactor, logs)
        self.addCleanup(cycle.stop)
        return cycle

    def ask(self, name: str) -> bytes:
        """
        What a client hears on a socket; the reactor's turns are ours.
        """
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(self.path(name))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        for _ in range(10):
            for reader in list(self.reactor.readers):
                if reader in self.reactor.readers:
                    reader.doRead()
            self.reactor.turn()
        client.setblocking(False)
        return client.recv(65536)
