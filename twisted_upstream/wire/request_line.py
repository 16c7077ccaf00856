"""
The first line of a request, in every form that nginx takes.

nginx: ngx_http_parse_request_line()
"""

from __future__ import annotations

import re

_matchMethod = re.compile(rb"[A-Z_-]*+").match
_matchSpaces = re.compile(rb" *+").match
_matchScheme = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*+").match
_matchName = re.compile(rb"\[[A-Za-z0-9:._~!$&'()*+,;=-]*+\]?|[A-Za-z0-9.-]*+").match
_matchPort = re.compile(rb":[0-9]*+").match
_matchTarget = re.compile(rb"[^\x00-\x20\x7f]*+").match
_matchDigits = re.compile(rb"[0-9]*+").match


class BadLine(Exception):
    """
    A line that is no request line.

    @ivar status: 400 or 505.
    @ivar reason: nginx's words.
    """

    def __init__(
        self, status: int = 400, reason: str = "client sent invalid request"
    ) -> None:
        self.status = status
        self.reason = reason
        super().__init__(status, reason)


class RequestLine:
    """
    A request line, taken apart.

    @ivar text: the line without its end.
    @ivar method: in capitals.
    @ivar target: what stands between method and version.
    @ivar authority: host and port in C{target}, if it has them.
    @ivar path: C{target} from its first slash, or else its question mark on.
    @ivar version: 9, 10 or 11.
    """

    __slots__ = ("authority", "method", "path", "target", "text", "version")

    def __init__(self, text: bytes, method: bytes, target: bytes, path: bytes) -> None:
        self.text = text
        self.method = method
        self.target = target
        self.path = path
        self.authority: bytes | None = None
        self.version = 9


class _Incomplete(Exception):
    """
    The line ends before it is clear what it is.
    """


def readRequestLine(line: bytes) -> RequestLine | None:
    """
    Take a request line apart.

    @param line: a line with its LF, or the beginning of one.
    @return: C{None}: this is a beginning in which nothing is wrong.
    @raise BadLine: no request begins like this.
    """
    try:
        return _read(line)
    except _Incomplete:
        return None


def _byte(line: bytes, position: int) -> int:
    """
    The byte there, if the line is that long.
    """
    if position >= len(line):
        raise _Incomplete
    return line[position]


def _end(match: re.Match[bytes] | None) -> int:
    """
    Where something ends that may be empty.
    """
    assert match is not None, "the pattern matches nothing, too"
    return match.end()


def _read(line: bytes) -> RequestLine:
    end = _end(_matchMethod(line))
    if _byte(line, end) != 0x20 or end == 0:
        raise BadLine(400, "client sent invalid method")
    method = line[:end]
    begin = _end(_matchSpaces(line, end))
    first = _byte(line, begin)
    authority = None
    path = None
    if method == b"CONNECT":
        end = _readAuthority(line, begin, needsPort=True)
        authority = line[begin:end]
        path = b"/"
    elif first == 0x2F:
        end = _readTarget(line, begin)
    else:
        host = _readScheme(line, begin)
        slash = _readAuthority(line, host)
        authority = line[host:slash]
        end = slash
        if line[slash] == 0x20:
            path = b"/"
        else:
            end = _readTarget(line, slash)
            path = line[slash:end]
    target = line[begin:end]
    said = RequestLine(b"", method, target, target if path is None else path)
    said.authority = authority
    end = _end(_matchSpaces(line, end))
    if _byte(line, end) not in b"\r\n":
        said.version, end = _readVersion(line, end)
    elif line[end] == 0x0D:
        _finish(line, end)
    if said.version == 9 and method != b"GET":
        # Known only when the line is complete.
        raise BadLine(400, "client sent invalid method in HTTP/0.9 request")
    said.text = line[:end]
    return said


def _readScheme(line: bytes, position: int) -> int:
    """
    @return: where the authority begins.
    """
    match = _matchScheme(line, position)
    if match is None:
        raise BadLine
    end = match.end()
    found = line[end : end + 3]
    if not b"://".startswith(found):
        raise BadLine
    if len(found) < 3:
        raise _Incomplete
    return end + 3


def _readAuthority(line: bytes, position: int, *, needsPort: bool = False) -> int:
    """
    @return: where it ends; there is another byte.
    """
    end = _end(_matchName(line, position))
    byte = _byte(line, end)
    if line[position] == 0x5B and line[end - 1] != 0x5D:
        raise BadLine
    if byte == 0x3A:
        colon = end
        end = _end(_matchPort(line, colon))
        byte = _byte(line, end)
        if needsPort and end == colon + 1:
            raise BadLine
    elif needsPort:
        raise BadLine
    if byte not in (b" " if needsPort else b"/? "):
        raise BadLine
    return end


def _readTarget(line: bytes, position: int) -> int:
    """
    @return: where it ends; there is a space or the line's end.
    """
    end = _end(_matchTarget(line, position))
    if _byte(line, end) not in b" \r\n":
        raise BadLine
    return end


def _readVersion(line: bytes, position: int) -> tuple[int, int]:
    """
    @return: the version, and where the line's end begins.
    """
    found = line[position : position + 5]
    if not b"HTTP/".startswith(found):
        raise BadLine
    # Major: 1, or something newer, which may have more digits.
    end = position + 5
    byte = _byte(line, end)
    if byte not in b"123456789":
        raise BadLine
    following = byte if byte != 0x31 else _byte(line, end + 1)
    if following in b"0123456789":
        raise BadLine(505, "client sent invalid version")
    if following != 0x2E:
        raise BadLine
    begin = end + 2
    end = _end(_matchDigits(line, begin))
    minor = line[begin:end].lstrip(b"0")
    if end == begin:
        _byte(line, end)
        raise BadLine
    if len(minor) > 3:
        raise BadLine
    end = _end(_matchSpaces(line, end))
    if _byte(line, end) not in b"\r\n":
        raise BadLine
    if line[end] == 0x0D:
        _finish(line, end)
    # nginx keeps the spaces that follow, in $request and in $server_protocol.
    return 11 if minor else 10, end


def _finish(line: bytes, position: int) -> None:
    """
    After this CR comes the LF.
    """
    if _byte(line, position + 1) != 0x0A:
        raise BadLine
