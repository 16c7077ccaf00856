"""
When may a request go to another server?  A pure decision.

A failure is one of the conditions below; a configuration is the sum of those that it
enables.  nginx: C{ngx_http_upstream_next()}, C{ngx_http_upstream_test_next()}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..balance.peer import Outcome

ERROR = 0x0002
TIMEOUT = 0x0004
INVALID_HEADER = 0x0008
HTTP_500 = 0x0010
HTTP_502 = 0x0020
HTTP_503 = 0x0040
HTTP_504 = 0x0080
HTTP_403 = 0x0100
HTTP_404 = 0x0200
HTTP_429 = 0x0400
UPDATING = 0x0800
NON_IDEMPOTENT = 0x4000
#: There was no server to ask.  No configuration enables it.
NO_LIVE = 0x40000000
OFF = 0x80000000

#: Attempts in one turn of the reactor: connecting to servers nearby can fail at once,
#: and each attempt is made from within the one before.
IN_A_ROW = 20

#: The words of C{proxy_next_upstream} and of most dialects.
HTTP_WORDS: Mapping[str, int] = {
    "error": ERROR,
    "timeout": TIMEOUT,
    "invalid_header": INVALID_HEADER,
    "non_idempotent": NON_IDEMPOTENT,
    "http_500": HTTP_500,
    "http_502": HTTP_502,
    "http_503": HTTP_503,
    "http_504": HTTP_504,
    "http_403": HTTP_403,
    "http_404": HTTP_404,
    "http_429": HTTP_429,
    "updating": UPDATING,
    "off": OFF,
}

#: The words of C{fastcgi_next_upstream}, C{uwsgi_next_upstream}, C{scgi_next_upstream}.
CGI_WORDS: Mapping[str, int] = {
    word: condition
    for word, condition in HTTP_WORDS.items()
    if word not in ("http_502", "http_504")
}

#: The words of C{memcached_next_upstream}.
MEMCACHED_WORDS: Mapping[str, int] = {
    "error": ERROR,
    "timeout": TIMEOUT,
    "invalid_response": INVALID_HEADER,
    "not_found": HTTP_404,
    "off": OFF,
}

#: The statuses of servers that may send a request to another one.
CONDITION_OF_STATUS: Mapping[int, int] = {
    500: HTTP_500,
    502: HTTP_502,
    503: HTTP_503,
    504: HTTP_504,
    403: HTTP_403,
    404: HTTP_404,
    429: HTTP_429,
}

_STATUS_OF_CONDITION: Mapping[int, int] = {
    TIMEOUT: 504,
    HTTP_504: 504,
    HTTP_500: 500,
    HTTP_503: 503,
    HTTP_403: 403,
    HTTP_404: 404,
    HTTP_429: 429,
}

#: Methods that are sent twice only if C{non_idempotent} is enabled.
NON_IDEMPOTENT_METHODS = frozenset((b"POST", b"LOCK", b"PATCH"))


class UnknownCondition(ValueError):
    """
    A word is not a condition.  C{str()} is nginx's complaint.

    @ivar index: which of the words.
    """

    def __init__(self, word: str, index: int) -> None:
        super().__init__(f'invalid value "{word}"')
        self.index = index


def parseConditions(words: Iterable[str], names: Mapping[str, int] = HTTP_WORDS) -> int:
    """
    The conditions that the words of a C{*_next_upstream} enable, in any case.
    C{off} among them turns off all others.

    @raise UnknownCondition: a word is not in C{names}.
    """
    conditions = 0
    for index, word in enumerate(words):
        condition = names.get(word.lower())
        if condition is None:
            raise UnknownCondition(word, index)
        conditions |= condition
    return OFF if conditions & OFF else conditions


def combined(lines: Iterable[int]) -> int:
    """
    The conditions that several C{*_next_upstream} of one block enable together.
    """
    conditions = 0
    for each in lines:
        conditions |= each
    return OFF if conditions & OFF else conditions


def statusOf(failure: int) -> int:
    """
    What the client is told when C{failure} is the end.
    """
    return _STATUS_OF_CONDITION.get(failure, 502)


def outcomeOf(failure: int) -> int:
    """
    What C{freePeer} is told of C{failure}: a server that forbids or lacks something has
    not failed.
    """
    return Outcome.NEXT if failure & (HTTP_403 | HTTP_404) else Outcome.FAILED


def mayRetryStatus(
    status: int,
    conditions: int,
    *,
    tries: int,
    method: bytes,
    sent: bool,
    unbuffered: bool,
    elapsed: float,
    timeout: float,
) -> int:
    """
    A response has come with C{status}: is it to be thrown away for another server's?

    @param tries: the getter's, B{before} the peer is freed.
    @return: the failure that the response amounts to, or 0: pass the response on.
        For the other parameters see L{nextUpstream}.
    """
    failure = CONDITION_OF_STATUS.get(status, 0)
    if failure and nextUpstream(
        failure,
        conditions,
        tries=tries - 1,
        method=method,
        sent=sent,
        unbuffered=unbuffered,
        elapsed=elapsed,
        timeout=timeout,
    ):
        return failure
    return 0


def nextUpstream(
    failure: int,
    conditions: int,
    *,
    tries: int,
    method: bytes,
    sent: bool,
    unbuffered: bool,
    elapsed: float,
    timeout: float,
) -> bool:
    """
    An attempt has ended with C{failure}: is there another one?

    @param conditions: what the configuration enables.
    @param tries: the getter's, B{after} the peer was freed.
    @param method: the client's.
    @param sent: did this attempt begin to send the request?
    @param unbuffered: is the body passed as it comes, and cannot be sent again?
    @param elapsed: seconds since the first attempt began.
    @param timeout: seconds after which there is none; 0: no limit.
    """
    if tries <= 0:
        return False
    if sent:
        if unbuffered:
            return False
        if method in NON_IDEMPOTENT_METHODS:
            failure |= NON_IDEMPOTENT
    if timeout and elapsed >= timeout:
        return False
    return conditions & failure == failure
