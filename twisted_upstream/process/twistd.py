"""
C{twistd upstream}: the proxy under Twisted's own launcher.

C{twistd} keeps what it has options for: log, pid file, user, daemon.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, ClassVar

from twisted.python import usage

from ..config.syntax import ConfigError
from ..logs.error_log import Console
from .cli import DEFAULT_CONFIGURATION, CommandLine, theReactor
from .commands import complain, load, makeGeneration, makeLogs, startupLog, test
from .observer import LoggerTarget
from .service import UpstreamService
from .signals import SignalHandlers

if TYPE_CHECKING:
    from twisted.application.service import IService

    from .configuration import Configuration
    from .generation import Generation

# What the configuration says in vain, and who says it instead.
GIVES_WAY = {
    "daemon": "--nodaemon",
    "pid": "--pidfile",
    "user": "--uid and --gid",
    "error_log": "--logfile",
}

# TERM and INT are twistd's, which stops us by stopService.
OBEYED = (signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)


class Options(usage.Options):
    """
    Options of C{twistd upstream}: nginx's, as far as C{twistd} has none of its own.
    """

    synopsis = "[options]"
    longdesc = (
        "Serve by a configuration of nginx. Signals: HUP reads it again, QUIT ends"
        " when the last request has ended, TERM ends at once, USR1 reopens the logs."
    )
    optFlags: ClassVar = [
        ["test", "t", "Test the configuration and exit."],
        ["dump", "T", "Test the configuration, dump it and exit."],
        ["quiet", "q", "Suppress non-error messages while testing."],
    ]
    optParameters: ClassVar = [
        ["configuration", "c", DEFAULT_CONFIGURATION, "The configuration file."],
        ["prefix", "p", None, "Where relative paths start [current directory]."],
        ["directives", "g", "", "Directives of the main level."],
        ["error-log", "e", None, "Log of errors in reading the configuration."],
    ]


def commandLine(options: Options) -> CommandLine:
    """
    The same as nginx's command line would have it.
    """
    return CommandLine(
        test=bool(options["test"] or options["dump"]),
        dump=bool(options["dump"]),
        quiet=bool(options["quiet"]),
        prefix=options["prefix"],
        # Nothing but mistakes at the start goes there: they are seen on the terminal.
        errorLog=options["error-log"] or "stderr",
        configuration=options["configuration"],
        directives=options["directives"],
    )


def makeService(options: Options) -> IService:
    """
    The service that C{twistd} runs.

    @raise SystemExit: the configuration was only to be tested, or it has mistakes,
        which are on standard error by now.  C{twistd} would bury a C{UsageError}
        under its list of options.
    """
    command = commandLine(options)
    if command.test:
        raise SystemExit(test(command))
    log, console = startupLog(command)
    reactor = theReactor()
    target = LoggerTarget()

    def build(configuration: Configuration, console: Console | None) -> Generation:
        logs = makeLogs(configuration, reactor, command, console, target)
        return makeGeneration(configuration, reactor, logs, command.fullPrefix)

    try:
        configuration = load(command)
        first = build(configuration, console)
    except ConfigError as e:
        complain(e.problems, log)
        raise SystemExit(1) from None
    service = TwistdService(
        reactor, first, lambda: build(load(command), None), ownsProcess=False
    )
    service.console = console
    service.overruled = tuple(n for n in GIVES_WAY if configuration.root.nodes(n))
    return service


class TwistdService(UpstreamService):
    """
    The service as C{twistd} needs it.

    @ivar console: standard error while it starts.
    @ivar overruled: directives that are there in vain.
    """

    console: Console
    overruled: tuple[str, ...] = ()

    def privilegedStartService(self) -> None:
        """
        Open logs and sockets.

        @raise SystemExit: something cannot be opened; it was said.
        """
        SignalHandlers(OBEYED, self.signalReceived).install()
        try:
            super().privilegedStartService()
        except Exception:
            # A traceback would only hide what was said.
            raise SystemExit(1) from None

    def startService(self) -> None:
        """
        Begin to serve.
        """
        super().startService()
        self.console.active = False
        for name in self.overruled:
            self.current.log.write(
                "notice", f'"{name}" is ignored: twistd has {GIVES_WAY[name]}'
            )
