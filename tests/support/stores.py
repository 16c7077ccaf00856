"""
Real memcached and redis-server, started for a test; configurations that pass to them.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from unittest import SkipTest

from .nginx import freePort


class Daemon:
    """
    A program that listens on a port of its own.

    @ivar port: where it listens.
    """

    def __init__(self, command: Sequence[str], folder: str) -> None:
        """
        Start it and return once it listens.

        @param command: its words; C{%port%} stands for the port.
        @param folder: where it runs.
        @raise SkipTest: the program is not there.
        """
        path = shutil.which(command[0])
        if path is None:
            raise SkipTest(f"there is no {command[0]}")
        self.port = freePort()
        words = [word.replace("%port%", str(self.port)) for word in command[1:]]
        self._process = subprocess.Popen(
            [path, *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.stop()
                    raise SkipTest(f"{command[0]} does not listen") from None
                time.sleep(0.01)

    def ask(self, request: bytes, until: bytes) -> bytes:
        """
        Send something and read up to C{until}.
        """
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(request)
            data = b""
            while until not in data:
                piece = connection.recv(65536)
                if not piece:
                    raise AssertionError(f"it closed after {data!r}")
                data += piece
            return data

    def stop(self) -> None:
        """
        End it.
        """
        self._process.kill()
        self._process.wait()


def memcached(folder: str, *before: str) -> Daemon:
    """
    An empty memcached.

    @param before: words before the command, as of taskset.
    """
    if shutil.which("memcached") is None:
        raise SkipTest("there is no memcached")
    options = ("-u", "root", "-l", "127.0.0.1", "-p", "%port%", "-U", "0")
    return Daemon((*before, "memcached", *options), folder)


def redis(folder: str, *more: str) -> Daemon:
    """
    An empty redis-server.

    @param more: options.
    """
    return Daemon(
        (
            "redis-server",
            *("--bind", "127.0.0.1", "--port", "%port%", "--save", ""),
            *more,
        ),
        folder,
    )
