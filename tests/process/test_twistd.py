"""
Tests for L{twisted_upstream.process.twistd}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.logs.places import folderFor
from tests.process.launch import TWISTD, command
from twisted_upstream.process.cli import CommandLine
from twisted_upstream.process.twistd import Options, commandLine

# Starts, tells the class of the service and its log, stops.
MAKE = """
import sys
from twisted.application.service import IService
from twisted.logger import globalLogBeginner, formatEvent
globalLogBeginner.beginLoggingTo(
    [lambda event: print(formatEvent(event))], redirectStandardIO=False)
from twisted_upstream.process.twistd import Options, makeService
options = Options()
options.parseOptions(sys.argv[1:])
service = makeService(options)
assert IService.providedBy(service)
service.privilegedStartService()
service.startService()
service.stopService()
"""


class OptionsTests(SynchronousTestCase):
    """
    L{Options}.
    """

    def read(self, *words: str) -> CommandLine:
        """
        The command line that these words mean.
        """
        options = Options()
        options.parseOptions(words)
        return commandLine(options)

    def test_options(self) -> None:
        """
        The options are nginx's.
        """
        self.assertEqual(
            self.read("-c", "a.conf", "-p", "/p", "-g", "user x;", "-e", "e.log"),
            CommandLine(
                configuration="a.conf",
                prefix="/p",
                directives="user x;",
                errorLog="e.log",
            ),
        )

    def test_defaults(self) -> None:
        """
        Errors of the start are seen on the terminal.
        """
        self.assertEqual(self.read(), CommandLine(errorLog="stderr"))

    def test_dump(self) -> None:
        """
        C{-T} tests and dumps.
        """
        self.assertEqual(
            self.read("-T"), CommandLine(errorLog="stderr", test=True, dump=True)
        )


class MakeServiceTests(SynchronousTestCase):
    """
    C{makeService}, in a process with a reactor of its own.
    """

    def setUp(self) -> None:
        """
        A configuration that says what twistd decides.
        """
        self.folder = folderFor(self)
        self.path = self.folder / "x.conf"
        self.path.write_text("daemon off; pid x.pid; error_log x.log; events { }\n")

    def test_service(self) -> None:
        """
        The service starts and stops; what twistd decides is noted once each, and
        neither pid file nor log are made.
        """
        done = command([TWISTD[0], "-c", MAKE, "-p", str(self.folder), "-c", "x.conf"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for name, option in (
            ("daemon", "--nodaemon"),
            ("pid", "--pidfile"),
            ("error_log", "--logfile"),
        ):
            (line,) = (x for x in done.stdout.splitlines() if f'"{name}"' in x)
            self.assertTrue(line.startswith("[notice] "))
            self.assertTrue(line.endswith(f"is ignored: twistd has {option}"))
        self.assertNotIn('"user"', done.stdout)
        self.assertFalse((self.folder / "x.pid").exists())
        self.assertFalse((self.folder / "x.log").exists())

    def test_stream(self) -> None:
        """
        C{stream} alone serves under twistd as well, and is gone in the end.
        """
        place = self.folder / "s"
        self.path.write_text(
            f"events {{ }} stream {{ server {{ listen unix:{place}; return hello; }} }}"
        )
        asks = (
            "import socket\n"
            "client = socket.socket(socket.AF_UNIX)\n"
            f"client.connect({str(place)!r})\n"
            "from twisted.internet import reactor\n"
            "def hear():\n"
            "    print(client.recv(99))\n"
            "    reactor.callFromThread(reactor.stop)\n"
            "reactor.callInThread(hear)\n"
            "reactor.run(installSignalHandlers=False)\n"
        )
        script = MAKE.replace("service.stopService()", f"{asks}service.stopService()")
        done = command(
            [TWISTD[0], "-c", script, "-p", str(self.folder), "-c", "x.conf"]
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("b'hello'", done.stdout)
        self.assertFalse(place.exists())

    def test_mistakes(self) -> None:
        """
        Mistakes are told on standard error, without twistd's list of options, and the
        code is 1.
        """
        self.path.write_text("bogus;\nevents { }\n")
        done = command([*TWISTD, "-n", "upstream", "-c", "x.conf"], self.folder)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(
            done.stderr.splitlines()[0],
            f'nginx: [emerg] unknown directive "bogus" in {self.path}:1',
        )
        self.assertNotIn("Usage", done.stderr)

    def test_test(self) -> None:
        """
        C{-t} under C{twistd} is nginx's.
        """
        done = command([*TWISTD, "-n", "upstream", "-t", "-c", "x.conf"], self.folder)
        self.assertEqual(done.returncode, 0)
        self.assertIn("test is successful", done.stderr)
