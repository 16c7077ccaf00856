"""
Logs to syslog: one datagram per line, in the old format of RFC 3164 as nginx writes it.

nginx: core/ngx_syslog.c: ngx_syslog_parse_args(), ngx_syslog_add_header(),
ngx_syslog_writer(), ngx_syslog_send(), ngx_syslog_init_peer();
core/ngx_connection.c: ngx_connection_error()
"""

from __future__ import annotations

import errno
import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from zope.interface import implementer

from ..interfaces import ILogTarget
from .sockaddr import (
    Sockaddr,
    familyOf,
    inetSockaddr,
    lookUp,
    parseAddress,
    sockaddrName,
)

PREFIX = "syslog:"

_PORT = 514
_FACILITIES = (
    "kern user mail daemon auth intern lpr news uucp clock authpriv ftp ntp audit alert"
    " cron local0 local1 local2 local3 local4 local5 local6 local7"
).split()
# The words of error_log, not those of syslog's own manual.
_SEVERITIES = "emerg alert crit error warn notice info debug".split()
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MAX_TAG = 32
_MAX_HOST_NAME = 255

# A server that is away is no reason for alarm.
_AWAY = {
    errno.ECONNRESET,
    errno.EPIPE,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.ECONNREFUSED,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
}

_tag = re.compile(r"[0-9A-Za-z_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class SyslogServer:
    """
    Where lines go, and what stands before them.

    @ivar facility: 0-23.
    @ivar severity: 0-7, of lines of access logs; those of error logs bring their own.
    @ivar hostName: is our host's name sent?
    """

    sockaddr: Sockaddr
    facility: int = _FACILITIES.index("local7")
    severity: int = _SEVERITIES.index("info")
    tag: str = "nginx"
    hostName: bool = True


def parseSyslog(
    word: str, addresses: Callable[[str], Sequence[str]] = lookUp
) -> SyslogServer:
    """
    Take apart C{syslog:server=ADDRESS[,facility=F][,severity=S][,tag=T][,nohostname]}.

    @param addresses: those of a host name.  May block.
    @raise ValueError: with nginx's words.
    """
    found: dict[str, Any] = {}
    for parameter in word.removeprefix(PREFIX).split(","):
        key, equals, value = parameter.partition("=")
        if parameter == "nohostname":
            found["hostName"] = False
            continue
        if key not in _PARAMETERS or not equals:
            raise ValueError(f'unknown syslog parameter "{parameter}"')
        field = "sockaddr" if key == "server" else key
        if field in found:
            raise ValueError(f'duplicate syslog "{key}"')
        if key == "server":
            found[field] = _server(value, addresses)
        else:
            found[field] = _PARAMETERS[key](value)
    if "sockaddr" not in found:
        raise ValueError("no syslog server specified")
    return SyslogServer(**found)


def _server(text: str, addresses: Callable[[str], Sequence[str]]) -> Sockaddr:
    try:
        address = parseAddress(text, _PORT)
        if address.sockaddr is not None:
            return address.sockaddr
        try:
            return inetSockaddr(addresses(address.host)[0], address.port)
        except (OSError, UnicodeError):
            raise ValueError("host not found") from None
    except ValueError as e:
        raise ValueError(f'{e} in syslog server "{text}"') from None


def _facility(value: str) -> int:
    if value not in _FACILITIES:
        raise ValueError(f'unknown syslog facility "{value}"')
    return _FACILITIES.index(value)


def _severity(value: str) -> int:
    if value not in _SEVERITIES:
        raise ValueError(f'unknown syslog severity "{value}"')
    return _SEVERITIES.index(value)


def _checkedTag(value: str) -> str:
    if len(value.encode("utf-8", "surrogateescape")) > _MAX_TAG:
        raise ValueError(f"syslog tag length exceeds {_MAX_TAG}")
    if _tag.fullmatch(value) is None:
        raise ValueError(
            'syslog "tag" only allows alphanumeric characters and underscore'
        )
    return value


_PARAMETERS: dict[str, Callable[[str], Any]] = {
    "server": str,
    "facility": _facility,
    "severity": _severity,
    "tag": _checkedTag,
}


#: Takes level, message, number of the system error, and what it is about.
Complain = Callable[[str, str, int, str], object]


@implementer(ILogTarget)
class Syslog:
    """
    A connected datagram socket, made when there is something to say.

    Nothing waits: what the system does not take at once is lost.  After an error the
    socket is closed, and the next line tries a new one.
    """

    __slots__ = (
        "_busy",
        "_complain",
        "_makeSocket",
        "_open",
        "_second",
        "_sender",
        "_socket",
        "_stamp",
        "_wallClock",
        "server",
    )

    def __init__(
        self,
        server: SyslogServer,
        complain: Complain,
        *,
        wallClock: Callable[[], float] = time.time,
        hostName: Callable[[], str] = socket.gethostname,
        makeSocket: Callable[[int, int], Any] = socket.socket,
    ) -> None:
        """
        @param complain: to the main error log.
        @param makeSocket: takes family and type.
        """
        self.server = server
        self._complain = complain
        self._wallClock = wallClock
        self._makeSocket = makeSocket
        host = f"{hostName().lower()[:_MAX_HOST_NAME]} " if server.hostName else ""
        self._sender = f"{host}{server.tag}: "
        self._socket: Any = None
        self._open = False
        self._busy = False
        self._second = -1
        self._stamp = b""

    def open(self) -> None:
        """
        From now on lines are sent.
        """
        self._open = True

    def close(self) -> None:
        """
        Close the socket; lines are dropped silently from now on.
        """
        self._open = False
        self._disconnect()

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def write(self, line: bytes, level: int) -> None:
        """
        Send a line of an error log.
        """
        # What goes wrong is said to the main error log, which may be this one.
        if not self._busy:
            self._busy = True
            self._send(line[:-1], level - 1)
            self._busy = False

    def send(self, message: bytes) -> bool:
        """
        Send a line of an access log, without line feed.

        @return: was it taken?
        """
        return self._send(message, self.server.severity)

    def _send(self, message: bytes, severity: int) -> bool:
        if not self._open:
            return True
        call = "socket"
        try:
            if self._socket is None:
                sockaddr = self.server.sockaddr
                made = self._makeSocket(familyOf(sockaddr), int(socket.SOCK_DGRAM))
                self._socket = made
                made.setblocking(False)
                call = "connect"
                made.connect(sockaddr)
            call = "send"
            self._socket.send(self._head(severity) + message)
        except BlockingIOError:
            return False
        except OSError as e:
            self._disconnect()
            self._complain(
                "error" if call == "send" and e.errno in _AWAY else "alert",
                f"{call}() failed",
                e.errno or 0,
                " while logging to syslog, server: "
                f"{sockaddrName(self.server.sockaddr)}",
            )
            return False
        return True

    def _head(self, severity: int) -> bytes:
        second = int(self._wallClock())
        if second != self._second:
            self._second = second
            now = time.localtime(second)
            # Not strftime(): the names of months are those of no locale.
            self._stamp = (
                f">{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2}"
                f" {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} {self._sender}"
            ).encode("utf-8", "surrogateescape")
        return b"<%d%b" % (self.server.facility * 8 + severity, self._stamp)
