"""
Fields of a server's response: which clients get to see, and which are acted upon.

nginx: C{ngx_http_upstream_headers_in}, C{ngx_http_upstream_process_headers()},
C{ngx_http_upstream_hide_headers_hash()}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

#: Never copied: the client's side makes its own.
_NEVER = (b"content-length", b"transfer-encoding", b"connection", b"keep-alive")

#: Not shown unless C{*_pass_header} says so.  nginx: C{ngx_http_proxy_hide_headers}.
HIDDEN = (
    b"date",
    b"server",
    b"x-pad",
    b"x-accel-expires",
    b"x-accel-redirect",
    b"x-accel-limit-rate",
    b"x-accel-buffering",
    b"x-accel-charset",
)


def hider(
    hide: Iterable[bytes], show: Iterable[bytes], hidden: Iterable[bytes] = HIDDEN
) -> Callable[[bytes, bytes], bytes]:
    """
    Compile what removes a location's hidden fields from a block.

    @param hide: names, lower case, besides those hidden by default.
    @param show: names that are not hidden after all.
    @param hidden: names that the dialect hides by default.
    @return: a bound C{sub}: takes the replacement (empty) and the block.
    """
    shown = set(show)
    gone = ({*hidden, *hide} - shown) | set(_NEVER) | {b"content-type"}
    names = b"|".join(re.escape(name) for name in sorted(gone))
    return re.compile(rb"\r\n(?:%b):[^\r]*" % names, re.I).sub


#: What L{rewrite} looks at, in lower case.
REWRITTEN = frozenset((b"location", b"refresh", b"set-cookie"))

_EACH = re.compile(rb"\r\n([^:\r]+):[ ]*([^\r]*)")


def rewrite(
    fields: bytes,
    redirect: Callable[[bytes], bytes | None] | None,
    cookie: Callable[[bytes], bytes | None] | None,
    absolute: bool,
) -> tuple[bytes, bytes | None]:
    """
    Let a dialect rewrite Location, Refresh and Set-Cookie fields of a block.

    @param absolute: will a Location without a host get one?
    @return: the block, and the new value of Location if it was rewritten and is to get
        a host; it is taken out of the block then.
    """
    location: bytes | None = None
    out: list[bytes] = []
    for match in _EACH.finditer(fields):
        name, value = match.groups()
        lower = name.lower()
        new: bytes | None = None
        if lower == b"location" and redirect is not None:
            new = redirect(value)
            if new is not None and absolute and new.startswith(b"/"):
                location = new
                continue
        elif lower == b"refresh" and redirect is not None:
            at = value.lower().find(b"url=")
            if at >= 0:
                new = redirect(value[at + 4 :])
                if new is not None:
                    new = value[: at + 4] + new
        elif lower == b"set-cookie" and cookie is not None:
            new = cookie(value)
        out.append(match[0] if new is None else b"\r\n%b: %b" % (name, new))
    return b"".join(out), location


def values(fields: bytes, name: bytes) -> list[bytes]:
    """
    All values of one field in a block.

    @param name: in any case.
    """
    lower = name.lower()
    return [m[2] for m in _EACH.finditer(fields) if m[1].lower() == lower]
