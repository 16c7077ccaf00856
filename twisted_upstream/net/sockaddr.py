"""
Socket addresses: their text as nginx prints it, their bytes, and back from literals.

A L{Sockaddr} is what Python's sockets take and give, so nothing is converted on the
data path: C{(host, port)} for IPv4, C{(host, port, flow, scope)} for IPv6, the path for
unix.  It is immutable and hashable, and its shape tells its family.

nginx: core/ngx_inet.c: ngx_sock_ntop(), ngx_parse_url(), ngx_inet_addr()
"""

from __future__ import annotations

import re
import socket
from typing import NamedTuple, TypeAlias

Sockaddr: TypeAlias = tuple[str, int] | tuple[str, int, int, int] | str

#: Room for a path in C{struct sockaddr_un}, its final zero byte included.
UNIX_PATH_SIZE = 108

_AF_INET = int(socket.AF_INET)
_AF_INET6 = int(socket.AF_INET6)
_AF_UNIX = int(socket.AF_UNIX)

_quad = re.compile(r"[0-9]+(?:\.[0-9]+){3}", re.ASCII)
_digits = re.compile(r"[0-9]+", re.ASCII)


def familyOf(sockaddr: Sockaddr) -> int:
    """
    C{AF_INET}, C{AF_INET6} or C{AF_UNIX}.
    """
    if type(sockaddr) is not tuple:
        return _AF_UNIX
    return _AF_INET6 if ":" in sockaddr[0] else _AF_INET


def sockaddrName(sockaddr: Sockaddr | bytes) -> str:
    """
    C{127.0.0.1:80}, C{[::1]:80}, C{unix:/path}, or C{unix:} for a client without name.

    @param sockaddr: C{bytes} only for names in Linux's abstract space.
    """
    if isinstance(sockaddr, tuple):
        host = sockaddr[0]
        return f"[{host}]:{sockaddr[1]}" if ":" in host else f"{host}:{sockaddr[1]}"
    return "unix:" + _path(sockaddr)


def addressText(sockaddr: Sockaddr | bytes) -> str:
    """
    The same without port and brackets, as in C{$remote_addr}.
    """
    if isinstance(sockaddr, tuple):
        return sockaddr[0]
    return "unix:" + _path(sockaddr)


def binaryAddress(sockaddr: Sockaddr | bytes) -> bytes:
    """
    The value of C{$binary_remote_addr}: 4 bytes, 16 bytes, or for unix the name.

    nginx: ngx_http_variable_binary_remote_addr()
    """
    if isinstance(sockaddr, tuple):
        host = sockaddr[0]
        return socket.inet_pton(_AF_INET6 if ":" in host else _AF_INET, host)
    return addressText(sockaddr).encode("utf-8", "surrogateescape")


def _path(name: str | bytes) -> str:
    """
    The path of a unix socket.  Abstract names begin with a zero byte, where nginx's
    text ends: they print as nothing.
    """
    text = name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")
    return text.partition("\0")[0]


