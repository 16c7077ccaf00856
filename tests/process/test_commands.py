"""
Tests for L{twisted_upstream.process.commands}: some run the real command.
"""

from __future__ import annotations

# By its module: trial takes a global C{suppress} for warnings to suppress.
import contextlib
import io
import os
import signal
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.logs.places import Lines, folderFor
from tests.process.launch import UPSTREAM, command, environment
from twisted_upstream.config.nodes import Problem
from twisted_upstream.logs.error_log import LEVELS, ErrorLog
from twisted_upstream.logs.files import LogOpenError
from twisted_upstream.process.cli import CommandLine
from twisted_upstream.process.commands import (
    checkPidPath,
    complain,
    pidPath,
    startupLog,
    tell,
)

GOOD = "daemon off; pid x.pid; error_log x.log notice; events { }\n"
BAD = "pid x.pid;\nevents {\n    worker_conections 9;\n}\nbogus;\n"


class CommandsCase(SynchronousTestCase):
    """
    A folder for configurations, and a log.
    """

    def setUp(self) -> None:
        """
        An empty folder.
        """
        self.folder = folderFor(self)
        self.target = Lines()
        self.log = ErrorLog([(self.target, LEVELS["notice"])])

    def logged(self) -> str:
        """
        The text of the only line.
        """
        (line,) = self.target.lines
        return line.decode().split(": ", 1)[1].rstrip("\n")

    def end(self, pid: int) -> None:
        """
        Make sure that a process is gone.
        """
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def upstream(self, text: str, *words: str) -> subprocess.CompletedProcess[str]:
        """
        Run the command for this configuration.
        """
        (self.folder / "x.conf").write_text(text)
        return command(
            [*UPSTREAM, "-p", str(self.folder), "-c", "x.conf", "-e", "stderr", *words]
        )


class ComplainTests(CommandsCase):
    """
    L{complain}.
    """

    def test_place(self) -> None:
        """
        Each problem is logged in nginx's words; its place is shown on standard error.
        """
        problem = Problem(
            level="emerg",
            message="oh",
            path="x.conf",
            line=3,
            column=5,
            source="    bogus;",
            hint="think",
        )
        error = io.StringIO()
        with contextlib.redirect_stderr(error):
            complain([problem], self.log)
        self.assertEqual(self.logged(), "oh in x.conf:3")
        shown = error.getvalue().splitlines()
        self.assertIn("        bogus;", shown)
        self.assertIn("        ^", shown)
        self.assertIn("think", shown[-1])


class StartupLogTests(CommandsCase):
    """
    L{startupLog}.
    """

    def start(self, name: str) -> str:
        """
        Complain in the log of C{-e}; what standard error had of it.
        """
        error = io.StringIO()
        with contextlib.redirect_stderr(error):
            log, _ = startupLog(CommandLine(prefix=str(self.folder), errorLog=name))
            log.write("emerg", "oh")
        return error.getvalue()

    def test_both(self) -> None:
        """
        A complaint goes into the file and to standard error.
        """
        self.assertEqual(self.start("e.log"), "nginx: [emerg] oh\n")
        self.assertRegex((self.folder / "e.log").read_text(), r"\[emerg\] .*: oh\n$")

    def test_stderr(self) -> None:
        """
        With C{-e stderr} it is said once.
        """
        self.assertEqual(self.start("stderr"), "nginx: [emerg] oh\n")

    def test_cannotOpen(self) -> None:
        """
        A file that cannot be opened is complained about, and standard error is left.
        """
        alert, message = self.start("missing/e.log").splitlines()
        self.assertEqual(
            alert,
            "nginx: [alert] could not open error log file: open()"
            f' "{self.folder}/missing/e.log" failed (2: No such file or directory)',
        )
        self.assertEqual(message, "nginx: [emerg] oh")


