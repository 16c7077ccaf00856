"""
The cookie of C{session_sticky}: the name of a client's server is a cookie of ours
(C{insert}), stands before the value of a cookie of the server (C{prefix}), or in its
place (C{rewrite}).

Tengine: C{ngx_http_session_sticky_get_cookie()},
C{ngx_http_session_sticky_header_filter()}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..wire.cookies import cookieEditor
from ..wire.dates import formatCookieDate

if TYPE_CHECKING:
    from ..wire.head import ResponseHead

#: A clock of another machine may be so far ahead, in seconds.
_AHEAD = 86400
#: What C{maxidle} and C{maxlife} are when only the other one is configured.
_UNLIMITED = 2**31 - 1
#: Numbers of seconds, short enough to be looked at.
_seconds = re.compile(rb"[0-9]{1,18}")
_time = re.compile("[0-9]{1,10}")


@dataclass(kw_only=True, slots=True)
class Settings:
    """
    C{session_sticky} as configured.

    @ivar maxAge: digits, or empty.
    @ivar maxIdle: seconds; C{None}: sessions have no times.
    @ivar fallback: may another server be asked when that of the session is not to be
        had?
    @ivar hashed: is the name of a server a digest of its address?
    """

    cookie: str = "route"
    domain: str = ""
    path: str = "/"
    mode: str = "insert"
    indirect: bool = False
    maxAge: str = ""
    maxIdle: int | None = None
    maxLife: int | None = None
    fallback: bool = True
    hashed: bool = True


class Visit:
    """
    What a request's cookie says.

    @ivar sid: name of the server; empty: it says none.
    @ivar isFirst: was no cookie of use, or is another server taken?
    @ivar firstSeen: when the session began, seconds since 1970.
    @ivar hidden: was the cookie taken out before the request was passed on?
    """

    __slots__ = ("firstSeen", "hidden", "isFirst", "sid")

    def __init__(self, sid: bytes, firstSeen: int) -> None:
        self.sid = sid
        self.isFirst = not sid
        self.firstSeen = firstSeen
        self.hidden = False


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


#: Words that a parameter may be.
_CHOICES = {
    "mode": ("insert", "prefix", "rewrite"),
    "option": ("indirect", "direct"),
    "fallback": ("on", "off"),
    "hash": ("plain", "md5"),
}
_TIMES = ("maxage", "maxidle", "maxlife")
_TEXTS = ("cookie", "domain", "path")


def parseSettings(words: tuple[str, ...]) -> Settings:
    """
    The parameters of C{session_sticky}.

    @raise ValueError: one of them is wrong.
    """
    values: dict[str, str] = {}
    for word in words:
        key, given, value = word.partition("=")
        if not given or key not in (*_CHOICES, *_TIMES, *_TEXTS):
            raise ValueError("invalid argument")
        if key in _CHOICES:
            right = value in _CHOICES[key]
        elif key in _TIMES:
            right = _time.fullmatch(value) is not None and int(value) <= _UNLIMITED
        else:
            right = bool(value)
        if not right:
            raise ValueError("invalid hash mode" if key == "hash" else f"invalid {key}")
        values[key] = value
    settings = Settings(
        cookie=values.get("cookie", "route"),
        domain=values.get("domain", ""),
        path=values.get("path", "/"),
        mode=values.get("mode", "insert"),
        indirect=values.get("option") == "indirect",
        maxAge=values.get("maxage", ""),
        fallback=values.get("fallback") != "off",
        hashed=values.get("hash") != "plain",
    )
    if "maxidle" in values or "maxlife" in values:
        settings.maxIdle = int(values.get("maxidle", _UNLIMITED))
        settings.maxLife = int(values.get("maxlife", _UNLIMITED))
    return settings


class SessionCookie:
    """
    Reads and writes the cookies of one group.
    """

    __slots__ = ("_editCookie", "_now", "_setCookie", "_settings", "_tail")

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        """
        @param now: seconds since 1970.
        """
        self._settings = settings
        self._now = now
        name = _encode(settings.cookie)
        self._editCookie = cookieEditor(name)
        # A whole name, what it is now, and attributes.
        self._setCookie = re.compile(
            rb"(\r\n(?i:set-cookie):[ \t]*%b) *(?:= *([^;\r]*)|(?=[;\r]|\Z))([^\r]*)"
            % re.escape(name)
        )
        self._tail = b""
        if settings.domain:
            self._tail += b"; Domain=" + _encode(settings.domain)
        if settings.path:
            self._tail += b"; Path=" + _encode(settings.path)

    def read(self, fields: bytes) -> tuple[Visit, bytes]:
        """
        What the cookie in a request's fields says.

        @return: also the fields without what the server does not need to know.
        """
        found: list[bytes] = []
        prefix = self._settings.mode == "prefix"
        cut = self._settings.indirect and self._settings.mode == "insert"

        def change(value: bytes) -> bytes | None:
            found.append(value)
            if prefix:
                return value.partition(b"~")[2] if b"~" in value else value
            return None if cut else value

        rest = self._editCookie(fields, change)
        return self._visit(found[0].rstrip(b" ") if found else b""), rest

    def _visit(self, value: bytes) -> Visit:
        settings = self._settings
        now = int(self._now())
        if settings.mode == "prefix":
            sid, given, _ = value.partition(b"~")
            return Visit(sid if given else b"", now)
        if settings.mode == "rewrite" or settings.maxIdle is None:
            return Visit(value, now)
        sid, _, times = value.partition(b"|")
        last, _, first = times.partition(b"|")
        if not (_seconds.fullmatch(last) and _seconds.fullmatch(first)):
            return Visit(b"", now)
        assert settings.maxLife is not None
        if not (
            -_AHEAD <= now - int(last) <= settings.maxIdle
            and -_AHEAD <= now - int(first) <= settings.maxLife
        ):
            return Visit(b"", now)
        return Visit(sid, int(first) if sid else now)

    def edit(self, head: ResponseHead, visit: Visit) -> None:
        """
        Tell the client its server.
        """
        if head.status >= 400:
            return
        settings = self._settings
        mode = settings.mode
        if not visit.hidden and (
            mode == "prefix" or (mode == "insert" and settings.indirect)
        ):
            # The server would get to see what is not its own.
            return
        if mode == "insert":
            if visit.isFirst or settings.maxIdle is not None:
                self._insert(head, visit)
            return
        for match in self._setCookie.finditer(head.fields):
            if mode == "prefix" and match[2] is None:
                continue
            value = b"=" + visit.sid
            if mode == "prefix":
                value += b"~" + match[2]
            head.fields = (
                head.fields[: match.start()]
                + match[1]
                + value
                + match[3]
                + head.fields[match.end() :]
            )
            return

    def _insert(self, head: ResponseHead, visit: Visit) -> None:
        settings = self._settings
        now = int(self._now())
        value = b"%b=%b" % (_encode(settings.cookie), visit.sid)
        if settings.maxIdle is not None:
            value += b"|%d|%d" % (now, visit.firstSeen)
        value += self._tail
        if settings.maxIdle is None and settings.maxAge:
            date = formatCookieDate(now + int(settings.maxAge))
            value += b"; Max-Age=%b; Expires=%b" % (_encode(settings.maxAge), date)
        line = b"\r\nSet-Cookie: " + value
        match = self._setCookie.search(head.fields) if settings.indirect else None
        if match is None:
            head.fields += line
        else:
            head.fields = (
                head.fields[: match.start()] + line + head.fields[match.end() :]
            )
