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


def cookieEditor(
    name: bytes,
) -> Callable[[bytes, Callable[[bytes], bytes | None]], bytes]:
    """
    Compile what changes one cookie in a request's fields.

    @param name: as it is spelt.
    @return: takes the block of fields, and a function that takes the value of the
        first such cookie and answers the one it shall have, C{None}: none.  Answers
        the block; a field that nothing is left of is gone.
    """
    search = re.compile(rb"((?:^|;) *%b *= *)([^;]*)" % re.escape(name), re.S).search
    lines = _FIELD.finditer

    def edit(fields: bytes, change: Callable[[bytes], bytes | None]) -> bytes:
        for line in lines(fields):
            found = search(line[1])
            if found is None:
                continue
            value = change(found[2])
            if value == found[2]:
                return fields
            before, after = line[1][: found.start()], line[1][found.end() :]
            if value is not None:
                rest = before + found[1] + value + after
            else:
                rest = before + after if before else after.lstrip(b"; ")
            start = fields[: line.start(1)] if rest else fields[: line.start()]
            return start + rest + fields[line.end() :]
        return fields

    return edit