def lookUp(host: str) -> list[str]:
    """
    The addresses of C{host} by the system's resolver, in order.  Blocks.

    @raise OSError: there are none.

    nginx: ngx_inet_resolve_host()
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class HostPort(NamedTuple):
    """
    An address as written.

    @ivar host: without brackets; C{*} and an empty word before a lone port are
        C{0.0.0.0}.
    @ivar sockaddr: of the first port; C{None} when C{host} is a name.
    @ivar port: the port written, else the default.
    @ivar lastPort: the end of a range of ports, else C{port}.
    @ivar portGiven: was there a port?
    """

    host: str
    sockaddr: Sockaddr | None
    port: int
    lastPort: int
    portGiven: bool

    @property
    def sockaddrs(self) -> tuple[Sockaddr, ...]:
        """
        One address per port of the range; none when the host is a name.
        """
        if self.sockaddr is None:
            return ()
        if isinstance(self.sockaddr, str):
            return (self.sockaddr,)
        ports = range(self.port, self.lastPort + 1)
        return tuple(inetSockaddr(self.host, port) for port in ports)


def inetSockaddr(host: str, port: int) -> Sockaddr:
    """
    The address of a literal C{host}, IPv4 or IPv6.
    """
    return (host, port, 0, 0) if ":" in host else (host, port)


def parseLiteral(host: str) -> str | None:
    """
    Normalise a literal IPv4 or IPv6 address.

    @return: C{None} when C{host} is something else, most likely a name.
    """
    if ":" in host:
        try:
            packed = socket.inet_pton(_AF_INET6, host)
        except (OSError, ValueError):
            return None
        return socket.inet_ntop(_AF_INET6, packed)
    if _quad.fullmatch(host) is None:
        return None
    # Like nginx and unlike inet_aton(): "010" is ten, and there are four numbers.
    numbers = [int(number) for number in host.split(".")]
    if max(numbers) > 255:
        return None
    return ".".join(map(str, numbers))


def parseAddress(text: str, defaultPort: int, *, listen: bool = False) -> HostPort:
    """
    Take apart C{a.b.c.d[:port]}, C{name[:port]}, C{[v6][:port]} or C{unix:/path}.

    @param listen: it is an address to listen on: C{*:port}, a lone port and ranges
        (C{80-89}) are allowed too.
    @raise ValueError: with nginx's words: C{invalid port}, C{no host} …

    nginx: ngx_parse_url(), ngx_parse_inet_url(), ngx_parse_inet6_url(),
    ngx_parse_unix_domain_url()
    """
    if text[:5].lower() == "unix:":
        return _parseUnix(text[5:])
    if text[:1] == "[":
        return _parseInet6(text, defaultPort, listen)
    if "/" in text or "?" in text:
        raise ValueError("invalid host")
    host, colon, portText = text.partition(":")
    if listen and not colon and _isPorts(text):
        return _literal("0.0.0.0", _ports(text, listen))
    ports = _ports(portText, listen) if colon else None
    if not host:
        raise ValueError("no host")
    literal = "0.0.0.0" if listen and host == "*" else parseLiteral(host)
    if literal is not None:
        return _literal(literal, ports, defaultPort)
    port, lastPort = ports or (defaultPort, defaultPort)
    return HostPort(host, None, port, lastPort, ports is not None)


def _literal(
    host: str, ports: tuple[int, int] | None, defaultPort: int = 0
) -> HostPort:
    """
    The result for a host that is a literal address.
    """
    port, lastPort = ports or (defaultPort, defaultPort)
    return HostPort(host, inetSockaddr(host, port), port, lastPort, ports is not None)


def _parseUnix(path: str) -> HostPort:
    """
    What follows C{unix:}.
    """
    if not path:
        raise ValueError("no path in the unix domain socket")
    if len(path.encode("utf-8", "surrogateescape")) >= UNIX_PATH_SIZE:
        raise ValueError("too long path in the unix domain socket")
    return HostPort(path, path, 0, 0, False)


def _parseInet6(text: str, defaultPort: int, listen: bool) -> HostPort:
    """
    C{[v6]} with or without a port.
    """
    host, bracket, rest = text[1:].partition("]")
    if not bracket or "/" in rest or rest[:1] not in ("", ":"):
        raise ValueError("invalid host")
    ports = _ports(rest[1:], listen) if rest else None
    if not host:
        raise ValueError("no host")
    literal = parseLiteral(host) if ":" in host else None
    if literal is None:
        raise ValueError("invalid IPv6 address")
    return _literal(literal, ports, defaultPort)


def _isPorts(text: str) -> bool:
    """
    Is a word without colon a port, or a range of ports, rather than a host?
    """
    first, dash, last = text.partition("-")
    return _digits.fullmatch(first) is not None and (
        not dash or _digits.fullmatch(last) is not None
    )


def _ports(text: str, listen: bool) -> tuple[int, int]:
    """
    Parse a port, or where we listen a range of them, into its first and last.
    """
    first, dash, last = text.partition("-") if listen else (text, "", "")
    lastPort = _port(last) if dash else 0
    port = _port(first)
    if dash and port > lastPort:
        raise ValueError("invalid port range")
    return port, lastPort or port


def _port(text: str) -> int:
    """
    Parse one port.
    """
    if _digits.fullmatch(text) is None or not 1 <= int(text) <= 65535:
        raise ValueError("invalid port")
    return int(text)
