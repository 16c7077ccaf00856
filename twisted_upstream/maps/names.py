"""
Names of virtual servers: exact, with a wildcard at either end, regular expressions.

nginx: C{ngx_http_find_virtual_server()}, C{ngx_http_server_names()}, and the same
functions of C{stream}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from ..config.regex import Matcher
    from ..config.syntax import Node

T = TypeVar("T")


class ServerNames(Generic[T]):
    """
    The servers of one listening address by their names.

    @ivar default: the server of clients that name no other.
    """

    def __init__(self, default: T) -> None:
        self.default = default
        self._exact: dict[bytes, T] = {}
        self._suffixes: dict[bytes, T] = {}
        self._prefixes: dict[bytes, T] = {}
        self._regexes: list[tuple[Matcher, T]] = []
        self._only = True

    def addName(self, name: str, server: T) -> bool:
        """
        A name of C{server}: exact, C{*.name}, C{name.*} or C{.name}.

        @return: C{False}: it is taken; the first one counts.
        """
        self._only = False
        key = name.lower().encode("utf-8", "surrogateescape")
        if key.startswith(b"*."):
            return self._suffixes.setdefault(key[1:], server) is server
        if key.startswith(b"."):
            self._suffixes.setdefault(key, server)
            return self._exact.setdefault(key[1:], server) is server
        if key.endswith(b".*"):
            return self._prefixes.setdefault(key[:-1], server) is server
        return self._exact.setdefault(key, server) is server

    def addRegex(self, matches: Matcher, server: T) -> None:
        """
        A regular expression for names of C{server}.
        """
        self._only = False
        self._regexes.append((matches, server))

    def find(self, host: bytes | None, client: Any) -> T:
        """
        The server for C{host}, which is lower case and has no port.

        @param client: gets what groups of a regular expression capture.
        """
        if self._only:
            return self.default
        return self.lookUp(host or b"", client) or self.default

    def lookUp(self, host: bytes, client: Any) -> T | None:
        """
        The same; C{None}: no server has that name.
        """
        found = self._exact.get(host)
        if found is not None:
            return found
        if self._suffixes:
            at = host.find(b".")
            while at >= 0:
                found = self._suffixes.get(host[at:])
                if found is not None and at > 0:
                    return found
                at = host.find(b".", at + 1)
        if self._prefixes:
            at = host.rfind(b".")
            while at >= 0:
                found = self._prefixes.get(host[: at + 1])
                if found is not None:
                    return found
                at = host.rfind(b".", 0, at)
        for matches, server in self._regexes:
            if matches(client, host):
                return server
        return None


def addNames(
    names: ServerNames[T],
    words: Sequence[tuple[str, Node]],
    server: T,
    *,
    address: str,
    compileMatcher: Callable[[str, Node], Matcher],
) -> None:
    """
    Give a server the names of its C{server_name} lines.

    @param words: each with its line.
    @param address: the name of the listening address, for complaints.
    @raise ConfigError: a name is wrong.
    """
    for name, node in words:
        if name.startswith("~"):
            names.addRegex(compileMatcher(name[1:], node), server)
            continue
        if "/" in name or name in (".", "*") or "*" in name.strip("*"):
            raise node.error(f'invalid server name or wildcard "{name}" on {address}')
        if not names.addName(name, server):
            node.warning(f'conflicting server name "{name}" on {address}, ignored')
