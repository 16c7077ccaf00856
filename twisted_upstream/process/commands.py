"""
What the commands do: test, dump, signal, serve.

nginx: core/nginx.c (main), core/ngx_cycle.c (ngx_init_cycle, ngx_signal_process)
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..config.syntax import ConfigError
from ..logs.error_log import LEVELS, Console, ErrorLog, ErrorLogOptions
from ..logs.files import LogFile, LogOpenError
from ..logs.logs import Logs
from .cli import SIGNALS, say, theReactor
from .observer import ErrorLogObserver
from .options import EventsOptions, MainOptions, eventsBlock

if TYPE_CHECKING:
    from ..config.syntax import Problem
    from ..interfaces import ILogTarget
    from .cli import CommandLine
    from .configuration import Configuration
    from .generation import Generation
    from .service import UpstreamService


# ---- complaints ------------------------------------------------------------------


def complain(problems: Sequence[Problem], log: ErrorLog) -> None:
    """
    Log each problem, and show its place on standard error.
    """
    for problem in problems:
        log.write(problem.level, str(problem))
        # The first line is nginx's: it was just said.
        _, _, more = problem.pretty().partition("\n")
        if more:
            sys.stderr.write(more + "\n")
    sys.stderr.flush()


def startupLog(command: CommandLine, level: str = "notice") -> tuple[ErrorLog, Console]:
    """
    The log that is used before the configuration is known: the file of C{-e}, and
    standard error.

    nginx: ngx_log_init()
    """
    console = Console(sys.stderr.write)
    file = LogFile(None, 2)
    path = command.errorLogPath
    if path != "stderr":
        file = LogFile(path)
        try:
            file.open()
        except LogOpenError as e:
            file = LogFile(None, 2)
            if command.errorLog is not None:
                # A default that is not there yet is nobody's mistake.
                say(f"[alert] could not open error log file: {e}")
    # On standard error the console's form is enough.
    targets = [(file, LEVELS[level])] if file.path is not None else []
    return ErrorLog(targets, console=console), console


# ---- building --------------------------------------------------------------------


def load(command: CommandLine) -> Configuration:
    """
    Read the configuration.

    @raise ConfigError: with all its problems.
    """
    from .configuration import loadConfiguration

    return loadConfiguration(
        command.path, command.fullPrefix, command.directives, command.errorLogPath
    )


def makeLogs(
    configuration: Configuration,
    reactor: Any,
    command: CommandLine,
    console: Console | None = None,
    target: ILogTarget | None = None,
) -> Logs:
    """
    The logs of a configuration, not opened yet.
    """
    return Logs(
        reactor,
        command.fullPrefix,
        configuration.root.of(ErrorLogOptions).errorLog,
        default=command.errorLogPath,
        target=target,
        console=console,
    )


def makeGeneration(
    configuration: Configuration, reactor: Any, logs: Logs, prefix: str
) -> Generation:
    """
    Build everything that a configuration describes.

    @raise ConfigError: it describes what cannot be built.
    """
    from .cycle import Cycle
    from .generation import Generation

    options = configuration.root.of(MainOptions)
    return Generation(
        Cycle(configuration, reactor, logs),
        logs,
        options,
        os.path.join(prefix, options.pid),
        configuration.warnings,
    )


# ---- commands --------------------------------------------------------------------


def test(command: CommandLine) -> int:
    """
    C{-t} and C{-T}: build everything, open the logs, bind nothing.  Log files that
    were not there before are removed again; the pid file is not made.

    nginx: main(), ngx_init_cycle()
    """
    log, _ = startupLog(command, "info")
    path = command.path
    try:
        configuration = load(command)
        reactor = theReactor()
        logs = makeLogs(configuration, reactor, command)
        generation = makeGeneration(configuration, reactor, logs, command.fullPrefix)
    except ConfigError as e:
        complain(e.problems, log)
        say(f"configuration file {path} test failed")
        return 1
    complain(configuration.warnings, log)
    if not command.quiet:
        say(f"the configuration file {path} syntax is ok")
    try:
        checkLogs(logs, command.fullPrefix)
        checkPidPath(generation.pidPath, command.fullPrefix)
    except (LogOpenError, OSError) as e:
        log.write("emerg", str(e))
        say(f"configuration file {path} test failed")
        return 1
    if not command.quiet:
        say(f"configuration file {path} test is successful")
    if command.dump:
        dump(configuration)
    return 0


def checkLogs(logs: Logs, prefix: str) -> None:
    """
    Can all log files be opened?  Leaves no file that was not there.

    @raise LogOpenError: one cannot.
    """
    directory = os.path.join(prefix, "logs")
    made = not os.path.exists(directory)
    fresh = [name for name in logs.paths if not os.path.exists(name)]
    try:
        logs.open()
    finally:
        logs.close()
        for name in filter(os.path.exists, fresh):
            os.unlink(name)
        if made and os.path.exists(directory):
            os.rmdir(directory)


def checkPidPath(path: str, prefix: str) -> None:
    """
    Could the pid file be written?

    @raise LogOpenError: no; with nginx's text for C{open()}.
    """
    directory = os.path.dirname(path)
    if directory == os.path.join(prefix, "logs") and not os.path.exists(directory):
        # It will be made.
        return
    place = path if os.path.exists(path) else directory
    if not os.path.exists(directory):
        raise LogOpenError(path, OSError(errno.ENOENT, ""))
    if not os.access(place, os.W_OK):
        raise LogOpenError(path, OSError(errno.EACCES, ""))


def dump(configuration: Configuration) -> None:
    """
    Print every file that was read, once, in order of first reading.
    """
    out = sys.stdout.buffer
    for name, text in configuration.document.files:
        whole = f"# configuration file {name}:\n{text}\n"
        out.write(whole.encode("utf-8", "surrogateescape"))
    out.flush()


_PID = re.compile(r"""(?:^|[;{}\s])pid\s+["']?([^\s;"']+)["']?\s*;""")


def pidPath(command: CommandLine) -> str | None:
    """
    The pid file as far as it can be found in a configuration with mistakes.
    """
    texts = [command.directives]
    try:
        with open(command.path, encoding="utf-8", errors="surrogateescape") as f:
            texts.append(re.sub(r"(?m)^\s*#.*$", "", f.read()))
    except OSError:
        # Then there is only -g to look into.
        pass
    for text in texts:
        found = _PID.search(text)
        if found is not None:
            return os.path.join(command.fullPrefix, found[1])
    return None


def sendSignal(command: CommandLine) -> int:
    """
    C{-s}: tell the running process.

    Nginx wants a configuration without mistakes for all of them; we do so for
    C{reload} only.

    nginx: ngx_signal_process(), ngx_os_signal_process()
    """
    log, _ = startupLog(command)
    try:
        configuration = load(command)
        name = configuration.root.of(MainOptions).pid
        path: str | None = os.path.join(command.fullPrefix, name)
    except ConfigError as e:
        path = None if command.signal == "reload" else pidPath(command)
        if path is None:
            complain(e.problems, log)
            return 1
    log.write("notice", "signal process started")
    assert path is not None
    number = SIGNALS[command.signal]
    return tell(path, number, log)


def tell(path: str, number: int, log: ErrorLog) -> int:
    """
    Send a signal to the process that a pid file names.

    @return: the exit code.
    """
    try:
        with open(path) as f:
            word = f.read(21).strip()
    except OSError as e:
        log.write("error", f'open() "{path}" failed', e.errno or 0)
        return 1
    if not word.isdigit() or int(word) == 0:
        log.write("error", f'invalid PID number "{word}" in "{path}"')
        return 1
    try:
        os.kill(int(word), number)
    except OSError as e:
        log.write("alert", f"kill({word}, {int(number)}) failed", e.errno or 0)
        return 1
    return 0


def run(command: CommandLine, started: Callable[[], object] = lambda: None) -> int:
    """
    Serve until a signal ends it.

    @param started: called when everything listens.
    @return: the exit code.
    """
    from .daemon import StartError, daemonize

    log, console = startupLog(command)
    try:
        configuration = load(command)
    except ConfigError as e:
        complain(e.problems, log)
        return 1
    ready: Callable[[], object] = lambda: None  # noqa: E731
    if configuration.root.of(MainOptions).daemon:
        ready = daemonize()
    reactor = theReactor(eventsBlock(configuration.root).of(EventsOptions).use)
    try:
        service = makeRunning(command, configuration, reactor, console)
    except ConfigError as e:
        complain(e.problems, log)
        return 1
    try:
        service.privilegedStartService()
        service.startService()
    except StartError:
        # It said why.
        return 1
    console.active = False
    ready()
    started()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    # Its own handlers would end the reactor at TERM without nginx's words.
    reactor.run(installSignalHandlers=False)
    return 0


def makeRunning(
    command: CommandLine, configuration: Configuration, reactor: Any, console: Console
) -> UpstreamService:
    """
    The service of a process that is all ours, with its signals and its log.

    @raise ConfigError: the configuration cannot be built.
    """
    from .service import UpstreamService
    from .signals import OBEYED, SignalHandlers

    def build(configuration: Configuration) -> Generation:
        logs = makeLogs(configuration, reactor, command, console)
        return makeGeneration(configuration, reactor, logs, command.fullPrefix)

    service = UpstreamService(
        reactor, build(configuration), lambda: build(load(command))
    )
    observe(lambda: service.current.log)
    SignalHandlers(OBEYED, service.signalReceived).install()
    return service


def observe(log: Callable[[], ErrorLog]) -> None:
    """
    Send the events of C{twisted.logger} into the error log.
    """
    from twisted.logger import globalLogBeginner

    globalLogBeginner.beginLoggingTo([ErrorLogObserver(log)], redirectStandardIO=False)
