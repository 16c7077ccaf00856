"""
Tests for L{twisted_upstream.process.daemon}.
"""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.logs.places import Lines, folderFor
from tests.process.launch import environment
from twisted_upstream.logs.error_log import LEVELS, ErrorLog
from twisted_upstream.process.daemon import PidFile, StartError, applyLimits, becomeUser
from twisted_upstream.process.options import Account, MainOptions

# Takes the file and keeps it until its input ends.
HOLDER = """
import sys
from twisted_upstream.process.daemon import PidFile
PidFile(sys.argv[1]).write()
print("held", flush=True)
sys.stdin.read()
"""

DAEMON = """
import os, sys
from twisted_upstream.process.daemon import daemonize
ready = daemonize()
if sys.argv[1] == "fail":
    print("no luck", file=sys.stderr)
    sys.exit(3)
with open(sys.argv[2], "w") as f:
    f.write(f"{os.getpid()} {os.getsid(0)} {os.readlink('/proc/self/fd/1')}")
ready()
"""


class PidFileTests(SynchronousTestCase):
    """
    L{PidFile}.
    """

    def setUp(self) -> None:
        """
        A path.
        """
        self.path = folderFor(self) / "x.pid"
        self.file = PidFile(str(self.path))

    def hold(self) -> subprocess.Popen[bytes]:
        """
        Another process that holds the file.
        """
        other = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        assert other.stdin is not None and other.stdout is not None
        self.addCleanup(other.wait)
        self.addCleanup(other.stdin.close)
        self.addCleanup(other.stdout.close)
        other.stdout.readline()
        return other

    def test_writeAndRemove(self) -> None:
        """
        The file has the number and a line feed, and goes at the end.
        """
        self.file.write()
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")
        self.file.remove()
        self.assertFalse(self.path.exists())

    def test_stale(self) -> None:
        """
        What a process left that is gone does not hinder.
        """
        self.path.write_text("123456789\n")
        self.file.checkFree()
        self.file.write()
        self.assertEqual(self.path.read_text(), f"{os.getpid()}\n")
        self.file.remove()

    def test_running(self) -> None:
        """
        A second start is refused while the first process lives.
        """
        other = self.hold()
        for call in (self.file.checkFree, self.file.write):
            error = self.assertRaises(StartError, call)
            self.assertEqual(str(error), f"already running (pid {other.pid})")
        self.assertEqual(self.path.read_text(), f"{other.pid}\n")

    def test_checkMakesNothing(self) -> None:
        """
        Looking for another process does not make the file.
        """
        self.file.checkFree()
        self.assertFalse(self.path.exists())

    def test_notOurs(self) -> None:
        """
        A file that somebody else put in the place stays.
        """
        self.file.write()
        self.path.unlink()
        self.path.write_text("7\n")
        self.file.remove()
        self.assertEqual(self.path.read_text(), "7\n")

    def test_cannotWrite(self) -> None:
        """
        A file that cannot be made gets nginx's message.
        """
        error = self.assertRaises(StartError, PidFile("/no/such/pid").write)
        self.assertEqual(
            str(error), 'open() "/no/such/pid" failed (2: No such file or directory)'
        )

    def test_move(self) -> None:
        """
        At another path the new file is written and the old one removed.
        """
        self.file.write()
        other = self.path.with_suffix(".other")
        self.file.move(str(other))
        self.assertFalse(self.path.exists())
        self.assertEqual(other.read_text(), f"{os.getpid()}\n")
        self.file.remove()
        self.assertFalse(other.exists())

    def test_moveFails(self) -> None:
        """
        When the new file cannot be written the old one stays.
        """
        self.file.write()
        self.assertRaises(StartError, self.file.move, "/no/such/pid")
        self.assertTrue(self.path.exists())
        self.file.remove()


class DaemonizeTests(SynchronousTestCase):
    """
    C{daemonize}.
    """

    def run_(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """
        A process that goes into the background.
        """
        return subprocess.run(
            [sys.executable, "-c", DAEMON, *words],
            capture_output=True,
            timeout=20,
            env=environment(),
        )

    def test_ready(self) -> None:
        """
        The command ends with 0 when the process in the background is ready; that one
        has a session of its own and no standard output.
        """
        path = folderFor(self) / "out"
        done = self.run_("go", str(path))
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        pid, session, output = path.read_text().split()
        self.assertEqual(pid, session)
        self.assertEqual(output, "/dev/null")

    def test_failed(self) -> None:
        """
        The command ends with 1 when the start fails, with the message on standard
        error.
        """
        done = self.run_("fail")
        self.assertEqual((done.returncode, done.stderr), (1, b"no luck\n"))


class LimitsTests(SynchronousTestCase):
    """
    C{applyLimits} and C{becomeUser}.
    """

    def setUp(self) -> None:
        """
        A log.
        """
        self.target = Lines()
        self.log = ErrorLog([(self.target, LEVELS["info"])])

    def test_environment(self) -> None:
        """
        C{env} sets variables, and keeps those without a value.
        """
        self.addCleanup(os.environ.pop, "TU_TEST", None)
        options = MainOptions(environment=(("TU_TEST", "1"), ("PATH", None)))
        path = os.environ["PATH"]
        applyLimits(options, self.log)
        self.assertEqual(os.environ["TU_TEST"], "1")
        self.assertEqual(os.environ["PATH"], path)

    def test_refusedLimit(self) -> None:
        """
        A limit that the system refuses is logged, and no alert.
        """
        applyLimits(MainOptions(affinity=frozenset({100000})), self.log)
        (line,) = self.target.lines
        self.assertIn(b"[error]", line)
        # Not every interpreter has it: the reason varies.
        self.assertIn(b"sched_setaffinity() failed (", line)

    def test_directory(self) -> None:
        """
        A working directory that cannot be entered ends the start.
        """
        options = MainOptions(workingDirectory="/no/such")
        error = self.assertRaises(StartError, applyLimits, options, self.log)
        self.assertEqual(
            str(error), 'chdir("/no/such") failed (2: No such file or directory)'
        )

    def test_becomeUser(self) -> None:
        """
        A user that the system refuses ends the start.
        """
        if os.geteuid() == 0:
            raise SkipTest("root may become anybody")
        account = Account("root", "root", 0, 0)
        error = self.assertRaises(StartError, becomeUser, account, [])
        self.assertIn("(1: Operation not permitted)", str(error))
