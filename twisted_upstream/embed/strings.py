"""
C{upstream:NAME[:config=FILE]}: groups in strings that name endpoints.

A string can only find what has a place of its own: groups that were published for a
reactor, and those of files, which are read once for each reactor.  Both are forgotten
with the reactor, and when the group is closed.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint

from .upstream import Upstream

#: Where a reactor has its groups: they live as long as it does.
_ATTRIBUTE = "_twistedUpstreamGroups"


def _groupsOf(reactor: Any) -> dict[tuple[str, str], Upstream]:
    """
    The groups that strings can find, by name and file.
    """
    found: dict[tuple[str, str], Upstream]
    found = vars(reactor).setdefault(_ATTRIBUTE, {})
    return found


def publish(upstream: Upstream) -> None:
    """
    Let C{upstream:NAME} mean this group, for its reactor; an earlier one of the same
    name is not meant any more.
    """
    _groupsOf(upstream.reactor)[upstream.name, ""] = upstream


def parseClient(
    reactor: Any,
    name: str,
    config: str = "",
    timeout: str = "60",
    tries: str = "0",
    key: str | None = None,
) -> IStreamClientEndpoint:
    """
    The endpoint of C{upstream:NAME}.

    @param config: the file that has C{upstream NAME}; empty: a group that was
        published.
    @param timeout: seconds that connecting to each server may take.
    @param tries: how many servers are asked at most; 0: all.
    @param key: what methods that hash are to hash.
    @raise ValueError: there is no such group, or a value is wrong.
    @raise ConfigError: with everything that is wrong in the file.
    """
    groups = _groupsOf(reactor)
    path = os.path.abspath(config) if config else ""
    upstream = groups.get((name, path))
    if upstream is None or upstream.isClosed:
        if not path:
            raise ValueError(
                f"name: no upstream {name!r} was published, and no config= is given"
            )
        upstream = groups[name, path] = Upstream.fromFile(reactor, path, name)
    return upstream.endpoint(connectTimeout=float(timeout), tries=int(tries), key=key)
