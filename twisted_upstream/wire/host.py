"""
The name that a client asks for, with or without a port.

nginx: ngx_http_validate_host()
"""

from __future__ import annotations

import re

# "%" may begin an encoded character; what follows it is not looked at.
_match = re.compile(
    rb"([a-z0-9_~!$&'()*+,;=%.-]+|\[[a-z0-9_~!$&'()*+,;=:.-]*+\])(?::([0-9]*+))?"
).fullmatch


def splitHost(text: bytes) -> tuple[bytes, bytes] | None:
    """
    Take a host apart.

    @param text: value of Host, or an authority, in lower case.
    @return: the name without the dot at its end, and the port as it would be printed;
        empty: none, or 0.  C{None}: this is no host.
    """
    match = _match(text)
    if match is None or b".." in text:
        return None
    name, port = match.groups()
    name = name.removesuffix(b".")
    if not name:
        return None
    if port:
        port = port.lstrip(b"0")
        if len(port) > 5 or int(port or b"0") > 65535:
            return None
    return name, port or b""
