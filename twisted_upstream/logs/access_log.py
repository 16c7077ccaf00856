"""
C{log_format} and C{access_log}: a line for each request or session, its format
compiled once.

nginx: C{ngx_http_log_module.c}, C{ngx_stream_log_module.c}
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config.directive import HTTP_ANY, Where, directive
from ..config.syntax import ConfigError, Node, Problem
from ..config.values import Template, parseSize, parseTemplate, parseTime
from ..net.syslog import PREFIX as SYSLOG
from ..variables import escapeJSON, escapeLog
from .error_log import syslogServer

if TYPE_CHECKING:
    from ..config.build import Block
    from ..net.syslog import Syslog, SyslogServer
    from ..variables import Value, Variables
    from .logs import Logs

_COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
    ' "$http_referer" "$http_user_agent"'
)

_ESCAPES: dict[str, tuple[Callable[[bytes], bytes] | None, bytes]] = {
    "default": (escapeLog, b"-"),
    "json": (escapeJSON, b""),
    "none": (None, b""),
}


_PLACES = HTTP_ANY | Where.IF | Where.LIMIT_EXCEPT | Where.STREAM | Where.STREAM_SERVER


@dataclass(frozen=True, kw_only=True, slots=True)
class LogFormat:
    """
    One C{log_format}.
    """

    node: Node | None
    name: str
    text: str
    escape: str = "default"


def _format(node: Node) -> LogFormat:
    name, *parts = node.words
    escape = "default"
    if parts and parts[0].startswith("escape="):
        escape = parts.pop(0).removeprefix("escape=")
        if escape not in _ESCAPES:
            raise node.error(f'unknown log format escaping "{escape}"', word=1)
    return LogFormat(node=node, name=name, text="".join(parts), escape=escape)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessLogLine:
    """
    One C{access_log}.

    @ivar path: may have variables; empty: C{off}.
    @ivar buffer: bytes.
    @ivar flush: seconds.
    @ivar gzip: level of compression; 0: none.
    @ivar condition: C{if=}.
    @ivar syslog: where C{path} says C{syslog:}.
    """

    node: Node
    path: str
    format: str = ""
    buffer: int = 0
    flush: float | None = None
    gzip: int = 0
    condition: Template | None = None
    syslog: SyslogServer | None = None


def _accessLog(node: Node) -> AccessLogLine:
    path = node.words[0]
    if path == "off":
        if len(node.words) > 1:
            raise node.error(f'invalid parameter "{node.words[1]}"', word=1)
        return AccessLogLine(node=node, path="")
    server = syslogServer(node) if path.startswith(SYSLOG) else None
    name = ""
    buffer, flush, gzip = 0, None, 0
    condition: Template | None = None
    for index, word in enumerate(node.words[1:], 1):
        key, given, value = word.partition("=")
        with node.parameter(index):
            if word == "gzip":
                gzip = 1
            elif not given:
                if index != 1:
                    raise ValueError
                name = word
            elif key == "buffer":
                buffer = parseSize(value)
                if not buffer:
                    raise ValueError
            elif key == "flush":
                flush = parseTime(value)
            elif key == "gzip":
                gzip = int(value)
                if not 1 <= gzip <= 9:
                    raise ValueError
            elif key == "if":
                condition = parseTemplate(value)
            else:
                raise ValueError
    if gzip and not buffer:
        buffer = 64 * 1024
    if flush is not None and not buffer:
        raise node.error(f'no buffer is defined for access_log "{path}"')
    if buffer and server is not None:
        raise node.error("logs to syslog cannot be buffered")
    return AccessLogLine(
        node=node,
        path=path,
        format=name,
        buffer=buffer,
        flush=flush,
        gzip=gzip,
        condition=condition,
        syslog=server,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessLogOptions:
    """
    Access logs, the same for http and stream.
    """

    formats: tuple[LogFormat, ...] = directive(
        "log_format",
        Where.HTTP | Where.STREAM,
        _format,
        arity=(2, None),
        repeat=True,
        default=(),
        doc="A format of access logs.",
    )
    logs: tuple[AccessLogLine, ...] = directive(
        "access_log",
        _PLACES,
        _accessLog,
        arity=(1, None),
        repeat=True,
        default=(),
        doc="Where requests or sessions are logged, in which format, and which of"
        " them.",
    )


class AccessLogs:
    """
    The formats and files of one configuration.
    """

    def __init__(
        self,
        block: Block,
        logs: Logs,
        variables: Variables,
        prefix: str,
        *,
        combined: bool,
    ) -> None:
        """
        @param block: C{http} or C{stream}.
        @param prefix: names with variables are relative to it.
        @param combined: is there the format C{combined}, and a log where nothing was
            said?
        @raise ConfigError: a format is defined twice, or has an unknown variable,
            whether it is used or not.
        """
        self._logs = logs
        self._prefix = prefix
        self._variables = variables
        self._combined = combined
        self._formats: dict[str, LogFormat] = {}
        if combined:
            self._formats["combined"] = LogFormat(node=None, name="", text=_COMBINED)
        for each in block.of(AccessLogOptions).formats:
            if each.name in self._formats and each.node is not None:
                raise each.node.error(f'duplicate "log_format" name "{each.name}"')
            self._formats[each.name] = each
        self._values: dict[str, Value] = {}
        problems: list[Problem] = []
        for each in block.of(AccessLogOptions).formats:
            try:
                self._value(each.name, None)
            except ConfigError as e:
                problems += e.problems
        if problems:
            raise ConfigError(problems)
        if block.of(AccessLogOptions).logs:
            # Files are made even where all inner places have others.
            self.compile(block)

    def compile(self, block: Block) -> list[Callable[[Any], None]]:
        """
        What writes the lines of one place's requests.

        @raise ConfigError: a format is unknown, or has an unknown variable.
        """
        lines = block.of(AccessLogOptions).logs
        if not lines and self._combined:
            return [self._line(None, "logs/access.log", "combined")]
        made = [self._line(line, line.path, line.format) for line in lines if line.path]
        # "off" turns off what stands beside it, too.
        return made if len(made) == len(lines) else []

    def _line(
        self, line: AccessLogLine | None, path: str, name: str
    ) -> Callable[[Any], None]:
        value = self._value(name, line)
        end = b"\n" if line is None or line.syslog is None else b""
        write = self._writer(line, path)
        condition: Value | None = None
        if line is not None and line.condition is not None:
            condition = self._variables.compile(line.condition, line.node)
        if condition is None:
            return lambda request: write(request, value(request) + end)

        def log(request: Any) -> None:
            if condition(request) not in (b"", b"0"):
                write(request, value(request) + end)

        return log

    def _value(self, name: str, line: AccessLogLine | None) -> Value:
        if not name:
            if not self._combined:
                assert line is not None
                raise line.node.error("log format is not specified")
            name = "combined"
        found = self._values.get(name)
        if found is None:
            form = self._formats.get(name)
            if form is None:
                assert line is not None
                raise line.node.error(f'unknown log format "{name}"')
            escape, absent = _ESCAPES[form.escape]
            found = self._values[name] = self._variables.compileLog(
                form.text, escape, absent, form.node
            )
        return found

    def _writer(
        self, line: AccessLogLine | None, path: str
    ) -> Callable[[Any, bytes], None]:
        if line is None:
            plain = self._logs.accessLog(path)
            return lambda request, data: plain.write(data)
        if line.syslog is not None:
            return _toSyslog(self._logs.syslog(line.syslog))
        if parseTemplate(path).constant is None:
            # Each value is a file of its own; bounded, as values may be the client's.
            name = self._variables.compile(path, line.node)
            return _Named(self._prefix, name).write
        try:
            file = self._logs.accessLog(path, line.buffer, line.flush, line.gzip)
        except ValueError as e:
            raise line.node.error(str(e)) from None
        # A later line may change how the file is written.
        return lambda request, data: file.write(data)


def _toSyslog(syslog: Syslog) -> Callable[[Any, bytes], None]:
    """
    A writer of lines without line feeds.
    """

    def write(request: Any, data: bytes) -> None:
        if not syslog.send(data):
            request.logError("warn", "send() to syslog failed")

    return write


class _Named:
    """
    Log files whose names have variables: opened, written, closed.
    """

    def __init__(self, prefix: str, name: Value) -> None:
        self._prefix = prefix
        self._name = name

    def write(self, request: Any, data: bytes) -> None:
        path = self._name(request)
        if b"\0" in path or b"../" in path:
            return
        full = os.path.join(self._prefix, path.decode("utf-8", "surrogateescape"))
        try:
            with open(full, "ab", buffering=0) as file:
                file.write(data)
        except OSError as e:
            request.logError("crit", f'open() "{full}" failed', e.errno or 0)


__all__ = ["AccessLogOptions", "AccessLogs", "ConfigError"]
