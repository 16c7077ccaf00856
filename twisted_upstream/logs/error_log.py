"""
C{error_log}: levels, lines, and where they go.

nginx: C{ngx_log_set_log()}, C{ngx_log_error_core()}
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config.directive import Where, converter, directive
from ..interfaces import ILogTarget
from ..net.syslog import PREFIX as SYSLOG
from ..net.syslog import SyslogServer, parseSyslog
from .files import LogFile

if TYPE_CHECKING:
    from ..config.syntax import Node

try:
    from threading import get_native_id
except ImportError:  # pragma: no cover
    # Not every Python and system can tell; in the main thread they are the same.
    get_native_id = os.getpid


LEVELS = {
    "emerg": 1,
    "alert": 2,
    "crit": 3,
    "error": 4,
    "warn": 5,
    "notice": 6,
    "info": 7,
    "debug": 8,
}

_DEBUG_AREAS = {
    "debug_core",
    "debug_alloc",
    "debug_mutex",
    "debug_event",
    "debug_http",
    "debug_mail",
    "debug_stream",
}

MAX_LINE = 2048

# A line of the log must stay one line, whatever a client managed to send.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ErrorLogLine:
    """
    One C{error_log} directive.

    @ivar target: the file as written, C{"stderr"} for the standard error stream.
    @ivar level: a key of L{LEVELS}: the least severe level that is written.
    @ivar syslog: where C{target} says C{syslog:}.
    """

    target: str
    level: str
    syslog: SyslogServer | None = None


@converter("file | stderr | syslog:server=address[,parameter=value] [level]", (1, None))
def errorLogLine(node: Node) -> ErrorLogLine:
    """
    Convert C{error_log FILE|stderr|syslog:… [LEVEL]}.

    nginx: ngx_log_set_log(), ngx_log_set_levels()
    """
    target = node.words[0]
    if target.startswith("memory:"):
        # Nginx's own words for a build like ours: there is no debug log to keep.
        raise node.error("nginx was built without debug support", word=0)
    server = syslogServer(node) if target.startswith(SYSLOG) else None
    level = ""
    for index, word in enumerate(node.words[1:], 1):
        if word in _DEBUG_AREAS:
            if level not in ("", "debug"):
                raise node.error(f'invalid log level "{word}"', word=index)
            level = "debug"
        elif word not in LEVELS:
            raise node.error(
                f'invalid log level "{word}"',
                word=index,
                hint="levels: " + ", ".join(reversed(LEVELS)),
            )
        elif level:
            raise node.error(f'duplicate log level "{word}"', word=index)
        else:
            level = word
    return ErrorLogLine(target, level or "error", server)


def syslogServer(node: Node) -> SyslogServer:
    """
    What the first word, C{syslog:…}, says.
    """
    try:
        return parseSyslog(node.words[0])
    except ValueError as e:
        raise node.error(str(e), word=0) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorLogOptions:
    """
    Where complaints go.
    """

    errorLog: tuple[ErrorLogLine, ...] = directive(
        "error_log",
        Where.MAIN | Where.HTTP_ANY | Where.STREAM | Where.STREAM_SERVER,
        errorLogLine,
        default=(),
        repeat=True,
        doc="Log errors of this level and worse into a file, C{stderr} or to"
        " syslog.  Several lines of one level all receive; lines of an inner level"
        " replace those of the outer.  Without any, C{error} goes to that of C{-e}.",
    )


class Console:
    """
    The standard error stream while a process starts: what is C{warn} or worse is said
    there too.

    @ivar active: C{False} once the start is over.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self.active = True

    def say(self, level: int, text: str) -> None:
        """
        Print C{nginx: [LEVEL] TEXT}, if it is serious enough.
        """
        if self.active and level <= LEVELS["warn"]:
            name = list(LEVELS)[level - 1]
            self._write(f"nginx: [{name}] {text}\n")


class TimeStamp:
    """
    C{2026/10/31 23:59:59}, made once a second.
    """

    __slots__ = ("_second", "_text", "_wallClock")

    def __init__(self, wallClock: Callable[[], float] = time.time) -> None:
        self._wallClock = wallClock
        self._second = -1
        self._text = ""

    def now(self) -> str:
        """
        The local time.
        """
        second = int(self._wallClock())
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(second))
        return self._text


def _escape(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"


class ErrorLog:
    """
    The error log of one level of the configuration: one or more targets, each with
    its own least level.

    @ivar level: the most verbose number of its targets; see L{LEVELS}.
    """

    __slots__ = ("_console", "_stamp", "_targets", "level")

    def __init__(
        self,
        targets: Sequence[tuple[ILogTarget, int]],
        stamp: TimeStamp | None = None,
        console: Console | None = None,
    ) -> None:
        self._targets = tuple(targets)
        self._stamp = stamp or TimeStamp()
        self._console = console
        self.level = max((level for _, level in targets), default=0)

    def enabled(self, level: str) -> bool:
        """
        Would a message of this level be written?
        """
        return LEVELS[level] <= self.level

    def write(
        self,
        level: str,
        message: str,
        errno: int = 0,
        connection: int = 0,
        suffix: str = "",
    ) -> None:
        """
        Write one line; nothing if the level is not wanted.

        @param errno: number of a system error, its text is appended.
        @param connection: number of the connection, 0 outside of any.
        @param suffix: what the message is about, C{ while connecting to upstream,
            client: 127.0.0.1}; with its leading space or comma.
        @note: nginx: ngx_log_error_core()
        """
        number = LEVELS[level]
        console = self._console
        if number > self.level and (console is None or not console.active):
            return
        start = (
            f"{self._stamp.now()} [{level}] {os.getpid()}#{get_native_id()}: "
            f"{f'*{connection} ' if connection else ''}"
        )
        errorText = f" ({errno}: {os.strerror(errno)})" if errno else ""
        room = MAX_LINE - 50 - len(start)
        if errno and len(message) > room:
            message = message[:room] + "..."
        text = f"{message}{errorText}{suffix}"
        if not text.isprintable():
            text = _CONTROL.sub(_escape, text)
        line = f"{start}{text}".encode("utf-8", "surrogateescape")[: MAX_LINE - 1]
        line += b"\n"
        said = False
        for target, least in self._targets:
            if number <= least:
                target.write(line, number)
                said = said or (isinstance(target, LogFile) and target.fd == 2)
        if console is not None and not said:
            console.say(number, text)
