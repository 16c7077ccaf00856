"""
The commands of SSI in a body that comes in pieces: C{<!--# echo var="x" -->}.

Of a command no more is kept than its name, its parameters, and where reading stands.

nginx: C{ngx_http_ssi_parse()}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

_START = b"<!--#"
#: Longest name of a command or of a parameter.
_NAME = 32
#: More parameters than that are wrong anyway.
MOST_PARAMETERS = 16

_SPACE = b" \r\n\t"
_RUNS = {
    b'"': re.compile(rb'[^"\\]+'),
    b"'": re.compile(rb"[^'\\]+"),
}


@dataclass(frozen=True, slots=True)
class Command:
    """
    A command.

    @ivar parameters: names and values, as they stand there.
    """

    name: bytes
    parameters: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Wrong:
    """
    Something that is no command.

    @ivar message: what the error log says; empty: that was said before.
    @ivar ended: it is over, and its message stands in its place.
    """

    message: str
    ended: bool


class _State(Enum):
    TEXT = auto()
    BEFORE_COMMAND = auto()
    COMMAND = auto()
    BEFORE_PARAMETER = auto()
    PARAMETER = auto()
    BEFORE_EQUAL = auto()
    BEFORE_VALUE = auto()
    VALUE = auto()
    ESCAPED = auto()
    AFTER_VALUE = auto()
    END = auto()
    LAST = auto()
    ERROR = auto()
    ERROR_END = auto()
    ERROR_LAST = auto()


def _show(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


Event = bytes | Command | Wrong


class Parser:
    """
    Reads one body.
    """

    __slots__ = (
        "_command",
        "_events",
        "_held",
        "_most",
        "_name",
        "_parameters",
        "_quote",
        "_state",
        "_value",
    )

    def __init__(self, valueLength: int) -> None:
        """
        @param valueLength: longest value of a parameter.
        """
        self._most = valueLength
        self._state = _State.TEXT
        self._held = b""
        self._command = b""
        self._name = b""
        self._value = bytearray()
        self._quote = b'"'
        self._parameters: list[tuple[bytes, bytes]] = []
        self._events: list[Event] = []

    def feed(self, data: bytes) -> list[Event]:
        """
        Read more.

        @return: text, commands, and what is wrong, in order.
        """
        events: list[Event] = []
        self._events = events
        if self._held:
            data, self._held = self._held + data, b""
        at, end = 0, len(data)
        while at < end:
            if self._state is _State.TEXT:
                at = self._text(data, at)
            elif self._state is _State.VALUE:
                at = self._readValue(data, at)
            elif self._state is _State.ERROR:
                at = data.find(b"-", at)
                if at < 0:
                    break
                self._state = _State.ERROR_END
                at += 1
            else:
                self._byte(data[at : at + 1])
                at += 1
        return events

    def rest(self) -> bytes:
        """
        The text at the body's end that might have become a command.
        """
        held, self._held = self._held, b""
        return held

    def _text(self, data: bytes, at: int) -> int:
        start = data.find(_START, at)
        if start >= 0:
            self._begin(data[at:start])
            return start + len(_START)
        end = len(data) - _partial(data[max(at, len(data) - len(_START)) :])
        if end > at:
            self._events.append(data[at:end])
        self._held = data[end:]
        return len(data)

    def _begin(self, text: bytes) -> None:
        if text:
            self._events.append(text)
        self._state = _State.BEFORE_COMMAND
        self._parameters = []

    def _readValue(self, data: bytes, at: int) -> int:
        run = _RUNS[self._quote].match(data, at)
        if run is not None:
            room = self._most - len(self._value)
            self._value += run[0][:room]
            if len(run[0]) > room:
                self._tooLong(run[0][room : room + 1])
                return at + room + 1
            return run.end()
        c = data[at : at + 1]
        if c == self._quote:
            self._parameters.append((self._name, bytes(self._value)))
            del self._parameters[MOST_PARAMETERS + 1 :]
            self._state = _State.AFTER_VALUE
        elif len(self._value) == self._most:
            self._tooLong(c)
        else:
            self._value += c
            self._state = _State.ESCAPED
        return at + 1

    def _tooLong(self, c: bytes) -> None:
        self._wrong(
            f'too long "{_show(bytes(self._value) + c)}..." value of'
            f' "{_show(self._name)}" parameter in "{_show(self._command)}" SSI command'
        )

    def _wrong(self, message: str, c: bytes = b"") -> None:
        """
        @param c: where the command may end all the same.
        """
        self._events.append(Wrong(message, False))
        self._state = _State.ERROR_END if c == b"-" else _State.ERROR

    def _byte(self, c: bytes) -> None:
        """
        Read one byte of a command outside of values.
        """
        state = self._state
        if state is _State.COMMAND or state is _State.BEFORE_PARAMETER:
            self._outside(c, state)
        elif state is _State.PARAMETER:
            self._parameter(c)
        elif state is _State.BEFORE_EQUAL or state is _State.BEFORE_VALUE:
            self._between(c, state)
        elif state is _State.AFTER_VALUE:
            self._afterValue(c)
        elif state is _State.BEFORE_COMMAND:
            if c not in _SPACE:
                self._command = c
                self._state = _State.COMMAND
        elif state is _State.ESCAPED:
            self._state = _State.VALUE
            if len(self._value) == self._most:
                self._tooLong(c)
            else:
                self._value += c
        else:
            self._ending(c, state)

    def _outside(self, c: bytes, state: _State) -> None:
        if c in _SPACE:
            self._state = _State.BEFORE_PARAMETER
        elif c == b"-":
            self._state = _State.END
        elif state is _State.BEFORE_PARAMETER:
            self._name = c
            self._value = bytearray()
            self._state = _State.PARAMETER
        elif len(self._command) == _NAME:
            shown = _show(self._command + c)
            self._wrong(f'the "{shown}..." SSI command is too long')
        else:
            self._command += c

    def _parameter(self, c: bytes) -> None:
        if c in _SPACE:
            self._state = _State.BEFORE_EQUAL
        elif c == b"=":
            self._state = _State.BEFORE_VALUE
        elif c == b"-":
            self._unexpected(c, "after")
        elif len(self._name) == _NAME:
            self._wrong(
                f'too long "{_show(self._name + c)}..." parameter in'
                f' "{_show(self._command)}" SSI command'
            )
        else:
            self._name += c

    def _between(self, c: bytes, state: _State) -> None:
        if c in _SPACE:
            return
        if state is _State.BEFORE_EQUAL:
            if c == b"=":
                self._state = _State.BEFORE_VALUE
            else:
                self._unexpected(c, "after")
        elif c in _RUNS:
            self._quote = c
            self._state = _State.VALUE
        else:
            self._unexpected(c, "before value of")

    def _unexpected(self, c: bytes, where: str) -> None:
        self._wrong(
            f'unexpected "{_show(c)}" symbol {where} "{_show(self._name)}" parameter in'
            f' "{_show(self._command)}" SSI command',
            c,
        )

    def _afterValue(self, c: bytes) -> None:
        if c in _SPACE:
            self._state = _State.BEFORE_PARAMETER
        elif c == b"-":
            self._state = _State.END
        else:
            self._wrong(
                f'unexpected "{_show(c)}" symbol after "{_show(bytes(self._value))}"'
                f' value of "{_show(self._name)}" parameter in'
                f' "{_show(self._command)}" SSI command'
            )

    def _ending(self, c: bytes, state: _State) -> None:
        if state is _State.END and c == b"-":
            self._state = _State.LAST
        elif state is _State.LAST and c == b">":
            self._state = _State.TEXT
            self._events.append(Command(self._command, tuple(self._parameters)))
        elif state is _State.END or state is _State.LAST:
            self._wrong(
                f'unexpected "{_show(c)}" symbol in "{_show(self._command)}"'
                " SSI command"
            )
        elif state is _State.ERROR_LAST and c == b">":
            self._state = _State.TEXT
            self._events.append(Wrong("", True))
        elif c == b"-" and state is not _State.ERROR_LAST:
            self._state = (
                _State.ERROR_END if state is _State.ERROR else _State.ERROR_LAST
            )
        else:
            self._state = _State.ERROR


def _partial(data: bytes) -> int:
    """
    How many bytes at the end may begin a command.
    """
    for size in range(min(len(data), len(_START) - 1), 0, -1):
        if _START.startswith(data[-size:]):
            return size
    return 0
