"""
Tests for L{twisted_upstream.process.service}.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.logs.places import folderFor
from twisted_upstream.config.nodes import ConfigError, Problem
from twisted_upstream.logs.error_log import Console, ErrorLogLine
from twisted_upstream.logs.files import LogOpenError
from twisted_upstream.logs.logs import Logs
from twisted_upstream.process.daemon import StartError
from twisted_upstream.process.generation import Generation
from twisted_upstream.process.options import MainOptions
from twisted_upstream.process.service import UpstreamService, eventMethod


class EPollReactor(Clock):
    """
    A clock that can be called from signal handlers and be stopped.
    """

    stopped = 0

    def callFromThread(self, call: Callable[[], object]) -> None:
        """
        Call at the next turn.
        """
        self.callLater(0, call)

    def stop(self) -> None:
        """
        Count.
        """
        self.stopped += 1


class FakeCycle:
    """
    Writes down what it is told.
    """

    def __init__(
        self, name: str, calls: list[str], logs: Logs, fails: Exception | None = None
    ) -> None:
        self.name = name
        self.calls = calls
        self.logs = logs
        self.fails = fails
        self.drained: Deferred[None] = Deferred()
        self.opening: Callable[[], object] = lambda: None

    def open(self, previous: Any) -> None:
        """
        Open, or fail as told.
        """
        self.opening()
        if self.fails is not None:
            raise self.fails
        before = f" after {previous.name}" if previous is not None else ""
        self.calls.append(f"{self.name} open{before}")

    def start(self) -> None:
        """
        Note.
        """
        self.calls.append(f"{self.name} start")

    def drain(self) -> Deferred[None]:
        """
        Note; the test says when it is over.
        """
        self.calls.append(f"{self.name} drain")
        return self.drained

    def stop(self) -> None:
        """
        Note; ends a drain, too.
        """
        self.calls.append(f"{self.name} stop")
        if not self.drained.called:
            self.drained.callback(None)

    def reopenLogs(self) -> None:
        """
        Reopen.
        """
        self.calls.append(f"{self.name} reopen")
        self.logs.reopen()


def configError(*messages: str) -> ConfigError:
    """
    Problems on the first lines of a file.
    """
    return ConfigError(
        Problem(level="emerg", message=message, path="x.conf", line=line)
        for line, message in enumerate(messages, 1)
    )


class ServiceCase(SynchronousTestCase):
    """
    A service with fake configurations, whose log goes into a folder.
    """

    def setUp(self) -> None:
        """
        A service that has not started.
        """
        self.folder = folderFor(self)
        self.reactor = EPollReactor()
        self.calls: list[str] = []
        self.said: list[str] = []
        self.console = Console(self.said.append)
        self.names = iter(("first", "second", "third", "fourth"))
        self.options = MainOptions()
        self.next: Exception | None = None
        self.openFails: Exception | None = None
        self.pidPath = self.folder / "nginx.pid"
        self.first = self.prepare()
        self.service = UpstreamService(
            self.reactor,
            self.first,
            self.prepare,
            becomes=lambda options, logs: self.calls.append("become"),
        )
        self.addCleanup(self.closeAll)

    def closeAll(self) -> None:
        """
        Leave no open file behind.
        """
        self.first.logs.close()
        self.service.current.logs.close()

    def prepare(self) -> Generation:
        """
        The next configuration.
        """
        if self.next is not None:
            raise self.next
        logs = Logs(
            self.reactor,
            str(self.folder),
            [ErrorLogLine("error.log", "info")],
            console=self.console,
        )
        # The descriptor 2 of the tests stays as it is.
        logs.usesStderr = True
        cycle = FakeCycle(next(self.names), self.calls, logs, self.openFails)
        return Generation(cycle, logs, self.options, str(self.pidPath))

    def cycle(self) -> FakeCycle:
        """
        The one that serves.
        """
        cycle = self.service.current.cycle
        assert isinstance(cycle, FakeCycle)
        return cycle

    def start(self) -> None:
        """
        Start, and forget what was written about it.
        """
        self.service.privilegedStartService()
        self.service.startService()
        self.console.active = False
        self.calls.clear()
        self.written()

    def signal(self, number: int) -> None:
        """
        A signal arrives, and the reactor has time for it.
        """
        self.service.signalReceived(number)
        self.reactor.advance(0)

    def written(self) -> list[str]:
        """
        Levels and messages that were logged since the last time.
        """
        log = self.folder / "error.log"
        text = log.read_text()
        log.write_text("")
        pid = os.getpid()
        lines = []
        for line in text.splitlines():
            found = re.fullmatch(r"\S+ \S+ \[(\w+)\] \d+#\d+: (.*)", line)
            assert found is not None, line
            level = "" if found[1] == "notice" else f"[{found[1]}] "
            lines.append(level + found[2].replace(str(pid), "PID"))
        return lines


class StartTests(ServiceCase):
    """
    The start.
    """

    def test_order(self) -> None:
        """
        The pid file is there only when all sockets listen, and root is given up
        after it.
        """

        def opening() -> None:
            self.assertFalse(self.pidPath.exists())

        self.cycle().opening = opening
        self.service.privilegedStartService()
        self.assertFalse(self.pidPath.exists())
        self.service.startService()
        self.assertEqual(self.pidPath.read_text(), f"{os.getpid()}\n")
        self.assertEqual(self.calls, ["first open", "become", "first start"])

    def test_lines(self) -> None:
        """
        The lines of a start are nginx's.
        """
        self.service.privilegedStartService()
        self.service.startService()
        lines = self.written()
        self.assertEqual(lines[:2], ['using the "epoll" event method', "nginx/1.31.5"])
        self.assertRegex(lines[2], "^built by .+ 3")
        self.assertRegex(lines[3], "^OS: [A-Z]")
        self.assertRegex(lines[4], r"^getrlimit\(RLIMIT_NOFILE\): -?\d+:-?\d+$")
        self.assertEqual(
            lines[5:], ["start worker processes", "start worker process PID"]
        )

    def test_severalWorkers(self) -> None:
        """
        When several workers are wanted the log says that there is one process.
        """
        self.first.options = replace(self.options, workerProcesses=4)
        self.service.privilegedStartService()
        self.service.startService()
        self.assertIn(
            '"worker_processes" is 4: one process serves for all', self.written()
        )

    def test_openFails(self) -> None:
        """
        When a socket cannot be opened it is said on standard error and in the log,
        and nothing is left behind.
        """
        self.cycle().fails = LogOpenError("x", OSError(2, ""))
        self.assertRaises(StartError, self.service.privilegedStartService)
        text = 'open() "x" failed (2: No such file or directory)'
        self.assertEqual(self.said, [f"nginx: [emerg] {text}\n"])
        self.assertEqual(self.written(), [f"[emerg] {text}"])
        self.assertFalse(self.pidPath.exists())
        self.assertEqual(list(self.first.logs.descriptors), [])

    def test_ourMistake(self) -> None:
        """
        An exception that nobody expects is logged with where it happened.
        """
        self.cycle().fails = ZeroDivisionError("oh")
        self.assertRaises(StartError, self.service.privilegedStartService)
        self.assertRegex(
            self.written()[0], r"^\[emerg\] ZeroDivisionError: oh \(.*in open <"
        )

    def test_pidFails(self) -> None:
        """
        Without a pid file there is no start, and what was opened is closed.
        """
        self.service = UpstreamService(
            self.reactor, replace(self.first, pidPath="/no/such/pid"), self.prepare
        )
        self.service.privilegedStartService()
        self.assertRaises(StartError, self.service.startService)
        self.assertEqual(self.calls, ["first open", "first stop"])

    def test_warnings(self) -> None:
        """
        What the configuration was warned of is logged.
        """
        problem = Problem(level="warn", message="careful", path="x.conf", line=3)
        self.first.warnings = [problem]
        self.service.privilegedStartService()
        self.service.startService()
        self.assertIn("[warn] careful in x.conf:3", self.written())

    def test_notOurProcess(self) -> None:
        """
        Under another launcher there is no pid file of ours and no change of user.
        """
        service = UpstreamService(
            self.reactor, self.first, self.prepare, ownsProcess=False
        )
        service.privilegedStartService()
        service.startService()
        self.assertFalse(self.pidPath.exists())
        service.stopService()

    def test_eventMethod(self) -> None:
        """
        The reactor's class tells nginx's word.
        """
        self.assertEqual(eventMethod(self.reactor), "epoll")
        self.assertEqual(eventMethod(Clock()), "clock")


class SignalTests(ServiceCase):
    """
    Signals.
    """

    def test_queuedWhileStarting(self) -> None:
        """
        A signal that arrives during the start is obeyed after it.
        """
        self.cycle().opening = lambda: self.service.signalReceived(signal.SIGTERM)
        self.service.privilegedStartService()
        self.service.startService()
        self.assertEqual(self.reactor.stopped, 0)
        self.reactor.advance(0)
        self.assertEqual(self.reactor.stopped, 1)

    def test_queuedWhileReloading(self) -> None:
        """
        Signals that arrive during a reload wait for its end; the same twice is one.
        """
        self.start()
        prepare = self.service._prepare

        def slowly() -> Generation:
            new = prepare()
            if "second drain" not in self.calls and new.cycle.name == "second":  # type: ignore[attr-defined]
                for _ in range(3):
                    self.service.signalReceived(signal.SIGHUP)
                self.service.signalReceived(signal.SIGUSR1)
            return new

        self.service._prepare = slowly
        self.signal(signal.SIGHUP)
        self.reactor.advance(0)
        self.assertEqual(
            self.calls,
            [
                "second open after first",
                "second start",
                "first drain",
                "first reopen",
                "second reopen",
                "third open after second",
                "third start",
                "second drain",
            ],
        )

    def test_burst(self) -> None:
        """
        Many signals in a burst are one reload.
        """
        self.start()
        for _ in range(20):
            self.service.signalReceived(signal.SIGHUP)
        self.reactor.advance(0)
        self.reactor.advance(0)
        self.assertEqual(self.cycle().name, "second")

    def test_terminateFirst(self) -> None:
        """
        Who must end does not reload before.
        """
        self.start()
        self.service.signalReceived(signal.SIGHUP)
        self.service.signalReceived(signal.SIGTERM)
        self.reactor.advance(0)
        self.assertEqual(self.calls, ["first stop"])

    def test_terminate(self) -> None:
        """
        C{TERM} stops at once, removes the pid file and ends the reactor, with nginx's
        lines.
        """
        self.start()
        self.signal(signal.SIGTERM)
        self.assertEqual(self.calls, ["first stop"])
        self.assertEqual(
            self.written(),
            [
                "signal 15 (SIGTERM) received, exiting",
                "exiting",
                "exit",
                "worker process PID exited with code 0",
                "exit",
            ],
        )
        self.assertFalse(self.pidPath.exists())
        self.assertEqual(self.reactor.stopped, 1)

    def test_quit(self) -> None:
        """
        C{QUIT} waits for the last request.
        """
        self.start()
        self.signal(signal.SIGQUIT)
        self.assertEqual(self.calls, ["first drain"])
        self.assertEqual(
            self.written(),
            ["signal 3 (SIGQUIT) received, shutting down", "gracefully shutting down"],
        )
        self.assertTrue(self.pidPath.exists())
        self.signal(signal.SIGQUIT)
        self.assertEqual(self.reactor.stopped, 0)
        self.written()
        self.cycle().drained.callback(None)
        self.assertEqual(
            self.written(),
            ["exiting", "exit", "worker process PID exited with code 0", "exit"],
        )
        self.assertFalse(self.pidPath.exists())
        self.assertEqual(self.reactor.stopped, 1)

    def test_quitThenTerminate(self) -> None:
        """
        C{TERM} ends a draining process.
        """
        self.start()
        self.signal(signal.SIGQUIT)
        self.signal(signal.SIGTERM)
        self.assertEqual(self.calls, ["first drain", "first stop"])
        self.assertEqual(self.reactor.stopped, 1)

    def test_quitWaitsForOld(self) -> None:
        """
        C{QUIT} waits for requests of an older configuration, too.
        """
        self.start()
        first = self.cycle()
        self.signal(signal.SIGHUP)
        self.signal(signal.SIGQUIT)
        self.cycle().drained.callback(None)
        self.assertEqual(self.reactor.stopped, 0)
        first.drained.callback(None)
        self.assertEqual(self.reactor.stopped, 1)
        self.assertEqual(list(first.logs.descriptors), [])

    def test_reopenWhileQuitting(self) -> None:
        """
        Logs are reopened in every state; a reload while quitting is refused.
        """
        self.start()
        self.signal(signal.SIGQUIT)
        self.written()
        self.signal(signal.SIGUSR1)
        self.signal(signal.SIGHUP)
        self.assertEqual(self.calls, ["first drain", "first reopen"])
        self.assertEqual(
            self.written(),
            [
                "signal 10 (SIGUSR1) received, reopening logs",
                "reopening logs",
                "signal 1 (SIGHUP) received, ignoring",
            ],
        )

    def test_upgradeIgnored(self) -> None:
        """
        C{USR2} is logged and changes nothing.
        """
        self.start()
        self.signal(signal.SIGUSR2)
        self.assertEqual(self.written(), ["signal 12 (SIGUSR2) received, ignoring"])

    def test_stopService(self) -> None:
        """
        When the reactor ends by itself everything is stopped, once.
        """
        self.start()
        self.service.stopService()
        self.service.stopService()
        self.assertEqual(self.calls, ["first stop"])
        self.assertFalse(self.pidPath.exists())
        self.assertEqual(self.reactor.stopped, 0)


class ReloadTests(ServiceCase):
    """
    C{HUP}.
    """

    def test_lines(self) -> None:
        """
        The new configuration serves, the old one drains, and one line tells when it
        is gone.
        """
        self.start()
        first = self.cycle()
        self.signal(signal.SIGHUP)
        self.assertEqual(
            self.calls, ["second open after first", "second start", "first drain"]
        )
        self.assertEqual(
            self.written(),
            [
                "signal 1 (SIGHUP) received, reconfiguring",
                "reconfiguring",
                'using the "epoll" event method',
                "start worker processes",
                "start worker process PID",
                "gracefully shutting down",
            ],
        )
        first.drained.callback(None)
        self.assertEqual(
            self.written(),
            ["exiting", "exit", "worker process PID exited with code 0"],
        )
        self.assertEqual(list(first.logs.descriptors), [])
        self.assertTrue(self.pidPath.exists())

    def test_badFile(self) -> None:
        """
        A configuration with mistakes is logged with all of them; the old one serves
        on.
        """
        self.start()
        self.next = configError('unknown directive "a"', 'unknown directive "b"')
        self.signal(signal.SIGHUP)
        self.assertEqual(self.cycle().name, "first")
        self.assertEqual(self.calls, [])
        self.assertEqual(
            self.written()[1:],
            [
                "reconfiguring",
                '[emerg] unknown directive "a" in x.conf:1',
                '[emerg] unknown directive "b" in x.conf:2',
            ],
        )
        self.next = None
        self.signal(signal.SIGHUP)
        self.assertEqual(self.cycle().name, "second")

    def test_openFails(self) -> None:
        """
        When a new socket cannot be opened the old configuration serves on, and the
        files of the new one are closed.
        """
        self.start()
        self.openFails = LogOpenError("x", OSError(13, ""))
        before = len(os.listdir("/proc/self/fd"))
        self.signal(signal.SIGHUP)
        self.assertEqual(self.cycle().name, "first")
        self.assertEqual(
            self.written()[2:], ['[emerg] open() "x" failed (13: Permission denied)']
        )
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_pidMoves(self) -> None:
        """
        A reload may change the pid file: the old one is removed.
        """
        self.start()
        old, self.pidPath = self.pidPath, self.folder / "other.pid"
        self.signal(signal.SIGHUP)
        self.assertFalse(old.exists())
        self.assertEqual(self.pidPath.read_text(), f"{os.getpid()}\n")

    def test_pidStaysAfterFailure(self) -> None:
        """
        A reload that fails leaves the pid file where it was.
        """
        self.start()
        old, self.pidPath = self.pidPath, self.folder / "other.pid"
        self.openFails = LogOpenError("x", OSError(13, ""))
        self.signal(signal.SIGHUP)
        self.assertTrue(old.exists())
        self.assertFalse(self.pidPath.exists())

    def test_shutdownTimeout(self) -> None:
        """
        After C{worker_shutdown_timeout} of the old configuration, what is left of it
        is stopped.
        """
        self.first.options = replace(self.options, shutdownTimeout=5.0)
        self.start()
        first = self.cycle()
        self.signal(signal.SIGHUP)
        self.reactor.advance(4.9)
        self.assertNotIn("first stop", self.calls)
        self.reactor.advance(0.2)
        self.assertIn("first stop", self.calls)
        self.assertEqual(
            [line for line in self.written() if "exited" in line],
            ["worker process PID exited with code 0"],
        )
        self.assertTrue(first.drained.called)

    def test_timerEndsWithDrain(self) -> None:
        """
        Who drains in time leaves no timer.
        """
        self.first.options = replace(self.options, shutdownTimeout=5.0)
        self.start()
        first = self.cycle()
        self.signal(signal.SIGHUP)
        first.drained.callback(None)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_drainFails(self) -> None:
        """
        A configuration that cannot drain is stopped, and the mistake is logged.
        """
        self.start()
        first = self.cycle()
        self.signal(signal.SIGHUP)
        first.drained.errback(ZeroDivisionError("oh"))
        lines = self.written()
        self.assertIn("[crit] draining failed: ZeroDivisionError: oh", lines)
        self.assertIn("worker process PID exited with code 0", lines)
        self.assertIn("first stop", self.calls)
