"""
Command lines: nginx's own for C{twisted-upstream}, and C{twistd upstream}.

Where nothing else is said, the prefix is the current directory, the configuration
C{conf/nginx.conf} under it, the error log C{logs/error.log}, the pid file
C{logs/nginx.pid}.

nginx: core/nginx.c (ngx_get_options, ngx_process_options, ngx_show_version_info),
core/ngx_cycle.c (ngx_signal_process)
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any

# Heavy modules are imported where they are needed: -v and -t must answer at once.

NAME = "twisted-upstream"
DEFAULT_CONFIGURATION = "conf/nginx.conf"
DEFAULT_ERROR_LOG = "logs/error.log"

HELP = f"""\
Usage: {NAME} [-?hvVtTq] [-s signal] [-p prefix]
       {" " * len(NAME)} [-e filename] [-c filename] [-g directives]
       {NAME} demo [--port N]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and configure options then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to a running process: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: the current directory)
  -e filename   : set error log file (default: {DEFAULT_ERROR_LOG}), or stderr
  -c filename   : set configuration file (default: {DEFAULT_CONFIGURATION})
  -g directives : set global directives out of configuration file
  demo          : three toy servers and a group over them, without any file

"""

SIGNALS = {
    "stop": signal.SIGTERM,
    "quit": signal.SIGQUIT,
    "reopen": signal.SIGUSR1,
    "reload": signal.SIGHUP,
}


class OptionError(Exception):
    """
    The command line is wrong; the text is nginx's.
    """


@dataclass(kw_only=True, slots=True)
class CommandLine:
    """
    Nginx's options.

    @ivar errorLog: C{None} if it was not said.
    @ivar signal: a key of L{SIGNALS}, or empty.
    """

    help: bool = False
    version: bool = False
    arguments: bool = False
    test: bool = False
    dump: bool = False
    quiet: bool = False
    signal: str = ""
    prefix: str | None = None
    errorLog: str | None = None
    configuration: str = DEFAULT_CONFIGURATION
    directives: str = ""

    @property
    def fullPrefix(self) -> str:
        """
        The prefix, absolute, with a slash at its end.
        """
        return os.path.join(os.path.abspath(self.prefix or "."), "")

    @property
    def path(self) -> str:
        """
        The main configuration file, absolute.
        """
        return os.path.join(self.fullPrefix, self.configuration)

    @property
    def errorLogPath(self) -> str:
        """
        The file of C{-e}, absolute, or C{"stderr"}.
        """
        name = self.errorLog if self.errorLog is not None else DEFAULT_ERROR_LOG
        if name in ("", "stderr"):
            return "stderr"
        return os.path.join(self.fullPrefix, name)


_VALUES = {
    "p": ("prefix", "directory name"),
    "e": ("errorLog", "file name"),
    "c": ("configuration", "file name"),
    "g": ("directives", "parameter"),
    "s": ("signal", "parameter"),
}

_FLAGS = {
    "?": ("version", "help"),
    "h": ("version", "help"),
    "v": ("version",),
    "V": ("version", "arguments"),
    "t": ("test",),
    "T": ("test", "dump"),
    "q": ("quiet",),
}


def parseCommandLine(words: Sequence[str]) -> CommandLine:
    """
    Read the words after the command's name.

    @raise OptionError: a word is not understood.

    nginx: ngx_get_options()
    """
    found = CommandLine()
    remaining = iter(words)
    for word in remaining:
        if not word.startswith("-"):
            raise OptionError(f'invalid option: "{word}"')
        for index, letter in enumerate(word[1:], 2):
            if letter in _FLAGS:
                for name in _FLAGS[letter]:
                    setattr(found, name, True)
                continue
            if letter not in _VALUES:
                raise OptionError(f'invalid option: "{letter}"')
            name, what = _VALUES[letter]
            value = word[index:] or next(remaining, None)
            if value is None:
                raise OptionError(f'option "-{letter}" requires {what}')
            if letter == "s" and value not in SIGNALS:
                raise OptionError(f'invalid option: "-s {value}"')
            setattr(found, name, value)
            break
    return found


def say(text: str) -> None:
    """
    One line on standard error, as nginx says it.
    """
    print(f"nginx: {text}", file=sys.stderr, flush=True)


def showVersion(command: CommandLine) -> None:
    """
    What C{-v}, C{-V} and C{-h} print, all on standard error.
    """
    from .modules import NGINX_VERSION, configureArguments, packageVersion

    write = sys.stderr.write
    write(f"twisted_upstream version: {packageVersion()}\n")
    write(f"nginx version: nginx/{NGINX_VERSION}\n")
    if command.help:
        write(HELP)
    if command.arguments:
        from .grammar import makeGrammar

        for line in configureArguments(makeGrammar()):
            write(line + "\n")


def theReactor(method: str | None = None) -> Any:
    """
    The reactor, on a clock that never jumps.

    @param method: of C{use}; installs that reactor if none is there yet.
    """
    import select
    import time

    from .options import REACTORS

    if method is None and hasattr(select, "epoll"):
        method = "epoll"
    if method is not None and "twisted.internet.reactor" not in sys.modules:
        from importlib import import_module

        import_module(REACTORS[method]).install()
    from twisted.internet import reactor

    # Twisted reads the wall clock, so all timeouts would fire when somebody sets it.
    # Times of delayed calls are absolute: with one under way it is too late.
    found: Any = reactor
    if not found.getDelayedCalls():
        found.seconds = time.monotonic
    return found


def openStandardStreams() -> None:
    """
    Whoever started us may have closed the standard streams: what is opened next must
    not take their numbers and get what is written to them.  Complaints show the bytes
    that the configuration has, in whatever language.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest number that is free: this one.
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr.reconfigure(encoding="utf-8", errors="surrogateescape")


_NURSERY = "PYPY_GC_NURSERY"


def nurseryCommand(
    interpreter: str, environ: Mapping[str, str], executable: str, words: Sequence[str]
) -> list[str] | None:
    """
    How to start PyPy anew, in the same process, with a small nursery.

    PyPy takes a share of the processor's cache for it, and lets garbage grow to eight
    times as much before it looks: hundreds of megabytes on a large machine, all of them
    bodies that were passed on long ago.

    @param interpreter: C{sys.implementation.name}.
    @param words: all that the interpreter was started with, its own name first.
    @return: C{None}: it is another interpreter, or the environment says how large the
        nursery shall be.
    """
    if interpreter != "pypy" or not executable or _NURSERY in environ:
        return None
    # The very words, and never "-m": that would look for us in the current directory.
    return [executable, *words[1:]]


def main(argv: Sequence[str] | None = None) -> int:
    """
    The console script.

    @param argv: the words after the command's name; C{sys.argv} if it is C{None}.
    @return: the exit code.
    """
    openStandardStreams()
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        again = nurseryCommand(
            sys.implementation.name, os.environ, sys.executable, sys.orig_argv
        )
        if again is not None:
            os.execve(again[0], again, {**os.environ, _NURSERY: "1M"})
    if words[:1] == ["demo"]:
        from .demo import demo

        return demo(words[1:])
    try:
        command = parseCommandLine(words)
    except OptionError as e:
        say(str(e))
        return 1
    if command.version:
        showVersion(command)
        if not command.test:
            return 0
    from . import commands

    try:
        if command.test:
            return commands.test(command)
        if command.signal:
            return commands.sendSignal(command)
        return commands.run(command)
    except KeyboardInterrupt:
        # Before our handlers are there; nothing has been started then.
        return 130
