"""
Dates as HTTP writes them.

nginx: ngx_http_time(), ngx_http_cookie_time(), ngx_parse_http_time()
"""

from __future__ import annotations

import re
from calendar import timegm
from time import gmtime

_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (
    *(b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun"),
    *(b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"),
)
_TIME = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FORMATS = tuple(
    re.compile(pattern % {b"time": _TIME})
    for pattern in (
        # Tue, 10 Nov 2002 23:50:13 GMT
        rb"[^, ]*,\s*(?P<day>\d\d) (?P<month>\w{3}) (?P<year>\d{4}) %(time)b",
        # Tuesday, 10-Dec-02 23:50:13 GMT
        rb"[^, ]*,\s*(?P<day>\d\d)-(?P<month>\w{3})-(?P<year>\d\d) %(time)b",
        # Tue Dec 10 23:50:13 2002
        rb"[^, ]* +(?P<month>\w{3})  ?(?P<day>\d\d?) %(time)b (?P<year>\d{4})",
    )
)


def formatDate(seconds: float) -> bytes:
    """
    The date of so many seconds since 1970: C{b"Mon, 28 Sep 1970 06:00:00 GMT"}.
    """
    t = gmtime(seconds)
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        _DAYS[t.tm_wday],
        t.tm_mday,
        _MONTHS[t.tm_mon - 1],
        t.tm_year,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
    )


def formatCookieDate(seconds: float) -> bytes:
    """
    The same as cookies have it, C{b"Mon, 28-Sep-70 06:00:00 GMT"}: the year has two
    digits until 2037.
    """
    t = gmtime(seconds)
    return b"%b, %02d-%b-%02d %02d:%02d:%02d GMT" % (
        _DAYS[t.tm_wday],
        t.tm_mday,
        _MONTHS[t.tm_mon - 1],
        t.tm_year if t.tm_year > 2037 else t.tm_year % 100,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
    )


def parseDate(text: bytes) -> int | None:
    """
    The seconds since 1970 of a date in any of HTTP's three formats; C{None}: it is in
    none of them.
    """
    for form in _FORMATS:
        found = form.match(text)
        if found is None:
            continue
        if found["month"] not in _MONTHS:
            return None
        month = _MONTHS.index(found["month"]) + 1
        year = int(found["year"])
        if year < 100:
            year += 2000 if year < 70 else 1900
        day = int(found["day"])
        hour, minute, second = (int(found[k]) for k in ("hour", "minute", "second"))
        if hour > 23 or minute > 59 or second > 59 or not 1 <= day <= 31:
            return None
        seconds = timegm((year, month, day, hour, minute, second))
        # The thirtieth of February would be the second of March.
        return seconds if gmtime(seconds).tm_mon == month else None
    return None
