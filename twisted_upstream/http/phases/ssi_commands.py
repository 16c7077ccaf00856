"""
Which commands there are in pages, and which parameters each may have.

nginx: C{ngx_http_ssi_filter_module.c}: the parameters in it, C{ngx_http_ssi_include()}
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...wire.uri import escapeLink
from .ssi_parser import MOST_PARAMETERS, Command
from .ssi_text import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


#: Parameters of each command; those with a C{!} must be there.
PARAMETERS: Mapping[bytes, tuple[bytes, ...]] = {
    b"include": (b"virtual", b"file", b"wait", b"set", b"stub"),
    b"echo": (b"!var", b"default", b"encoding"),
    b"config": (b"errmsg", b"timefmt"),
    b"set": (b"!var", b"!value"),
    b"if": (b"!expr",),
    b"elif": (b"!expr",),
    b"else": (),
    b"endif": (),
    b"block": (b"!name",),
    b"endblock": (),
}
#: Whether an C{if} is open, and how far it has come.
NEVER, AFTER_IF, AFTER_ELSE = range(3)
#: Up to where in an C{if} a command may stand.
CONDITIONAL = {b"elif": AFTER_IF, b"else": AFTER_IF, b"endif": AFTER_ELSE}
_ENTITIES = {b"<": b"&lt;", b">": b"&gt;", b"&": b"&amp;", b'"': b"&quot;"}
_SPECIAL = re.compile(rb'[<>&"]')


def escapeEntities(value: bytes) -> bytes:
    """
    Make it text in HTML.
    """
    return _SPECIAL.sub(lambda found: _ENTITIES[found[0]], value)


#: What C{echo} does to a value.
ENCODINGS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"none": lambda value: value,
    b"url": escapeLink,
    b"entity": escapeEntities,
}


def show(data: bytes) -> str:
    """
    How the log tells of it.
    """
    return data.decode("utf-8", "surrogateescape")


def written(command: Command) -> bytes:
    """
    A command as text.
    """
    parts = [b"<!--#", command.name]
    parts += [b' %b="%b"' % parameter for parameter in command.parameters]
    return b"".join(parts) + b" -->"


def parameters(command: Command, known: tuple[bytes, ...]) -> dict[bytes, bytes]:
    """
    Values by name.

    @raise Invalid: some are not known, or missing.
    """
    shown = show(command.name)
    if len(command.parameters) > MOST_PARAMETERS:
        raise Invalid(f'too many SSI command parameters: "{shown}"')
    given: dict[bytes, bytes] = {}
    for key, value in command.parameters:
        if key not in known and b"!" + key not in known:
            raise Invalid(
                f'invalid parameter name: "{show(key)}" in "{shown}" SSI command'
            )
        if key in given:
            raise Invalid(f'duplicate "{show(key)}" parameter in "{shown}" SSI command')
        given[key] = value
    for each in known:
        if each.startswith(b"!") and each[1:] not in given:
            raise Invalid(
                f'mandatory "{show(each[1:])}" parameter is absent in "{shown}"'
                " SSI command"
            )
    return given


def checkInclude(given: Mapping[bytes, bytes]) -> bool:
    """
    @return: is the rest of the page to wait?
    """
    virtual, file = given.get(b"virtual"), given.get(b"file")
    if virtual is not None and file is not None:
        raise Invalid(
            f'inclusion may be either virtual="{show(virtual)}" or file="{show(file)}"'
        )
    if virtual is None and file is None:
        raise Invalid('no parameter in "include" SSI command')
    if b"set" in given and b"stub" in given:
        raise Invalid(
            '"set" and "stub" cannot be used together in "include" SSI command'
        )
    wait = given.get(b"wait")
    if wait is None:
        return virtual is None
    if file is not None:
        raise Invalid(f'"wait" cannot be used with file="{show(file)}"')
    if wait.lower() not in (b"yes", b"no"):
        raise Invalid(f'invalid value "{show(wait)}" in the "wait" parameter')
    return wait.lower() == b"yes"