class TellTests(CommandsCase):
    """
    L{tell} and L{pidPath}.
    """

    def test_sends(self) -> None:
        """
        The process named in the file gets the signal.
        """
        path = self.folder / "x.pid"
        path.write_text(f"{os.getpid()}\n")
        received: list[int] = []
        before = signal.signal(signal.SIGUSR1, lambda n, _: received.append(n))
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.assertEqual(tell(str(path), signal.SIGUSR1, self.log), 0)
        self.assertEqual(received, [signal.SIGUSR1])

    def test_noFile(self) -> None:
        """
        Without the file there is nginx's message.
        """
        self.assertEqual(tell("/no/such/pid", signal.SIGUSR1, self.log), 1)
        self.assertEqual(
            self.logged(),
            'open() "/no/such/pid" failed (2: No such file or directory)',
        )

    def test_garbage(self) -> None:
        """
        What is no number of a process gets no signal.
        """
        path = self.folder / "x.pid"
        for text in ("", "0\n", "-1\n", "x\n"):
            self.target.lines.clear()
            path.write_text(text)
            self.assertEqual(tell(str(path), signal.SIGUSR1, self.log), 1)
            word = text.strip()
            self.assertEqual(self.logged(), f'invalid PID number "{word}" in "{path}"')

    def test_gone(self) -> None:
        """
        A process that is gone gets nginx's alert.
        """
        other = subprocess.Popen(["true"])
        other.wait()
        path = self.folder / "x.pid"
        path.write_text(f"{other.pid}\n")
        self.assertEqual(tell(str(path), signal.SIGUSR1, self.log), 1)
        self.assertEqual(
            self.logged(), f"kill({other.pid}, 10) failed (3: No such process)"
        )

    def test_pidPath(self) -> None:
        """
        The pid file is found in a configuration with mistakes, and C{-g} comes first.
        """
        conf = self.folder / "x.conf"
        line = CommandLine(prefix=str(self.folder), configuration="x.conf")
        self.assertIsNone(pidPath(line))
        conf.write_text("# pid no;\nworker_processes x;\npid  'run/x.pid' ;\n}")
        self.assertEqual(pidPath(line), f"{self.folder}/run/x.pid")
        line.directives = "daemon off; pid /y.pid;"
        self.assertEqual(pidPath(line), "/y.pid")


class CheckPidPathTests(CommandsCase):
    """
    L{checkPidPath}.
    """

    def test_check(self) -> None:
        """
        The directory must be there, unless it is that of the defaults; no file is
        made.
        """
        prefix = f"{self.folder}/"
        checkPidPath(f"{prefix}x.pid", prefix)
        checkPidPath(f"{prefix}logs/x.pid", prefix)
        error = self.assertRaises(
            LogOpenError, checkPidPath, f"{prefix}missing/x.pid", prefix
        )
        self.assertIn("(2: No such file or directory)", str(error))
        self.assertEqual(os.listdir(self.folder), [])


