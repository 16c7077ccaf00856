"""
Between C{twisted.logger} and the error log, both ways.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import ILogObserver, Logger, LogLevel, formatEvent
from zope.interface import implementer

from ..interfaces import ILogTarget
from ..logs.error_log import LEVELS

if TYPE_CHECKING:
    from twisted.logger import LogEvent
    from twisted.python.failure import Failure

    from ..logs.error_log import ErrorLog


@implementer(ILogTarget)
class LoggerTarget:
    """
    Lines of the error log as events of C{twisted.logger}, for C{twistd}, whose own
    log has the time stamp.
    """

    _levels = (
        LogLevel.critical,
        LogLevel.critical,
        LogLevel.critical,
        LogLevel.critical,
        LogLevel.error,
        LogLevel.warn,
        LogLevel.info,
        LogLevel.info,
        LogLevel.debug,
    )

    def __init__(self, log: Logger | None = None) -> None:
        """
        @param log: by default one of C{twisted_upstream}.
        """
        self._log = log or Logger("twisted_upstream")

    def write(self, line: bytes, level: int) -> None:
        """
        Emit one event.
        """
        # Time, level and process are twistd's to say: cut "DATE TIME ".
        text = line.decode("utf-8", "replace").rstrip("\n").split(" ", 2)[-1]
        self._log.emit(self._levels[level], "{text}", text=text)


_CONTEXT = (
    ("client", "client: {}"),
    ("server", "server: {}"),
    ("request", 'request: "{}"'),
    ("upstream", 'upstream: "{}"'),
    ("host", 'host: "{}"'),
    ("referrer", 'referrer: "{}"'),
)

_EVENT_LEVELS = {
    LogLevel.debug: "debug",
    LogLevel.info: "info",
    LogLevel.warn: "warn",
    LogLevel.error: "error",
    LogLevel.critical: "crit",
}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return str(value)


def compactFailure(failure: Failure, frames: int = 12) -> str:
    """
    An exception and where it came from, innermost call first, in one line.
    """
    stack = traceback.extract_tb(failure.getTracebackObject())[-frames:]
    where = " < ".join(
        f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} in {frame.name}"
        for frame in reversed(stack)
    )
    kind = getattr(failure.type, "__name__", str(failure.type))
    message = failure.getErrorMessage()
    return f"{kind}: {message}" + (f" ({where})" if where else "")


@implementer(ILogObserver)
class ErrorLogObserver:
    """
    Write events of C{twisted.logger} as lines of the error log.

    Fields that are understood: C{nginxLevel}, C{errno}, C{connection},
    C{action} and those of the context: C{client}, C{server}, C{request},
    C{upstream}, C{host}, C{referrer}.  A failure becomes one line with its
    traceback.
    """

    def __init__(self, log: Callable[[], ErrorLog]) -> None:
        """
        @param log: gives the log to write to: it changes with each reload.
        """
        self._log = log

    def __call__(self, event: LogEvent) -> None:
        level = event.get("nginxLevel")
        if level not in LEVELS:
            level = _EVENT_LEVELS.get(event.get("log_level", LogLevel.info), "info")
            namespace = str(event.get("log_namespace", ""))
            if level == "info" and not namespace.startswith("twisted_upstream"):
                # Twisted's gossip about factories and ports: nginx has no such lines.
                level = "debug"
        log = self._log()
        if not log.enabled(level):
            return
        message = formatEvent(event)
        failure = event.get("log_failure")
        if failure is not None:
            message = ": ".join(filter(None, (message, compactFailure(failure))))
        context = [
            pattern.format(_text(event[name]))
            for name, pattern in _CONTEXT
            if event.get(name) is not None
        ]
        action = event.get("action")
        suffix = f" while {action}" if action else ""
        if context:
            suffix += ", " + ", ".join(context)
        log.write(
            level,
            message,
            int(event.get("errno", 0)),
            int(event.get("connection", 0)),
            suffix,
        )
