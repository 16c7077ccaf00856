"""
C{$variables}: texts that contain them are compiled once into callables.

A getter takes a request and answers bytes, or C{None} when the variable has no value
(C{-} in logs, empty elsewhere).  nginx: C{ngx_http_variables.c},
C{ngx_http_compile_complex_value()}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .config.syntax import ConfigError, Node
from .config.values import Template, Variable, parseTemplate

#: Takes a request, answers a variable's value.
Getter = Callable[[Any], "bytes | None"]
#: Takes a request, answers a text with all its variables filled in.
Value = Callable[[Any], bytes]
#: Assigns to a variable that C{set} may change: takes a request and the value.
Setter = Callable[[Any, bytes], None]


def constantly(value: bytes) -> Value:
    """
    A compiled text without variables.
    """
    return lambda request: value


def capture(index: int) -> Getter:
    """
    C{$1} to C{$9}: groups of the last regular expression that matched.
    """

    def get(request: Any) -> bytes | None:
        captures = request.captures
        if index < len(captures):
            value: bytes | None = captures[index]
            return value
        return None

    return get


def assigned(name: str, isSet: Callable[[str], bool]) -> Getter:
    """
    A variable that C{set}, a named capture or a plugin assigns.

    @param isSet: is it assigned by C{set}?  Then it should be, before it is used.
    """

    def get(request: Any) -> bytes | None:
        value: bytes | None = request.values.get(name)
        if value is None and isSet(name):
            request.logError("warn", f'using uninitialized "{name}" variable')
            return b""
        return value

    return get


def _unlessAssigned(name: str, getter: Getter) -> Getter:
    """
    C{set} may hide a variable of a family, for the request that meets it.
    """

    def get(request: Any) -> bytes | None:
        values: dict[str, bytes] = request.values
        return values[name] if name in values else getter(request)

    return get


def remembered(name: str, evaluate: Value) -> Getter:
    """
    A variable that is computed at most once per request; C{request.values} keeps it.
    """

    def get(request: Any) -> bytes | None:
        value: bytes | None = request.values.get(name)
        if value is None:
            value = request.values[name] = evaluate(request)
        return value

    return get


def escapeLog(value: bytes) -> bytes:
    """
    The default escaping of access logs: C{"}, C{\\}, controls and bytes above 126
    become C{\\xHH}.  nginx: C{ngx_http_log_escape()}.
    """
    if value.isascii() and value.isalnum():
        return value
    return b"".join(
        b"\\x%02X" % c if c < 32 or c > 126 or c in b'"\\' else b"%c" % c for c in value
    )


_JSON = {
    8: b"\\b",
    9: b"\\t",
    10: b"\\n",
    12: b"\\f",
    13: b"\\r",
    34: b'\\"',
    92: b"\\\\",
}


def escapeJSON(value: bytes) -> bytes:
    """
    C{escape=json} of C{log_format}.  nginx: C{ngx_escape_json()}.
    """
    return b"".join(
        _JSON.get(c) or (b"\\u%04X" % c if c < 32 else b"%c" % c) for c in value
    )


class Variables:
    """
    The table of variables of one configuration.
    """

    def __init__(self) -> None:
        self._getters: dict[str, Getter] = {}
        self._prefixes: dict[str, Callable[[str], Getter]] = {}
        self._setters: dict[str, Setter] = {}
        self._assigned: set[str] = set()
        self._defined: set[str] = set()
        self._set: set[str] = set()
        self._uses: list[tuple[str, Node | None]] = []

    def add(self, getters: dict[str, Getter]) -> None:
        """
        Add built-in variables by name.
        """
        self._getters.update(getters)

    def addPrefix(self, prefix: str, factory: Callable[[str], Getter]) -> None:
        """
        Add a family of variables: C{factory} makes the getter for the rest of a name.
        """
        self._prefixes[prefix] = factory

    def addSetter(self, name: str, setter: Setter) -> None:
        """
        Let C{set} change the built-in variable C{name}.
        """
        self._setters[name] = setter

    def define(self, name: str, getter: Getter) -> None:
        """
        Define a variable that is computed from others, as C{map} does.
        """
        self._getters[name] = getter
        self._defined.add(name)

    def declare(self, name: str) -> None:
        """
        Let a variable be assigned while a request runs (C{set}, named captures).
        """
        self._assigned.add(name)

    def optional(self, name: str) -> Getter:
        """
        The getter of a variable that nobody needs to set, nor is warned of.
        """
        self._assigned.add(name)
        found = self._getters.get(name)
        if found is not None:
            return found
        return lambda request: request.values.get(name)

    def setter(self, name: str, node: Node) -> Setter:
        """
        How to assign to C{$name}.

        @raise ConfigError: the variable is a built-in one that cannot be changed.
        """
        known = self._setters.get(name)
        if known is not None:
            return known
        if name in self._getters and name not in self._defined:
            raise node.error(f'the duplicate "{name}" variable')
        self._assigned.add(name)
        self._set.add(name)

        def assign(request: Any, value: bytes) -> None:
            request.values[name] = value

        return assign

    def getter(self, name: str, node: Node | None = None) -> Getter:
        """
        The getter of C{$name}.

        A name that nobody has defined yet may still be assigned by a later C{set} or
        capture: L{check} tells once all was read.
        """
        if name.isdigit():
            return capture(int(name))
        found = self._getters.get(name)
        if found is not None:
            return found
        if name not in self._assigned:
            for prefix, factory in self._prefixes.items():
                if name.startswith(prefix):
                    return _unlessAssigned(name, factory(name[len(prefix) :]))
        self._uses.append((name, node))
        return assigned(name, self._set.__contains__)

    def find(self, name: str) -> Getter | None:
        """
        The getter of a variable that is named while a request runs; C{None}: there is
        no such variable.  What requests assign is theirs to look at first.
        """
        found = self._getters.get(name)
        if found is None:
            for prefix, factory in self._prefixes.items():
                if name.startswith(prefix):
                    return factory(name[len(prefix) :])
        return found

    def check(self) -> list[ConfigError]:
        """
        The uses of variables that nobody defined, as errors.
        """
        return [
            node.error(f'unknown "{name}" variable')
            for name, node in self._uses
            if name not in self._assigned and node is not None
        ]

    def compile(self, text: Template | str, node: Node | None = None) -> Value:
        """
        Compile a text: constant parts and variables, absent ones empty.

        @raise ConfigError: C{text} holds a C{$} without a name.
        """
        template = self._template(text, node)
        constant = template.constant
        if constant is not None:
            return constantly(constant)
        parts = [
            self.getter(part.name, node)
            if isinstance(part, Variable)
            else constantly(part.encode("utf-8", "surrogateescape"))
            for part in template.parts
        ]
        if len(parts) == 1:
            only = parts[0]
            return lambda request: only(request) or b""
        if len(parts) == 2:
            first, second = parts
            return lambda request: (first(request) or b"") + (second(request) or b"")
        return lambda request: b"".join([get(request) or b"" for get in parts])

    def compileLog(
        self,
        text: Template | str,
        escape: Callable[[bytes], bytes] | None,
        absent: bytes,
        node: Node | None = None,
    ) -> Value:
        """
        Compile a C{log_format}: one C{%}-format and a tuple of getters.

        @param escape: how values are escaped; C{None}: not at all.
        @param absent: what stands for a variable without a value.
        """
        template = self._template(text, node)
        form = b""
        getters: list[Getter] = []
        for part in template.parts:
            if isinstance(part, Variable):
                form += b"%b"
                getters.append(self.getter(part.name, node))
            else:
                literal = part.encode("utf-8", "surrogateescape")
                form += literal.replace(b"%", b"%%")

        def one(value: bytes | None) -> bytes:
            if value is None:
                return absent
            return value if escape is None else escape(value)

        return lambda request: form % tuple([one(get(request)) for get in getters])

    @staticmethod
    def _template(text: Template | str, node: Node | None) -> Template:
        if isinstance(text, Template):
            return text
        try:
            return parseTemplate(text)
        except ValueError as e:
            if node is None:
                raise
            raise node.error(str(e)) from None


def names(parts: Iterable[str | Variable]) -> list[str]:
    """
    The names of the variables in a template's parts.
    """
    return [part.name for part in parts if isinstance(part, Variable)]