class ProcessTests(CommandsCase):
    """
    The command as a process.
    """

    def test_good(self) -> None:
        """
        C{-t} says what nginx says, and leaves nothing behind.
        """
        done = self.upstream(GOOD, "-t")
        path = self.folder / "x.conf"
        self.assertEqual(
            done.stderr,
            f"nginx: the configuration file {path} syntax is ok\n"
            f"nginx: configuration file {path} test is successful\n",
        )
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertEqual(os.listdir(self.folder), ["x.conf"])

    def test_stream(self) -> None:
        """
        C{stream} may be alone or beside C{http}; a mistake in it is told.
        """
        http = "http { server { listen unix:h; } }"
        stream = "stream { server { listen unix:s; proxy_pass 127.0.0.1:9; } }"
        for text, code in (
            (stream, 0),
            (stream + http, 0),
            (http + stream.replace(":9", ""), 1),
        ):
            done = self.upstream(f"events {{ }} {text}", "-t")
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertEqual(
                'no port in upstream "127.0.0.1" in' in done.stderr, bool(code)
            )

    def test_quiet(self) -> None:
        """
        C{-q} leaves out what is no mistake.
        """
        done = self.upstream(GOOD, "-tq")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_dump(self) -> None:
        """
        C{-T} prints every file once, in order of first reading.
        """
        (self.folder / "inner.conf").write_text("worker_connections 9;\n")
        text = GOOD.replace("{ }", "{ include inner.conf; }")
        done = self.upstream(text, "-Tq")
        self.assertEqual(
            done.stdout,
            f"# configuration file {self.folder}/x.conf:\n{text}\n"
            f"# configuration file {self.folder}/inner.conf:\n"
            "worker_connections 9;\n\n",
        )

    def test_bad(self) -> None:
        """
        C{-t} tells all mistakes, with their places, and ends with 1.
        """
        done = self.upstream(BAD, "-T")
        path = self.folder / "x.conf"
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        lines = [line for line in done.stderr.splitlines() if line.startswith("nginx:")]
        self.assertEqual(
            lines,
            [
                f'nginx: [emerg] unknown directive "worker_conections" in {path}:3',
                f'nginx: [emerg] unknown directive "bogus" in {path}:5',
                f"nginx: configuration file {path} test failed",
            ],
        )
        self.assertIn('did you mean "worker_connections"?', done.stderr)

    def test_directives(self) -> None:
        """
        A mistake in C{-g} is said to be on the command line.
        """
        done = self.upstream(GOOD, "-t", "-g", "bogus;")
        self.assertIn(
            'nginx: [emerg] unknown directive "bogus" in command line\n', done.stderr
        )

    def test_noEvents(self) -> None:
        """
        A configuration without C{events} is refused.
        """
        done = self.upstream("daemon off;", "-t")
        self.assertIn(
            'nginx: [emerg] no "events" section in configuration\n', done.stderr
        )
        self.assertEqual(done.returncode, 1)

    def test_noFile(self) -> None:
        """
        A configuration that is not there is nginx's message and code 1.
        """
        done = self.upstream(GOOD, "-c", "missing.conf")
        self.assertIn(
            f'nginx: [emerg] open() "{self.folder}/missing.conf" failed'
            " (2: No such file or directory)\n",
            done.stderr,
        )
        self.assertEqual(done.returncode, 1)

    def test_nobodyThere(self) -> None:
        """
        C{-s} without a running process ends with 1.
        """
        done = self.upstream(GOOD, "-s", "stop")
        self.assertEqual(
            done.stderr,
            f'nginx: [error] open() "{self.folder}/x.pid" failed'
            " (2: No such file or directory)\n",
        )
        self.assertEqual(done.returncode, 1)

    def test_stopNeedsNoGoodFile(self) -> None:
        """
        C{-s stop} works with a configuration that has mistakes; C{reload} does not.
        """
        self.assertIn("x.pid", self.upstream(BAD, "-s", "stop").stderr)
        done = self.upstream(BAD, "-s", "reload")
        self.assertIn('unknown directive "bogus"', done.stderr)
        self.assertEqual(done.returncode, 1)

    def test_life(self) -> None:
        """
        A process keeps its number, writes it when it serves, takes orders by C{-s}
        and removes it.
        """
        (self.folder / "x.conf").write_text(GOOD)
        words = [*UPSTREAM, "-p", str(self.folder), "-c", "x.conf", "-e", "stderr"]
        reader, writer = os.pipe()
        running = subprocess.Popen(words, env=environment(), stderr=writer)
        os.close(writer)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        # Standard error is closed, as it becomes the log, once the pid file is there.
        with open(reader, "rb") as f:
            self.assertEqual(f.read(), b"")
        pid = (self.folder / "x.pid").read_text()
        self.assertEqual(pid, f"{running.pid}\n")
        self.assertEqual(command([*words, "-s", "reload"]).returncode, 0)
        self.assertEqual(command([*words, "-s", "quit"]).returncode, 0)
        self.assertEqual(running.wait(20), 0)
        log = (self.folder / "x.log").read_text()
        self.assertIn("start worker process", log)
        self.assertIn("received, reconfiguring", log)
        self.assertEqual(log.count("exited with code 0"), 2)
        self.assertFalse((self.folder / "x.pid").exists())

    def test_daemon(self) -> None:
        """
        In the background the command ends when the pid file is there.
        """
        text = GOOD.replace("daemon off;", "")
        done = self.upstream(text)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        pid = int((self.folder / "x.pid").read_text())
        self.addCleanup(self.end, pid)
        # A second one is told so.
        again = self.upstream(text)
        self.assertIn("nginx: [emerg] already running (pid ", again.stderr)
        self.assertEqual(again.returncode, 1)
        self.assertEqual(self.upstream(text, "-s", "stop").returncode, 0)
