"""
101 Switching Protocols: may the server, and to what?  RFC 9110, sections 7.8 and
15.2.2: only to what it was asked for.

nginx: C{ngx_http_proxy_process_header()}, which looks no further than that the client
sent Upgrade.
"""

from __future__ import annotations

from typing import Any


def maySwitch(client: Any, protocols: bytes | None) -> bool:
    """
    Has the client asked for these protocols?

    @param protocols: the value of Upgrade in a server's 101; C{None}: it names none,
        and there is no doubt that what was asked for is meant.
    """
    asked: bytes | None = client.head.upgrade
    if not asked:
        return False
    return protocols is None or _names(protocols) <= _names(asked)


def _names(value: bytes) -> set[bytes]:
    return {name.strip(b" \t").lower() for name in value.split(b",")}
