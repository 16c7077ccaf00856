"""
C{listen}: what http and stream have in common.

nginx: C{ngx_http_core_listen()}, C{ngx_stream_core_listen()}
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from ..config.syntax import Node
from ..config.values import parseSize, parseTime
from .bound import BACKLOG, ListenOptions
from .sockaddr import Sockaddr, parseAddress


@dataclass(frozen=True, kw_only=True, slots=True)
class ListenLine:
    """
    One C{listen}.

    @ivar sockaddrs: several for a range of ports, or a name.
    @ivar isDefault: C{default_server}.
    @ivar proxyProtocol: connections begin with a PROXY header.
    @ivar tls: C{ssl}.
    @ivar udp: datagrams.
    @ivar options: of the socket; C{None}: none was written.
    """

    node: Node
    sockaddrs: tuple[Sockaddr, ...]
    isDefault: bool = False
    proxyProtocol: bool = False
    tls: bool = False
    udp: bool = False
    options: ListenOptions | None = None


class Protocols:
    """
    Which protocols the lines of one address ask for: C{proxy_protocol}, C{ssl}.  It
    speaks all of them; lines that contradict each other are warned of.

    nginx: C{ngx_http_add_addresses()}, C{ngx_stream_add_addresses()}
    """

    __slots__ = ("_all", "_expected", "_hasChanged", "_isSet")

    def __init__(self) -> None:
        self._all: int | None = None
        self._isSet = False
        # What a line without socket options should ask for; None: not known yet.
        self._expected: int | None = None
        self._hasChanged = False

    def add(self, line: ListenLine, name: str) -> None:
        """
        One more line.

        @param name: of the address, for the warning.
        """
        asked = line.proxyProtocol | line.tls << 1
        isSet = line.options is not None
        before = self._all
        if before is None:
            self._all = asked
            self._isSet = isSet
            return
        self._isSet = self._isSet or isSet
        contradicts = self._expected is not None and asked != self._expected
        if asked & ~before:
            isWrong = self._isSet and not isSet
            isWrong = isWrong or self._hasChanged or bool(before & ~asked)
            self._expected = before
            self._hasChanged = True
        else:
            if before & ~asked:
                isWrong = isSet or contradicts
                self._hasChanged = True
            else:
                isWrong = (isSet and self._hasChanged) or contradicts
            self._expected = asked
        if isWrong:
            line.node.warning(f"protocol options redefined for {name}")
        self._all = before | asked


#: Parameters that nginx calls by name when their value is wrong.
_NAMED = frozenset(("backlog", "fastopen", "rcvbuf", "sndbuf"))


def parseListen(
    node: Node,
    defaultPort: int,
    flags: Mapping[str, str],
    unsupported: Mapping[str, str],
) -> ListenLine:
    """
    Read one line.

    @param defaultPort: 0: there must be a port.
    @param flags: parameters without a value, and the fields of L{ListenLine} that say
        that they are there.
    @param unsupported: those that we do not have, and the module that nginx needs.
    @raise ConfigError: a parameter is wrong.
    """
    text = node.words[0]
    try:
        address = parseAddress(text, defaultPort, listen=True)
    except ValueError as e:
        raise node.error(f'{e} in "{text}" of the "listen" directive', word=0) from None
    sockaddrs = address.sockaddrs
    if not sockaddrs:
        try:
            found = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError):
            raise node.error(
                f'host not found in "{text}" of the "listen" directive', word=0
            ) from None
        sockaddrs = tuple(dict.fromkeys(each[4] for each in found))  # type: ignore[misc]
    said: dict[str, object] = {}
    isGiven: dict[str, bool] = {}
    for index, word in enumerate(node.words[1:], 1):
        name, given, value = word.partition("=")
        try:
            if word in flags:
                isGiven[flags[word]] = True
            elif word == "bind":
                said.setdefault("backlog", BACKLOG)
            elif word == "reuseport":
                said["reuseport"] = True
            elif word == "deferred":
                said["deferred"] = True
            elif given and name == "backlog":
                said["backlog"] = _positive(value)
            elif given and name == "fastopen":
                said["fastopen"] = _positive(value)
            elif given and name in ("rcvbuf", "sndbuf"):
                said[name] = parseSize(value)
            elif given and name == "ipv6only" and value in ("on", "off"):
                said["ipv6only"] = value == "on"
            elif given and name == "so_keepalive":
                _keepalive(value, said)
            elif word in unsupported:
                raise node.error(
                    f'the "{word}" parameter requires {unsupported[word]}', word=index
                )
            else:
                raise ValueError
        except ValueError:
            what = name if given and name in _NAMED else "parameter"
            raise node.error(f'invalid {what} "{word}"', word=index) from None
    return ListenLine(
        node=node,
        sockaddrs=sockaddrs,
        options=ListenOptions(**said) if said else None,  # type: ignore[arg-type]
        **isGiven,
    )


def _positive(word: str) -> int:
    if not word.isdigit() or int(word) == 0:
        raise ValueError
    return int(word)


def _keepalive(value: str, said: dict[str, object]) -> None:
    """
    C{on}, C{off}, or C{[idle]:[interval]:[count]}.
    """
    if value in ("on", "off"):
        said["soKeepalive"] = value == "on"
        return
    idle, interval, count = value.split(":")
    if not (idle or interval or count):
        raise ValueError
    said["soKeepalive"] = True
    if idle:
        said["keepaliveIdle"] = int(parseTime(idle, milliseconds=False))
    if interval:
        said["keepaliveInterval"] = int(parseTime(interval, milliseconds=False))
    if count:
        said["keepaliveCount"] = _positive(count)
