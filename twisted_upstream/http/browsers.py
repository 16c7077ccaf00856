"""
Browsers whose connections are better not kept.

nginx: C{ngx_http_process_user_agent()}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ..wire.fields import firstValue

# Versions 4 to 6, but for the sixth with its second service pack.
_MSIE6 = re.compile(rb"MSIE (?:[45]\.|6\.(?!.*SV1))")
_OTHERS = (b"Opera", b"Chrome/", b"Gecko/")


def isMSIE6(agent: bytes) -> bool:
    """
    Is it an old Internet Explorer?
    """
    return b"Opera" not in agent and _MSIE6.search(agent) is not None


def _isSafari(agent: bytes) -> bool:
    return (
        b"Safari/" in agent
        and b"Mac OS X" in agent
        and not any(other in agent for other in _OTHERS)
    )


def compileDisabled(words: Sequence[str]) -> Callable[[Any], bool] | None:
    """
    Compile C{keepalive_disable}.

    @return: takes a request: is its connection not to be kept?  C{None}: all are.
    """
    if "none" in words:
        return None
    msie6, safari = "msie6" in words, "safari" in words

    def disabled(request: Any) -> bool:
        if not safari and request.method != b"POST":
            return False
        agent = firstValue(request.head.fields, b"user-agent") or b""
        if msie6 and request.method == b"POST" and isMSIE6(agent):
            return True
        return safari and _isSafari(agent)

    return disabled
