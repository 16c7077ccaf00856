"""
Parameters of requests to FastCGI, uwsgi and SCGI servers: those of the configuration,
and the client's fields as C{HTTP_*}.

nginx: ngx_http_fastcgi_init_params(), the first half of
ngx_http_fastcgi_create_request(); the same functions of uwsgi and SCGI
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..config.directive import HTTP_ANY, directive
from ..config.syntax import Node
from ..variables import Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Param:
    """
    One C{*_param} line.

    @ivar ifNotEmpty: leave it out of requests in which its value is empty.
    """

    node: Node
    name: bytes
    value: str
    ifNotEmpty: bool


def _param(node: Node) -> Param:
    name, value = node.words[:2]
    if len(node.words) == 3 and node.words[2] != "if_not_empty":
        raise node.error(f'invalid parameter "{node.words[2]}"', word=2)
    return Param(
        node=node,
        name=name.encode("utf-8", "surrogateescape"),
        value=value,
        ifNotEmpty=len(node.words) == 3,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ParamOptions:
    """
    The parameters of one location.
    """

    params: tuple[Param, ...] = directive(
        "*_param",
        HTTP_ANY,
        _param,
        arity=(2, 3),
        repeat=True,
        default=(),
        doc="A parameter of requests to servers; C{if_not_empty}: only where it has a"
        " value.",
    )


_eachField = re.compile(rb"\r\n([^:]+): ([^\r]*)").findall

#: How the lines of one field become one value.
_SEPARATORS = {b"COOKIE": b"; "}


class Params:
    """
    The parameters of one location, compiled.
    """

    def __init__(self, params: Iterable[Param], build: Any, passFields: bool) -> None:
        """
        @param passFields: are the client's fields among them?
        @raise ConfigError: a variable is unknown.
        """
        self._passFields = passFields
        self._lines: list[tuple[bytes, Value, bool]] = []
        replaced: set[bytes] = set()
        for param in params:
            value = build.compile(param.value, param.node)
            if param.name.startswith(b"HTTP_"):
                # It stands for a field of the client's; without a value it only
                # takes it away.
                replaced.add(param.name[5:].upper())
                if not param.value:
                    continue
            self._lines.append((param.name, value, param.ifNotEmpty))
        self._replaced = frozenset(replaced)

    def of(self, client: Any) -> Iterator[tuple[bytes, bytes]]:
        """
        Names and values for one request, in order.
        """
        for name, value, ifNotEmpty in self._lines:
            text = value(client)
            if text or not ifNotEmpty:
                yield name, text
        if not self._passFields:
            return
        fields: dict[bytes, bytes] = {}
        for field, text in _eachField(client.head.fields):
            name = field.upper().replace(b"-", b"_")
            if name in self._replaced:
                continue
            before = fields.get(name)
            if before is None:
                fields[name] = text
            else:
                fields[name] = before + _SEPARATORS.get(name, b", ") + text
        for name, text in fields.items():
            yield b"HTTP_" + name, text
