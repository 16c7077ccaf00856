"""
Cookies in blocks of fields.

nginx: C{ngx_http_parse_cookie_lines()}
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: Anchored by its first letters, and nothing in it can match the same bytes twice: the
#: time is linear whatever a client sends.
_FIELD = re.compile(rb"\r\ncookie:[ \t]*([^\r]*)", re.I)


def cookieFinder(name: bytes) -> Callable[[bytes], bytes | None]:
    """
    Compile what finds one cookie in a request's fields.

    @param name: in any case.
    @return: takes the block of fields; the value of the first such cookie, or C{None}.
    """
    search = re.compile(
        rb"(?:^|;) *%b *= *([^;]*)" % re.escape(name), re.I | re.S
    ).search
    lines = _FIELD.findall

    def find(fields: bytes) -> bytes | None:
        for line in lines(fields):
            found = search(line)
            if found is not None:
                value: bytes = found[1]
                return value
        return None

    return find
