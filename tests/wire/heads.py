"""
Heads of messages in tests: written, and read in pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.splits import everySplit
from twisted_upstream.wire.http1 import HeadLimits, RequestHead, parseRequest
from twisted_upstream.wire.response1 import HTTP1Response

LIMITS = HeadLimits()


BROWSER = (
    b"GET /api/v1/items?page=2&size=50 HTTP/1.1\r\n"
    b"Host: www.example.com\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0)\r\n"
    b"Accept: text/html,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Connection: keep-alive\r\n"
    b"\r\n"
)


def described(head: RequestHead | HTTP1Response | None) -> Any:
    """
    Everything a head says, comparable.
    """
    if head is None:
        return None
    return {
        name: getattr(head, name)
        for kind in type(head).__mro__
        for name in getattr(kind, "__slots__", ())
    }


class HeadCase(SynchronousTestCase):
    """
    Heads that come in pieces.
    """

    def assertWhole(
        self, read: Callable[[bytes], Any], head: bytes, behind: bytes
    ) -> None:
        """
        C{head} is found when its last byte has come, not before, and what follows it
        changes nothing.

        @param read: tells what it has found in all bytes so far; C{None}: too few.
        """
        wanted = read(head)
        self.assertIsNotNone(wanted, head)
        found = list(everySplit(read, head + behind))
        self.assertEqual(
            [count for count, _ in found],
            list(range(len(head), len(head + behind) + 1)),
            head,
        )
        for _, each in found:
            self.assertEqual(each, wanted)

    def assertSteady(self, judge: Callable[[bytes], Any], data: bytes) -> None:
        """
        Any part of C{data} is judged as the whole, or not judged yet.

        @param judge: tells what is wrong with all bytes so far, or what they say;
            C{None}: too few.
        """
        verdict = None
        for count in range(len(data) + 1):
            found = judge(data[:count])
            if verdict is not None:
                self.assertEqual(found, verdict)
            verdict = found
            if isinstance(found, dict):
                # One form behind it: nobody else has to think of other line ends.
                fields = found["fields"]
                self.assertEqual(fields.count(b"\r\n"), fields.count(b"\n"))
                self.assertEqual(fields.count(b"\r\n"), fields.count(b"\r"))
                self.assertNotIn(b"\0", fields)


def parse(data: bytes, limits: HeadLimits = LIMITS) -> RequestHead:
    """
    Parse a head that is complete.
    """
    head = parseRequest(data, limits)
    assert head is not None
    return head


def request(
    *lines: bytes,
    first: bytes = b"GET / HTTP/1.1",
    host: bytes | None = b"Host: a",
    end: bytes = b"\r\n",
) -> bytes:
    """
    A head of these lines.
    """
    whole = [first, *([] if host is None else [host]), *lines]
    return b"".join(line + end for line in whole) + end
