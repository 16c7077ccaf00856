"""
Lists of content types: C{gzip_types} and their like.

nginx: C{ngx_http_types_slot()}, C{ngx_http_test_content_type()}
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ...config.syntax import Node


def mediaTypes(node: Node) -> tuple[str, ...]:
    """
    The types that one directive names, in lower case.
    """
    found: list[str] = []
    for word in node.words:
        lowered = word.lower()
        if lowered in found or lowered == "text/html":
            node.warning(f'duplicate MIME type "{lowered}"')
        found.append(lowered)
    return tuple(found)


_CHARSET = re.compile(rb"; *charset=", re.I)


def compileTypes(
    lines: tuple[tuple[str, ...], ...],
) -> Callable[[bytes | None], bool]:
    """
    @param lines: what L{mediaTypes} has read; C{text/html} is always among them.
    @return: takes a Content-Type: is it one of those?
    """
    words = {word for line in lines for word in line}
    if "*" in words:
        return lambda value: True
    types = {word.encode("utf-8", "surrogateescape") for word in words}
    types.add(b"text/html")

    def matches(value: bytes | None) -> bool:
        if value is None:
            return False
        if b";" in value:
            found = _CHARSET.search(value)
            if found is not None:
                value = value[: found.start()]
        return value.lower() in types

    return matches
